//! Messages to devices (002 §4.5.3).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use causeway_model::message::{DeviceMessage as Record, Encoding, MessageTopic, PayloadFormat};
use causeway_model::{Code, DeviceId, Error, Result};
use causeway_platform::message::NewMessage;
use serde_json::value::RawValue;

use crate::bounded::{Free, Ident, Int, Name, Text, TopicName, Word, words};
use crate::call::{Call, Reply};
use crate::decode;
use crate::operation::{Built, Success, json};
use crate::shape::{Compact, body, reply};

/// Minutes a message is kept unless said otherwise.
const DEFAULT_TTL: i64 = 1440;

words! {
    /// How the text of a message is written.
    Encodings: "none" | "base64";
    /// How the payload is formed.
    PayloadFormats: "standard" | "raw";
}

body! {
    /// An MQTT 5 user property.
    pub(crate) struct UserProperty {
        /// Name.
        prop_key: Option<Text<Ident, 1, 128>>,
        /// Value.
        prop_value: Option<Text<Free, 0, 128>>,
    }
}

body! {
    /// MQTT 5 properties of a message.
    pub(crate) struct MessageProperties {
        /// Correlation data.
        correlation_data: Option<Text<Ident, 0, 128>>,
        /// Response topic.
        response_topic: Option<Text<TopicName, 0, 128>>,
        /// User properties, at most 20.
        user_properties: Option<Vec<UserProperty>>,
    }
}

body! {
    /// A message to send.
    pub(crate) struct NewDeviceMessage {
        /// Id, unique at the device; made when absent.
        message_id: Option<Text<Ident, 1, 100>>,
        /// The caller's name for it.
        name: Option<Text<Name, 0, 128>>,
        /// A string or an object.
        message: Box<RawValue>,
        /// MQTT 5 properties (`correlation_data`, `response_topic`, `user_properties`).
        properties: Option<Box<RawValue>>,
        /// How a string message is written; `none` unless said otherwise.
        encoding: Option<Word<Encodings>>,
        /// `standard` (object_device_id, name, id, content) or `raw` (the message alone).
        payload_format: Option<Word<PayloadFormats>>,
        /// Suffix after `$oc/devices/{device_id}/user/`, declared by the product. Not together with topic_full_name.
        topic: Option<Text<TopicName, 1, 128>>,
        /// Any topic that the device has subscribed to. Not together with topic.
        topic_full_name: Option<Text<TopicName, 1, 128>>,
        /// Minutes it is kept for a device that is not connected, a multiple of 5; 0 = not at all; 1440 unless said
        /// otherwise.
        ttl: Option<Int<0, 1440>>,
    }
}

reply! {
    /// What became of a message so far.
    pub(crate) struct MessageResult {
        /// PENDING, DELIVERED, FAILED or TIMEOUT.
        status: &'static str,
        /// When it was made.
        created_time: Compact,
        /// When it reached a final status.
        finished_time: Option<Compact>,
    }
}

reply! {
    /// A message that was taken.
    pub(crate) struct Created {
        /// Its id.
        message_id: String,
        /// What became of it so far.
        result: MessageResult,
    }
}

reply! {
    /// Why a message failed.
    pub(crate) struct ErrorInfo {
        /// Stable code.
        error_code: String,
        /// What it means.
        error_msg: String,
    }
}

reply! {
    /// A message.
    pub(crate) struct DeviceMessage {
        /// Its id.
        message_id: String,
        /// The caller's name for it.
        name: Option<String>,
        /// The message as it was given.
        message: Box<RawValue>,
        /// How a string message is written.
        encoding: &'static str,
        /// How the payload is formed.
        payload_format: &'static str,
        /// Where it goes.
        topic: String,
        /// MQTT 5 properties as they were given.
        properties: Option<Box<RawValue>>,
        /// PENDING, DELIVERED, FAILED or TIMEOUT.
        status: &'static str,
        /// Why it failed.
        error_info: Option<ErrorInfo>,
        /// When it was made.
        created_time: Compact,
        /// When it reached a final status.
        finished_time: Option<Compact>,
    }
}

reply! {
    /// A device's messages.
    pub(crate) struct DeviceMessages {
        /// The device.
        device_id: String,
        /// The messages, newest first.
        messages: Vec<DeviceMessage>,
    }
}

fn topic_text(id: &DeviceId, topic: MessageTopic) -> String {
    match topic {
        MessageTopic::System => format!("$oc/devices/{id}/sys/messages/down"),
        MessageTopic::Custom(suffix) => format!("$oc/devices/{id}/user/{suffix}"),
        MessageTopic::Full(topic) => topic,
    }
}

fn message_reply(id: &DeviceId, record: Record) -> Result<DeviceMessage> {
    let raw = |text: String| RawValue::from_string(text).map_err(Error::internal);
    Ok(DeviceMessage {
        message_id: record.id,
        name: record.name,
        message: raw(record.content)?,
        encoding: match record.encoding {
            Encoding::None => "none",
            Encoding::Base64 => "base64",
        },
        payload_format: match record.format {
            PayloadFormat::Standard => "standard",
            PayloadFormat::Raw => "raw",
        },
        topic: topic_text(id, record.topic),
        properties: record.properties.map(raw).transpose()?,
        status: record.status.as_str(),
        error_info: record.error.map(|(error_code, error_msg)| ErrorInfo { error_code, error_msg }),
        created_time: Compact(record.created_at),
        finished_time: record.finished_at.map(Compact),
    })
}

fn checked_content(raw: &RawValue, encoding: Encoding) -> Result<String> {
    let text = raw.get();
    let is_text = text.starts_with('"');
    if !is_text && !text.starts_with('{') {
        return Err(Error::invalid("Invalid input. 'message' must be a string or a JSON object."));
    }
    decode::check_depth("message", raw)?;
    if encoding == Encoding::Base64 {
        let bytes = serde_json::from_str::<String>(text).ok().and_then(|t| STANDARD.decode(t).ok());
        if bytes.is_none() {
            return Err(Error::invalid(
                "Invalid input. 'message' must be a string in base64 when 'encoding' is base64.",
            ));
        }
    }
    Ok(text.to_owned())
}

fn checked_properties(raw: Option<Box<RawValue>>) -> Result<Option<String>> {
    let Some(raw) = raw else { return Ok(None) };
    let properties: MessageProperties = decode::part("properties", &raw)?;
    if properties.user_properties.is_some_and(|u| u.len() > 20) {
        return Err(Error::invalid("Invalid input. 'properties.user_properties' must have at most 20 entries."));
    }
    Ok(Some(raw.get().to_owned()))
}

/// The message that a body asks for.
pub(super) fn new_message(asked: NewDeviceMessage) -> Result<NewMessage> {
    let encoding = match asked.encoding.map(|w| w.as_str()) {
        Some("base64") => Encoding::Base64,
        _ => Encoding::None,
    };
    let format = match asked.payload_format.map(|w| w.as_str()) {
        Some("raw") => PayloadFormat::Raw,
        _ => PayloadFormat::Standard,
    };
    let topic = match (asked.topic, asked.topic_full_name) {
        (None, None) => MessageTopic::System,
        (Some(suffix), None) => MessageTopic::Custom(suffix.into_string()),
        (None, Some(topic)) => MessageTopic::Full(topic.into_string()),
        (Some(_), Some(_)) => {
            return Err(Error::invalid("Invalid input. Only one of 'topic' and 'topic_full_name' may be given."));
        }
    };
    let keep_minutes = asked.ttl.map_or(DEFAULT_TTL, |t| t.0);
    if keep_minutes % 5 != 0 {
        return Err(Error::invalid("Invalid input. 'ttl' must be a multiple of 5 from 0 to 1440."));
    }
    Ok(NewMessage {
        id: asked.message_id.map(Text::into_string),
        name: asked.name.map(Text::into_string),
        content: checked_content(&asked.message, encoding)?,
        encoding,
        format,
        topic,
        properties: checked_properties(asked.properties)?,
        keep_minutes,
    })
}

pub(super) static CREATE: Built =
    Built::new("Sends a message to a device, or keeps it until the device connects.", json::<Created>(201), |c| {
        Box::pin(create(c))
    })
    .body::<NewDeviceMessage>()
    .errors(&[Code::DeviceNotFound, Code::MessageExists, Code::CustomTopicNotFound]);

async fn create(call: Call) -> Result<Reply> {
    let id = call.device_id()?;
    let new = new_message(call.body()?)?;
    let message = call.platform().create_message(&id, new).await?;
    Reply::created(&Created {
        message_id: message.id,
        result: MessageResult {
            status: message.status.as_str(),
            created_time: Compact(message.created_at),
            finished_time: message.finished_at.map(Compact),
        },
    })
}

pub(super) static LIST: Built =
    Built::new("Lists the messages kept at a device.", json::<DeviceMessages>(200), |c| Box::pin(list(c)))
        .errors(&[Code::DeviceNotFound]);

async fn list(call: Call) -> Result<Reply> {
    let id = call.device_id()?;
    let messages = call.platform().messages(&id).await?;
    let messages = messages.into_iter().map(|m| message_reply(&id, m)).collect::<Result<_>>()?;
    Reply::ok(&DeviceMessages { device_id: id.to_string(), messages })
}

pub(super) static SHOW: Built = Built::new("Shows a message.", json::<DeviceMessage>(200), |c| Box::pin(show(c)))
    .errors(&[Code::DeviceNotFound, Code::MessageNotFound]);

async fn show(call: Call) -> Result<Reply> {
    let id = call.device_id()?;
    let message = call.platform().message(&id, call.path("message_id")).await?;
    Reply::ok(&message_reply(&id, message)?)
}

pub(super) static DELETE: Built =
    Built::new("Deletes a message; a pending one is not delivered any more.", Success::Empty, |c| Box::pin(delete(c)))
        .errors(&[Code::DeviceNotFound, Code::MessageNotFound]);

async fn delete(call: Call) -> Result<Reply> {
    call.platform().delete_message(&call.device_id()?, call.path("message_id")).await?;
    Ok(Reply::empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn read(text: &str) -> Result<NewMessage> {
        decode::body(text.as_bytes()).and_then(new_message)
    }

    #[test]
    fn defaults_are_those_of_the_sheet() {
        let new = read(r#"{"message":"hi"}"#).expect("a message");
        assert_eq!(
            (new.content.as_str(), new.encoding, new.format),
            (r#""hi""#, Encoding::None, PayloadFormat::Standard)
        );
        assert_eq!((new.topic, new.keep_minutes, new.id), (MessageTopic::System, 1440, None));
    }

    #[test]
    fn every_field_arrives() {
        let text = r#"{"message_id":"m1","name":"n","message":"aGk=","encoding":"base64","payload_format":"raw",
            "topic_full_name":"/a/b","ttl":0,"properties":{"correlation_data":"c","response_topic":"a/b",
            "user_properties":[{"prop_key":"k","prop_value":"v"}]}}"#;
        let new = read(text).expect("a message");
        assert_eq!((new.id.as_deref(), new.name.as_deref()), (Some("m1"), Some("n")));
        assert_eq!((new.encoding, new.format), (Encoding::Base64, PayloadFormat::Raw));
        assert_eq!((new.topic, new.keep_minutes), (MessageTopic::Full("/a/b".to_owned()), 0));
        assert!(new.properties.is_some_and(|p| p.starts_with(r#"{"correlation_data":"c""#)));
        let object = read(r#"{"message":{"a":1.10},"topic":"x/y"}"#).expect("a message");
        assert_eq!((object.content.as_str(), object.topic), (r#"{"a":1.10}"#, MessageTopic::Custom("x/y".to_owned())));
    }

    #[test]
    fn rules_of_the_sheet_are_kept() {
        for bad in [
            "{}",
            r#"{"message":7}"#,
            r#"{"message":[1]}"#,
            r#"{"message":null}"#,
            r#"{"message":"x","ttl":3}"#,
            r#"{"message":"x","ttl":-5}"#,
            r#"{"message":"x","ttl":1445}"#,
            r#"{"message":"x","encoding":"rot13"}"#,
            r#"{"message":"%%%","encoding":"base64"}"#,
            r#"{"message":{"a":1},"encoding":"base64"}"#,
            r#"{"message":"x","payload_format":"loose"}"#,
            r#"{"message":"x","topic":"a","topic_full_name":"b"}"#,
            r#"{"message":"x","topic_full_name":"a/#"}"#,
            r#"{"message":"x","message_id":"a b"}"#,
            r#"{"message":"x","properties":[]}"#,
            r#"{"message":"x","properties":{"user_properties":{}}}"#,
        ] {
            assert_eq!(read(bad).err().map(|e| e.code()), Some(Code::InvalidInput), "{bad}");
        }
        let many = r#"{"prop_key":"k"},"#.repeat(21);
        let many = format!(r#"{{"message":"x","properties":{{"user_properties":[{}]}}}}"#, many.trim_end_matches(','));
        assert_eq!(read(&many).err().map(|e| e.code()), Some(Code::InvalidInput));
    }
}
