//! What waits for the writer: units in order of submission, and pieces of registry work.
//!
//! Both are bounded: units by permits that go back after their commit, registry work by permits held by its callers.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use causeway_model::Error;
use causeway_platform::uplink::{CommitTicket, Unit};
use parking_lot::{Condvar, Mutex};
use tokio::sync::{Semaphore, oneshot};

use super::transaction::RegistryWork;

/// A batch of this size is committed without waiting for more.
const GATHER_UNITS: usize = 2048;
/// More units do not go into one transaction: it bounds the wait of those behind it.
const BATCH_UNITS: usize = 16_384;
/// Pieces of registry work that may wait.
const REGISTRY_LIMIT: usize = 1024;

/// Units of one call, with whom to tell.
pub(super) struct Submission {
    pub(super) units: Vec<Unit>,
    pub(super) reply: oneshot::Sender<Result<(), Error>>,
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
    fn permits_for(&self, units: &[Unit]) -> u32 {
        u32::try_from(units.len()).unwrap_or(u32::MAX).min(self.limit)
    }

    pub(super) async fn submit(&self, units: Vec<Unit>) -> CommitTicket {
        let permits = self.permits_for(&units);
        if let Ok(permit) = self.permits.acquire_many(permits).await {
            permit.forget();
        }
        self.push(units, permits)
    }

    pub(super) fn try_submit(&self, units: Vec<Unit>) -> Result<CommitTicket, Vec<Unit>> {
        let permits = self.permits_for(&units);
        match self.permits.try_acquire_many(permits) {
            Ok(permit) => {
                permit.forget();
                Ok(self.push(units, permits))
            }
            Err(_) => Err(units),
        }
    }

    fn push(&self, units: Vec<Unit>, permits: u32) -> CommitTicket {
        let (reply, ticket) = oneshot::channel();
        let mut state = self.state.lock();
        if state.closing {
            drop(state);
            self.permits.add_permits(permits as usize);
            // The receiver is in our hands; it cannot be gone.
            let _ = reply.send(Err(closed()));
            return ticket;
        }
        let before = state.units;
        state.units += units.len();
        if state.submissions.is_empty() {
            state.first_at = Some(Instant::now());
        }
        state.submissions.push_back(Submission { units, reply, permits });
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

    /// Lets nothing more in. What waits is still committed.
    pub(super) fn close(&self) {
        self.state.lock().closing = true;
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
        let mut taken = 0;
        while taken < BATCH_UNITS
            && let Some(submission) = state.submissions.pop_front()
        {
            taken += submission.units.len();
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
