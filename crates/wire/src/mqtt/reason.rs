//! Reason codes of MQTT 5.0 and the tables that say which packet may carry which (v5 §2.4, tables 3-1 … 3-15).

use std::fmt;

/// One byte reason code of MQTT 5.0; 0x80 and above mean failure.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReasonCode(pub u8);

macro_rules! reason_codes {
    ($($(#[$doc:meta])* $name:ident = $value:literal, $text:literal;)*) => {
        impl ReasonCode {
            $($(#[$doc])* pub const $name: ReasonCode = ReasonCode($value);)*

            /// Name in the words of the specification, `None` for a value it does not define.
            /// 0x00 is called Success here; SUBACK calls it Granted QoS 0 and DISCONNECT Normal disconnection.
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some($text),)*
                    _ => None,
                }
            }
        }
    };
}

reason_codes! {
    /// 0x00, also Normal disconnection and Granted QoS 0.
    SUCCESS = 0x00, "Success";
    /// 0x01.
    GRANTED_QOS_1 = 0x01, "Granted QoS 1";
    /// 0x02.
    GRANTED_QOS_2 = 0x02, "Granted QoS 2";
    /// 0x04.
    DISCONNECT_WITH_WILL = 0x04, "Disconnect with Will Message";
    /// 0x10.
    NO_MATCHING_SUBSCRIBERS = 0x10, "No matching subscribers";
    /// 0x11.
    NO_SUBSCRIPTION_EXISTED = 0x11, "No subscription existed";
    /// 0x18.
    CONTINUE_AUTHENTICATION = 0x18, "Continue authentication";
    /// 0x19.
    RE_AUTHENTICATE = 0x19, "Re-authenticate";
    /// 0x80, also the only failure code of a 3.1.1 SUBACK.
    UNSPECIFIED_ERROR = 0x80, "Unspecified error";
    /// 0x81.
    MALFORMED_PACKET = 0x81, "Malformed Packet";
    /// 0x82.
    PROTOCOL_ERROR = 0x82, "Protocol Error";
    /// 0x83.
    IMPLEMENTATION_SPECIFIC_ERROR = 0x83, "Implementation specific error";
    /// 0x84.
    UNSUPPORTED_PROTOCOL_VERSION = 0x84, "Unsupported Protocol Version";
    /// 0x85.
    CLIENT_IDENTIFIER_NOT_VALID = 0x85, "Client Identifier not valid";
    /// 0x86.
    BAD_USER_NAME_OR_PASSWORD = 0x86, "Bad User Name or Password";
    /// 0x87.
    NOT_AUTHORIZED = 0x87, "Not authorized";
    /// 0x88.
    SERVER_UNAVAILABLE = 0x88, "Server unavailable";
    /// 0x89.
    SERVER_BUSY = 0x89, "Server busy";
    /// 0x8A.
    BANNED = 0x8A, "Banned";
    /// 0x8B.
    SERVER_SHUTTING_DOWN = 0x8B, "Server shutting down";
    /// 0x8C.
    BAD_AUTHENTICATION_METHOD = 0x8C, "Bad authentication method";
    /// 0x8D.
    KEEP_ALIVE_TIMEOUT = 0x8D, "Keep Alive timeout";
    /// 0x8E.
    SESSION_TAKEN_OVER = 0x8E, "Session taken over";
    /// 0x8F.
    TOPIC_FILTER_INVALID = 0x8F, "Topic Filter invalid";
    /// 0x90.
    TOPIC_NAME_INVALID = 0x90, "Topic Name invalid";
    /// 0x91.
    PACKET_IDENTIFIER_IN_USE = 0x91, "Packet Identifier in use";
    /// 0x92.
    PACKET_IDENTIFIER_NOT_FOUND = 0x92, "Packet Identifier not found";
    /// 0x93.
    RECEIVE_MAXIMUM_EXCEEDED = 0x93, "Receive Maximum exceeded";
    /// 0x94.
    TOPIC_ALIAS_INVALID = 0x94, "Topic Alias invalid";
    /// 0x95.
    PACKET_TOO_LARGE = 0x95, "Packet too large";
    /// 0x96.
    MESSAGE_RATE_TOO_HIGH = 0x96, "Message rate too high";
    /// 0x97.
    QUOTA_EXCEEDED = 0x97, "Quota exceeded";
    /// 0x98.
    ADMINISTRATIVE_ACTION = 0x98, "Administrative action";
    /// 0x99.
    PAYLOAD_FORMAT_INVALID = 0x99, "Payload format invalid";
    /// 0x9A.
    RETAIN_NOT_SUPPORTED = 0x9A, "Retain not supported";
    /// 0x9B.
    QOS_NOT_SUPPORTED = 0x9B, "QoS not supported";
    /// 0x9C.
    USE_ANOTHER_SERVER = 0x9C, "Use another server";
    /// 0x9D.
    SERVER_MOVED = 0x9D, "Server moved";
    /// 0x9E.
    SHARED_SUBSCRIPTIONS_NOT_SUPPORTED = 0x9E, "Shared Subscriptions not supported";
    /// 0x9F.
    CONNECTION_RATE_EXCEEDED = 0x9F, "Connection rate exceeded";
    /// 0xA0.
    MAXIMUM_CONNECT_TIME = 0xA0, "Maximum connect time";
    /// 0xA1.
    SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED = 0xA1, "Subscription Identifiers not supported";
    /// 0xA2.
    WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED = 0xA2, "Wildcard Subscriptions not supported";
}

impl ReasonCode {
    /// Whether the code reports a failure (v5 §2.4: 0x80 or greater).
    pub const fn is_failure(self) -> bool {
        self.0 >= 0x80
    }
}

impl fmt::Debug for ReasonCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReasonCode({self})")
    }
}

impl fmt::Display for ReasonCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:02X} {}", self.0, self.name().unwrap_or("(not defined)"))
    }
}

/// v5 table 3-1.
pub(crate) const fn allowed_in_connack(code: u8) -> bool {
    matches!(code, 0x00 | 0x80..=0x8A | 0x8C | 0x90 | 0x95 | 0x97 | 0x99..=0x9D | 0x9F)
}

/// v5 tables 3-4 (PUBACK) and 3-5 (PUBREC), which are equal.
pub(crate) const fn allowed_in_puback(code: u8) -> bool {
    matches!(code, 0x00 | 0x10 | 0x80 | 0x83 | 0x87 | 0x90 | 0x91 | 0x97 | 0x99)
}

/// v5 tables 3-6 (PUBREL) and 3-7 (PUBCOMP), which are equal.
pub(crate) const fn allowed_in_pubrel(code: u8) -> bool {
    matches!(code, 0x00 | 0x92)
}

/// v5 table 3-8.
pub(crate) const fn allowed_in_suback(code: u8) -> bool {
    matches!(code, 0x00..=0x02 | 0x80 | 0x83 | 0x87 | 0x8F | 0x91 | 0x97 | 0x9E | 0xA1 | 0xA2)
}

/// v5 table 3-9.
pub(crate) const fn allowed_in_unsuback(code: u8) -> bool {
    matches!(code, 0x00 | 0x11 | 0x80 | 0x83 | 0x87 | 0x8F | 0x91)
}

/// v5 table 3-10. 0x8C stands only in the overview of §2.4, which names DISCONNECT for it; it is taken from both sides.
pub(crate) const fn allowed_in_disconnect(code: u8) -> bool {
    allowed_in_client_disconnect(code) || matches!(code, 0x87 | 0x89 | 0x8B | 0x8D..=0x8F | 0x9A..=0xA2)
}

/// Rows of v5 table 3-10 that name the client as sender.
pub(crate) const fn allowed_in_client_disconnect(code: u8) -> bool {
    matches!(code, 0x00 | 0x04 | 0x80..=0x83 | 0x8C | 0x90 | 0x93..=0x99)
}

/// v5 table 3-11.
pub(crate) const fn allowed_in_auth(code: u8) -> bool {
    matches!(code, 0x00 | 0x18 | 0x19)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failure_begins_at_0x80() {
        assert!(!ReasonCode::SUCCESS.is_failure() && !ReasonCode(0x7F).is_failure());
        assert!(ReasonCode::UNSPECIFIED_ERROR.is_failure() && ReasonCode(0xFF).is_failure());
    }

    #[test]
    fn shows_number_and_name() {
        assert_eq!(ReasonCode::SESSION_TAKEN_OVER.to_string(), "0x8E Session taken over");
        assert_eq!(ReasonCode(0x05).to_string(), "0x05 (not defined)");
        assert_eq!(format!("{:?}", ReasonCode::SUCCESS), "ReasonCode(0x00 Success)");
    }

    #[test]
    fn every_allowed_code_is_defined() {
        let tables = [
            allowed_in_connack,
            allowed_in_puback,
            allowed_in_pubrel,
            allowed_in_suback,
            allowed_in_unsuback,
            allowed_in_disconnect,
            allowed_in_auth,
        ];
        for code in 0..=u8::MAX {
            let allowed = tables.iter().any(|table| table(code));
            assert_eq!(allowed, ReasonCode(code).name().is_some(), "0x{code:02X}");
        }
    }
}
