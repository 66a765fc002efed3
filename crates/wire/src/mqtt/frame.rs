//! Fixed header (3.1.1 §2.2, v5 §2.1) and the primitive types of the body (3.1.1 §1.5, v5 §1.5).

use super::error::{self, DecodeError};
use super::topic::has_wildcard;
use super::{PacketId, PacketType};

/// Largest remaining length that four bytes can say (3.1.1 §2.2.3).
pub const MAX_REMAINING_LENGTH: usize = 268_435_455;

/// One packet as it lies in the receive buffer.
///
/// ```text
/// header | remaining length (1-4 bytes) | body
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// First byte: packet type in the high four bits, flags in the low four.
    pub header: u8,
    /// Variable header and payload; its length is the remaining length.
    pub body: &'a [u8],
    /// Bytes of the whole packet: what to drop from the receive buffer after it.
    pub len: usize,
}

impl Frame<'_> {
    /// Packet type, `None` for the reserved value 0.
    pub const fn packet_type(&self) -> Option<PacketType> {
        PacketType::from_bits(self.header >> 4)
    }

    /// Low four bits of the first byte.
    pub const fn flags(&self) -> u8 {
        self.header & 0x0F
    }

    /// Whether the remaining length is written in as few bytes as possible. 5.0 demands it `[MQTT-1.5.5-1]`, 3.x does not.
    pub(crate) const fn is_minimal(&self) -> bool {
        self.len - self.body.len() == 1 + variable_integer_len(self.body.len())
    }
}

/// Length of the whole packet that starts at `buf[0]`, in bytes, as soon as its remaining length is there; `None` before.
/// Serves to reserve room for the rest.
///
/// # Errors
/// As [`split_frame`].
pub fn frame_len(buf: &[u8], max_packet_size: u32) -> Result<Option<usize>, DecodeError> {
    Ok(fixed_header(buf, max_packet_size)?.map(|(head, remaining)| head + remaining))
}

/// Cuts the first packet off `buf`; `None` while bytes are missing.
///
/// `max_packet_size` counts the whole packet with its fixed header, in bytes (v5 §3.1.2.11.4). A packet that is larger is
/// refused as soon as its remaining length is there, so nobody has to buffer it.
///
/// # Errors
/// Packet type 0, a remaining length of more than four bytes, a packet larger than `max_packet_size`.
pub fn split_frame(buf: &[u8], max_packet_size: u32) -> Result<Option<Frame<'_>>, DecodeError> {
    let Some((head, remaining)) = fixed_header(buf, max_packet_size)? else {
        return Ok(None);
    };
    let len = head + remaining;
    Ok(buf.get(head..len).map(|body| Frame { header: buf[0], body, len }))
}

/// Length of the fixed header and the remaining length.
fn fixed_header(buf: &[u8], max_packet_size: u32) -> Result<Option<(usize, usize)>, DecodeError> {
    let Some((&header, rest)) = buf.split_first() else {
        return Ok(None);
    };
    if header >> 4 == 0 {
        return Err(error::RESERVED_TYPE); // table 2.1
    }
    let Some((remaining, bytes)) = variable_integer(rest)? else {
        return Ok(None);
    };
    let head = 1 + bytes;
    if head + remaining > max_packet_size as usize {
        return Err(error::TOO_LARGE); // v5 §3.2.2.3.6
    }
    Ok(Some((head, remaining)))
}

/// Value and byte count of the variable byte integer at the start of `buf`; `None` while bytes are missing.
fn variable_integer(buf: &[u8]) -> Result<Option<(usize, usize)>, DecodeError> {
    let mut value = 0;
    for (i, &byte) in buf.iter().take(4).enumerate() {
        value |= usize::from(byte & 0x7F) << (7 * i);
        if byte & 0x80 == 0 {
            return Ok(Some((value, i + 1)));
        }
    }
    if buf.len() < 4 { Ok(None) } else { Err(error::VARIABLE_INTEGER) }
}

/// Bytes that the variable byte integer takes, 1-4.
pub(crate) const fn variable_integer_len(value: usize) -> usize {
    match value {
        0..=0x7F => 1,
        0x80..=0x3FFF => 2,
        0x4000..=0x1F_FFFF => 3,
        _ => 4,
    }
}

/// Takes fields off the front of a packet body.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(rest: &'a [u8]) -> Self {
        Reader { rest }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// What is left, for fields that reach to the end of the packet.
    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The packet must end here.
    pub(crate) const fn end(&self) -> Result<(), DecodeError> {
        if self.rest.is_empty() { Ok(()) } else { Err(error::TRAILING) }
    }

    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let (head, rest) = self.rest.split_at_checked(len).ok_or(error::TRUNCATED)?;
        self.rest = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(error::TRUNCATED)?;
        self.rest = rest;
        Ok(*head)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_be_bytes)
    }

    /// Variable byte integer of a property, at most [`MAX_REMAINING_LENGTH`] (v5 §1.5.5).
    pub(crate) fn variable_integer(&mut self) -> Result<usize, DecodeError> {
        let (value, len) = variable_integer(self.rest)?.ok_or(error::TRUNCATED)?;
        if len != variable_integer_len(value) {
            return Err(error::OVERLONG_INTEGER); // v5 [MQTT-1.5.5-1]
        }
        self.rest = &self.rest[len..];
        Ok(value)
    }

    pub(crate) fn binary(&mut self) -> Result<&'a [u8], DecodeError> {
        let len = self.u16()?;
        self.take(len.into())
    }

    pub(crate) fn string(&mut self) -> Result<&'a str, DecodeError> {
        let bytes = self.binary()?;
        // `from_utf8` refuses surrogates and overlong forms as the Unicode specification demands.
        let text = std::str::from_utf8(bytes).map_err(|_| error::UTF8)?; // [MQTT-1.5.3-1] v5 [MQTT-1.5.4-1]
        if bytes.contains(&0) {
            return Err(error::NUL); // [MQTT-1.5.3-2] v5 [MQTT-1.5.4-2]
        }
        Ok(text)
    }

    /// Topic name that may be empty, as 5.0 allows beside a topic alias.
    pub(crate) fn topic_or_empty(&mut self) -> Result<&'a str, DecodeError> {
        let topic = self.string()?;
        if has_wildcard(topic) {
            return Err(error::TOPIC_WILDCARD); // [MQTT-3.3.2-2]
        }
        Ok(topic)
    }

    pub(crate) fn packet_id(&mut self) -> Result<PacketId, DecodeError> {
        PacketId::new(self.u16()?).ok_or(error::PACKET_ID_ZERO) // [MQTT-2.3.1-1] v5 [MQTT-2.2.1-3]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANY_SIZE: u32 = u32::MAX;

    #[test]
    fn waits_until_the_packet_is_complete() {
        let packet = [0x30, 0x04, 0, 1, b'a', b'x'];
        for end in 0..packet.len() {
            assert_eq!(split_frame(&packet[..end], ANY_SIZE), Ok(None), "{end} bytes");
        }
        let expected = Frame { header: 0x30, body: &packet[2..], len: 6 };
        assert_eq!(split_frame(&packet, ANY_SIZE), Ok(Some(expected)));
        let with_next = [&packet[..], &[0xC0, 0]].concat();
        assert_eq!(split_frame(&with_next, ANY_SIZE), Ok(Some(expected)));
    }

    #[test]
    fn oversized_packet_is_refused_at_its_remaining_length() {
        // 4 bytes body, 6 in all.
        assert_eq!(split_frame(&[0x30, 0x04], 5), Err(error::TOO_LARGE));
        assert_eq!(split_frame(&[0x30, 0x04], 6), Ok(None));
        assert_eq!(frame_len(&[0x30, 0x80], 100), Ok(None));
        assert_eq!(frame_len(&[0x30, 0x80, 0x01], 1000), Ok(Some(131)));
    }

    #[test]
    fn remaining_length_has_at_most_four_bytes() {
        assert_eq!(frame_len(&[0x30, 0xFF, 0xFF, 0xFF, 0x7F], ANY_SIZE), Ok(Some(MAX_REMAINING_LENGTH + 5)));
        assert_eq!(frame_len(&[0x30, 0xFF, 0xFF, 0xFF], ANY_SIZE), Ok(None));
        assert_eq!(frame_len(&[0x30, 0xFF, 0xFF, 0xFF, 0xFF], ANY_SIZE), Err(error::VARIABLE_INTEGER));
    }

    #[test]
    fn minimal_form_is_seen() {
        let frame = |buf| split_frame(buf, ANY_SIZE).expect("legal").expect("complete");
        assert!(!frame(&[0xC0, 0x80, 0x00]).is_minimal());
        assert_eq!(frame(&[0xC0, 0x80, 0x00]).len, 3);
        assert!(frame(&[0xC0, 0x00]).is_minimal());
    }

    #[test]
    fn lengths_of_variable_integers() {
        for (value, len) in [(0, 1), (127, 1), (128, 2), (16_383, 2), (16_384, 3), (2_097_151, 3), (2_097_152, 4)] {
            assert_eq!(variable_integer_len(value), len, "{value}");
        }
    }
}
