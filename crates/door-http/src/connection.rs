//! Connections: accepted, encrypted, served one request after another, and drained at the end.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use causeway_platform::Platform;
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::HttpDoorSettings;
use crate::error::Body;
use crate::operation::Door;

/// Requests under way may take so long once the door closes; the whole must stay below ten seconds.
const DRAIN: Duration = Duration::from_secs(8);
/// Connections without a request under way have so long to take the rest of their last answer.
const FLUSH: Duration = Duration::from_millis(500);
/// After a refusal, what the client is still sending is thrown away for so long and so many bytes: closing at once would
/// reset the connection and take the refusal with it.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 16 << 20;
/// A request's head, and what is read of a body at once.
const BUFFER: usize = 64 << 10;
/// Pause when no connection can be accepted, mostly for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves the door on `listener` until `stop`, then lets requests under way finish; returns within ten seconds.
///
/// Only HTTP/1.1 and HTTP/1.0 are offered, whatever `tls` says about application protocols.
pub async fn serve(
    platform: Arc<Platform>,
    settings: HttpDoorSettings,
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    stop: CancellationToken,
) {
    let mut tls = (*tls).clone();
    tls.alpn_protocols = vec![b"http/1.1".to_vec(), b"http/1.0".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    run(platform, settings, listener, Some(acceptor), stop).await;
}

/// Serves files, and nothing else, on `listener` without TLS until `stop`; otherwise like [`serve`].
pub async fn serve_files(
    platform: Arc<Platform>,
    settings: HttpDoorSettings,
    listener: TcpListener,
    stop: CancellationToken,
) {
    run(platform, settings, listener, None, stop).await;
}

async fn run(
    platform: Arc<Platform>,
    settings: HttpDoorSettings,
    listener: TcpListener,
    acceptor: Option<TlsAcceptor>,
    stop: CancellationToken,
) {
    let room = Arc::new(Semaphore::new(settings.max_connections.clamp(1, Semaphore::MAX_PERMITS)));
    let door = Arc::new(Door::new(platform, settings));
    let connections = TaskTracker::new();
    let cut = CancellationToken::new();
    while let Some((stream, peer, place)) = next(&listener, &room, &stop).await {
        let (door, acceptor, stop, cut) = (door.clone(), acceptor.clone(), stop.clone(), cut.clone());
        connections.spawn(async move {
            let _place = place;
            let _counted = Counted::new();
            tokio::select! {
                outcome = connection(door, acceptor, stream, &stop) => {
                    if let Err(error) = outcome {
                        tracing::debug!(%peer, %error, "a connection ended");
                    }
                }
                () = cut.cancelled() => tracing::debug!(%peer, "a connection was cut at the end of the drain"),
            }
        });
    }
    drop(listener);
    connections.close();
    if timeout(DRAIN, connections.wait()).await.is_err() {
        cut.cancel();
        connections.wait().await;
    }
}

/// A connection in the gauge, out of it however it ends.
struct Counted;

impl Counted {
    fn new() -> Self {
        metrics::gauge!("causeway_device_https_connections").increment(1.0);
        Self
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        metrics::gauge!("causeway_device_https_connections").decrement(1.0);
    }
}

/// The next connection with its place among the allowed ones; `None` at the end.
async fn next(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
    stop: &CancellationToken,
) -> Option<(TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
    let accept = async {
        let place = room.clone().acquire_owned().await.expect("the semaphore is never closed");
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => return (stream, peer, place),
                Err(error) => {
                    tracing::warn!(%error, "the devices' HTTPS door cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        accepted = accept => Some(accepted),
        () = stop.cancelled() => None,
    }
}

/// What a connection and its requests tell each other.
#[derive(Default)]
struct State {
    /// A request is under way.
    busy: AtomicBool,
    /// A request with a body was refused; the client may still be sending it.
    refused: AtomicBool,
}

struct Requests {
    door: Arc<Door>,
    state: Arc<State>,
    files_only: bool,
}

impl Service<Request<Incoming>> for Requests {
    type Response = Response<Body>;
    type Error = std::convert::Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let (door, state, files_only) = (self.door.clone(), self.state.clone(), self.files_only);
        Box::pin(async move {
            state.busy.store(true, Ordering::Relaxed);
            let has_body = !request.body().is_end_stream();
            let answer = door.serve(request, files_only).await;
            if has_body && !answer.status().is_success() {
                state.refused.store(true, Ordering::Relaxed);
            }
            state.busy.store(false, Ordering::Relaxed);
            Ok(answer)
        })
    }
}

async fn connection(
    door: Arc<Door>,
    acceptor: Option<TlsAcceptor>,
    stream: TcpStream,
    stop: &CancellationToken,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let Some(acceptor) = acceptor else {
        let (stream, refused, served) = exchange(door, stream, true, stop).await;
        close(stream, refused, |stream| stream).await?;
        return served;
    };
    let handshake = timeout(door.settings.handshake_timeout.0, acceptor.accept(stream));
    let stream = tokio::select! {
        done = handshake => done.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "no TLS handshake in time"))??,
        () = stop.cancelled() => return Ok(()),
    };
    let (stream, refused, served) = exchange(door, stream, false, stop).await;
    close(stream, refused, |stream| stream.into_inner().0).await?;
    served
}

/// Serves requests until the end of the connection; whether one with a body was refused.
async fn exchange<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    door: Arc<Door>,
    stream: S,
    files_only: bool,
    stop: &CancellationToken,
) -> (S, bool, io::Result<()>) {
    let state = Arc::<State>::default();
    let mut http = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(door.settings.header_timeout.0)
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(stream), Requests { door, state: state.clone(), files_only });
    let served = tokio::select! {
        served = poll_fn(|cx| http.poll_without_shutdown(cx)) => served,
        () = stop.cancelled() => {
            Pin::new(&mut http).graceful_shutdown();
            let mut rest = std::pin::pin!(poll_fn(|cx| http.poll_without_shutdown(cx)));
            loop {
                match timeout(FLUSH, &mut rest).await {
                    Ok(served) => break served,
                    Err(_) if state.busy.load(Ordering::Relaxed) => {}
                    Err(_) => break Ok(()),
                }
            }
        }
    };
    let stream = http.into_parts().io.into_inner();
    (stream, state.refused.load(Ordering::Relaxed), served.map_err(io::Error::other))
}

/// Closes for writing, then, after a refusal, waits until the client has noticed.
async fn close<S: AsyncWrite + Unpin>(
    mut stream: S,
    linger: bool,
    socket: impl FnOnce(S) -> TcpStream,
) -> io::Result<()> {
    let farewell = async {
        stream.shutdown().await?;
        if linger {
            let mut stream = socket(stream);
            let mut waste = vec![0; 16 << 10];
            let mut wasted = 0;
            while wasted < LINGER_BYTES {
                match stream.read(&mut waste).await? {
                    0 => break,
                    n => wasted += n,
                }
            }
        }
        Ok(())
    };
    // Running out of time is no error: the client had its chance.
    timeout(LINGER, farewell).await.unwrap_or(Ok(()))
}
