//! The tables between the platform's words and MQTT's codes.

use causeway_platform::device::AuthFailure;
use causeway_platform::downlink::CloseReason;
use causeway_wire::mqtt::{DecodeError, ReasonCode, Version, return_code};

/// Why a CONNECT is refused (002 §2.1.2.11, table of return codes).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The client id is not in a form that is spoken here.
    ClientId,
    /// The keep-alive is out of range; the table puts it under the same code as the client id.
    KeepAlive,
    /// User name and client id name different devices, or one of the two credentials is missing or too long.
    UserName,
    /// Unknown device, wrong secret, stale hour, no certificate or one that is not the device's: told alike, so that
    /// nobody learns which devices exist.
    Credentials,
    /// The device is known and proven, and may not connect here.
    NotAllowed,
    /// The certificate is under an authority of the platform and may not be used, or not for this device.
    Certificate,
    /// The platform cannot tell now.
    Unavailable,
    /// MQTT 5 enhanced authentication is not spoken.
    AuthenticationMethod,
}

impl Refusal {
    /// What an authentication failure tells the device.
    pub(crate) fn of(failure: &AuthFailure) -> Self {
        match failure {
            AuthFailure::UnknownDevice
            | AuthFailure::WrongPassword
            | AuthFailure::StaleTimestamp
            | AuthFailure::NotBySecret
            | AuthFailure::CertificateMissing
            | AuthFailure::InvalidCertificate
            | AuthFailure::UnknownCa
            | AuthFailure::UnverifiedCa
            | AuthFailure::FingerprintMismatch => Self::Credentials,
            AuthFailure::CertificateExpired
            | AuthFailure::CertificateNotYetValid
            | AuthFailure::CertificateRevoked
            | AuthFailure::CaExpired
            | AuthFailure::ProvisioningRefused => Self::Certificate,
            AuthFailure::Frozen | AuthFailure::PlainDoor => Self::NotAllowed,
            AuthFailure::Unavailable(_) => Self::Unavailable,
        }
    }

    /// The code in the CONNACK.
    pub(crate) fn code(self, version: Version) -> u8 {
        let (v3, v5) = match self {
            Self::ClientId | Self::KeepAlive => {
                (return_code::IDENTIFIER_REJECTED, ReasonCode::CLIENT_IDENTIFIER_NOT_VALID)
            }
            Self::UserName | Self::Credentials => {
                (return_code::BAD_USER_NAME_OR_PASSWORD, ReasonCode::BAD_USER_NAME_OR_PASSWORD)
            }
            Self::NotAllowed | Self::Certificate => (return_code::NOT_AUTHORIZED, ReasonCode::NOT_AUTHORIZED),
            Self::Unavailable => (return_code::SERVER_UNAVAILABLE, ReasonCode::SERVER_UNAVAILABLE),
            Self::AuthenticationMethod => (return_code::NOT_AUTHORIZED, ReasonCode::BAD_AUTHENTICATION_METHOD),
        };
        if version == Version::V5 { v5.0 } else { v3 }
    }

    /// The sentence for MQTT 5 devices.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::ClientId => "the client id must be {device_id}_0_{0 or 1}_{YYYYMMDDHH}",
            Self::KeepAlive => "the keep-alive is out of range",
            Self::UserName | Self::Credentials => "user name or password is wrong",
            Self::NotAllowed => "the device may not connect here",
            Self::Certificate => "the certificate is expired, revoked or not valid for this device",
            Self::Unavailable => "try again later",
            Self::AuthenticationMethod => "enhanced authentication is not supported",
        }
    }

    /// The word for metrics and logs, when the failure of the platform does not say more.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::ClientId => "client_id",
            Self::KeepAlive => "keep_alive",
            Self::UserName => "user_name",
            Self::Credentials => "credentials",
            Self::NotAllowed => "not_allowed",
            Self::Certificate => "certificate",
            Self::Unavailable => "unavailable",
            Self::AuthenticationMethod => "authentication_method",
        }
    }
}

/// Why the door ends a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The device said DISCONNECT; `with_will` when it asked for its will (v5 0x04).
    Disconnected {
        /// The will is to be published all the same.
        with_will: bool,
    },
    /// The connection broke or the device closed it.
    Lost,
    /// Nothing came for one and a half times the keep-alive [MQTT-3.1.2-24].
    KeepAlive,
    /// The device does not take what is sent to it.
    NotReading,
    /// A packet broke the protocol.
    Protocol(DecodeError),
    /// Packets that are legal one by one broke a rule together.
    Broken(ReasonCode, &'static str),
    /// The store could not commit what the device sent; it sends it again after reconnecting.
    Uncommitted,
    /// The platform said so.
    Ordered(CloseReason),
}

impl Ending {
    /// The reason in the DISCONNECT to an MQTT 5 device; `None` when nothing is to be said.
    pub(crate) fn reason(self) -> Option<ReasonCode> {
        match self {
            Self::Disconnected { .. } | Self::Lost | Self::NotReading => None,
            Self::KeepAlive => Some(ReasonCode::KEEP_ALIVE_TIMEOUT),
            Self::Protocol(error) => Some(error.reason()),
            Self::Broken(reason, _) => Some(reason),
            Self::Uncommitted => Some(ReasonCode::SERVER_BUSY),
            Self::Ordered(CloseReason::TakenOver) => Some(ReasonCode::SESSION_TAKEN_OVER),
            Self::Ordered(CloseReason::Shutdown) => Some(ReasonCode::SERVER_SHUTTING_DOWN),
            Self::Ordered(
                CloseReason::Deleted
                | CloseReason::Frozen
                | CloseReason::SecretReset
                | CloseReason::FingerprintReset
                | CloseReason::CertificateRefused,
            ) => Some(ReasonCode::ADMINISTRATIVE_ACTION),
        }
    }

    /// The sentence beside the reason.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Protocol(error) => error.text(),
            Self::Broken(_, text) => text,
            Self::Uncommitted => "the platform could not store what was sent, send it again",
            Self::KeepAlive => "nothing was heard within one and a half times the keep-alive",
            Self::Ordered(CloseReason::TakenOver) => "the device connected again",
            Self::Ordered(CloseReason::Shutdown) => "the platform stops",
            Self::Ordered(CloseReason::Deleted) => "the device was deleted",
            Self::Ordered(CloseReason::Frozen) => "the device was frozen",
            Self::Ordered(CloseReason::SecretReset) => "the secret of the device was reset",
            Self::Ordered(CloseReason::FingerprintReset) => "the fingerprint of the device was reset",
            Self::Ordered(CloseReason::CertificateRefused) => "the certificate of the device is no longer accepted",
            Self::NotReading => "the device does not read",
            Self::Disconnected { .. } => "the device disconnected",
            Self::Lost => "the connection broke",
        }
    }

    /// The word for metrics.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Disconnected { .. } => "disconnect",
            Self::Lost => "lost",
            Self::KeepAlive => "keep_alive",
            Self::NotReading => "not_reading",
            Self::Protocol(_) | Self::Broken(..) => "protocol",
            Self::Uncommitted => "uncommitted",
            Self::Ordered(CloseReason::TakenOver) => "taken_over",
            Self::Ordered(CloseReason::Shutdown) => "shutdown",
            Self::Ordered(CloseReason::Deleted) => "deleted",
            Self::Ordered(CloseReason::Frozen) => "frozen",
            Self::Ordered(CloseReason::SecretReset) => "secret_reset",
            Self::Ordered(CloseReason::FingerprintReset) => "fingerprint_reset",
            Self::Ordered(CloseReason::CertificateRefused) => "certificate_refused",
        }
    }

    /// Whether a will is published after this ending [MQTT-3.1.2-8] [MQTT-3.14.4-3].
    pub(crate) fn publishes_will(self) -> bool {
        !matches!(self, Self::Disconnected { with_will: false })
    }
}

/// The sentence that goes with a negative PUBACK, PUBREC or SUBACK code; `None` for codes that say enough.
pub(crate) fn reason_text(reason: ReasonCode) -> Option<&'static str> {
    match reason {
        ReasonCode::NOT_AUTHORIZED => Some("the topic is not one that this device may use"),
        ReasonCode::TOPIC_NAME_INVALID | ReasonCode::TOPIC_FILTER_INVALID => Some("the topic is too long"),
        ReasonCode::QUOTA_EXCEEDED => Some("a limit of the device is reached"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn existence_of_devices_is_not_told() {
        let told = |failure: &AuthFailure| Refusal::of(failure);
        let unknown = told(&AuthFailure::UnknownDevice);
        for failure in [AuthFailure::WrongPassword, AuthFailure::StaleTimestamp, AuthFailure::NotBySecret] {
            assert_eq!(told(&failure), unknown);
        }
        assert_eq!((unknown.code(Version::V311), unknown.code(Version::V5)), (4, 0x86));
        for failure in [AuthFailure::CertificateMissing, AuthFailure::UnknownCa, AuthFailure::FingerprintMismatch] {
            assert_eq!(told(&failure), unknown);
        }
        assert_eq!(told(&AuthFailure::CertificateRevoked).code(Version::V311), 5);
        assert_eq!(told(&AuthFailure::Frozen).code(Version::V31), 5);
        assert_eq!(Refusal::KeepAlive.code(Version::V311), 2);
        assert_eq!(Refusal::ClientId.code(Version::V5), 0x85);
    }
}
