//! Listening addresses: accepting, handshakes, and ending all connections when the platform stops.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use causeway_model::Timestamp;
use causeway_platform::downlink::CloseReason;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::connection::{self, Connection};
use crate::door::Door;
use crate::session::will;
use crate::transport::{Stream, accept_websocket};

/// A bound socket and what is spoken on it.
pub enum Listener {
    /// MQTT over TCP.
    Tcp(TcpListener),
    /// MQTT over TLS.
    Tls(TcpListener, Arc<ServerConfig>),
    /// MQTT over WebSocket, path `/mqtt`.
    Ws(TcpListener),
    /// MQTT over WebSocket over TLS, path `/mqtt`.
    Wss(TcpListener, Arc<ServerConfig>),
}

/// How the bytes of a socket become those of MQTT.
#[derive(Clone)]
struct Layers {
    tls: Option<TlsAcceptor>,
    is_websocket: bool,
}

/// So long may connections take to acknowledge what they have taken and to say farewell.
const DRAIN: Duration = Duration::from_secs(8);
/// Pause after an accept that failed, usually because no file is left to open.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Wills and sessions are looked at so often.
const TICK: Duration = Duration::from_secs(1);

impl Layers {
    /// TLS and WebSocket handshakes.
    async fn build(self, socket: TcpStream, largest: usize) -> Result<Stream, String> {
        match (self.tls, self.is_websocket) {
            (None, false) => Ok(Stream::Tcp(socket)),
            (None, true) => {
                accept_websocket(socket, largest).await.map(|s| Stream::Ws(Box::new(s))).map_err(|e| e.to_string())
            }
            (Some(tls), is_websocket) => {
                let stream = tls.accept(socket).await.map_err(|e| e.to_string())?;
                if !is_websocket {
                    return Ok(Stream::Tls(Box::new(stream)));
                }
                accept_websocket(stream, largest).await.map(|s| Stream::Wss(Box::new(s))).map_err(|e| e.to_string())
            }
        }
    }
}

/// Serves devices on one listening address until `stop`, then ends its connections: what was taken is committed and
/// acknowledged, MQTT 5 devices are told (0x8B), and the function returns within ten seconds.
pub async fn serve(door: Arc<Door>, listener: Listener, stop: CancellationToken) {
    let (listener, layers) = match listener {
        Listener::Tcp(l) => (l, Layers { tls: None, is_websocket: false }),
        Listener::Ws(l) => (l, Layers { tls: None, is_websocket: true }),
        Listener::Tls(l, tls) => (l, Layers { tls: Some(tls.into()), is_websocket: false }),
        Listener::Wss(l, tls) => (l, Layers { tls: Some(tls.into()), is_websocket: true }),
    };
    let number = door.listeners.fetch_add(1, Ordering::Relaxed);
    let connections = TaskTracker::new();
    tokio::select! {
        () = stop.cancelled() => {}
        () = accept(&door, &listener, &layers, number, &connections, &stop) => {}
        // One listening address keeps the time for all.
        () = keep_time(&door), if number == 0 => {}
    }
    drop(listener);
    door.places.close_all(number, CloseReason::Shutdown);
    connections.close();
    let drained = tokio::time::timeout(DRAIN, async {
        connections.wait().await;
        // A will that waits for its time would be lost with this process.
        publish_wills(&door, Timestamp(i64::MAX)).await;
        door.errands.close();
        door.errands.wait().await;
    });
    if drained.await.is_err() {
        tracing::warn!(left = connections.len(), "MQTT connections did not end in time");
    }
}

/// Accepts for ever.
async fn accept(
    door: &Arc<Door>,
    listener: &TcpListener,
    layers: &Layers,
    number: u32,
    connections: &TaskTracker,
    stop: &CancellationToken,
) {
    loop {
        let socket = match listener.accept().await {
            Ok((socket, _)) => socket,
            Err(error) => {
                if door.log.allow() {
                    tracing::warn!(%error, "an MQTT connection could not be accepted");
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        if connections.len() >= door.settings.max_connections as usize {
            metrics::counter!("causeway_mqtt_connects_total", "outcome" => "too_many_connections").increment(1);
            if door.log.allow() {
                tracing::warn!(
                    limit = door.settings.max_connections,
                    "too many MQTT connections: one was closed unheard"
                );
            }
            continue;
        }
        // Boxed before the task takes it: it is large and short-lived, the task is as large as what it holds inline and
        // lives as long as the connection.
        let opening = Box::pin(open(door.clone(), socket, layers.clone(), number, stop.clone()));
        connections.spawn(run(opening));
    }
}

/// One connection from its handshakes to its end.
async fn run(opening: impl Future<Output = Option<Box<Connection>>> + Unpin) {
    // In a statement of its own, so that the box is gone before the connection runs.
    let opened = opening.await;
    if let Some(connection) = opened {
        connection.run().await;
    }
}

/// Handshakes and CONNECT, within the time for both.
async fn open(
    door: Arc<Door>,
    socket: TcpStream,
    layers: Layers,
    number: u32,
    stop: CancellationToken,
) -> Option<Box<Connection>> {
    // Acknowledgements are small and wanted at once.
    let _ = socket.set_nodelay(true);
    let deadline = Instant::now() + door.settings.connect_timeout.0;
    let largest = 2 * door.settings.max_packet_size.0;
    let stream = tokio::select! {
        built = timeout_at(deadline, layers.build(socket, largest)) => match built {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                metrics::counter!("causeway_mqtt_connects_total", "outcome" => "handshake").increment(1);
                tracing::debug!(error, "a TLS or WebSocket handshake failed");
                return None;
            }
            Err(_) => {
                metrics::counter!("causeway_mqtt_connects_total", "outcome" => "timeout").increment(1);
                return None;
            }
        },
        () = stop.cancelled() => return None,
    };
    connection::open(door, stream, number, deadline, &stop).await
}

/// Publishes delayed wills and ends sessions whose time is over.
async fn keep_time(door: &Door) {
    loop {
        door.platform.clock.tick(TICK).await;
        publish_wills(door, door.platform.clock.now()).await;
    }
}

async fn publish_wills(door: &Door, now: Timestamp) {
    for (device, due) in door.places.due(now) {
        will::publish(door, &device, &due).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What tokio keeps for a connection beside [`Connection`] itself.
    #[test]
    fn the_task_is_small() {
        let opening: std::pin::Pin<Box<dyn Future<Output = Option<Box<Connection>>> + Send>> = Box::pin(async { None });
        let task = run(opening);
        assert!(size_of_val(&task) <= 128, "{}", size_of_val(&task));
    }
}
