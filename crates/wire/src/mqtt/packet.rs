//! All packets after CONNECT: which there are, who sends them, which flags they carry.

use super::ack::{self, Ack, encode_puback, encode_pubcomp, encode_pubrec, encode_pubrel};
use super::connect::{self, Connack, encode_connack};
use super::disconnect::{self, Auth, Disconnect, encode_auth, encode_disconnect};
use super::error::{self, DecodeError, EncodeError};
use super::frame::{Frame, Reader};
use super::publish::{self, Publish, encode_publish};
use super::reason::allowed_in_client_disconnect;
use super::subscribe::{
    self, Suback, Subscribe, Unsuback, Unsubscribe, encode_suback, encode_subscribe, encode_unsuback,
    encode_unsubscribe,
};
use super::{ReasonCode, Version, writer};

/// Control packet type (3.1.1 table 2.1, v5 table 2-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[allow(missing_docs)] // the names are those of the table
pub enum PacketType {
    Connect = 1,
    Connack = 2,
    Publish = 3,
    Puback = 4,
    Pubrec = 5,
    Pubrel = 6,
    Pubcomp = 7,
    Subscribe = 8,
    Suback = 9,
    Unsubscribe = 10,
    Unsuback = 11,
    Pingreq = 12,
    Pingresp = 13,
    Disconnect = 14,
    Auth = 15,
}

impl PacketType {
    /// Type from the high four bits of the first byte, `None` for the reserved 0 and for more than four bits.
    pub const fn from_bits(bits: u8) -> Option<PacketType> {
        Some(match bits {
            1 => PacketType::Connect,
            2 => PacketType::Connack,
            3 => PacketType::Publish,
            4 => PacketType::Puback,
            5 => PacketType::Pubrec,
            6 => PacketType::Pubrel,
            7 => PacketType::Pubcomp,
            8 => PacketType::Subscribe,
            9 => PacketType::Suback,
            10 => PacketType::Unsubscribe,
            11 => PacketType::Unsuback,
            12 => PacketType::Pingreq,
            13 => PacketType::Pingresp,
            14 => PacketType::Disconnect,
            15 => PacketType::Auth,
            _ => return None,
        })
    }

    /// The four bits on the wire.
    pub const fn bits(self) -> u8 {
        self as u8
    }

    /// Low four bits of the first byte for all types but PUBLISH (3.1.1 table 2.2).
    pub(crate) const fn flags(self) -> u8 {
        match self {
            PacketType::Pubrel | PacketType::Subscribe | PacketType::Unsubscribe => 0x02,
            _ => 0,
        }
    }
}

/// A packet after CONNECT, borrowed from the receive buffer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Packet<'a> {
    /// Server's answer to CONNECT.
    Connack(Connack<'a>),
    /// Application message.
    Publish(Publish<'a>),
    /// QoS 1: received.
    Puback(Ack<'a>),
    /// QoS 2, first step: received.
    Pubrec(Ack<'a>),
    /// QoS 2, second step: released.
    Pubrel(Ack<'a>),
    /// QoS 2, third step: complete.
    Pubcomp(Ack<'a>),
    /// Client's request for subscriptions.
    Subscribe(Subscribe<'a>),
    /// Server's answer to SUBSCRIBE.
    Suback(Suback<'a>),
    /// Client's request to end subscriptions.
    Unsubscribe(Unsubscribe<'a>),
    /// Server's answer to UNSUBSCRIBE.
    Unsuback(Unsuback<'a>),
    /// Client's sign of life.
    Pingreq,
    /// Server's answer to PINGREQ.
    Pingresp,
    /// Last packet of the connection.
    Disconnect(Disconnect<'a>),
    /// Step of enhanced authentication.
    Auth(Auth<'a>),
}

/// Who sent a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sender {
    /// The device or application that opened the connection.
    Client,
    /// The platform.
    Server,
}

/// Reads a packet whose sender is known, with the rules that hold for packets of this side only. This is what a server
/// ([`Sender::Client`]) and a client ([`Sender::Server`]) use after the CONNECT.
///
/// # Errors
/// The first rule that the packet breaks; [`DecodeError::reason`] is the code to close the connection with.
pub fn decode_from<'a>(sender: Sender, version: Version, frame: Frame<'a>) -> Result<Packet<'a>, DecodeError> {
    let packet = decode(version, frame)?;
    check_sender(sender, version, &packet)?;
    Ok(packet)
}

/// Reads a packet of either side, for recorders and tests. A live connection uses [`decode_from`].
///
/// # Errors
/// The first rule that the packet breaks. CONNECT is one: it opens a connection and is read by
/// [`decode_connect`](super::decode_connect).
pub fn decode<'a>(version: Version, frame: Frame<'a>) -> Result<Packet<'a>, DecodeError> {
    let packet_type = frame.packet_type().ok_or(error::RESERVED_TYPE)?;
    if version == Version::V5 && !frame.is_minimal() {
        return Err(error::OVERLONG_INTEGER); // v5 [MQTT-1.5.5-1]
    }
    if packet_type != PacketType::Publish {
        check_flags(version, packet_type, frame.flags())?;
    }
    Ok(match packet_type {
        PacketType::Connect => return Err(error::SECOND_CONNECT), // [MQTT-3.1.0-2]
        PacketType::Connack => Packet::Connack(connect::decode_connack(version, frame)?),
        PacketType::Publish => Packet::Publish(publish::decode_publish(version, frame)?),
        PacketType::Puback => Packet::Puback(ack::decode_ack(version, packet_type, frame)?),
        PacketType::Pubrec => Packet::Pubrec(ack::decode_ack(version, packet_type, frame)?),
        PacketType::Pubrel => Packet::Pubrel(ack::decode_ack(version, packet_type, frame)?),
        PacketType::Pubcomp => Packet::Pubcomp(ack::decode_ack(version, packet_type, frame)?),
        PacketType::Subscribe => Packet::Subscribe(subscribe::decode_subscribe(version, frame)?),
        PacketType::Suback => Packet::Suback(subscribe::decode_suback(version, frame)?),
        PacketType::Unsubscribe => Packet::Unsubscribe(subscribe::decode_unsubscribe(version, frame)?),
        PacketType::Unsuback => Packet::Unsuback(subscribe::decode_unsuback(version, frame)?),
        PacketType::Pingreq | PacketType::Pingresp => {
            Reader::new(frame.body).end()?; // 3.1.1 §3.12, §3.13: no variable header, no payload
            if packet_type == PacketType::Pingreq { Packet::Pingreq } else { Packet::Pingresp }
        }
        PacketType::Disconnect => Packet::Disconnect(disconnect::decode_disconnect(version, frame)?),
        PacketType::Auth if version == Version::V5 => Packet::Auth(disconnect::decode_auth(frame)?),
        PacketType::Auth => return Err(error::RESERVED_TYPE), // 3.1.1 table 2.1
    })
}

fn check_flags(version: Version, packet_type: PacketType, flags: u8) -> Result<(), DecodeError> {
    let expected = packet_type.flags();
    let right = match version {
        // 3.1 §2.1: PUBREL, SUBSCRIBE and UNSUBSCRIBE have QoS 1 and may carry DUP; other types do not use the flags.
        Version::V31 => expected == 0 || flags & 0x06 == expected,
        // [MQTT-2.2.2-2] [MQTT-3.6.1-1] [MQTT-3.8.1-1] [MQTT-3.10.1-1] [MQTT-3.14.1-1] v5 [MQTT-2.1.3-1] [MQTT-3.15.1-1]
        Version::V311 | Version::V5 => flags == expected,
    };
    writer::ensure(right, error::FLAGS)
}

fn check_sender(sender: Sender, version: Version, packet: &Packet<'_>) -> Result<(), DecodeError> {
    use Sender::{Client, Server};
    match (sender, packet) {
        (Client, Packet::Publish(publish)) => writer::ensure(
            publish.properties.is_empty() || publish.properties.subscription_identifiers().next().is_none(),
            error::SUBSCRIPTION_IDENTIFIER, // v5 [MQTT-3.3.4-6]
        ),
        (Client, Packet::Disconnect(disconnect)) => {
            let from_client = allowed_in_client_disconnect(disconnect.reason.0);
            writer::ensure(from_client, error::DISCONNECT_CODE)?; // v5 [MQTT-3.14.2-1]
            let reference = disconnect.properties.server_reference();
            writer::ensure(reference.is_none(), error::CLIENT_SERVER_REFERENCE) // v5 §3.14.2.2.5
        }
        (Server, Packet::Disconnect(_)) if version != Version::V5 => Err(error::WRONG_SENDER), // 3.1.1 §3.14
        (Server, Packet::Disconnect(disconnect)) => {
            let with_will = disconnect.reason == ReasonCode::DISCONNECT_WITH_WILL;
            writer::ensure(!with_will, error::DISCONNECT_CODE)?; // v5 [MQTT-3.14.2-1]
            let expiry = disconnect.properties.session_expiry_interval();
            writer::ensure(expiry.is_none(), error::SERVER_SESSION_EXPIRY) // v5 [MQTT-3.14.2-2]
        }
        (_, Packet::Auth(auth)) => {
            let other_side = match sender {
                Client => ReasonCode::SUCCESS,
                Server => ReasonCode::RE_AUTHENTICATE,
            };
            writer::ensure(auth.reason != other_side, error::AUTH_CODE) // v5 [MQTT-3.15.2-1]
        }
        (Client, Packet::Connack(_) | Packet::Suback(_) | Packet::Unsuback(_) | Packet::Pingresp)
        | (Server, Packet::Subscribe(_) | Packet::Unsubscribe(_) | Packet::Pingreq) => {
            Err(error::WRONG_SENDER) // table 2.1
        }
        _ => Ok(()),
    }
}

/// Appends a PINGREQ.
pub fn encode_pingreq(buf: &mut Vec<u8>) {
    buf.extend_from_slice(&[PacketType::Pingreq.bits() << 4, 0]);
}

/// Appends a PINGRESP.
pub fn encode_pingresp(buf: &mut Vec<u8>) {
    buf.extend_from_slice(&[PacketType::Pingresp.bits() << 4, 0]);
}

impl Packet<'_> {
    /// Type of the packet.
    pub const fn packet_type(&self) -> PacketType {
        match self {
            Packet::Connack(_) => PacketType::Connack,
            Packet::Publish(_) => PacketType::Publish,
            Packet::Puback(_) => PacketType::Puback,
            Packet::Pubrec(_) => PacketType::Pubrec,
            Packet::Pubrel(_) => PacketType::Pubrel,
            Packet::Pubcomp(_) => PacketType::Pubcomp,
            Packet::Subscribe(_) => PacketType::Subscribe,
            Packet::Suback(_) => PacketType::Suback,
            Packet::Unsubscribe(_) => PacketType::Unsubscribe,
            Packet::Unsuback(_) => PacketType::Unsuback,
            Packet::Pingreq => PacketType::Pingreq,
            Packet::Pingresp => PacketType::Pingresp,
            Packet::Disconnect(_) => PacketType::Disconnect,
            Packet::Auth(_) => PacketType::Auth,
        }
    }

    /// Appends the packet, whatever it is.
    ///
    /// # Errors
    /// As the `encode_*` function of the packet type; AUTH in 3.x.
    pub fn encode(&self, buf: &mut Vec<u8>, version: Version) -> Result<(), EncodeError> {
        match self {
            Packet::Connack(connack) => encode_connack(buf, version, connack),
            Packet::Publish(publish) => encode_publish(buf, version, publish),
            Packet::Puback(ack) => encode_puback(buf, version, ack),
            Packet::Pubrec(ack) => encode_pubrec(buf, version, ack),
            Packet::Pubrel(ack) => encode_pubrel(buf, version, ack),
            Packet::Pubcomp(ack) => encode_pubcomp(buf, version, ack),
            Packet::Subscribe(subscribe) => encode_subscribe(buf, version, subscribe),
            Packet::Suback(suback) => encode_suback(buf, version, suback),
            Packet::Unsubscribe(unsubscribe) => encode_unsubscribe(buf, version, unsubscribe),
            Packet::Unsuback(unsuback) => encode_unsuback(buf, version, unsuback),
            Packet::Pingreq => {
                encode_pingreq(buf);
                Ok(())
            }
            Packet::Pingresp => {
                encode_pingresp(buf);
                Ok(())
            }
            Packet::Disconnect(disconnect) => encode_disconnect(buf, version, disconnect),
            Packet::Auth(_) if version != Version::V5 => Err(error::RESERVED_TYPE.into()), // 3.1.1 table 2.1
            Packet::Auth(auth) => encode_auth(buf, auth),
        }
    }
}
