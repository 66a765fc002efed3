//! The readers of foreign text, for the fuzzers in `fuzz/` and nobody else. Each panics when a promise is broken.

use causeway_model::registry::{CustomTopic, TopicRight};
use causeway_wire::mqtt::Version;
use causeway_wire::mqtt::topic::{TopicFilter, matches};

use crate::client_id::ClientId;
use crate::topics::{Place, judge_filter, place, system};
use crate::uplink::{events, gzip, message, report, shadow};

/// Payloads of all system topics. A report has the services that a plain JSON reader sees.
pub fn report_json(payload: &[u8]) {
    // The plain reader refuses more: numbers beyond f64, half surrogates, deep nesting. The product model judges those.
    if let Ok(services) = report::report(payload)
        && let Ok(value) = serde_json::from_slice::<serde_json::Value>(payload)
    {
        let plain = value["services"].as_array().expect("with a list of services");
        assert_eq!(plain.len(), services.len());
        for (plain, service) in plain.iter().zip(&services) {
            assert_eq!(plain["service_id"].as_str(), Some(&*service.service_id));
            let properties: serde_json::Value = serde_json::from_str(service.properties).expect("raw JSON");
            assert_eq!(plain["properties"], properties);
        }
    }
    if let Ok(devices) = report::sub_device_report(payload, 3) {
        assert!(devices.len() <= 3);
    }
    if let Some(id) = message::object_device_id(payload) {
        assert!(!id.is_empty());
    }
    if let Ok(events) = events::envelope(payload, 7) {
        assert!(events.list.len() <= 7);
    }
    let _ = shadow::request(payload);
    if let Ok(unpacked) = gzip::unpack(payload, Some("gzip"), 4096) {
        assert!(unpacked.len() <= 4096);
    }
}

/// Topic names, filters and client ids. No filter that is granted reaches another device's topics, and no topic is both an
/// uplink and a downlink.
pub fn topic(text: &str) {
    let own = "d";
    if let Place::System(rest) = place(text, own) {
        assert!(system::up(rest).is_none() || !system::is_down(rest));
    }
    let declared =
        [CustomTopic { id: String::new(), topic: "a/b".to_owned(), right: TopicRight::All, description: None }];
    if let Ok(filter) = TopicFilter::parse(text, Version::V5)
        && judge_filter(filter.filter, own, &declared, 128).is_ok()
    {
        for topic in ["$oc/devices/e/sys/messages/down", "$oc/devices/e/user/a/b", "$oc/devices/e/", "$SYS/x"] {
            assert!(!matches(filter.filter, topic), "{text} reaches {topic}");
        }
    }
    if let Some(client) = ClientId::parse(text) {
        assert!(text.starts_with(client.device_id) && text.ends_with(client.timestamp));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn promises_hold_for_text_that_is_nearly_right(
            payload in r#"\{"(services|devices|object_device_id)":(\[(\{"(service_id|device_id)":"[a-z\\"]{0,3}",?"(properties|services)":(\{\}|\[\]|1)\},?){0,5}\]|"x")\}"#,
            text in r"(\$share/[a-z+]{0,2}/)?(\$oc/devices/)?[de]?(/sys|/user|/\+|/#|/a|/b|/messages|/down){0,5}",
            client in "[de_]{0,6}_0_[0-3]_[0-9]{9,11}",
        ) {
            super::report_json(payload.as_bytes());
            super::topic(&text);
            super::topic(&client);
        }
    }
}
