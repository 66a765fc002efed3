//! From the calls to the store: a bounded queue and one task that writes what lies in it.
//!
//! A call that changed the registry waits until its record is committed; the task then writes at once, with all that waits.
//! A call that a device answered does not wait: its record is written with the next one that does, or within a second.

use std::sync::Arc;
use std::time::Duration;

use causeway_model::audit::AuditRecord;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout, timeout_at};

use crate::platform::LogGate;
use crate::{Platform, Store};

/// What nobody waits for is written at the latest after so long.
const GATHER: Duration = Duration::from_millis(500);
/// Records of one transaction.
const BATCH: usize = 1000;
/// While the store does not answer, a batch is tried again so often …
const TRIES: u32 = 25;
/// … after so long each.
const PAUSE: Duration = Duration::from_millis(200);
/// A full queue holds a call up so long.
const PATIENCE: Duration = Duration::from_secs(5);

enum Entry {
    /// A record, and who waits for its commit.
    Record(Box<AuditRecord>, Option<oneshot::Sender<()>>),
    /// Somebody waits for everything before.
    Flush(oneshot::Sender<()>),
}

/// The queue's near end.
pub(crate) struct AuditLog {
    sender: mpsc::Sender<Entry>,
    /// Strangers who knock without end fill neither queue nor store.
    strangers: LogGate,
}

impl AuditLog {
    /// Starts the task; it ends when this is dropped.
    pub(crate) fn start(store: Arc<dyn Store>, room: u32) -> Self {
        let (sender, receiver) = mpsc::channel(room.max(1) as usize);
        tokio::spawn(write(store, receiver));
        Self { sender, strangers: LogGate::new() }
    }

    async fn push(&self, record: AuditRecord, reply: Option<oneshot::Sender<()>>) {
        let entry = Entry::Record(Box::new(record), reply);
        let Err(refused) = self.sender.try_send(entry) else { return };
        let entry = refused.into_inner();
        if let Ok(Ok(permit)) = timeout(PATIENCE, self.sender.reserve()).await {
            permit.send(entry);
        } else if let Entry::Record(record, _) = entry {
            tell_of_lost(&record);
        }
    }
}

/// The last place for a record that the store does not take.
fn tell_of_lost(record: &AuditRecord) {
    metrics::counter!("causeway_audit_records_lost_total").increment(1);
    tracing::error!(?record, "an audit record could not be stored");
}

async fn write(store: Arc<dyn Store>, mut receiver: mpsc::Receiver<Entry>) {
    let (mut records, mut waiting) = (Vec::new(), Vec::new());
    let collect = |entry, records: &mut Vec<AuditRecord>, waiting: &mut Vec<oneshot::Sender<()>>| match entry {
        Entry::Record(record, reply) => {
            records.push(*record);
            waiting.extend(reply);
        }
        Entry::Flush(reply) => waiting.push(reply),
    };
    while let Some(entry) = receiver.recv().await {
        let deadline = Instant::now() + GATHER;
        collect(entry, &mut records, &mut waiting);
        while waiting.is_empty() && records.len() < BATCH {
            match timeout_at(deadline, receiver.recv()).await {
                Ok(Some(entry)) => collect(entry, &mut records, &mut waiting),
                Ok(None) | Err(_) => break,
            }
        }
        while records.len() < BATCH
            && let Ok(entry) = receiver.try_recv()
        {
            collect(entry, &mut records, &mut waiting);
        }
        store_batch(&*store, std::mem::take(&mut records)).await;
        for reply in waiting.drain(..) {
            // Who no longer waits is not told.
            let _ = reply.send(());
        }
    }
}

async fn store_batch(store: &dyn Store, records: Vec<AuditRecord>) {
    if records.is_empty() {
        return;
    }
    let mut tries = 0;
    while let Err(error) = store.insert_audit(records.clone()).await {
        tries += 1;
        if records.len() > 1 && !error.is_retryable() {
            // One that cannot be stored must not take the others along.
            for record in records {
                Box::pin(store_batch(store, vec![record])).await;
            }
            return;
        }
        if tries == TRIES || !error.is_retryable() || store.has_ended() {
            tracing::error!(?error, "audit records could not be stored");
            records.iter().for_each(tell_of_lost);
            return;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

impl Platform {
    /// Adds a record and returns when it is committed. When the store does not take it, the log of the program has it.
    pub async fn audit(&self, record: AuditRecord) {
        let (reply, committed) = oneshot::channel();
        self.audit_log.push(record, Some(reply)).await;
        // An error means that the store is gone, and the log has the record.
        let _ = committed.await;
    }

    /// Adds a record that is committed within a second.
    pub async fn audit_later(&self, record: AuditRecord) {
        self.audit_log.push(record, None).await;
    }

    /// Adds a record of a call by nobody known; beyond some a second they are only counted.
    pub async fn audit_stranger(&self, record: AuditRecord) {
        if self.audit_log.strangers.allow() {
            self.audit_log.push(record, None).await;
        } else {
            metrics::counter!("causeway_audit_records_skipped_total").increment(1);
        }
    }

    /// Returns when all records added before are committed. For the end of the platform.
    pub async fn flush_audit(&self) {
        let (reply, done) = oneshot::channel();
        if self.audit_log.sender.send(Entry::Flush(reply)).await.is_ok() {
            let _ = done.await;
        }
    }
}
