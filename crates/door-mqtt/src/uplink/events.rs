//! The events envelope (`iotda-device-access.md` §6). Only the time is served here; other events are taken and counted.

use std::fmt::Write as _;

use causeway_model::Timestamp;
use causeway_model::properties::write_json_string;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Malformed, begins_object};

#[derive(Deserialize)]
struct Envelope {
    #[serde(default)]
    object_device_id: Option<String>,
    services: Vec<Event>,
}

#[derive(Deserialize)]
struct Event {
    service_id: String,
    #[serde(default)]
    event_type: Option<String>,
    #[serde(default)]
    event_id: Option<String>,
    #[serde(default)]
    paras: Option<Box<RawValue>>,
}

/// What an envelope holds, as far as this door serves it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Events {
    /// How many events.
    pub(crate) count: usize,
    /// Payloads for `…/sys/events/down`.
    pub(crate) answers: Vec<String>,
}

/// Reads an envelope and answers its requests for the time (002 §2.1.2.4).
///
/// # Errors
/// [`Malformed::Json`].
pub(crate) fn take(payload: &[u8], own_id: &str, received: Timestamp, now: Timestamp) -> Result<Events, Malformed> {
    if !begins_object(payload) {
        return Err(Malformed::Json);
    }
    let envelope: Envelope = serde_json::from_slice(payload).map_err(|_| Malformed::Json)?;
    let object = envelope.object_device_id.as_deref().filter(|id| !id.is_empty()).unwrap_or(own_id);
    let answers = envelope
        .services
        .iter()
        .filter(|e| {
            e.service_id.trim_start_matches('$') == "time_sync" && e.event_type.as_deref() == Some("time_sync_request")
        })
        .map(|e| time_sync_response(object, e, received, now))
        .collect();
    Ok(Events { count: envelope.services.len(), answers })
}

/// The time that the device sent with its request; a number, or a string in the Python SDK.
fn device_send_time(event: &Event) -> Option<i64> {
    #[derive(Deserialize)]
    struct Paras {
        device_send_time: serde_json::Value,
    }
    let paras: Paras = serde_json::from_str(event.paras.as_ref()?.get()).ok()?;
    match paras.device_send_time {
        serde_json::Value::String(text) => text.parse().ok(),
        // Some devices compute the milliseconds in floating point.
        other => other.as_i64().or_else(|| other.as_f64().map(|n| n as i64)),
    }
}

fn time_sync_response(object: &str, event: &Event, received: Timestamp, now: Timestamp) -> String {
    let mut out = String::with_capacity(320);
    out.push_str(r#"{"object_device_id":"#);
    write_json_string(&mut out, object);
    out.push_str(r#","services":[{"service_id":"$time_sync","event_type":"time_sync_response","event_time":"#);
    write_json_string(&mut out, &now.compact());
    if let Some(id) = event.event_id.as_deref().filter(|id| !id.is_empty()) {
        out.push_str(r#","event_id":"#);
        write_json_string(&mut out, id);
    }
    out.push_str(r#","paras":{"#);
    if let Some(sent) = device_send_time(event) {
        let written = write!(out, r#""device_send_time":{sent},"#);
        debug_assert!(written.is_ok(), "writing to a String cannot fail");
    }
    // The guide says `server_rcv_time`, every SDK reads `server_recv_time` (`iotda-device-access.md` §1).
    let written = write!(
        out,
        r#""server_recv_time":{r},"server_rcv_time":{r},"server_send_time":{s}}}}}]}}"#,
        r = received.0,
        s = now.0
    );
    debug_assert!(written.is_ok(), "writing to a String cannot fail");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(payload: &str) -> Vec<serde_json::Value> {
        let events = take(payload.as_bytes(), "d1", Timestamp(10), Timestamp(12)).expect(payload);
        events.answers.iter().map(|a| serde_json::from_str(a).expect("valid JSON")).collect()
    }

    #[test]
    fn the_time_is_told_to_every_kind_of_request() {
        for (sent, expected) in
            [("\"1795308219612\"", 1_795_308_219_612_i64), ("1582685678789", 1_582_685_678_789), ("1.5e3", 1500)]
        {
            let payload = format!(
                r#"{{"object_device_id":"d1","services":[{{"service_id":"$time_sync","event_type":"time_sync_request",
                "event_time":null,"event_id":"e7","paras":{{"device_send_time":{sent}}}}}]}}"#
            );
            let answer = &answers(&payload)[0];
            let service = &answer["services"][0];
            assert_eq!(answer["object_device_id"], "d1");
            assert_eq!(
                (&service["service_id"], &service["event_type"]),
                (&"$time_sync".into(), &"time_sync_response".into())
            );
            assert_eq!(service["event_id"], "e7");
            assert_eq!(service["paras"]["device_send_time"], expected);
            assert_eq!(service["paras"]["server_recv_time"], 10);
            assert_eq!(service["paras"]["server_send_time"], 12);
        }
    }

    #[test]
    fn other_events_are_counted_only() {
        let text = r#"{"services":[{"service_id":"$log","event_type":"log_report","paras":{}},{"service_id":"x"}]}"#;
        let events = take(text.as_bytes(), "d1", Timestamp(0), Timestamp(0)).expect("events");
        assert_eq!((events.count, events.answers.len()), (2, 0));
        for text in ["", "{}", "[]", r#"{"services":{}}"#, r#"{"services":[{}]}"#] {
            assert_eq!(take(text.as_bytes(), "d1", Timestamp(0), Timestamp(0)), Err(Malformed::Json), "{text}");
        }
    }
}
