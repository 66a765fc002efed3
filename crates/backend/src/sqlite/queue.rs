//! What waits for the writer: units in order of submission, and pieces of registry work.
//!
//! Both are bounded: units by permits that go back after their commit, more of them for longer texts; registry work by
//! permits held by its callers.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use causeway_model::Error;
use causeway_platform::uplink::{Change, CommitTicket, Unit};
use parking_lot::{Condvar, Mutex};
use tokio::sync::{Semaphore, TryAcquireError, oneshot};

use super::transaction::RegistryWork;

/// A batch of this size is committed without waiting for more.
const GATHER_UNITS: usize = 2048;
/// More units do not go into one transaction: it bounds the wait of those behind it.
const BATCH_UNITS: usize = 16_384;
/// Nor more bytes of their texts, unless one call alone brings more: a transaction holds its rows in memory.
const BATCH_BYTES: usize = 16 << 20;
/// A unit whose texts are longer than this takes several permits, so that the queue bounds memory and not only numbers.
const UNIT_BYTES: usize = 4096;
/// Pieces of registry work that may wait.
const REGISTRY_LIMIT: usize = 1024;

/// Units of one call, with whom to tell.
pub(super) struct Submission {
    pub(super) units: Vec<Unit>,
    pub(super) reply: oneshot::Sender<Result<(), Error>>,
    /// Bytes of the units' texts.
    bytes: usize,
    permits: u32,
}

/// What the writer takes at once.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) submissions: Vec<Submission>,
    pub(super) registry: Vec<Box<dyn RegistryWork>>,
    /// To be told when everything committed so far is indexed.
    pub(super) flushes: Vec<oneshot::Sender<()>>,
    /// Nothing will come any more.
    pub(super) closing: bool,
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.submissions.is_empty() && self.registry.is_empty() && self.flushes.is_empty()
    }
}

/// How long the writer may sleep when nothing waits.
pub(super) enum Idle {
    /// It has work of its own.
    No,
    /// Until then.
    Until(Instant),
    /// Until something comes.
    Forever,
}

#[derive(Default)]
struct State {
    submissions: VecDeque<Submission>,
    units: usize,
    /// When the oldest waiting submission came.
    first_at: Option<Instant>,
    registry: Vec<Box<dyn RegistryWork>>,
    flushes: Vec<oneshot::Sender<()>>,
    closing: bool,
    /// The writer sleeps and wants to hear of anything; while it gathers it wants to hear of a full batch only.
    idle: bool,
}

/// The queue.
pub(super) struct Queue {
    state: Mutex<State>,
    ready: Condvar,
    permits: Semaphore,
    limit: u32,
    registry_permits: Semaphore,
    gather: Duration,
}

fn closed() -> Error {
    Error::unavailable("the store is closed")
}

/// The ticket of units that a closed queue does not take.
fn refused() -> CommitTicket {
    let (reply, ticket) = oneshot::channel();
    // The receiver is in our hands; it cannot be gone.
    let _ = reply.send(Err(closed()));
    ticket
}

/// Bytes of the texts that a unit carries.
fn text_bytes(unit: &Unit) -> usize {
    let change = match &unit.change {
        Change::Report(rows) => rows.iter().map(|r| r.service_id.len() + r.properties.as_str().len()).sum(),
        Change::Message(outcome) => outcome.error.as_ref().map_or(0, |(code, text)| code.len() + text.len()),
        Change::None | Change::Status(_) => 0,
    };
    change + unit.deliveries.iter().map(|d| d.body.len()).sum::<usize>()
}

/// What a call takes of the queue.
struct Load {
    bytes: usize,
    permits: u32,
}

impl Queue {
    pub(super) fn new(limit: u32, gather: Duration) -> Self {
        let limit = limit.max(1);
        Self {
            state: Mutex::default(),
            ready: Condvar::new(),
            permits: Semaphore::new(limit as usize),
            limit,
            registry_permits: Semaphore::new(REGISTRY_LIMIT),
            gather,
        }
    }

    /// A call larger than the whole queue waits until it is empty.
    fn load(&self, units: &[Unit]) -> Load {
        let (mut bytes, mut permits) = (0, 0);
        for unit in units {
            let text = text_bytes(unit);
            bytes += text;
            permits += 1 + text / UNIT_BYTES;
        }
        Load { bytes, permits: u32::try_from(permits).unwrap_or(u32::MAX).clamp(1, self.limit) }
    }

    pub(super) async fn submit(&self, units: Vec<Unit>) -> CommitTicket {
        let load = self.load(&units);
        match self.permits.acquire_many(load.permits).await {
            Ok(permit) => {
                permit.forget();
                self.push(units, load)
            }
            Err(_) => refused(),
        }
    }

    pub(super) fn try_submit(&self, units: Vec<Unit>) -> Result<CommitTicket, Vec<Unit>> {
        let load = self.load(&units);
        match self.permits.try_acquire_many(load.permits) {
            Ok(permit) => {
                permit.forget();
                Ok(self.push(units, load))
            }
            Err(TryAcquireError::NoPermits) => Err(units),
            // Trying again would be of no use.
            Err(TryAcquireError::Closed) => Ok(refused()),
        }
    }

    /// Queues units whose permits have been taken.
    fn push(&self, units: Vec<Unit>, Load { bytes, permits }: Load) -> CommitTicket {
        let mut state = self.state.lock();
        if state.closing {
            return refused();
        }
        let (reply, ticket) = oneshot::channel();
        let before = state.units;
        state.units += units.len();
        if state.submissions.is_empty() {
            state.first_at = Some(Instant::now());
        }
        state.submissions.push_back(Submission { units, reply, bytes, permits });
        let full = before < GATHER_UNITS && state.units >= GATHER_UNITS;
        // One call wakes the writer, not each until it runs.
        let wake = std::mem::take(&mut state.idle) || full;
        drop(state);
        if wake {
            self.ready.notify_one();
        }
        ticket
    }

    /// Waits for a place among the registry work.
    pub(super) async fn registry_permit(&self) -> Result<tokio::sync::SemaphorePermit<'_>, Error> {
        self.registry_permits.acquire().await.map_err(|_| closed())
    }

    /// Queues registry work; its caller holds a permit.
    pub(super) fn push_registry(&self, work: Box<dyn RegistryWork>) {
        let mut state = self.state.lock();
        if state.closing {
            drop(state);
            work.finish(Err(closed()));
            return;
        }
        state.registry.push(work);
        let wake = std::mem::take(&mut state.idle);
        drop(state);
        if wake {
            self.ready.notify_one();
        }
    }

    /// Resolves when everything committed before is indexed; an error when the store closes first.
    pub(super) fn flush(&self) -> oneshot::Receiver<()> {
        let (done, wait) = oneshot::channel();
        let mut state = self.state.lock();
        if !state.closing {
            state.flushes.push(done);
        }
        drop(state);
        self.ready.notify_one();
        wait
    }

    /// Whether nothing is taken any more.
    pub(super) fn is_closed(&self) -> bool {
        self.state.lock().closing
    }

    /// Lets nothing more in, and turns away who waits for a place. What is queued is still committed.
    pub(super) fn close(&self) {
        self.state.lock().closing = true;
        // Permits no longer come back once the writer is gone.
        self.permits.close();
        self.registry_permits.close();
        self.ready.notify_one();
    }

    /// Units waiting.
    pub(super) fn units(&self) -> usize {
        self.state.lock().units
    }

    /// The writer's side: the next batch, after the time of gathering; an empty one when `idle` is over.
    pub(super) fn take(&self, idle: &Idle) -> Batch {
        let mut state = self.state.lock();
        loop {
            let nothing = state.submissions.is_empty() && state.registry.is_empty() && state.flushes.is_empty();
            if state.closing || !nothing {
                break;
            }
            state.idle = true;
            match idle {
                Idle::No => {
                    state.idle = false;
                    return Batch::default();
                }
                Idle::Until(at) => {
                    let timed_out = self.ready.wait_until(&mut state, *at).timed_out();
                    state.idle = false;
                    if timed_out {
                        break;
                    }
                }
                Idle::Forever => self.ready.wait(&mut state),
            }
            state.idle = false;
        }
        if let Some(first_at) = state.first_at {
            let deadline = first_at + self.gather;
            while state.units < GATHER_UNITS && !state.closing && Instant::now() < deadline {
                self.ready.wait_until(&mut state, deadline);
            }
        }
        let mut batch = Batch { closing: state.closing, ..Batch::default() };
        batch.registry = std::mem::take(&mut state.registry);
        batch.flushes = std::mem::take(&mut state.flushes);
        let (mut taken, mut bytes) = (0, 0);
        while taken < BATCH_UNITS
            && let Some(submission) =
                state.submissions.pop_front_if(|next| taken == 0 || bytes + next.bytes <= BATCH_BYTES)
        {
            taken += submission.units.len();
            bytes += submission.bytes;
            batch.submissions.push(submission);
        }
        state.units -= taken;
        if state.submissions.is_empty() {
            state.first_at = None;
            state.submissions.shrink_to(1024);
        }
        batch
    }

    /// Tells the callers and gives their permits back. `units` of the submissions have been taken out by now.
    pub(super) fn resolve(&self, submissions: Vec<Submission>, outcome: &Result<(), Error>) {
        let mut permits = 0;
        for submission in submissions {
            permits += submission.permits as usize;
            // A caller that no longer waits is not told.
            let _ = submission.reply.send(outcome.clone());
        }
        self.permits.add_permits(permits);
    }
}
