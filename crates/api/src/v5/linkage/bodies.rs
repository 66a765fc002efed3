//! What requests say of linkage rules, and how it is read.

use causeway_model::linkage::{
    Action, AlarmAction, CommandAction, Condition, DailyTimer, Days, Definition, Logic, MinuteOfDay, NotifyAction,
    PropertyFilter, SimpleTimer, Test, TimeRange, Whom,
};
use causeway_model::{AppId, Code, DeviceId, Error, ProductId, Result, Timestamp};
use causeway_platform::linkage::NewRule;
use causeway_rules::linkage::is_number;
use serde_json::value::RawValue;

use super::{RuleStates, RuleTypes};
use crate::bounded::{Any, Free, Id, Int, Text, Word, words};
use crate::decode;
use crate::shape::body;

words! {
    /// How conditions combine.
    Logics: "and" | "or";
    /// Kinds of conditions.
    ConditionTypes: "DEVICE_DATA" | "SIMPLE_TIMER" | "DAILY_TIMER" | "DEVICE_LINKAGE_STATUS";
    /// Kinds of actions.
    ActionTypes: "DEVICE_CMD" | "SMN_FORWARDING" | "DEVICE_ALARM";
    /// Comparisons.
    Operators: ">" | "<" | ">=" | "<=" | "=" | "in" | "between";
    /// When a condition acts that holds: with each report, or when the report before did not fulfil it.
    Triggers: "pulse" | "reverse";
    /// Statuses of devices.
    Statuses: "ONLINE" | "OFFLINE";
    /// How a command waits for a device that is not online.
    Modes: "ACTIVE" | "PASSIVE";
    /// Whether an alarm is raised or cleared.
    AlarmStatuses: "fault" | "recovery";
    /// How bad an alarm is.
    Severities: "warning" | "minor" | "major" | "critical";
    /// What an alarm is about; the whole instance when absent.
    Dimensions: "device" | "app";
}

/// Commands are kept for two days when nothing else is said (the SDK's text on `Cmd`).
const DEFAULT_BUFFER_S: i64 = 172_800;
/// Answers are waited for half an hour when nothing else is said (the SDK's text on `Cmd`).
const DEFAULT_RESPONSE_S: i64 = 1800;

body! {
    /// A device linkage rule.
    pub(crate) struct LinkageRule {
        /// Display name.
        name: Text<Free, 1, 128>,
        /// Free text.
        description: Option<Text<Free, 0, 256>>,
        /// When it acts.
        condition_group: ConditionGroupBody,
        /// What it does, in this order.
        actions: Vec<RuleActionBody>,
        /// DEVICE_LINKAGE; rules of the type DEVICE_SIDE are refused.
        rule_type: Word<RuleTypes>,
        /// Whether it is looked at; active when absent.
        status: Option<Word<RuleStates>>,
        /// Resource space; the default one when absent.
        app_id: Option<Id<AppId>>,
        /// Ours: what was reported before the rule was made counts too.
        immediate_trigger: Option<bool>,
    }
}

body! {
    /// Conditions and how they combine.
    pub(crate) struct ConditionGroupBody {
        /// The conditions.
        conditions: Option<Vec<RuleConditionBody>>,
        /// Whether all must hold (and) or one is enough (or); and when absent.
        logic: Option<Word<Logics>>,
        /// When the rule is looked at; always when absent.
        time_range: Option<TimeRangeBody>,
    }
}

body! {
    /// A time of day, in the time zone `linkage.time_zone`.
    pub(crate) struct TimeRangeBody {
        /// HH:mm, its first minute.
        start_time: Text<Any, 1, 16>,
        /// HH:mm, the minute after it; the start time for the whole day, an earlier one for the next day.
        end_time: Text<Any, 1, 16>,
        /// Days it begins on, like 2,3,4; 1 is Sunday. Every day when absent.
        days_of_week: Option<Text<Any, 0, 32>>,
    }
}

body! {
    /// A condition: the object that belongs to its type.
    pub(crate) struct RuleConditionBody {
        /// Its kind.
        r#type: Word<ConditionTypes>,
        /// For DEVICE_DATA.
        device_property_condition: Option<DeviceDataConditionBody>,
        /// For SIMPLE_TIMER.
        simple_timer_condition: Option<SimpleTimerBody>,
        /// For DAILY_TIMER.
        daily_timer_condition: Option<DailyTimerBody>,
        /// For DEVICE_LINKAGE_STATUS.
        device_linkage_status_condition: Option<StatusConditionBody>,
    }
}

body! {
    /// Reported properties of one device or of the devices of a product.
    pub(crate) struct DeviceDataConditionBody {
        /// The device.
        device_id: Option<Text<Any, 0, 128>>,
        /// The product, when no device is named.
        product_id: Option<Text<Any, 0, 256>>,
        /// What the values must be; all of them.
        filters: Option<Vec<PropertyFilterBody>>,
    }
}

body! {
    /// What a reported value must be.
    pub(crate) struct PropertyFilterBody {
        /// service_id/property
        path: Text<Any, 1, 256>,
        /// The comparison.
        operator: Word<Operators>,
        /// What it is compared with; for between two numbers like 20,30: from the first, below the second.
        value: Option<Text<Any, 0, 1024>>,
        /// What it is compared with by in.
        in_values: Option<Vec<Text<Any, 0, 1024>>>,
        /// When it acts.
        strategy: Option<StrategyBody>,
    }
}

body! {
    /// When a condition acts that holds.
    pub(crate) struct StrategyBody {
        /// pulse, when absent: with each report; reverse: when the report before did not fulfil it.
        trigger: Option<Word<Triggers>>,
        /// Values that were measured more seconds ago do not count. Any age when absent.
        event_valid_time: Option<Int<1, 31_536_000>>,
    }
}

body! {
    /// A time, and again after each interval.
    pub(crate) struct SimpleTimerBody {
        /// The first time, UTC, like 20151212T121212Z.
        start_time: Text<Any, 1, 32>,
        /// Seconds from one time to the next.
        repeat_interval: Int<1, 31_536_000>,
        /// How many times, the first one counted.
        repeat_count: Int<1, 1440>,
    }
}

body! {
    /// A time of day, in the time zone `linkage.time_zone`.
    pub(crate) struct DailyTimerBody {
        /// HH:MM
        time: Text<Any, 1, 16>,
        /// Days like 2,3,4; 1 is Sunday. Every day when absent.
        days_of_week: Option<Text<Any, 0, 32>>,
    }
}

body! {
    /// The status of one device or of the devices of a product.
    pub(crate) struct StatusConditionBody {
        /// The device.
        device_id: Option<Text<Any, 0, 128>>,
        /// The product, when no device is named.
        product_id: Option<Text<Any, 0, 256>>,
        /// Which statuses count.
        status_list: Option<Vec<Word<Statuses>>>,
        /// Minutes that it must have lasted; 0 when absent.
        duration: Option<Int<0, 60>>,
    }
}

body! {
    /// An action: the object that belongs to its type.
    pub(crate) struct RuleActionBody {
        /// Its kind.
        r#type: Word<ActionTypes>,
        /// For DEVICE_CMD.
        device_command: Option<ActionDeviceCommandBody>,
        /// For SMN_FORWARDING.
        smn_forwarding: Option<ActionSmnForwardingBody>,
        /// For DEVICE_ALARM.
        device_alarm: Option<ActionDeviceAlarmBody>,
    }
}

body! {
    /// A command to send.
    pub(crate) struct ActionDeviceCommandBody {
        /// To whom; to the device that made the rule act when absent.
        device_id: Option<Text<Any, 0, 128>>,
        /// The command.
        cmd: CmdBody,
    }
}

body! {
    /// A command.
    pub(crate) struct CmdBody {
        /// The command of the service.
        command_name: Text<Any, 1, 128>,
        /// Its parameters, or {header:{mode:ACK or NOACK}, body:{the parameters}}.
        command_body: Box<RawValue>,
        /// The service of the product model.
        service_id: Text<Any, 1, 64>,
        /// Seconds that it is kept for a device that is not online; 172800 when absent, 0 for now or never.
        buffer_timeout: Option<Int<0, 172_800>>,
        /// Seconds that the answer is waited for; 1800 when absent.
        response_timeout: Option<Int<0, 86_400>>,
        /// ACTIVE, when absent: it is sent at once; PASSIVE: when the device connects next.
        mode: Option<Word<Modes>>,
    }
}

body! {
    /// A notification to the subscribers of a topic.
    pub(crate) struct ActionSmnForwardingBody {
        /// Kept and shown.
        region_name: Text<Any, 0, 256>,
        /// Kept and shown.
        project_id: Text<Any, 0, 256>,
        /// Kept and shown.
        theme_name: Text<Any, 0, 256>,
        /// The topic.
        topic_urn: Text<Any, 1, 1024>,
        /// The text.
        message_content: Option<Text<Any, 0, 65536>>,
        /// Kept and shown.
        message_template_name: Option<Text<Any, 0, 256>>,
        /// The subject, at most 521 bytes.
        message_title: Text<Any, 1, 521>,
    }
}

body! {
    /// An alarm to raise or to clear.
    pub(crate) struct ActionDeviceAlarmBody {
        /// Its name.
        name: Text<Any, 1, 128>,
        /// Raises it (fault) or clears it (recovery).
        alarm_status: Word<AlarmStatuses>,
        /// How bad it is.
        severity: Word<Severities>,
        /// With the name: what makes it the same alarm; the whole instance when absent.
        dimension: Option<Word<Dimensions>>,
        /// Free text.
        description: Option<Text<Any, 0, 256>>,
    }
}

body! {
    /// Whether a rule is looked at.
    pub(crate) struct RuleStatusBody {
        /// active or inactive.
        status: Word<RuleStates>,
    }
}

fn condition(at: usize, text: &str) -> Error {
    Error::new(
        Code::InvalidRuleCondition,
        format!("Invalid parameter in the rule condition. 'conditions[{at}]': {text}"),
    )
}

fn action(at: usize, text: &str) -> Error {
    Error::new(Code::InvalidRuleAction, format!("Invalid parameter in the rule action. 'actions[{at}]': {text}"))
}

/// A text that is not empty.
fn some<const MIN: usize, const MAX: usize>(text: Option<Text<Any, MIN, MAX>>) -> Option<String> {
    text.map(Text::into_string).filter(|t| !t.is_empty())
}

fn seconds<const MIN: i64, const MAX: i64>(number: Int<MIN, MAX>) -> u32 {
    u32::try_from(number.0).unwrap_or(u32::MAX)
}

fn days<const MAX: usize>(text: Option<&Text<Any, 0, MAX>>) -> Option<Days> {
    text.map_or(Some(Days::ALL), |text| Days::parse(text.as_str()))
}

const DAYS_RULE: &str = "'days_of_week' must be days like 1,2,7; 1 is Sunday.";

impl LinkageRule {
    /// The space named and the rule.
    pub(super) fn read(self) -> Result<(Option<AppId>, NewRule)> {
        let group = self.condition_group;
        let conditions = group.conditions.unwrap_or_default();
        let definition = Definition {
            conditions: conditions.into_iter().enumerate().map(|(at, c)| c.read(at)).collect::<Result<_>>()?,
            logic: match group.logic.map(|l| l.as_str()) {
                Some("or") => Logic::Or,
                _ => Logic::And,
            },
            time_range: group.time_range.map(TimeRangeBody::read).transpose()?,
            actions: self.actions.into_iter().enumerate().map(|(at, a)| a.read(at)).collect::<Result<_>>()?,
            immediate_trigger: self.immediate_trigger.unwrap_or(false),
        };
        let new = NewRule {
            name: self.name.into_string(),
            description: self.description.map(Text::into_string),
            is_active: self.status.is_none_or(|s| s.as_str() == "active"),
            definition,
        };
        Ok((self.app_id.map(|id| id.0), new))
    }
}

impl TimeRangeBody {
    fn read(self) -> Result<TimeRange> {
        let refused = |text: &str| {
            Error::new(
                Code::InvalidRuleCondition,
                format!("Invalid parameter in the rule condition. 'time_range': {text}"),
            )
        };
        let time = |text: &str| {
            MinuteOfDay::parse(text).ok_or_else(|| refused("'start_time' and 'end_time' must be times like 07:30."))
        };
        Ok(TimeRange {
            start: time(self.start_time.as_str())?,
            end: time(self.end_time.as_str())?,
            days: days(self.days_of_week.as_ref()).ok_or_else(|| refused(DAYS_RULE))?,
        })
    }
}

impl RuleConditionBody {
    fn read(self, at: usize) -> Result<Condition> {
        let kind = self.r#type.as_str();
        let missing = || condition(at, &format!("the object of a condition of the type {kind} is missing."));
        match kind {
            "DEVICE_DATA" => self.device_property_condition.ok_or_else(missing)?.read(at),
            "SIMPLE_TIMER" => self.simple_timer_condition.ok_or_else(missing)?.read(at),
            "DAILY_TIMER" => self.daily_timer_condition.ok_or_else(missing)?.read(at),
            _ => self.device_linkage_status_condition.ok_or_else(missing)?.read(at),
        }
    }
}

/// The device, or the product when none is named.
fn whom(at: usize, device: Option<String>, product: Option<String>) -> Result<Whom> {
    match (device, product) {
        (Some(id), _) => DeviceId::parse(&id).map(Whom::Device),
        (None, Some(id)) => ProductId::parse(&id).map(Whom::Product),
        (None, None) => return Err(condition(at, "'device_id' or 'product_id' must be given.")),
    }
    .map_err(|error| condition(at, error.message()))
}

impl DeviceDataConditionBody {
    fn read(self, at: usize) -> Result<Condition> {
        Ok(Condition::Data {
            whom: whom(at, some(self.device_id), some(self.product_id))?,
            filters: self.filters.unwrap_or_default().into_iter().map(|f| f.read(at)).collect::<Result<_>>()?,
        })
    }
}

impl PropertyFilterBody {
    fn read(self, at: usize) -> Result<PropertyFilter> {
        let Some((service, property)) =
            self.path.as_str().split_once('/').filter(|(s, p)| !s.is_empty() && !p.is_empty())
        else {
            return Err(condition(at, "'path' must be a service and a property like 'DoorWindow/status'."));
        };
        let test = read_test(at, self.operator.as_str(), self.value.map(Text::into_string), self.in_values)?;
        let strategy = self.strategy;
        Ok(PropertyFilter {
            service_id: service.to_owned(),
            property: property.to_owned(),
            test,
            on_change: strategy.as_ref().and_then(|s| s.trigger.as_ref()).is_some_and(|t| t.as_str() == "reverse"),
            valid_s: strategy.and_then(|s| s.event_valid_time).map(seconds),
        })
    }
}

fn read_test(
    at: usize,
    operator: &'static str,
    value: Option<String>,
    in_values: Option<Vec<Text<Any, 0, 1024>>>,
) -> Result<Test> {
    if operator == "in" {
        let values: Vec<String> = in_values.unwrap_or_default().into_iter().map(Text::into_string).collect();
        if values.is_empty() {
            return Err(condition(at, "the operator in needs 'in_values'."));
        }
        return Ok(Test::OneOf(values));
    }
    let value = value.ok_or_else(|| condition(at, &format!("the operator {operator} needs 'value'.")))?;
    if operator == "=" {
        return Ok(Test::Equal(value));
    }
    if operator == "between" {
        let bounds = value.split_once(',').map(|(a, b)| (a.trim().to_owned(), b.trim().to_owned()));
        return match bounds.filter(|(a, b)| is_number(a) && is_number(b)) {
            Some((from, below)) => Ok(Test::Between(from, below)),
            None => Err(condition(at, "the operator between needs two numbers like '20,30'.")),
        };
    }
    if !is_number(value.trim()) {
        return Err(condition(at, &format!("the operator {operator} compares numbers; '{value}' is none.")));
    }
    Ok(match operator {
        ">" => Test::Greater(value),
        "<" => Test::Less(value),
        ">=" => Test::AtLeast(value),
        _ => Test::AtMost(value),
    })
}

impl SimpleTimerBody {
    fn read(self, at: usize) -> Result<Condition> {
        let Some(start) = Timestamp::parse(self.start_time.as_str()) else {
            return Err(condition(at, "'start_time' must be a time like 20151212T121212Z."));
        };
        Ok(Condition::SimpleTimer(SimpleTimer {
            start: start.0,
            interval_s: seconds(self.repeat_interval),
            count: seconds(self.repeat_count),
        }))
    }
}

impl DailyTimerBody {
    fn read(self, at: usize) -> Result<Condition> {
        let Some(time) = MinuteOfDay::parse(self.time.as_str()) else {
            return Err(condition(at, "'time' must be a time of day like 07:30."));
        };
        let days = days(self.days_of_week.as_ref()).ok_or_else(|| condition(at, DAYS_RULE))?;
        Ok(Condition::DailyTimer(DailyTimer { time, days }))
    }
}

impl StatusConditionBody {
    fn read(self, at: usize) -> Result<Condition> {
        let statuses = self.status_list.unwrap_or_default();
        let names = |word| statuses.iter().any(|s| s.as_str() == word);
        let (online, offline) = (names("ONLINE"), names("OFFLINE"));
        if !online && !offline {
            return Err(condition(at, "'status_list' must name ONLINE, OFFLINE or both."));
        }
        Ok(Condition::Status {
            whom: whom(at, some(self.device_id), some(self.product_id))?,
            online,
            offline,
            minutes: self.duration.map_or(0, seconds),
        })
    }
}

impl RuleActionBody {
    fn read(self, at: usize) -> Result<Action> {
        let kind = self.r#type.as_str();
        let missing = || action(at, &format!("the object of an action of the type {kind} is missing."));
        match kind {
            "DEVICE_CMD" => self.device_command.ok_or_else(missing)?.read(at),
            "SMN_FORWARDING" => self.smn_forwarding.ok_or_else(missing)?.read(at),
            _ => Ok(self.device_alarm.ok_or_else(missing)?.read()),
        }
    }
}

impl ActionDeviceCommandBody {
    fn read(self, at: usize) -> Result<Action> {
        let cmd = self.cmd;
        decode::check_depth("command_body", &cmd.command_body)?;
        let device_id = some(self.device_id);
        if let Some(id) = &device_id {
            DeviceId::parse(id).map_err(|error| action(at, error.message()))?;
        }
        if !cmd.command_body.get().starts_with('{') {
            return Err(action(at, "'command_body' must be a JSON object."));
        }
        Ok(Action::Command(CommandAction {
            device_id,
            service_id: cmd.service_id.into_string(),
            command_name: cmd.command_name.into_string(),
            command_body: cmd.command_body.get().to_owned(),
            buffer_s: seconds(cmd.buffer_timeout.unwrap_or(Int(DEFAULT_BUFFER_S))),
            response_s: seconds(cmd.response_timeout.unwrap_or(Int(DEFAULT_RESPONSE_S))),
            passive: cmd.mode.is_some_and(|m| m.as_str() == "PASSIVE"),
        }))
    }
}

impl ActionSmnForwardingBody {
    fn read(self, at: usize) -> Result<Action> {
        if self.message_title.as_str().len() > 521 {
            return Err(action(at, "'message_title' is longer than 521 bytes."));
        }
        Ok(Action::Notify(NotifyAction {
            region_name: self.region_name.into_string(),
            project_id: self.project_id.into_string(),
            theme_name: self.theme_name.into_string(),
            topic_urn: self.topic_urn.into_string(),
            title: self.message_title.into_string(),
            content: self.message_content.map(Text::into_string),
            template_name: self.message_template_name.map(Text::into_string),
        }))
    }
}

impl ActionDeviceAlarmBody {
    fn read(self) -> Action {
        Action::Alarm(AlarmAction {
            name: self.name.into_string(),
            is_fault: self.alarm_status.as_str() == "fault",
            severity: self.severity.as_str().to_owned(),
            dimension: self.dimension.map(|d| d.as_str().to_owned()),
            description: self.description.map(Text::into_string),
        })
    }
}
