//! Puts fields at the end of a buffer. Lengths are computed first, so that nothing is moved afterwards.

use super::error::{self, DecodeError, EncodeError};
use super::frame::{MAX_REMAINING_LENGTH, variable_integer_len};
use super::topic;

/// Writes the fixed header and makes room for the body.
pub(crate) fn fixed_header(buf: &mut Vec<u8>, header: u8, remaining: usize) -> Result<(), EncodeError> {
    if remaining > MAX_REMAINING_LENGTH {
        return Err(EncodeError::PacketTooLarge { len: remaining });
    }
    buf.reserve(1 + variable_integer_len(remaining) + remaining);
    buf.push(header);
    variable_integer(buf, remaining);
    Ok(())
}

/// Writes a value that was checked to be at most [`MAX_REMAINING_LENGTH`].
pub(crate) fn variable_integer(buf: &mut Vec<u8>, mut value: usize) {
    debug_assert!(value <= MAX_REMAINING_LENGTH);
    while value > 0x7F {
        buf.push((value & 0x7F) as u8 | 0x80);
        value >>= 7;
    }
    buf.push(value as u8);
}

pub(crate) fn u16(buf: &mut Vec<u8>, value: u16) {
    buf.extend_from_slice(&value.to_be_bytes());
}

pub(crate) fn u32(buf: &mut Vec<u8>, value: u32) {
    buf.extend_from_slice(&value.to_be_bytes());
}

/// Writes a field whose length was checked by [`binary_len`] or [`string_len`].
pub(crate) fn binary(buf: &mut Vec<u8>, value: &[u8]) {
    debug_assert!(value.len() <= usize::from(u16::MAX));
    u16(buf, value.len() as u16);
    buf.extend_from_slice(value);
}

/// Bytes of a binary field with its length.
pub(crate) fn binary_len(field: &'static str, value: &[u8]) -> Result<usize, EncodeError> {
    if value.len() > usize::from(u16::MAX) {
        return Err(EncodeError::FieldTooLong { field, len: value.len() });
    }
    Ok(2 + value.len())
}

/// Bytes of a string field with its length.
pub(crate) fn string_len(field: &'static str, value: &str) -> Result<usize, EncodeError> {
    if value.as_bytes().contains(&0) {
        return Err(error::NUL.into()); // [MQTT-1.5.3-2] v5 [MQTT-1.5.4-2]
    }
    binary_len(field, value.as_bytes())
}

/// Bytes of a topic name that must not be empty.
pub(crate) fn topic_len(field: &'static str, value: &str) -> Result<usize, EncodeError> {
    if value.is_empty() {
        return Err(error::TOPIC_EMPTY.into()); // [MQTT-4.7.3-1]
    }
    topic_or_empty_len(field, value)
}

/// Bytes of a topic name that may be empty, as 5.0 allows beside a topic alias.
pub(crate) fn topic_or_empty_len(field: &'static str, value: &str) -> Result<usize, EncodeError> {
    if topic::has_wildcard(value) {
        return Err(error::TOPIC_WILDCARD.into()); // [MQTT-3.3.2-2]
    }
    string_len(field, value)
}

/// `Err(violation)` unless `holds`.
pub(crate) fn ensure(holds: bool, violation: DecodeError) -> Result<(), DecodeError> {
    if holds { Ok(()) } else { Err(violation) }
}
