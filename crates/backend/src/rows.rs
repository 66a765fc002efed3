//! How values of the model stand in columns: the same words and texts in both stores, so that a row can be read beside
//! its twin in the other one.
//!
//! A word that cannot be read back means that the data was changed by hand or by a newer program: an internal error.

use causeway_model::alarm::{AlarmStatus, Dimension, Severity};
use causeway_model::audit::AuditLevel;
use causeway_model::batch::{ExportStatus, TargetStatus, TaskStatus, TaskType};
use causeway_model::file::{FileSource, FileState, ObjectKey, TransferResult};
use causeway_model::linkage::Definition;
use causeway_model::message::{Encoding, MessageStatus, MessageTopic, PayloadFormat};
use causeway_model::ota::PackageType;
use causeway_model::policy::{Statement, TargetKind};
use causeway_model::product::ServiceCapability;
use causeway_model::registry::{AuthType, Sealed, TopicRight};
use causeway_model::status::DeviceStatus;
use causeway_model::{AppId, Code, Error, Result, Spaces, Timestamp};
use causeway_platform::function::FunctionBody;
use causeway_platform::notify::Protocol;
use causeway_platform::session::StoredSubscription;

fn unreadable(what: &str, word: &str) -> Error {
    Error::internal(format_args!("the store holds '{word}' where {what} is expected"))
}

/// The product model as JSON text.
pub(crate) fn services_text(services: &[ServiceCapability]) -> Result<String> {
    serde_json::to_string(services).map_err(|e| Error::internal(format_args!("cannot write a product model: {e}")))
}

/// Reads what [`services_text`] wrote.
pub(crate) fn services(text: &str) -> Result<Vec<ServiceCapability>> {
    serde_json::from_str(text).map_err(|e| Error::internal(format_args!("cannot read a stored product model: {e}")))
}

/// Subscriptions as JSON text: `[["filter",options,identifier or null],…]`.
pub(crate) fn subscriptions_text(subscriptions: &[StoredSubscription]) -> Result<String> {
    let rows: Vec<_> = subscriptions.iter().map(|s| (&s.filter, s.options, s.identifier)).collect();
    serde_json::to_string(&rows).map_err(|e| Error::internal(format_args!("cannot write subscriptions: {e}")))
}

/// Reads what [`subscriptions_text`] wrote.
pub(crate) fn subscriptions(text: &str) -> Result<Vec<StoredSubscription>> {
    let rows: Vec<(String, u8, Option<u32>)> = serde_json::from_str(text)
        .map_err(|e| Error::internal(format_args!("cannot read stored subscriptions: {e}")))?;
    Ok(rows
        .into_iter()
        .map(|(filter, options, identifier)| StoredSubscription { filter, options, identifier })
        .collect())
}

/// Reads [`DeviceStatus::as_str`] back.
pub(crate) fn device_status(word: &str) -> Result<DeviceStatus> {
    DeviceStatus::parse(word).ok_or_else(|| unreadable("a device status", word))
}

/// Reads [`MessageStatus::as_str`] back.
pub(crate) fn message_status(word: &str) -> Result<MessageStatus> {
    MessageStatus::parse(word).ok_or_else(|| unreadable("a message status", word))
}

/// Reads [`TopicRight::as_str`] back.
pub(crate) fn topic_right(word: &str) -> Result<TopicRight> {
    TopicRight::parse(word).ok_or_else(|| unreadable("a right on a topic", word))
}

/// Reads [`AuthType::as_str`] back.
pub(crate) fn auth_type(word: &str) -> Result<AuthType> {
    [AuthType::Secret, AuthType::Certificates]
        .into_iter()
        .find(|a| a.as_str() == word)
        .ok_or_else(|| unreadable("a kind of authentication", word))
}

/// Columns `topic_kind` (`system`, `custom`, `full`) and `topic` (null for `system`).
pub(crate) fn topic_columns(topic: &MessageTopic) -> (&'static str, Option<&str>) {
    match topic {
        MessageTopic::System => ("system", None),
        MessageTopic::Custom(suffix) => ("custom", Some(suffix)),
        MessageTopic::Full(topic) => ("full", Some(topic)),
    }
}

/// Reads what [`topic_columns`] wrote.
pub(crate) fn message_topic(kind: &str, topic: Option<String>) -> Result<MessageTopic> {
    match (kind, topic) {
        ("system", _) => Ok(MessageTopic::System),
        ("custom", Some(suffix)) => Ok(MessageTopic::Custom(suffix)),
        ("full", Some(topic)) => Ok(MessageTopic::Full(topic)),
        _ => Err(unreadable("a kind of topic", kind)),
    }
}

/// Column `encoding`: `none` or `base64`.
pub(crate) fn encoding_word(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::None => "none",
        Encoding::Base64 => "base64",
    }
}

/// Reads what [`encoding_word`] wrote.
pub(crate) fn encoding(word: &str) -> Result<Encoding> {
    match word {
        "none" => Ok(Encoding::None),
        "base64" => Ok(Encoding::Base64),
        _ => Err(unreadable("an encoding", word)),
    }
}

/// Reads [`FileState::as_str`] back.
pub(crate) fn file_state(word: &str) -> Result<FileState> {
    FileState::parse(word).ok_or_else(|| unreadable("a state of a file", word))
}

/// Reads [`FileSource::as_str`] back.
pub(crate) fn file_source(word: &str) -> Result<FileSource> {
    FileSource::parse(word).ok_or_else(|| unreadable("a source of a file", word))
}

/// Reads a key that was stored.
pub(crate) fn object_key(text: &str) -> Result<ObjectKey> {
    ObjectKey::parse(text).ok_or_else(|| unreadable("a key of an object", text))
}

/// A device's word on a transfer as JSON text: `[result_code, status_code, description, at]`.
pub(crate) fn transfer_text(result: &TransferResult) -> Result<String> {
    let row = (result.result_code, result.status_code, &result.description, result.at.0);
    serde_json::to_string(&row).map_err(|e| Error::internal(format_args!("cannot write a transfer: {e}")))
}

/// Reads what [`transfer_text`] wrote.
pub(crate) fn transfer(text: Option<&str>) -> Result<Option<TransferResult>> {
    let Some(text) = text else { return Ok(None) };
    let (result_code, status_code, description, at) =
        serde_json::from_str(text).map_err(|e| Error::internal(format_args!("cannot read a stored transfer: {e}")))?;
    Ok(Some(TransferResult { result_code, status_code, description, at: Timestamp(at) }))
}

/// A size as a column takes it.
pub(crate) fn size_column(size: Option<u64>) -> Option<i64> {
    size.map(|n| i64::try_from(n).unwrap_or(i64::MAX))
}

/// Reads [`PackageType::as_str`] back.
pub(crate) fn package_type(word: &str) -> Result<PackageType> {
    PackageType::parse(word).ok_or_else(|| unreadable("a type of an OTA package", word))
}

/// Source versions of a package as a JSON array.
pub(crate) fn versions_text(versions: &[String]) -> Result<String> {
    serde_json::to_string(versions).map_err(|e| Error::internal(format_args!("cannot write versions: {e}")))
}

/// Reads what [`versions_text`] wrote.
pub(crate) fn versions(text: &str) -> Result<Vec<String>> {
    serde_json::from_str(text).map_err(|e| Error::internal(format_args!("cannot read stored versions: {e}")))
}

pub(crate) fn ota_module_exists(name: &str) -> Error {
    Error::new(Code::OtaModuleExists, format!("The product has an OTA module '{name}' already."))
}

pub(crate) fn too_many_ota_modules(limit: u32) -> Error {
    Error::new(
        Code::TooManyOtaModules,
        format!("Operation not allowed. The product has {limit} OTA modules already, which is the limit."),
    )
}

pub(crate) fn ota_module_in_use() -> Error {
    Error::new(Code::OtaModuleInUse, "Operation not allowed. The OTA module has packages. Delete them first.")
}

pub(crate) fn no_such_ota_module(name: &str) -> Error {
    Error::new(Code::OtaModuleNotFound, format!("The product has no OTA module '{name}'."))
}

pub(crate) fn no_such_ota_object() -> Error {
    Error::new(Code::OtaObjectNotFound, "Invalid input. The object of the OTA package is no stored file.")
}

pub(crate) fn ota_package_exists(version: &str) -> Error {
    Error::new(
        Code::OtaPackageExists,
        format!("The product has an OTA package of this type, module and version, '{version}', already."),
    )
}

/// Column `format`: `standard` or `raw`.
pub(crate) fn format_word(format: PayloadFormat) -> &'static str {
    match format {
        PayloadFormat::Standard => "standard",
        PayloadFormat::Raw => "raw",
    }
}

/// Reads what [`format_word`] wrote.
pub(crate) fn payload_format(word: &str) -> Result<PayloadFormat> {
    match word {
        "standard" => Ok(PayloadFormat::Standard),
        "raw" => Ok(PayloadFormat::Raw),
        _ => Err(unreadable("a form of payload", word)),
    }
}

/// Reads [`Severity::as_str`] back.
pub(crate) fn severity(word: &str) -> Result<Severity> {
    Severity::parse(word).ok_or_else(|| unreadable("a severity of an alarm", word))
}

/// Reads [`Dimension::as_str`] back.
pub(crate) fn dimension(word: &str) -> Result<Dimension> {
    Dimension::parse(word).ok_or_else(|| unreadable("a dimension of an alarm", word))
}

/// Reads [`AlarmStatus::as_str`] back.
pub(crate) fn alarm_status(word: &str) -> Result<AlarmStatus> {
    AlarmStatus::parse(word).ok_or_else(|| unreadable("a status of an alarm", word))
}

/// Reads [`Protocol::as_str`] back.
pub(crate) fn protocol(word: &str) -> Result<Protocol> {
    Protocol::parse(word).ok_or_else(|| unreadable("a protocol of a subscription", word))
}

pub(crate) fn notification_topic_exists(name: &str) -> Error {
    Error::new(Code::NotificationTopicExists, format!("A notification topic with the name '{name}' exists."))
}

pub(crate) fn too_many_notification_topics(limit: u32) -> Error {
    Error::new(
        Code::TooManyNotificationTopics,
        format!("The number of notification topics has reached its limit, {limit}. Delete one first."),
    )
}

pub(crate) fn notification_topic_gone() -> Error {
    Error::new(Code::NotificationTopicNotFound, "The notification topic does not exist.")
}

pub(crate) fn subscription_exists() -> Error {
    Error::new(Code::SubscriptionExists, "The topic has a subscription of this protocol and endpoint.")
}

pub(crate) fn too_many_subscriptions(limit: u32) -> Error {
    Error::new(
        Code::TooManySubscriptions,
        format!("The topic has {limit} subscriptions already, which is the limit. Delete one first."),
    )
}

/// Reads [`AuditLevel::as_str`] back.
pub(crate) fn audit_level(word: &str) -> Result<AuditLevel> {
    AuditLevel::parse(word).ok_or_else(|| unreadable("a level", word))
}

/// What the policy that a space is born with says.
pub(crate) const DEFAULT_STATEMENTS: &str =
    r#"[{"effect":"ALLOW","actions":["iotda:devices:publish","iotda:devices:subscribe"],"resources":["topic:*"]}]"#;

/// The statements of a policy as JSON text.
pub(crate) fn statements_text(statements: &[Statement]) -> Result<String> {
    serde_json::to_string(statements).map_err(|e| Error::internal(format_args!("cannot write a policy: {e}")))
}

/// Reads what [`statements_text`] wrote.
pub(crate) fn statements(text: &str) -> Result<Vec<Statement>> {
    serde_json::from_str(text).map_err(|e| Error::internal(format_args!("cannot read a stored policy: {e}")))
}

/// Reads [`TargetKind::as_str`] back.
pub(crate) fn target_kind(word: &str) -> Result<TargetKind> {
    TargetKind::parse(word).ok_or_else(|| unreadable("a kind of target", word))
}

pub(crate) fn too_many_policies(limit: u32) -> Error {
    Error::new(
        Code::TooManyPolicies,
        format!("The number of device policies has reached its limit, {limit}. Delete one first."),
    )
}

pub(crate) fn policy_target_limit(limit: u32) -> Error {
    Error::new(Code::PolicyTargetLimit, format!("{limit} policies are bound to it already. Unbind one first."))
}

pub(crate) fn too_many_queues(limit: u32) -> Error {
    Error::new(
        Code::TooManyQueues,
        format!("The number of AMQP queues has reached its limit, {limit}. Delete one first."),
    )
}

pub(crate) fn queue_in_use(name: &str) -> Error {
    Error::new(
        Code::QueueInUse,
        format!(
            "Operation not allowed. Forwarding rules put events into the queue '{name}'. Delete their actions first."
        ),
    )
}

pub(crate) fn queue_exists(name: &str) -> Error {
    Error::new(Code::QueueExists, format!("An AMQP queue with the name '{name}' exists."))
}

/// Reads [`TaskType::as_str`] back.
pub(crate) fn task_type(word: &str) -> Result<TaskType> {
    TaskType::parse(word).ok_or_else(|| unreadable("a type of batch task", word))
}

/// Reads [`TaskStatus::as_str`] back.
pub(crate) fn task_status(word: &str) -> Result<TaskStatus> {
    TaskStatus::parse(word).ok_or_else(|| unreadable("a status of a batch task", word))
}

/// Reads [`TargetStatus::as_str`] back.
pub(crate) fn target_status(word: &str) -> Result<TargetStatus> {
    TargetStatus::parse(word).ok_or_else(|| unreadable("a status of a target", word))
}

/// Reads [`ExportStatus::as_str`] back.
pub(crate) fn export_status(word: &str) -> Result<ExportStatus> {
    ExportStatus::parse(word).ok_or_else(|| unreadable("a status of an export", word))
}

/// Spaces as a JSON array of their ids; nothing for all.
pub(crate) fn spaces_text(spaces: &Spaces) -> Result<Option<String>> {
    let write =
        |ids| serde_json::to_string(&ids).map_err(|e| Error::internal(format_args!("cannot write spaces: {e}")));
    spaces.ids().map(write).transpose()
}

/// Reads what [`spaces_text`] wrote.
pub(crate) fn spaces(text: Option<&str>) -> Result<Spaces> {
    let Some(text) = text else { return Ok(Spaces::All) };
    let ids: Vec<String> =
        serde_json::from_str(text).map_err(|e| Error::internal(format_args!("cannot read stored spaces: {e}")))?;
    Ok(Spaces::Only(ids.into_iter().map(AppId::trusted).collect()))
}

/// A count of a row.
pub(crate) fn count(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}

/// A count of a row that is small.
pub(crate) fn small(n: i64) -> u32 {
    u32::try_from(n).unwrap_or(0)
}

/// Refuses one function more than `limit`.
pub(crate) fn too_many_functions(limit: u32) -> Error {
    Error::new(Code::TooManyFunctions, format!("There are {limit} functions already, which is the limit."))
}

/// Refuses a name that is taken.
pub(crate) fn function_exists(name: &str) -> Error {
    Error::new(Code::FunctionExists, format!("A function with the name '{name}' exists already."))
}

/// The columns of a function's body: kind, source, url, token.
pub(crate) type BodyColumns<'a> = (&'static str, Option<&'a str>, Option<&'a str>, Option<&'a [u8]>);

/// A function's body as it stands in columns.
pub(crate) fn function_columns(body: &FunctionBody) -> BodyColumns<'_> {
    match body {
        FunctionBody::JavaScript { source } => (body.kind(), Some(source), None, None),
        FunctionBody::Http { url, token } => (body.kind(), None, Some(url), token.as_ref().map(|t| &*t.0)),
    }
}

/// Reads what [`function_columns`] gave.
pub(crate) fn function_body(
    kind: &str,
    source: Option<String>,
    url: Option<String>,
    token: Option<Vec<u8>>,
) -> Result<FunctionBody> {
    match (kind, source, url) {
        ("javascript", Some(source), None) => Ok(FunctionBody::JavaScript { source }),
        ("http", None, Some(url)) => Ok(FunctionBody::Http { url, token: token.map(|t| Sealed(t.into())) }),
        _ => Err(unreadable("a function", kind)),
    }
}

pub(crate) fn too_many_linkage_rules(limit: u32) -> Error {
    Error::new(
        Code::TooManyRoutingRules,
        format!("The number of rules has reached the upper limit, {limit}. Delete one first."),
    )
}

/// What a linkage rule says as JSON text.
pub(crate) fn definition_text(definition: &Definition) -> Result<String> {
    serde_json::to_string(definition).map_err(|e| Error::internal(format_args!("cannot write a linkage rule: {e}")))
}

/// Reads what [`definition_text`] wrote.
pub(crate) fn definition(text: &str) -> Result<Definition> {
    serde_json::from_str(text).map_err(|e| Error::internal(format_args!("cannot read a stored linkage rule: {e}")))
}
