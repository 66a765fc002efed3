//! The platform's own certificates: a local authority made at the first start, and server certificates it signs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::client_certificates::AskForCertificate;
use crate::config::TlsSettings;

/// Life of the authority in days.
const CA_DAYS: i64 = 3650;
/// Life of a server certificate in days; a start within the last 60 of them makes a new one.
const SERVER_DAYS: i64 = 825;
const RENEW_DAYS: i64 = 60;

/// What the doors need.
pub(crate) struct Certificates {
    /// PEM file that clients should trust.
    pub(crate) ca: PathBuf,
    /// For applications.
    pub(crate) server: Arc<rustls::ServerConfig>,
    /// For devices: it asks for a certificate.
    pub(crate) devices: Arc<rustls::ServerConfig>,
}

/// Names that the server certificate should carry, in a fixed order.
fn wanted_names(settings: &TlsSettings) -> Vec<String> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    let machine = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
    names.extend(Some(machine.trim().to_owned()).filter(|m| !m.is_empty()));
    names.extend(
        settings.names.iter().flat_map(|n| n.split(',')).map(|n| n.trim().to_owned()).filter(|n| !n.is_empty()),
    );
    names.dedup();
    names
}

fn named(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, "Causeway");
    name.push(DnType::CommonName, common_name);
    name
}

fn now() -> time::OffsetDateTime {
    time::OffsetDateTime::now_utc()
}

/// The authority's certificate without times and key: the same at every start, so that the key alone makes an issuer.
fn authority() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = named("Causeway local CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
    params
}

fn make_authority(ca: &Path, ca_key: &Path) -> anyhow::Result<()> {
    let key = KeyPair::generate()?;
    let mut params = authority();
    params.not_before = now() - time::Duration::days(1);
    params.not_after = now() + time::Duration::days(CA_DAYS);
    let certificate = params.self_signed(&key)?;
    super::write_private(ca_key, key.serialize_pem().as_bytes())?;
    super::write_private(ca, certificate.pem().as_bytes())?;
    Ok(())
}

fn make_server(folder: &Path, names: &[String]) -> anyhow::Result<()> {
    let ca_key = KeyPair::from_pem(&std::fs::read_to_string(folder.join("ca.key"))?)?;
    let issuer = Issuer::new(authority(), ca_key);
    let key = KeyPair::generate()?;
    let mut params =
        CertificateParams::new(names.to_vec()).context("tls.names holds a name that cannot stand in a certificate")?;
    params.distinguished_name = named("Causeway server");
    params.use_authority_key_identifier_extension = true;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.not_before = now() - time::Duration::days(1);
    let not_after = now() + time::Duration::days(SERVER_DAYS);
    params.not_after = not_after;
    let certificate = params.signed_by(&key, &issuer)?;
    super::write_private(&folder.join("server.key"), key.serialize_pem().as_bytes())?;
    super::write_private(&folder.join("server.pem"), certificate.pem().as_bytes())?;
    // Says what the certificate was made for; a start that wants something else makes a new one.
    let note = format!("{}\n{}\n", not_after.unix_timestamp(), names.join(","));
    super::write_private(&folder.join("server.names"), note.as_bytes())?;
    Ok(())
}

/// Whether the certificate of an earlier start still serves.
fn server_is_current(folder: &Path, names: &[String]) -> bool {
    let Ok(note) = std::fs::read_to_string(folder.join("server.names")) else { return false };
    let mut lines = note.lines();
    let until: i64 = lines.next().and_then(|l| l.parse().ok()).unwrap_or(0);
    let renew_at = until - RENEW_DAYS * 86_400;
    now().unix_timestamp() < renew_at && lines.next() == Some(names.join(",").as_str())
}

/// For applications and for devices.
fn server_configs(cert: &Path, key: &Path) -> anyhow::Result<[Arc<rustls::ServerConfig>; 2]> {
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect)
        .with_context(|| format!("{} is not a PEM certificate chain", cert.display()))?;
    if chain.is_empty() {
        bail!("{} holds no certificate", cert.display());
    }
    let key =
        PrivateKeyDer::from_pem_file(key).with_context(|| format!("{} is not a PEM private key", key.display()))?;
    let builder = rustls::ServerConfig::builder;
    let ask = Arc::new(AskForCertificate::new());
    let mut configs = [builder().with_no_client_auth(), builder().with_client_cert_verifier(ask)]
        .map(|builder| builder.with_single_cert(chain.clone(), key.clone_key()))
        .into_iter()
        .collect::<Result<Vec<_>, _>>()
        .context("the certificate and the private key do not belong together")?
        .into_iter()
        .map(|mut config| {
            // Sessions of ten thousand small devices would hold memory for little. Without them, every connection shows
            // its certificate anew.
            config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
            Arc::new(config)
        });
    let mut next = || configs.next().context("a configuration is missing");
    Ok([next()?, next()?])
}

/// Loads the certificates of the folder, making what is missing or outdated; `tls.cert` and `tls.key` win.
///
/// # Errors
/// When files are damaged or do not fit together.
pub(crate) fn load_or_make(folder: &Path, settings: &TlsSettings) -> anyhow::Result<Certificates> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let ca = folder.join("ca.pem");
    let ca_key = folder.join("ca.key");
    if !ca.exists() || !ca_key.exists() {
        make_authority(&ca, &ca_key).context("the local certificate authority cannot be made")?;
    }
    match (&settings.cert, &settings.key) {
        (Some(cert), Some(key)) => {
            let [server, devices] = server_configs(Path::new(cert), Path::new(key))?;
            Ok(Certificates { ca, server, devices })
        }
        (None, None) => {
            let names = wanted_names(settings);
            if !server_is_current(folder, &names) {
                make_server(folder, &names).context("the server certificate cannot be made")?;
            }
            let [server, devices] = server_configs(&folder.join("server.pem"), &folder.join("server.key"))?;
            Ok(Certificates { ca, server, devices })
        }
        _ => bail!("tls.cert and tls.key must be set together"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_made_once_and_anew_for_other_names() {
        // Another test may have installed it already; either way it is there.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let dir = tempfile::tempdir().expect("folder");
        let settings = TlsSettings::default();
        load_or_make(dir.path(), &settings).expect("made");
        let first = std::fs::read(dir.path().join("server.pem")).expect("server.pem");
        load_or_make(dir.path(), &settings).expect("kept");
        assert_eq!(first, std::fs::read(dir.path().join("server.pem")).expect("server.pem"));
        let settings = TlsSettings { names: Some("iot.example.org, 192.0.2.7".to_owned()), ..TlsSettings::default() };
        load_or_make(dir.path(), &settings).expect("made anew");
        assert_ne!(first, std::fs::read(dir.path().join("server.pem")).expect("server.pem"));
        assert!(
            load_or_make(dir.path(), &TlsSettings { cert: Some("x".to_owned()), ..TlsSettings::default() }).is_err()
        );
    }
}
