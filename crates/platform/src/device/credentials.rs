//! Checking who a device is (002 §2.1.2.11, 001).

use causeway_model::registry::{AuthType, Device};
use causeway_model::{DeviceId, Error, Timestamp};
use ring::hmac;
use rustls_pki_types::CertificateDer;
use subtle::ConstantTimeEq;

use crate::Platform;
use crate::certificate::{Proof, Shown};

/// How a device signs (`iotda-device-access.md` §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignType {
    /// `0`: HMAC-SHA256, the hour is not judged.
    Unjudged,
    /// `1`: HMAC-SHA256, the hour must be the platform's.
    Judged,
}

/// What a device shows when it signs in.
#[derive(Clone, Copy, Debug)]
pub struct Credentials<'a> {
    /// The device it says it is.
    pub device_id: &'a str,
    /// How it signed.
    pub sign_type: SignType,
    /// `YYYYMMDDHH`, the key of the HMAC.
    pub timestamp: &'a str,
    /// Lower-case hex HMAC-SHA256(key = timestamp, message = secret).
    pub password: &'a [u8],
    /// Whether the door is encrypted.
    pub encrypted: bool,
    /// The certificates that it handed over in the TLS handshake, its own first; the handshake proved that it has the
    /// private key. Empty when it handed over none.
    pub certificates: &'a [CertificateDer<'a>],
}

/// A device that showed who it is.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// The device.
    pub device: Device,
    /// The certificate it did so with.
    pub(crate) proof: Option<Box<Proof>>,
}

impl From<Device> for SignedIn {
    /// A device that showed who it is otherwise than by a certificate.
    fn from(device: Device) -> Self {
        Self { device, proof: None }
    }
}

/// Why a device may not sign in. The client learns only what its wire's table lets it learn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthFailure {
    /// No such device.
    UnknownDevice,
    /// The signature does not match any of the device's secrets.
    WrongPassword,
    /// The signing hour is not the platform's, or no hour at all.
    StaleTimestamp,
    /// The device is frozen.
    Frozen,
    /// The device signs in through its gateway.
    NotBySecret,
    /// The device signs in by certificate and showed none.
    CertificateMissing,
    /// What was shown is not the certificate of a device.
    InvalidCertificate,
    /// The certificate is over.
    CertificateExpired,
    /// The certificate is not valid yet.
    CertificateNotYetValid,
    /// The certificate was revoked.
    CertificateRevoked,
    /// No authority of the device's space signed the certificate.
    UnknownCa,
    /// The authority's private key was not shown yet.
    UnverifiedCa,
    /// The authority is over, or not valid yet.
    CaExpired,
    /// The certificate is not the device's.
    FingerprintMismatch,
    /// The device is unknown, and the template of its authority does not fit.
    ProvisioningRefused,
    /// The device may only use encrypted doors.
    PlainDoor,
    /// The platform cannot tell now.
    Unavailable(Error),
}

impl AuthFailure {
    /// The word for logs and metrics.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::UnknownDevice => "unknown_device",
            Self::WrongPassword => "wrong_password",
            Self::StaleTimestamp => "stale_timestamp",
            Self::Frozen => "frozen",
            Self::NotBySecret => "not_by_secret",
            Self::CertificateMissing => "certificate_missing",
            Self::InvalidCertificate => "invalid_certificate",
            Self::CertificateExpired => "certificate_expired",
            Self::CertificateNotYetValid => "certificate_not_yet_valid",
            Self::CertificateRevoked => "certificate_revoked",
            Self::UnknownCa => "unknown_ca",
            Self::UnverifiedCa => "unverified_ca",
            Self::CaExpired => "ca_expired",
            Self::FingerprintMismatch => "fingerprint_mismatch",
            Self::ProvisioningRefused => "provisioning_refused",
            Self::PlainDoor => "plain_door",
            Self::Unavailable(_) => "unavailable",
        }
    }
}

/// `hex(HMAC-SHA256(key = timestamp, message = secret))`, in constant time against `password`.
fn signature_matches(timestamp: &str, secret: &[u8], password: &[u8]) -> bool {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, timestamp.as_bytes()), secret);
    let mut expected = [0_u8; 64];
    hex::encode_to_slice(tag.as_ref(), &mut expected).expect("32 bytes make 64 hex digits");
    expected.ct_eq(password).into()
}

fn is_hour_stamp(text: &str) -> bool {
    text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit())
}

impl Platform {
    /// Checks a device's credentials.
    ///
    /// The signature is checked before the hour, so that a device with a wrong clock and a wrong secret is told of the
    /// secret.
    ///
    /// # Errors
    /// Why not.
    pub async fn authenticate_device(&self, shown: Credentials<'_>) -> Result<SignedIn, AuthFailure> {
        let outcome = self.check_credentials(shown).await;
        let word = outcome.as_ref().map_or_else(AuthFailure::as_str, |_| "ok");
        metrics::counter!("causeway_device_auth_total", "outcome" => word).increment(1);
        outcome
    }

    async fn check_credentials(&self, shown: Credentials<'_>) -> Result<SignedIn, AuthFailure> {
        let id = DeviceId::parse(shown.device_id).map_err(|_| AuthFailure::UnknownDevice)?;
        let device = self.store.device(&id).await.map_err(AuthFailure::Unavailable)?;
        // A device with a secret may hand over a certificate, for another platform say: the secret is what counts.
        match device {
            None if shown.certificates.is_empty() => Err(AuthFailure::UnknownDevice),
            None => self.provision(&id, &Shown::read(shown.certificates)?).await,
            Some(device) if device.gateway_id.is_some() => Err(AuthFailure::NotBySecret),
            Some(device) if device.auth.auth_type == AuthType::Certificates => {
                if shown.certificates.is_empty() {
                    return Err(AuthFailure::CertificateMissing);
                }
                self.check_certificate(device, &Shown::read(shown.certificates)?).await
            }
            Some(device) => self.check_secret(device, shown).map(SignedIn::from),
        }
    }

    fn check_secret(&self, device: Device, shown: Credentials<'_>) -> Result<Device, AuthFailure> {
        if !is_hour_stamp(shown.timestamp) {
            return Err(AuthFailure::StaleTimestamp);
        }
        let secrets = [&device.auth.secret, &device.auth.secondary_secret];
        if secrets.iter().all(|s| s.is_none()) {
            return Err(AuthFailure::NotBySecret);
        }
        let mut matched = false;
        for sealed in secrets.into_iter().flatten() {
            let secret = self.secrets.open(sealed).map_err(AuthFailure::Unavailable)?;
            matched |= signature_matches(shown.timestamp, &secret, shown.password);
        }
        if !matched {
            return Err(AuthFailure::WrongPassword);
        }
        if shown.sign_type == SignType::Judged && !self.is_current_hour(shown.timestamp) {
            return Err(AuthFailure::StaleTimestamp);
        }
        if device.frozen {
            return Err(AuthFailure::Frozen);
        }
        if device.auth.secure_access && !shown.encrypted {
            return Err(AuthFailure::PlainDoor);
        }
        Ok(device)
    }

    /// Whether any moment of the signed hour lies within the tolerance of now.
    fn is_current_hour(&self, timestamp: &str) -> bool {
        const HOUR_MS: i64 = 3_600_000;
        let Some(Timestamp(start)) = Timestamp::parse_hour_stamp(timestamp) else { return false };
        let now = self.clock.now().0;
        let tolerance = self.settings.device.clock_tolerance.as_millis();
        now >= start - tolerance && now < start + HOUR_MS + tolerance
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_vector_matches() {
        let password = b"c75150e6cb841417396819e4d2ee4358a416344a03a083e3a8567074ddec820a";
        assert!(signature_matches("2025041401", b"12345678", password));
        assert!(!signature_matches("2025041402", b"12345678", password));
        assert!(!signature_matches("2025041401", b"12345678", b"short"));
    }
}
