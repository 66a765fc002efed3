//! Keeps one worker a target while targets come, change and go, and gives up what is too old.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use causeway_model::Timestamp;
use causeway_platform::clock::Clock;
use causeway_platform::outbox::{OutboxStore, PushTarget};
use causeway_platform::settings::PushSettings;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::client::{Destination, PushClient};
use crate::hosts::Hosts;
use crate::worker::{Shared, Worker};

/// Targets are looked at this often, besides whenever this node hears of a change.
const LOOK: Duration = Duration::from_secs(1);
/// Platform time between two sweeps for deliveries that are too old.
const SWEEP_MS: i64 = 60_000;
/// Workers end by themselves before this.
const STOP_WITHIN: Duration = Duration::from_secs(9);

struct Running {
    destination: watch::Sender<Arc<Destination>>,
    task: AbortOnDropHandle<()>,
}

/// See the module text.
pub(crate) struct Supervisor {
    shared: Arc<Shared>,
    workers: HashMap<i64, Running>,
    swept: Option<Timestamp>,
}

impl Supervisor {
    pub(crate) fn new(store: Arc<dyn OutboxStore>, clock: Arc<Clock>, settings: PushSettings) -> Self {
        let client = PushClient::new(&settings);
        let hosts = Hosts::new(&settings);
        let shared = Shared { store, clock, settings, client, hosts, logged: Mutex::new(None) };
        Self { shared: Arc::new(shared), workers: HashMap::new(), swept: None }
    }

    /// Works until `stop`; returns within ten seconds after it.
    pub(crate) async fn run(mut self, mut changed: watch::Receiver<u64>, stop: CancellationToken) {
        while !stop.is_cancelled() {
            changed.mark_unchanged();
            match self.shared.store.push_targets().await {
                Ok(targets) => self.follow(targets, &stop),
                Err(error) => tracing::warn!(?error, "push targets cannot be read now"),
            }
            self.sweep().await;
            tokio::select! {
                Ok(()) = changed.changed() => {}
                () = self.shared.clock.tick(LOOK) => {}
                () = stop.cancelled() => {}
            }
        }
        let end = Instant::now() + STOP_WITHIN;
        for (_, mut running) in self.workers.drain() {
            if tokio::time::timeout_at(end, &mut running.task).await.is_err() {
                tracing::warn!("a worker of the outbox did not end in time");
            }
        }
    }

    fn follow(&mut self, targets: Vec<PushTarget>, stop: &CancellationToken) {
        let wanted: HashMap<i64, Arc<Destination>> = targets
            .into_iter()
            .filter_map(|target| Some((target.no, Arc::new(Destination::parse(&target.url)?))))
            .collect();
        // The deliveries of a target that is gone are gone, so its worker is dropped as it stands; one that died is started
        // again below.
        self.workers.retain(|no, running| wanted.contains_key(no) && !running.task.is_finished());
        let hosts: HashSet<&str> = wanted.values().map(|d| d.host.as_str()).collect();
        self.shared.hosts.keep_only(&hosts);
        for (no, destination) in &wanted {
            match self.workers.get(no) {
                Some(running) => {
                    running.destination.send_if_modified(|current| {
                        let other = current != destination;
                        current.clone_from(destination);
                        other
                    });
                }
                None => {
                    let (sender, receiver) = watch::channel(destination.clone());
                    let worker = Worker::new(self.shared.clone(), *no, receiver);
                    let task = AbortOnDropHandle::new(tokio::spawn(worker.run(stop.clone())));
                    self.workers.insert(*no, Running { destination: sender, task });
                }
            }
        }
    }

    /// Gives up deliveries older than `push.retention`.
    async fn sweep(&mut self) {
        let now = self.shared.clock.now();
        if self.swept.is_some_and(|at| now.0 - at.0 < SWEEP_MS) {
            return;
        }
        self.swept = Some(now);
        match self.shared.store.expire_deliveries(self.shared.oldest()).await {
            Ok(0) => {}
            Ok(dropped) => {
                metrics::counter!("causeway_outbox_dropped_total").increment(dropped);
                tracing::warn!(dropped, "deliveries are given up: they are older than push.retention");
            }
            Err(error) => {
                tracing::warn!(?error, "old deliveries cannot be dropped now");
                self.swept = None;
            }
        }
    }
}
