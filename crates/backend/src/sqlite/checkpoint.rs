//! Carrying the write-ahead log over into the database file without holding up commits.
//!
//! Most of the log is carried over by a thread of its own while commits go on. What they appended meanwhile is little,
//! and the writer itself carries that over between two commits; only then, with nothing left, does SQLite start the log
//! anew. A thread alone would never see the end of a log that is written without a pause, and the log would grow for ever.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use causeway_model::{Error, Result};
use parking_lot::{Condvar, Mutex};
use rusqlite::Connection;

use super::connection::{BUSY, open_checkpointer};
use super::error::Outcome;

/// Readers that come one after another without a gap keep the log from starting anew. When it has so many times its
/// usual size, those that read are waited for, for a moment: a reader that stays (a copy being made) is not.
const WAIT_FOR_READERS: u32 = 2;
const MOMENT: Duration = Duration::from_millis(25);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Rest,
    /// The thread is asked to carry over, or does.
    Bulk,
    /// The writer is asked to do the rest.
    Remainder,
    Stop,
}

struct Shared {
    /// Pages in the log after the last commit.
    pages: AtomicU32,
    phase: Mutex<Phase>,
    changed: Condvar,
}

/// The writer's handle.
pub(super) struct Checkpointer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    limit: u32,
    /// Pages at which to begin next.
    begin_at: u32,
}

fn run(conn: &Connection, sql: &'static str) -> Outcome<bool> {
    // busy, pages in the log, pages carried over
    let (busy, log, done) =
        conn.query_row(sql, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?)))?;
    Ok(busy == 0 && log == done)
}

fn passive(conn: &Connection) -> Outcome<bool> {
    run(conn, "PRAGMA wal_checkpoint(PASSIVE)")
}

/// Carries everything over, waits for readers for [`MOMENT`] and makes the next commit begin the log anew.
fn restart(conn: &Connection) -> Outcome<bool> {
    conn.busy_timeout(MOMENT)?;
    let complete = run(conn, "PRAGMA wal_checkpoint(RESTART)");
    conn.busy_timeout(BUSY)?;
    complete
}

/// Carries everything over and empties the log.
pub(super) fn truncate(conn: &Connection) -> Outcome<bool> {
    run(conn, "PRAGMA wal_checkpoint(TRUNCATE)")
}

impl Checkpointer {
    /// Starts the thread and watches the commits of `writer`.
    pub(super) fn start(path: &Path, writer: &mut Connection, limit: usize) -> Result<Self> {
        let shared =
            Arc::new(Shared { pages: AtomicU32::new(0), phase: Mutex::new(Phase::Rest), changed: Condvar::new() });
        let told = Arc::clone(&shared);
        writer
            .wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, pages: std::ffi::c_int| {
                told.pages.store(u32::try_from(pages).unwrap_or(0), Ordering::Relaxed);
                Ok(())
            }))
            .map_err(super::error::Failure::from)?;
        let conn = open_checkpointer(path)?;
        let page: i64 =
            conn.pragma_query_value(None, "page_size", |row| row.get(0)).map_err(super::error::Failure::from)?;
        let page = usize::try_from(page).unwrap_or(1);
        let worker = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("store-checkpoint".into())
            .spawn(move || work(&conn, &worker))
            .map_err(|e| Error::unavailable(format_args!("cannot start a thread: {e}")))?;
        let limit = u32::try_from(limit / page.max(1)).unwrap_or(u32::MAX).max(32);
        Ok(Self { shared, thread: Some(thread), limit, begin_at: limit })
    }

    /// Called by the writer between transactions.
    pub(super) fn tick(&mut self, conn: &Connection) {
        let pages = self.shared.pages.load(Ordering::Relaxed);
        if pages < self.limit {
            self.begin_at = self.limit;
        }
        let mut phase = self.shared.phase.lock();
        match *phase {
            Phase::Rest if pages >= self.begin_at => {
                *phase = Phase::Bulk;
                drop(phase);
                self.shared.changed.notify_one();
            }
            Phase::Remainder => {
                *phase = Phase::Rest;
                drop(phase);
                let far = pages >= self.limit.saturating_mul(WAIT_FOR_READERS);
                if let Err(error) = if far { restart(conn) } else { passive(conn) } {
                    tracing::warn!(%error, "the write-ahead log could not be carried over");
                }
                // Should a reader still need the log, then not again at once.
                self.begin_at = pages.saturating_add(self.limit / 4);
            }
            _ => {}
        }
    }

    /// Ends the thread.
    pub(super) fn stop(&mut self) {
        *self.shared.phase.lock() = Phase::Stop;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the checkpoint thread panicked");
        }
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.stop();
    }
}

fn work(conn: &Connection, shared: &Shared) {
    loop {
        {
            let mut phase = shared.phase.lock();
            while !matches!(*phase, Phase::Bulk | Phase::Stop) {
                shared.changed.wait(&mut phase);
            }
            if *phase == Phase::Stop {
                return;
            }
        }
        // Twice: the second time takes what was appended during the first, so that less is left to the writer.
        for _ in 0..2 {
            match passive(conn) {
                Ok(true) => break,
                Ok(false) => {}
                Err(error) => tracing::warn!(%error, "the write-ahead log could not be carried over"),
            }
        }
        let mut phase = shared.phase.lock();
        if *phase == Phase::Bulk {
            *phase = Phase::Remainder;
        }
    }
}
