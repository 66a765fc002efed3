//! What can be wrong with a packet: one table, so that every refusal has a reason code, a clause and a sentence.

use std::fmt;

use super::{ReasonCode, Version};

/// A rule of the specification that a packet breaks. Text is lowercase without a full stop.
#[derive(PartialEq, Eq)]
struct Violation {
    reason: ReasonCode,
    clause: &'static str,
    text: &'static str,
}

/// Why bytes are not a legal packet. One pointer wide.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct DecodeError(&'static Violation);

impl DecodeError {
    /// Reason code that MQTT 5.0 wants in the DISCONNECT (or CONNACK) that answers the packet. In 3.x the connection is
    /// closed without an answer and the code serves for logs and counters.
    pub const fn reason(self) -> ReasonCode {
        self.0.reason
    }

    /// Normative statement or section that is broken, for example `MQTT-3.3.1-4`. Where the versions count differently
    /// that of 3.1.1 comes first: `MQTT-2.3.1-1, v5 MQTT-2.2.1-3`.
    pub const fn clause(self) -> &'static str {
        self.0.clause
    }

    /// What is wrong, without the clause; a fixed text that never quotes the packet, so it may go into a reason string.
    pub const fn text(self) -> &'static str {
        self.0.text
    }
}

impl fmt::Debug for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DecodeError({}: {self})", self.0.reason)
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}]", self.0.text, self.0.clause)
    }
}

impl std::error::Error for DecodeError {}

/// Why the first packet of a connection does not open one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// The bytes are not an MQTT CONNECT at all. Close without an answer (`[MQTT-3.1.0-1]`, `[MQTT-3.1.2-1]`).
    #[error("first packet is not an MQTT CONNECT")]
    NotMqtt(#[source] DecodeError),
    /// An MQTT CONNECT of a version that is not spoken here (`[MQTT-3.1.2-2]`).
    #[error("protocol level {level} is not supported")]
    UnsupportedVersion {
        /// Protocol level byte of the CONNECT.
        level: u8,
        /// Version in whose form to answer: 3.1.1 for levels below 5, 5.0 above.
        answer: Version,
    },
    /// The version is known and the rest breaks its rules (`[MQTT-3.1.4-1]`).
    #[error("CONNECT is not valid")]
    Invalid {
        /// Version that the CONNECT names.
        version: Version,
        /// The rule it breaks.
        #[source]
        error: DecodeError,
    },
}

impl ConnectError {
    /// CONNACK to send before closing, as version and return or reason code; `None` = close without an answer.
    ///
    /// A 3.x CONNECT that breaks the rules gets no CONNACK (3.1.1 §3.1.4), a 5.0 one gets its reason code (v5 §4.13).
    pub const fn connack(self) -> Option<(Version, u8)> {
        match self {
            ConnectError::UnsupportedVersion { answer: Version::V5, .. } => {
                Some((Version::V5, ReasonCode::UNSUPPORTED_PROTOCOL_VERSION.0))
            }
            ConnectError::UnsupportedVersion { answer, .. } => {
                Some((answer, super::return_code::UNACCEPTABLE_PROTOCOL_VERSION))
            }
            ConnectError::Invalid { version: Version::V5, error } => Some((Version::V5, error.reason().0)),
            ConnectError::NotMqtt(_) | ConnectError::Invalid { .. } => None,
        }
    }
}

/// Why a packet cannot be encoded. The buffer is left as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// A length-prefixed field is longer than its two length bytes can say.
    #[error("{field} has {len} bytes, the format holds 65535")]
    FieldTooLong {
        /// Name of the field in the words of the specification.
        field: &'static str,
        /// Its length in bytes.
        len: usize,
    },
    /// The packet is longer than four remaining length bytes can say.
    #[error("remaining length {len} exceeds 268435455")]
    PacketTooLarge {
        /// Remaining length in bytes.
        len: usize,
    },
    /// The values can be written but every receiver would have to refuse them.
    #[error("the packet would break the protocol")]
    Illegal(#[from] DecodeError),
}

macro_rules! violations {
    ($($name:ident: $reason:ident, $clause:literal, $text:literal;)*) => {
        $(pub(crate) const $name: DecodeError =
            DecodeError(&Violation { reason: ReasonCode::$reason, clause: $clause, text: $text });)*

        /// Every rule, so that tests can see whether one is never checked.
        #[cfg(test)]
        pub(crate) const ALL: &[DecodeError] = &[$($name),*];
    };
}

violations! {
    // Frame and primitive types.
    RESERVED_TYPE: MALFORMED_PACKET, "v5 §2.1.2", "control packet type is reserved in this version";
    FLAGS: MALFORMED_PACKET, "MQTT-2.2.2-2, v5 MQTT-2.1.3-1", "reserved flag bits of the fixed header are wrong";
    VARIABLE_INTEGER: MALFORMED_PACKET, "§2.2.3, v5 §1.5.5", "variable byte integer runs beyond four bytes";
    OVERLONG_INTEGER: MALFORMED_PACKET, "v5 MQTT-1.5.5-1", "variable byte integer uses more bytes than needed";
    TOO_LARGE: PACKET_TOO_LARGE, "v5 §3.2.2.3.6", "packet is larger than the maximum packet size";
    TRUNCATED: MALFORMED_PACKET, "§2.2.3, v5 §2.1.4", "packet ends inside a field";
    TRAILING: MALFORMED_PACKET, "§2.2.3, v5 §2.1.4", "bytes remain after the last field";
    UTF8: MALFORMED_PACKET, "MQTT-1.5.3-1, v5 MQTT-1.5.4-1", "string is not well-formed UTF-8";
    NUL: MALFORMED_PACKET, "MQTT-1.5.3-2, v5 MQTT-1.5.4-2", "string contains U+0000";
    PACKET_ID_ZERO: PROTOCOL_ERROR, "MQTT-2.3.1-1, v5 MQTT-2.2.1-3", "packet identifier is zero";
    PACKET_ID_MISSING: PROTOCOL_ERROR, "MQTT-2.3.1-1, v5 MQTT-2.2.1-3", "packet identifier is missing";
    PACKET_ID_IN_QOS_0: PROTOCOL_ERROR, "MQTT-2.3.1-5, v5 MQTT-2.2.1-2", "packet identifier given with QoS 0";
    WRONG_SENDER: PROTOCOL_ERROR, "table 2.1", "this side does not send packets of this type";

    // Properties.
    PROPERTY_NOT_ALLOWED: MALFORMED_PACKET, "v5 §2.2.2.2", "property is not defined for this packet";
    DUPLICATE_PROPERTY: PROTOCOL_ERROR, "v5 §2.2.2.2", "property stands more than once";
    PROPERTY_VALUE: PROTOCOL_ERROR, "v5 §2.2.2.2", "property has a value outside its range";
    TOPIC_ALIAS_ZERO: TOPIC_ALIAS_INVALID, "v5 MQTT-3.3.2-8", "topic alias is zero";
    RESPONSE_TOPIC: PROTOCOL_ERROR, "v5 MQTT-3.3.2-14", "response topic is empty or contains a wildcard";
    AUTHENTICATION_DATA_ALONE: PROTOCOL_ERROR, "v5 §3.1.2.11.10", "authentication data without authentication method";
    AUTHENTICATION_METHOD_MISSING: PROTOCOL_ERROR, "v5 §3.15.2.2.2", "authentication method is missing";

    // CONNECT and CONNACK.
    NOT_CONNECT: PROTOCOL_ERROR, "MQTT-3.1.0-1", "first packet is not CONNECT";
    SECOND_CONNECT: PROTOCOL_ERROR, "MQTT-3.1.0-2", "second CONNECT on one connection";
    PROTOCOL_NAME: UNSUPPORTED_PROTOCOL_VERSION, "MQTT-3.1.2-1", "protocol name is neither MQTT nor MQIsdp";
    CONNECT_RESERVED_FLAG: MALFORMED_PACKET, "MQTT-3.1.2-3", "reserved connect flag is set";
    WILL_QOS: MALFORMED_PACKET, "MQTT-3.1.2-14", "will QoS is 3";
    WILL_FLAGS_ALONE: MALFORMED_PACKET, "MQTT-3.1.2-11", "will QoS or will retain is set without the will flag";
    PASSWORD_ALONE: MALFORMED_PACKET, "MQTT-3.1.2-22", "password without user name";
    CONNACK_FLAGS: MALFORMED_PACKET, "§3.2.2.1, v5 MQTT-3.2.2-1", "reserved connect acknowledge flags are set";
    CONNACK_CODE: PROTOCOL_ERROR, "§3.2.2.3, v5 MQTT-3.2.2-8", "connect return or reason code is not defined";
    SESSION_PRESENT: PROTOCOL_ERROR, "MQTT-3.2.2-4, v5 MQTT-3.2.2-6", "session present in a refusal";

    // PUBLISH and its acknowledgements.
    QOS_3: MALFORMED_PACKET, "MQTT-3.3.1-4", "QoS is 3";
    DUP_QOS_0: PROTOCOL_ERROR, "MQTT-3.3.1-2", "DUP is set with QoS 0";
    TOPIC_WILDCARD: TOPIC_NAME_INVALID, "MQTT-3.3.2-2, v5 MQTT-4.7.0-1", "topic name contains a wildcard";
    TOPIC_EMPTY: TOPIC_NAME_INVALID, "MQTT-4.7.3-1", "topic name is empty";
    TOPIC_MISSING: PROTOCOL_ERROR, "v5 §3.3.2.1", "topic name is empty and there is no topic alias";
    TOPIC_TOO_LONG: TOPIC_NAME_INVALID, "MQTT-4.7.3-3", "topic name is longer than 65535 bytes";
    SUBSCRIPTION_IDENTIFIER: PROTOCOL_ERROR, "v5 MQTT-3.3.4-6", "subscription identifier in a PUBLISH to the server";
    PUBACK_CODE: PROTOCOL_ERROR, "v5 MQTT-3.4.2-1", "reason code is not one of PUBACK";
    PUBREC_CODE: PROTOCOL_ERROR, "v5 MQTT-3.5.2-1", "reason code is not one of PUBREC";
    PUBREL_CODE: PROTOCOL_ERROR, "v5 MQTT-3.6.2-1", "reason code is not one of PUBREL";
    PUBCOMP_CODE: PROTOCOL_ERROR, "v5 MQTT-3.7.2-1", "reason code is not one of PUBCOMP";

    // SUBSCRIBE, UNSUBSCRIBE and their acknowledgements.
    SUBSCRIBE_EMPTY: PROTOCOL_ERROR, "MQTT-3.8.3-3, v5 MQTT-3.8.3-2", "SUBSCRIBE without topic filter";
    SUBSCRIPTION_OPTIONS: MALFORMED_PACKET, "MQTT-3-8.3-4, v5 MQTT-3.8.3-5", "reserved bits of the subscription options are set";
    SUBSCRIPTION_QOS: PROTOCOL_ERROR, "MQTT-3-8.3-4, v5 §3.8.3.1", "requested QoS is 3";
    RETAIN_HANDLING: PROTOCOL_ERROR, "v5 §3.8.3.1", "retain handling is 3";
    SHARED_NO_LOCAL: PROTOCOL_ERROR, "v5 MQTT-3.8.3-4", "no local on a shared subscription";
    FILTER_EMPTY: TOPIC_FILTER_INVALID, "MQTT-4.7.3-1", "topic filter is empty";
    FILTER_TOO_LONG: TOPIC_FILTER_INVALID, "MQTT-4.7.3-3", "topic filter is longer than 65535 bytes";
    FILTER_MULTI_LEVEL: TOPIC_FILTER_INVALID, "MQTT-4.7.1-2, v5 MQTT-4.7.1-1", "# is not the whole last level of the topic filter";
    FILTER_SINGLE_LEVEL: TOPIC_FILTER_INVALID, "MQTT-4.7.1-3, v5 MQTT-4.7.1-2", "+ is not a whole level of the topic filter";
    SHARE_NAME_EMPTY: TOPIC_FILTER_INVALID, "v5 MQTT-4.8.2-1", "share name is empty";
    SHARE_NAME: TOPIC_FILTER_INVALID, "v5 MQTT-4.8.2-2", "share name contains a wildcard or no topic filter follows it";
    SUBACK_EMPTY: PROTOCOL_ERROR, "MQTT-3.8.4-5, v5 MQTT-3.8.4-6", "SUBACK without return or reason code";
    SUBACK_CODE: PROTOCOL_ERROR, "MQTT-3.9.3-2", "SUBACK return or reason code is not defined in this version";
    UNSUBSCRIBE_EMPTY: PROTOCOL_ERROR, "MQTT-3.10.3-2", "UNSUBSCRIBE without topic filter";
    UNSUBACK_EMPTY: PROTOCOL_ERROR, "v5 §3.11.3", "UNSUBACK without reason code";
    UNSUBACK_CODE: PROTOCOL_ERROR, "v5 MQTT-3.11.3-2", "UNSUBACK reason code is not defined";

    // DISCONNECT and AUTH.
    DISCONNECT_CODE: PROTOCOL_ERROR, "v5 MQTT-3.14.2-1", "reason code is not one of DISCONNECT from this side";
    SERVER_SESSION_EXPIRY: PROTOCOL_ERROR, "v5 MQTT-3.14.2-2", "session expiry interval in a DISCONNECT of the server";
    CLIENT_SERVER_REFERENCE: PROTOCOL_ERROR, "v5 §3.14.2.2.5", "server reference in a DISCONNECT of the client";
    AUTH_CODE: PROTOCOL_ERROR, "v5 MQTT-3.15.2-1", "reason code is not one of AUTH from this side";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn an_error_says_what_is_wrong_and_where_it_is_written() {
        let error = QOS_3;
        assert_eq!(error.to_string(), "QoS is 3 [MQTT-3.3.1-4]");
        assert_eq!(format!("{error:?}"), "DecodeError(0x81 Malformed Packet: QoS is 3 [MQTT-3.3.1-4])");
        assert_eq!((error.text(), error.clause()), ("QoS is 3", "MQTT-3.3.1-4"));
        assert_eq!(error.reason(), ReasonCode::MALFORMED_PACKET);
        assert_eq!(size_of::<Result<(), DecodeError>>(), size_of::<usize>());
    }

    #[test]
    fn every_rule_has_its_own_sentence() {
        let texts: BTreeSet<&str> = ALL.iter().map(|rule| rule.text()).collect();
        assert_eq!(texts.len(), ALL.len());
    }
}
