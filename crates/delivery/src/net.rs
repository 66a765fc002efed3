//! Connections of targets that are not HTTP: they too never lead into the platform's own network, and end in time.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use causeway_platform::outbox::is_public;
use causeway_platform::settings::PushSettings;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;

use crate::target::Failure;

/// How targets connect.
#[derive(Clone, Debug)]
pub(crate) struct Net {
    allow_private: bool,
    /// The longest that a connection, or an answer, may take.
    pub(crate) timeout: Duration,
}

impl Net {
    pub(crate) fn new(settings: &PushSettings) -> Self {
        Self { allow_private: settings.allow_private, timeout: settings.timeout.0 }
    }

    /// Addresses of a host to which connections are allowed; at least one. Connect to these and not to the name: it may
    /// be resolved differently a second time.
    pub(crate) async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Failure> {
        let found: Vec<SocketAddr> = match host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
            Ok(address) => vec![SocketAddr::new(address, port)],
            Err(_) => tokio::time::timeout(self.timeout, tokio::net::lookup_host((host, port)))
                .await
                .map_err(|_| timed_out(host, port))?
                .map_err(|error| unreachable(host, port, error))?
                .collect(),
        };
        let allowed: Vec<SocketAddr> =
            found.iter().copied().filter(|a| self.allow_private || is_public(a.ip())).collect();
        match (found.is_empty(), allowed.is_empty()) {
            (true, _) => Err(unreachable(host, port, "the name has no address")),
            (false, true) => Err(Failure {
                word: "not_public",
                text: format!(
                    "{host}:{port} leads into the platform's own network; the key push.allow_private would permit it"
                ),
            }),
            (false, false) => Ok(allowed),
        }
    }

    /// A TCP connection to the first address of the host that answers.
    pub(crate) async fn connect(&self, host: &str, port: u16) -> Result<TcpStream, Failure> {
        let mut last = None;
        for address in self.resolve(host, port).await? {
            match tokio::time::timeout(self.timeout, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    // Only slower without it.
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Ok(Err(error)) => last = Some(unreachable(host, port, error)),
                Err(_) => last = Some(timed_out(host, port)),
            }
        }
        Err(last.unwrap_or_else(|| unreachable(host, port, "the name has no address")))
    }
}

/// The peer cannot be reached.
pub(crate) fn unreachable(host: &str, port: u16, why: impl std::fmt::Display) -> Failure {
    Failure { word: "unreachable", text: format!("{host}:{port} cannot be reached: {why}") }
}

/// The peer did not answer in time.
pub(crate) fn timed_out(host: &str, port: u16) -> Failure {
    Failure { word: "timeout", text: format!("{host}:{port} did not answer in time") }
}

/// Certificates of authorities: those of `pem` (one or several certificates) alone, or without it the system's.
///
/// # Errors
/// A sentence: `pem` holds no certificate, or the system has none.
pub(crate) fn authorities(pem: Option<&str>) -> Result<Vec<CertificateDer<'static>>, String> {
    let Some(pem) = pem else {
        let system = rustls_native_certs::load_native_certs();
        return match system.certs.is_empty() {
            true => Err("the system's certificate authorities cannot be read".to_owned()),
            false => Ok(system.certs),
        };
    };
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    match read {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err("the certificate of the authority is not PEM".to_owned()),
    }
}

/// TLS to a server whose certificate one of the [`authorities`] vouches for.
///
/// # Errors
/// As [`authorities`].
pub(crate) fn tls(pem: Option<&str>) -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    let (taken, _) = roots.add_parsable_certificates(authorities(pem)?);
    if taken == 0 {
        return Err("no certificate of an authority can be read".to_owned());
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use causeway_model::settings::Span;

    use super::*;

    fn net(allow_private: bool) -> Net {
        Net::new(&PushSettings { allow_private, timeout: Span::millis(500), ..PushSettings::default() })
    }

    #[tokio::test]
    async fn private_addresses_are_refused_unless_allowed() {
        for host in ["127.0.0.1", "::1", "[::1]", "localhost", "10.0.0.1", "169.254.169.254"] {
            let refused = net(false).resolve(host, 80).await.expect_err(host);
            assert_eq!(refused.word, "not_public", "{host}");
            assert!(!net(true).resolve(host, 80).await.expect(host).is_empty());
        }
        assert!(net(false).resolve("8.8.8.8", 53).await.is_ok());
    }

    #[tokio::test]
    async fn a_closed_port_is_unreachable() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        assert!(net(true).connect("127.0.0.1", port).await.is_ok());
        drop(listener);
        assert_eq!(net(true).connect("127.0.0.1", port).await.expect_err("closed").word, "unreachable");
    }

    #[test]
    fn authorities_are_those_that_were_given() {
        assert!(authorities(Some("nonsense")).is_err());
        let made = rcgen::generate_simple_self_signed(["a.example".to_owned()]).expect("a certificate");
        assert_eq!(authorities(Some(&made.cert.pem())).expect("one").len(), 1);
        assert!(tls(Some(&made.cert.pem())).is_ok());
    }
}
