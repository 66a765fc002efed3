//! Certificates of devices in the handshake: possession of the private key is proven here, everything else is judged
//! at the CONNECT, where the device is known (002 §3.3.3).
//!
//! Devices with a secret hand over none and come through the same port.

use causeway_platform::certificate::handshake::Signatures;
use causeway_platform::certificate::{MAX_CHAIN, MAX_DER, x509};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, UnixTime};

/// See the module text.
#[derive(Debug)]
pub(crate) struct AskForCertificate(Signatures);

impl AskForCertificate {
    pub(crate) fn new() -> Self {
        Self(Signatures::default())
    }
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
            return Err(CertificateError::BadEncoding.into());
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.check_tls12(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.check_tls13(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.schemes()
    }
}
