//! SUBSCRIBE, SUBACK, UNSUBSCRIBE and UNSUBACK (3.1.1 §3.8-3.11, v5 §3.8-3.11).

use super::error::{self, DecodeError, EncodeError};
use super::frame::{Frame, Reader, variable_integer_len};
use super::properties::{IN_ACK, IN_SUBSCRIBE, IN_UNSUBSCRIBE, Properties, PropertySet};
use super::reason::{allowed_in_suback, allowed_in_unsuback};
use super::sequence::{Element, Sequence};
use super::topic::TopicFilter;
use super::{PacketId, PacketType, QoS, Version, writer};

/// Request for subscriptions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Subscribe<'a> {
    /// Identifier that the SUBACK will carry.
    pub packet_id: PacketId,
    /// Properties, empty in 3.x.
    pub properties: Properties<'a>,
    /// At least one; each filter was checked.
    pub subscriptions: Sequence<'a, Subscription<'a>>,
}

/// One topic filter of a SUBSCRIBE with its options. The last three are always at their defaults in 3.x.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Subscription<'a> {
    /// Topic filter as written, in 5.0 possibly `$share/{name}/{filter}`; take it apart with [`TopicFilter::parse`].
    pub filter: &'a str,
    /// Greatest QoS in which messages may come.
    pub qos: QoS,
    /// Do not send back what this client published itself.
    pub no_local: bool,
    /// Leave the retain flag as the publisher set it.
    pub retain_as_published: bool,
    /// What to do with kept messages at subscribe time.
    pub retain_handling: RetainHandling,
}

/// When retained messages are sent for a new subscription (v5 §3.8.3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum RetainHandling {
    /// 0: at every SUBSCRIBE, the only way of 3.x.
    #[default]
    AtSubscribe = 0,
    /// 1: only if the subscription did not exist.
    IfNew = 1,
    /// 2: never.
    Never = 2,
}

const NO_LOCAL: u8 = 0x04;
const RETAIN_AS_PUBLISHED: u8 = 0x08;

impl<'a> Subscription<'a> {
    /// Subscription with the options of 3.x.
    pub fn new(filter: &'a str, qos: QoS) -> Self {
        Subscription { filter, qos, ..Subscription::default() }
    }

    const fn options(&self) -> u8 {
        self.qos.bits()
            | if self.no_local { NO_LOCAL } else { 0 }
            | if self.retain_as_published { RETAIN_AS_PUBLISHED } else { 0 }
            | (self.retain_handling as u8) << 4
    }

    /// Rules that hold for the subscription as a whole.
    fn check(&self, version: Version) -> Result<(), DecodeError> {
        if version != Version::V5 && self.options() > 2 {
            return Err(error::SUBSCRIPTION_OPTIONS); // [MQTT-3-8.3-4]
        }
        let filter = TopicFilter::parse(self.filter, version)?;
        if filter.share.is_some() && self.no_local {
            return Err(error::SHARED_NO_LOCAL); // v5 [MQTT-3.8.3-4]
        }
        Ok(())
    }
}

impl<'a> Element<'a> for Subscription<'a> {
    fn take(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let filter = reader.string()?; // [MQTT-3.8.3-1]
        let options = reader.u8()?;
        writer::ensure(options & 0xC0 == 0, error::SUBSCRIPTION_OPTIONS)?; // [MQTT-3-8.3-4] v5 [MQTT-3.8.3-5]
        let retain_handling = match options >> 4 {
            0 => RetainHandling::AtSubscribe,
            1 => RetainHandling::IfNew,
            2 => RetainHandling::Never,
            _ => return Err(error::RETAIN_HANDLING), // v5 §3.8.3.1
        };
        Ok(Subscription {
            filter,
            qos: QoS::from_bits(options & 0x03).ok_or(error::SUBSCRIPTION_QOS)?, // [MQTT-3-8.3-4] v5 §3.8.3.1
            no_local: options & NO_LOCAL != 0,
            retain_as_published: options & RETAIN_AS_PUBLISHED != 0,
            retain_handling,
        })
    }
}

impl<'a> Element<'a> for &'a str {
    fn take(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        reader.string() // [MQTT-3.10.3-1]
    }
}

/// Reads every element to the end of the packet, so that iterating later cannot fail.
fn read_to_end<'a, T: Element<'a>>(
    reader: Reader<'a>,
    empty: DecodeError,
    check: impl Fn(&T) -> Result<(), DecodeError>,
) -> Result<Sequence<'a, T>, DecodeError> {
    writer::ensure(!reader.is_empty(), empty)?;
    let mut rest = reader;
    while !rest.is_empty() {
        check(&T::take(&mut rest)?)?;
    }
    Ok(Sequence::checked(reader.rest()))
}

/// Packet identifier and, in 5.0, properties.
fn read_head<'a>(
    reader: &mut Reader<'a>,
    version: Version,
    allowed: PropertySet,
) -> Result<(PacketId, Properties<'a>), DecodeError> {
    let packet_id = reader.packet_id()?;
    let properties = match version {
        Version::V5 => Properties::read(reader, allowed)?,
        Version::V31 | Version::V311 => Properties::default(),
    };
    Ok((packet_id, properties))
}

/// Writes fixed header, packet identifier and, in 5.0, properties before a payload of `payload_len` bytes.
fn write_head(
    buf: &mut Vec<u8>,
    packet_type: PacketType,
    version: Version,
    packet_id: PacketId,
    properties: (&Properties<'_>, PropertySet),
    payload_len: usize,
) -> Result<(), EncodeError> {
    let (properties, allowed) = properties;
    let mut remaining = 2 + payload_len;
    let mut properties_len = 0;
    if version == Version::V5 {
        properties_len = properties.body_len(allowed)?;
        remaining += variable_integer_len(properties_len) + properties_len;
    }
    writer::fixed_header(buf, packet_type.bits() << 4 | packet_type.flags(), remaining)?;
    writer::u16(buf, packet_id.get());
    if version == Version::V5 {
        properties.write(buf, properties_len);
    }
    Ok(())
}

pub(crate) fn decode_subscribe<'a>(version: Version, frame: Frame<'a>) -> Result<Subscribe<'a>, DecodeError> {
    let mut reader = Reader::new(frame.body);
    let (packet_id, properties) = read_head(&mut reader, version, IN_SUBSCRIBE)?;
    let check = |subscription: &Subscription<'_>| subscription.check(version);
    let subscriptions = read_to_end(reader, error::SUBSCRIBE_EMPTY, check) // [MQTT-3.8.3-3] v5 [MQTT-3.8.3-2]
        .map_err(|violation| match version {
            // 3.x has no retain handling, all these bits are reserved there.
            Version::V31 | Version::V311 if violation == error::RETAIN_HANDLING => error::SUBSCRIPTION_OPTIONS,
            _ => violation,
        })?;
    Ok(Subscribe { packet_id, properties, subscriptions })
}

/// Appends a SUBSCRIBE. Properties are left out in 3.x.
///
/// # Errors
/// No subscription, a bad topic filter, options that 3.x does not have, no local on a shared subscription, a property that
/// does not belong here, the packet gets too large.
pub fn encode_subscribe(buf: &mut Vec<u8>, version: Version, subscribe: &Subscribe<'_>) -> Result<(), EncodeError> {
    writer::ensure(!subscribe.subscriptions.is_empty(), error::SUBSCRIBE_EMPTY)?; // [MQTT-3.8.3-3] v5 [MQTT-3.8.3-2]
    let mut len = 0;
    for subscription in subscribe.subscriptions.iter() {
        subscription.check(version)?;
        len += writer::string_len("topic filter", subscription.filter)? + 1;
    }
    let properties = (&subscribe.properties, IN_SUBSCRIBE);
    write_head(buf, PacketType::Subscribe, version, subscribe.packet_id, properties, len)?;
    for subscription in subscribe.subscriptions.iter() {
        writer::binary(buf, subscription.filter.as_bytes());
        buf.push(subscription.options());
    }
    Ok(())
}

/// Answer to a SUBSCRIBE.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Suback<'a> {
    /// Identifier of the SUBSCRIBE.
    pub packet_id: PacketId,
    /// Reason string and user properties, empty in 3.x.
    pub properties: Properties<'a>,
    /// One byte for each topic filter in its order: granted QoS 0-2, from 3.1.1 on 0x80 for failure, in 5.0 the value of a
    /// [`ReasonCode`](super::ReasonCode).
    pub codes: &'a [u8],
}

fn check_suback_codes(version: Version, codes: &[u8]) -> Result<(), DecodeError> {
    writer::ensure(!codes.is_empty(), error::SUBACK_EMPTY)?; // [MQTT-3.8.4-5] v5 [MQTT-3.8.4-6]
    let defined = codes.iter().all(|&code| match version {
        Version::V31 => code <= 2, // 3.1 §3.9 has no failure code
        Version::V311 => code <= 2 || code == 0x80,
        Version::V5 => allowed_in_suback(code),
    });
    writer::ensure(defined, error::SUBACK_CODE) // [MQTT-3.9.3-2]
}

pub(crate) fn decode_suback<'a>(version: Version, frame: Frame<'a>) -> Result<Suback<'a>, DecodeError> {
    let mut reader = Reader::new(frame.body);
    let (packet_id, properties) = read_head(&mut reader, version, IN_ACK)?;
    let codes = reader.rest();
    check_suback_codes(version, codes)?;
    Ok(Suback { packet_id, properties, codes })
}

/// Appends a SUBACK. Properties are left out in 3.x.
///
/// # Errors
/// No code, a code that the version does not define (3.1 has no 0x80), a property that does not belong here.
pub fn encode_suback(buf: &mut Vec<u8>, version: Version, suback: &Suback<'_>) -> Result<(), EncodeError> {
    check_suback_codes(version, suback.codes)?;
    let properties = (&suback.properties, IN_ACK);
    write_head(buf, PacketType::Suback, version, suback.packet_id, properties, suback.codes.len())?;
    buf.extend_from_slice(suback.codes);
    Ok(())
}

/// Request to end subscriptions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Unsubscribe<'a> {
    /// Identifier that the UNSUBACK will carry.
    pub packet_id: PacketId,
    /// User properties, empty in 3.x.
    pub properties: Properties<'a>,
    /// At least one topic filter; each was checked.
    pub filters: Sequence<'a, &'a str>,
}

pub(crate) fn decode_unsubscribe<'a>(version: Version, frame: Frame<'a>) -> Result<Unsubscribe<'a>, DecodeError> {
    let mut reader = Reader::new(frame.body);
    let (packet_id, properties) = read_head(&mut reader, version, IN_UNSUBSCRIBE)?;
    let check = |filter: &&str| TopicFilter::parse(filter, version).map(drop);
    let filters = read_to_end(reader, error::UNSUBSCRIBE_EMPTY, check)?; // [MQTT-3.10.3-2]
    Ok(Unsubscribe { packet_id, properties, filters })
}

/// Appends an UNSUBSCRIBE. Properties are left out in 3.x.
///
/// # Errors
/// No topic filter, a bad one, a property that does not belong here, the packet gets too large.
pub fn encode_unsubscribe(
    buf: &mut Vec<u8>,
    version: Version,
    unsubscribe: &Unsubscribe<'_>,
) -> Result<(), EncodeError> {
    writer::ensure(!unsubscribe.filters.is_empty(), error::UNSUBSCRIBE_EMPTY)?; // [MQTT-3.10.3-2]
    let mut len = 0;
    for filter in unsubscribe.filters.iter() {
        TopicFilter::parse(filter, version)?;
        len += writer::string_len("topic filter", filter)?;
    }
    let properties = (&unsubscribe.properties, IN_UNSUBSCRIBE);
    write_head(buf, PacketType::Unsubscribe, version, unsubscribe.packet_id, properties, len)?;
    for filter in unsubscribe.filters.iter() {
        writer::binary(buf, filter.as_bytes());
    }
    Ok(())
}

/// Answer to an UNSUBSCRIBE.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Unsuback<'a> {
    /// Identifier of the UNSUBSCRIBE.
    pub packet_id: PacketId,
    /// Reason string and user properties, empty in 3.x.
    pub properties: Properties<'a>,
    /// In 5.0 the value of a [`ReasonCode`](super::ReasonCode) for each topic filter in its order; empty in 3.x.
    pub codes: &'a [u8],
}

fn check_unsuback_codes(codes: &[u8]) -> Result<(), DecodeError> {
    writer::ensure(!codes.is_empty(), error::UNSUBACK_EMPTY)?; // v5 §3.11.3
    writer::ensure(codes.iter().all(|&code| allowed_in_unsuback(code)), error::UNSUBACK_CODE) // v5 [MQTT-3.11.3-2]
}

pub(crate) fn decode_unsuback<'a>(version: Version, frame: Frame<'a>) -> Result<Unsuback<'a>, DecodeError> {
    let mut reader = Reader::new(frame.body);
    let (packet_id, properties) = read_head(&mut reader, version, IN_ACK)?;
    let codes = reader.rest();
    match version {
        Version::V31 | Version::V311 => reader.end()?,
        Version::V5 => check_unsuback_codes(codes)?,
    }
    Ok(Unsuback { packet_id, properties, codes })
}

/// Appends an UNSUBACK. Properties and codes are left out in 3.x.
///
/// # Errors
/// In 5.0 no code, a code that is not defined here, a property that does not belong here.
pub fn encode_unsuback(buf: &mut Vec<u8>, version: Version, unsuback: &Unsuback<'_>) -> Result<(), EncodeError> {
    let codes = match version {
        Version::V31 | Version::V311 => &[],
        Version::V5 => unsuback.codes,
    };
    if version == Version::V5 {
        check_unsuback_codes(codes)?;
    }
    let properties = (&unsuback.properties, IN_ACK);
    write_head(buf, PacketType::Unsuback, version, unsuback.packet_id, properties, codes.len())?;
    buf.extend_from_slice(codes);
    Ok(())
}
