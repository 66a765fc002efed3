//! Certificates of the platform's own doors. They are kept for domain configurations, which are not built: no door
//! serves them yet.

use causeway_model::certificate::ServerCertificate;
use causeway_model::registry::{Page, PageRequest};
use causeway_model::{Code, Error, RecordNo, Result};
use pkcs8::EncryptedPrivateKeyInfo;
use pkcs8::der::{Decode as _, SecretDocument};
use pkcs8::pkcs5::EncryptionScheme;
use pkcs8::pkcs5::pbes2::Kdf;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;
use zeroize::Zeroizing;

use super::MAX_CHAIN;
use super::x509::{self, Fingerprints};
use crate::Platform;

/// Most rounds that a password is stretched by.
const MAX_ROUNDS: u32 = 1_000_000;
/// Most memory that a password is stretched by, in bytes.
const MAX_MEMORY: u64 = 64 << 20;

fn invalid(why: &str) -> Error {
    Error::new(Code::InvalidServerCertificate, format!("Invalid input. {why}."))
}

fn not_found(id: &str) -> Error {
    Error::new(Code::ServerCertificateNotFound, format!("The server certificate '{id}' does not exist."))
}

/// A private key, DER: PKCS#8, PKCS#1 or SEC1.
fn private_key(pem: &str, password: Option<&str>) -> Result<PrivateKeyDer<'static>> {
    if pem.contains("Proc-Type:") {
        return Err(invalid(
            "'private_key' is encrypted in the traditional form; convert it with 'openssl pkcs8 -topk8' and send that",
        ));
    }
    if !pem.contains("BEGIN ENCRYPTED PRIVATE KEY") {
        return PrivateKeyDer::from_pem_slice(pem.as_bytes())
            .map_err(|_| invalid("'private_key' holds no PEM section PRIVATE KEY"));
    }
    let Some(password) = password.filter(|p| !p.is_empty()) else {
        return Err(invalid("'private_key' is encrypted; send 'private_key_password' with it"));
    };
    let unreadable = || invalid("'private_key' is not a PEM section ENCRYPTED PRIVATE KEY that can be read");
    let (_, document) = SecretDocument::from_pem(pem.trim()).map_err(|_| unreadable())?;
    let encrypted = EncryptedPrivateKeyInfo::from_der(document.as_bytes()).map_err(|_| unreadable())?;
    if !is_affordable(&encrypted.encryption_algorithm) {
        return Err(invalid(&format!(
            "'private_key' is encrypted in a way that is not taken; use PBES2 with PBKDF2 of at most {MAX_ROUNDS} rounds \
             or scrypt of at most {} MB, as 'openssl pkcs8 -topk8' does",
            MAX_MEMORY >> 20
        )));
    }
    let opened = encrypted
        .decrypt(password)
        .map_err(|_| invalid("'private_key_password' does not open 'private_key', or its cipher is not supported"))?;
    Ok(PrivateKeyDer::Pkcs8(opened.as_bytes().to_vec().into()))
}

/// Whether opening a key costs no more than a request may.
fn is_affordable(scheme: &EncryptionScheme<'_>) -> bool {
    match scheme.pbes2().map(|p| &p.kdf) {
        Some(Kdf::Pbkdf2(kdf)) => kdf.iteration_count <= MAX_ROUNDS,
        Some(Kdf::Scrypt(kdf)) => [u64::from(kdf.block_size), u64::from(kdf.parallelization)]
            .into_iter()
            .try_fold(128, |product: u64, factor| product.checked_mul(factor))
            .and_then(|product| product.checked_mul(kdf.cost_parameter))
            .is_some_and(|memory| memory <= MAX_MEMORY),
        _ => false,
    }
}

impl Platform {
    /// Stores a certificate with its key.
    ///
    /// # Errors
    /// [`Code::InvalidServerCertificate`] says what does not fit; [`Code::ServerCertificateExists`];
    /// [`Code::TooManyServerCertificates`].
    pub async fn store_server_certificate(
        &self,
        pem: &str,
        key: Zeroizing<String>,
        password: Option<Zeroizing<String>>,
    ) -> Result<ServerCertificate> {
        let chain = x509::certificates_of_pem(pem).map_err(|why| invalid(&format!("'certificate_pem': {why}")))?;
        let (Some(der), true) = (chain.first(), chain.len() <= MAX_CHAIN) else {
            return Err(invalid(&format!("'certificate_pem' must hold 1 to {MAX_CHAIN} PEM certificates")));
        };
        // A password is stretched on purpose.
        let opened = tokio::task::spawn_blocking(move || private_key(&key, password.as_deref().map(String::as_str)));
        let key = opened.await.map_err(Error::internal)??;
        let certificates: Option<Vec<_>> = chain.iter().map(|der| x509::read(der)).collect();
        let certificates = certificates.ok_or_else(|| invalid("'certificate_pem' cannot be read as X.509"))?;
        for pair in certificates.windows(2) {
            if pair[0].issuer().as_raw() != pair[1].subject().as_raw()
                || !x509::is_signed_by(&pair[0], pair[1].public_key())
            {
                return Err(invalid(
                    "'certificate_pem' must hold the server's certificate first and then the one that signed it, and so on",
                ));
            }
        }
        let certificate = &certificates[0];
        if certificate.is_ca() {
            return Err(invalid("'certificate_pem' begins with the certificate of an authority, not of a server"));
        }
        let signing = rustls::crypto::ring::sign::any_supported_type(&key).map_err(|_| {
            invalid("'private_key' is not a key that can be used; it must be RSA, EC (P-256, P-384) or Ed25519")
        })?;
        let public = signing.public_key();
        if public.is_none_or(|key| key.as_ref() != certificate.tbs_certificate.subject_pki.raw) {
            return Err(invalid("'private_key' and 'certificate_pem' do not belong together"));
        }
        let (effective_at, expires_at) = x509::validity(certificate);
        let now = self.clock.now();
        if now > expires_at {
            return Err(invalid(&format!("'certificate_pem' expired at {}", expires_at.compact())));
        }
        let record = ServerCertificate {
            no: RecordNo(0),
            id: uuid::Uuid::new_v4().to_string(),
            common_name: x509::common_name(certificate),
            owner: x509::distinguished_name(certificate.subject()),
            issuer: x509::distinguished_name(certificate.issuer()),
            fingerprint: Fingerprints::of(der).sha256_text,
            content: chain.iter().map(|der| x509::pem(der)).collect(),
            private_key: self.secrets.seal(key.secret_der()),
            created_at: now,
            effective_at,
            expires_at,
        };
        self.store.insert_server_certificate(record, self.settings.certificate.max_server).await
    }

    /// One server certificate.
    ///
    /// # Errors
    /// [`Code::ServerCertificateNotFound`].
    pub async fn server_certificate(&self, id: &str) -> Result<ServerCertificate> {
        self.store.server_certificate(id).await?.ok_or_else(|| not_found(id))
    }

    /// A page of server certificates, newest first.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn list_server_certificates(&self, page: PageRequest) -> Result<Page<ServerCertificate>> {
        self.store.list_server_certificates(page).await
    }

    /// Deletes a server certificate.
    ///
    /// # Errors
    /// [`Code::ServerCertificateNotFound`].
    pub async fn delete_server_certificate(&self, id: &str) -> Result<()> {
        let certificate = self.server_certificate(id).await?;
        if !self.store.delete_server_certificate(certificate.no).await? {
            return Err(not_found(id));
        }
        Ok(())
    }
}
