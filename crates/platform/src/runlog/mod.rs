//! The run log (002 §6.5): a line for each step between the platform, devices and applications, for rules that ask for the
//! source `runlog`. Nothing is kept, and nothing is made while no rule asks or the kind of business is switched off.
//!
//! ```text
//! time|device_id|type|operation|request|result|status
//! ```
//!
//! What is logged of a device's own traffic is written in the transaction of its cause; lines about calls of applications
//! right after them. Request and result are cut at `run_log.max_text` bytes; `|` in them is written `\u007c`. Devices of
//! every door are logged, not those of MQTT only.

use std::borrow::Cow;

use causeway_model::event::Heard;
use causeway_model::forwarding::Subject;
use causeway_model::registry::Device;
use causeway_model::{AppId, Code, Error, Timestamp};
use causeway_rules::event::{Body, write_field};

use crate::Platform;
use crate::outbox::NewDelivery;
use crate::outbox::notification::About;
use crate::uplink::DeviceContext;

/// What kind of business a line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Business {
    Status,
    Message,
    Command,
    Property,
}

impl Business {
    fn as_str(self) -> &'static str {
        match self {
            Self::Status => "device.status",
            Self::Message => "device.message",
            Self::Command => "device.command",
            Self::Property => "device.property",
        }
    }
}

/// One line, but time and device.
pub(crate) struct Line<'a> {
    pub(crate) business: Business,
    /// The topic, the address of an operation, or a word.
    pub(crate) operation: Cow<'a, str>,
    pub(crate) request: Cow<'a, str>,
    pub(crate) result: Cow<'a, str>,
    /// 200, 201 or an error code.
    pub(crate) status: &'a str,
}

/// Nothing was asked or answered.
pub(crate) const NOTHING: Cow<'static, str> = Cow::Borrowed("null");

/// What a line tells of the end of a call.
pub(crate) fn outcome<'a, T>(
    result: &'a Result<T, Error>,
    status: &'static str,
    answer: impl FnOnce(&'a T) -> Cow<'a, str>,
) -> (Cow<'a, str>, &'a str) {
    match result {
        Ok(done) => (answer(done), status),
        Err(error) => (Cow::Borrowed(error.message()), error.code().as_str()),
    }
}

/// A text for a field: cut, on one line, without the separator.
fn field(text: &str, most: usize) -> Cow<'_, str> {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let text = &text[..end];
    if !text.contains(|c: char| c == '|' || c.is_control()) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '|' => out.push_str("\\u007c"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

fn body(device_id: &str, line: &Line<'_>, at: Timestamp, most: usize) -> String {
    // yyyy-MM-dd'T'HH:mm:ss,SSS'Z'
    let time = at.millis().replace('.', ",");
    let operation = field(&line.operation, most);
    let (request, result) = (field(&line.request, most), field(&line.result, most));
    let business = line.business.as_str();
    let log = format!("{time}|{device_id}|{business}|{operation}|{request}|{result}|{}", line.status);
    let mut out = String::with_capacity(2 * log.len() + 128);
    out.push('{');
    for (place, (name, text)) in [
        ("log", log.as_str()),
        ("time", &time),
        ("device_id", device_id),
        ("type", business),
        ("operation", &operation),
        ("request", &request),
        ("result", &result),
        ("status", line.status),
    ]
    .into_iter()
    .enumerate()
    {
        if place > 0 {
            out.push(',');
        }
        write_field(&mut out, name, text);
    }
    out.push('}');
    out
}

impl Platform {
    fn is_run_logged(&self, app: &AppId, business: Business) -> bool {
        let settings = &self.settings.run_log;
        let on = match business {
            Business::Status => settings.device_status,
            Business::Message => settings.device_message,
            Business::Command => settings.device_command,
            Business::Property => settings.device_property,
        };
        on && self.routes.load().concern(app, Subject::RUN_LOG)
    }

    /// A line about what a device does, to be written with its cause.
    pub(crate) fn run_line<'a>(
        &self,
        device: &DeviceContext,
        business: Business,
        heard: Heard<'_>,
        line: impl FnOnce() -> Line<'a>,
    ) -> Vec<NewDelivery> {
        if !self.is_run_logged(&device.app_id, business) {
            return Vec::new();
        }
        let body = body(device.id.as_str(), &line(), heard.at, self.settings.run_log.max_text as usize);
        self.tell_of_device(device, Subject::RUN_LOG, heard, Body::Json(&body))
    }

    /// A line about a call of an application, after it.
    pub(crate) async fn log_call<'a>(&self, device: &Device, business: Business, line: impl FnOnce() -> Line<'a>) {
        if !self.is_run_logged(&device.app_id, business) {
            return;
        }
        let now = self.clock.now();
        let text = body(device.id.as_str(), &line(), now, self.settings.run_log.max_text as usize);
        let told = self.tell_of_record(About::Device(device), Subject::RUN_LOG, now, || Some(text));
        self.tell_of_change(Subject::RUN_LOG, told).await;
    }

    /// A line about what was sent to a device that answers; none when it was not sent.
    pub(crate) async fn log_sent<T>(
        &self,
        device: &Device,
        business: Business,
        answered: &Result<T, Error>,
        sent: impl FnOnce() -> (String, String),
    ) {
        let status = match answered {
            Ok(_) => "200",
            Err(error) if error.code() == Code::CommandTimeout => error.code().as_str(),
            Err(_) => return,
        };
        self.log_call(device, business, || {
            let (operation, request) = sent();
            Line { business, operation: operation.into(), request: request.into(), result: NOTHING, status }
        })
        .await;
    }

    /// The address of an operation below a device, as applications call it.
    pub(crate) fn device_path(&self, device: &Device, tail: &str) -> String {
        format!("/v5/iot/{}/devices/{}{tail}", self.instance.project_id, device.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_seven_fields_whatever_stands_in_them() {
        let line = Line {
            business: Business::Message,
            operation: "$oc/devices/d/sys/messages/up".into(),
            request: "a|b\nc".into(),
            result: NOTHING,
            status: "200",
        };
        let told: serde_json::Value =
            serde_json::from_str(&body("d", &line, Timestamp(1_592_299_485_708), 1024)).expect("JSON");
        assert_eq!(
            told["log"],
            "2020-06-16T09:24:45,708Z|d|device.message|$oc/devices/d/sys/messages/up|a\\u007cb c|null|200"
        );
        assert_eq!(told["type"], "device.message");
        assert_eq!(field("äöü", 3), "ä");
    }
}
