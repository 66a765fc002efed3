//! CONNECT and CONNACK (3.1.1 §3.1-3.2, v5 §3.1-3.2, 3.1 §3.1-3.2).

use super::error::{self, ConnectError, DecodeError, EncodeError};
use super::frame::{Frame, Reader, variable_integer_len};
use super::properties::{IN_CONNACK, IN_CONNECT, IN_WILL, Properties};
use super::reason::allowed_in_connack;
use super::{PacketType, QoS, Version, writer};

/// Return codes of a 3.x CONNACK (3.1.1 table 3.1).
pub mod return_code {
    /// Connection accepted.
    pub const ACCEPTED: u8 = 0;
    /// Unacceptable protocol version.
    pub const UNACCEPTABLE_PROTOCOL_VERSION: u8 = 1;
    /// Client identifier rejected.
    pub const IDENTIFIER_REJECTED: u8 = 2;
    /// Server unavailable.
    pub const SERVER_UNAVAILABLE: u8 = 3;
    /// Bad user name or password.
    pub const BAD_USER_NAME_OR_PASSWORD: u8 = 4;
    /// Not authorised.
    pub const NOT_AUTHORIZED: u8 = 5;
}

/// Request to open a session.
#[derive(Clone, Copy, PartialEq)]
pub struct Connect<'a> {
    /// Version that the rest of the connection speaks.
    pub version: Version,
    /// Clean session (3.x) or clean start (5.0).
    pub clean_start: bool,
    /// Keep alive in seconds, 0 = off.
    pub keep_alive: u16,
    /// Client identifier, possibly empty; see [`Connect::lacks_client_id`].
    pub client_id: &'a str,
    /// Message to publish when the connection is lost.
    pub will: Option<Will<'a>>,
    /// User name.
    pub user_name: Option<&'a str>,
    /// Password; in 3.x never without a user name.
    pub password: Option<&'a [u8]>,
    /// Properties, empty in 3.x.
    pub properties: Properties<'a>,
}

/// Will message of a CONNECT.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Will<'a> {
    /// Quality of service to publish it with.
    pub qos: QoS,
    /// Whether to publish it as a retained message.
    pub retain: bool,
    /// Topic name, not empty and without wildcards.
    pub topic: &'a str,
    /// Its bytes, possibly none.
    pub payload: &'a [u8],
    /// Will properties, empty in 3.x.
    pub properties: Properties<'a>,
}

impl<'a> Connect<'a> {
    /// A clean session without will, credentials and keep alive.
    pub fn new(version: Version, client_id: &'a str) -> Self {
        Connect {
            version,
            clean_start: true,
            keep_alive: 0,
            client_id,
            will: None,
            user_name: None,
            password: None,
            properties: Properties::default(),
        }
    }

    /// Whether the client identifier is empty where it must not be: always in 3.1, without clean session in 3.1.1
    /// (`[MQTT-3.1.3-8]`), never in 5.0. The server answers with [`return_code::IDENTIFIER_REJECTED`].
    pub const fn lacks_client_id(&self) -> bool {
        self.client_id.is_empty()
            && match self.version {
                Version::V31 => true,
                Version::V311 => !self.clean_start,
                Version::V5 => false,
            }
    }
}

/// Shows everything but the password, so that it cannot get into a log.
impl std::fmt::Debug for Connect<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connect")
            .field("version", &self.version)
            .field("clean_start", &self.clean_start)
            .field("keep_alive", &self.keep_alive)
            .field("client_id", &self.client_id)
            .field("will", &self.will)
            .field("user_name", &self.user_name)
            .field("password", &self.password.map(|_| "…"))
            .field("properties", &self.properties)
            .finish()
    }
}

const USER_NAME: u8 = 0x80;
const PASSWORD: u8 = 0x40;
const WILL_RETAIN: u8 = 0x20;
const WILL_QOS: u8 = 0x18;
const WILL: u8 = 0x04;
const CLEAN_START: u8 = 0x02;
const RESERVED: u8 = 0x01;

/// Reads the first packet of a connection.
///
/// An empty client identifier is no error here: ask [`Connect::lacks_client_id`].
///
/// # Errors
/// See [`ConnectError`]; [`ConnectError::connack`] says what to answer.
pub fn decode_connect(frame: Frame<'_>) -> Result<Connect<'_>, ConnectError> {
    if frame.packet_type() != Some(PacketType::Connect) {
        return Err(ConnectError::NotMqtt(error::NOT_CONNECT)); // [MQTT-3.1.0-1]
    }
    let mut reader = Reader::new(frame.body);
    let version = protocol_version(&mut reader)?;
    let invalid = |error| ConnectError::Invalid { version, error }; // [MQTT-3.1.4-1]
    connect_body(version, frame, reader).map_err(invalid)
}

fn protocol_version(reader: &mut Reader<'_>) -> Result<Version, ConnectError> {
    let name = reader.binary().map_err(ConnectError::NotMqtt)?;
    if name != b"MQTT" && name != b"MQIsdp" {
        return Err(ConnectError::NotMqtt(error::PROTOCOL_NAME)); // [MQTT-3.1.2-1]
    }
    let level = reader.u8().map_err(ConnectError::NotMqtt)?;
    match (name, level) {
        (b"MQIsdp", 3) => Ok(Version::V31),
        (b"MQTT", 4) => Ok(Version::V311),
        (b"MQTT", 5) => Ok(Version::V5),
        // [MQTT-3.1.2-2]: who speaks a later version understands the form of 5.0, who speaks an
        // earlier one that of 3.1.1. So does a bridge that marks itself with the highest bit (0x83,
        // 0x84) and tries again without it.
        (_, 6..=0x7F) => Err(ConnectError::UnsupportedVersion { level, answer: Version::V5 }),
        _ => Err(ConnectError::UnsupportedVersion { level, answer: Version::V311 }),
    }
}

fn connect_body<'a>(version: Version, frame: Frame<'a>, mut reader: Reader<'a>) -> Result<Connect<'a>, DecodeError> {
    // 3.1 §3.1 does not use the flags of the fixed header and the reserved connect flag, so they may hold anything.
    let strict = version != Version::V31;
    writer::ensure(!strict || frame.flags() == 0, error::FLAGS)?; // [MQTT-2.2.2-2] v5 [MQTT-2.1.3-1]
    writer::ensure(version != Version::V5 || frame.is_minimal(), error::OVERLONG_INTEGER)?; // v5 [MQTT-1.5.5-1]
    let flags = reader.u8()?;
    writer::ensure(!strict || flags & RESERVED == 0, error::CONNECT_RESERVED_FLAG)?; // [MQTT-3.1.2-3]
    let keep_alive = reader.u16()?;
    let properties = read_properties(&mut reader, version, IN_CONNECT)?;
    if properties.authentication_data().is_some() && properties.authentication_method().is_none() {
        return Err(error::AUTHENTICATION_DATA_ALONE); // v5 §3.1.2.11.10
    }
    let client_id = reader.string()?; // [MQTT-3.1.3-3] [MQTT-3.1.3-4]
    let will = if flags & WILL != 0 {
        Some(read_will(&mut reader, version, flags)?) // [MQTT-3.1.2-9]
    } else {
        // 3.1 §3.1 disregards both fields then.
        writer::ensure(!strict || flags & (WILL_QOS | WILL_RETAIN) == 0, error::WILL_FLAGS_ALONE)?; // [MQTT-3.1.2-11]
        None
    };
    if version != Version::V5 && flags & (USER_NAME | PASSWORD) == PASSWORD {
        return Err(error::PASSWORD_ALONE); // [MQTT-3.1.2-22]; 3.1 §3.1: "It is not valid to supply a password without …"
    }
    // 3.1 §3.1: the remaining length has precedence over both flags, so either string may be missing at the end.
    let present = |flag, reader: &Reader<'_>| flags & flag != 0 && (strict || !reader.is_empty());
    let user_name = match present(USER_NAME, &reader) {
        true => Some(reader.string()?), // [MQTT-3.1.2-19] [MQTT-3.1.3-11] v5 [MQTT-3.1.3-10]
        false => None,
    };
    let password = match present(PASSWORD, &reader) {
        true => Some(reader.binary()?), // [MQTT-3.1.2-21]
        false => None,
    };
    reader.end()?; // [MQTT-3.1.2-18] [MQTT-3.1.2-20]
    Ok(Connect {
        version,
        clean_start: flags & CLEAN_START != 0,
        keep_alive,
        client_id,
        will,
        user_name,
        password,
        properties,
    })
}

fn read_properties<'a>(
    reader: &mut Reader<'a>,
    version: Version,
    allowed: super::properties::PropertySet,
) -> Result<Properties<'a>, DecodeError> {
    match version {
        Version::V5 => Properties::read(reader, allowed),
        Version::V31 | Version::V311 => Ok(Properties::default()),
    }
}

fn read_will<'a>(reader: &mut Reader<'a>, version: Version, flags: u8) -> Result<Will<'a>, DecodeError> {
    let qos = QoS::from_bits((flags & WILL_QOS) >> 3).ok_or(error::WILL_QOS)?; // [MQTT-3.1.2-14]
    let properties = read_properties(reader, version, IN_WILL)?;
    let topic = reader.topic_or_empty()?; // [MQTT-3.1.3-10] v5 [MQTT-3.1.3-9]
    writer::ensure(!topic.is_empty(), error::TOPIC_EMPTY)?; // [MQTT-4.7.3-1]
    Ok(Will { qos, retain: flags & WILL_RETAIN != 0, topic, payload: reader.binary()?, properties })
}

/// Appends a CONNECT. Properties are left out in 3.x.
///
/// # Errors
/// A field longer than 65535 bytes, U+0000 in a string, a password without user name in 3.x, a bad will topic, a property
/// that does not belong here.
pub fn encode_connect(buf: &mut Vec<u8>, connect: &Connect<'_>) -> Result<(), EncodeError> {
    let version = connect.version;
    let v5 = version == Version::V5;
    writer::ensure(v5 || connect.password.is_none() || connect.user_name.is_some(), error::PASSWORD_ALONE)?; // [MQTT-3.1.2-22]
    let mut flags = if connect.clean_start { CLEAN_START } else { 0 };
    // Protocol name, level, flags, keep alive.
    let mut remaining = 2 + version.protocol_name().len() + 1 + 1 + 2;
    let mut properties_len = 0;
    if v5 {
        if connect.properties.authentication_data().is_some() && connect.properties.authentication_method().is_none() {
            return Err(error::AUTHENTICATION_DATA_ALONE.into()); // v5 §3.1.2.11.10
        }
        properties_len = connect.properties.body_len(IN_CONNECT)?;
        remaining += variable_integer_len(properties_len) + properties_len;
    }
    remaining += writer::string_len("client identifier", connect.client_id)?;
    let mut will_properties_len = 0;
    if let Some(will) = &connect.will {
        flags |= WILL | will.qos.bits() << 3;
        if will.retain {
            flags |= WILL_RETAIN;
        }
        if v5 {
            will_properties_len = will.properties.body_len(IN_WILL)?;
            remaining += variable_integer_len(will_properties_len) + will_properties_len;
        }
        remaining += writer::topic_len("will topic", will.topic)?;
        remaining += writer::binary_len("will payload", will.payload)?;
    }
    if let Some(user_name) = connect.user_name {
        flags |= USER_NAME;
        remaining += writer::string_len("user name", user_name)?;
    }
    if let Some(password) = connect.password {
        flags |= PASSWORD;
        remaining += writer::binary_len("password", password)?;
    }

    writer::fixed_header(buf, PacketType::Connect.bits() << 4, remaining)?;
    writer::binary(buf, version.protocol_name().as_bytes());
    buf.push(version.level());
    buf.push(flags);
    writer::u16(buf, connect.keep_alive);
    if v5 {
        connect.properties.write(buf, properties_len);
    }
    writer::binary(buf, connect.client_id.as_bytes());
    if let Some(will) = &connect.will {
        if v5 {
            will.properties.write(buf, will_properties_len);
        }
        writer::binary(buf, will.topic.as_bytes());
        writer::binary(buf, will.payload);
    }
    if let Some(user_name) = connect.user_name {
        writer::binary(buf, user_name.as_bytes());
    }
    if let Some(password) = connect.password {
        writer::binary(buf, password);
    }
    Ok(())
}

/// Answer to a CONNECT.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Connack<'a> {
    /// The server has kept session state; 3.1 cannot say so. Never in a refusal.
    pub session_present: bool,
    /// In 3.x one of [`return_code`], in 5.0 the value of a [`ReasonCode`](super::ReasonCode).
    pub code: u8,
    /// Properties, empty in 3.x.
    pub properties: Properties<'a>,
}

pub(crate) fn decode_connack<'a>(version: Version, frame: Frame<'a>) -> Result<Connack<'a>, DecodeError> {
    let mut reader = Reader::new(frame.body);
    let mut flags = reader.u8()?;
    if version == Version::V31 {
        flags = 0; // 3.1 §3.2: the byte is reserved and not used
    }
    writer::ensure(flags <= 1, error::CONNACK_FLAGS)?; // 3.1.1 §3.2.2.1, v5 [MQTT-3.2.2-1]
    let code = reader.u8()?;
    let connack =
        Connack { session_present: flags == 1, code, properties: read_properties(&mut reader, version, IN_CONNACK)? };
    check_connack(version, &connack)?;
    reader.end()?;
    Ok(connack)
}

fn check_connack(version: Version, connack: &Connack<'_>) -> Result<(), DecodeError> {
    let defined = match version {
        Version::V31 | Version::V311 => connack.code <= return_code::NOT_AUTHORIZED,
        Version::V5 => allowed_in_connack(connack.code),
    };
    writer::ensure(defined, error::CONNACK_CODE)?; // 3.1.1 table 3.1, v5 [MQTT-3.2.2-8]
    writer::ensure(!connack.session_present || connack.code == 0, error::SESSION_PRESENT) // [MQTT-3.2.2-4] v5 [MQTT-3.2.2-6]
}

/// Appends a CONNACK. Properties are left out in 3.x, session present in 3.1.
///
/// # Errors
/// A code that the version does not define, session present in a refusal, a property that does not belong here.
pub fn encode_connack(buf: &mut Vec<u8>, version: Version, connack: &Connack<'_>) -> Result<(), EncodeError> {
    check_connack(version, connack)?;
    let mut remaining = 2;
    let mut properties_len = 0;
    if version == Version::V5 {
        properties_len = connack.properties.body_len(IN_CONNACK)?;
        remaining += variable_integer_len(properties_len) + properties_len;
    }
    writer::fixed_header(buf, PacketType::Connack.bits() << 4, remaining)?;
    buf.push((connack.session_present && version != Version::V31).into());
    buf.push(connack.code);
    if version == Version::V5 {
        connack.properties.write(buf, properties_len);
    }
    Ok(())
}
