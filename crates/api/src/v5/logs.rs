//! Logs that devices send (002 §2.1.2.2); the vendor's console has them, its API has not.

use causeway_model::{Code, Error, Result, Timestamp};
use causeway_platform::log::{LogConfig, LogState};

use crate::bounded::{Any, Ident, Text, Word, words};
use crate::call::{Call, Page, Reply};
use crate::operation::{Built, Param, json};
use crate::shape::{Compact, Millis, body, reply};

/// How long a device sends its log when nobody says until when, in milliseconds.
const DEFAULT_LENGTH_MS: i64 = 3_600_000;

words! {
    /// Whether a device is to send its log.
    Switch: "on" | "off";
}

body! {
    /// Whether a device is to send its log.
    pub(crate) struct SetLogConfig {
        /// `on` or `off`.
        switch: Word<Switch>,
        /// Until when, like 20151212T121212Z; an hour from now when absent.
        end_time: Option<Text<Any, 1, 64>>,
    }
}

reply! {
    /// Whether a device is to send its log.
    pub(crate) struct LogConfigReply {
        /// The device.
        device_id: String,
        /// `on` or `off`.
        switch: &'static str,
        /// Until when.
        end_time: Compact,
        /// When that was said.
        set_time: Millis,
        /// Whether the device was told; if not, it is told when it connects.
        sent: bool,
    }
}

reply! {
    /// A line of a device's log.
    pub(crate) struct LogEntry {
        /// DEVICE_STATUS, DEVICE_PROPERTY, DEVICE_MESSAGE, DEVICE_COMMAND, or another word of the device.
        r#type: String,
        /// When the device wrote it.
        timestamp: Millis,
        /// When it came.
        received_time: Millis,
        /// The line.
        content: String,
    }
}

reply! {
    /// A device's log, newest lines first.
    pub(crate) struct DeviceLogs {
        /// The device.
        device_id: String,
        /// The lines.
        logs: Vec<LogEntry>,
        /// Where the page stands.
        page: Page,
    }
}

fn config_reply(device_id: &str, state: &LogState) -> LogConfigReply {
    LogConfigReply {
        device_id: device_id.to_owned(),
        switch: if state.config.is_on { "on" } else { "off" },
        end_time: Compact(state.config.end_time),
        set_time: Millis(state.set_at),
        sent: state.is_sent,
    }
}

pub(super) static SET_CONFIG: Built = Built::new(
    "Switches a device's log on or off, now or when the device connects.",
    json::<LogConfigReply>(200),
    |c| Box::pin(set_config(c)),
)
.body::<SetLogConfig>()
.errors(&[Code::DeviceNotFound, Code::InvalidTime]);

async fn set_config(call: Call) -> Result<Reply> {
    let id = call.device_id()?;
    let asked: SetLogConfig = call.body()?;
    let end_time = match &asked.end_time {
        Some(text) => Timestamp::parse(text.as_str()).ok_or_else(|| {
            Error::new(Code::InvalidTime, "Invalid input. 'end_time' must be a time like 20151212T121212Z.")
        })?,
        None => call.platform().clock.now().plus_ms(DEFAULT_LENGTH_MS),
    };
    let config = LogConfig { is_on: asked.switch.as_str() == "on", end_time };
    let state = call.platform().set_log_config(&id, config).await?;
    Reply::ok(&config_reply(id.as_str(), &state))
}

pub(super) static SHOW_CONFIG: Built =
    Built::new("Shows whether a device is to send its log.", json::<LogConfigReply>(200), |c| Box::pin(show_config(c)))
        .errors(&[Code::DeviceNotFound, Code::LogConfigNotFound]);

async fn show_config(call: Call) -> Result<Reply> {
    let device = call.platform().device(&call.device_id()?).await?;
    match call.platform().log_config(&device).await? {
        Some(state) => Reply::ok(&config_reply(device.id.as_str(), &state)),
        None => Err(Error::new(
            Code::LogConfigNotFound,
            "The device was never told whether to send its log. Say it with PUT.",
        )),
    }
}

pub(super) static LIST: Built =
    Built::new("Lists the log that a device sent, newest lines first.", json::<DeviceLogs>(200), |c| Box::pin(list(c)))
        .query(&[Param::optional::<Text<Ident, 1, 64>>("type", "Only lines of this type.")])
        .paged()
        .errors(&[Code::DeviceNotFound]);

async fn list(call: Call) -> Result<Reply> {
    let id = call.device_id()?;
    let kind = call.query::<Text<Ident, 1, 64>>("type")?.map(Text::into_string);
    let found = call.platform().device_log(&id, kind, call.page()?).await?;
    let page = Page::of(&found);
    let logs = found.items.into_iter().map(|line| LogEntry {
        r#type: line.kind,
        timestamp: Millis(line.at),
        received_time: Millis(line.received_at),
        content: line.content,
    });
    Reply::ok(&DeviceLogs { device_id: id.to_string(), logs: logs.collect(), page })
}
