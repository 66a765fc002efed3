//! Serves one target: reads its deliveries, pushes them lane by lane, finishes in the store what was taken.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use causeway_model::{Result, Timestamp};
use causeway_platform::clock::Clock;
use causeway_platform::outbox::{Delivery, OutboxStore};
use causeway_platform::settings::PushSettings;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::backlog::{Backlog, Job};
use crate::client::{Destination, Outcome, PushClient};
use crate::hosts::Hosts;

/// What all workers share.
pub(crate) struct Shared {
    pub(crate) store: Arc<dyn OutboxStore>,
    pub(crate) clock: Arc<Clock>,
    pub(crate) settings: PushSettings,
    pub(crate) client: PushClient,
    pub(crate) hosts: Hosts,
    /// When a failing push was logged last.
    pub(crate) logged: Mutex<Option<Instant>>,
}

/// Pushes under way may take so long once the worker stops.
const DRAIN: Duration = Duration::from_secs(7);
/// Pushed deliveries are finished in the store together, at this number or after this time.
const FINISH_ROWS: usize = 256;
const FINISH_AFTER: Duration = Duration::from_millis(20);
/// The longest sleep: a moved clock or a lost signal is noticed after it.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);
/// At most one line in so long tells of failing pushes.
const LOG_EVERY: Duration = Duration::from_secs(5);

impl Shared {
    /// Deliveries whose cause is older are given up. A retention of nothing keeps them until they are taken, as the
    /// retention of the history does.
    pub(crate) fn oldest(&self) -> Timestamp {
        match self.settings.retention.as_millis() {
            0 => Timestamp(i64::MIN),
            retention => self.clock.now().plus_ms(-retention),
        }
    }

    fn note(&self, host: &str, outcome: &Outcome) {
        metrics::counter!("causeway_push_total", "outcome" => outcome.as_str()).increment(1);
        if *outcome == Outcome::Delivered {
            self.hosts.succeeded(host);
            return;
        }
        self.hosts.failed(host, self.clock.now());
        let mut logged = self.logged.lock();
        if logged.is_none_or(|at| at.elapsed() >= LOG_EVERY) {
            *logged = Some(Instant::now());
            tracing::warn!(host, ?outcome, "a push failed and is tried again later");
        }
    }
}

/// A call to the store. One at a time, so that a reading never shows what a finishing is about to drop.
type StoreCall = Pin<Box<dyn Future<Output = StoreAnswer> + Send>>;

enum StoreAnswer {
    Read { wanted: (i64, u32), found: Result<Vec<Delivery>> },
    Finished { seqs: Vec<i64>, outcome: Result<()> },
}

/// See the module text.
pub(crate) struct Worker {
    shared: Arc<Shared>,
    target: i64,
    destination: watch::Receiver<Arc<Destination>>,
    backlog: Backlog,
    /// Pushed, to be finished in the store; and since when the first of them.
    pushed: Vec<i64>,
    pushed_since: Instant,
    /// After a failure the store is left alone until then.
    store_rests_until: Option<Instant>,
}

impl Worker {
    pub(crate) fn new(shared: Arc<Shared>, target: i64, destination: watch::Receiver<Arc<Destination>>) -> Self {
        let retry_ms = shared.settings.retry.as_millis();
        Self {
            shared,
            target,
            destination,
            backlog: Backlog::new(retry_ms),
            pushed: Vec::new(),
            pushed_since: Instant::now(),
            store_rests_until: None,
        }
    }

    /// Works until `stop`, then ends what is under way within [`DRAIN`].
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut signal = self.shared.store.outbox_signal();
        let mut under_way = FuturesUnordered::new();
        let mut store_call: Option<StoreCall> = None;
        let mut end: Option<Instant> = None;
        loop {
            let mut sleep = LONGEST_SLEEP;
            if end.is_none() {
                for (destination, job) in self.jobs(under_way.len(), &mut sleep) {
                    under_way.push(push(self.shared.clone(), destination, job));
                }
            }
            if store_call.is_none() {
                store_call = self.next_store_call(end.is_some(), &mut signal, &mut sleep);
            }
            if end.is_some_and(|end| Instant::now() >= end || (under_way.is_empty() && store_call.is_none())) {
                return;
            }
            tokio::select! {
                Some((job, host, outcome)) = under_way.next(), if !under_way.is_empty() => self.pushed(&job, &host, &outcome),
                answer = async { store_call.as_mut().expect("guarded by the condition").await }, if store_call.is_some() => {
                    store_call = None;
                    if !self.store_answered(answer) && end.is_some() {
                        // What was pushed and is not finished will be pushed again.
                        return;
                    }
                }
                Ok(()) = signal.changed(), if end.is_none() && self.backlog.is_read() => self.backlog.has_more(),
                Ok(()) = self.destination.changed() => {
                    // Another address deserves a try at once.
                    self.backlog.wake(Timestamp(i64::MAX));
                }
                () = stop.cancelled(), if end.is_none() => end = Some(Instant::now() + DRAIN),
                () = self.shared.clock.tick(sleep) => {}
            }
        }
    }

    /// What to push now. `sleep` is shortened to the next time at which there may be more.
    fn jobs(&mut self, under_way: usize, sleep: &mut Duration) -> Vec<(Arc<Destination>, Job)> {
        let now = self.shared.clock.now();
        let destination = self.destination.borrow().clone();
        let next_lane = self.backlog.wake(now);
        if let Some(until) = self.shared.hosts.blocked_until(&destination.host, now) {
            shorten(sleep, until, now);
            return Vec::new();
        }
        if let Some(until) = next_lane {
            shorten(sleep, until, now);
        }
        let free =
            usize::try_from(self.shared.settings.concurrency.max(1)).unwrap_or(usize::MAX).saturating_sub(under_way);
        let oldest = self.shared.oldest();
        let jobs = std::iter::from_fn(|| self.backlog.next(oldest)).take(free);
        jobs.map(|job| (destination.clone(), job)).collect()
    }

    fn next_store_call(
        &mut self,
        ending: bool,
        signal: &mut watch::Receiver<u64>,
        sleep: &mut Duration,
    ) -> Option<StoreCall> {
        if let Some(until) = self.store_rests_until {
            let left = until.saturating_duration_since(Instant::now());
            if !left.is_zero() && !ending {
                *sleep = (*sleep).min(left);
                return None;
            }
            self.store_rests_until = None;
        }
        let store = self.shared.store.clone();
        if !self.pushed.is_empty() {
            let age = self.pushed_since.elapsed();
            if ending || self.pushed.len() >= FINISH_ROWS || age >= FINISH_AFTER {
                let seqs = std::mem::take(&mut self.pushed);
                return Some(Box::pin(async move {
                    let outcome = store.finish_deliveries(seqs.clone()).await;
                    StoreAnswer::Finished { seqs, outcome }
                }));
            }
            *sleep = (*sleep).min(FINISH_AFTER - age);
        }
        if ending {
            return None;
        }
        let wanted = self.backlog.wants()?;
        // What is committed from here on raises the signal again.
        signal.mark_unchanged();
        let target = self.target;
        Some(Box::pin(async move {
            StoreAnswer::Read { wanted, found: store.deliveries(target, wanted.0, wanted.1).await }
        }))
    }

    /// False when the store failed.
    fn store_answered(&mut self, answer: StoreAnswer) -> bool {
        let failed = match answer {
            StoreAnswer::Read { wanted, found: Ok(found) } => {
                self.backlog.take_in(wanted, found, self.shared.oldest());
                None
            }
            StoreAnswer::Finished { seqs, outcome: Ok(()) } => {
                self.backlog.finished(&seqs);
                None
            }
            StoreAnswer::Read { found: Err(error), .. } => Some(error),
            StoreAnswer::Finished { mut seqs, outcome: Err(error) } => {
                seqs.append(&mut self.pushed);
                self.pushed = seqs;
                Some(error)
            }
        };
        if let Some(error) = &failed {
            tracing::warn!(?error, target_no = self.target, "the outbox cannot be read or written now");
            self.store_rests_until = Some(Instant::now() + LONGEST_SLEEP);
        }
        failed.is_none()
    }

    fn pushed(&mut self, job: &Job, host: &str, outcome: &Outcome) {
        self.shared.note(host, outcome);
        if *outcome == Outcome::Delivered {
            if self.pushed.is_empty() {
                self.pushed_since = Instant::now();
            }
            self.pushed.push(job.seq);
            self.backlog.succeeded(job.lane);
        } else {
            self.backlog.failed(job.lane, self.shared.clock.now());
        }
    }
}

async fn push(shared: Arc<Shared>, to: Arc<Destination>, job: Job) -> (Job, String, Outcome) {
    let outcome = shared.client.push(&to, job.body.clone()).await;
    (job, to.host.clone(), outcome)
}

fn shorten(sleep: &mut Duration, until: Timestamp, now: Timestamp) {
    let left = u64::try_from(until.0.saturating_sub(now.0)).unwrap_or(0);
    *sleep = (*sleep).min(Duration::from_millis(left));
}
