//! The AMQP 1.0 server: consumers come for what waits in queues (002 §4.6.3).
//!
//! Promises: a message leaves its queue only with its outcome, so that it comes again after a lost connection or a crash; a
//! single consumer sees the order of the queue; several share it; memory is bounded whatever consumers do. The server only
//! sends: nobody reaches a device through it. Start reading in `connection`; `session` has what is said on an open
//! connection, `keeper` and `window` the queues.

mod connection;
mod keeper;
mod session;
mod settings;
mod window;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use causeway_model::Error;
use causeway_platform::Platform;
use causeway_platform::queue::SignedIn;
use causeway_wire::amqp::{Attach, SaslInit};
use parking_lot::Mutex;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use connection::Connection;
use keeper::{Consumer, Queues};
use session::Refusal;
pub use settings::AmqpSettings;

/// Connections and queues may take so long to end.
const DRAIN: Duration = Duration::from_secs(7);
/// Pause after an accept that failed, usually because no file is left to open.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What all connections share.
pub struct Server {
    platform: Arc<Platform>,
    settings: AmqpSettings,
    queues: Arc<Queues>,
    /// Connections by access key.
    places: Arc<Mutex<HashMap<String, u32>>>,
    handshakes: Arc<Semaphore>,
    stop: CancellationToken,
}

/// A connection's place among those of its access key.
struct Place {
    key: String,
    places: Arc<Mutex<HashMap<String, u32>>>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut places = self.places.lock();
        if let Some(count) = places.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                places.remove(&self.key);
            }
        }
        metrics::gauge!("causeway_amqp_connections").decrement(1);
    }
}

impl Server {
    /// A server that ends its queues after `stop`.
    #[must_use]
    pub fn new(platform: Arc<Platform>, settings: AmqpSettings, stop: CancellationToken) -> Arc<Self> {
        let retention = platform.settings.push.retention;
        let queues = Queues::new(platform.store.clone(), platform.clock.clone(), retention, settings.memory.0);
        let handshakes = Arc::new(Semaphore::new(settings.max_handshakes as usize));
        Arc::new(Self { platform, settings, queues, places: Arc::default(), handshakes, stop })
    }

    /// Takes consumers at one address until the stop, over TLS when there is a configuration for it. Then consumers are told,
    /// have a moment for their last outcomes, and the function returns within ten seconds.
    pub async fn serve(self: Arc<Self>, listener: TcpListener, tls: Option<Arc<ServerConfig>>) {
        let tls = tls.map(TlsAcceptor::from);
        let connections = TaskTracker::new();
        tokio::select! {
            () = self.stop.cancelled() => {}
            () = self.accept(&listener, tls.as_ref(), &connections) => {}
            () = self.watch_queues() => {}
        }
        drop(listener);
        connections.close();
        self.queues.tasks.close();
        let drained = tokio::time::timeout(DRAIN, async {
            connections.wait().await;
            self.queues.tasks.wait().await;
        });
        if drained.await.is_err() {
            tracing::warn!(left = connections.len(), "AMQP connections did not end in time");
        }
    }

    /// Accepts for ever.
    async fn accept(self: &Arc<Self>, listener: &TcpListener, tls: Option<&TlsAcceptor>, connections: &TaskTracker) {
        loop {
            let socket = match listener.accept().await {
                Ok((socket, _)) => socket,
                Err(error) => {
                    tracing::warn!(%error, "an AMQP connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let Ok(handshake) = self.handshakes.clone().try_acquire_owned() else {
                metrics::counter!("causeway_amqp_sign_ins_total", "outcome" => "too_many_handshakes").increment(1);
                continue;
            };
            let wake = Arc::new(Notify::new());
            let deadline = Instant::now() + self.settings.link_timeout.0;
            let connection = Connection::new(self.clone(), handshake, wake.clone(), deadline);
            connections.spawn(open(connection, socket, tls.cloned(), wake, deadline, self.stop.clone()));
        }
    }

    /// Ends the links of queues that are deleted.
    async fn watch_queues(&self) {
        let mut changed = self.platform.queues_signal();
        while changed.changed().await.is_ok() {
            for (name, target) in self.queues.open() {
                match self.platform.queue_by_name(&name).await {
                    Ok(Some(queue)) if queue.target == target => {}
                    Ok(_) => self.queues.close(target),
                    Err(error) => tracing::warn!(?error, queue = name, "a queue could not be looked up"),
                }
            }
        }
        self.stop.cancelled().await;
    }

    /// PLAIN alone.
    fn sign_in(&self, init: &SaslInit<'_>) -> Option<SignedIn> {
        let outcome = self.judge(init);
        let word = outcome.as_ref().err().copied().unwrap_or("ok");
        metrics::counter!("causeway_amqp_sign_ins_total", "outcome" => word).increment(1);
        if let Err(word) = outcome {
            tracing::info!(reason = word, "a consumer of queues could not sign in");
        }
        outcome.ok()
    }

    fn judge(&self, init: &SaslInit<'_>) -> Result<SignedIn, &'static str> {
        if init.mechanism != "PLAIN" {
            return Err("mechanism");
        }
        let response = init.response.ok_or("malformed")?;
        let mut parts = response.splitn(3, |byte| *byte == 0);
        let (Some(_), Some(user), Some(password)) = (parts.next(), parts.next(), parts.next()) else {
            return Err("malformed");
        };
        let user = std::str::from_utf8(user).map_err(|_| "malformed")?;
        let tolerance = self.settings.timestamp_tolerance.as_millis();
        self.platform
            .sign_in_to_queues(user, password, tolerance)
            .map_err(causeway_platform::queue::SignInRefused::as_str)
    }

    fn place(&self, key: String) -> Result<Place, Refusal> {
        let mut places = self.places.lock();
        let count = places.entry(key.clone()).or_default();
        if *count >= self.settings.max_connections {
            let text = format!("An access key has at most {} connections.", self.settings.max_connections);
            return Err(Refusal::new("amqp:resource-limit-exceeded", text));
        }
        *count += 1;
        metrics::gauge!("causeway_amqp_connections").increment(1);
        Ok(Place { key, places: self.places.clone() })
    }

    /// The consumer of a new link; `links` are there on its connection.
    async fn consumer(&self, attach: &Attach<'_>, links: usize, wake: &Arc<Notify>) -> Result<Consumer, Refusal> {
        if !attach.is_receiver {
            return Err(Refusal::new(
                "amqp:not-allowed",
                "Consumers only receive. Messages to devices are sent through the REST interface.",
            ));
        }
        if links >= self.settings.max_links as usize {
            let text = format!("A connection has at most {} receiver links.", self.settings.max_links);
            return Err(Refusal::new("amqp:resource-limit-exceeded", text));
        }
        let Some(source) = attach.source.filter(|source| !source.dynamic) else {
            return Err(Refusal::new("amqp:not-allowed", "The source of a link must be the name of a queue."));
        };
        let name = source.address.unwrap_or_default();
        match self.platform.queue_by_name(name).await {
            Ok(Some(queue)) => Ok(self.queues.join(queue.target, &queue.name, wake.clone(), &self.stop)),
            Ok(None) => {
                let shown: String = name.chars().take(128).collect();
                Err(Refusal::new("amqp:not-found", format!("The queue '{shown}' does not exist.")))
            }
            Err(error) => Err(unavailable(&error)),
        }
    }
}

fn unavailable(error: &Error) -> Refusal {
    tracing::warn!(?error, "a queue could not be looked up");
    Refusal::new("amqp:internal-error", "The queue cannot be looked up now. Try again in a moment.")
}

/// A connection from its handshake to its end.
async fn open(
    connection: Connection,
    socket: TcpStream,
    tls: Option<TlsAcceptor>,
    wake: Arc<Notify>,
    deadline: Instant,
    stop: CancellationToken,
) {
    let _ = socket.set_nodelay(true);
    match tls {
        None => connection.run(socket, wake, stop).await,
        Some(tls) => match timeout_at(deadline, tls.accept(socket)).await {
            Ok(Ok(stream)) => connection.run(stream, wake, stop).await,
            Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake of a consumer failed"),
            Err(_) => tracing::debug!("a TLS handshake of a consumer took too long"),
        },
    }
}
