//! Certificates and provisioning templates (002 §2.1.1, §3.3.3, §11.2).

use crate::ids::{AppId, RecordNo};
use crate::registry::Sealed;
use crate::time::Timestamp;

/// A certificate authority of devices, uploaded by a user of its space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaCertificate {
    /// Paging position and the key other records refer to.
    pub no: RecordNo,
    /// The space whose devices it may speak for.
    pub app_id: AppId,
    /// The id, a UUID.
    pub id: String,
    /// Common name of the subject.
    pub common_name: Option<String>,
    /// The subject, most specific part first.
    pub owner: String,
    /// SHA-256 of the certificate, lower-case hex.
    pub fingerprint: String,
    /// The certificate, PEM.
    pub content: String,
    /// Whether the uploader has shown that the private key is theirs.
    pub verified: bool,
    /// Common name that the verification certificate must carry.
    pub verify_code: String,
    /// Unknown devices under it are registered by its template.
    pub provision_enable: bool,
    /// The template for that.
    pub template_id: Option<String>,
    /// Stored and shown; OCSP is not asked.
    pub ocsp_enable: bool,
    /// As `ocsp_enable`.
    pub ocsp_ssl_enable: bool,
    /// As `ocsp_enable`.
    pub ocsp_server_ca_id: Option<String>,
    /// When it was uploaded.
    pub created_at: Timestamp,
    /// Not valid before.
    pub effective_at: Timestamp,
    /// Not valid after.
    pub expires_at: Timestamp,
}

/// What people see of a certificate authority (002 §11.2.2, table of states).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaState {
    /// The private key was not shown yet; devices are refused.
    Unverified,
    /// In use.
    Verified,
    /// In use, and near its end.
    Expiring,
    /// Over; devices are refused.
    Expired,
}

impl CaState {
    /// The word of the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unverified => "UNVERIFIED",
            Self::Verified => "VERIFIED",
            Self::Expiring => "EXPIRING",
            Self::Expired => "EXPIRED",
        }
    }
}

impl CaCertificate {
    /// The state at `now`; `notice_ms` before its end it is called expiring.
    #[must_use]
    pub fn state(&self, now: Timestamp, notice_ms: i64) -> CaState {
        if now > self.expires_at {
            CaState::Expired
        } else if !self.verified {
            CaState::Unverified
        } else if now.plus_ms(notice_ms) > self.expires_at {
            CaState::Expiring
        } else {
            CaState::Verified
        }
    }
}

/// A certificate that a device has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceCertificate {
    /// Paging position.
    pub no: RecordNo,
    /// The space of its authority and its devices.
    pub app_id: AppId,
    /// The id, a UUID.
    pub id: String,
    /// The authority it is under.
    pub ca: RecordNo,
    /// Common name of the subject.
    pub common_name: Option<String>,
    /// SHA-256, lower-case hex.
    pub sha256: String,
    /// SHA-1, lower-case hex.
    pub sha1: String,
    /// The certificate, PEM.
    pub content: String,
    /// False when it was revoked: its devices are refused.
    pub active: bool,
    /// When it was shown first.
    pub created_at: Timestamp,
    /// Not valid after.
    pub expires_at: Timestamp,
}

/// A certificate with its key, for the platform's own doors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerCertificate {
    /// Paging position.
    pub no: RecordNo,
    /// The id, a UUID.
    pub id: String,
    /// Common name of the subject.
    pub common_name: Option<String>,
    /// The subject, most specific part first.
    pub owner: String,
    /// The issuer, most specific part first.
    pub issuer: String,
    /// SHA-256 of the first certificate, lower-case hex.
    pub fingerprint: String,
    /// The certificate and what leads to its authority, PEM.
    pub content: String,
    /// The private key, PKCS#8, PKCS#1 or SEC1 DER.
    pub private_key: Sealed,
    /// When it was stored.
    pub created_at: Timestamp,
    /// Not valid before.
    pub effective_at: Timestamp,
    /// Not valid after.
    pub expires_at: Timestamp,
}

/// How devices that nobody registered are registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvisioningTemplate {
    /// Paging position.
    pub no: RecordNo,
    /// The id, 24 hex digits.
    pub id: String,
    /// Display name.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// The body as it was sent: checked JSON.
    pub body: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_follow_verification_and_time() {
        let mut ca = CaCertificate {
            no: RecordNo(1),
            app_id: AppId::trusted("a"),
            id: String::new(),
            common_name: None,
            owner: String::new(),
            fingerprint: String::new(),
            content: String::new(),
            verified: false,
            verify_code: String::new(),
            provision_enable: false,
            template_id: None,
            ocsp_enable: false,
            ocsp_ssl_enable: false,
            ocsp_server_ca_id: None,
            created_at: Timestamp(0),
            effective_at: Timestamp(0),
            expires_at: Timestamp(1000),
        };
        assert_eq!(ca.state(Timestamp(0), 100), CaState::Unverified);
        ca.verified = true;
        assert_eq!(ca.state(Timestamp(900), 100), CaState::Verified);
        assert_eq!(ca.state(Timestamp(901), 100), CaState::Expiring);
        assert_eq!(ca.state(Timestamp(1000), 100), CaState::Expiring);
        assert_eq!(ca.state(Timestamp(1001), 100), CaState::Expired);
    }
}
