//! What answers say of linkage rules.

use causeway_model::linkage::{
    Action, AlarmAction, CommandAction, Condition, Days, LinkageRule, NotifyAction, PropertyFilter, Test, TimeRange,
    Whom,
};
use causeway_model::{Error, Result, Timestamp};
use serde_json::value::RawValue;

use crate::shape::{Compact, reply};

reply! {
    /// A device linkage rule.
    pub(crate) struct DeviceRule {
        /// The id.
        rule_id: String,
        /// Display name.
        name: String,
        /// Free text.
        description: Option<String>,
        /// When it acts.
        condition_group: ConditionGroup,
        /// What it does.
        actions: Vec<RuleAction>,
        /// DEVICE_LINKAGE.
        rule_type: &'static str,
        /// active or inactive.
        status: &'static str,
        /// Resource space.
        app_id: String,
        /// Always empty: rules are not brought to edge nodes.
        edge_node_ids: Vec<String>,
        /// When it was changed last.
        last_update_time: Compact,
        /// Ours: what was reported before the rule was made counts too.
        immediate_trigger: bool,
    }
}

reply! {
    /// A page of device linkage rules.
    pub(crate) struct DeviceRules {
        /// The rules, newest first.
        rules: Vec<DeviceRule>,
        /// All records that match, on any page.
        count: u64,
        /// Send it as `marker` to get the next page.
        marker: String,
    }
}

reply! {
    /// Whether a rule is looked at.
    pub(crate) struct RuleStatusReply {
        /// active or inactive.
        status: &'static str,
    }
}

reply! {
    /// Conditions and how they combine.
    pub(crate) struct ConditionGroup {
        /// The conditions.
        conditions: Vec<RuleCondition>,
        /// and: all must hold; or: one is enough.
        logic: &'static str,
        /// When the rule is looked at.
        time_range: Option<RuleTimeRange>,
    }
}

reply! {
    /// A time of day, in the time zone `linkage.time_zone`.
    pub(crate) struct RuleTimeRange {
        /// HH:mm, its first minute.
        start_time: String,
        /// HH:mm, the minute after it.
        end_time: String,
        /// Days it begins on; 1 is Sunday.
        days_of_week: String,
    }
}

reply! {
    /// A condition.
    pub(crate) struct RuleCondition {
        /// Its kind.
        r#type: &'static str,
        /// For DEVICE_DATA.
        device_property_condition: Option<DeviceDataCondition>,
        /// For SIMPLE_TIMER.
        simple_timer_condition: Option<SimpleTimerType>,
        /// For DAILY_TIMER.
        daily_timer_condition: Option<DailyTimerType>,
        /// For DEVICE_LINKAGE_STATUS.
        device_linkage_status_condition: Option<DeviceLinkageStatusCondition>,
    }
}

reply! {
    /// Reported properties.
    pub(crate) struct DeviceDataCondition {
        /// The device.
        device_id: Option<String>,
        /// The product, when no device is named.
        product_id: Option<String>,
        /// What the values must be.
        filters: Vec<RulePropertyFilter>,
    }
}

reply! {
    /// What a reported value must be.
    pub(crate) struct RulePropertyFilter {
        /// service_id/property
        path: String,
        /// The comparison.
        operator: &'static str,
        /// What it is compared with.
        value: Option<String>,
        /// What it is compared with by in.
        in_values: Option<Vec<String>>,
        /// When it acts.
        strategy: RuleStrategy,
    }
}

reply! {
    /// When a condition acts that holds.
    pub(crate) struct RuleStrategy {
        /// pulse or reverse.
        trigger: &'static str,
        /// Values that were measured more seconds ago do not count.
        event_valid_time: Option<u64>,
    }
}

reply! {
    /// A time, and again after each interval.
    pub(crate) struct SimpleTimerType {
        /// The first time, UTC.
        start_time: Compact,
        /// Seconds from one time to the next.
        repeat_interval: u64,
        /// How many times.
        repeat_count: u64,
    }
}

reply! {
    /// A time of day, in the time zone `linkage.time_zone`.
    pub(crate) struct DailyTimerType {
        /// HH:MM
        time: String,
        /// Days; 1 is Sunday.
        days_of_week: String,
    }
}

reply! {
    /// The status of a device.
    pub(crate) struct DeviceLinkageStatusCondition {
        /// The device.
        device_id: Option<String>,
        /// The product, when no device is named.
        product_id: Option<String>,
        /// Which statuses count.
        status_list: Vec<&'static str>,
        /// Minutes that it must have lasted.
        duration: u64,
    }
}

reply! {
    /// An action.
    pub(crate) struct RuleAction {
        /// Its kind.
        r#type: &'static str,
        /// For DEVICE_CMD.
        device_command: Option<ActionDeviceCommand>,
        /// For SMN_FORWARDING.
        smn_forwarding: Option<ActionSmnForwarding>,
        /// For DEVICE_ALARM.
        device_alarm: Option<ActionDeviceAlarm>,
    }
}

reply! {
    /// A command to send.
    pub(crate) struct ActionDeviceCommand {
        /// To whom; to the device that made the rule act when absent.
        device_id: Option<String>,
        /// The command.
        cmd: Cmd,
    }
}

reply! {
    /// A command.
    pub(crate) struct Cmd {
        /// The command of the service.
        command_name: String,
        /// Its parameters.
        command_body: Box<RawValue>,
        /// The service of the product model.
        service_id: String,
        /// Seconds that it is kept for a device that is not online.
        buffer_timeout: u64,
        /// Seconds that the answer is waited for.
        response_timeout: u64,
        /// ACTIVE or PASSIVE.
        mode: &'static str,
    }
}

reply! {
    /// A notification to the subscribers of a topic.
    pub(crate) struct ActionSmnForwarding {
        /// As it was sent.
        region_name: String,
        /// As it was sent.
        project_id: String,
        /// As it was sent.
        theme_name: String,
        /// The topic.
        topic_urn: String,
        /// The text.
        message_content: Option<String>,
        /// As it was sent.
        message_template_name: Option<String>,
        /// The subject.
        message_title: String,
    }
}

reply! {
    /// An alarm to raise or to clear.
    pub(crate) struct ActionDeviceAlarm {
        /// Its name.
        name: String,
        /// fault or recovery.
        alarm_status: &'static str,
        /// How bad it is.
        severity: String,
        /// device or app.
        dimension: Option<String>,
        /// Free text.
        description: Option<String>,
    }
}

/// The word for a rule that is looked at, or is not.
pub(super) fn status(is_active: bool) -> &'static str {
    if is_active { "active" } else { "inactive" }
}

impl DeviceRule {
    pub(super) fn of(rule: LinkageRule) -> Result<Self> {
        let definition = rule.definition;
        Ok(Self {
            rule_id: rule.id,
            name: rule.name,
            description: rule.description,
            condition_group: ConditionGroup {
                conditions: definition.conditions.into_iter().map(RuleCondition::from).collect(),
                logic: definition.logic.as_str(),
                time_range: definition.time_range.map(RuleTimeRange::from),
            },
            actions: definition.actions.into_iter().map(RuleAction::of).collect::<Result<_>>()?,
            rule_type: "DEVICE_LINKAGE",
            status: status(rule.is_active),
            app_id: rule.app_id.to_string(),
            edge_node_ids: Vec::new(),
            last_update_time: Compact(rule.updated_at),
            immediate_trigger: definition.immediate_trigger,
        })
    }
}

impl From<TimeRange> for RuleTimeRange {
    fn from(range: TimeRange) -> Self {
        Self {
            start_time: range.start.to_string(),
            end_time: range.end.to_string(),
            days_of_week: Days::text(range.days),
        }
    }
}

/// `device_id` and `product_id`.
fn ids(whom: Whom) -> (Option<String>, Option<String>) {
    match whom {
        Whom::Device(id) => (Some(id.to_string()), None),
        Whom::Product(id) => (None, Some(id.to_string())),
    }
}

impl From<Condition> for RuleCondition {
    fn from(condition: Condition) -> Self {
        let empty = Self {
            r#type: "",
            device_property_condition: None,
            simple_timer_condition: None,
            daily_timer_condition: None,
            device_linkage_status_condition: None,
        };
        match condition {
            Condition::Data { whom, filters } => {
                let (device_id, product_id) = ids(whom);
                let filters = filters.into_iter().map(RulePropertyFilter::from).collect();
                let data = DeviceDataCondition { device_id, product_id, filters };
                Self { r#type: "DEVICE_DATA", device_property_condition: Some(data), ..empty }
            }
            Condition::Status { whom, online, offline, minutes } => {
                let (device_id, product_id) = ids(whom);
                let named = [("ONLINE", online), ("OFFLINE", offline)];
                let status = DeviceLinkageStatusCondition {
                    device_id,
                    product_id,
                    status_list: named.into_iter().filter(|(_, counts)| *counts).map(|(word, _)| word).collect(),
                    duration: u64::from(minutes),
                };
                Self { r#type: "DEVICE_LINKAGE_STATUS", device_linkage_status_condition: Some(status), ..empty }
            }
            Condition::SimpleTimer(timer) => {
                let timer = SimpleTimerType {
                    start_time: Compact(Timestamp(timer.start)),
                    repeat_interval: u64::from(timer.interval_s),
                    repeat_count: u64::from(timer.count),
                };
                Self { r#type: "SIMPLE_TIMER", simple_timer_condition: Some(timer), ..empty }
            }
            Condition::DailyTimer(timer) => {
                let timer = DailyTimerType { time: timer.time.to_string(), days_of_week: timer.days.text() };
                Self { r#type: "DAILY_TIMER", daily_timer_condition: Some(timer), ..empty }
            }
        }
    }
}

impl From<PropertyFilter> for RulePropertyFilter {
    fn from(filter: PropertyFilter) -> Self {
        let operator = filter.test.operator();
        let (value, in_values) = match filter.test {
            Test::Greater(v) | Test::Less(v) | Test::AtLeast(v) | Test::AtMost(v) | Test::Equal(v) => (Some(v), None),
            Test::Between(from, below) => (Some(format!("{from},{below}")), None),
            Test::OneOf(values) => (None, Some(values)),
        };
        Self {
            path: format!("{}/{}", filter.service_id, filter.property),
            operator,
            value,
            in_values,
            strategy: RuleStrategy {
                trigger: if filter.on_change { "reverse" } else { "pulse" },
                event_valid_time: filter.valid_s.map(u64::from),
            },
        }
    }
}

impl RuleAction {
    fn of(action: Action) -> Result<Self> {
        let empty = Self { r#type: "", device_command: None, smn_forwarding: None, device_alarm: None };
        Ok(match action {
            Action::Command(command) => {
                Self { r#type: "DEVICE_CMD", device_command: Some(ActionDeviceCommand::of(command)?), ..empty }
            }
            Action::Notify(notify) => Self { r#type: "SMN_FORWARDING", smn_forwarding: Some(notify.into()), ..empty },
            Action::Alarm(alarm) => Self { r#type: "DEVICE_ALARM", device_alarm: Some(alarm.into()), ..empty },
        })
    }
}

impl ActionDeviceCommand {
    fn of(command: CommandAction) -> Result<Self> {
        Ok(Self {
            device_id: command.device_id,
            cmd: Cmd {
                command_name: command.command_name,
                command_body: RawValue::from_string(command.command_body).map_err(Error::internal)?,
                service_id: command.service_id,
                buffer_timeout: u64::from(command.buffer_s),
                response_timeout: u64::from(command.response_s),
                mode: if command.passive { "PASSIVE" } else { "ACTIVE" },
            },
        })
    }
}

impl From<NotifyAction> for ActionSmnForwarding {
    fn from(notify: NotifyAction) -> Self {
        Self {
            region_name: notify.region_name,
            project_id: notify.project_id,
            theme_name: notify.theme_name,
            topic_urn: notify.topic_urn,
            message_content: notify.content,
            message_template_name: notify.template_name,
            message_title: notify.title,
        }
    }
}

impl From<AlarmAction> for ActionDeviceAlarm {
    fn from(alarm: AlarmAction) -> Self {
        Self {
            name: alarm.name,
            alarm_status: if alarm.is_fault { "fault" } else { "recovery" },
            severity: alarm.severity,
            dimension: alarm.dimension,
            description: alarm.description,
        }
    }
}
