//! Registry work inside the writer's transaction.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use causeway_model::Error;
use causeway_platform::outbox::NewDelivery;
use parking_lot::RwLock;
use rusqlite::{Connection, params};
use tokio::sync::oneshot;

use super::error::{Failure, Outcome};
use super::memory::Memory;

/// What the writer does in its own memory once the transaction is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Units of this device are void from now on.
    DeviceGone(i64),
    /// Reports up to here no longer count for the device's shadow.
    ShadowGone(i64),
    /// There are rows to purge in the background.
    Purge,
}

/// The transaction, as registry work sees it.
pub(super) struct Tx<'a> {
    pub(super) conn: &'a Connection,
    /// Committed reports that the tables do not show yet.
    pub(super) memory: &'a RwLock<Memory>,
    /// The newest report of this transaction or before it.
    pub(super) last_seq: i64,
    pub(super) outbox: &'a mut OutboxWriter,
    pub(super) effects: &'a mut Vec<Effect>,
}

/// A piece of registry work.
pub(super) trait RegistryWork: Send {
    /// Does the work; true when its changes are to be kept.
    fn run(&mut self, tx: &mut Tx<'_>) -> bool;
    /// Tells the caller, after the transaction.
    fn finish(self: Box<Self>, commit: Result<(), Error>);
}

/// A closure and its caller.
pub(super) struct Work<T, F> {
    run: Option<F>,
    result: Option<Result<T, Error>>,
    reply: oneshot::Sender<Result<T, Error>>,
}

impl<T, F> Work<T, F>
where
    T: Send + 'static,
    F: FnOnce(&mut Tx<'_>) -> Outcome<T> + Send + 'static,
{
    /// The work for the queue, and where its answer will be.
    pub(super) fn prepare(run: F) -> (Box<dyn RegistryWork>, oneshot::Receiver<Result<T, Error>>) {
        let (reply, answer) = oneshot::channel();
        (Box::new(Self { run: Some(run), result: None, reply }), answer)
    }
}

impl<T, F> RegistryWork for Work<T, F>
where
    T: Send + 'static,
    F: FnOnce(&mut Tx<'_>) -> Outcome<T> + Send + 'static,
{
    fn run(&mut self, tx: &mut Tx<'_>) -> bool {
        let Some(run) = self.run.take() else { return false };
        // A fault in one piece of work must not end the writer; its savepoint is rolled back.
        let result = catch_unwind(AssertUnwindSafe(|| run(tx)))
            .unwrap_or_else(|_| Err(Failure::Platform(Error::internal("registry work panicked"))));
        let keep = result.is_ok();
        self.result = Some(result.map_err(Error::from));
        keep
    }

    fn finish(self: Box<Self>, commit: Result<(), Error>) {
        let result = match (commit, self.result) {
            // A refusal stands whatever became of the transaction.
            (_, Some(Err(error))) | (Err(error), _) => Err(error),
            (Ok(()), Some(Ok(value))) => Ok(value),
            (Ok(()), None) => Err(Error::internal("registry work was not run")),
        };
        // A caller that no longer waits is not told.
        let _ = self.reply.send(result);
    }
}

/// A target as the writer knows it.
#[derive(Clone, Copy, Debug, Default)]
struct TargetEnd {
    /// The number used last.
    last_seq: i64,
    /// Written since the counters were recorded: rows and bytes.
    rows: i64,
    bytes: i64,
}

/// Numbers and writes outbox rows, and counts them for their targets.
#[derive(Default)]
pub(super) struct OutboxWriter {
    /// Targets that exist; `None` when they must be read again.
    targets: Option<HashMap<i64, TargetEnd>>,
    /// Those whose counters are not recorded.
    counting: Vec<i64>,
    /// Those written to in this transaction and recorded.
    written: Vec<i64>,
}

impl OutboxWriter {
    /// The transaction failed.
    pub(super) fn rolled_back(&mut self) {
        self.refused();
        self.written.clear();
    }

    /// A piece of work was refused, before which everything was [recorded](Self::record).
    pub(super) fn refused(&mut self) {
        self.targets = None;
        self.counting.clear();
    }

    /// Before other work changes targets inside this transaction: what was counted is recorded first.
    pub(super) fn targets_change(&mut self, conn: &Connection) -> Outcome<()> {
        self.record(conn)?;
        self.targets = None;
        Ok(())
    }

    /// Writes deliveries; those of targets that are gone are dropped.
    pub(super) fn write(&mut self, conn: &Connection, deliveries: &[NewDelivery]) -> Outcome<()> {
        if deliveries.is_empty() {
            return Ok(());
        }
        let targets = match &mut self.targets {
            Some(targets) => targets,
            none => {
                let mut read = conn.prepare_cached("SELECT no, last_seq FROM target")?;
                let found = read.query_map([], |row| {
                    Ok((row.get(0)?, TargetEnd { last_seq: row.get(1)?, ..TargetEnd::default() }))
                })?;
                none.insert(found.collect::<Result<_, _>>()?)
            }
        };
        let mut insert = conn.prepare_cached("INSERT INTO outbox (place, device, at, body) VALUES (?1, ?2, ?3, ?4)")?;
        for delivery in deliveries {
            let Some(end) = targets.get_mut(&delivery.target) else { continue };
            if end.rows == 0 {
                self.counting.push(delivery.target);
            }
            end.last_seq += 1;
            end.rows += 1;
            end.bytes += i64::try_from(delivery.body.len()).unwrap_or(i64::MAX);
            let device = delivery.device.map(|d| d.0);
            insert.execute(params![place(delivery.target, end.last_seq), device, delivery.at.0, &*delivery.body])?;
        }
        Ok(())
    }

    /// Before the commit: records numbers and counters.
    pub(super) fn record(&mut self, conn: &Connection) -> Outcome<()> {
        let Some(targets) = self.targets.as_mut().filter(|_| !self.counting.is_empty()) else { return Ok(()) };
        let mut update = conn
            .prepare_cached("UPDATE target SET last_seq = ?2, taken = taken + ?3, bytes = bytes + ?4 WHERE no = ?1")?;
        for no in self.counting.drain(..) {
            let Some(end) = targets.get_mut(&no) else { continue };
            update.execute(params![no, end.last_seq, end.rows, end.bytes])?;
            (end.rows, end.bytes) = (0, 0);
            self.written.push(no);
        }
        Ok(())
    }

    /// After the commit: the targets that have new rows.
    pub(super) fn committed(&mut self) -> Vec<i64> {
        let mut written = std::mem::take(&mut self.written);
        written.sort_unstable();
        written.dedup();
        written
    }
}

/// Where a row of the outbox lies: see migrations/routing.sql.
pub(super) fn place(target: i64, seq: i64) -> i64 {
    (target << SEQ_BITS) | seq
}

/// A target's first and last possible places.
pub(super) fn places(target: i64) -> (i64, i64) {
    (place(target, 0), place(target, SEQ_MASK))
}

/// The row's own number.
pub(super) fn seq_of(place: i64) -> i64 {
    place & SEQ_MASK
}

const SEQ_BITS: u32 = 40;
const SEQ_MASK: i64 = (1 << SEQ_BITS) - 1;
