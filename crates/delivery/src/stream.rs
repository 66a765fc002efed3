//! Connections of targets that speak a protocol of this crate: TCP, or TLS over it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::net::{Net, timed_out};
use crate::target::Failure;

/// The longest wait for one connection and its handshake.
const CONNECT: Duration = Duration::from_secs(10);

impl Net {
    /// A connection, with TLS where a configuration is given.
    ///
    /// # Errors
    /// What happened, with host and port.
    pub(crate) async fn open(&self, host: &str, port: u16, tls: Option<&Arc<ClientConfig>>) -> Result<Stream, Failure> {
        let connected = tokio::time::timeout(CONNECT, self.connect(host, port)).await;
        let stream = Stream::Plain(connected.map_err(|_| timed_out(host, port))??);
        match tls {
            None => Ok(stream),
            Some(tls) => stream.secured(host, tls).await,
        }
    }

    /// Bounds an exchange with a receiver by `push.timeout`.
    ///
    /// # Errors
    /// Those of the exchange; `timeout`, when it took too long.
    pub(crate) async fn within<T>(
        &self,
        whom: &str,
        exchange: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        match tokio::time::timeout(self.timeout, exchange).await {
            Ok(ended) => ended,
            Err(_) => Err(failure("timeout", format!("{whom} did not answer in time"))),
        }
    }
}

/// A failure with its text.
pub(crate) fn failure(word: &'static str, text: impl Into<String>) -> Failure {
    Failure { word, text: text.into() }
}

/// A connection that broke.
pub(crate) fn broken(whom: &str, error: &io::Error) -> Failure {
    failure("unreachable", format!("the connection to {whom} broke: {error}"))
}

/// A connection.
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    /// The connection under TLS. One that is under TLS already stays as it is.
    ///
    /// # Errors
    /// The handshake failed, or took too long.
    pub(crate) async fn secured(self, host: &str, tls: &Arc<ClientConfig>) -> Result<Self, Failure> {
        let Self::Plain(tcp) = self else { return Ok(self) };
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| failure("unreachable", format!("{host} cannot be the name of a certificate")))?;
        let handshake = TlsConnector::from(tls.clone()).connect(name, tcp);
        match tokio::time::timeout(CONNECT, handshake).await {
            Ok(Ok(stream)) => Ok(Self::Tls(Box::new(stream))),
            Ok(Err(error)) => Err(failure("tls", format!("no TLS session with {host}: {error}"))),
            Err(_) => Err(failure("timeout", format!("{host} did not end the TLS handshake in time"))),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Self::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            Self::Tls(tls) => Pin::new(tls).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Self::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}
