//! The embedded store: one SQLite file in WAL mode with one writer, made for many small reports.
//!
//! # The way of a report
//!
//! 1. [`submit`](causeway_platform::uplink::UplinkStore::submit) puts units into a bounded queue. The writer gathers
//!    for some milliseconds and commits them in one transaction with `synchronous = FULL`: an acknowledged report
//!    survives a loss of power.
//! 2. The commit touches no tree by device. The reports of a batch are appended as *blocks* ([`block`]): one row of
//!    the database for about 16 KB of reports.
//! 3. What readers need besides, the index by device and time and the merged shadows, is kept in [`memory`] and
//!    carried over into the tables `history` and `shadow` in the background, sorted by device ([`fold`]). Readers merge
//!    memory and tables, so they see every committed report and nothing else.
//! 4. After a crash the blocks behind `progress.indexed_seq` are read again.
//!
//! The plain way (insert a row, its index entry and update the shadow, all in the commit) writes a page of the index and
//! one of the shadow for nearly every report as soon as some thousand devices report in turn. `benches/store.rs` has
//! both ways side by side; on two cores, reports of 250 bytes, processor time a report with everything included:
//!
//! | devices | this way | plain way |
//! | ---: | ---: | ---: |
//! | 1,000 | 1.9 µs | 7 µs |
//! | 10,000 | 1.9 µs | 12 µs |
//! | 100,000 | 3.9 µs | 18 µs |
//!
//! The history of a deleted device leaves the index at once; its blocks go when retention trims them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use causeway_model::{Error, Result};
use causeway_platform::outbox::OutboxSignals;
use parking_lot::RwLock;
use tokio::sync::{Semaphore, oneshot, watch};

use crate::StoreSettings;

mod alarm;
mod alive;
mod amqp_queue;
mod app;
mod audit;
mod backup;
mod batch;
mod batch_file;
mod block;
mod certificate;
mod checkpoint;
mod connection;
mod device;
mod error;
mod file;
mod fold;
mod function;
mod gateway;
mod group;
mod history;
mod iam;
mod instance;
mod linkage;
mod log;
mod memory;
mod message;
mod migrations;
mod notify;
mod ota;
mod outbox;
mod policy;
mod product;
mod provisioning;
mod purge;
mod queue;
mod readers;
mod roster;
mod routing;
mod search;
mod session;
mod shadow;
mod tag;
#[cfg(test)]
mod tests;
mod transaction;
mod uplink;
mod writer;

pub use backup::backup_file;

use checkpoint::Checkpointer;
use error::Outcome;
use memory::Memory;
use queue::Queue;
use readers::Readers;
use roster::{Follower, Roster};
use transaction::{OutboxWriter, Tx, Work};
use writer::Writer;

/// The instance that a store object serves; a file holds one for now.
const INSTANCE: i64 = 1;

/// The store, see the module text. Dropping it without [`close`](causeway_platform::instance::InstanceStore::close) lets
/// the writer end on its own, some time later.
pub struct SqliteStore {
    path: PathBuf,
    queue: Arc<Queue>,
    memory: Arc<RwLock<Memory>>,
    readers: Readers,
    roster: Arc<Roster>,
    /// The turn of a call that brings many new devices.
    bulk: Semaphore,
    outbox_signals: Arc<OutboxSignals>,
    /// Turns true when the writer has ended.
    ended: watch::Receiver<bool>,
}

impl SqliteStore {
    /// Opens or creates the file at `path`, brings its schema up to date and starts the writer.
    ///
    /// # Errors
    /// [`Code::Unavailable`](causeway_model::Code::Unavailable) when the file cannot be opened, is in use by another
    /// process, or was written by a newer program.
    pub async fn open(path: &Path, settings: &StoreSettings) -> Result<Self> {
        let (path, settings) = (path.to_owned(), settings.clone());
        tokio::task::spawn_blocking(move || Self::start(path, &settings))
            .await
            .map_err(|e| Error::internal(format_args!("opening the store did not end: {e}")))?
    }

    fn start(path: PathBuf, settings: &StoreSettings) -> Result<Self> {
        let (store, writer, ended) = Self::prepare(path, settings)?;
        std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || {
                // Tells of the end even when the writer panics.
                let ended = EndedOnDrop(ended);
                writer.run();
                drop(ended);
            })
            .map_err(|e| Error::unavailable(format_args!("cannot start a thread: {e}")))?;
        Ok(store)
    }

    /// Everything but the writer's thread.
    fn prepare(path: PathBuf, settings: &StoreSettings) -> Result<(Self, Writer, watch::Sender<bool>)> {
        let lock = connection::lock(&path)?;
        let mut conn = connection::open_writer(&path, settings.cache.0, settings.wal.0)?;
        migrations::migrate(&mut conn)?;
        let mut memory = Memory::new(settings.unindexed.0);
        let last_seq = writer::replay(&conn, &mut memory)?;
        let purging = purge::pending(&conn)?;
        let memory = Arc::new(RwLock::new(memory));
        let queue = Arc::new(Queue::new(settings.queue_units, settings.gather.0));
        let outbox_signals = Arc::<OutboxSignals>::default();
        let roster = Arc::new(Roster::new(settings.list_memory.0));
        let follower = Follower::start(Arc::clone(&roster), &mut conn, {
            let path = path.clone();
            move || connection::open_reader(&path, 1 << 20)
        })?;
        let checkpointer = Checkpointer::start(&path, &mut conn, settings.wal.0)?;
        let writer = Writer {
            conn,
            queue: Arc::clone(&queue),
            runtime: tokio::runtime::Handle::current(),
            memory: Arc::clone(&memory),
            outbox: OutboxWriter::default(),
            outbox_signals: Arc::clone(&outbox_signals),
            checkpointer,
            follower,
            max_age: settings.unindexed_age.0,
            last_seq,
            purging,
            slice: writer::SLICE,
            _lock: lock,
            state: writer::State::default(),
        };
        let (ended_sender, ended) = watch::channel(false);
        let readers = Readers::new(path.clone(), settings.connections, settings.cache.0 / 8);
        Ok((
            Self { path, queue, memory, readers, roster, bulk: Semaphore::new(1), outbox_signals, ended },
            writer,
            ended_sender,
        ))
    }

    /// The database file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs registry work in the next transaction and answers after its commit.
    async fn write<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Tx<'_>) -> Outcome<T> + Send + 'static,
    {
        let _permit = self.queue.registry_permit().await?;
        let (work, answer): (_, oneshot::Receiver<_>) = Work::prepare(work);
        self.queue.push_registry(work);
        answer.await.map_err(|_| Error::unavailable("the store is closed"))?
    }

    /// Runs a read on a blocking thread.
    async fn read<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&rusqlite::Connection) -> Outcome<T> + Send + 'static,
    {
        self.readers.read(work).await
    }

    /// Waits until everything committed before is in the tables.
    async fn flush(&self) -> Result<()> {
        self.queue.flush().await.map_err(|_| Error::unavailable("the store is closed"))
    }

    /// Commits what waits, carries everything over and ends the writer.
    async fn shut(&self) {
        self.queue.close();
        let mut ended = self.ended.clone();
        // An error means that the writer's end has been told and its sender is gone.
        let _ = ended.wait_for(|ended| *ended).await;
        self.readers.close();
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.queue.close();
    }
}

struct EndedOnDrop(watch::Sender<bool>);

impl Drop for EndedOnDrop {
    fn drop(&mut self) {
        self.0.send_replace(true);
    }
}
