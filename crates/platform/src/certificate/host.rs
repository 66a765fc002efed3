//! Hosts that events are pushed to (002 §4.6.2, loading a push certificate): a certificate that was uploaded vouches for
//! them, in place of the system's authorities.

use std::net::IpAddr;

use causeway_model::{Code, Error, Result, Timestamp};
use rustls_pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;

use super::{MAX_CHAIN, Trust, x509};
use crate::Platform;

/// What vouches for a host: an authority (`/certificates`), or the host's own certificate with those above it
/// (`/server-certificates`).
#[derive(Debug)]
pub struct HostTrust {
    authorities: Trust,
    own: Option<CertificateDer<'static>>,
}

impl HostTrust {
    /// Checks what a host has shown: `chain` is DER, its own certificate first; `name` is a DNS name or an address that it
    /// must be for. A certificate without alternative names is known by its common name: the guide makes such ones.
    ///
    /// # Errors
    /// A text that says what is wrong with the certificate, for operators.
    pub fn check(&self, chain: &[&[u8]], name: &str, now: Timestamp) -> std::result::Result<(), String> {
        let read: Option<Vec<_>> = chain.iter().map(|der| x509::read(der)).collect();
        let Some(read) = read.filter(|c| !c.is_empty() && c.len() <= MAX_CHAIN) else {
            return Err("its certificates cannot be read".to_owned());
        };
        let own = &read[0];
        if let Some(fault) = x509::server_fault(own) {
            return Err(format!("its certificate cannot be used: {fault}"));
        }
        let (from, to) = x509::validity(own);
        if now < from || now > to {
            return Err(format!("its certificate is valid from {} to {}", from.compact(), to.compact()));
        }
        if !is_for(own, name) {
            return Err(format!("its certificate is not for '{name}'"));
        }
        let is_known = self.own.as_deref() == chain.first().copied();
        if is_known || self.authorities.anchor_of(&read, now, |anchor| anchor.is_current(now)).is_some() {
            return Ok(());
        }
        Err("its certificate is not under the one that 'cert_id' names".to_owned())
    }
}

/// Whether a certificate is for a host of this name (RFC 6125 §6.4).
fn is_for(certificate: &X509Certificate<'_>, name: &str) -> bool {
    let address: Option<IpAddr> = name.parse().ok();
    let alternatives = certificate.subject_alternative_name().ok().flatten();
    let hosts: Vec<_> = alternatives
        .iter()
        .flat_map(|names| &names.value.general_names)
        .filter(|n| matches!(n, GeneralName::DNSName(_) | GeneralName::IPAddress(_)))
        .collect();
    if hosts.is_empty() {
        return x509::common_name(certificate).is_some_and(|common| matches(&common, name, address.is_some()));
    }
    hosts.into_iter().any(|host| match (host, address) {
        (GeneralName::DNSName(pattern), None) => matches(pattern, name, false),
        (GeneralName::IPAddress(bytes), Some(IpAddr::V4(v4))) => *bytes == v4.octets(),
        (GeneralName::IPAddress(bytes), Some(IpAddr::V6(v6))) => *bytes == v6.octets(),
        _ => false,
    })
}

/// A `*` stands for the whole first label.
fn matches(pattern: &str, name: &str, literally: bool) -> bool {
    let name = name.trim_end_matches('.');
    if pattern.eq_ignore_ascii_case(name) {
        return true;
    }
    match (pattern.strip_prefix("*."), name.split_once('.')) {
        (Some(rest), Some((_, parent))) => !literally && rest.contains('.') && rest.eq_ignore_ascii_case(parent),
        _ => false,
    }
}

impl Platform {
    /// What the certificate `id` vouches for.
    ///
    /// # Errors
    /// [`Code::CaNotFound`] when there is neither a CA certificate nor a server certificate of this id.
    pub async fn host_trust(&self, id: &str) -> Result<HostTrust> {
        if let Some(ca) = self.store.ca(id).await? {
            return Ok(HostTrust { authorities: Trust::compile(&[ca], 0), own: None });
        }
        let Some(server) = self.store.server_certificate(id).await? else {
            return Err(Error::new(Code::CaNotFound, format!("The certificate '{id}' does not exist.")));
        };
        let chain = x509::certificates_of_pem(&server.content).map_err(Error::internal)?;
        let (own, above) =
            chain.split_first().ok_or_else(|| Error::internal("a server certificate without content"))?;
        Ok(HostTrust { authorities: Trust::of_chain(above), own: Some(own.clone()) })
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

    use super::*;

    fn params(common_name: &str, alternatives: &[&str]) -> CertificateParams {
        let names: Vec<String> = alternatives.iter().map(|n| (*n).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names");
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, common_name);
        params
    }

    #[test]
    fn only_what_was_uploaded_vouches_and_only_for_the_name() {
        let ca_key = KeyPair::generate().expect("a key");
        let mut ca_params = params("CA", &[]);
        ca_params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = ca_params.self_signed(&ca_key).expect("a certificate");
        let issuer = Issuer::new(ca_params, ca_key);
        let signed = |common_name: &str, alternatives: &[&str]| {
            let key = KeyPair::generate().expect("a key");
            params(common_name, alternatives).signed_by(&key, &issuer).expect("a certificate").der().clone()
        };
        let trust = HostTrust { authorities: Trust::of_chain(&[ca.der().clone()]), own: None };
        let now = Timestamp(1_800_000_000_000);
        let check = |der: &CertificateDer<'_>, name: &str| trust.check(&[der.as_ref()], name, now);

        let plain = signed("appserver.iot.com", &[]);
        assert_eq!(check(&plain, "AppServer.iot.com"), Ok(()));
        assert!(check(&plain, "other.iot.com").expect_err("another name").contains("other.iot.com"));
        let modern = signed("a.example", &["b.example", "*.c.example", "10.0.0.1"]);
        for (name, expected) in [
            ("b.example", true),
            ("x.c.example", true),
            ("10.0.0.1", true),
            ("a.example", false),
            ("y.x.c.example", false),
            ("10.0.0.2", false),
        ] {
            assert_eq!(check(&modern, name).is_ok(), expected, "{name}");
        }
        assert!(trust.check(&[modern.as_ref()], "b.example", Timestamp(i64::MAX)).is_err(), "expired");
        let stranger = params("b.example", &["b.example"]);
        let stranger = stranger.self_signed(&KeyPair::generate().expect("a key")).expect("a certificate");
        assert!(check(stranger.der(), "b.example").expect_err("unknown").contains("cert_id"));
        let pinned = HostTrust { authorities: Trust::default(), own: Some(stranger.der().clone()) };
        assert_eq!(pinned.check(&[stranger.der().as_ref()], "b.example", now), Ok(()));
    }
}
