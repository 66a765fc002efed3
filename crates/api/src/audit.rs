//! The record that a call leaves in the audit log (002 §6.4): made by the dispatcher, which knows operation, caller, path
//! and answer. Handlers add what only they know. Bodies and secrets have no way in.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use axum::http::StatusCode;
use causeway_model::audit::{AuditLevel, AuditRecord};
use causeway_model::{AppId, DeviceId, GroupId, ProductId, RecordNo, Result, Timestamp};
use causeway_platform::Platform;
use causeway_platform::iam::Caller;
use parking_lot::Mutex;
use serde_json::value::RawValue;

use crate::call::{Call, Reply};
use crate::error;
use crate::operation::{Base, Operation, Verb};
use crate::serve::Peer;
use crate::v5::operations;

/// What a handler knows of a call and its path and answer do not tell.
#[derive(Debug, Default)]
pub(crate) struct Note {
    user_id: Option<String>,
    user_name: Option<String>,
    resource_id: Option<String>,
    app: Option<AppId>,
}

/// Shared by the call and its record.
pub(crate) type SharedNote = Arc<Mutex<Note>>;

/// Notes of handlers. They matter for calls that are recorded only, and harm nowhere.
impl Call {
    /// The call is about something of this space; for what path and answer do not tell.
    pub(crate) fn concerns(&self, app: &AppId) {
        self.note.lock().app = Some(app.clone());
    }

    /// The call is about this thing; for what neither path nor answer names at its top.
    pub(crate) fn concerns_resource(&self, id: &str) {
        self.note.lock().resource_id = Some(id.to_owned());
    }

    /// Who signs in, as far as known.
    pub(crate) fn signs_in(&self, id: Option<&str>, name: &str) {
        let mut note = self.note.lock();
        note.user_id = id.map(str::to_owned);
        note.user_name = Some(name.to_owned());
    }
}

/// Events that the guide names (002 §6.4), by operation.
const EVENTS: [(&str, &str); 18] = [
    ("create_rule", "createRule"),
    ("delete_rule", "deleteRule"),
    ("update_rule", "updateRule"),
    ("change_rule_status", "changeRuleStatus"),
    ("create_command", "sendCommand"),
    ("create_async_command", "sendCommand"),
    ("create_batch_task", "createBatchTask"),
    ("add_certificate", "addCertificate"),
    ("delete_certificate", "deleteCertificate"),
    ("check_certificate", "verifyCertificate"),
    ("add_device", "addDevice"),
    ("delete_device", "deleteDevice"),
    ("reset_device_secret", "resetDeviceSecret"),
    ("add_device_group", "addDeviceGroup"),
    ("update_device_group", "updateDeviceGroup"),
    ("delete_device_group", "deleteDeviceGroup"),
    ("create_or_delete_device_in_group", "manageDevicesInGroup"),
    ("update_device_shadow_desired_data", "updateDeviceShadow"),
];

/// Kinds of things by the first step of their path, where they are called otherwise.
const KINDS: [(&str, &str); 10] = [
    ("alarms", "alarm"),
    ("apps", "app"),
    ("products", "product"),
    ("devices", "device"),
    ("certificates", "certificate"),
    ("rules", "rule"),
    ("shadow", "deviceShadow"),
    ("commands", "command"),
    ("async-commands", "command"),
    ("messages", "message"),
];

/// Operations that devices answer: many, and nothing in the registry changes.
const DEVICE_FACING: [&str; 5] =
    ["create_command", "create_async_command", "update_properties", "create_message", "broadcast_message"];

/// Longest text of a record, in characters.
const LONGEST: usize = 256;

/// Whether a call leaves a record: all that change something. Some reads are asked for by POST.
pub(crate) fn is_recorded(operation: &Operation) -> bool {
    let verb = operation.action.rsplit(':').next().unwrap_or_default();
    operation.verb != Verb::Get && !verb.starts_with("query")
}

fn event_of(operation: &Operation) -> Cow<'static, str> {
    if let Some((_, event)) = EVENTS.iter().find(|(id, _)| *id == operation.id) {
        return Cow::Borrowed(event);
    }
    let mut parts = operation.id.split('_');
    let mut event = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (first, rest) = part.split_at(part.len().min(1));
        event.push_str(&first.to_ascii_uppercase());
        event.push_str(rest);
    }
    Cow::Owned(event)
}

/// Steps of a path that name things, without parameters and versions.
fn steps(operation: &Operation) -> impl Iterator<Item = &'static str> {
    let names = |s: &&str| !s.is_empty() && !s.starts_with(['{', 'v']) && !s.starts_with("OS-") && *s != "auth";
    operation.path.split('/').filter(names)
}

/// Kind of the thing that an operation is about: what stands below a device and has a name of its own, else the first step.
fn kind_of(operation: &Operation) -> &'static str {
    let mut steps = steps(operation);
    let first = steps.next().unwrap_or_default();
    let word = |step: &str| KINDS.iter().find(|(s, _)| *s == step).map(|(_, kind)| *kind);
    if first == "devices"
        && let Some(below) =
            steps.next().filter(|s| matches!(*s, "shadow" | "commands" | "async-commands" | "messages"))
    {
        return word(below).unwrap_or(first);
    }
    word(first).unwrap_or(first)
}

/// The field of an answer that holds the id of what was made: the parameter of the path below the operation's own.
fn id_field(operation: &Operation) -> Option<&'static str> {
    operations::all()
        .filter(|o| o.base == operation.base)
        .filter_map(|o| o.path.strip_prefix(operation.path)?.strip_prefix("/{"))
        .filter_map(|rest| rest.split('}').next())
        .find(|name| !name.is_empty())
}

/// A text as it may stand in a record: of bounded length, without what a store cannot hold.
fn bounded(text: &str) -> String {
    text.chars().take(LONGEST).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// A record in the making.
pub(crate) struct Draft {
    operation: &'static Operation,
    at: Timestamp,
    request_id: String,
    address: Option<IpAddr>,
    /// Who calls, once that is proven.
    caller: Option<(String, String)>,
    credential: Option<String>,
    path: Vec<(String, String)>,
    app: Option<AppId>,
    note: SharedNote,
}

impl Draft {
    pub(crate) fn new(operation: &'static Operation, at: Timestamp, request_id: &str, peer: Option<Peer>) -> Self {
        Self {
            operation,
            at,
            request_id: request_id.to_owned(),
            address: peer.map(|p| p.0),
            caller: None,
            // The one operation without a caller that changes something is signing in.
            credential: (!operation.needs_caller()).then(|| "password".to_owned()),
            path: Vec::new(),
            app: None,
            note: SharedNote::default(),
        }
    }

    pub(crate) fn note(&self) -> &SharedNote {
        &self.note
    }

    /// What the caller shows, before it is proven.
    pub(crate) fn claims(&mut self, credential: &str) {
        self.credential = Some(bounded(credential));
    }

    pub(crate) fn called_by(&mut self, caller: &Caller) {
        self.caller = Some(who(caller));
    }

    pub(crate) fn goes_to(&mut self, path: &[(String, String)]) {
        self.path = path.iter().filter(|(name, _)| name != "project_id").cloned().collect();
    }

    /// Finds the space that the path leads to, before the call may delete what lies there.
    ///
    /// # Errors
    /// Only the store's.
    pub(crate) async fn locate(&mut self, platform: &Platform) -> Result<()> {
        for (name, value) in &self.path {
            match name.as_str() {
                "app_id" => self.app = AppId::parse(value).ok(),
                "device_id" => {
                    if let Ok(id) = DeviceId::parse(value) {
                        self.app = platform.space_of_device(&id).await?;
                    }
                }
                "product_id" => {
                    if let Ok(id) = ProductId::parse(value) {
                        let mut found = platform.store.products_by_id(None, &id).await?;
                        self.app = found.pop().filter(|_| found.is_empty()).map(|p| p.app_id);
                    }
                }
                "group_id" if self.operation.base == Base::Project => {
                    if let Ok(id) = GroupId::parse(value) {
                        self.app = platform.store.group(&id).await?.map(|g| g.app_id);
                    }
                }
                "certificate_id" if self.operation.path.starts_with("/certificates") => {
                    self.app = platform.store.ca(value).await?.map(|c| c.app_id);
                }
                "certificate_id" => {
                    self.app = platform.store.device_certificate(value).await?.map(|c| c.app_id);
                }
                "alarm_id" => self.app = platform.store.alarm(value).await?.map(|a| a.app_id),
                "task_id" => self.app = platform.store.batch_task(value).await?.map(|t| t.app_id),
                "export_task_id" => self.app = platform.store.export(value).await?.map(|e| e.app_id),
                "module_id" => self.app = platform.store.ota_module(value).await?.map(|m| m.app_id),
                "package_id" => self.app = platform.store.ota_package(value).await?.map(|p| p.app_id),
                "function_id" if self.operation.path.starts_with("/functions") => {
                    self.app = platform.store.function(value).await?.and_then(|f| f.app_id);
                }
                "rule_id" if self.operation.path.starts_with("/rules/") => {
                    self.app = platform.store.linkage_rule(value).await?.map(|r| r.app_id);
                }
                "rule_id" if self.operation.path.starts_with("/routing-rule") => {
                    let rule = platform.store.routing_rule(value).await?;
                    self.app = rule.and_then(|r| r.scope.app().cloned());
                }
                "action_id" => {
                    let action = platform.store.routing_action(value).await?;
                    self.app = action.and_then(|a| a.scope.app().cloned());
                }
                "policy_id" if self.operation.path.starts_with("/device-policies") => {
                    self.app = platform.store.policy(value).await?.map(|p| p.app_id);
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn record(self, outcome: &Result<Reply>) -> AuditRecord {
        let (status, error_code) = match outcome {
            Ok(reply) => (reply.status(), None),
            Err(error) => (error::status_of(error.code()), Some(error.code().as_str().to_owned())),
        };
        let level = match (status, &error_code) {
            (status, _) if status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED => AuditLevel::Incident,
            (status, None) if status.is_success() => AuditLevel::Normal,
            _ => AuditLevel::Warning,
        };
        let answer = outcome.as_ref().ok().map(|reply| Answer::read(reply, self.operation)).unwrap_or_default();
        let note = std::mem::take(&mut *self.note.lock());
        let (user_id, user_name) = self.caller.unzip();
        let resource_id = note.resource_id.or_else(|| self.path.last().map(|(_, value)| value.clone())).or(answer.id);
        AuditRecord {
            no: RecordNo(0),
            at: self.at,
            user_id: user_id.or(note.user_id).map(|t| bounded(&t)),
            user_name: user_name.or(note.user_name).map(|t| bounded(&t)),
            credential: self.credential,
            operation: self.operation.id.to_owned(),
            event: event_of(self.operation).into_owned(),
            resource_type: kind_of(self.operation).to_owned(),
            resource_id: resource_id.map(|t| bounded(&t)),
            app_id: note.app.or(answer.app).or(self.app),
            status: status.as_u16(),
            error_code,
            level,
            address: self.address.map(|a| a.to_canonical().to_string()),
            request_id: self.request_id,
        }
    }

    /// Leaves the record. A call that changed the registry is answered after its record is committed.
    pub(crate) async fn leave(self, platform: &Platform, outcome: &Result<Reply>) {
        let is_stranger = self.caller.is_none() && outcome.is_err();
        let is_done = outcome.is_ok() && !DEVICE_FACING.contains(&self.operation.id);
        let record = self.record(outcome);
        if is_stranger {
            platform.audit_stranger(record).await;
        } else if is_done {
            platform.audit(record).await;
        } else {
            platform.audit_later(record).await;
        }
    }
}

fn who(caller: &Caller) -> (String, String) {
    (caller.id().to_owned(), caller.name().to_owned())
}

/// What an answer tells of the thing that was made.
#[derive(Default)]
struct Answer {
    id: Option<String>,
    app: Option<AppId>,
}

impl Answer {
    fn read(reply: &Reply, operation: &Operation) -> Self {
        let Ok(fields) = serde_json::from_slice::<BTreeMap<Cow<'_, str>, &RawValue>>(reply.body()) else {
            return Self::default();
        };
        let text = |name: &str| serde_json::from_str::<String>(fields.get(name)?.get()).ok();
        Self {
            id: match operation.base {
                Base::Project => id_field(operation).and_then(text),
                // Identity answers `{"user":{"id":…}}`; an access key is its own id.
                Base::Server => fields.values().next().filter(|_| fields.len() == 1).and_then(|only| {
                    let inner: BTreeMap<Cow<'_, str>, &RawValue> = serde_json::from_str(only.get()).ok()?;
                    let id = inner.get("id").or_else(|| inner.get("access"))?;
                    serde_json::from_str(id.get()).ok()
                }),
            },
            app: text("app_id").and_then(|id| AppId::parse(&id).ok()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operation(id: &str) -> &'static Operation {
        operations::all().find(|o| o.id == id).expect("an operation")
    }

    #[test]
    fn the_guides_operations_have_its_words() {
        for (id, kind, event) in [
            ("create_rule", "rule", "createRule"),
            ("delete_rule", "rule", "deleteRule"),
            ("update_rule", "rule", "updateRule"),
            ("change_rule_status", "rule", "changeRuleStatus"),
            ("create_command", "command", "sendCommand"),
            ("create_batch_task", "batchtasks", "createBatchTask"),
            ("add_certificate", "certificate", "addCertificate"),
            ("delete_certificate", "certificate", "deleteCertificate"),
            ("check_certificate", "certificate", "verifyCertificate"),
            ("add_device", "device", "addDevice"),
            ("delete_device", "device", "deleteDevice"),
            ("reset_device_secret", "device", "resetDeviceSecret"),
            ("add_device_group", "device-group", "addDeviceGroup"),
            ("update_device_group", "device-group", "updateDeviceGroup"),
            ("delete_device_group", "device-group", "deleteDeviceGroup"),
            ("create_or_delete_device_in_group", "device-group", "manageDevicesInGroup"),
            ("update_device_shadow_desired_data", "deviceShadow", "updateDeviceShadow"),
            ("create_device_policy", "device-policies", "createDevicePolicy"),
            ("create_token", "tokens", "createToken"),
        ] {
            let operation = operation(id);
            assert!(is_recorded(operation), "{id}");
            assert_eq!((kind_of(operation), &*event_of(operation)), (kind, event), "{id}");
        }
        for (id, _) in EVENTS {
            operation(id);
        }
    }

    #[test]
    fn ids_of_answers_are_read_and_secrets_are_not() {
        let read =
            |id: &str, body: &'static str| Answer::read(&Reply::of_type("application/json", body), operation(id)).id;
        assert_eq!(read("add_device", r#"{"device_id":"d","auth_info":{"secret":"s"}}"#).as_deref(), Some("d"));
        assert_eq!(read("keystone_create_user", r#"{"user":{"name":"n","id":"u"}}"#).as_deref(), Some("u"));
        let key = r#"{"credential":{"access":"AK","secret":"SK"}}"#;
        assert_eq!(read("create_permanent_access_key", key).as_deref(), Some("AK"));
        assert_eq!(read("create_token", r#"{"token":{"user":{"id":"u"}}}"#), None);
        assert_eq!(read("add_device", "not JSON"), None);
    }

    #[test]
    fn reads_leave_no_record() {
        for id in [
            "show_device",
            "search_devices",
            "list_device_groups_by_device",
            "count_async_history_commands",
            "list_resources_by_tags",
            "show_targets_in_device_policy",
            "list_device_by_device_certificate",
            "metrics",
        ] {
            assert!(!is_recorded(operation(id)), "{id}");
        }
    }

    #[test]
    fn ids_of_what_was_made_are_found_in_the_answer() {
        for (id, field) in [
            ("add_device", Some("device_id")),
            ("add_application", Some("app_id")),
            ("create_device_policy", Some("policy_id")),
            ("add_queue", Some("queue_id")),
            ("add_device_group", Some("group_id")),
            ("tag_device", None),
        ] {
            assert_eq!(id_field(operation(id)), field, "{id}");
        }
    }
}
