//! `$sdk_info` and `$device_info` (002 §2.1.2.3), and the versions of `$ota` (002 §2.1.2.6).

use std::borrow::Cow;

use causeway_model::service_event::{DeviceVersions, EventBody};
use serde::Deserialize;

use super::{Event, filled};

/// A longer version is cut: it is for people.
const LONGEST: usize = 256;

#[derive(Default, Deserialize)]
struct Paras {
    #[serde(default)]
    device_sdk_version: serde_json::Value,
    #[serde(default)]
    sw_version: serde_json::Value,
    #[serde(default)]
    fw_version: serde_json::Value,
}

/// Null, "" and what is no text say nothing (`iotda-device-access.md` §6).
fn version<'a>(value: serde_json::Value) -> Option<Cow<'a, str>> {
    let serde_json::Value::String(mut text) = value else { return None };
    if let Some((at, _)) = text.char_indices().nth(LONGEST) {
        text.truncate(at);
    }
    filled(Some(text)).map(Cow::Owned)
}

fn versions<'a>(event: &Event<'a>) -> DeviceVersions<'a> {
    let paras: Paras = event.read().unwrap_or_default();
    DeviceVersions {
        sdk: version(paras.device_sdk_version),
        software: version(paras.sw_version),
        firmware: version(paras.fw_version),
    }
}

pub(super) fn read<'a>(event: &Event<'a>) -> Option<EventBody<'a>> {
    matches!(event.kind(), "sdk_info_report" | "device_info_report").then(|| EventBody::DeviceInfo(versions(event)))
}

/// What `$ota` says of versions.
pub(super) fn read_versions<'a>(event: &Event<'a>) -> Option<EventBody<'a>> {
    (event.kind() == "version_report").then(|| EventBody::VersionReport(versions(event)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::uplink::events::envelope;

    #[test]
    fn null_and_empty_versions_say_nothing() {
        let text = r#"{"services":[{"service_id":"$sdk_info","event_type":"sdk_info_report","paras":
            {"device_sdk_version":"C_v1","sw_version":"","fw_version":null}}]}"#;
        let events = envelope(text.as_bytes(), 1).expect("an envelope");
        let expected = DeviceVersions { sdk: Some("C_v1".into()), ..DeviceVersions::default() };
        assert_eq!(events.list[0].body, EventBody::DeviceInfo(expected));
    }

    #[test]
    fn a_long_version_is_cut_between_characters() {
        let long = serde_json::Value::String("é".repeat(300));
        assert_eq!(version(long).map(|v| v.chars().count()), Some(LONGEST));
    }
}
