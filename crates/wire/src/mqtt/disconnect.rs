//! DISCONNECT and AUTH (3.1.1 §3.14, v5 §3.14-3.15).

use super::error::{self, DecodeError, EncodeError};
use super::frame::{Frame, Reader, variable_integer_len};
use super::properties::{IN_AUTH, IN_DISCONNECT, Properties, PropertySet};
use super::reason::{allowed_in_auth, allowed_in_disconnect};
use super::{PacketType, ReasonCode, Version, writer};

/// Last packet of a connection. In 3.x only the client sends it, without reason and properties.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Disconnect<'a> {
    /// Why; success = normal disconnection. Left out in 3.x.
    pub reason: ReasonCode,
    /// Properties, empty in 3.x.
    pub properties: Properties<'a>,
}

/// One step of enhanced authentication, 5.0 only.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Auth<'a> {
    /// Success (server), continue authentication (both) or re-authenticate (client).
    pub reason: ReasonCode,
    /// Properties. Empty only with success; otherwise an authentication method is among them.
    pub properties: Properties<'a>,
}

pub(crate) fn decode_disconnect<'a>(version: Version, frame: Frame<'a>) -> Result<Disconnect<'a>, DecodeError> {
    let mut reader = Reader::new(frame.body);
    let mut disconnect = Disconnect::default();
    if version == Version::V5 && !reader.is_empty() {
        // Remaining length 0: normal disconnection. 1: no property length follows (v5 §3.14.2.1, §3.14.2.2.1).
        disconnect.reason = ReasonCode(reader.u8()?);
        writer::ensure(allowed_in_disconnect(disconnect.reason.0), error::DISCONNECT_CODE)?; // v5 [MQTT-3.14.2-1]
        if !reader.is_empty() {
            disconnect.properties = Properties::read(&mut reader, IN_DISCONNECT)?;
        }
    }
    reader.end()?;
    Ok(disconnect)
}

pub(crate) fn decode_auth<'a>(frame: Frame<'a>) -> Result<Auth<'a>, DecodeError> {
    let mut reader = Reader::new(frame.body);
    let mut auth = Auth::default();
    if reader.is_empty() {
        return Ok(auth); // v5 §3.15.2.1: success without properties
    }
    auth.reason = ReasonCode(reader.u8()?);
    auth.properties = Properties::read(&mut reader, IN_AUTH)?;
    check_auth(&auth)?;
    reader.end()?;
    Ok(auth)
}

fn check_auth(auth: &Auth<'_>) -> Result<(), DecodeError> {
    writer::ensure(allowed_in_auth(auth.reason.0), error::AUTH_CODE)?; // v5 [MQTT-3.15.2-1]
    writer::ensure(auth.properties.authentication_method().is_some(), error::AUTHENTICATION_METHOD_MISSING) // v5 §3.15.2.2.2
}

/// Appends a DISCONNECT; reason and properties are left out in 3.x, where only a client sends it.
///
/// # Errors
/// In 5.0 a reason code or property that does not belong here, or a string longer than 65535 bytes.
pub fn encode_disconnect(buf: &mut Vec<u8>, version: Version, disconnect: &Disconnect<'_>) -> Result<(), EncodeError> {
    if version != Version::V5 {
        return writer::fixed_header(buf, PacketType::Disconnect.bits() << 4, 0);
    }
    writer::ensure(allowed_in_disconnect(disconnect.reason.0), error::DISCONNECT_CODE)?; // v5 [MQTT-3.14.2-1]
    encode(buf, PacketType::Disconnect, disconnect.reason, &disconnect.properties, IN_DISCONNECT)
}

/// Appends an AUTH, which exists in 5.0 only.
///
/// # Errors
/// A reason code or property that does not belong here, no authentication method, a field longer than 65535 bytes.
pub fn encode_auth(buf: &mut Vec<u8>, auth: &Auth<'_>) -> Result<(), EncodeError> {
    if *auth != Auth::default() {
        check_auth(auth)?;
    }
    encode(buf, PacketType::Auth, auth.reason, &auth.properties, IN_AUTH)
}

/// The common form of both: reason and properties may be left out from the end.
fn encode(
    buf: &mut Vec<u8>,
    packet_type: PacketType,
    reason: ReasonCode,
    properties: &Properties<'_>,
    allowed: PropertySet,
) -> Result<(), EncodeError> {
    let properties_len = properties.body_len(allowed)?;
    let remaining = match (reason, properties_len) {
        (ReasonCode::SUCCESS, 0) => 0,
        (_, 0) => 1,
        _ => 1 + variable_integer_len(properties_len) + properties_len,
    };
    writer::fixed_header(buf, packet_type.bits() << 4, remaining)?;
    if remaining > 0 {
        buf.push(reason.0);
    }
    if properties_len > 0 {
        properties.write(buf, properties_len);
    }
    Ok(())
}
