//! Serves one target that takes deliveries one by one: reads them, sends them lane by lane, finishes in the store what was
//! taken.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use causeway_model::{Result, Timestamp};
use causeway_platform::clock::Clock;
use causeway_platform::outbox::{Delivery, Finish, OutboxStore};
use causeway_platform::settings::PushSettings;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::backlog::{Backlog, Job};
use crate::flow::Gate;
use crate::hosts::Hosts;
use crate::target::{Failure, Item, Sent, Target};

/// What all workers share.
pub(crate) struct Shared {
    pub(crate) store: Arc<dyn OutboxStore>,
    pub(crate) clock: Arc<Clock>,
    pub(crate) settings: PushSettings,
    pub(crate) hosts: Hosts,
    /// The least of all backlog policies.
    pub(crate) least: Mutex<Least>,
    /// When a failing push was logged last.
    pub(crate) logged: Mutex<Option<Instant>>,
}

/// What backlog policies allow: the least of all. Nothing where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Least {
    /// Bytes that wait for one target.
    pub(crate) bytes: Option<u64>,
    /// How long a delivery waits.
    pub(crate) ms: Option<i64>,
}

/// Pushes under way may take so long once the worker stops.
pub(crate) const DRAIN: Duration = Duration::from_secs(7);
/// Pushed deliveries are finished in the store together, at this number or after this time.
const FINISH_ROWS: usize = 256;
const FINISH_AFTER: Duration = Duration::from_millis(20);
/// The longest sleep: a moved clock or a lost signal is noticed after it.
pub(crate) const LONGEST_SLEEP: Duration = Duration::from_secs(1);
/// At most one line in so long tells of failing pushes.
const LOG_EVERY: Duration = Duration::from_secs(5);

impl Shared {
    /// Deliveries whose cause is older are given up. A retention of nothing keeps them until they are taken, as the
    /// retention of the history does, unless backlog policies count and say otherwise.
    pub(crate) fn oldest(&self, by_policy: bool) -> Timestamp {
        let retention = Some(self.settings.retention.as_millis()).filter(|ms| *ms > 0);
        let policy = if by_policy { self.least.lock().ms } else { None };
        match [retention, policy].into_iter().flatten().min() {
            None => Timestamp(i64::MIN),
            Some(ms) => self.clock.now().plus_ms(-ms),
        }
    }

    /// Bytes that may wait for one target; see [`oldest`](Self::oldest).
    pub(crate) fn most_bytes(&self, by_policy: bool) -> u64 {
        let most = u64::try_from(self.settings.max_backlog.0).unwrap_or(u64::MAX);
        let policy = if by_policy { self.least.lock().bytes } else { None };
        policy.map_or(most, |bytes| bytes.min(most))
    }

    /// Counts a sending, and tells the operator of failures now and then.
    pub(crate) fn note(&self, target: i64, failure: Option<&Failure>) {
        let word = failure.map_or("delivered", |f| f.word);
        metrics::counter!("causeway_push_total", "outcome" => word).increment(1);
        let Some(failure) = failure else { return };
        let mut logged = self.logged.lock();
        if logged.is_none_or(|at| at.elapsed() >= LOG_EVERY) {
            *logged = Some(Instant::now());
            tracing::warn!(
                target_no = target,
                outcome = word,
                why = failure.text,
                "a delivery failed and is tried again later"
            );
        }
    }
}

/// A call to the store. One at a time, so that a reading never shows what a finishing is about to drop.
type StoreCall = Pin<Box<dyn Future<Output = StoreAnswer> + Send>>;

/// Deliveries that are through and must be finished in the store.
#[derive(Clone, Default)]
struct Pushed {
    delivered: Vec<i64>,
    /// They can never be taken.
    rejected: Vec<i64>,
}

impl Pushed {
    fn len(&self) -> usize {
        self.delivered.len() + self.rejected.len()
    }
}

enum StoreAnswer {
    Read { wanted: (i64, u32), found: Result<Vec<Delivery>> },
    Finished { pushed: Pushed, outcome: Result<()> },
}

/// See the module text.
pub(crate) struct Worker {
    shared: Arc<Shared>,
    target: i64,
    to: Arc<dyn Target>,
    gate: Gate,
    concurrency: usize,
    host: String,
    backlog: Backlog,
    /// Pushed, to be finished in the store; and since when the first of them.
    pushed: Pushed,
    pushed_since: Instant,
    /// After a failure the store is left alone until then.
    store_rests_until: Option<Instant>,
}

impl Worker {
    /// `concurrency` and `host`: see [`Feeding::Lanes`](crate::target::Feeding::Lanes).
    pub(crate) fn new(
        shared: Arc<Shared>,
        target: i64,
        to: Arc<dyn Target>,
        gate: Gate,
        concurrency: u32,
        host: String,
    ) -> Self {
        let retry_ms = shared.settings.retry.as_millis();
        Self {
            shared,
            target,
            to,
            gate,
            concurrency: usize::try_from(concurrency.max(1)).unwrap_or(usize::MAX),
            host,
            backlog: Backlog::new(retry_ms),
            pushed: Pushed::default(),
            pushed_since: Instant::now(),
            store_rests_until: None,
        }
    }

    /// Works until `stop`, then ends what is under way within [`DRAIN`].
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut signal = self.shared.store.outbox_signals().subscribe(self.target);
        let mut under_way = FuturesUnordered::new();
        let mut store_call: Option<StoreCall> = None;
        let mut end: Option<Instant> = None;
        loop {
            let mut sleep = LONGEST_SLEEP;
            if end.is_none() {
                for job in self.jobs(under_way.len(), &mut sleep) {
                    under_way.push(send(self.to.clone(), job));
                }
            }
            if store_call.is_none() {
                store_call = self.next_store_call(end.is_some(), &mut signal, &mut sleep);
            }
            if end.is_some_and(|end| Instant::now() >= end || (under_way.is_empty() && store_call.is_none())) {
                return;
            }
            tokio::select! {
                Some((job, sent)) = under_way.next(), if !under_way.is_empty() => self.sent(&job, &sent),
                answer = async { store_call.as_mut().expect("guarded by the condition").await }, if store_call.is_some() => {
                    store_call = None;
                    if !self.store_answered(answer) && end.is_some() {
                        // What was pushed and is not finished will be pushed again.
                        return;
                    }
                }
                Ok(()) = signal.changed(), if end.is_none() && self.backlog.is_read() => self.backlog.has_more(),
                () = stop.cancelled(), if end.is_none() => end = Some(Instant::now() + DRAIN),
                () = self.shared.clock.tick(sleep) => {}
            }
        }
    }

    /// What to send now. `sleep` is shortened to the next time at which there may be more.
    fn jobs(&mut self, under_way: usize, sleep: &mut Duration) -> Vec<Job> {
        let now = self.shared.clock.now();
        let next_lane = self.backlog.wake(now);
        if let Some(until) = self.shared.hosts.blocked_until(&self.host, now) {
            shorten(sleep, until, now);
            return Vec::new();
        }
        if let Some(until) = next_lane {
            shorten(sleep, until, now);
        }
        let free = self.concurrency.saturating_sub(under_way);
        let (granted, wait) = self.gate.take(free);
        if granted == 0 && free > 0 {
            *sleep = (*sleep).min(wait.max(Duration::from_millis(1)));
        }
        let oldest = self.shared.oldest(self.gate.is_policed());
        let jobs: Vec<Job> = std::iter::from_fn(|| self.backlog.next(oldest)).take(granted).collect();
        self.gate.give_back(granted - jobs.len());
        if granted < free && jobs.len() == granted && granted > 0 {
            // There may be more than was granted; the next one is granted soon.
            *sleep = (*sleep).min(Duration::from_millis(1));
        }
        jobs
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
        let target = self.target;
        if self.pushed.len() > 0 {
            let age = self.pushed_since.elapsed();
            if ending || self.pushed.len() >= FINISH_ROWS || age >= FINISH_AFTER {
                let pushed = std::mem::take(&mut self.pushed);
                return Some(Box::pin(async move {
                    let outcome = finish(&*store, target, pushed.clone()).await;
                    StoreAnswer::Finished { pushed, outcome }
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
        Some(Box::pin(async move {
            StoreAnswer::Read { wanted, found: store.deliveries(target, wanted.0, wanted.1).await }
        }))
    }

    /// False when the store failed.
    fn store_answered(&mut self, answer: StoreAnswer) -> bool {
        let failed = match answer {
            StoreAnswer::Read { wanted, found: Ok(found) } => {
                self.backlog.take_in(wanted, found, self.shared.oldest(self.gate.is_policed()));
                None
            }
            StoreAnswer::Finished { pushed, outcome: Ok(()) } => {
                self.backlog.finished(&pushed.delivered);
                self.backlog.finished(&pushed.rejected);
                None
            }
            StoreAnswer::Read { found: Err(error), .. } => Some(error),
            StoreAnswer::Finished { mut pushed, outcome: Err(error) } => {
                pushed.delivered.append(&mut self.pushed.delivered);
                pushed.rejected.append(&mut self.pushed.rejected);
                self.pushed = pushed;
                Some(error)
            }
        };
        if let Some(error) = &failed {
            tracing::warn!(?error, target_no = self.target, "the outbox cannot be read or written now");
            self.store_rests_until = Some(Instant::now() + LONGEST_SLEEP);
        }
        failed.is_none()
    }

    fn sent(&mut self, job: &Job, sent: &Sent) {
        self.shared.note(self.target, sent.failure.as_ref());
        if sent.failure.is_some() {
            self.shared.hosts.failed(&self.host, self.shared.clock.now());
            self.backlog.failed(job.lane, self.shared.clock.now());
            return;
        }
        self.shared.hosts.succeeded(&self.host);
        if self.pushed.len() == 0 {
            self.pushed_since = Instant::now();
        }
        if let Some((_, why)) = sent.rejected.first() {
            tracing::warn!(target_no = self.target, why, "a delivery can never be taken and is dropped");
            self.pushed.rejected.push(job.seq);
        } else {
            self.pushed.delivered.push(job.seq);
        }
        self.backlog.succeeded(job.lane);
    }
}

async fn finish(store: &dyn OutboxStore, target: i64, pushed: Pushed) -> Result<()> {
    for (seqs, outcome) in [(pushed.delivered, Finish::Delivered), (pushed.rejected, Finish::Rejected)] {
        if !seqs.is_empty() {
            store.finish_deliveries(target, seqs, outcome).await?;
        }
    }
    Ok(())
}

async fn send(to: Arc<dyn Target>, job: Job) -> (Job, Sent) {
    let item = Item { seq: job.seq, device: job.lane, at: job.at, body: job.body.clone() };
    let sent = to.send(std::slice::from_ref(&item)).await;
    (job, sent)
}

fn shorten(sleep: &mut Duration, until: Timestamp, now: Timestamp) {
    let left = u64::try_from(until.0.saturating_sub(now.0)).unwrap_or(0);
    *sleep = (*sleep).min(Duration::from_millis(left));
}
