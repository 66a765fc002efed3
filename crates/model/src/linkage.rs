//! Device linkage: rules of "when … then …" over what devices report, their status and the clock
//! (002 §5.3; `iotda-v5-api.md`, device linkage rules).

use serde::{Deserialize, Serialize};

use crate::ids::{AppId, DeviceId, ProductId, RecordNo};
use crate::settings::SettingValue;
use crate::time::Timestamp;

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkageRule {
    /// Number inside the store and paging position.
    pub no: RecordNo,
    /// The id.
    pub id: String,
    /// Its space.
    pub app_id: AppId,
    /// Display name.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// Whether it is looked at.
    pub is_active: bool,
    /// Rises whenever the rule changes; what was found under an older version is void.
    pub version: i64,
    /// What it says.
    pub definition: Definition,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

/// What a rule says. Serialised as the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definition {
    /// When.
    pub conditions: Vec<Condition>,
    /// How conditions combine.
    pub logic: Logic,
    /// The rule is looked at in this time only; always without.
    pub time_range: Option<TimeRange>,
    /// Then.
    pub actions: Vec<Action>,
    /// Whether what was reported before the rule was made counts.
    pub immediate_trigger: bool,
}

/// How conditions combine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Logic {
    /// All must hold.
    #[default]
    And,
    /// One is enough.
    Or,
}

impl Logic {
    /// The word of the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::And => "and",
            Self::Or => "or",
        }
    }
}

/// Whom a condition is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Whom {
    /// One device.
    Device(#[serde(with = "device_text")] DeviceId),
    /// Every device of a product of the rule's space.
    Product(#[serde(with = "product_text")] ProductId),
}

macro_rules! id_text {
    ($name:ident, $id:ty) => {
        mod $name {
            use serde::{Deserialize, Deserializer, Serializer};

            pub(super) fn serialize<S: Serializer>(id: &$id, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(id.as_str())
            }

            pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<$id, D::Error> {
                String::deserialize(deserializer).map(<$id>::trusted)
            }
        }
    };
}

id_text!(device_text, crate::ids::DeviceId);
id_text!(product_text, crate::ids::ProductId);

/// A condition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Condition {
    /// Reported properties.
    Data {
        /// Whose.
        whom: Whom,
        /// All of them must hold; not empty.
        filters: Vec<PropertyFilter>,
    },
    /// The status of the connection.
    Status {
        /// Whose.
        whom: Whom,
        /// ONLINE counts.
        online: bool,
        /// OFFLINE counts.
        offline: bool,
        /// It must have lasted so long, minutes.
        minutes: u32,
    },
    /// A time, and again after each interval.
    SimpleTimer(SimpleTimer),
    /// A time of day.
    DailyTimer(DailyTimer),
}

impl Condition {
    /// Whom it is about; timers are about nobody.
    #[must_use]
    pub fn whom(&self) -> Option<&Whom> {
        match self {
            Self::Data { whom, .. } | Self::Status { whom, .. } => Some(whom),
            Self::SimpleTimer(_) | Self::DailyTimer(_) => None,
        }
    }

    /// Whether the clock makes it true.
    #[must_use]
    pub fn is_timer(&self) -> bool {
        self.whom().is_none()
    }
}

/// What a reported value must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PropertyFilter {
    /// The service.
    pub service_id: String,
    /// The property.
    pub property: String,
    /// The comparison.
    pub test: Test,
    /// Acts only when the value of the device did not fulfil the condition before (`reverse`).
    pub on_change: bool,
    /// Values that were measured longer ago do not count, seconds; `None` for any age.
    pub valid_s: Option<u32>,
}

/// A comparison. Operands are texts: a number, `true`, `false`, a string without quotes, or JSON of an object or a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Test {
    /// `>`
    Greater(String),
    /// `<`
    Less(String),
    /// `>=`
    AtLeast(String),
    /// `<=`
    AtMost(String),
    /// `=`
    Equal(String),
    /// `between`: from the first, below the second.
    Between(String, String),
    /// `in`
    OneOf(Vec<String>),
}

impl Test {
    /// The operator of the API.
    #[must_use]
    pub fn operator(&self) -> &'static str {
        match self {
            Self::Greater(_) => ">",
            Self::Less(_) => "<",
            Self::AtLeast(_) => ">=",
            Self::AtMost(_) => "<=",
            Self::Equal(_) => "=",
            Self::Between(..) => "between",
            Self::OneOf(_) => "in",
        }
    }
}

/// Days of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Days(
    /// Bit 0 is Sunday.
    pub u8,
);

impl Days {
    /// Every day.
    pub const ALL: Self = Self(0x7f);

    /// Reads `1,2,…`, 1 is Sunday; `None` when it is not that. An empty text means every day.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.trim().is_empty() {
            return Some(Self::ALL);
        }
        text.split(',').try_fold(Self(0), |days, day| {
            let day: u8 = day.trim().parse().ok().filter(|d| (1..=7).contains(d))?;
            Some(Self(days.0 | 1 << (day - 1)))
        })
    }

    /// Whether `day`, 0 for Sunday, is among them.
    #[must_use]
    pub fn contains(self, day: u8) -> bool {
        self.0 & 1 << day != 0
    }

    /// `1,2,…`
    #[must_use]
    pub fn text(self) -> String {
        let days: Vec<String> = (0..7).filter(|d| self.contains(*d)).map(|d| (d + 1).to_string()).collect();
        days.join(",")
    }
}

/// A time of day in minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct MinuteOfDay(
    /// 0 to 1439.
    pub u16,
);

impl MinuteOfDay {
    /// Reads `HH:MM`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (hour, minute) = text.split_once(':')?;
        let number = |t: &str, below: u16| {
            let two_digits = t.len() == 2 && t.bytes().all(|b| b.is_ascii_digit());
            t.parse::<u16>().ok().filter(|n| two_digits && *n < below)
        };
        Some(Self(number(hour, 24)? * 60 + number(minute, 60)?))
    }
}

impl std::fmt::Display for MinuteOfDay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

/// A time of day that comes again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeRange {
    /// Its first minute.
    pub start: MinuteOfDay,
    /// The first minute after it; the same as `start` for the whole day, an earlier one for the next day.
    pub end: MinuteOfDay,
    /// The days that it begins on.
    pub days: Days,
}

/// A time, and again after each interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SimpleTimer {
    /// The first time, ms.
    pub start: i64,
    /// Seconds between two times.
    pub interval_s: u32,
    /// How many times, the first one counted.
    pub count: u32,
}

/// A time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DailyTimer {
    /// When.
    pub time: MinuteOfDay,
    /// On these days.
    pub days: Days,
}

/// What a rule does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// Sends a command.
    Command(CommandAction),
    /// Tells the subscribers of a notification topic.
    Notify(NotifyAction),
    /// Raises or clears an alarm.
    Alarm(AlarmAction),
}

/// A command to send.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandAction {
    /// To whom; to the device that made the rule act when absent.
    pub device_id: Option<String>,
    /// The service.
    pub service_id: String,
    /// The command.
    pub command_name: String,
    /// A JSON object: the parameters, or `{"header":{…},"body":{the parameters}}`.
    pub command_body: String,
    /// A device that is not online gets it when it comes within so many seconds; 0 for now or never.
    pub buffer_s: u32,
    /// Its answer is waited for so many seconds.
    pub response_s: u32,
    /// It always waits for the device's next connection or for its answer to the command before.
    pub passive: bool,
}

/// A notification to send. Region, project, theme and template are the vendor's; they are kept and shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotifyAction {
    /// Shown only.
    pub region_name: String,
    /// Shown only.
    pub project_id: String,
    /// Shown only.
    pub theme_name: String,
    /// The topic.
    pub topic_urn: String,
    /// The subject.
    pub title: String,
    /// The text.
    pub content: Option<String>,
    /// Shown only.
    pub template_name: Option<String>,
}

/// An alarm to raise or to clear.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlarmAction {
    /// Its name.
    pub name: String,
    /// Raised, else cleared.
    pub is_fault: bool,
    /// `warning`, `minor`, `major` or `critical`.
    pub severity: String,
    /// `device` or `app`; of the whole instance when absent.
    pub dimension: Option<String>,
    /// Free text.
    pub description: Option<String>,
}

/// How far the clocks on the wall are ahead of UTC: `+08:00`, `-03:30`, `Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UtcOffset {
    /// Minutes, -1439 to 1439.
    pub minutes: i32,
}

impl SettingValue for UtcOffset {
    fn read(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text == "Z" {
            return Ok(Self { minutes: 0 });
        }
        let refused = || format!("'{text}' is not an offset like +08:00, -03:30 or Z");
        let (sign, rest) = match text.as_bytes().first() {
            Some(b'+') => (1, &text[1..]),
            Some(b'-') => (-1, &text[1..]),
            _ => return Err(refused()),
        };
        let time = MinuteOfDay::parse(rest).ok_or_else(refused)?;
        Ok(Self { minutes: sign * i32::from(time.0) })
    }

    fn write(&self) -> String {
        let sign = if self.minutes < 0 { '-' } else { '+' };
        let minutes = self.minutes.unsigned_abs();
        format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_named() {
        assert_eq!(Days::parse(""), Some(Days::ALL));
        assert_eq!(Days::parse("1,7"), Some(Days(0b100_0001)));
        assert_eq!(Days::parse(" 2 , 3"), Some(Days(0b110)));
        assert_eq!(Days::parse("2,3").map(Days::text).as_deref(), Some("2,3"));
        for wrong in ["0", "8", "1,,2", "Mon", "1;2"] {
            assert_eq!(Days::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn times_of_day_are_two_by_two_digits() {
        assert_eq!(MinuteOfDay::parse("07:05"), Some(MinuteOfDay(425)));
        assert_eq!(MinuteOfDay(425).to_string(), "07:05");
        for wrong in ["7:05", "24:00", "12:60", "12", "+1:00", "12:00:00"] {
            assert_eq!(MinuteOfDay::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn offsets_are_read_and_written() {
        for (text, minutes) in [("+08:00", 480), ("-03:30", -210), ("+00:00", 0)] {
            let offset = UtcOffset::read(text).expect("an offset");
            assert_eq!((offset.minutes, offset.write().as_str()), (minutes, text));
        }
        assert_eq!(UtcOffset::read("Z"), Ok(UtcOffset { minutes: 0 }));
        for wrong in ["08:00", "UTC", "+8", "+25:00", ""] {
            assert!(UtcOffset::read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn definitions_are_read_as_they_were_written() {
        let definition = Definition {
            conditions: vec![
                Condition::Data {
                    whom: Whom::Product(ProductId::trusted("p")),
                    filters: vec![PropertyFilter {
                        service_id: "s".into(),
                        property: "t".into(),
                        test: Test::Between("1".into(), "2.50".into()),
                        on_change: true,
                        valid_s: Some(60),
                    }],
                },
                Condition::Status {
                    whom: Whom::Device(DeviceId::trusted("d")),
                    online: true,
                    offline: false,
                    minutes: 3,
                },
                Condition::DailyTimer(DailyTimer { time: MinuteOfDay(1), days: Days::ALL }),
            ],
            logic: Logic::Or,
            time_range: None,
            actions: Vec::new(),
            immediate_trigger: false,
        };
        let text = serde_json::to_string(&definition).expect("writes");
        assert_eq!(serde_json::from_str::<Definition>(&text).expect("reads"), definition);
    }
}
