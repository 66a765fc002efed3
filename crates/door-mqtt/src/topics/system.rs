//! The system topics, `$oc/devices/{id}/sys/…` (002 §2.1.2.12, `iotda-device-access.md` §4).

/// What a device says on a system topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Up<'a> {
    /// Its properties.
    Report,
    /// Properties of devices behind it.
    SubDeviceReport,
    /// A message.
    Message,
    /// Events.
    Events,
    /// The answer to a command: the request id.
    CommandAnswer(&'a str),
    /// The answer to a property set: the request id.
    SetAnswer(&'a str),
    /// The answer to a property get: the request id.
    GetAnswer(&'a str),
    /// It asks for its shadow: the request id, verbatim, because it is echoed.
    ShadowGet(&'a str),
}

/// What may stand after a `?` of an uplink topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Query<'a> {
    /// `encoding=…`; only `gzip` is known.
    pub(crate) encoding: Option<&'a str>,
    /// `request_id=…`: the device's own id of what it says, for tracing.
    pub(crate) request_id: Option<&'a str>,
}

/// Parts the suffix query from a topic.
pub(crate) fn split_query(topic: &str) -> (&str, Query<'_>) {
    let Some((topic, text)) = topic.split_once('?') else { return (topic, Query::default()) };
    let mut query = Query::default();
    for part in text.split('&') {
        match part.split_once('=') {
            Some(("encoding", value)) => query.encoding = Some(value),
            Some(("request_id", value)) => query.request_id = Some(value),
            _ => {}
        }
    }
    (topic, query)
}

/// Ids that the platform made never end in `}`; the ArkTS SDK appends one (`iotda-device-access.md` §4).
fn platform_id(id: &str) -> &str {
    id.strip_suffix('}').unwrap_or(id)
}

/// Reads what stands after `sys/`. `None` for downlink topics and for what does not exist.
pub(crate) fn up(rest: &str) -> Option<(Up<'_>, Query<'_>)> {
    if let Some(id) = rest.strip_prefix("shadow/get/request_id=") {
        return Some((Up::ShadowGet(id), Query::default()));
    }
    let (path, query) = split_query(rest);
    let up = match path {
        "properties/report" => Up::Report,
        "messages/up" => Up::Message,
        "events/up" => Up::Events,
        "gateway/sub_devices/properties/report" => Up::SubDeviceReport,
        _ => {
            if let Some(id) = path.strip_prefix("commands/response/request_id=") {
                Up::CommandAnswer(platform_id(id))
            } else if let Some(id) = path.strip_prefix("properties/set/response/request_id=") {
                Up::SetAnswer(platform_id(id))
            } else if let Some(id) = path.strip_prefix("properties/get/response/request_id=") {
                Up::GetAnswer(platform_id(id))
            } else {
                return None;
            }
        }
    };
    Some((up, query))
}

/// Whether what stands after `sys/` is a downlink topic: every device has these without subscribing (002 §2.1.2.12).
pub(crate) fn is_down(rest: &str) -> bool {
    matches!(rest, "messages/down" | "events/down")
        || ["commands/", "properties/set/", "properties/get/", "shadow/get/response/"]
            .iter()
            .any(|path| rest.strip_prefix(path).is_some_and(|id| id.starts_with("request_id=")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(rest: &str, expected: Option<Up<'_>>) {
        assert_eq!(up(rest).map(|(u, _)| u), expected, "{rest}");
    }

    #[test]
    fn uplinks() {
        check("properties/report", Some(Up::Report));
        check("properties/report?encoding=gzip", Some(Up::Report));
        check("gateway/sub_devices/properties/report", Some(Up::SubDeviceReport));
        check("messages/up?request_id=7", Some(Up::Message));
        check("events/up", Some(Up::Events));
        check("commands/response/request_id=abc", Some(Up::CommandAnswer("abc")));
        check("properties/set/response/request_id=abc", Some(Up::SetAnswer("abc")));
        check("properties/get/response/request_id=abc}", Some(Up::GetAnswer("abc")));
        check("shadow/get/request_id=a}?b=c&d", Some(Up::ShadowGet("a}?b=c&d")));
        check("properties/reports", None);
        check("commands/request_id=abc", None);
        check("messages/down", None);
        check("bootstrap/up", None);
        check("", None);
    }

    #[test]
    fn queries() {
        let (up, query) = up("messages/up?request_id=a=b&encoding=gzip&x").expect("known");
        assert_eq!((up, query.encoding, query.request_id), (Up::Message, Some("gzip"), Some("a=b")));
    }

    #[test]
    fn downlinks() {
        for rest in [
            "messages/down",
            "events/down",
            "commands/request_id=1",
            "properties/set/request_id=1",
            "shadow/get/response/request_id=",
        ] {
            assert!(is_down(rest), "{rest}");
        }
        for rest in
            ["messages/up", "commands/response/request_id=1", "commands/", "properties/set/response/request_id=1"]
        {
            assert!(!is_down(rest), "{rest}");
        }
    }

    proptest! {
        /// No topic is both an uplink and a downlink, so nothing that a device says comes back to it.
        #[test]
        fn up_and_down_exclude_each_other(rest in "(messages|properties|commands|shadow|events)(/(up|down|get|set|report|response|request_id=[a-z}?]{0,3})){1,4}") {
            prop_assert!(up(&rest).is_none() || !is_down(&rest), "{}", rest);
        }
    }
}
