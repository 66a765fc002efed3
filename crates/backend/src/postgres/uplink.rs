//! The queue in front of the committer: bounded, in order, gathered.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use causeway_model::{Error, Result};
use causeway_platform::uplink::{Change, CommitTicket, Unit, UplinkStore};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;

use super::PostgresStore;
use super::commit::Committer;

/// At most so many calls go into one transaction.
const BATCH: usize = 4096;

/// A unit whose texts are longer than this counts as several, so that the queue bounds memory and not only numbers.
const UNIT_BYTES: usize = 4096;

/// The units of one call.
pub(super) struct Submission {
    pub(super) units: Vec<Unit>,
    pub(super) ticket: oneshot::Sender<Result<()>>,
    queued: Instant,
    /// Given back when the submission has been committed or refused.
    _room: OwnedSemaphorePermit,
}

/// The sending side of the queue.
pub(super) struct Queue {
    /// `None` once the store is closed.
    sender: Mutex<Option<mpsc::Sender<Submission>>>,
    room: Arc<Semaphore>,
    size: u32,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Queue {
    pub(super) fn start(committer: Committer, gather: Duration, size: usize) -> Self {
        let size = size.clamp(1, 1 << 24);
        let room = Arc::new(Semaphore::new(size));
        // Each submission holds one permit at least, so the channel never fills before the semaphore is empty.
        let (sender, receiver) = mpsc::channel(size);
        let task = tokio::spawn(gather_and_commit(receiver, committer, gather, Arc::clone(&room), size));
        Self { sender: Mutex::new(Some(sender)), room, size: size as u32, task: Mutex::new(Some(task)) }
    }

    /// How much room the units take, at most all of it.
    fn weight(&self, units: &[Unit]) -> u32 {
        let weight: usize = units.iter().map(|u| 1 + text_bytes(u) / UNIT_BYTES).sum();
        u32::try_from(weight).unwrap_or(u32::MAX).clamp(1, self.size)
    }

    fn push(&self, units: Vec<Unit>, room: OwnedSemaphorePermit) -> CommitTicket {
        let (ticket, receiver) = oneshot::channel();
        let submission = Submission { units, ticket, queued: Instant::now(), _room: room };
        let refused = match &*self.sender.lock() {
            Some(sender) => sender.try_send(submission).err().map(mpsc::error::TrySendError::into_inner),
            None => Some(submission),
        };
        if let Some(submission) = refused {
            // The receiver may have given up waiting; then nobody needs the answer.
            let _ = submission.ticket.send(Err(closed()));
        }
        receiver
    }

    /// Takes no more units and waits until the gathered ones are committed.
    pub(super) async fn close(&self) {
        self.room.close();
        self.sender.lock().take();
        let task = self.task.lock().take();
        if let Some(task) = task
            && let Err(e) = task.await
        {
            tracing::error!(error = %e, "the committer did not end well");
        }
    }
}

fn closed() -> Error {
    Error::unavailable("the store is closed")
}

fn refused(error: Error) -> CommitTicket {
    let (ticket, receiver) = oneshot::channel();
    let _ = ticket.send(Err(error));
    receiver
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

#[async_trait]
impl UplinkStore for PostgresStore {
    async fn submit(&self, units: Vec<Unit>) -> CommitTicket {
        let weight = self.queue.weight(&units);
        match Arc::clone(&self.queue.room).acquire_many_owned(weight).await {
            Ok(room) => self.queue.push(units, room),
            Err(_) => refused(closed()),
        }
    }

    fn try_submit(&self, units: Vec<Unit>) -> Result<CommitTicket, Vec<Unit>> {
        let weight = self.queue.weight(&units);
        match Arc::clone(&self.queue.room).try_acquire_many_owned(weight) {
            Ok(room) => Ok(self.queue.push(units, room)),
            Err(tokio::sync::TryAcquireError::NoPermits) => Err(units),
            Err(tokio::sync::TryAcquireError::Closed) => Ok(refused(closed())),
        }
    }
}

/// The committer's task. While a transaction runs, the next units gather by themselves; only a queue that was empty is
/// waited on for `gather`.
async fn gather_and_commit(
    mut queue: mpsc::Receiver<Submission>,
    mut committer: Committer,
    gather: Duration,
    room: Arc<Semaphore>,
    size: usize,
) {
    let mut batch = Vec::new();
    while queue.recv_many(&mut batch, BATCH).await > 0 {
        let deadline = tokio::time::Instant::from_std(batch[0].queued + gather);
        while batch.len() < BATCH {
            let free = BATCH - batch.len();
            match tokio::time::timeout_at(deadline, queue.recv_many(&mut batch, free)).await {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
        }
        metrics::gauge!("causeway_store_queue_units").set((size - room.available_permits()) as f64);
        let units: usize = batch.iter().map(|s: &Submission| s.units.len()).sum();
        metrics::histogram!("causeway_store_batch_units").record(units as f64);
        let started = Instant::now();
        committer.commit(std::mem::take(&mut batch)).await;
        metrics::histogram!("causeway_store_commit_seconds").record(started.elapsed());
    }
    metrics::gauge!("causeway_store_queue_units").set(0.0);
}
