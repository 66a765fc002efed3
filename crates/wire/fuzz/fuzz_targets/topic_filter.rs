//! A topic filter and, after a line break, a topic name: the same filters are legal alone and in a SUBSCRIBE, and matching
//! agrees with a second, recursive reading of 3.1.1 §4.7.

#![no_main]

use causeway_wire::mqtt::topic::{TopicFilter, check_name};
use causeway_wire::mqtt::*;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let (text, name) = text.split_once('\n').unwrap_or((text, ""));
    for version in [Version::V31, Version::V311, Version::V5] {
        let parsed = TopicFilter::parse(text, version);
        let subscription = [Subscription::new(text, QoS::AtMostOnce)];
        let subscribe = Subscribe {
            packet_id: PacketId::MIN,
            properties: Properties::default(),
            subscriptions: Sequence::from(&subscription),
        };
        let mut buf = Vec::new();
        let encoded = encode_subscribe(&mut buf, version, &subscribe);
        assert_eq!(encoded.is_ok(), parsed.is_ok(), "{text:?}");
        let Ok(filter) = parsed else { continue };
        assert!(text.ends_with(filter.filter) && !filter.filter.is_empty());
        if let Some(share) = filter.share {
            assert_eq!(text, format!("$share/{share}/{}", filter.filter));
        }
        if check_name(name).is_ok() {
            assert_eq!(filter.matches(name), reference(filter.filter, name), "{filter:?} {name:?}");
        }
    }
    // A legal name is a filter that matches itself and nothing else.
    if check_name(name).is_ok() {
        let filter = TopicFilter::parse(name, Version::V311).expect("has no wildcard");
        assert!(filter.matches(name));
        assert_eq!(filter.matches(text), name == text);
    }
});

fn reference(filter: &str, name: &str) -> bool {
    let wildcard_first = filter.starts_with('+') || filter.starts_with('#');
    let filter: Vec<&str> = filter.split('/').collect();
    let name_levels: Vec<&str> = name.split('/').collect();
    !(wildcard_first && name.starts_with('$')) && levels_match(&filter, &name_levels)
}

fn levels_match(filter: &[&str], name: &[&str]) -> bool {
    match (filter, name) {
        (["#"], _) => true,
        ([], []) => true,
        (["+", filter @ ..], [_, name @ ..]) => levels_match(filter, name),
        ([wanted, filter @ ..], [level, name @ ..]) => wanted == level && levels_match(filter, name),
        _ => false,
    }
}
