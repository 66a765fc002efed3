//! `$log` (002 §2.1.2.2.2).

use std::borrow::Cow;

use causeway_model::Timestamp;
use causeway_model::service_event::{EventBody, LogReport};
use serde::Deserialize;

use super::Event;

/// A longer word for the kind of a line is cut.
const LONGEST_KIND: usize = 64;
/// Below, a time is in seconds; above, in milliseconds: the first is in the year 5138, the second in 1973.
const SECONDS_END: i64 = 100_000_000_000;

#[derive(Default, Deserialize)]
struct Paras {
    #[serde(default)]
    timestamp: serde_json::Value,
    #[serde(default)]
    r#type: String,
    #[serde(default)]
    content: serde_json::Value,
}

fn time(value: &serde_json::Value) -> Option<Timestamp> {
    let n = match value {
        serde_json::Value::String(text) => text.trim().parse().ok().or_else(|| Timestamp::parse(text).map(|t| t.0))?,
        other => other.as_i64()?,
    };
    (n > 0).then(|| Timestamp(if n < SECONDS_END { n * 1000 } else { n }))
}

pub(super) fn read<'a>(event: &Event<'a>) -> Option<EventBody<'a>> {
    if event.kind() != "log_report" {
        return None;
    }
    let paras: Paras = event.read()?;
    let content = match paras.content {
        serde_json::Value::Null => return None,
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    };
    let at = time(&paras.timestamp);
    let kind = paras.r#type.chars().take(LONGEST_KIND).collect();
    Some(EventBody::Log(LogReport { at, kind, content: Cow::Owned(content) }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::uplink::events::envelope;

    #[test]
    fn a_line_with_a_time_in_seconds_or_milliseconds() {
        for (timestamp, expected) in [
            (r#""1235668997""#, Some(1_235_668_997_000)),
            (r#""1795308218611""#, Some(1_795_308_218_611)),
            ("1795308218611", Some(1_795_308_218_611)),
            (r#""20151212T121212Z""#, Some(1_449_922_332_000)),
            (r#""soon""#, None),
            ("null", None),
        ] {
            let text = format!(
                r#"{{"services":[{{"service_id":"$log","event_type":"log_report",
                "paras":{{"timestamp":{timestamp},"type":"DEVICE_STATUS","content":"up"}}}}]}}"#
            );
            let events = envelope(text.as_bytes(), 1).expect("an envelope");
            let log = LogReport { at: expected.map(Timestamp), kind: "DEVICE_STATUS".to_owned(), content: "up".into() };
            assert_eq!(events.list[0].body, EventBody::Log(log), "{timestamp}");
        }
    }

    #[test]
    fn a_line_without_content_is_none() {
        let text = r#"{"services":[{"service_id":"$log","event_type":"log_report","paras":{"type":"x"}}]}"#;
        assert_eq!(envelope(text.as_bytes(), 1).expect("an envelope").list[0].body, EventBody::Unserved);
    }
}
