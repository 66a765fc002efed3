//! Data forwarding: which events there are, and the rules that say where they go (`iotda-v5-api.md` §2, §3; 002 §5.2).

use crate::ids::{AppId, RecordNo};
use crate::registry::Sealed;
use crate::time::Timestamp;

/// What events are about; `resource` on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// The registry entry of a device.
    Device,
    /// Properties that a device reports.
    Property,
    /// Messages of devices.
    Message,
    /// Messages to devices.
    MessageStatus,
    /// Whether devices are connected.
    Status,
    /// Asynchronous commands.
    CommandStatus,
    /// Batch tasks.
    BatchTask,
    /// Products.
    Product,
    /// The run log (002 §6.5). The SDK does not list it; the name is ours.
    RunLog,
    /// Alarms. The SDK does not list them; the name is ours.
    Alarm,
}

/// What happened; `event` on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Trigger {
    /// It was made.
    Create,
    /// It changed.
    Update,
    /// It went.
    Delete,
    /// A device said it.
    Report,
}

/// A source and what happened to it: what a forwarding rule subscribes to. A place in a table of all there are.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Subject(u8);

struct Row {
    source: Source,
    trigger: Trigger,
    resource: &'static str,
    event: &'static str,
}

macro_rules! subjects {
    ($($place:literal $name:ident = $source:ident $trigger:ident, $resource:literal : $event:literal;)+) => {
        const TABLE: &[Row] = &[$(
            Row { source: Source::$source, trigger: Trigger::$trigger, resource: $resource, event: $event }
        ),+];

        impl Subject {
            $(
                #[doc = concat!("`", $resource, "` : `", $event, "`")]
                pub const $name: Self = Self($place);
            )+
            /// All there are.
            pub const ALL: &[Self] = &[$(Self($place)),+];
        }
    };
}

subjects! {
    0 DEVICE_CREATE = Device Create, "device" : "create";
    1 DEVICE_UPDATE = Device Update, "device" : "update";
    2 DEVICE_DELETE = Device Delete, "device" : "delete";
    3 PROPERTY_REPORT = Property Report, "device.property" : "report";
    4 MESSAGE_REPORT = Message Report, "device.message" : "report";
    5 MESSAGE_STATUS = MessageStatus Update, "device.message.status" : "update";
    6 STATUS_UPDATE = Status Update, "device.status" : "update";
    7 COMMAND_STATUS = CommandStatus Update, "device.command.status" : "update";
    8 BATCH_TASK = BatchTask Update, "batchtask" : "update";
    9 PRODUCT_CREATE = Product Create, "product" : "create";
    10 PRODUCT_UPDATE = Product Update, "product" : "update";
    11 PRODUCT_DELETE = Product Delete, "product" : "delete";
    12 RUN_LOG = RunLog Report, "runlog" : "report";
    13 ALARM_REPORT = Alarm Report, "device.alarm" : "report";
    14 ALARM_UPDATE = Alarm Update, "device.alarm" : "update";
}

impl Subject {
    /// The subject of these two words.
    #[must_use]
    pub fn parse(resource: &str, event: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|s| s.resource() == resource && s.event() == event)
    }

    fn row(self) -> &'static Row {
        &TABLE[self.index()]
    }

    /// Its place in [`Subject::ALL`].
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    /// What it is about.
    #[must_use]
    pub fn source(self) -> Source {
        self.row().source
    }

    /// What happened.
    #[must_use]
    pub fn trigger(self) -> Trigger {
        self.row().trigger
    }

    /// `resource` on the wire.
    #[must_use]
    pub fn resource(self) -> &'static str {
        self.row().resource
    }

    /// `event` on the wire.
    #[must_use]
    pub fn event(self) -> &'static str {
        self.row().event
    }
}

impl std::fmt::Debug for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.resource(), self.event())
    }
}

/// Whose events a rule takes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RuleScope {
    /// Those of every resource space.
    Global,
    /// Those of one.
    App(AppId),
}

impl RuleScope {
    /// The word of the API.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Global => "GLOBAL",
            Self::App(_) => "APP",
        }
    }

    /// The space of a rule that has one.
    #[must_use]
    pub fn app(&self) -> Option<&AppId> {
        match self {
            Self::Global => None,
            Self::App(app) => Some(app),
        }
    }
}

/// A forwarding rule: which events, and what of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoutingRule {
    /// Paging position.
    pub no: RecordNo,
    /// The id.
    pub id: String,
    /// A name for people; may be empty.
    pub name: String,
    /// For people.
    pub description: Option<String>,
    /// What it takes.
    pub subject: Subject,
    /// Whose events.
    pub scope: RuleScope,
    /// The SELECT clause without the keyword; `*` when nothing was said.
    pub select: String,
    /// The WHERE clause without the keyword.
    pub filter: Option<String>,
    /// Whether it takes events now. A new one does not.
    pub active: bool,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Where the events of a rule go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoutingAction {
    /// Paging position.
    pub no: RecordNo,
    /// The id.
    pub id: String,
    /// Id of its rule.
    pub rule_id: String,
    /// Whose events its rule takes.
    pub scope: RuleScope,
    /// The channel's word, like `HTTP_FORWARDING`.
    pub channel: String,
    /// Its configuration with credentials: the JSON of `causeway-channels`, sealed.
    pub config: Sealed,
    /// Where its deliveries wait: a target of its own, or that of the AMQP queue that it feeds.
    pub target: i64,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Which forwarding a flow control policy slows down.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum FlowScope {
    /// All of the instance together.
    User,
    /// All actions of one channel together, by the channel's word.
    Channel(String),
    /// All actions of one rule together, by its id.
    Rule(String),
    /// One action, by its id.
    Action(String),
}

impl FlowScope {
    /// The word of the API.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::User => "USER",
            Self::Channel(_) => "CHANNEL",
            Self::Rule(_) => "RULE",
            Self::Action(_) => "ACTION",
        }
    }

    /// `scope_value` of the API.
    #[must_use]
    pub fn value(&self) -> Option<&str> {
        match self {
            Self::User => None,
            Self::Channel(value) | Self::Rule(value) | Self::Action(value) => Some(value),
        }
    }
}

/// How fast deliveries leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowControlPolicy {
    /// Paging position.
    pub no: RecordNo,
    /// The id.
    pub id: String,
    /// For people.
    pub name: Option<String>,
    /// For people.
    pub description: Option<String>,
    /// What is slowed down.
    pub scope: FlowScope,
    /// Deliveries a second.
    pub limit: u32,
}

/// How much waits, and how long. The least of all policies counts for each target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BacklogPolicy {
    /// Paging position.
    pub no: RecordNo,
    /// The id.
    pub id: String,
    /// For people.
    pub name: Option<String>,
    /// For people.
    pub description: Option<String>,
    /// Bytes that wait for one target at most.
    pub size: u64,
    /// Seconds that a delivery waits at most.
    pub seconds: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_subject_is_found_by_its_words() {
        for (place, subject) in Subject::ALL.iter().enumerate() {
            assert_eq!(subject.index(), place);
            assert_eq!(Subject::parse(subject.resource(), subject.event()), Some(*subject));
        }
        assert_eq!(Subject::parse("device", "report"), None);
    }
}
