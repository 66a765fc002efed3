//! TCP and TLS client sockets.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use anyhow::Context as _;
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// A client socket, with or without TLS.
pub(crate) enum Socket {
    /// Plain TCP.
    Plain(TcpStream),
    /// TLS 1.2 or 1.3 over TCP.
    Tls(Box<TlsStream<TcpStream>>),
}

/// How to secure a connection: the trusted authorities and the name the server's certificate must carry.
#[derive(Clone)]
pub(crate) struct Tls {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl Tls {
    /// Trusts the certificates of the PEM file `ca` and expects the server to be `name` (host name or IP address).
    ///
    /// # Errors
    /// When the file cannot be read or holds no certificate, or `name` is neither a host name nor an address.
    pub(crate) fn trusting(ca: &Path, name: &str) -> anyhow::Result<Self> {
        let mut roots = rustls::RootCertStore::empty();
        let certificates = CertificateDer::pem_file_iter(ca)
            .with_context(|| format!("the CA file {} cannot be read", ca.display()))?;
        for certificate in certificates {
            let certificate = certificate.with_context(|| format!("{} is not a PEM file", ca.display()))?;
            roots.add(certificate).with_context(|| format!("{} holds an unusable certificate", ca.display()))?;
        }
        anyhow::ensure!(!roots.is_empty(), "{} holds no certificate", ca.display());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .context("TLS 1.2 and 1.3 are not available")?
            .with_root_certificates(roots)
            .with_no_client_auth();
        // Devices do not share sessions: each of them would shake hands in full.
        config.resumption = rustls::client::Resumption::disabled();
        let name = ServerName::try_from(name.to_owned())
            .with_context(|| format!("{name:?} is neither a host name nor an IP address"))?;
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), name })
    }
}

/// Connects to `target`, from `source` where given, and shakes hands if `tls` is given. Nagle's delay is off.
///
/// # Errors
/// The operating system's or the TLS layer's error.
pub(crate) async fn connect(target: SocketAddr, source: Option<IpAddr>, tls: Option<&Tls>) -> io::Result<Socket> {
    let socket = if target.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(source) = source {
        socket.bind(SocketAddr::new(source, 0))?;
    }
    let stream = socket.connect(target).await?;
    stream.set_nodelay(true)?;
    match tls {
        None => Ok(Socket::Plain(stream)),
        Some(tls) => Ok(Socket::Tls(Box::new(tls.connector.connect(tls.name.clone(), stream).await?))),
    }
}

/// The first address of `host:port`; a wildcard address, as a listener prints it, becomes loopback.
///
/// # Errors
/// When the name does not resolve.
pub(crate) async fn resolve(host_port: &str) -> anyhow::Result<SocketAddr> {
    let mut address = tokio::net::lookup_host(host_port)
        .await
        .with_context(|| format!("{host_port:?} is not a reachable host:port"))?
        .next()
        .with_context(|| format!("{host_port:?} has no address"))?;
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() { [127, 0, 0, 1].into() } else { [0, 0, 0, 0, 0, 0, 0, 1].into() });
    }
    Ok(address)
}

/// The host of `host:port` as a TLS server name: without port, without the brackets of an IPv6 address, a wildcard
/// address as loopback.
pub(crate) fn server_name(host_port: &str) -> &str {
    let host = host_port.rsplit_once(':').map_or(host_port, |(host, _)| host);
    match host.trim_start_matches('[').trim_end_matches(']') {
        "0.0.0.0" => "127.0.0.1",
        "::" => "::1",
        name => name,
    }
}

/// `--tls` and what belongs to it.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct TlsArgs {
    /// Connect devices with TLS (the platform's `mqtts` door).
    #[arg(long)]
    pub(crate) tls: bool,

    /// PEM file of the authorities to trust, for devices with `--tls` and for an `https://` address of `--api`.
    /// Default: the `ca_cert` of the ready file.
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,

    /// Name that the server's certificate must carry. Default: the host that is connected to.
    #[arg(long, value_name = "NAME", requires = "tls")]
    pub(crate) server_name: Option<String>,
}

impl TlsArgs {
    /// What devices connect with: `None` without `--tls`.
    ///
    /// # Errors
    /// When `--tls` is given and no usable CA file is known.
    pub(crate) fn for_server(&self, host_port: &str, default_ca: Option<&Path>) -> anyhow::Result<Option<Tls>> {
        if !self.tls {
            return Ok(None);
        }
        let ca = self.ca.as_deref().or(default_ca).context("--tls needs --ca FILE")?;
        let name = self.server_name.as_deref().unwrap_or_else(|| server_name(host_port));
        Tls::trusting(ca, name).map(Some)
    }
}

impl Socket {
    /// The plain TCP stream inside; `None` with TLS.
    pub(crate) fn into_plain(self) -> Option<TcpStream> {
        match self {
            Self::Plain(stream) => Some(stream),
            Self::Tls(_) => None,
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_names_lose_port_and_brackets() {
        assert_eq!(server_name("iot.example:8883"), "iot.example");
        assert_eq!(server_name("[::1]:8883"), "::1");
        assert_eq!(server_name("0.0.0.0:8883"), "127.0.0.1");
    }

    #[tokio::test]
    async fn wildcard_addresses_become_loopback() {
        let address = resolve("0.0.0.0:1883").await.expect("a literal address");
        assert_eq!(address, SocketAddr::from(([127, 0, 0, 1], 1883)));
        assert!(resolve("no-port").await.is_err());
    }

    #[test]
    fn a_ca_file_without_certificates_is_refused_by_name() {
        let file = Path::new("/dev/null");
        let error = Tls::trusting(file, "localhost").err().expect("no certificate inside");
        assert!(error.to_string().contains("/dev/null holds no certificate"), "{error:#}");
    }
}
