//! Targets and the outbox. Deliveries are written with their cause, see transaction.rs.

use std::sync::Arc;

use async_trait::async_trait;
use causeway_model::{AppId, DeviceNo, Result, Timestamp};
use causeway_platform::outbox::{
    Delivery, Finish, NewDelivery, OutboxSignals, OutboxStore, PushTarget, TargetCounters, TargetKind, TargetState,
    Trimmed,
};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::app::{app_no, require_app};
use super::error::Outcome;
use super::transaction::{Effect, Tx, place, places, seq_of};
use super::{INSTANCE, SqliteStore};

/// Rows looked at or dropped at once when a target is trimmed.
const SLICE: i64 = 2000;

macro_rules! push_sql {
    ($tail:literal) => {
        concat!("SELECT t.no, a.id, t.url, t.created_at FROM push_target t JOIN app a ON a.no = t.app ", $tail)
    };
}

fn read_push_target(row: &Row<'_>) -> rusqlite::Result<PushTarget> {
    Ok(PushTarget {
        no: row.get(0)?,
        app_id: AppId::trusted(row.get::<_, String>(1)?),
        url: row.get(2)?,
        created_at: Timestamp(row.get(3)?),
    })
}

/// `None` for a kind that this program does not know.
fn read_state(row: &Row<'_>) -> rusqlite::Result<Option<TargetState>> {
    let count = |at: usize| row.get::<_, i64>(at).map(|n| u64::try_from(n).unwrap_or(0));
    let Some(kind) = TargetKind::parse(&row.get::<_, String>(1)?) else { return Ok(None) };
    Ok(Some(TargetState {
        no: row.get(0)?,
        kind,
        app_id: row.get::<_, Option<String>>(2)?.map(AppId::trusted),
        counters: TargetCounters {
            taken: count(3)?,
            delivered: count(4)?,
            expired: count(5)?,
            overflowed: count(6)?,
            rejected: count(7)?,
            waiting_bytes: count(8)?,
        },
    }))
}

/// Makes a target.
pub(super) fn make_target(tx: &mut Tx<'_>, app: Option<i64>, kind: TargetKind) -> Outcome<i64> {
    tx.outbox.targets_change(tx.conn)?;
    tx.conn.prepare_cached("INSERT INTO target (instance, app, kind) VALUES (?1, ?2, ?3)")?.execute(params![
        INSTANCE,
        app,
        kind.as_str()
    ])?;
    Ok(tx.conn.last_insert_rowid())
}

/// Deletes a target with what waits for it. Whatever refers to it must be gone.
pub(super) fn drop_target(tx: &mut Tx<'_>, no: i64) -> Outcome<()> {
    tx.outbox.targets_change(tx.conn)?;
    tx.conn
        .prepare_cached("INSERT OR IGNORE INTO purge (kind, no, instance) VALUES ('outbox', ?1, ?2)")?
        .execute([no, INSTANCE])?;
    tx.conn.prepare_cached("DELETE FROM target WHERE no = ?1")?.execute([no])?;
    tx.effects.push(Effect::Purge);
    Ok(())
}

/// The column that counts an outcome.
fn counter(outcome: Finish) -> &'static str {
    match outcome {
        Finish::Delivered => "UPDATE target SET bytes = bytes - ?3, delivered = delivered + ?2 WHERE no = ?1",
        Finish::Expired => "UPDATE target SET bytes = bytes - ?3, expired = expired + ?2 WHERE no = ?1",
        Finish::Overflowed => "UPDATE target SET bytes = bytes - ?3, overflowed = overflowed + ?2 WHERE no = ?1",
        Finish::Rejected => "UPDATE target SET bytes = bytes - ?3, rejected = rejected + ?2 WHERE no = ?1",
    }
}

/// Takes rows out and counts them.
fn finish(tx: &mut Tx<'_>, target: i64, mut seqs: Vec<i64>, outcome: Finish) -> Outcome<u64> {
    seqs.sort_unstable();
    seqs.dedup();
    let (mut rows, mut bytes) = (0_i64, 0_i64);
    // Most are neighbours: they go together.
    for run in seqs.chunk_by(|a, b| a + 1 == *b) {
        let (Some(first), Some(last)) = (run.first(), run.last()) else { continue };
        let range = [place(target, *first), place(target, *last)];
        let (found, size): (i64, i64) = tx
            .conn
            .prepare_cached(
                "SELECT count(*), coalesce(sum(octet_length(body)), 0) FROM outbox WHERE place BETWEEN ?1 AND ?2",
            )?
            .query_row(range, |row| Ok((row.get(0)?, row.get(1)?)))?;
        tx.conn.prepare_cached("DELETE FROM outbox WHERE place BETWEEN ?1 AND ?2")?.execute(range)?;
        rows += found;
        bytes += size;
    }
    tx.conn.prepare_cached(counter(outcome))?.execute([target, rows, bytes])?;
    Ok(u64::try_from(rows).unwrap_or(0))
}

fn waiting_bytes(conn: &Connection, target: i64) -> Outcome<i64> {
    let bytes = conn.prepare_cached("SELECT bytes FROM target WHERE no = ?1")?.query_row([target], |row| row.get(0));
    Ok(bytes.optional()?.unwrap_or(0))
}

/// The first rows of a target, with their times and sizes.
fn head(conn: &Connection, target: i64) -> Outcome<Vec<(i64, i64, i64)>> {
    let (first, last) = places(target);
    let mut read = conn.prepare_cached(
        "SELECT place, at, octet_length(body) FROM outbox WHERE place BETWEEN ?1 AND ?2 ORDER BY place LIMIT ?3",
    )?;
    let rows = read.query_map([first, last, SLICE], |row| Ok((seq_of(row.get(0)?), row.get(1)?, row.get(2)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

#[async_trait]
impl OutboxStore for SqliteStore {
    async fn set_push_target(&self, app: &AppId, url: &str, now: Timestamp) -> Result<PushTarget> {
        let (app, url) = (app.clone(), url.to_owned());
        self.write(move |tx| {
            let app = require_app(tx.conn, &app)?;
            let changed = tx
                .conn
                .prepare_cached("UPDATE push_target SET url = ?2, created_at = ?3 WHERE app = ?1")?
                .execute(params![app, url, now.0])?;
            if changed == 0 {
                let no = make_target(tx, Some(app), TargetKind::Push)?;
                tx.conn
                    .prepare_cached(
                        "INSERT INTO push_target (no, instance, app, url, created_at) VALUES (?1, ?2, ?3, ?4, ?5)",
                    )?
                    .execute(params![no, INSTANCE, app, url, now.0])?;
            }
            Ok(tx.conn.prepare_cached(push_sql!("WHERE t.app = ?1"))?.query_row([app], read_push_target)?)
        })
        .await
    }

    async fn delete_push_target(&self, app: &AppId) -> Result<bool> {
        let app = app.clone();
        self.write(move |tx| {
            let Some(app) = app_no(tx.conn, &app)? else { return Ok(false) };
            let no: Option<i64> = tx
                .conn
                .prepare_cached("DELETE FROM push_target WHERE app = ?1 RETURNING no")?
                .query_row([app], |row| row.get(0))
                .optional()?;
            if let Some(no) = no {
                drop_target(tx, no)?;
            }
            Ok(no.is_some())
        })
        .await
    }

    async fn push_targets(&self) -> Result<Vec<PushTarget>> {
        self.read(|conn| {
            let mut statement = conn.prepare_cached(push_sql!("ORDER BY t.no"))?;
            Ok(statement.query_map([], read_push_target)?.collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn put_deliveries(&self, deliveries: Vec<NewDelivery>) -> Result<()> {
        if deliveries.is_empty() {
            return Ok(());
        }
        self.write(move |tx| tx.outbox.write(tx.conn, &deliveries)).await
    }

    async fn instance_target(&self, kind: TargetKind) -> Result<i64> {
        self.write(move |tx| {
            let found = tx
                .conn
                .prepare_cached("SELECT no FROM target WHERE instance = ?1 AND kind = ?2 ORDER BY no LIMIT 1")?
                .query_row(params![INSTANCE, kind.as_str()], |row| row.get(0))
                .optional()?;
            match found {
                Some(no) => Ok(no),
                None => make_target(tx, None, kind),
            }
        })
        .await
    }

    async fn deliveries(&self, target: i64, after: i64, limit: u32) -> Result<Vec<Delivery>> {
        self.read(move |conn| {
            // Rows of a target that is gone may wait for the purge.
            let mut statement = conn.prepare_cached(
                "SELECT place, device, body, at FROM outbox WHERE place > ?2 AND place <= ?3 \
                 AND EXISTS (SELECT 1 FROM target WHERE no = ?1) ORDER BY place LIMIT ?4",
            )?;
            let (_, last) = places(target);
            let deliveries =
                statement.query_map([target, place(target, after.max(0)), last, i64::from(limit)], |row| {
                    Ok(Delivery {
                        seq: seq_of(row.get(0)?),
                        target,
                        device: row.get::<_, Option<i64>>(1)?.map(DeviceNo),
                        body: row.get::<_, String>(2)?.into(),
                        at: Timestamp(row.get(3)?),
                    })
                })?;
            Ok(deliveries.collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn finish_deliveries(&self, target: i64, seqs: Vec<i64>, outcome: Finish) -> Result<()> {
        if seqs.is_empty() {
            return Ok(());
        }
        self.write(move |tx| finish(tx, target, seqs, outcome).map(|_| ())).await
    }

    async fn trim_target(&self, target: i64, before: Timestamp, max_bytes: u64) -> Result<Trimmed> {
        let max_bytes = i64::try_from(max_bytes).unwrap_or(i64::MAX);
        let mut trimmed = Trimmed::default();
        // In slices, so that commits are not held up. Looked at by a reader first: mostly there is nothing to drop.
        loop {
            let (old, excess) = self
                .read(move |conn| {
                    let excess = waiting_bytes(conn, target)? - max_bytes;
                    let head = head(conn, target)?;
                    let old: Vec<i64> =
                        head.iter().take_while(|(_, at, _)| *at < before.0).map(|(seq, ..)| *seq).collect();
                    let mut left = excess;
                    let too_much: Vec<i64> = head
                        .iter()
                        .skip(old.len())
                        .take_while(|(_, _, size)| {
                            let over = left > 0;
                            left -= size;
                            over
                        })
                        .map(|(seq, ..)| *seq)
                        .collect();
                    Ok((old, too_much))
                })
                .await?;
            if !old.is_empty() {
                trimmed.expired += self.write(move |tx| finish(tx, target, old, Finish::Expired)).await?;
            } else if !excess.is_empty() {
                trimmed.overflowed += self.write(move |tx| finish(tx, target, excess, Finish::Overflowed)).await?;
            } else {
                return Ok(trimmed);
            }
        }
    }

    async fn target_states(&self) -> Result<Vec<TargetState>> {
        self.read(|conn| {
            let mut statement = conn.prepare_cached(
                "SELECT t.no, t.kind, a.id, t.taken, t.delivered, t.expired, t.overflowed, t.rejected, t.bytes \
                 FROM target t LEFT JOIN app a ON a.no = t.app WHERE t.instance = ?1 ORDER BY t.no",
            )?;
            let states: Vec<Option<TargetState>> =
                statement.query_map([INSTANCE], read_state)?.collect::<Result<_, _>>()?;
            Ok(states.into_iter().flatten().collect())
        })
        .await
    }

    fn outbox_signals(&self) -> Arc<OutboxSignals> {
        Arc::clone(&self.outbox_signals)
    }
}
