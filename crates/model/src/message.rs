//! Messages from applications to devices (002 §4.5.3).

use crate::ids::DeviceNo;
use crate::time::Timestamp;

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MessageStatus {
    /// Kept until the device comes.
    Pending,
    /// Taken by the device (its PUBACK at QoS 1, sent at QoS 0).
    Delivered,
    /// Could not be sent; the error says why.
    Failed,
    /// The device did not come in time.
    Timeout,
}

impl MessageStatus {
    /// The word of the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Delivered => "DELIVERED",
            Self::Failed => "FAILED",
            Self::Timeout => "TIMEOUT",
        }
    }

    /// Reads the word back.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Pending, Self::Delivered, Self::Failed, Self::Timeout].into_iter().find(|s| s.as_str() == word)
    }

    /// Whether nothing can happen to the message any more.
    #[must_use]
    pub fn is_final(self) -> bool {
        self != Self::Pending
    }
}

/// Where a message goes on the device's connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MessageTopic {
    /// `$oc/devices/{id}/sys/messages/down`.
    System,
    /// `$oc/devices/{id}/user/{suffix}`, declared by the product.
    Custom(String),
    /// Any topic, verbatim; the device must have subscribed to it.
    Full(String),
}

/// How the payload is formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayloadFormat {
    /// `{object_device_id, name, id, content}`.
    Standard,
    /// The content alone.
    Raw,
}

/// How `content` is written in the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// As text.
    None,
    /// As base64 of bytes.
    Base64,
}

/// A message to a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceMessage {
    /// Number inside the store; rises with creation.
    pub no: i64,
    /// The device.
    pub device: DeviceNo,
    /// The caller's id or one that the platform made; unique at the device.
    pub id: String,
    /// The caller's name for it.
    pub name: Option<String>,
    /// What the caller sent as `message`, as raw JSON text (a string or an object).
    pub content: String,
    /// How `content` is written.
    pub encoding: Encoding,
    /// How the payload is formed.
    pub format: PayloadFormat,
    /// Where it goes.
    pub topic: MessageTopic,
    /// MQTT 5 properties (`PropertiesDTO`), raw JSON text.
    pub properties: Option<String>,
    /// What became of it.
    pub status: MessageStatus,
    /// Code and sentence of a failure.
    pub error: Option<(String, String)>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it reached a final status.
    pub finished_at: Option<Timestamp>,
    /// When a pending one times out.
    pub expires_at: Timestamp,
}
