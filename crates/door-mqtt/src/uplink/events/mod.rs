//! The events envelope (`iotda-device-access.md` §6): one file a service. Service names count with and without their
//! dollar, because some SDKs leave it out.

mod file;
mod gateway;
mod info;
mod log;
mod time;

use std::borrow::Cow;

use causeway_model::Timestamp;
use causeway_model::service_event::{EventBody, Events, ServiceEvent};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::{Malformed, begins_object};

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default)]
    object_device_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    services: Vec<Event<'a>>,
}

/// One event as it stands in the envelope.
#[derive(Deserialize)]
pub(super) struct Event<'a> {
    #[serde(borrow)]
    pub(super) service_id: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(super) event_type: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    event_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    event_time: Option<&'a RawValue>,
    #[serde(borrow, default)]
    paras: Option<&'a RawValue>,
}

impl<'a> Event<'a> {
    /// The type of the event; "" when there is none.
    pub(super) fn kind(&self) -> &str {
        self.event_type.as_deref().unwrap_or_default()
    }

    /// The text of `paras`, when it is an object.
    pub(super) fn paras(&self) -> &'a str {
        self.paras.map(RawValue::get).filter(|text| text.starts_with('{')).unwrap_or("{}")
    }

    /// Reads `paras`; `None` when it has not the documented form.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_str(self.paras()).ok()
    }
}

/// Present and not empty: SDKs send "" for what they do not know.
pub(super) fn filled<T: AsRef<str>>(text: Option<T>) -> Option<T> {
    text.filter(|text| !text.as_ref().is_empty())
}

/// Reads an envelope. An event that has not the documented form becomes [`EventBody::Unserved`]; the others of its envelope
/// count.
///
/// # Errors
/// [`Malformed::Json`]; [`Malformed::TooManyEvents`] beyond `limit`.
pub(crate) fn envelope(payload: &[u8], limit: usize) -> Result<Events<'_>, Malformed> {
    if !begins_object(payload) {
        return Err(Malformed::Json);
    }
    let envelope: Envelope<'_> = serde_json::from_slice(payload).map_err(|_| Malformed::Json)?;
    if envelope.services.len() > limit {
        return Err(Malformed::TooManyEvents);
    }
    let list = envelope.services.into_iter().map(service_event).collect();
    Ok(Events { object_device_id: filled(envelope.object_device_id), list })
}

fn service_event(event: Event<'_>) -> ServiceEvent<'_> {
    let body = body(&event);
    let event_time = event.event_time.and_then(|raw| serde_json::from_str::<Cow<'_, str>>(raw.get()).ok());
    ServiceEvent {
        event_time: event_time.and_then(|text| Timestamp::parse(&text)),
        event_id: filled(event.event_id).filter(|id| id.len() <= MAX_EVENT_ID),
        body,
    }
}

/// A longer event id is not echoed.
const MAX_EVENT_ID: usize = 128;

fn body<'a>(event: &Event<'a>) -> EventBody<'a> {
    let served = match event.service_id.trim_start_matches('$') {
        "time_sync" => time::read(event),
        "sdk_info" | "device_info" => info::read(event),
        "file_manager" => file::read(event),
        "ota" => info::read_versions(event),
        "log" => log::read(event),
        "sub_device_manager" => gateway::read(event),
        "sub_device_discovery" => gateway::read_discovery(event),
        _ if event.service_id.starts_with('$') => None,
        _ => Some(EventBody::Model {
            service_id: event.service_id.clone(),
            event_type: event.event_type.clone().unwrap_or_default(),
            paras: event.paras(),
        }),
    };
    served.unwrap_or(EventBody::Unserved)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_is_read_event_by_event() {
        let text = r#"{"object_device_id":"","services":[
            {"service_id":"$nobody","event_type":"x","event_id":"","event_time":7},
            {"service_id":"time_sync","event_type":"time_sync_request","event_id":"e1","event_time":"20151212T121212Z"},
            {"service_id":"meter","event_type":"alarm","paras":{"a": 1.0}},
            {"service_id":"$sdk_info","event_type":"sdk_info_report","paras":[]}]}"#;
        let events = envelope(text.as_bytes(), 4).expect("an envelope");
        assert_eq!(events.object_device_id, None);
        let bodies: Vec<_> = events.list.iter().map(|e| e.body.clone()).collect();
        assert_eq!(bodies[0], EventBody::Unserved);
        assert_eq!(bodies[1], EventBody::TimeSync { device_send_time: None });
        let (service_id, event_type) = (Cow::Borrowed("meter"), Cow::Borrowed("alarm"));
        assert_eq!(bodies[2], EventBody::Model { service_id, event_type, paras: r#"{"a": 1.0}"# });
        assert_eq!(bodies[3], EventBody::DeviceInfo(causeway_model::service_event::DeviceVersions::default()));
        assert_eq!(events.list[0].event_id, None);
        assert_eq!(events.list[1].event_id.as_deref(), Some("e1"));
        assert_eq!(events.list[1].event_time.map(Timestamp::compact).as_deref(), Some("20151212T121212Z"));
        assert_eq!(envelope(text.as_bytes(), 3), Err(Malformed::TooManyEvents));
    }

    #[test]
    fn what_is_no_envelope_is_malformed() {
        for text in ["", "{}", "[]", r#"{"services":{}}"#, r#"{"services":[{}]}"#, r#"{"services":[]} x"#] {
            assert_eq!(envelope(text.as_bytes(), 9), Err(Malformed::Json), "{text}");
        }
        assert_eq!(envelope(br#"{"object_device_id":"c1","services":[]}"#, 9).expect("empty").list.len(), 0);
    }
}
