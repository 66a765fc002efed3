//! Queues with consumers: each has a window in memory and a task that reads the store ahead and tells it of outcomes.
//!
//! A queue without consumers costs nothing; its task ends a minute after the last one went.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use causeway_model::settings::Span;
use causeway_model::{Result, Timestamp};
use causeway_platform::clock::Clock;
use causeway_platform::outbox::{Delivery, Finish, OutboxStore};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::window::{ConsumerId, Room, Supply, Taken, Window};

/// Outcomes are told together, at this number or after this time.
const FINISH_ROWS: usize = 256;
const FINISH_AFTER: Duration = Duration::from_millis(10);
/// After a failure the store is left alone for so long.
const REST: Duration = Duration::from_secs(1);
/// What failed is remembered for so long after the last consumer went.
const LINGER: Duration = Duration::from_secs(60);

/// A queue with consumers.
pub(super) struct Queue {
    /// Its target.
    pub(super) target: i64,
    /// Its name.
    pub(super) name: String,
    window: Mutex<Window>,
    /// There is something for the task to do.
    work: Notify,
}

/// What queues share.
pub(super) struct Shared {
    pub(super) store: Arc<dyn OutboxStore>,
    pub(super) clock: Arc<Clock>,
    /// Messages that are older are given up; nothing keeps them.
    pub(super) retention: Span,
    room: Arc<Room>,
}

/// All queues with consumers.
pub(super) struct Queues {
    pub(super) shared: Shared,
    open: Mutex<HashMap<i64, Arc<Queue>>>,
    consumers: AtomicU64,
    /// Their tasks.
    pub(super) tasks: TaskTracker,
}

impl Shared {
    fn oldest(&self) -> Timestamp {
        match self.retention.as_millis() {
            0 => Timestamp(i64::MIN),
            retention => self.clock.now().plus_ms(-retention),
        }
    }
}

/// A consumer's hold on its queue; what it has without outcome comes back when this is dropped.
pub(super) struct Consumer {
    id: ConsumerId,
    pub(super) queue: Arc<Queue>,
}

impl Consumer {
    /// See [`Window::take`].
    pub(super) fn take(&self, queues: &Queues, limit: usize, into: &mut Vec<Taken>) -> Supply {
        let supply = self.queue.window.lock().take(self.id, limit, queues.shared.oldest(), into);
        if supply != Supply::Dry {
            self.queue.work.notify_one();
        }
        supply
    }

    /// See [`Window::settle`].
    pub(super) fn settle(&self, seqs: &[i64], outcome: causeway_wire::amqp::Outcome) {
        self.queue.window.lock().settle(self.id, seqs, outcome);
        self.queue.work.notify_one();
    }

    /// See [`Window::is_fed`].
    pub(super) fn is_fed(&self) {
        self.queue.window.lock().is_fed(self.id);
    }

    /// Whether the queue was deleted.
    pub(super) fn is_gone(&self) -> bool {
        self.queue.window.lock().is_gone()
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.queue.window.lock().leave(self.id);
        self.queue.work.notify_one();
    }
}

impl Queues {
    /// `memory` bytes are for all of them together.
    pub(super) fn new(store: Arc<dyn OutboxStore>, clock: Arc<Clock>, retention: Span, memory: usize) -> Arc<Self> {
        let room = Arc::new(Room::new(memory));
        Arc::new(Self {
            shared: Shared { store, clock, retention, room },
            open: Mutex::default(),
            consumers: AtomicU64::new(0),
            tasks: TaskTracker::new(),
        })
    }

    /// A consumer comes to the queue of this target; `wake` is told when there may be something for it.
    pub(super) fn join(
        self: &Arc<Self>,
        target: i64,
        name: &str,
        wake: Arc<Notify>,
        stop: &CancellationToken,
    ) -> Consumer {
        let id = self.consumers.fetch_add(1, Ordering::Relaxed);
        let mut open = self.open.lock();
        let queue = open.entry(target).or_insert_with(|| {
            let window = Mutex::new(Window::new(self.shared.room.clone()));
            let queue = Arc::new(Queue { target, name: name.to_owned(), window, work: Notify::new() });
            self.tasks.spawn(self.clone().keep(queue.clone(), stop.clone()));
            queue
        });
        queue.window.lock().join(id, wake);
        queue.work.notify_one();
        Consumer { id, queue: queue.clone() }
    }

    /// Names and targets of the queues that have consumers.
    pub(super) fn open(&self) -> Vec<(String, i64)> {
        self.open.lock().values().map(|q| (q.name.clone(), q.target)).collect()
    }

    /// The queue of this target was deleted.
    pub(super) fn close(&self, target: i64) {
        if let Some(queue) = self.open.lock().remove(&target) {
            queue.window.lock().close();
            queue.work.notify_one();
        }
    }

    /// Serves one queue until nobody has read it for [`LINGER`], it is deleted, or the platform stops.
    async fn keep(self: Arc<Self>, queue: Arc<Queue>, stop: CancellationToken) {
        let mut signal = self.shared.store.outbox_signals().subscribe(queue.target);
        let mut reading: Option<Reading> = None;
        let mut finishing: Option<Finishing> = None;
        let mut rests_until: Option<Instant> = None;
        let mut unfinished_since: Option<Instant> = None;
        let mut alone_since: Option<Instant> = None;
        loop {
            let now = Instant::now();
            let mut sleep = LINGER;
            // Before the reading begins: what is committed from here on raises the signal again.
            if signal.has_changed().unwrap_or(false) {
                signal.mark_unchanged();
                queue.window.lock().has_more();
            }
            let freed = self.shared.room.freed.notified();
            tokio::pin!(freed);
            freed.as_mut().enable();
            {
                let mut window = queue.window.lock();
                let is_stopping = stop.is_cancelled();
                if window.has_consumers() {
                    alone_since = None;
                } else if window.is_settled() {
                    let since = *alone_since.get_or_insert(now);
                    let is_over = window.is_gone() || is_stopping || now >= since + LINGER;
                    drop(window);
                    if is_over && self.let_go(&queue) {
                        return;
                    }
                    window = queue.window.lock();
                    sleep = sleep.min((since + LINGER).saturating_duration_since(now)).max(Duration::from_millis(1));
                }
                let rests =
                    rests_until.map(|until| until.saturating_duration_since(now)).filter(|left| !left.is_zero());
                if let Some(left) = rests.filter(|_| !is_stopping) {
                    sleep = sleep.min(left);
                } else {
                    if finishing.is_none() && window.unfinished() > 0 {
                        let since = *unfinished_since.get_or_insert(now);
                        let left = FINISH_AFTER.saturating_sub(now - since);
                        if window.unfinished() >= FINISH_ROWS || left.is_zero() || !window.has_consumers() {
                            unfinished_since = None;
                            finishing = window.next_to_finish().map(|told| self.finish(queue.target, told));
                        } else {
                            sleep = sleep.min(left);
                        }
                    }
                    if reading.is_none() {
                        reading = window.wants().map(|wanted| self.read(queue.target, wanted));
                    }
                }
            }
            tokio::select! {
                (wanted, found) = async { reading.as_mut().expect("guarded by the condition").await }, if reading.is_some() => {
                    reading = None;
                    match found {
                        Ok(found) => queue.window.lock().take_in(wanted, found),
                        Err(error) => {
                            tracing::warn!(?error, queue = queue.name, "a queue cannot be read now");
                            queue.window.lock().not_read();
                            rests_until = Some(Instant::now() + REST);
                        }
                    }
                }
                (seqs, outcome, told) = async { finishing.as_mut().expect("guarded by the condition").await }, if finishing.is_some() => {
                    finishing = None;
                    match told {
                        Ok(()) => queue.window.lock().finished(),
                        Err(error) => {
                            tracing::warn!(?error, queue = queue.name, "outcomes cannot be written now");
                            queue.window.lock().not_finished(seqs, outcome);
                            if stop.is_cancelled() {
                                // They come again after the start.
                                return;
                            }
                            rests_until = Some(Instant::now() + REST);
                        }
                    }
                }
                () = queue.work.notified() => {}
                () = freed => {}
                Ok(()) = signal.changed() => queue.window.lock().has_more(),
                () = tokio::time::sleep(sleep) => {}
                () = stop.cancelled(), if !stop.is_cancelled() => {}
            }
        }
    }

    /// Forgets a queue unless a consumer came meanwhile.
    fn let_go(&self, queue: &Arc<Queue>) -> bool {
        let mut open = self.open.lock();
        if queue.window.lock().has_consumers() {
            return false;
        }
        if open.get(&queue.target).is_some_and(|found| Arc::ptr_eq(found, queue)) {
            open.remove(&queue.target);
        }
        true
    }

    fn read(&self, target: i64, wanted: (i64, u32)) -> Reading {
        let store = self.shared.store.clone();
        Box::pin(async move { (wanted, store.deliveries(target, wanted.0, wanted.1).await) })
    }

    fn finish(&self, target: i64, (seqs, outcome): (Vec<i64>, Finish)) -> Finishing {
        let store = self.shared.store.clone();
        metrics::counter!("causeway_amqp_settled_total", "outcome" => outcome.as_str()).increment(seqs.len() as u64);
        Box::pin(async move {
            let told = store.finish_deliveries(target, seqs.clone(), outcome).await;
            (seqs, outcome, told)
        })
    }
}

type Reading = Pin<Box<dyn Future<Output = ((i64, u32), Result<Vec<Delivery>>)> + Send>>;
type Finishing = Pin<Box<dyn Future<Output = (Vec<i64>, Finish, Result<()>)> + Send>>;
