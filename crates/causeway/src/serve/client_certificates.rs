//! Certificates of devices in the handshake: possession of the private key is proven here, everything else is judged
//! at the CONNECT, where the device is known (002 §3.3.3).
//!
//! Devices with a secret hand over none and come through the same port. Signatures are checked with the bare public key,
//! because the certificates that the vendor's guide makes are of version 1, which `webpki` does not read.

use causeway_platform::certificate::{MAX_CHAIN, MAX_DER, x509};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, ring};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, PeerMisbehaved, SignatureScheme};
use rustls_pki_types::{CertificateDer, SubjectPublicKeyInfoDer, UnixTime};
use webpki::RawPublicKeyEntity;

/// See the module text.
#[derive(Debug)]
pub(crate) struct AskForCertificate(WebPkiSupportedAlgorithms);

impl AskForCertificate {
    pub(crate) fn new() -> Self {
        Self(ring::default_provider().signature_verification_algorithms)
    }

    fn check(
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
}

fn unreadable() -> Error {
    CertificateError::BadEncoding.into()
}

impl ClientCertVerifier for AskForCertificate {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    /// None: the list of all authorities would make every handshake longer and tell strangers whose devices these are.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let is_small = intermediates.len() < MAX_CHAIN && intermediates.iter().all(|c| c.len() <= MAX_DER);
        if !is_small || x509::public_key(end_entity).is_none() {
            return Err(unreadable());
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        // RFC 8446 §4.2.3: signatures of the past are not taken.
        if !is_of_tls13(signed.scheme) {
            return Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into());
        }
        self.check(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
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
