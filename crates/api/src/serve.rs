//! Listening: HTTP/1.1 and HTTP/2, with and without TLS, with bounded connections and an orderly end.

use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::settings::ApiSettings;

/// The address at the other end of a request's connection; an extension of the request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// Requests that one HTTP/2 connection may have under way.
const STREAMS: u32 = 128;

/// Bytes that an HTTP/2 client may send ahead of what is read.
const WINDOW: u32 = 64 << 10;

/// Bytes of a request's head.
const HEAD_MAX: usize = 64 << 10;

/// After an accept failed (no more file descriptors), others are given this time to close theirs.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A connection that was told to end has so long to send what is written.
const FAREWELL: Duration = Duration::from_secs(2);

/// Serves `router` at `listener` until `stop`, then lets requests under way finish within `settings.drain`. With `tls`
/// the door is encrypted and offers HTTP/2.
pub async fn serve(
    router: Router,
    listener: TcpListener,
    tls: Option<Arc<rustls::ServerConfig>>,
    settings: ApiSettings,
    stop: CancellationToken,
) {
    let acceptor = tls.map(|config| {
        let mut config = (*config).clone();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        TlsAcceptor::from(Arc::new(config))
    });
    let settings = Arc::new(settings);
    let places = Arc::new(Semaphore::new(settings.max_connections.max(1) as usize));
    let mut connections = JoinSet::new();
    loop {
        let place = tokio::select! {
            place = places.clone().acquire_owned() => place.expect("the semaphore is never closed"),
            () = stop.cancelled() => break,
        };
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    if !is_of_one_connection(&error) {
                        tracing::warn!(%error, "no connection can be accepted now");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                    continue;
                }
            },
            () = stop.cancelled() => break,
        };
        while connections.try_join_next().is_some() {}
        let (router, acceptor, settings, stop) = (router.clone(), acceptor.clone(), settings.clone(), stop.clone());
        connections.spawn(async move {
            serve_stream(router, stream, Peer(peer.ip()), acceptor, &settings, stop).await;
            drop(place);
        });
    }
    drop(listener);
    let all = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(settings.drain.0, all).await.is_err() {
        tracing::warn!(connections = connections.len(), "requests did not end in time and are cut");
        connections.shutdown().await;
    }
}

/// Errors of `accept` that concern the connection only.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    )
}

async fn serve_stream(
    router: Router,
    stream: TcpStream,
    peer: Peer,
    acceptor: Option<TlsAcceptor>,
    settings: &ApiSettings,
    stop: CancellationToken,
) {
    // Answers are small and written at once; waiting for more to send would only delay them.
    let _ = stream.set_nodelay(true);
    match acceptor {
        None => serve_connection(router, stream, peer, settings, stop).await,
        Some(acceptor) => {
            let handshake = tokio::time::timeout(settings.handshake_timeout.0, acceptor.accept(stream));
            let finished = tokio::select! {
                finished = handshake => finished,
                () = stop.cancelled() => return,
            };
            match finished {
                Ok(Ok(stream)) => serve_connection(router, stream, peer, settings, stop).await,
                Ok(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
                Err(_) => tracing::debug!("TLS handshake took too long"),
            }
        }
    }
}

/// Requests under way on a connection, and since when there are none.
#[derive(Clone, Copy)]
struct Activity {
    requests: usize,
    since: Instant,
}

/// Counts a request until it is dropped, however it ends.
struct UnderWay(Arc<watch::Sender<Activity>>);

impl UnderWay {
    fn begin(activity: &Arc<watch::Sender<Activity>>) -> Self {
        activity.send_modify(|a| a.requests += 1);
        Self(activity.clone())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.send_modify(|a| {
            a.requests -= 1;
            a.since = Instant::now();
        });
    }
}

async fn serve_connection<S>(router: Router, stream: S, peer: Peer, settings: &ApiSettings, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let activity = Arc::new(watch::Sender::new(Activity { requests: 0, since: Instant::now() }));
    let service = service_fn({
        let activity = activity.clone();
        move |mut request: Request<hyper::body::Incoming>| {
            request.extensions_mut().insert(peer);
            let under_way = UnderWay::begin(&activity);
            let router = router.clone();
            async move {
                let answer = router.oneshot(request.map(axum::body::Body::new)).await;
                drop(under_way);
                answer
            }
        }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    // The watch below is stricter: it also sees a client that sends its first bytes slowly.
    builder.http1().timer(TokioTimer::new()).header_read_timeout(None).max_buf_size(HEAD_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEAD_MAX as u32)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        ended = connection.as_mut() => {
            if let Err(error) = ended {
                tracing::debug!(error, "connection broke");
            }
            return;
        }
        () = idle(activity.subscribe(), settings.idle_timeout.0) => {
            connection.as_mut().graceful_shutdown();
            let _ = tokio::time::timeout(FAREWELL, connection).await;
            return;
        }
        () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    // A connection that has begun a request finishes it; one that only listens for the next ends now. A client that
    // keeps sending a head slowly must not hold up the stop.
    tokio::select! {
        _ = connection.as_mut() => {}
        () = idle(activity.subscribe(), FAREWELL) => {}
    }
}

/// Waits until no request has been under way for `limit`, counted from now at the earliest.
async fn idle(mut activity: watch::Receiver<Activity>, limit: Duration) {
    let begun = Instant::now();
    loop {
        let now = *activity.borrow_and_update();
        let changed = activity.changed();
        if now.requests > 0 {
            if changed.await.is_err() {
                return;
            }
        } else if tokio::time::timeout_at(now.since.max(begun) + limit, changed).await.is_err() {
            return;
        }
    }
}
