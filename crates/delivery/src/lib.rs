//! Drains the outbox: each waiting delivery is pushed to its application over HTTP until it is taken (002 §4.6.2).
//!
//! Promises: every delivery is pushed at least once or given up after `push.retention`; the deliveries of one device
//! arrive in their order, those of different devices beside each other; a host that keeps failing is left alone for
//! `push.block`. Memory is bounded however long the outbox is. The crate knows no door and nothing of what a
//! notification says. Start reading in `worker`, which serves one target; `backlog` keeps the order. Queues are not sent to:
//! their consumers come to the AMQP server in `amqp`.

mod amqp;
mod backlog;
mod batch_worker;
mod client;
mod counting;
mod document;
mod flow;
mod hosts;
mod names;
mod net;
mod probe;
mod settings;
mod stream;
mod supervisor;
mod target;
mod targets;
mod tls;
mod web;
mod worker;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use causeway_platform::Platform;
use causeway_platform::function::HttpCaller;
use causeway_platform::settings::PushSettings;
use tokio_util::sync::CancellationToken;

pub use amqp::{AmqpSettings, Server as AmqpServer};
pub use probe::prober;
pub use settings::ForwardingSettings;

/// The client that calls functions of type `http`. As [`run`], it needs a default TLS provider.
#[must_use]
pub fn http_caller(settings: &PushSettings) -> Arc<dyn HttpCaller> {
    Arc::new(client::PushClient::new(settings))
}

/// Pushes deliveries until `stop`, then lets pushes under way end; returns within ten seconds. `data` is the data folder.
///
/// The process must have a default TLS provider (`rustls::crypto::CryptoProvider::install_default`).
pub async fn run(platform: Arc<Platform>, forwarding: ForwardingSettings, data: &Path, stop: CancellationToken) {
    let settings = platform.settings.push.clone();
    let workshop = targets::Workshop::new(&settings, forwarding, data, Some(platform.clone()));
    let supervisor = supervisor::Supervisor::new(platform.store.clone(), platform.clock.clone(), settings, workshop);
    supervisor.run(platform.targets_signal(), stop).await;
}
