//! Alarms (002 §6.3). The vendor shows them in another service, so the operations are the platform's own.

use causeway_model::alarm::{Alarm, AlarmFilter, AlarmStatus, Severity};
use causeway_model::{AppId, Code, DeviceId, Result};

use crate::bounded::{Any, Flag, Text, Word, words};
use crate::call::{Call, Page, Reply};
use crate::operation::{Built, Param, json};
use crate::shape::{Millis, reply};

words! {
    /// Whether the cause of an alarm is still there.
    Statuses: "ACTIVE" | "CLEARED";
    /// How bad an alarm is.
    Severities: "warning" | "minor" | "major" | "critical";
}

reply! {
    /// An alarm.
    pub(crate) struct AlarmReply {
        /// The id.
        alarm_id: String,
        /// The resource space of the rule that raised it first.
        app_id: String,
        /// The device that it was raised for last.
        device_id: Option<String>,
        /// Its name.
        name: String,
        /// warning, minor, major or critical, as said last.
        severity: &'static str,
        /// What it is about: the whole instance (user), a resource space (app) or one device.
        dimension: &'static str,
        /// ACTIVE while its cause is there, then CLEARED.
        status: &'static str,
        /// For people, as said last.
        description: Option<String>,
        /// Id of the rule that raised it last.
        source: String,
        /// How often it was raised.
        count: u64,
        /// When it was raised first.
        first_time: Millis,
        /// When it was raised last.
        last_time: Millis,
        /// Whether somebody has seen it.
        acknowledged: bool,
        /// Name of the user who has.
        acknowledged_by: Option<String>,
        /// When that was.
        acknowledge_time: Option<Millis>,
        /// Id of the rule or name of the user that cleared it.
        cleared_by: Option<String>,
        /// When that was.
        clear_time: Option<Millis>,
    }
}

reply! {
    /// A page of alarms.
    pub(crate) struct Alarms {
        /// The alarms, newest first.
        alarms: Vec<AlarmReply>,
        /// The page.
        page: Page,
    }
}

impl From<Alarm> for AlarmReply {
    fn from(alarm: Alarm) -> Self {
        let acknowledged = alarm.acknowledged.is_some();
        let (acknowledged_by, acknowledge_time) = alarm.acknowledged.map(|(by, at)| (by, Millis(at))).unzip();
        let (cleared_by, clear_time) = alarm.cleared.map(|(by, at)| (by, Millis(at))).unzip();
        Self {
            alarm_id: alarm.id,
            app_id: alarm.app_id.to_string(),
            device_id: alarm.device_id.map(|id| id.to_string()),
            name: alarm.name,
            severity: alarm.severity.as_str(),
            dimension: alarm.dimension.as_str(),
            status: alarm.status.as_str(),
            description: alarm.description,
            source: alarm.source,
            count: alarm.count,
            first_time: Millis(alarm.first_at),
            last_time: Millis(alarm.last_at),
            acknowledged,
            acknowledged_by,
            acknowledge_time,
            cleared_by,
            clear_time,
        }
    }
}

type Time = Text<Any, 0, 64>;
type NamePart = Text<Any, 0, 256>;

pub(super) static LIST: Built = Built::new("Lists alarms.", json::<Alarms>(200), |c| Box::pin(list(c)))
    .query(&[
        Param::optional::<AppId>("app_id", "Only those of this resource space."),
        Param::optional::<DeviceId>("device_id", "Only those of this device."),
        Param::optional::<Word<Statuses>>("status", "Only active ones, or cleared ones."),
        Param::optional::<Word<Severities>>("severity", "Only those of this severity."),
        Param::optional::<NamePart>("name", "Only those whose name contains this text."),
        Param::optional::<Flag>("acknowledged", "Only those that somebody has seen, or nobody."),
        Param::optional::<Time>("start_time", "Only those raised last from here on, like 20151212T121212Z."),
        Param::optional::<Time>("end_time", "Only those raised last before, like 20151212T121212Z."),
    ])
    .paged()
    .errors(&[Code::AppNotFound, Code::InvalidTime, Code::TimeOrder]);

async fn list(call: Call) -> Result<Reply> {
    let filter = AlarmFilter {
        spaces: call.spaces(call.query("app_id")?)?,
        status: call.query::<Word<Statuses>>("status")?.and_then(|w| AlarmStatus::parse(w.as_str())),
        severity: call.query::<Word<Severities>>("severity")?.and_then(|w| Severity::parse(w.as_str())),
        device_id: call.query::<DeviceId>("device_id")?.map(|id| id.to_string()),
        name: call.query::<NamePart>("name")?.map(Text::into_string),
        acknowledged: call.flag("acknowledged")?,
        from: call.time("start_time")?,
        to: call.time("end_time")?,
    };
    let found = call.platform().list_alarms(&filter, call.page()?).await?;
    let page = Page::of(&found);
    Reply::ok(&Alarms { alarms: found.items.into_iter().map(AlarmReply::from).collect(), page })
}

pub(super) static SHOW: Built =
    Built::new("Shows an alarm.", json::<AlarmReply>(200), |c| Box::pin(show(c))).errors(&[Code::AlarmNotFound]);

async fn show(call: Call) -> Result<Reply> {
    Reply::ok(&AlarmReply::from(call.platform().alarm(&call.allowed, call.path("alarm_id")).await?))
}

pub(super) static ACKNOWLEDGE: Built = Built::new(
    "Notes that the caller has seen an alarm. One that was seen before stays as it is.",
    json::<AlarmReply>(200),
    |c| Box::pin(acknowledge(c)),
)
.errors(&[Code::AlarmNotFound]);

async fn acknowledge(call: Call) -> Result<Reply> {
    let (id, user) = (call.path("alarm_id"), call.caller()?.name());
    Reply::ok(&AlarmReply::from(call.platform().acknowledge_alarm(&call.allowed, id, user).await?))
}

pub(super) static CLEAR: Built = Built::new(
    "Clears an alarm whose cause is gone. One that was cleared before stays as it is.",
    json::<AlarmReply>(200),
    |c| Box::pin(clear(c)),
)
.errors(&[Code::AlarmNotFound]);

async fn clear(call: Call) -> Result<Reply> {
    let (id, user) = (call.path("alarm_id"), call.caller()?.name());
    Reply::ok(&AlarmReply::from(call.platform().clear_alarm_by_hand(&call.allowed, id, user).await?))
}
