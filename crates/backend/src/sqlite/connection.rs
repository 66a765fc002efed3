//! Opening the file: one writer, some readers, one lock against a second process.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use causeway_model::{Error, Result};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::error::Outcome;

/// Statements kept prepared on each connection.
const STATEMENTS: usize = 96;

/// How long the connections that write wait for a lock. Only another program can hold one.
pub(super) const BUSY: Duration = Duration::from_millis(500);

/// Opens the connection that writes and sets how the file is written.
pub(super) fn open_writer(path: &Path, cache: usize, wal_limit: usize) -> Outcome<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    conn.busy_timeout(BUSY)?;
    // Takes effect on a new file only. Rows in random order (a million new devices) dirty half as much as with 8 KB,
    // which costs reports at full speed 4 %.
    conn.pragma_update(None, "page_size", 4096)?;
    conn.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    // What was acknowledged survives a loss of power, not only of the process.
    conn.pragma_update(None, "synchronous", "FULL")?;
    // The checkpointer decides; see checkpoint.rs.
    conn.pragma_update(None, "wal_autocheckpoint", 0)?;
    // After a time of long snapshots (a backup) the log shrinks to this when it starts anew.
    conn.pragma_update(None, "journal_size_limit", i64::try_from(wal_limit.saturating_mul(2)).unwrap_or(i64::MAX))?;
    conn.pragma_update(None, "foreign_keys", true)?;
    conn.pragma_update(None, "temp_store", "MEMORY")?;
    set_cache(&conn, cache)?;
    keep_plans(&conn)?;
    Ok(conn)
}

/// Opens a connection that only reads.
pub(super) fn open_reader(path: &Path, cache: usize) -> Outcome<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    conn.busy_timeout(Duration::from_secs(5))?;
    conn.pragma_update(None, "query_only", true)?;
    conn.pragma_update(None, "temp_store", "MEMORY")?;
    set_cache(&conn, cache)?;
    keep_plans(&conn)?;
    Ok(conn)
}

/// Opens the connection of the checkpointer.
pub(super) fn open_checkpointer(path: &Path) -> Outcome<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    conn.busy_timeout(BUSY)?;
    conn.pragma_update(None, "synchronous", "FULL")?;
    conn.pragma_update(None, "wal_autocheckpoint", 0)?;
    Ok(conn)
}

/// Without this, SQLite prepares a statement anew for each new value bound to it, because the value might call for
/// another plan. None of ours does.
fn keep_plans(conn: &Connection) -> Outcome<()> {
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(())
}

/// A negative `cache_size` is a number of KiB.
fn set_cache(conn: &Connection, bytes: usize) -> Outcome<()> {
    let kib = i64::try_from(bytes / 1024).unwrap_or(i64::MAX).max(256);
    Ok(conn.pragma_update(None, "cache_size", -kib)?)
}

/// Takes the lock file beside the database. A second process that wrote would not know what this one holds in memory.
pub(super) fn lock(path: &Path) -> Result<File> {
    let beside = beside(path, ".lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&beside)
        .map_err(|e| Error::unavailable(format_args!("cannot open {}: {e}", beside.display())))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(Error::unavailable(format_args!("{} is in use by another process", path.display())))
        }
        Err(TryLockError::Error(e)) => Err(Error::unavailable(format_args!("cannot lock {}: {e}", beside.display()))),
    }
}

/// `path` with `suffix` added to its file name.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
