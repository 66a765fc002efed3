//! A copy of the database file while it is in use, also by another process.

use std::path::Path;
use std::time::Duration;

use causeway_model::{Error, Result};
use rusqlite::{Connection, OpenFlags};

use super::error::{Failure, Outcome};
use super::{SqliteStore, migrations};

/// Copies the database `db` to the new file `out`, compacted, as of one moment. The program that serves `db` goes on;
/// its write-ahead log grows until the copy is done. Blocks; not for an async worker.
///
/// # Errors
/// `db` cannot be read or is no database of the platform, or `out` exists or cannot be written.
pub fn backup_file(db: &Path, out: &Path) -> Result<()> {
    copy(db, out).map_err(Error::from)
}

fn copy(db: &Path, out: &Path) -> Outcome<()> {
    let refuse = |text: String| Failure::Platform(Error::unavailable(text));
    if out.exists() {
        return Err(refuse(format!("{} exists already", out.display())));
    }
    let target = out.to_str().ok_or_else(|| refuse(format!("{} is not a UTF-8 path", out.display())))?;
    // Not read-only: the write-ahead log of a program that was killed may have to be opened.
    let conn = Connection::open_with_flags(db, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    conn.busy_timeout(Duration::from_secs(10))?;
    conn.pragma_update(None, "wal_autocheckpoint", 0)?;
    if migrations::version(&conn)? == 0 {
        return Err(refuse(format!("{} is not a database of this platform", db.display())));
    }
    let copied = conn.execute("VACUUM INTO ?1", [target]);
    if copied.is_err() {
        // Half a copy must not be taken for one. It may not even be there.
        let _ = std::fs::remove_file(out);
    }
    copied?;
    let file = std::fs::File::open(out).and_then(|file| file.sync_all());
    file.map_err(|e| refuse(format!("{} could not be written to the disk: {e}", out.display())))
}

impl SqliteStore {
    /// [`backup_file`] of this store.
    ///
    /// # Errors
    /// See there.
    pub async fn backup(&self, to: &Path) -> Result<()> {
        let (db, to) = (self.path().to_owned(), to.to_owned());
        tokio::task::spawn_blocking(move || backup_file(&db, &to))
            .await
            .map_err(|e| Error::internal(format_args!("the backup did not end: {e}")))?
    }
}
