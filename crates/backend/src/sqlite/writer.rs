//! The writer: one thread that owns the only connection that writes.
//!
//! It takes what was gathered and commits it in one transaction, in this order: units, a slice of what is to be carried
//! over or purged, registry work (each piece in a savepoint, so that a refused one does not void the rest). After the
//! commit it changes [`Memory`], then tells the callers.

use std::fs::File;
use std::sync::Arc;
use std::time::{Duration, Instant};

use causeway_model::status::DeviceStatus;
use causeway_model::{Error, Result, Timestamp};
use causeway_platform::message::MessageOutcome;
use causeway_platform::outbox::OutboxSignals;
use causeway_platform::uplink::{Change, ReportRow, StatusChange, Unit};
use parking_lot::RwLock;
use rusqlite::{Connection, params};
use tokio::sync::oneshot;

use super::INSTANCE;
use super::alive::Alive;
use super::block::BlockBuilder;
use super::checkpoint::{self, Checkpointer};
use super::error::Outcome;
use super::fold::Fold;
use super::memory::{Entry, Memory};
use super::purge;
use super::queue::{Batch, Idle, Queue, Submission};
use super::roster::Follower;
use super::transaction::{Effect, OutboxWriter, RegistryWork, Tx};

/// Rows carried over with a commit, at least: pages are touched once a slice.
pub(super) const SLICE: usize = 512;
/// Rows carried over at once when nothing else is to be done, and for how long at most.
const IDLE_SLICE: usize = 8192;
const IDLE_SLICE_TIME: Duration = Duration::from_millis(10);
/// Carrying over at the end takes no longer, as the whole platform is to stop within seconds; the next start reads
/// the rest again.
pub(super) const END_TIME: Duration = Duration::from_millis(1500);
/// One commit in so many purges while there is traffic.
const PURGE_EVERY: u64 = 16;
/// Background work that failed is tried again after so long.
const PAUSE: Duration = Duration::from_millis(200);
/// Callers told before other tasks have their turn.
const TOLD_AT_ONCE: usize = 256;
/// Rows purged at once.
const PURGE_ROWS: usize = 1000;

/// What the writer thread owns.
pub(super) struct Writer {
    pub(super) conn: Connection,
    pub(super) queue: Arc<Queue>,
    /// Where those who submit live.
    pub(super) runtime: tokio::runtime::Handle,
    pub(super) memory: Arc<RwLock<Memory>>,
    pub(super) outbox: OutboxWriter,
    pub(super) outbox_signals: Arc<OutboxSignals>,
    pub(super) checkpointer: Checkpointer,
    /// Keeps the roster of devices up to date.
    pub(super) follower: Follower,
    /// Reports are carried over at the latest after so long.
    pub(super) max_age: Duration,
    /// The number of the newest report.
    pub(super) last_seq: i64,
    pub(super) purging: bool,
    /// Rows carried over with a commit, at least.
    pub(super) slice: usize,
    /// Held as long as the file is written.
    pub(super) _lock: File,
    pub(super) state: State,
}

/// The parts that start empty.
#[derive(Default)]
pub(super) struct State {
    alive: Alive,
    block: BlockBuilder,
    /// Reports of the transaction, for memory.
    staged: Vec<(Entry, ReportRow)>,
    fold: Fold,
    /// Tables frozen and carried over so far.
    frozen: u64,
    carried: u64,
    /// Who waits until so many tables are carried over.
    flushes: Vec<(u64, oneshot::Sender<()>)>,
    commits: u64,
    /// After a failure, background work alone waits until then.
    pause_until: Option<Instant>,
    /// Only what is queued is committed still.
    closing: bool,
}

/// What a transaction did besides.
#[derive(Default)]
struct Done {
    carried_over: bool,
    purged_all: bool,
    effects: Vec<Effect>,
}

/// Closes the queue when the thread ends in whatever way, so that nobody waits for a commit that will not come.
struct CloseOnEnd(Arc<Queue>);

impl Drop for CloseOnEnd {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!("the writer of the store panicked; nothing is committed any more");
        }
        self.0.close();
        loop {
            let batch = self.0.take(&Idle::No);
            if batch.is_empty() {
                break;
            }
            let error = Error::unavailable("the store is closed");
            self.0.resolve(batch.submissions, &Err(error.clone()));
            for work in batch.registry {
                work.finish(Err(error.clone()));
            }
        }
    }
}

impl Writer {
    /// Runs until the queue is closed and empty.
    pub(super) fn run(mut self) {
        let _guard = CloseOnEnd(Arc::clone(&self.queue));
        while self.turn() {}
        self.end(END_TIME);
    }

    /// Takes and commits one batch; false at the end.
    pub(super) fn turn(&mut self) -> bool {
        let mut batch = self.queue.take(&self.idle());
        if batch.closing && batch.is_empty() {
            return false;
        }
        self.state.closing = batch.closing;
        let awaited = self.state.frozen + 1;
        self.state.flushes.extend(batch.flushes.drain(..).map(|flush| (awaited, flush)));
        if !batch.is_empty() || self.background() == Some(None) {
            self.commit(batch);
        }
        // At the end, what the bounded queue holds may make the growing table larger than usual: carrying over has its
        // own time afterwards.
        if !self.state.closing {
            self.freeze_when_due();
        }
        self.checkpointer.tick(&self.conn);
        true
    }

    /// When there is something to carry over or to purge: whether it must wait after a failure, and until when.
    fn background(&self) -> Option<Option<Instant>> {
        let pending = self.purging || self.memory.read().frozen.is_some();
        pending.then(|| self.state.pause_until.filter(|until| Instant::now() < *until))
    }

    fn idle(&self) -> Idle {
        match self.background() {
            Some(None) => Idle::No,
            Some(Some(until)) => Idle::Until(until),
            None => {
                let started = self.memory.read().active.started();
                started.map_or(Idle::Forever, |started| Idle::Until(started + self.max_age))
            }
        }
    }

    /// Carries over what `time` allows and empties the log, so that the next start has little or nothing to do.
    pub(super) fn end(&mut self, time: Duration) {
        let deadline = Instant::now() + time;
        self.checkpointer.stop();
        self.follower.stop();
        self.carry_over_all(Some(deadline));
        let growing = {
            let memory = self.memory.read();
            memory.frozen.is_none() && !memory.active.is_empty()
        };
        if growing && Instant::now() < deadline {
            self.freeze();
            self.carry_over_all(Some(deadline));
        }
        if let Err(error) = checkpoint::truncate(&self.conn) {
            tracing::warn!(%error, "the write-ahead log could not be carried over at the end");
        }
    }

    /// One transaction for the whole batch.
    fn commit(&mut self, mut batch: Batch) {
        let started = Instant::now();
        let units: usize = batch.submissions.iter().map(|s| s.units.len()).sum();
        let seq_before = self.last_seq;
        let outcome = match self.transact(&mut batch.submissions, &mut batch.registry, units) {
            Ok(done) => {
                self.committed(done);
                Ok(())
            }
            Err(failure) => {
                let error = Error::from(failure);
                tracing::error!(?error, units, "a transaction failed");
                self.rolled_back(seq_before);
                self.state.pause_until = Some(Instant::now() + PAUSE);
                Err(error)
            }
        };
        if units > 0 {
            metrics::histogram!("causeway_store_commit_seconds").record(started.elapsed().as_secs_f64());
            metrics::histogram!("causeway_store_batch_units").record(units as f64);
            metrics::gauge!("causeway_store_queue_units").set(self.queue.units() as f64);
        }
        self.tell(batch.submissions, outcome.clone());
        for work in batch.registry {
            work.finish(outcome.clone());
        }
    }

    /// From a worker of the runtime, waking hundreds of tasks costs a tenth of what it costs from a foreign thread.
    fn tell(&self, mut submissions: Vec<Submission>, outcome: Result<(), Error>) {
        if submissions.len() <= 2 {
            return self.queue.resolve(submissions, &outcome);
        }
        let queue = Arc::clone(&self.queue);
        self.runtime.spawn(async move {
            while !submissions.is_empty() {
                let rest = submissions.split_off(submissions.len().min(TOLD_AT_ONCE));
                queue.resolve(std::mem::replace(&mut submissions, rest), &outcome);
                tokio::task::yield_now().await;
            }
        });
    }

    fn transact(
        &mut self,
        submissions: &mut [Submission],
        registry: &mut [Box<dyn RegistryWork>],
        units: usize,
    ) -> Outcome<Done> {
        let mut done = Done::default();
        self.conn.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        for submission in submissions {
            for unit in std::mem::take(&mut submission.units) {
                self.unit(unit)?;
            }
        }
        self.close_block()?;
        let quiet = units == 0 && registry.is_empty();
        done.carried_over = self.carry_over(units, quiet)?;
        if self.purging && (quiet || self.state.commits.is_multiple_of(PURGE_EVERY)) {
            done.purged_all = purge::slice(&self.conn, PURGE_ROWS)?;
        }
        self.follower.listen(true);
        for work in registry {
            self.registry(work.as_mut(), &mut done.effects)?;
        }
        self.follower.listen(false);
        self.outbox.record(&self.conn)?;
        self.conn.prepare_cached("COMMIT")?.execute([])?;
        Ok(done)
    }

    fn unit(&mut self, unit: Unit) -> Outcome<()> {
        if !self.state.alive.check(&self.conn, unit.device.0)? {
            return Ok(());
        }
        match unit.change {
            Change::None => {}
            Change::Report(rows) => {
                for row in rows {
                    self.report(unit.device.0, unit.arrival, row)?;
                }
            }
            Change::Status(change) => self.status(unit.device.0, change)?,
            Change::Message(outcome) => self.message(&outcome)?,
        }
        self.outbox.write(&self.conn, &unit.deliveries)
    }

    fn report(&mut self, device: i64, arrival: Timestamp, row: ReportRow) -> Outcome<()> {
        let rank = self.state.block.push(device, arrival.0, &row)?;
        self.last_seq += 1;
        let entry = Entry::new(device, self.last_seq, rank, &row.service_id, row.event_time);
        self.state.staged.push((entry, row));
        if self.state.block.is_full() {
            self.close_block()?;
        }
        Ok(())
    }

    fn close_block(&mut self) -> Outcome<()> {
        let block = &mut self.state.block;
        if block.is_empty() {
            return Ok(());
        }
        let (reports, latest) = (block.len(), block.latest());
        let first_seq = self.last_seq + 1 - i64::from(reports);
        self.conn
            .prepare_cached(
                "INSERT INTO block (first_seq, instance, reports, latest, body) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![first_seq, INSTANCE, reports, latest, block.body()])?;
        block.clear();
        Ok(())
    }

    fn status(&self, device: i64, change: StatusChange) -> Outcome<()> {
        let online = change.status == DeviceStatus::Online;
        self.conn
            .prepare_cached(
                "UPDATE device SET connection = ?2, status_changed_at = ?3, \
                 last_online_at = CASE WHEN ?4 OR connection = 'ONLINE' THEN ?3 ELSE last_online_at END, \
                 activated_at = CASE WHEN ?4 THEN coalesce(activated_at, ?3) ELSE activated_at END \
                 WHERE no = ?1",
            )?
            .execute(params![device, change.status.as_str(), change.at.0, online])?;
        Ok(())
    }

    fn message(&self, outcome: &MessageOutcome) -> Outcome<()> {
        let (code, text) = outcome.error.as_ref().map(|(c, t)| (c.as_str(), t.as_str())).unzip();
        let finished_at = outcome.status.is_final().then_some(outcome.at.0);
        self.conn
            .prepare_cached(
                "UPDATE message SET status = ?2, error_code = ?3, error_text = ?4, finished_at = ?5 \
                 WHERE no = ?1 AND status = 'PENDING'",
            )?
            .execute(params![outcome.no, outcome.status.as_str(), code, text, finished_at])?;
        Ok(())
    }

    fn registry(&mut self, work: &mut dyn RegistryWork, effects: &mut Vec<Effect>) -> Outcome<()> {
        // Counters of what came before must not go with work that is refused.
        self.outbox.record(&self.conn)?;
        self.conn.prepare_cached("SAVEPOINT work")?.execute([])?;
        let kept = effects.len();
        let mut tx =
            Tx { conn: &self.conn, memory: &self.memory, last_seq: self.last_seq, outbox: &mut self.outbox, effects };
        if !work.run(&mut tx) {
            effects.truncate(kept);
            self.outbox.refused();
            // Fails when SQLite has given up the whole transaction (a full disk): then all of it has failed.
            self.conn.prepare_cached("ROLLBACK TO work")?.execute([])?;
        }
        self.conn.prepare_cached("RELEASE work")?.execute([])?;
        Ok(())
    }

    /// A slice of carrying over. With traffic, so much that the frozen table is done well before the growing one is
    /// full; memory stays bounded because a full one waits for it.
    fn carry_over(&mut self, units: usize, quiet: bool) -> Outcome<bool> {
        let memory = self.memory.read();
        let Some(frozen) = &memory.frozen else { return Ok(false) };
        if self.state.closing && !quiet {
            return Ok(false);
        }
        let (quota, deadline) = if quiet {
            (IDLE_SLICE, Some(Instant::now() + IDLE_SLICE_TIME))
        } else {
            let room = memory.room();
            // A quarter faster than needed.
            let pace = units.saturating_mul(self.state.fold.left(frozen)) / room.max(1) * 5 / 4;
            let hurry = if self.state.flushes.is_empty() { self.slice } else { IDLE_SLICE };
            (if room == 0 { usize::MAX } else { pace.max(hurry) }, None)
        };
        let state = &mut self.state;
        state.fold.slice(&self.conn, frozen, &mut state.alive, quota, deadline)
    }

    /// Carries the frozen table over, by slices that are committed one by one, until `deadline`.
    fn carry_over_all(&mut self, deadline: Option<Instant>) {
        while self.memory.read().frozen.is_some() {
            if deadline.is_some_and(|d| Instant::now() >= d) {
                tracing::info!("not all reports are carried over; the next start will do it");
                return;
            }
            let seq = self.last_seq;
            match self.transact(&mut [], &mut [], 0) {
                Ok(done) => self.committed(done),
                Err(failure) => {
                    let error = Error::from(failure);
                    tracing::error!(?error, "reports could not be carried over; the next start will do it");
                    self.rolled_back(seq);
                    return;
                }
            }
        }
    }

    fn committed(&mut self, done: Done) {
        self.state.commits += 1;
        self.follower.committed(&self.conn);
        let with_deliveries = self.outbox.committed();
        let dropped = {
            let mut memory = self.memory.write();
            for (entry, row) in self.state.staged.drain(..) {
                memory.push(entry, Some(row));
            }
            for effect in &done.effects {
                match *effect {
                    Effect::DeviceGone(device) => self.state.alive.remove(device),
                    Effect::ShadowGone(device) => memory.forget_shadow(device),
                    Effect::Purge => {}
                }
            }
            if done.carried_over { memory.frozen.take() } else { None }
        };
        if self.state.staged.capacity() > 1 << 14 {
            self.state.staged = Vec::new();
        }
        if done.purged_all {
            self.purging = false;
        }
        if done.effects.contains(&Effect::Purge) {
            self.purging = true;
        }
        if let Some(table) = dropped {
            self.state.carried += 1;
            self.state.fold = Fold::default();
            // Giving back hundreds of thousands of pieces of memory would hold up the next commit. Should no thread be
            // had, it happens here.
            let _ = std::thread::Builder::new().name("store-drop".into()).spawn(move || drop(table));
        }
        self.outbox_signals.raise(with_deliveries);
    }

    fn rolled_back(&mut self, seq: i64) {
        if !self.conn.is_autocommit()
            && let Err(error) = self.conn.execute_batch("ROLLBACK")
        {
            tracing::error!(%error, "a transaction could not be rolled back");
        }
        self.follower.listen(false);
        self.follower.rolled_back();
        self.last_seq = seq;
        self.state.staged.clear();
        self.state.block.clear();
        self.outbox.rolled_back();
        if let Some(frozen) = &self.memory.read().frozen {
            self.state.fold.begin(frozen);
        }
    }

    fn freeze_when_due(&mut self) {
        let (full, due) = {
            let memory = self.memory.read();
            let old = memory.active.started().is_some_and(|at| at.elapsed() >= self.max_age);
            let full = memory.is_full();
            let due = !memory.active.is_empty() && (old || full || !self.state.flushes.is_empty());
            (full, due && (memory.frozen.is_none() || full))
        };
        if due {
            if full {
                self.carry_over_all(None);
            }
            if self.memory.read().frozen.is_none() {
                self.freeze();
            }
        }
        self.answer_flushes();
    }

    fn freeze(&mut self) {
        let mut memory = self.memory.write();
        memory.freeze();
        self.state.frozen += 1;
        if let Some(frozen) = &memory.frozen {
            self.state.fold.begin(frozen);
        }
    }

    /// A flush waits for the table that grew when it came, and the one before.
    fn answer_flushes(&mut self) {
        if self.state.flushes.is_empty() {
            return;
        }
        let clean = {
            let memory = self.memory.read();
            memory.frozen.is_none() && memory.active.is_empty()
        };
        let carried = self.state.carried;
        let (ready, waiting) =
            std::mem::take(&mut self.state.flushes).into_iter().partition(|(awaited, _)| clean || carried >= *awaited);
        self.state.flushes = waiting;
        for (_, flush) in ready {
            // Who no longer waits is not told.
            let _ = flush.send(());
        }
    }
}

/// Puts back into memory what was committed and not carried over before the end of the last process.
pub(super) fn replay(conn: &Connection, memory: &mut Memory) -> Result<i64> {
    fn read(conn: &Connection, memory: &mut Memory) -> Outcome<i64> {
        let mut last_seq: i64 =
            conn.query_row("SELECT indexed_seq FROM progress WHERE instance = ?1", [INSTANCE], |row| row.get(0))?;
        let mut resets = std::collections::HashMap::new();
        let mut read = conn.prepare("SELECT device, seq FROM shadow_reset")?;
        let mut rows = read.query([])?;
        while let Some(row) = rows.next()? {
            resets.insert(row.get::<_, i64>(0)?, row.get::<_, i64>(1)?);
        }
        let mut read = conn.prepare("SELECT first_seq, body FROM block WHERE first_seq > ?1 ORDER BY first_seq")?;
        let mut rows = read.query([last_seq])?;
        while let Some(row) = rows.next()? {
            let first_seq: i64 = row.get(0)?;
            let body = row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
            let block = super::block::Block::parse(body)?;
            for rank in 0..block.len() {
                let report = block.report(rank)?;
                last_seq = first_seq + i64::from(rank);
                let row = ReportRow {
                    service_id: report.service_id.into(),
                    properties: causeway_model::properties::PropertyObject::trusted(report.properties),
                    event_time: Timestamp(report.event_time),
                };
                let entry = Entry::new(report.device, last_seq, rank, &row.service_id, row.event_time);
                let void = resets.get(&report.device).is_some_and(|floor| last_seq <= *floor);
                let readable = super::memory::is_object(report.properties);
                memory.push(entry, (!void && readable).then_some(row));
            }
        }
        Ok(last_seq)
    }
    Ok(read(conn, memory)?)
}
