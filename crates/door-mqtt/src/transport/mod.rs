//! The byte streams that carry MQTT.

mod websocket;

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

pub(crate) use websocket::{WebSocket, accept as accept_websocket};

/// An accepted connection. The rare kinds are boxed so that a plain one stays small.
pub(crate) enum Stream {
    /// Plain TCP.
    Tcp(TcpStream),
    /// TLS.
    Tls(Box<TlsStream<TcpStream>>),
    /// WebSocket.
    Ws(Box<WebSocket<TcpStream>>),
    /// WebSocket over TLS.
    Wss(Box<WebSocket<TlsStream<TcpStream>>>),
}

impl Stream {
    /// Whether nobody on the way can read along.
    pub(crate) fn is_encrypted(&self) -> bool {
        matches!(self, Self::Tls(_) | Self::Wss(_))
    }

    /// This machine's address, as the device reached it.
    pub(crate) fn local_ip(&self) -> Option<IpAddr> {
        let socket = match self {
            Self::Tcp(socket) => socket,
            Self::Tls(tls) => tls.get_ref().0,
            Self::Ws(websocket) => websocket.get_ref(),
            Self::Wss(websocket) => websocket.get_ref().get_ref().0,
        };
        socket.local_addr().ok().map(|a| a.ip())
    }

    /// The certificates that the device handed over in the handshake, its own first.
    pub(crate) fn certificates(&self) -> Vec<CertificateDer<'static>> {
        let tls = match self {
            Self::Tcp(_) | Self::Ws(_) => return Vec::new(),
            Self::Tls(stream) => stream.get_ref().1,
            Self::Wss(socket) => socket.get_ref().get_ref().1,
        };
        tls.peer_certificates().map(<[_]>::to_vec).unwrap_or_default()
    }
}

macro_rules! forward {
    ($stream:expr, $inner:ident => $call:expr) => {
        match $stream {
            Stream::Tcp($inner) => $call,
            Stream::Tls($inner) => $call,
            Stream::Ws($inner) => $call,
            Stream::Wss($inner) => $call,
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        forward!(self.get_mut(), s => Pin::new(s).poll_read(cx, buf))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        forward!(self.get_mut(), s => Pin::new(s).poll_write(cx, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        forward!(self.get_mut(), s => Pin::new(s).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        forward!(self.get_mut(), s => Pin::new(s).poll_shutdown(cx))
    }
}
