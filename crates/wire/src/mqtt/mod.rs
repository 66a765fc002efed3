//! MQTT 3.1 (`MQIsdp`, level 3), 3.1.1 and 5.0, both directions.
//!
//! Documents: *MQTT V3.1 Protocol Specification* (IBM, Eurotech 2010), *MQTT Version 3.1.1* (OASIS Standard 2014),
//! *MQTT Version 5.0* (OASIS Standard 2019). A tag like `[MQTT-2.3.1-1]` at a check is a normative statement; the number
//! is that of 3.1.1, and where 5.0 counts differently both stand there.
//!
//! One type a packet serves all three versions and both directions: what [`decode`] gives back, the `encode_*` function of
//! the same name takes. Strings, payloads and properties borrow from the receive buffer. A version that lacks a field
//! (properties and negative acknowledgements in 3.x) decodes to its neutral value and leaves it out when encoding.
//!
//! ```
//! use causeway_wire::mqtt::{self, Packet, PacketId, Publish, QoS, Sender, Version};
//!
//! let mut buf = Vec::new();
//! let publish = Publish {
//!     qos: QoS::AtLeastOnce,
//!     packet_id: PacketId::new(7),
//!     topic: "$oc/devices/d1/sys/properties/report",
//!     payload: b"{}",
//!     ..Publish::default()
//! };
//! mqtt::encode_publish(&mut buf, Version::V311, &publish)?;
//!
//! let frame = mqtt::split_frame(&buf, 1 << 20)?.expect("the whole packet is there");
//! assert_eq!(mqtt::decode_from(Sender::Client, Version::V311, frame)?, Packet::Publish(publish));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod ack;
mod connect;
mod disconnect;
mod error;
mod frame;
mod packet;
mod properties;
mod publish;
mod reason;
mod sequence;
mod subscribe;
pub mod topic;
#[cfg(test)]
mod vectors;
mod writer;

pub use ack::{Ack, encode_puback, encode_pubcomp, encode_pubrec, encode_pubrel};
pub use connect::{Connack, Connect, Will, decode_connect, encode_connack, encode_connect, return_code};
pub use disconnect::{Auth, Disconnect, encode_auth, encode_disconnect};
pub use error::{ConnectError, DecodeError, EncodeError};
pub use frame::{Frame, MAX_REMAINING_LENGTH, frame_len, split_frame};
pub use packet::{Packet, PacketType, Sender, decode, decode_from, encode_pingreq, encode_pingresp};
pub use properties::{Properties, Property};
pub use publish::{Publish, encode_publish};
pub use reason::ReasonCode;
pub use sequence::Sequence;
pub use subscribe::{
    RetainHandling, Suback, Subscribe, Subscription, Unsuback, Unsubscribe, encode_suback, encode_subscribe,
    encode_unsuback, encode_unsubscribe,
};

/// Packet identifier, never 0 (`[MQTT-2.3.1-1]`, v5 `[MQTT-2.2.1-3]`).
pub type PacketId = std::num::NonZeroU16;

/// Protocol version of a connection, settled by its CONNECT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Version {
    /// MQTT 3.1: protocol name `MQIsdp`, level 3.
    V31,
    /// MQTT 3.1.1: protocol name `MQTT`, level 4.
    V311,
    /// MQTT 5.0: protocol name `MQTT`, level 5.
    V5,
}

impl Version {
    /// Protocol name as it stands in CONNECT.
    pub const fn protocol_name(self) -> &'static str {
        match self {
            Version::V31 => "MQIsdp",
            Version::V311 | Version::V5 => "MQTT",
        }
    }

    /// Protocol level (3.1.1) or protocol version (5.0) byte as it stands in CONNECT.
    pub const fn level(self) -> u8 {
        match self {
            Version::V31 => 3,
            Version::V311 => 4,
            Version::V5 => 5,
        }
    }
}

/// Quality of service of a message or a subscription.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum QoS {
    /// QoS 0.
    #[default]
    AtMostOnce = 0,
    /// QoS 1.
    AtLeastOnce = 1,
    /// QoS 2.
    ExactlyOnce = 2,
}

impl QoS {
    /// QoS from its two bits; `None` for the reserved value 3 and anything greater.
    pub const fn from_bits(bits: u8) -> Option<QoS> {
        match bits {
            0 => Some(QoS::AtMostOnce),
            1 => Some(QoS::AtLeastOnce),
            2 => Some(QoS::ExactlyOnce),
            _ => None,
        }
    }

    /// The two bits on the wire.
    pub const fn bits(self) -> u8 {
        self as u8
    }
}
