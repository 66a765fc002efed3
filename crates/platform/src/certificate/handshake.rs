//! Signatures of TLS handshakes, checked with the bare public key: the certificates that the vendor's guide makes are of
//! version 1, which `webpki` does not read.

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, ring};
use rustls::{CertificateError, DigitallySignedStruct, Error, PeerMisbehaved, SignatureScheme};
use rustls_pki_types::{CertificateDer, SubjectPublicKeyInfoDer};
use webpki::RawPublicKeyEntity;

use super::x509;

/// Checks that the peer has the private key of the certificate it showed.
#[derive(Debug)]
pub struct Signatures(WebPkiSupportedAlgorithms);

impl Default for Signatures {
    fn default() -> Self {
        Self(ring::default_provider().signature_verification_algorithms)
    }
}

impl Signatures {
    /// The schemes of signatures that are checked.
    #[must_use]
    pub fn schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }

    /// A signature of TLS 1.2.
    ///
    /// # Errors
    /// It does not hold, or the certificate cannot be read.
    pub fn check_tls12(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let key = SubjectPublicKeyInfoDer::from(x509::public_key(certificate).ok_or_else(unreadable)?);
        let key = RawPublicKeyEntity::try_from(&key).map_err(|_| unreadable())?;
        let algorithms = self.0.mapping.iter().find(|(scheme, _)| *scheme == signed.scheme).map(|(_, found)| *found);
        // In TLS 1.2 a scheme leaves the curve open, so that several algorithms may be meant.
        let holds = algorithms
            .into_iter()
            .flatten()
            .any(|algorithm| key.verify_signature(*algorithm, message, signed.signature()).is_ok());
        if holds { Ok(HandshakeSignatureValid::assertion()) } else { Err(CertificateError::BadSignature.into()) }
    }

    /// A signature of TLS 1.3.
    ///
    /// # Errors
    /// As [`check_tls12`](Self::check_tls12), or it is of a scheme of the past.
    pub fn check_tls13(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        // RFC 8446 §4.2.3: signatures of the past are not taken.
        if !is_of_tls13(signed.scheme) {
            return Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into());
        }
        self.check_tls12(message, certificate, signed)
    }
}

fn unreadable() -> Error {
    CertificateError::BadEncoding.into()
}

fn is_of_tls13(scheme: SignatureScheme) -> bool {
    matches!(
        scheme,
        SignatureScheme::ECDSA_NISTP256_SHA256
            | SignatureScheme::ECDSA_NISTP384_SHA384
            | SignatureScheme::ED25519
            | SignatureScheme::RSA_PSS_SHA256
            | SignatureScheme::RSA_PSS_SHA384
            | SignatureScheme::RSA_PSS_SHA512
    )
}
