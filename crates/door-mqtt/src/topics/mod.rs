//! Whose a topic is and what it stands for. One file a dialect; nothing here allocates.

pub(crate) mod system;
pub(crate) mod user;

use causeway_model::policy::TopicAction;
use causeway_model::registry::CustomTopic;
use causeway_platform::uplink::DeviceContext;
use causeway_wire::mqtt::topic::matches;
use causeway_wire::mqtt::{QoS, ReasonCode};

/// Where a topic lies, seen from one device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place<'a> {
    /// `$oc/devices/{own id}/sys/…`: what stands after `sys/`.
    System(&'a str),
    /// `$oc/devices/{own id}/user/…`: what stands after `user/`.
    User(&'a str),
    /// `$oc/devices/{another id}/…`.
    OtherDevice {
        /// That id.
        device: &'a str,
        /// What stands after it and its slash.
        rest: &'a str,
    },
    /// Anything else that begins with `$`: bridges, device to device, forms that do not exist, and what servers keep for
    /// themselves (3.1.1 §4.7.2).
    Reserved,
    /// A topic that the platform did not declare; the device's own affair.
    Free,
}

/// Finds the place of a topic name.
pub(crate) fn place<'a>(topic: &'a str, own_id: &str) -> Place<'a> {
    if !topic.starts_with('$') {
        return Place::Free;
    }
    let Some(rest) = topic.strip_prefix("$oc/devices/") else { return Place::Reserved };
    if let Some(own) = rest.strip_prefix(own_id).and_then(|r| r.strip_prefix('/')) {
        if let Some(system) = own.strip_prefix("sys/") {
            return Place::System(system);
        }
        return match own.strip_prefix("user/") {
            Some(suffix) => Place::User(suffix),
            None => Place::Reserved,
        };
    }
    match rest.split_once('/') {
        Some((device, rest)) if device != own_id => Place::OtherDevice { device, rest },
        _ => Place::Reserved,
    }
}

/// Where broadcasts of applications come (`iotda-v5-api.md`, `broadcast_message`).
pub(crate) const BROADCAST: &str = "$oc/broadcast/";

/// Whether a device may subscribe to a filter (without share name), and the best QoS it gets there.
///
/// # Errors
/// The reason for the SUBACK.
pub(crate) fn judge_filter(
    filter: &str,
    own_id: &str,
    declared: &[CustomTopic],
    max_topic: usize,
) -> Result<QoS, ReasonCode> {
    // A wildcard on the first level never matches a topic that begins with `$` [MQTT-4.7.2-1].
    if !filter.starts_with('$') {
        let fits = filter.len() <= max_topic;
        return if fits { Ok(QoS::ExactlyOnce) } else { Err(ReasonCode::TOPIC_FILTER_INVALID) };
    }
    if filter.strip_prefix(BROADCAST).is_some_and(|rest| !rest.is_empty()) {
        let fits = filter.len() <= max_topic;
        return if fits { Ok(QoS::AtLeastOnce) } else { Err(ReasonCode::TOPIC_FILTER_INVALID) };
    }
    let own = filter
        .strip_prefix("$oc/devices/")
        .and_then(|rest| rest.strip_prefix(own_id))
        .and_then(|rest| rest.strip_prefix('/'))
        .ok_or(ReasonCode::NOT_AUTHORIZED)?;
    let (level, rest) = own.split_once('/').unwrap_or((own, ""));
    match level {
        // What the platform says comes with QoS 1 at best.
        "sys" => Ok(QoS::AtLeastOnce),
        "user" if user::may_subscribe(declared, |suffix| matches(rest, suffix)) => Ok(QoS::ExactlyOnce),
        "+" | "#" => Ok(QoS::ExactlyOnce),
        _ => Err(ReasonCode::NOT_AUTHORIZED),
    }
}

/// Whether device policies let a device subscribe to a filter (without share name). They say nothing of what begins with
/// `$`: those topics are the platform's and the product's (`docs/mqtt.md`, device policies).
pub(crate) fn is_permitted(device: &DeviceContext, filter: &str) -> bool {
    filter.starts_with('$') || device.policies_allow(TopicAction::Subscribe, filter)
}

#[cfg(test)]
mod tests {
    use causeway_model::registry::TopicRight;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn places() {
        let own = "p_d";
        for (topic, expected) in [
            ("$oc/devices/p_d/sys/properties/report", Place::System("properties/report")),
            ("$oc/devices/p_d/user/a/b", Place::User("a/b")),
            ("$oc/devices/p_d/other", Place::Reserved),
            ("$oc/devices/p_d/", Place::Reserved),
            ("$oc/devices/p_d", Place::Reserved),
            ("$oc/devices/p_dx/sys/x", Place::OtherDevice { device: "p_dx", rest: "sys/x" }),
            ("$oc/devices/p/sys/x", Place::OtherDevice { device: "p", rest: "sys/x" }),
            ("$oc/m2m/to/a/from/b/request_id=1", Place::Reserved),
            ("$oc/bridges/b/devices/d/sys/x", Place::Reserved),
            ("$oc", Place::Reserved),
            ("$ocx/devices/a", Place::Reserved),
            ("$SYS/broker", Place::Reserved),
            ("/huawei/v1/devices/p_d/data/json", Place::Free),
            ("", Place::Free),
        ] {
            assert_eq!(place(topic, own), expected, "{topic}");
        }
    }

    fn declared() -> Vec<CustomTopic> {
        let topic =
            |topic: &str, right| CustomTopic { id: String::new(), topic: topic.to_owned(), right, description: None };
        vec![topic("up", TopicRight::Publish), topic("down/x", TopicRight::Subscribe), topic("both", TopicRight::All)]
    }

    #[test]
    fn filters_of_section_3_and_foreign_ones() {
        let judge = |filter: &str| judge_filter(filter, "d", &declared(), 128).map_err(|r| r.0);
        for filter in [
            "$oc/devices/d/sys/commands/#",
            "$oc/devices/d/sys/messages/down",
            "$oc/devices/d/sys/properties/set/#",
            "$oc/devices/d/sys/properties/get/#",
            "$oc/devices/d/sys/shadow/get/response/#",
            "$oc/devices/d/sys/events/down",
            "$oc/devices/d/sys/#",
            "$oc/broadcast/news",
            "$oc/broadcast/+/x",
            "$oc/broadcast/#",
        ] {
            assert_eq!(judge(filter), Ok(QoS::AtLeastOnce), "{filter}");
        }
        for filter in [
            "$oc/devices/d/user/down/x",
            "$oc/devices/d/user/#",
            "$oc/devices/d/user/+/x",
            "$oc/devices/d/user/both",
            "$oc/devices/d/#",
            "$oc/devices/d/+/messages/down",
            "#",
            "+/a",
            "/huawei/v1/devices/d/command/json",
        ] {
            assert_eq!(judge(filter), Ok(QoS::ExactlyOnce), "{filter}");
        }
        for filter in [
            "$oc/devices/d/user/up",
            "$oc/devices/d/user/none",
            "$oc/devices/d/user",
            "$oc/devices/e/sys/commands/#",
            "$oc/devices/dd/sys/commands/#",
            "$oc/devices/+/sys/commands/#",
            "$oc/devices/#",
            "$oc/#",
            "$oc",
            "$SYS/#",
            "$share/g/x",
            "$oc/+/d/sys/#",
            "$oc/m2m/to/d/#",
            "$oc/bridges/b/devices/+/sys/#",
            "$oc/devices/d/else",
            "$oc/broadcast/",
            "$oc/broadcast",
            "$oc/broadcasts/x",
        ] {
            assert_eq!(judge(filter), Err(0x87), "{filter}");
        }
        assert_eq!(judge(&"x".repeat(129)), Err(0x8F));
    }

    proptest! {
        /// Whatever the filter, if it is granted then it matches no topic of another device.
        #[test]
        fn no_granted_filter_reaches_another_device(
            levels in prop::collection::vec(prop::sample::select(vec!["$oc", "devices", "d", "e", "sys", "user", "+", "messages", "down", ""]), 1..7),
            hash in any::<bool>(),
        ) {
            let mut filter = levels.join("/");
            if hash {
                filter.push_str("/#");
            }
            if judge_filter(&filter, "d", &declared(), 128).is_ok() {
                for topic in ["$oc/devices/e/sys/messages/down", "$oc/devices/e/user/both", "$oc/devices/e", "$oc/m2m/to/d"] {
                    prop_assert!(!matches(&filter, topic), "{} {}", filter, topic);
                }
            }
        }

        #[test]
        fn places_of_any_text(topic in r"(\$oc/)?(devices/)?[de/+#$?=a-z]{0,40}") {
            let _ = place(&topic, "d");
        }
    }
}
