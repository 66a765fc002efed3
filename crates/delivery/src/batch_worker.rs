//! Serves one target that takes many deliveries at once, in the order of the outbox, one batch at a time.
//!
//! Memory: one batch. A batch that fails is tried again, from its first delivery that was not taken.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use causeway_model::Result;
use causeway_platform::outbox::Finish;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::flow::Gate;
use crate::target::{Item, Sent, Target};
use crate::worker::{DRAIN, LONGEST_SLEEP, Shared};

/// Deliveries read from the store at once.
const READ: u32 = 512;
/// The longest pause between two tries.
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// See the module text.
pub(crate) struct BatchWorker {
    shared: Arc<Shared>,
    target: i64,
    to: Arc<dyn Target>,
    gate: Gate,
    rows: usize,
    bytes: usize,
    linger: Duration,
    /// Read and not finished, in order.
    batch: Vec<Item>,
    batch_bytes: usize,
    /// When the first of them was read.
    since: Instant,
    read_to: i64,
    failures: u32,
}

impl BatchWorker {
    /// `rows`, `bytes` and `linger`: see [`Feeding::Batches`](crate::target::Feeding::Batches).
    pub(crate) fn new(
        shared: Arc<Shared>,
        target: i64,
        to: Arc<dyn Target>,
        gate: Gate,
        rows: usize,
        bytes: usize,
        linger: Duration,
    ) -> Self {
        Self {
            shared,
            target,
            to,
            gate,
            rows: rows.max(1),
            bytes,
            linger,
            batch: Vec::new(),
            batch_bytes: 0,
            since: Instant::now(),
            read_to: 0,
            failures: 0,
        }
    }

    /// Works until `stop`. A sending under way then may end within [`DRAIN`].
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut signal = self.shared.store.outbox_signals().subscribe(self.target);
        while !stop.is_cancelled() {
            signal.mark_unchanged();
            let pause = match self.fill().await {
                Err(error) => {
                    tracing::warn!(?error, target_no = self.target, "the outbox cannot be read now");
                    Some(LONGEST_SLEEP)
                }
                Ok(()) if self.batch.is_empty() => None,
                Ok(()) => self.wait_for_more(),
            };
            if self.batch.is_empty() || pause.is_some() {
                self.rest(pause, &mut signal, &stop).await;
                continue;
            }
            let (granted, wait) = self.gate.take(self.batch.len());
            if granted == 0 {
                self.rest(Some(wait), &mut signal, &stop).await;
                continue;
            }
            let to = self.to.clone();
            let sent = tokio::select! {
                sent = to.send(&self.batch[..granted]) => sent,
                () = async { stop.cancelled().await; tokio::time::sleep(DRAIN).await } => return,
            };
            if let Err(error) = self.finish(&sent).await {
                // What is not finished is sent again.
                tracing::warn!(?error, target_no = self.target, "the outbox cannot be written now");
                self.start_over();
                self.rest(Some(LONGEST_SLEEP), &mut signal, &stop).await;
                continue;
            }
            if let Some(failure) = &sent.failure {
                self.shared.note(self.target, Some(failure));
                let first = self.shared.settings.retry.0.max(Duration::from_millis(1));
                let pause = first.saturating_mul(1 << self.failures.min(16)).min(MAX_PAUSE);
                self.failures += 1;
                tokio::select! {
                    () = self.shared.clock.tick(pause) => {}
                    () = stop.cancelled() => {}
                }
                self.drop_old();
            } else {
                self.shared.note(self.target, None);
                self.failures = 0;
            }
        }
    }

    /// Reads on until the batch is full or nothing is left.
    async fn fill(&mut self) -> Result<()> {
        let oldest = self.shared.oldest(self.gate.is_policed());
        while self.batch.len() < self.rows && self.batch_bytes < self.bytes {
            let room = u32::try_from(self.rows - self.batch.len()).unwrap_or(READ).min(READ);
            let found = self.shared.store.deliveries(self.target, self.read_to, room).await?;
            let all = found.len() < room as usize;
            for delivery in found {
                if self.batch_bytes >= self.bytes {
                    return Ok(());
                }
                self.read_to = delivery.seq;
                // Left to its expiry in the store.
                if delivery.at < oldest {
                    continue;
                }
                if self.batch.is_empty() {
                    self.since = Instant::now();
                }
                let body = Bytes::from(String::from(delivery.body));
                self.batch_bytes += body.len();
                self.batch.push(Item { seq: delivery.seq, device: delivery.device, at: delivery.at, body });
            }
            if all {
                break;
            }
        }
        Ok(())
    }

    /// How long a batch that is not full waits for more; `None` when it goes now.
    fn wait_for_more(&self) -> Option<Duration> {
        let full = self.batch.len() >= self.rows || self.batch_bytes >= self.bytes;
        let left = self.linger.saturating_sub(self.since.elapsed());
        (!full && self.failures == 0 && !left.is_zero()).then_some(left)
    }

    async fn rest(&self, pause: Option<Duration>, signal: &mut watch::Receiver<u64>, stop: &CancellationToken) {
        tokio::select! {
            Ok(()) = signal.changed() => {}
            // A moved clock and a lost signal are noticed too.
            () = self.shared.clock.tick(pause.unwrap_or(LONGEST_SLEEP).min(LONGEST_SLEEP)) => {}
            () = stop.cancelled() => {}
        }
    }

    /// Takes what was sent out of the outbox and of the batch.
    async fn finish(&mut self, sent: &Sent) -> Result<()> {
        let done = sent.done.min(self.batch.len());
        let rejected: Vec<i64> =
            sent.rejected.iter().filter_map(|(at, _)| self.batch.get(*at)).map(|i| i.seq).collect();
        let delivered: Vec<i64> =
            self.batch[..done].iter().map(|item| item.seq).filter(|seq| !rejected.contains(seq)).collect();
        if let Some((_, why)) = sent.rejected.first() {
            tracing::warn!(
                target_no = self.target,
                count = rejected.len(),
                why,
                "deliveries can never be taken and are dropped"
            );
        }
        self.shared.store.finish_deliveries(self.target, delivered, Finish::Delivered).await?;
        self.shared.store.finish_deliveries(self.target, rejected, Finish::Rejected).await?;
        for item in self.batch.drain(..done) {
            self.batch_bytes -= item.body.len();
        }
        Ok(())
    }

    /// Deliveries that became too old while the target failed.
    fn drop_old(&mut self) {
        let oldest = self.shared.oldest(self.gate.is_policed());
        self.batch.retain(|item| item.at >= oldest);
        self.batch_bytes = self.batch.iter().map(|item| item.body.len()).sum();
    }

    fn start_over(&mut self) {
        self.batch.clear();
        self.batch_bytes = 0;
        self.read_to = 0;
    }
}
