//! Removing in the background what is gone for readers already.

use rusqlite::{Connection, OptionalExtension, params};

use super::error::Outcome;
use super::transaction::places;

/// Removes at most about `rows` rows. True when nothing is left to purge.
pub(super) fn slice(conn: &Connection, rows: usize) -> Outcome<bool> {
    let mut left = rows;
    while left > 0 {
        let next: Option<(String, i64)> = conn
            .prepare_cached("SELECT kind, no FROM purge LIMIT 1")?
            .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((kind, no)) = next else { return Ok(true) };
        let limit = i64::try_from(left).unwrap_or(i64::MAX);
        let removed = if kind == "history" {
            conn.prepare_cached(
                "DELETE FROM history WHERE (device, event_time, seq) IN \
                 (SELECT device, event_time, seq FROM history WHERE device = ?1 LIMIT ?2)",
            )?
            .execute([no, limit])?
        } else {
            let (first, last) = places(no);
            conn.prepare_cached(
                "DELETE FROM outbox WHERE place IN (SELECT place FROM outbox WHERE place BETWEEN ?1 AND ?2 LIMIT ?3)",
            )?
            .execute([first, last, limit])?
        };
        if removed < left {
            conn.prepare_cached("DELETE FROM purge WHERE kind = ?1 AND no = ?2")?.execute(params![kind, no])?;
        }
        // Looking costs too: a space with many empty devices is purged in slices as well.
        left = left.saturating_sub(removed.max(4));
    }
    Ok(false)
}

/// Whether there is anything to purge.
pub(super) fn pending(conn: &Connection) -> Outcome<bool> {
    Ok(conn.query_row("SELECT EXISTS (SELECT 1 FROM purge)", [], |row| row.get(0))?)
}
