//! Carrying a frozen table of reports over into `history` and `shadow`, a slice at a time, inside the transactions that
//! commit new reports.
//!
//! Every step can be done twice: index rows have their key, and a patch laid again over what it already changed changes
//! nothing. So after a crash at any point the blocks behind `progress.indexed_seq` are simply read and carried over
//! again. `indexed_seq` moves in the transaction of the last slice.

use std::time::Instant;

use rusqlite::{Connection, OptionalExtension, params};

use super::INSTANCE;
use super::alive::Alive;
use super::error::Outcome;
use super::memory::{Entry, Patch, Table, is_object, sort};

/// Where the work stands.
#[derive(Default)]
pub(super) struct Fold {
    /// Devices of the frozen table, ascending; pages of the index are touched once this way.
    devices: Vec<i64>,
    next: usize,
    /// Rows of the device in work, sorted.
    rows: Vec<Entry>,
    at: usize,
    /// Rows written so far.
    done: usize,
}

impl Fold {
    /// Begins with a newly frozen table, or again after a failed transaction.
    pub(super) fn begin(&mut self, table: &Table) {
        *self = Self { devices: table.devices(), ..Self::default() };
    }

    /// Rows left.
    pub(super) fn left(&self, table: &Table) -> usize {
        table.len().saturating_sub(self.done)
    }

    /// Writes about `quota` rows, fewer when `deadline` comes first. True when the table is carried over.
    pub(super) fn slice(
        &mut self,
        conn: &Connection,
        table: &Table,
        alive: &mut Alive,
        quota: usize,
        deadline: Option<Instant>,
    ) -> Outcome<bool> {
        let mut insert = conn.prepare_cached(
            "INSERT OR IGNORE INTO history (device, event_time, seq, instance, service, rank) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?;
        // The device in work may have been deleted since the slice before.
        if let Some(row) = self.rows.get(self.at)
            && !alive.check(conn, row.device)?
        {
            self.done += self.rows.len() - self.at;
            self.at = self.rows.len();
        }
        let mut written = 0;
        loop {
            while let Some(row) = self.rows.get(self.at) {
                if written >= quota || (written % 256 == 255 && deadline.is_some_and(|d| Instant::now() >= d)) {
                    return Ok(false);
                }
                insert.execute(params![row.device, row.event_time, row.seq, INSTANCE, row.service, row.rank])?;
                self.at += 1;
                self.done += 1;
                written += 1;
            }
            let Some(&device) = self.devices.get(self.next) else {
                self.finish(conn, table)?;
                return Ok(true);
            };
            if written >= quota {
                return Ok(false);
            }
            self.next += 1;
            self.at = 0;
            self.rows.clear();
            self.rows.extend(table.chain(device));
            if !alive.check(conn, device)? {
                self.done += self.rows.len();
                self.rows.clear();
                continue;
            }
            sort(&mut self.rows, false);
            for patch in table.patches(device) {
                lay(conn, device, patch)?;
                // Costs about as much as some rows.
                written += 4;
            }
        }
    }

    fn finish(&self, conn: &Connection, table: &Table) -> Outcome<()> {
        conn.prepare_cached("UPDATE progress SET indexed_seq = ?1 WHERE instance = ?2")?
            .execute([table.last_seq(), INSTANCE])?;
        conn.prepare_cached("DELETE FROM shadow_reset WHERE seq <= ?1")?.execute([table.last_seq()])?;
        Ok(())
    }
}

/// Lays a patch over the stored reported side.
fn lay(conn: &Connection, device: i64, patch: &Patch) -> Outcome<()> {
    let stored: Option<String> = conn
        .prepare_cached("SELECT reported FROM shadow WHERE device = ?1 AND service_id = ?2")?
        .query_row(params![device, &*patch.service_id], |row| row.get(0))
        .optional()?
        .flatten();
    let stored = stored.filter(|text| {
        let readable = patch.has_names_of(text) || is_object(text);
        if !readable {
            tracing::error!(device, service = &*patch.service_id, "a stored shadow is unreadable and is replaced");
        }
        readable
    });
    let reported = patch.over(stored.as_deref());
    conn.prepare_cached(
        "INSERT INTO shadow (device, service_id, instance, app, version, reported_at, reported) \
         VALUES (?1, ?2, ?3, (SELECT app FROM device WHERE no = ?1), 0, ?4, ?5) ON CONFLICT (device, service_id) DO UPDATE SET reported_at = excluded.reported_at, reported = excluded.reported",
    )?
    .execute(params![device, &*patch.service_id, INSTANCE, patch.event_time.0, reported.as_str()])?;
    Ok(())
}
