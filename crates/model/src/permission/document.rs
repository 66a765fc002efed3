//! Reading and writing policy documents.

use std::fmt;

use serde_json::{Map, Value, json};

use super::glob::Glob;
use crate::ids::AppId;

/// Longest document, in characters as it is kept.
const MAX_CHARS: usize = 6144;
/// Most statements.
const MAX_STATEMENTS: usize = 8;
/// Most actions of a statement.
const MAX_ACTIONS: usize = 100;
/// Most resources of a statement.
const MAX_RESOURCES: usize = 10;
/// Faults that are told at once.
const MAX_FAULTS: usize = 20;

/// What is wrong with a document, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where: `Statement[0].Action[2]`; empty for the document itself.
    pub place: String,
    /// What: completes a sentence that begins with the place.
    pub text: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.place.is_empty() { "the policy" } else { &self.place };
        write!(f, "{place} {}", self.text)
    }
}

/// A policy whose document was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    pub(super) statements: Vec<Statement>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Statement {
    pub(super) allows: bool,
    pub(super) actions: Box<[Glob]>,
    /// `None`: not restricted.
    pub(super) resources: Option<Vec<Resource>>,
}

/// A resource in the vendor's form `<service>:<region>:<account>:<type>:<path>`. Regions mean nothing here: a platform
/// is in none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Resource {
    pub(super) kind: ResourceKind,
    /// `None`: every account.
    pub(super) account: Option<Box<str>>,
    text: Box<str>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ResourceKind {
    /// A space, or all of them.
    App(Option<AppId>),
    /// An instance, or all of them.
    Instance(Option<Box<str>>),
    /// `*`.
    Any,
    /// Something of another service.
    Foreign,
}

/// Gathers faults.
struct Faults(Vec<Fault>);

impl Faults {
    fn add(&mut self, place: impl fmt::Display, text: impl Into<String>) {
        if self.0.len() < MAX_FAULTS {
            self.0.push(Fault { place: place.to_string(), text: text.into() });
        }
    }
}

impl Policy {
    /// Reads a document.
    ///
    /// # Errors
    /// Every fault with its place, up to 20 of them.
    pub fn parse(text: &str) -> Result<Self, Vec<Fault>> {
        let mut faults = Faults(Vec::new());
        let value = match serde_json::from_str(text) {
            Ok(value) => value,
            Err(error) => {
                faults.add("", format!("is not JSON: {error}"));
                return Err(faults.0);
            }
        };
        let policy = Self::read(&value, &mut faults);
        if faults.0.is_empty() && policy.to_json().to_string().chars().count() > MAX_CHARS {
            faults.add("", format!("is longer than {MAX_CHARS} characters"));
        }
        if faults.0.is_empty() { Ok(policy) } else { Err(faults.0) }
    }

    fn read(value: &Value, faults: &mut Faults) -> Self {
        let mut statements = Vec::new();
        let Value::Object(fields) = value else {
            faults.add("", "must be a JSON object with 'Version' and 'Statement'");
            return Self { statements };
        };
        refuse_others(fields, &["Version", "Statement"], "", faults);
        match fields.get("Version").map(Value::as_str) {
            Some(Some("1.1")) => {}
            None => faults.add("Version", "is missing; it must be \"1.1\""),
            Some(_) => faults.add("Version", "must be \"1.1\""),
        }
        match fields.get("Statement") {
            Some(Value::Array(items)) if (1..=MAX_STATEMENTS).contains(&items.len()) => {
                for (at, item) in items.iter().enumerate() {
                    statements.extend(Statement::read(item, &format!("Statement[{at}]"), faults));
                }
            }
            None => faults.add("Statement", "is missing"),
            Some(_) => faults.add("Statement", format!("must be an array of 1 to {MAX_STATEMENTS} statements")),
        }
        Self { statements }
    }

    /// The document as it is kept and shown: what was understood, nothing else.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let statements: Vec<Value> = self.statements.iter().map(Statement::to_json).collect();
        json!({ "Version": "1.1", "Statement": statements })
    }
}

fn refuse_others(fields: &Map<String, Value>, known: &[&str], place: &str, faults: &mut Faults) {
    for name in fields.keys().filter(|n| !known.contains(&n.as_str())) {
        let shown: String = name.chars().take(40).collect();
        let dot = if place.is_empty() { "" } else { "." };
        faults.add(format_args!("{place}{dot}{shown}"), format!("is not known; known are {}", known.join(", ")));
    }
}

/// The texts of an array with their places in it; what is none is a fault.
fn texts<'a>(value: &'a Value, place: &str, most: usize, faults: &mut Faults) -> Vec<(usize, &'a str)> {
    match value {
        Value::Array(items) if (1..=most).contains(&items.len()) => items
            .iter()
            .enumerate()
            .filter_map(|(at, item)| {
                let text = item.as_str();
                if text.is_none() {
                    faults.add(format_args!("{place}[{at}]"), "must be a string");
                }
                text.map(|t| (at, t))
            })
            .collect(),
        _ => {
            faults.add(place, format!("must be an array of 1 to {most} strings"));
            Vec::new()
        }
    }
}

impl Statement {
    fn read(value: &Value, place: &str, faults: &mut Faults) -> Option<Self> {
        let Value::Object(fields) = value else {
            faults.add(place, "must be a JSON object with 'Effect' and 'Action'");
            return None;
        };
        refuse_others(fields, &["Effect", "Action", "Resource", "Condition"], place, faults);
        let allows = match fields.get("Effect").map(Value::as_str) {
            Some(Some("Allow")) => true,
            Some(Some("Deny")) => false,
            _ => {
                faults.add(format_args!("{place}.Effect"), "must be \"Allow\" or \"Deny\"");
                false
            }
        };
        let mut actions = Vec::new();
        let actions_place = format!("{place}.Action");
        match fields.get("Action") {
            None => faults.add(&actions_place, "is missing"),
            Some(value) => {
                for (at, text) in texts(value, &actions_place, MAX_ACTIONS, faults) {
                    match Glob::parse(text) {
                        Ok(glob) => actions.push(glob),
                        Err(why) => faults.add(format_args!("{actions_place}[{at}]"), why),
                    }
                }
            }
        }
        let resources = fields.get("Resource").filter(|r| !is_empty(r)).map(|value| {
            let resources_place = format!("{place}.Resource");
            let mut read = Vec::new();
            for (at, text) in texts(value, &resources_place, MAX_RESOURCES, faults) {
                match Resource::parse(text) {
                    Ok(resource) => read.push(resource),
                    Err(why) => faults.add(format_args!("{resources_place}[{at}]"), why),
                }
            }
            read
        });
        // To skip a condition would allow more than was meant.
        if fields.get("Condition").is_some_and(|c| !is_empty(c)) {
            faults.add(format_args!("{place}.Condition"), "is not supported here; leave it out");
        }
        Some(Self { allows, actions: actions.into(), resources })
    }

    fn to_json(&self) -> Value {
        let actions: Vec<&str> = self.actions.iter().map(Glob::as_str).collect();
        let mut value = json!({ "Effect": if self.allows { "Allow" } else { "Deny" }, "Action": actions });
        if let Some(resources) = &self.resources {
            value["Resource"] = resources.iter().map(|r| &*r.text).collect::<Vec<_>>().into();
        }
        value
    }
}

/// `null`, `[]` and `{}` are like an absent field: clients send them.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

impl Resource {
    const MAX_LEN: usize = 256;

    fn parse(text: &str) -> Result<Self, &'static str> {
        let form = "must be five parts, like 'iotda:*:*:app:<app_id>'";
        if text.len() > Self::MAX_LEN {
            return Err("is longer than 256 characters");
        }
        if text == "*" {
            return Ok(Self { kind: ResourceKind::Any, account: None, text: text.into() });
        }
        let parts: Vec<&str> = text.splitn(5, ':').collect();
        let [service, _, account, kind, path] = parts[..] else { return Err(form) };
        if parts.iter().any(|p| p.is_empty()) {
            return Err(form);
        }
        let account = (account != "*").then(|| account.into());
        let named = |path: &str| (path != "*").then(|| path.to_owned());
        let kind = match kind {
            _ if service != "*" && !service.eq_ignore_ascii_case("iotda") => ResourceKind::Foreign,
            "app" => ResourceKind::App(match named(path) {
                None => None,
                Some(id) => Some(AppId::parse(&id).map_err(|_| "must name one space or '*' in its last part")?),
            }),
            "instance" if path.contains('*') && path != "*" => {
                return Err("must name one instance or '*' in its last part");
            }
            "instance" => ResourceKind::Instance(named(path).map(Into::into)),
            "*" if path == "*" => ResourceKind::Any,
            _ => return Err("must be of the type 'app' or 'instance'"),
        };
        Ok(Self { kind, account, text: text.into() })
    }
}
