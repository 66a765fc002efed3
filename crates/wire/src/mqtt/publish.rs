//! PUBLISH (3.1.1 §3.3, v5 §3.3).

use super::error::{self, DecodeError, EncodeError};
use super::frame::{Frame, Reader, variable_integer_len};
use super::properties::{IN_PUBLISH, Properties};
use super::{PacketId, PacketType, QoS, Version, writer};

/// An application message on its way.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Publish<'a> {
    /// This is a repetition of an earlier attempt; never with QoS 0.
    pub dup: bool,
    /// Quality of service of this delivery.
    pub qos: QoS,
    /// To the server: keep the message for the topic. To the client: the message was kept.
    pub retain: bool,
    /// Topic name without wildcards. Empty only in 5.0, when a topic alias stands for it.
    pub topic: &'a str,
    /// Present exactly when the QoS is not 0.
    pub packet_id: Option<PacketId>,
    /// Properties, empty in 3.x.
    pub properties: Properties<'a>,
    /// The application's bytes, possibly none.
    pub payload: &'a [u8],
}

const DUP: u8 = 0x08;
const RETAIN: u8 = 0x01;

pub(crate) fn decode_publish<'a>(version: Version, frame: Frame<'a>) -> Result<Publish<'a>, DecodeError> {
    let flags = frame.flags();
    let qos = QoS::from_bits(flags >> 1 & 0x03).ok_or(error::QOS_3)?; // [MQTT-3.3.1-4]
    let mut dup = flags & DUP != 0;
    if dup && qos == QoS::AtMostOnce {
        if version != Version::V31 {
            return Err(error::DUP_QOS_0); // [MQTT-3.3.1-2]
        }
        dup = false; // 3.1 §2.1: the flag applies to QoS 1 and 2 only
    }
    let mut reader = Reader::new(frame.body);
    let topic = reader.topic_or_empty()?; // [MQTT-3.3.2-1]
    let packet_id = match qos {
        QoS::AtMostOnce => None, // [MQTT-2.3.1-5] v5 [MQTT-2.2.1-2]
        QoS::AtLeastOnce | QoS::ExactlyOnce => Some(reader.packet_id()?),
    };
    let properties = match version {
        Version::V5 => Properties::read(&mut reader, IN_PUBLISH)?,
        Version::V31 | Version::V311 => Properties::default(),
    };
    if topic.is_empty() {
        check_empty_topic(version, &properties)?;
    }
    Ok(Publish { dup, qos, retain: flags & RETAIN != 0, topic, packet_id, properties, payload: reader.rest() })
}

/// Appends a PUBLISH. Properties are left out in 3.x.
///
/// # Errors
/// Topic name empty, too long or with a wildcard; DUP with QoS 0; packet identifier absent with QoS 1 or 2 or present
/// with QoS 0; a property that does not belong here; the packet gets too large.
pub fn encode_publish(buf: &mut Vec<u8>, version: Version, publish: &Publish<'_>) -> Result<(), EncodeError> {
    let at_most_once = publish.qos == QoS::AtMostOnce;
    writer::ensure(!(publish.dup && at_most_once), error::DUP_QOS_0)?; // [MQTT-3.3.1-2]
    match publish.packet_id {
        Some(_) if at_most_once => return Err(error::PACKET_ID_IN_QOS_0.into()), // [MQTT-2.3.1-5] v5 [MQTT-2.2.1-2]
        None if !at_most_once => return Err(error::PACKET_ID_MISSING.into()),    // [MQTT-2.3.1-1] v5 [MQTT-2.2.1-3]
        _ => {}
    }
    if publish.topic.is_empty() {
        check_empty_topic(version, &publish.properties)?;
    }
    let mut remaining = writer::topic_or_empty_len("topic name", publish.topic)?;
    if publish.packet_id.is_some() {
        remaining += 2;
    }
    let mut properties_len = 0;
    if version == Version::V5 {
        properties_len = publish.properties.body_len(IN_PUBLISH)?;
        remaining += variable_integer_len(properties_len) + properties_len;
    }
    remaining += publish.payload.len();

    let flags = if publish.dup { DUP } else { 0 } | publish.qos.bits() << 1 | u8::from(publish.retain);
    writer::fixed_header(buf, PacketType::Publish.bits() << 4 | flags, remaining)?;
    writer::binary(buf, publish.topic.as_bytes());
    if let Some(packet_id) = publish.packet_id {
        writer::u16(buf, packet_id.get());
    }
    if version == Version::V5 {
        publish.properties.write(buf, properties_len);
    }
    buf.extend_from_slice(publish.payload);
    Ok(())
}

fn check_empty_topic(version: Version, properties: &Properties<'_>) -> Result<(), DecodeError> {
    match version {
        Version::V31 | Version::V311 => Err(error::TOPIC_EMPTY), // [MQTT-4.7.3-1]
        Version::V5 => writer::ensure(properties.topic_alias().is_some(), error::TOPIC_MISSING), // v5 §3.3.2.1
    }
}
