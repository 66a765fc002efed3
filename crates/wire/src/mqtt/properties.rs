//! Properties of MQTT 5.0 (v5 §2.2.2): which there are, where each may stand, what each may hold.

use std::fmt;
use std::num::{NonZeroU16, NonZeroU32};

use super::error::{self, DecodeError, EncodeError};
use super::frame::{MAX_REMAINING_LENGTH, Reader, variable_integer_len};
use super::sequence::{Element, Sequence};
use super::topic::has_wildcard;
use super::{QoS, writer};

/// Set of property identifiers, one bit each; the greatest identifier is 42.
#[derive(Clone, Copy)]
pub(crate) struct PropertySet(u64);

impl PropertySet {
    const fn of(ids: &[u8]) -> Self {
        let mut bits = 0;
        let mut i = 0;
        while i < ids.len() {
            bits |= 1 << ids[i];
            i += 1;
        }
        PropertySet(bits)
    }

    const fn contains(self, id: u8) -> bool {
        id < 64 && self.0 & (1 << id) != 0
    }
}

// Columns of v5 table 2-4.
pub(crate) const IN_CONNECT: PropertySet = PropertySet::of(&[0x11, 0x15, 0x16, 0x17, 0x19, 0x21, 0x22, 0x26, 0x27]);
pub(crate) const IN_WILL: PropertySet = PropertySet::of(&[0x01, 0x02, 0x03, 0x08, 0x09, 0x18, 0x26]);
pub(crate) const IN_CONNACK: PropertySet = PropertySet::of(&[
    0x11, 0x12, 0x13, 0x15, 0x16, 0x1A, 0x1C, 0x1F, 0x21, 0x22, 0x24, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2A,
]);
pub(crate) const IN_PUBLISH: PropertySet = PropertySet::of(&[0x01, 0x02, 0x03, 0x08, 0x09, 0x0B, 0x23, 0x26]);
pub(crate) const IN_SUBSCRIBE: PropertySet = PropertySet::of(&[0x0B, 0x26]);
pub(crate) const IN_UNSUBSCRIBE: PropertySet = PropertySet::of(&[0x26]);
/// PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK and UNSUBACK.
pub(crate) const IN_ACK: PropertySet = PropertySet::of(&[0x1F, 0x26]);
pub(crate) const IN_DISCONNECT: PropertySet = PropertySet::of(&[0x11, 0x1C, 0x1F, 0x26]);
pub(crate) const IN_AUTH: PropertySet = PropertySet::of(&[0x15, 0x16, 0x1F, 0x26]);

/// One property with its value. Intervals are in seconds, sizes in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Property<'a> {
    /// 0x01: the payload is UTF-8 text. Whether it really is, is for the application to check.
    PayloadFormatIndicator(bool),
    /// 0x02: seconds after which the message is not delivered any more.
    MessageExpiryInterval(u32),
    /// 0x03: free text, customarily a MIME type.
    ContentType(&'a str),
    /// 0x08: topic name for the answer.
    ResponseTopic(&'a str),
    /// 0x09: what the asker knows its request by.
    CorrelationData(&'a [u8]),
    /// 0x0B: 1 … 268435455; several may stand in a PUBLISH of the server.
    SubscriptionIdentifier(NonZeroU32),
    /// 0x11: seconds that the session outlives the connection, 0xFFFFFFFF = for ever.
    SessionExpiryInterval(u32),
    /// 0x12: client identifier that the server chose.
    AssignedClientIdentifier(&'a str),
    /// 0x13: keep alive in seconds that the client has to use.
    ServerKeepAlive(u16),
    /// 0x15: name of the enhanced authentication method.
    AuthenticationMethod(&'a str),
    /// 0x16: bytes of the enhanced authentication method.
    AuthenticationData(&'a [u8]),
    /// 0x17: the server may send reason strings and user properties on every packet.
    RequestProblemInformation(bool),
    /// 0x18: seconds between the loss of the connection and the will.
    WillDelayInterval(u32),
    /// 0x19: the client asks for response information.
    RequestResponseInformation(bool),
    /// 0x1A: basis for response topics.
    ResponseInformation(&'a str),
    /// 0x1C: other server to use.
    ServerReference(&'a str),
    /// 0x1F: sentence for a person who diagnoses.
    ReasonString(&'a str),
    /// 0x21: QoS 1 and 2 messages that may be in flight at once.
    ReceiveMaximum(NonZeroU16),
    /// 0x22: greatest topic alias that is accepted, 0 = none.
    TopicAliasMaximum(u16),
    /// 0x23: number that stands for the topic name.
    TopicAlias(NonZeroU16),
    /// 0x24: greatest QoS that the server accepts, 0 or 1.
    MaximumQos(QoS),
    /// 0x25: the server keeps retained messages.
    RetainAvailable(bool),
    /// 0x26: name and value; the only property that may stand more than once everywhere.
    UserProperty(&'a str, &'a str),
    /// 0x27: bytes of the largest packet that is accepted.
    MaximumPacketSize(NonZeroU32),
    /// 0x28: the server takes wildcards in topic filters.
    WildcardSubscriptionAvailable(bool),
    /// 0x29: the server takes subscription identifiers.
    SubscriptionIdentifierAvailable(bool),
    /// 0x2A: the server takes shared subscriptions.
    SharedSubscriptionAvailable(bool),
}

/// Properties of one packet; empty in 3.x.
///
/// Made by decoding, or from a slice for encoding: `Properties::from(&[Property::ContentType("text/plain")])`.
#[derive(Clone, Copy, Default, PartialEq)]
pub struct Properties<'a>(Sequence<'a, Property<'a>>);

impl<'a> Property<'a> {
    /// Property identifier on the wire.
    pub const fn id(&self) -> u8 {
        match self {
            Property::PayloadFormatIndicator(_) => 0x01,
            Property::MessageExpiryInterval(_) => 0x02,
            Property::ContentType(_) => 0x03,
            Property::ResponseTopic(_) => 0x08,
            Property::CorrelationData(_) => 0x09,
            Property::SubscriptionIdentifier(_) => 0x0B,
            Property::SessionExpiryInterval(_) => 0x11,
            Property::AssignedClientIdentifier(_) => 0x12,
            Property::ServerKeepAlive(_) => 0x13,
            Property::AuthenticationMethod(_) => 0x15,
            Property::AuthenticationData(_) => 0x16,
            Property::RequestProblemInformation(_) => 0x17,
            Property::WillDelayInterval(_) => 0x18,
            Property::RequestResponseInformation(_) => 0x19,
            Property::ResponseInformation(_) => 0x1A,
            Property::ServerReference(_) => 0x1C,
            Property::ReasonString(_) => 0x1F,
            Property::ReceiveMaximum(_) => 0x21,
            Property::TopicAliasMaximum(_) => 0x22,
            Property::TopicAlias(_) => 0x23,
            Property::MaximumQos(_) => 0x24,
            Property::RetainAvailable(_) => 0x25,
            Property::UserProperty(..) => 0x26,
            Property::MaximumPacketSize(_) => 0x27,
            Property::WildcardSubscriptionAvailable(_) => 0x28,
            Property::SubscriptionIdentifierAvailable(_) => 0x29,
            Property::SharedSubscriptionAvailable(_) => 0x2A,
        }
    }

    fn read(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        // The identifier is a variable byte integer, but no defined one needs a second byte.
        Ok(match r.u8()? {
            0x01 => Property::PayloadFormatIndicator(boolean(r)?),
            0x02 => Property::MessageExpiryInterval(r.u32()?),
            0x03 => Property::ContentType(r.string()?), // v5 [MQTT-3.3.2-19]
            0x08 => {
                let topic = r.string()?; // v5 [MQTT-3.3.2-13]
                if topic.is_empty() || has_wildcard(topic) {
                    return Err(error::RESPONSE_TOPIC); // v5 [MQTT-3.3.2-14] [MQTT-4.7.3-1]
                }
                Property::ResponseTopic(topic)
            }
            0x09 => Property::CorrelationData(r.binary()?),
            0x0B => {
                let id = r.variable_integer()? as u32; // at most 28 bits
                Property::SubscriptionIdentifier(NonZeroU32::new(id).ok_or(error::PROPERTY_VALUE)?) // v5 §3.8.2.1.2
            }
            0x11 => Property::SessionExpiryInterval(r.u32()?),
            0x12 => Property::AssignedClientIdentifier(r.string()?),
            0x13 => Property::ServerKeepAlive(r.u16()?),
            0x15 => Property::AuthenticationMethod(r.string()?),
            0x16 => Property::AuthenticationData(r.binary()?),
            0x17 => Property::RequestProblemInformation(boolean(r)?),
            0x18 => Property::WillDelayInterval(r.u32()?),
            0x19 => Property::RequestResponseInformation(boolean(r)?),
            0x1A => Property::ResponseInformation(r.string()?),
            0x1C => Property::ServerReference(r.string()?),
            0x1F => Property::ReasonString(r.string()?),
            0x21 => Property::ReceiveMaximum(NonZeroU16::new(r.u16()?).ok_or(error::PROPERTY_VALUE)?), // v5 §3.1.2.11.3
            0x22 => Property::TopicAliasMaximum(r.u16()?),
            0x23 => Property::TopicAlias(NonZeroU16::new(r.u16()?).ok_or(error::TOPIC_ALIAS_ZERO)?), // v5 [MQTT-3.3.2-8]
            0x24 => {
                let qos = if boolean(r)? { QoS::AtLeastOnce } else { QoS::AtMostOnce }; // v5 §3.2.2.3.4
                Property::MaximumQos(qos)
            }
            0x25 => Property::RetainAvailable(boolean(r)?),
            0x26 => Property::UserProperty(r.string()?, r.string()?), // v5 [MQTT-1.5.7-1]
            0x27 => {
                Property::MaximumPacketSize(NonZeroU32::new(r.u32()?).ok_or(error::PROPERTY_VALUE)?) // v5 §3.1.2.11.4
            }
            0x28 => Property::WildcardSubscriptionAvailable(boolean(r)?),
            0x29 => Property::SubscriptionIdentifierAvailable(boolean(r)?),
            0x2A => Property::SharedSubscriptionAvailable(boolean(r)?),
            _ => return Err(error::PROPERTY_NOT_ALLOWED), // v5 §2.2.2.2
        })
    }

    /// Bytes with the identifier. Refuses what cannot be written or would be refused by [`Property::read`].
    fn encoded_len(&self) -> Result<usize, EncodeError> {
        let value = match *self {
            Property::PayloadFormatIndicator(_)
            | Property::RequestProblemInformation(_)
            | Property::RequestResponseInformation(_)
            | Property::RetainAvailable(_)
            | Property::WildcardSubscriptionAvailable(_)
            | Property::SubscriptionIdentifierAvailable(_)
            | Property::SharedSubscriptionAvailable(_) => 1,
            Property::MaximumQos(qos) => {
                writer::ensure(qos != QoS::ExactlyOnce, error::PROPERTY_VALUE)?; // v5 §3.2.2.3.4
                1
            }
            Property::ServerKeepAlive(_)
            | Property::ReceiveMaximum(_)
            | Property::TopicAliasMaximum(_)
            | Property::TopicAlias(_) => 2,
            Property::MessageExpiryInterval(_)
            | Property::SessionExpiryInterval(_)
            | Property::WillDelayInterval(_)
            | Property::MaximumPacketSize(_) => 4,
            Property::SubscriptionIdentifier(id) => {
                let id = id.get() as usize;
                writer::ensure(id <= MAX_REMAINING_LENGTH, error::PROPERTY_VALUE)?; // v5 §3.8.2.1.2
                variable_integer_len(id)
            }
            Property::ContentType(text) => writer::string_len("content type", text)?,
            Property::ResponseTopic(topic) => {
                writer::ensure(!topic.is_empty() && !has_wildcard(topic), error::RESPONSE_TOPIC)?; // v5 [MQTT-3.3.2-14]
                writer::string_len("response topic", topic)?
            }
            Property::AssignedClientIdentifier(text) => writer::string_len("assigned client identifier", text)?,
            Property::AuthenticationMethod(text) => writer::string_len("authentication method", text)?,
            Property::ResponseInformation(text) => writer::string_len("response information", text)?,
            Property::ServerReference(text) => writer::string_len("server reference", text)?,
            Property::ReasonString(text) => writer::string_len("reason string", text)?,
            Property::CorrelationData(bytes) => writer::binary_len("correlation data", bytes)?,
            Property::AuthenticationData(bytes) => writer::binary_len("authentication data", bytes)?,
            Property::UserProperty(name, value) => {
                writer::string_len("user property name", name)? + writer::string_len("user property value", value)?
            }
        };
        Ok(1 + value)
    }

    fn write(&self, buf: &mut Vec<u8>) {
        buf.push(self.id());
        match *self {
            Property::PayloadFormatIndicator(value)
            | Property::RequestProblemInformation(value)
            | Property::RequestResponseInformation(value)
            | Property::RetainAvailable(value)
            | Property::WildcardSubscriptionAvailable(value)
            | Property::SubscriptionIdentifierAvailable(value)
            | Property::SharedSubscriptionAvailable(value) => buf.push(value.into()),
            Property::MaximumQos(qos) => buf.push(qos.bits()),
            Property::ServerKeepAlive(value) | Property::TopicAliasMaximum(value) => writer::u16(buf, value),
            Property::ReceiveMaximum(value) | Property::TopicAlias(value) => writer::u16(buf, value.get()),
            Property::MessageExpiryInterval(value)
            | Property::SessionExpiryInterval(value)
            | Property::WillDelayInterval(value) => writer::u32(buf, value),
            Property::MaximumPacketSize(value) => writer::u32(buf, value.get()),
            Property::SubscriptionIdentifier(id) => writer::variable_integer(buf, id.get() as usize),
            Property::ContentType(text)
            | Property::ResponseTopic(text)
            | Property::AssignedClientIdentifier(text)
            | Property::AuthenticationMethod(text)
            | Property::ResponseInformation(text)
            | Property::ServerReference(text)
            | Property::ReasonString(text) => writer::binary(buf, text.as_bytes()),
            Property::CorrelationData(bytes) | Property::AuthenticationData(bytes) => writer::binary(buf, bytes),
            Property::UserProperty(name, value) => {
                writer::binary(buf, name.as_bytes());
                writer::binary(buf, value.as_bytes());
            }
        }
    }
}

fn boolean(r: &mut Reader<'_>) -> Result<bool, DecodeError> {
    match r.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(error::PROPERTY_VALUE), // v5 §3.1.2.11.6 and the like
    }
}

/// Refuses a property that stands where it may not, or a second time. `seen` collects the identifiers.
fn check_place(id: u8, allowed: PropertySet, seen: &mut PropertySet) -> Result<(), DecodeError> {
    if !allowed.contains(id) {
        return Err(error::PROPERTY_NOT_ALLOWED); // v5 §2.2.2.2
    }
    // Every subscription that matches may name itself in a PUBLISH, SUBSCRIBE names one (v5 §3.3.2.3.8, §3.8.2.1.2).
    let repeatable = id == 0x26 || (id == 0x0B && allowed.0 == IN_PUBLISH.0);
    if seen.contains(id) && !repeatable {
        return Err(error::DUPLICATE_PROPERTY); // v5 §2.2.2.2 and each property's own section
    }
    seen.0 |= 1 << id;
    Ok(())
}

impl<'a> Element<'a> for Property<'a> {
    fn take(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Property::read(reader)
    }
}

impl<'a> Properties<'a> {
    /// Takes property length and properties off the front and checks each of them.
    pub(crate) fn read(reader: &mut Reader<'a>, allowed: PropertySet) -> Result<Self, DecodeError> {
        let len = reader.variable_integer()?; // v5 [MQTT-2.2.2-1]
        let bytes = reader.take(len)?;
        let mut rest = Reader::new(bytes);
        let mut seen = PropertySet(0);
        // The identifier first: what a packet may not hold must not be judged by its value.
        while let Some(&id) = rest.rest().first() {
            check_place(id, allowed, &mut seen)?;
            Property::read(&mut rest)?;
        }
        Ok(Properties(Sequence::checked(bytes)))
    }

    /// Bytes without the property length.
    pub(crate) fn body_len(&self, allowed: PropertySet) -> Result<usize, EncodeError> {
        let mut seen = PropertySet(0);
        let mut len = 0;
        for property in self.iter() {
            check_place(property.id(), allowed, &mut seen)?;
            len += property.encoded_len()?;
        }
        if len > MAX_REMAINING_LENGTH {
            return Err(EncodeError::PacketTooLarge { len });
        }
        Ok(len)
    }

    /// Writes property length and properties; `body_len` comes from [`Properties::body_len`].
    pub(crate) fn write(&self, buf: &mut Vec<u8>, body_len: usize) {
        writer::variable_integer(buf, body_len);
        for property in self.iter() {
            property.write(buf);
        }
    }

    /// The properties in the order of the packet.
    pub fn iter(&self) -> impl Iterator<Item = Property<'a>> + use<'a> {
        self.0.iter()
    }

    /// Whether there is no property.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// User properties, name and value, in the order of the packet (`[MQTT-3.3.2-18]`).
    pub fn user_properties(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        self.iter().filter_map(|property| match property {
            Property::UserProperty(name, value) => Some((name, value)),
            _ => None,
        })
    }

    /// Subscription identifiers; more than one only in a PUBLISH of the server.
    pub fn subscription_identifiers(&self) -> impl Iterator<Item = NonZeroU32> + use<'a> {
        self.iter().filter_map(|property| match property {
            Property::SubscriptionIdentifier(id) => Some(id),
            _ => None,
        })
    }
}

macro_rules! getters {
    ($($name:ident: $variant:ident -> $ty:ty;)*) => {
        impl<'a> Properties<'a> {
            $(
                #[doc = concat!("Value of [`Property::", stringify!($variant), "`], `None` when it is absent.")]
                pub fn $name(&self) -> Option<$ty> {
                    self.iter().find_map(|property| match property {
                        Property::$variant(value) => Some(value),
                        _ => None,
                    })
                }
            )*
        }
    };
}

getters! {
    payload_format_indicator: PayloadFormatIndicator -> bool;
    message_expiry_interval: MessageExpiryInterval -> u32;
    content_type: ContentType -> &'a str;
    response_topic: ResponseTopic -> &'a str;
    correlation_data: CorrelationData -> &'a [u8];
    session_expiry_interval: SessionExpiryInterval -> u32;
    assigned_client_identifier: AssignedClientIdentifier -> &'a str;
    server_keep_alive: ServerKeepAlive -> u16;
    authentication_method: AuthenticationMethod -> &'a str;
    authentication_data: AuthenticationData -> &'a [u8];
    request_problem_information: RequestProblemInformation -> bool;
    will_delay_interval: WillDelayInterval -> u32;
    request_response_information: RequestResponseInformation -> bool;
    response_information: ResponseInformation -> &'a str;
    server_reference: ServerReference -> &'a str;
    reason_string: ReasonString -> &'a str;
    receive_maximum: ReceiveMaximum -> NonZeroU16;
    topic_alias_maximum: TopicAliasMaximum -> u16;
    topic_alias: TopicAlias -> NonZeroU16;
    maximum_qos: MaximumQos -> QoS;
    retain_available: RetainAvailable -> bool;
    maximum_packet_size: MaximumPacketSize -> NonZeroU32;
    wildcard_subscription_available: WildcardSubscriptionAvailable -> bool;
    subscription_identifier_available: SubscriptionIdentifierAvailable -> bool;
    shared_subscription_available: SharedSubscriptionAvailable -> bool;
}

impl<'a> From<&'a [Property<'a>]> for Properties<'a> {
    fn from(list: &'a [Property<'a>]) -> Self {
        Properties(list.into())
    }
}

impl<'a, const N: usize> From<&'a [Property<'a>; N]> for Properties<'a> {
    fn from(list: &'a [Property<'a>; N]) -> Self {
        Properties(list.into())
    }
}

impl<'a> From<&'a Vec<Property<'a>>> for Properties<'a> {
    fn from(list: &'a Vec<Property<'a>>) -> Self {
        Properties(list.into())
    }
}

impl fmt::Debug for Properties<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn getters_find_their_property() {
        let one = NonZeroU32::MIN;
        let list = vec![
            Property::UserProperty("a", "b"),
            Property::PayloadFormatIndicator(true),
            Property::MessageExpiryInterval(2),
            Property::ContentType("ct"),
            Property::ResponseTopic("rt"),
            Property::CorrelationData(b"cd"),
            Property::SubscriptionIdentifier(one),
            Property::SessionExpiryInterval(3),
            Property::AssignedClientIdentifier("id"),
            Property::ServerKeepAlive(4),
            Property::AuthenticationMethod("am"),
            Property::AuthenticationData(b"ad"),
            Property::RequestProblemInformation(false),
            Property::WillDelayInterval(5),
            Property::RequestResponseInformation(true),
            Property::ResponseInformation("ri"),
            Property::ServerReference("sr"),
            Property::ReasonString("rs"),
            Property::ReceiveMaximum(NonZeroU16::MIN),
            Property::TopicAliasMaximum(6),
            Property::TopicAlias(NonZeroU16::MAX),
            Property::MaximumQos(QoS::AtLeastOnce),
            Property::RetainAvailable(false),
            Property::MaximumPacketSize(NonZeroU32::MAX),
            Property::WildcardSubscriptionAvailable(true),
            Property::SubscriptionIdentifierAvailable(false),
            Property::SharedSubscriptionAvailable(true),
            Property::UserProperty("a", "c"),
            Property::SubscriptionIdentifier(one),
        ];
        let p = Properties::from(&list);
        assert_eq!((p.payload_format_indicator(), p.message_expiry_interval()), (Some(true), Some(2)));
        assert_eq!((p.content_type(), p.response_topic()), (Some("ct"), Some("rt")));
        assert_eq!((p.correlation_data(), p.session_expiry_interval()), (Some(&b"cd"[..]), Some(3)));
        assert_eq!((p.assigned_client_identifier(), p.server_keep_alive()), (Some("id"), Some(4)));
        assert_eq!((p.authentication_method(), p.authentication_data()), (Some("am"), Some(&b"ad"[..])));
        assert_eq!((p.request_problem_information(), p.will_delay_interval()), (Some(false), Some(5)));
        assert_eq!((p.request_response_information(), p.response_information()), (Some(true), Some("ri")));
        assert_eq!((p.server_reference(), p.reason_string()), (Some("sr"), Some("rs")));
        assert_eq!((p.receive_maximum(), p.topic_alias_maximum()), (Some(NonZeroU16::MIN), Some(6)));
        assert_eq!((p.topic_alias(), p.maximum_qos()), (Some(NonZeroU16::MAX), Some(QoS::AtLeastOnce)));
        assert_eq!((p.retain_available(), p.maximum_packet_size()), (Some(false), Some(NonZeroU32::MAX)));
        assert_eq!(p.wildcard_subscription_available(), Some(true));
        assert_eq!(p.subscription_identifier_available(), Some(false));
        assert_eq!(p.shared_subscription_available(), Some(true));
        assert!(p.user_properties().eq([("a", "b"), ("a", "c")]));
        assert!(p.subscription_identifiers().eq([one, one]));
        assert_eq!(Properties::default().topic_alias(), None);
        assert!(format!("{p:?}").contains(r#"ContentType("ct"), ResponseTopic("rt")"#));
    }
}
