//! PUBACK, PUBREC, PUBREL and PUBCOMP, which have one form (3.1.1 §3.4-3.7, v5 §3.4-3.7).

use super::error::{self, DecodeError, EncodeError};
use super::frame::{Frame, Reader, variable_integer_len};
use super::properties::{IN_ACK, Properties};
use super::reason::{allowed_in_puback, allowed_in_pubrel};
use super::{PacketId, PacketType, ReasonCode, Version, writer};

/// Acknowledgement of a message, for each of the four packet types.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ack<'a> {
    /// Identifier of the message.
    pub packet_id: PacketId,
    /// What became of it. 3.x can only say success: other codes are left out there.
    pub reason: ReasonCode,
    /// Reason string and user properties, empty in 3.x.
    pub properties: Properties<'a>,
}

impl Ack<'_> {
    /// Success without properties.
    pub fn success(packet_id: PacketId) -> Self {
        Ack { packet_id, reason: ReasonCode::SUCCESS, properties: Properties::default() }
    }
}

pub(crate) fn decode_ack<'a>(
    version: Version,
    packet_type: PacketType,
    frame: Frame<'a>,
) -> Result<Ack<'a>, DecodeError> {
    let mut reader = Reader::new(frame.body);
    let mut ack = Ack::success(reader.packet_id()?);
    if version == Version::V5 && !reader.is_empty() {
        // Remaining length 2: success. 3: no property length follows (v5 §3.4.2.1, §3.4.2.2.1).
        ack.reason = ReasonCode(reader.u8()?);
        check_reason(packet_type, ack.reason)?;
        if !reader.is_empty() {
            ack.properties = Properties::read(&mut reader, IN_ACK)?;
        }
    }
    reader.end()?;
    Ok(ack)
}

fn check_reason(packet_type: PacketType, reason: ReasonCode) -> Result<(), DecodeError> {
    let (allowed, violation) = match packet_type {
        PacketType::Puback => (allowed_in_puback(reason.0), error::PUBACK_CODE), // v5 [MQTT-3.4.2-1]
        PacketType::Pubrec => (allowed_in_puback(reason.0), error::PUBREC_CODE), // v5 [MQTT-3.5.2-1]
        PacketType::Pubrel => (allowed_in_pubrel(reason.0), error::PUBREL_CODE), // v5 [MQTT-3.6.2-1]
        _ => (allowed_in_pubrel(reason.0), error::PUBCOMP_CODE),                 // v5 [MQTT-3.7.2-1]
    };
    writer::ensure(allowed, violation)
}

/// Appends a PUBACK.
///
/// # Errors
/// In 5.0 a reason code or property that does not belong here, or a string longer than 65535 bytes.
pub fn encode_puback(buf: &mut Vec<u8>, version: Version, ack: &Ack<'_>) -> Result<(), EncodeError> {
    encode_ack(buf, version, PacketType::Puback, ack)
}

/// Appends a PUBREC.
///
/// # Errors
/// As [`encode_puback`].
pub fn encode_pubrec(buf: &mut Vec<u8>, version: Version, ack: &Ack<'_>) -> Result<(), EncodeError> {
    encode_ack(buf, version, PacketType::Pubrec, ack)
}

/// Appends a PUBREL.
///
/// # Errors
/// As [`encode_puback`].
pub fn encode_pubrel(buf: &mut Vec<u8>, version: Version, ack: &Ack<'_>) -> Result<(), EncodeError> {
    encode_ack(buf, version, PacketType::Pubrel, ack)
}

/// Appends a PUBCOMP.
///
/// # Errors
/// As [`encode_puback`].
pub fn encode_pubcomp(buf: &mut Vec<u8>, version: Version, ack: &Ack<'_>) -> Result<(), EncodeError> {
    encode_ack(buf, version, PacketType::Pubcomp, ack)
}

fn encode_ack(buf: &mut Vec<u8>, version: Version, packet_type: PacketType, ack: &Ack<'_>) -> Result<(), EncodeError> {
    let header = packet_type.bits() << 4 | packet_type.flags();
    let short = version != Version::V5 || (ack.reason == ReasonCode::SUCCESS && ack.properties.is_empty());
    if short {
        writer::fixed_header(buf, header, 2)?;
        writer::u16(buf, ack.packet_id.get());
        return Ok(());
    }
    check_reason(packet_type, ack.reason)?;
    let properties_len = ack.properties.body_len(IN_ACK)?;
    let mut remaining = 3;
    if properties_len > 0 {
        remaining += variable_integer_len(properties_len) + properties_len;
    }
    writer::fixed_header(buf, header, remaining)?;
    writer::u16(buf, ack.packet_id.get());
    buf.push(ack.reason.0);
    if properties_len > 0 {
        ack.properties.write(buf, properties_len);
    }
    Ok(())
}
