//! A device asks for its shadow (002 §2.1.2.8.5).

use std::fmt::Write as _;

use causeway_model::properties::write_json_string;
use causeway_model::shadow::{ServiceShadow, ShadowSide};
use serde::Deserialize;

use super::{Malformed, begins_object};

/// What the device asks for.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct ShadowRequest {
    /// The device meant, when not itself.
    #[serde(default)]
    pub(crate) object_device_id: Option<String>,
    /// The service; all when absent, null or empty.
    #[serde(default)]
    pub(crate) service_id: Option<String>,
}

/// Reads the request; an empty payload asks for everything.
///
/// # Errors
/// [`Malformed::Json`].
pub(crate) fn request(payload: &[u8]) -> Result<ShadowRequest, Malformed> {
    if payload.iter().all(u8::is_ascii_whitespace) {
        return Ok(ShadowRequest::default());
    }
    if !begins_object(payload) {
        return Err(Malformed::Json);
    }
    serde_json::from_slice(payload).map_err(|_| Malformed::Json)
}

fn side(out: &mut String, name: &str, side: Option<&ShadowSide>) {
    let written = match side {
        // Devices index both members without asking whether they are there.
        None => write!(out, r#""{name}":{{"properties":{{}},"event_time":null}},"#),
        Some(side) => write!(
            out,
            r#""{name}":{{"properties":{},"event_time":"{}"}},"#,
            side.properties.as_str(),
            side.event_time.compact()
        ),
    };
    debug_assert!(written.is_ok(), "writing to a String cannot fail");
}

/// The answer; `shadow` is a list even when empty, because the Python SDK iterates over it.
pub(crate) fn answer(object: &str, shadow: &[ServiceShadow]) -> String {
    let mut out = String::from(r#"{"object_device_id":"#);
    write_json_string(&mut out, object);
    out.push_str(r#","shadow":["#);
    for (i, service) in shadow.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        out.push_str(r#"{"service_id":"#);
        write_json_string(&mut out, &service.service_id);
        out.push(',');
        side(&mut out, "desired", service.desired.as_ref());
        side(&mut out, "reported", service.reported.as_ref());
        let written = write!(out, r#""version":{}}}"#, service.version);
        debug_assert!(written.is_ok(), "writing to a String cannot fail");
    }
    out.push_str("]}");
    out
}

#[cfg(test)]
mod tests {
    use causeway_model::Timestamp;
    use causeway_model::properties::PropertyObject;

    use super::*;

    #[test]
    fn requests_of_all_sdks() {
        for text in ["", " \n", "{}", r#"{"service_id":null}"#, r#"{"object_device_id":null,"service_id":null}"#] {
            assert_eq!(request(text.as_bytes()), Ok(ShadowRequest::default()), "{text}");
        }
        let named = request(br#"{"object_device_id":"c","service_id":"s","x":1}"#).expect("request");
        assert_eq!((named.object_device_id.as_deref(), named.service_id.as_deref()), (Some("c"), Some("s")));
        for text in ["[]", "x", r#"{"service_id":7}"#] {
            assert_eq!(request(text.as_bytes()), Err(Malformed::Json), "{text}");
        }
    }

    #[test]
    fn answers_have_both_sides_and_a_list() {
        assert_eq!(answer("d", &[]), r#"{"object_device_id":"d","shadow":[]}"#);
        let mut shadow = ServiceShadow::new("s");
        let object = PropertyObject::parse(r#"{"temperature":60}"#).expect("object");
        shadow.desire(&object, None, Timestamp(1_449_922_332_000)).expect("first version");
        assert_eq!(
            answer("d", &[shadow]),
            r#"{"object_device_id":"d","shadow":[{"service_id":"s","desired":{"properties":{"temperature":60},"event_time":"20151212T121212Z"},"reported":{"properties":{},"event_time":null},"version":1}]}"#
        );
    }
}
