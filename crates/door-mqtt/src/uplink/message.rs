//! Messages: any bytes, with one field that matters (002 §2.1.2.9.1).

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::begins_object;
use super::report::Text;

#[derive(Deserialize)]
struct Standard<'a> {
    #[serde(borrow, default)]
    object_device_id: Option<&'a RawValue>,
}

/// The device a message speaks for, when its payload is an object that names one; an empty name is none
/// (`iotda-device-access.md` §5). The payload is not judged otherwise.
pub(crate) fn object_device_id(payload: &[u8]) -> Option<Cow<'_, str>> {
    if !begins_object(payload) {
        return None;
    }
    let standard: Standard<'_> = serde_json::from_slice(payload).ok()?;
    let id: Text<'_> = serde_json::from_str(standard.object_device_id?.get()).ok()?;
    Some(id.0).filter(|id| !id.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_name_in_an_object_counts() {
        for (payload, expected) in [
            (r#"{"object_device_id":"c1","content":{"a":[1]}}"#, Some("c1")),
            (r#" {"object_device_id":"","content":"x"}"#, None),
            (r#"{"object_device_id":null}"#, None),
            (r#"{"object_device_id":7}"#, None),
            (r#"{"content":"x"}"#, None),
            (r#"{"object_device_id":"c1"#, None),
            (r#"["object_device_id"]"#, None),
            ("hello", None),
            ("", None),
        ] {
            assert_eq!(object_device_id(payload.as_bytes()).as_deref(), expected, "{payload}");
        }
        assert_eq!(object_device_id(b"{\"object_device_id\":\"c\xff\"}"), None);
    }
}
