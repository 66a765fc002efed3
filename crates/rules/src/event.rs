//! An event as applications see it: what rules look at, and the notification that is made of it (`iotda-v5-api.md` §3).
//!
//! It borrows everything. The notification is written once, only when somebody wants it whole; rules look at the parts
//! without text being made for them.

use std::fmt::Write as _;

use causeway_model::Timestamp;
use causeway_model::forwarding::Subject;
use causeway_model::properties::write_json_string;

/// An event.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// What happened to what.
    pub subject: Subject,
    /// When, shown in both forms.
    pub at: Timestamp,
    /// The device's id for it, or one that the platform made.
    pub request_id: &'a str,
    /// The device; events of products and tasks have none.
    pub header: Option<Header<'a>>,
    /// What is told.
    pub body: Body<'a>,
}

/// The device of an event.
#[derive(Clone, Copy, Debug)]
pub struct Header<'a> {
    /// Its space.
    pub app_id: &'a str,
    /// Its id.
    pub device_id: &'a str,
    /// What it calls itself.
    pub node_id: &'a str,
    /// Its product.
    pub product_id: &'a str,
    /// The gateway before it; itself when there is none.
    pub gateway_id: &'a str,
    /// Elements of a JSON array, `{"tag_key":"…","tag_value":"…"},…`, without the brackets. Valid JSON.
    pub tags: &'a str,
}

/// What an event tells.
#[derive(Clone, Copy, Debug)]
pub enum Body<'a> {
    /// A property report.
    Services(&'a [Service<'a>]),
    /// A message of a device.
    Message {
        /// Where it came.
        topic: &'a str,
        /// What it says.
        content: Content<'a>,
    },
    /// Any other: the text of a JSON value. Valid JSON.
    Json(&'a str),
    /// Nothing: the notification has no `body`.
    None,
}

/// One service of a property report.
#[derive(Clone, Copy, Debug)]
pub struct Service<'a> {
    /// The service.
    pub service_id: &'a str,
    /// The text of a JSON object. Valid JSON.
    pub properties: &'a str,
    /// When the device measured.
    pub event_time: Timestamp,
}

/// The payload of a message.
#[derive(Clone, Copy, Debug)]
pub enum Content<'a> {
    /// A payload that is JSON. Valid JSON, trimmed.
    Json(&'a str),
    /// A payload that is text.
    Text(&'a str),
}

/// `"name":"text"` with the text escaped.
pub fn write_field(out: &mut String, name: &str, text: &str) {
    write_json_string(out, name);
    out.push(':');
    write_json_string(out, text);
}

impl Event<'_> {
    /// Appends the whole notification.
    pub fn write(&self, out: &mut String) {
        let (resource, event) = (self.subject.resource(), self.subject.event());
        let written = write!(
            out,
            r#"{{"resource":"{resource}","event":"{event}","event_time":"{}","event_time_ms":"{}","#,
            self.at.compact(),
            self.at.millis()
        );
        debug_assert!(written.is_ok(), "writing to a String cannot fail");
        write_field(out, "request_id", self.request_id);
        out.push_str(r#","notify_data":"#);
        self.write_data(out);
        out.push('}');
    }

    /// Appends `notify_data`.
    pub fn write_data(&self, out: &mut String) {
        out.push('{');
        if let Some(header) = &self.header {
            out.push_str(r#""header":"#);
            header.write(out);
        }
        if !matches!(self.body, Body::None) {
            if self.header.is_some() {
                out.push(',');
            }
            out.push_str(r#""body":"#);
            self.body.write(out);
        }
        out.push('}');
    }
}

impl Header<'_> {
    /// Appends the header object.
    pub fn write(&self, out: &mut String) {
        out.push('{');
        write_field(out, "app_id", self.app_id);
        out.push(',');
        write_field(out, "device_id", self.device_id);
        out.push(',');
        write_field(out, "node_id", self.node_id);
        out.push(',');
        write_field(out, "product_id", self.product_id);
        out.push(',');
        write_field(out, "gateway_id", self.gateway_id);
        out.push_str(r#","tags":["#);
        out.push_str(self.tags);
        out.push_str("]}");
    }
}

impl Body<'_> {
    /// Appends the body; nothing for [`Body::None`].
    pub fn write(&self, out: &mut String) {
        match self {
            Self::Services(services) => {
                out.push_str(r#"{"services":["#);
                for (i, service) in services.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    service.write(out);
                }
                out.push_str("]}");
            }
            Self::Message { topic, content } => {
                out.push('{');
                write_field(out, "topic", topic);
                out.push_str(r#","content":"#);
                match content {
                    Content::Json(text) => out.push_str(text),
                    Content::Text(text) => write_json_string(out, text),
                }
                out.push('}');
            }
            Self::Json(text) => out.push_str(text),
            Self::None => {}
        }
    }
}

impl Service<'_> {
    /// Appends the service object.
    pub fn write(&self, out: &mut String) {
        out.push('{');
        write_field(out, "service_id", self.service_id);
        out.push_str(r#","properties":"#);
        out.push_str(self.properties);
        out.push(',');
        write_field(out, "event_time", &self.event_time.compact());
        out.push('}');
    }
}
