//! MQTT over WebSocket (3.1.1 §6, v5 §6): the binary frames of a connection, read and written as one stream of bytes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use futures_util::{Sink as _, Stream as _};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::{Callback, ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode, header::SEC_WEBSOCKET_PROTOCOL};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};

/// Where MQTT is found.
const PATH: &str = "/mqtt";
/// Subprotocols, the one of today first [MQTT-6.0.0-3].
const PROTOCOLS: [&str; 2] = ["mqtt", "mqttv3.1"];
/// Read at once from the socket; each connection keeps a buffer of this size.
const READ_BUFFER: usize = 4096;
/// Bytes of one frame to the device.
const FRAME: usize = 64 << 10;

/// A WebSocket as a stream of bytes. MQTT packets and frames need not begin together [MQTT-6.0.0-2].
pub(crate) struct WebSocket<S> {
    socket: WebSocketStream<S>,
    rest: Bytes,
}

/// Does the opening handshake; `largest` bytes may come in one message.
///
/// # Errors
/// The stream's, or a request that is no WebSocket for MQTT; it has been answered.
pub(crate) async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    largest: usize,
) -> Result<WebSocket<S>, Error> {
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(0)
        .max_write_buffer_size(4 * FRAME)
        .max_message_size(Some(largest))
        .max_frame_size(Some(largest));
    let socket = tokio_tungstenite::accept_hdr_async_with_config(stream, Opening, Some(config)).await?;
    Ok(WebSocket { socket, rest: Bytes::new() })
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocket<S> {
    /// What carries it.
    pub(crate) fn get_ref(&self) -> &S {
        self.socket.get_ref()
    }
}

/// Judges the opening request.
struct Opening;

impl Callback for Opening {
    #[allow(clippy::result_large_err)] // the trait's type
    fn on_request(self, request: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
        let refuse = |status: StatusCode, text: &str| {
            let mut refused = ErrorResponse::new(Some(text.to_owned()));
            *refused.status_mut() = status;
            Err(refused)
        };
        if request.uri().path() != PATH {
            return refuse(StatusCode::NOT_FOUND, "MQTT is at /mqtt");
        }
        match chosen(request.headers().get_all(SEC_WEBSOCKET_PROTOCOL).iter()) {
            Some(protocol) => {
                response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol));
                Ok(response)
            }
            None => refuse(StatusCode::BAD_REQUEST, "the subprotocol mqtt or mqttv3.1 must be offered"),
        }
    }
}

/// The subprotocol to speak: the first of ours that is offered.
fn chosen<'a>(offers: impl Iterator<Item = &'a HeaderValue>) -> Option<&'static str> {
    let rank = |offer: &str| PROTOCOLS.iter().position(|known| offer.trim().eq_ignore_ascii_case(known));
    let offers = offers.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    offers.filter_map(rank).min().map(|at| PROTOCOLS[at])
}

fn io_error(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        error => io::Error::other(error),
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for WebSocket<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if !this.rest.is_empty() {
                let n = this.rest.len().min(buf.remaining());
                buf.put_slice(&this.rest[..n]);
                this.rest.advance(n);
                if this.rest.is_empty() {
                    this.rest = Bytes::new();
                }
                return Poll::Ready(Ok(()));
            }
            match ready!(Pin::new(&mut this.socket).poll_next(cx)) {
                Some(Ok(Message::Binary(bytes))) => this.rest = bytes,
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                // [MQTT-6.0.0-1]
                Some(Ok(Message::Text(_))) => {
                    let error = io::Error::new(io::ErrorKind::InvalidData, "MQTT comes in binary frames");
                    return Poll::Ready(Err(error));
                }
                None | Some(Ok(Message::Close(_)) | Err(Error::ConnectionClosed | Error::AlreadyClosed)) => {
                    return Poll::Ready(Ok(()));
                }
                Some(Err(error)) => return Poll::Ready(Err(io_error(error))),
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for WebSocket<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let socket = &mut self.get_mut().socket;
        ready!(Pin::new(&mut *socket).poll_ready(cx)).map_err(io_error)?;
        let chunk = &buf[..buf.len().min(FRAME)];
        Pin::new(socket).start_send(Message::Binary(Bytes::copy_from_slice(chunk))).map_err(io_error)?;
        Poll::Ready(Ok(chunk.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_flush(cx).map_err(io_error)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match ready!(Pin::new(&mut self.get_mut().socket).poll_close(cx)) {
            Ok(()) | Err(Error::ConnectionClosed | Error::AlreadyClosed) => Poll::Ready(Ok(())),
            Err(error) => Poll::Ready(Err(io_error(error))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_subprotocol_is_chosen_from_all_offers() {
        let check = |offers: &[&'static str], expected| {
            let offers: Vec<_> = offers.iter().map(|o| HeaderValue::from_static(o)).collect();
            assert_eq!(chosen(offers.iter()), expected);
        };
        check(&["mqtt"], Some("mqtt"));
        check(&["mqttv3.1, mqtt"], Some("mqtt"));
        check(&["chat", "mqttv3.1"], Some("mqttv3.1"));
        check(&["MQTT"], Some("mqtt"));
        check(&["chat"], None);
        check(&[], None);
    }

    #[tokio::test]
    async fn bytes_travel_in_binary_frames_and_text_is_refused() {
        use futures_util::{SinkExt as _, StreamExt as _};
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

        let (near, far) = tokio::io::duplex(1 << 16);
        let mut request = "ws://h/mqtt?x=1".into_client_request().expect("request");
        request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("mqtt"));
        let (server, client) = tokio::join!(accept(near, 1 << 20), tokio_tungstenite::client_async(request, far));
        let (mut server, (mut client, response)) = (server.expect("accepted"), client.expect("connected"));
        assert_eq!(response.headers()[SEC_WEBSOCKET_PROTOCOL], "mqtt");
        client.send(Message::binary(b"he".to_vec())).await.expect("sent");
        client.send(Message::binary(b"llo".to_vec())).await.expect("sent");
        let mut read = [0; 5];
        server.read_exact(&mut read).await.expect("read");
        assert_eq!(&read, b"hello");
        server.write_all(b"bye").await.expect("written");
        server.flush().await.expect("flushed");
        assert_eq!(client.next().await.expect("open").expect("frame"), Message::binary(b"bye".to_vec()));
        client.send(Message::text("x")).await.expect("sent");
        assert_eq!(server.read(&mut read).await.expect_err("text").kind(), io::ErrorKind::InvalidData);
    }
}
