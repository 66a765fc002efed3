//! Messages of applications: topic, payload and MQTT 5 properties (002 §2.1.2.9.2, `iotda-device-access.md` §5).

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use causeway_model::message::{DeviceMessage, Encoding, MessageTopic, PayloadFormat};
use causeway_model::properties::write_json_string;
use causeway_wire::mqtt::Property;
use causeway_wire::mqtt::topic::check_name;
use serde::Deserialize;

/// The topic of a message on the connection of `own_id`.
pub(crate) fn topic<'a>(own_id: &str, topic: &'a MessageTopic) -> Cow<'a, str> {
    match topic {
        MessageTopic::System => Cow::Owned(["$oc/devices/", own_id, "/sys/messages/down"].concat()),
        MessageTopic::Custom(suffix) => Cow::Owned(["$oc/devices/", own_id, "/user/", suffix].concat()),
        MessageTopic::Full(topic) => Cow::Borrowed(topic),
    }
}

/// `content` as text: the string itself, or the JSON of an object.
fn text(content: &str) -> Cow<'_, str> {
    match serde_json::from_str::<String>(content) {
        Ok(text) => Cow::Owned(text),
        Err(_) => Cow::Borrowed(content),
    }
}

/// The payload; `None` when the content is said to be base64 and is not.
///
/// The standard form has exactly the four members that the SDKs take for it, and its content is always a string.
pub(crate) fn payload(object_device_id: &str, message: &DeviceMessage) -> Option<Vec<u8>> {
    let content = text(&message.content);
    match message.format {
        PayloadFormat::Raw => match message.encoding {
            Encoding::None => Some(content.into_owned().into_bytes()),
            Encoding::Base64 => STANDARD.decode(content.trim()).ok(),
        },
        PayloadFormat::Standard => {
            let mut out = String::with_capacity(content.len() + 128);
            out.push_str(r#"{"object_device_id":"#);
            write_json_string(&mut out, object_device_id);
            out.push_str(r#","name":"#);
            match &message.name {
                Some(name) => write_json_string(&mut out, name),
                None => out.push_str("null"),
            }
            out.push_str(r#","id":"#);
            write_json_string(&mut out, &message.id);
            out.push_str(r#","content":"#);
            // Base64 goes with the raw form; in a JSON string it stays as the application wrote it.
            write_json_string(&mut out, &content);
            out.push('}');
            Some(out.into_bytes())
        }
    }
}

/// `PropertiesDTO` of the API.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct MessageProperties {
    #[serde(default)]
    correlation_data: Option<String>,
    #[serde(default)]
    response_topic: Option<String>,
    #[serde(default)]
    user_properties: Option<Vec<UserProperty>>,
}

#[derive(Debug, Deserialize)]
struct UserProperty {
    prop_key: String,
    #[serde(default)]
    prop_value: Option<String>,
}

impl MessageProperties {
    /// Reads what the API kept; what it cannot hold is left out.
    pub(crate) fn read(json: Option<&str>) -> Self {
        json.and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default()
    }

    /// The properties for the wire.
    pub(crate) fn list(&self) -> Vec<Property<'_>> {
        let fits = |text: &str| text.len() <= usize::from(u16::MAX) && !text.contains('\0');
        let mut list = Vec::new();
        if let Some(topic) = self.response_topic.as_deref().filter(|t| check_name(t).is_ok()) {
            list.push(Property::ResponseTopic(topic));
        }
        if let Some(data) = self.correlation_data.as_deref().filter(|d| d.len() <= usize::from(u16::MAX)) {
            list.push(Property::CorrelationData(data.as_bytes()));
        }
        for property in self.user_properties.iter().flatten() {
            let value = property.prop_value.as_deref().unwrap_or_default();
            if fits(&property.prop_key) && fits(value) {
                list.push(Property::UserProperty(&property.prop_key, value));
            }
        }
        list
    }
}

#[cfg(test)]
mod tests {
    use causeway_model::message::MessageStatus;
    use causeway_model::{DeviceNo, Timestamp};

    use super::*;

    fn message(content: &str, format: PayloadFormat, encoding: Encoding) -> DeviceMessage {
        DeviceMessage {
            no: 1,
            device: DeviceNo(1),
            id: "m1".to_owned(),
            name: None,
            content: content.to_owned(),
            encoding,
            format,
            topic: MessageTopic::System,
            properties: None,
            status: MessageStatus::Pending,
            error: None,
            created_at: Timestamp(0),
            finished_at: None,
            expires_at: Timestamp(0),
        }
    }

    #[track_caller]
    fn check(content: &str, format: PayloadFormat, encoding: Encoding, expected: Option<&[u8]>) {
        assert_eq!(payload("d", &message(content, format, encoding)).as_deref(), expected, "{content}");
    }

    #[test]
    fn payloads() {
        use Encoding::{Base64, None as Plain};
        use PayloadFormat::{Raw, Standard};
        check(r#""hi""#, Standard, Plain, Some(br#"{"object_device_id":"d","name":null,"id":"m1","content":"hi"}"#));
        check(
            r#"{"a":"b"}"#,
            Standard,
            Plain,
            Some(br#"{"object_device_id":"d","name":null,"id":"m1","content":"{\"a\":\"b\"}"}"#),
        );
        check(r#"{"a": 1}"#, Raw, Plain, Some(br#"{"a": 1}"#));
        check(r#""h\u00e9""#, Raw, Plain, Some("hé".as_bytes()));
        check(r#""AAH/""#, Raw, Base64, Some(&[0, 1, 255]));
        check(r#""!""#, Raw, Base64, None);
    }

    #[test]
    fn properties_that_cannot_stand_on_the_wire_are_left_out() {
        let json = r#"{"correlation_data":"c","response_topic":"a/+","user_properties":[{"prop_key":"k","prop_value":"v"},{"prop_key":"\u0000"}]}"#;
        let properties = MessageProperties::read(Some(json));
        assert_eq!(properties.list(), [Property::CorrelationData(b"c"), Property::UserProperty("k", "v")]);
        assert!(
            MessageProperties::read(Some("[")).list().is_empty() && MessageProperties::read(None).list().is_empty()
        );
    }
}
