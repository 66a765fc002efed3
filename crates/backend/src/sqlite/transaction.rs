//! Registry work inside the writer's transaction.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use causeway_model::Error;
use causeway_platform::outbox::NewDelivery;
use parking_lot::RwLock;
use rusqlite::{Connection, params};
use tokio::sync::oneshot;

use super::INSTANCE;
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

/// Numbers and writes outbox rows.
pub(super) struct OutboxWriter {
    /// The number used last.
    last: i64,
    /// What `progress` has.
    recorded: i64,
    /// Targets that exist; `None` when they must be read again.
    targets: Option<HashSet<i64>>,
}

impl OutboxWriter {
    pub(super) fn load(conn: &Connection) -> Outcome<Self> {
        let recorded: i64 =
            conn.query_row("SELECT outbox_seq FROM progress WHERE instance = ?1", [INSTANCE], |row| row.get(0))?;
        let greatest: Option<i64> = conn.query_row("SELECT max(seq) FROM outbox", [], |row| row.get(0))?;
        Ok(Self { last: recorded.max(greatest.unwrap_or(0)), recorded, targets: None })
    }

    /// Targets changed, or a transaction failed.
    pub(super) fn forget_targets(&mut self) {
        self.targets = None;
    }

    /// Writes deliveries; those of targets that are gone are dropped.
    pub(super) fn write(&mut self, conn: &Connection, deliveries: &[NewDelivery]) -> Outcome<()> {
        if deliveries.is_empty() {
            return Ok(());
        }
        let targets = match &mut self.targets {
            Some(targets) => targets,
            none => {
                let mut read = conn.prepare_cached("SELECT no FROM push_target")?;
                none.insert(read.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
            }
        };
        let mut insert = conn.prepare_cached(
            "INSERT INTO outbox (seq, instance, target, device, at, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?;
        for delivery in deliveries.iter().filter(|d| targets.contains(&d.target)) {
            self.last += 1;
            let device = delivery.device.map(|d| d.0);
            insert.execute(params![self.last, INSTANCE, delivery.target, device, delivery.at.0, &*delivery.body])?;
        }
        Ok(())
    }

    /// Before the commit: records the numbers used, so that they rise over restarts too. True when there are new rows.
    pub(super) fn record(&mut self, conn: &Connection) -> Outcome<bool> {
        if self.last == self.recorded {
            return Ok(false);
        }
        conn.prepare_cached("UPDATE progress SET outbox_seq = ?1 WHERE instance = ?2")?
            .execute([self.last, INSTANCE])?;
        Ok(true)
    }

    /// After the commit.
    pub(super) fn committed(&mut self) {
        self.recorded = self.last;
    }
}
