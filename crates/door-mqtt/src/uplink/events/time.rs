//! `$time_sync` (002 §2.1.2.4).

use causeway_model::service_event::EventBody;
use serde::Deserialize;

use super::Event;

#[derive(Default, Deserialize)]
struct Paras {
    #[serde(default)]
    device_send_time: serde_json::Value,
}

pub(super) fn read<'a>(event: &Event<'a>) -> Option<EventBody<'a>> {
    if event.kind() != "time_sync_request" {
        return None;
    }
    let device_send_time = match event.read::<Paras>().unwrap_or_default().device_send_time {
        // A string in the Python SDK.
        serde_json::Value::String(text) => text.parse().ok(),
        // Some devices compute the milliseconds in floating point.
        other => other.as_i64().or_else(|| other.as_f64().map(|n| n as i64)),
    };
    Some(EventBody::TimeSync { device_send_time })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::uplink::events::envelope;

    #[test]
    fn the_device_says_its_time_in_every_way() {
        for (sent, expected) in [
            ("\"1795308219612\"", Some(1_795_308_219_612_i64)),
            ("1582685678789", Some(1_582_685_678_789)),
            ("1.5e3", Some(1500)),
            ("null", None),
            ("\"now\"", None),
        ] {
            let text = format!(
                r#"{{"services":[{{"service_id":"$time_sync","event_type":"time_sync_request",
                "paras":{{"device_send_time":{sent}}}}}]}}"#
            );
            let events = envelope(text.as_bytes(), 1).expect("an envelope");
            assert_eq!(events.list[0].body, EventBody::TimeSync { device_send_time: expected }, "{sent}");
        }
    }
}
