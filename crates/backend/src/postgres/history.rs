//! Reads and trims the history. The committer writes it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use causeway_model::history::{HistoryQuery, HistoryRow};
use causeway_model::properties::PropertyObject;
use causeway_model::{Result, Timestamp};
use causeway_platform::history::HistoryStore;
use deadpool_postgres::Pool;
use tokio::sync::Notify;

use super::connection::{Columns, Params, db, first, row, rows, run, take};
use super::{AFTER_FAILURE, INSTANCE, PostgresStore, limit};

/// Rows deleted by one statement.
const SLICE: i64 = 5000;

/// How often the devices that other nodes deleted are looked for.
const PURGE_EVERY: Duration = Duration::from_secs(600);

#[async_trait]
impl HistoryStore for PostgresStore {
    async fn history(&self, query: &HistoryQuery) -> Result<Vec<HistoryRow>> {
        let client = self.client().await?;
        let (after, order) = if query.descending { ("<", "DESC") } else { (">", "ASC") };
        // The rows of a deleted device may still be there; it is looked up once, not for each row.
        let sql = format!(
            "SELECT seq, device, service, properties, event_time, arrival FROM history
            WHERE device = (SELECT no FROM device WHERE no = $1) AND event_time >= $2 AND event_time < $3
                AND ($4::text IS NULL OR service = $4)
                AND ($5::bigint IS NULL OR (event_time, seq) {after} ($5, $6))
            ORDER BY event_time {order}, seq {order} LIMIT $7"
        );
        let (after_time, after_seq) = query.after.map(|p| (p.event_time.0, p.seq)).unzip();
        // The bounds lead into the index, whatever page it is; the position only decides among equal times.
        let (mut from, mut to) = (query.from.0, query.to.0);
        match after_time {
            Some(time) if query.descending => to = to.min(time.saturating_add(1)),
            Some(time) => from = from.max(time),
            None => {}
        }
        let params: Params<'_> =
            &[&query.device.0, &from, &to, &query.service_id, &after_time, &after_seq, &limit(query.limit)];
        let rows = rows(&client, &sql, params).await.map_err(db)?;
        rows.iter()
            .map(|row| {
                let mut c = Columns::of(row);
                Ok(HistoryRow {
                    seq: c.take()?,
                    device: causeway_model::DeviceNo(c.take()?),
                    service_id: c.take()?,
                    properties: PropertyObject::trusted(c.take::<&str>()?),
                    event_time: Timestamp(c.take()?),
                    arrival: Timestamp(c.take()?),
                })
            })
            .collect()
    }

    async fn trim_history(&self, before: Timestamp) -> Result<u64> {
        let mut gone = 0;
        loop {
            let client = self.client().await?;
            let sql = "DELETE FROM history WHERE ctid = ANY (ARRAY (
                SELECT ctid FROM history WHERE instance = $1 AND event_time < $2 LIMIT $3))";
            let slice = run(&client, sql, &[&INSTANCE, &before.0, &SLICE]).await.map_err(db)?;
            gone += slice;
            if slice < SLICE.unsigned_abs() {
                return Ok(gone);
            }
        }
    }
}

/// Removes the histories of deleted devices, also those that a node left behind when it stopped.
pub(super) async fn purge_deleted(pool: Pool, wake: Arc<Notify>) {
    loop {
        // Either somebody deleted devices or it is time to look.
        let _ = tokio::time::timeout(PURGE_EVERY, wake.notified()).await;
        while let Err(e) = purge(&pool).await {
            tracing::warn!(error = ?e, "cannot remove the history of deleted devices yet");
            tokio::time::sleep(AFTER_FAILURE).await;
        }
    }
}

async fn purge(pool: &Pool) -> Result<()> {
    loop {
        let client = take(pool).await?;
        let sql = "SELECT device FROM history_purge WHERE instance = $1 ORDER BY device LIMIT 1";
        let Some(next) = row(&client, sql, &[&INSTANCE]).await.map_err(db)? else { return Ok(()) };
        let device: i64 = first(&next)?;
        let slice =
            "DELETE FROM history WHERE ctid = ANY (ARRAY (SELECT ctid FROM history WHERE device = $1 LIMIT $2))";
        if run(&client, slice, &[&device, &SLICE]).await.map_err(db)? == 0 {
            run(&client, "DELETE FROM history_purge WHERE device = $1", &[&device]).await.map_err(db)?;
        }
    }
}
