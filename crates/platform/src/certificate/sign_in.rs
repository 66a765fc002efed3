//! A device that signs in with a certificate (002 §3.3.3).

use causeway_model::certificate::DeviceCertificate;
use causeway_model::registry::Device;
use causeway_model::{AppId, Code, DeviceId, Timestamp};
use rustls_pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;

use super::trust::Anchor;
use super::x509::{self, Fingerprints};
use super::{MAX_CHAIN, Proof};
use crate::Platform;
use crate::device::{AuthFailure, SignedIn};

/// What a device showed, read: its own certificate first.
pub(crate) struct Shown<'a> {
    der: &'a [u8],
    pub(crate) chain: Vec<X509Certificate<'a>>,
    fingerprints: Fingerprints,
}

impl<'a> Shown<'a> {
    /// Reads what was handed over in the handshake.
    pub(crate) fn read(certificates: &'a [CertificateDer<'a>]) -> Result<Self, AuthFailure> {
        let Some(der) = certificates.first().filter(|_| certificates.len() <= MAX_CHAIN) else {
            return Err(AuthFailure::InvalidCertificate);
        };
        let chain = certificates.iter().map(|c| x509::read(c)).collect::<Option<Vec<_>>>();
        let chain = chain.ok_or(AuthFailure::InvalidCertificate)?;
        Ok(Self { der, chain, fingerprints: Fingerprints::of(der) })
    }

    pub(crate) fn leaf(&self) -> &X509Certificate<'a> {
        &self.chain[0]
    }

    /// SHA-256, lower-case hex.
    pub(crate) fn sha256(&self) -> &str {
        &self.fingerprints.sha256_text
    }

    /// Checks what the certificate says of itself.
    fn check(&self, now: Timestamp) -> Result<(), AuthFailure> {
        if let Some(fault) = x509::device_fault(self.leaf()) {
            tracing::debug!(fault, "a device showed a certificate that is not one of a device");
            return Err(AuthFailure::InvalidCertificate);
        }
        let (from, to) = x509::validity(self.leaf());
        if now > to {
            return Err(AuthFailure::CertificateExpired);
        }
        if now < from {
            return Err(AuthFailure::CertificateNotYetValid);
        }
        Ok(())
    }
}

/// Which fingerprint of a device the certificate has.
enum Match {
    Yes,
    /// The device has no first fingerprint: the certificate becomes its own.
    Binds,
    No,
}

fn matched(device: &Device, fingerprints: &Fingerprints) -> Match {
    let (first, second) = (&device.auth.fingerprint, &device.auth.secondary_fingerprint);
    match first {
        Some(first) if fingerprints.matches(first) => Match::Yes,
        _ if second.as_ref().is_some_and(|s| fingerprints.matches(s)) => Match::Yes,
        Some(_) => Match::No,
        None => Match::Binds,
    }
}

impl Platform {
    /// Judges the certificate of a device that is registered with the type CERTIFICATES.
    ///
    /// The authority and the fingerprint are judged first: whoever is told more than that it is not the device has shown
    /// a certificate that could be the device's.
    pub(crate) async fn check_certificate(&self, device: Device, shown: &Shown<'_>) -> Result<SignedIn, AuthFailure> {
        let now = self.clock.now();
        let anchor = self.trust.load().anchor_of(&shown.chain, now, |a| a.app_id == device.app_id);
        let anchor = anchor.ok_or(AuthFailure::UnknownCa)?;
        let matched = matched(&device, &shown.fingerprints);
        if matches!(matched, Match::No) {
            return Err(AuthFailure::FingerprintMismatch);
        }
        let known = self.judge(&anchor, shown, now).await?;
        if device.frozen {
            return Err(AuthFailure::Frozen);
        }
        if matches!(matched, Match::Binds) && !self.bind(&device, shown).await? {
            return Err(AuthFailure::FingerprintMismatch);
        }
        Ok(SignedIn { device, proof: Some(Box::new(self.note_certificate(&anchor, shown, known, now).await?)) })
    }

    /// Checks that authority and certificate may be used now and the certificate was not revoked; returns its record.
    async fn judge(
        &self,
        anchor: &Anchor,
        shown: &Shown<'_>,
        now: Timestamp,
    ) -> Result<Option<DeviceCertificate>, AuthFailure> {
        if !anchor.verified {
            return Err(AuthFailure::UnverifiedCa);
        }
        if !anchor.is_current(now) {
            return Err(AuthFailure::CaExpired);
        }
        shown.check(now)?;
        let known = self.store.device_certificate_by_sha256(&anchor.app_id, shown.sha256()).await;
        let known = known.map_err(AuthFailure::Unavailable)?;
        if known.as_ref().is_some_and(|c| !c.active) {
            return Err(AuthFailure::CertificateRevoked);
        }
        Ok(known)
    }

    /// Makes the certificate the device's own. False when another one was faster.
    async fn bind(&self, device: &Device, shown: &Shown<'_>) -> Result<bool, AuthFailure> {
        let bound = self.store.bind_fingerprint(device.no, shown.sha256()).await.map_err(AuthFailure::Unavailable)?;
        if bound {
            tracing::info!(device_id = %device.id, fingerprint = shown.sha256(), "the device's certificate is bound to it");
            return Ok(true);
        }
        // Two connections at once: the same certificate is as good.
        let now = self.store.device_by_no(device.no).await.map_err(AuthFailure::Unavailable)?;
        Ok(now.is_some_and(|d| matches!(matched(&d, &shown.fingerprints), Match::Yes)))
    }

    /// Makes the record of the certificate, unless it is there.
    async fn note_certificate(
        &self,
        anchor: &Anchor,
        shown: &Shown<'_>,
        known: Option<DeviceCertificate>,
        now: Timestamp,
    ) -> Result<Proof, AuthFailure> {
        let proof = Proof { ca: anchor.no, sha256: shown.fingerprints.sha256 };
        if known.is_some_and(|c| c.ca == anchor.no) {
            return Ok(proof);
        }
        let certificate = DeviceCertificate {
            no: causeway_model::RecordNo(0),
            app_id: anchor.app_id.clone(),
            id: uuid::Uuid::new_v4().to_string(),
            ca: anchor.no,
            common_name: x509::common_name(shown.leaf()),
            sha256: shown.fingerprints.sha256_text.clone(),
            sha1: shown.fingerprints.sha1_text.clone(),
            content: x509::pem(shown.der),
            active: true,
            created_at: now,
            expires_at: x509::validity(shown.leaf()).1,
        };
        match self.store.put_device_certificate(certificate).await {
            Ok(stored) if stored.active => Ok(proof),
            Ok(_) => Err(AuthFailure::CertificateRevoked),
            Err(error) if error.code() == Code::CaNotFound => Err(AuthFailure::UnknownCa),
            Err(error) => Err(AuthFailure::Unavailable(error)),
        }
    }

    /// Registers a device that nobody registered, when an authority says how.
    pub(crate) async fn provision(&self, id: &DeviceId, shown: &Shown<'_>) -> Result<SignedIn, AuthFailure> {
        let now = self.clock.now();
        let anchor = self.trust.load().anchor_of(&shown.chain, now, |a| a.template.is_some());
        let Some(anchor) = anchor else { return Err(AuthFailure::UnknownDevice) };
        self.judge(&anchor, shown, now).await?;
        match self.register_by_template(id, &anchor, shown).await {
            Ok(device) => self.check_certificate(device, shown).await,
            Err(error) if error.is_retryable() => Err(AuthFailure::Unavailable(error)),
            Err(error) => {
                if self.mismatch_log.allow() {
                    tracing::info!(device_id = %id, why = error.message(), "a device could not be registered by template");
                }
                Err(AuthFailure::ProvisioningRefused)
            }
        }
    }

    /// Whether what a connection was opened with still holds.
    pub(crate) async fn still_holds(&self, app: &AppId, proof: &Proof) -> causeway_model::Result<bool> {
        if !self.trust.load().holds(proof.ca) {
            return Ok(false);
        }
        let known = self.store.device_certificate_by_sha256(app, &hex::encode(proof.sha256)).await?;
        Ok(known.is_none_or(|c| c.active))
    }
}
