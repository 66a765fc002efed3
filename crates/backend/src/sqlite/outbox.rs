//! Push targets and the outbox. Deliveries are written with their cause, see transaction.rs.

use async_trait::async_trait;
use causeway_model::{AppId, DeviceNo, Result, Timestamp};
use causeway_platform::outbox::{Delivery, OutboxStore, PushTarget};
use rusqlite::{OptionalExtension, Row, params};
use tokio::sync::watch;

use super::app::{app_no, require_app};
use super::transaction::Effect;
use super::{INSTANCE, SqliteStore};

/// Rows looked at or dropped at once when deliveries expire.
const SLICE: i64 = 5000;

macro_rules! target_sql {
    ($tail:literal) => {
        concat!("SELECT t.no, a.id, t.url, t.created_at FROM push_target t JOIN app a ON a.no = t.app ", $tail)
    };
}

fn read_target(row: &Row<'_>) -> rusqlite::Result<PushTarget> {
    Ok(PushTarget {
        no: row.get(0)?,
        app_id: AppId::trusted(row.get::<_, String>(1)?),
        url: row.get(2)?,
        created_at: Timestamp(row.get(3)?),
    })
}

#[async_trait]
impl OutboxStore for SqliteStore {
    async fn set_push_target(&self, app: &AppId, url: &str, now: Timestamp) -> Result<PushTarget> {
        let (app, url) = (app.clone(), url.to_owned());
        self.write(move |tx| {
            let app = require_app(tx.conn, &app)?;
            tx.conn
                .prepare_cached(
                    "INSERT INTO push_target (instance, app, url, created_at) VALUES (?1, ?2, ?3, ?4) \
                     ON CONFLICT (app) DO UPDATE SET url = excluded.url, created_at = excluded.created_at",
                )?
                .execute(params![INSTANCE, app, url, now.0])?;
            tx.outbox.forget_targets();
            Ok(tx.conn.prepare_cached(target_sql!("WHERE t.app = ?1"))?.query_row([app], read_target)?)
        })
        .await
    }

    async fn delete_push_target(&self, app: &AppId) -> Result<bool> {
        let app = app.clone();
        self.write(move |tx| {
            let Some(app) = app_no(tx.conn, &app)? else { return Ok(false) };
            tx.conn
                .prepare_cached(
                    "INSERT OR IGNORE INTO purge (kind, no, instance) \
                     SELECT 'outbox', no, instance FROM push_target WHERE app = ?1",
                )?
                .execute([app])?;
            let removed = tx.conn.prepare_cached("DELETE FROM push_target WHERE app = ?1")?.execute([app])?;
            tx.outbox.forget_targets();
            tx.effects.push(Effect::Purge);
            Ok(removed > 0)
        })
        .await
    }

    async fn push_targets(&self) -> Result<Vec<PushTarget>> {
        self.read(|conn| {
            let mut statement = conn.prepare_cached(target_sql!("ORDER BY t.no"))?;
            Ok(statement.query_map([], read_target)?.collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn deliveries(&self, target: i64, after: i64, limit: u32) -> Result<Vec<Delivery>> {
        self.read(move |conn| {
            // Rows of a target that is gone may wait for the purge.
            let mut statement = conn.prepare_cached(
                "SELECT seq, device, body, at FROM outbox WHERE target = ?1 AND seq > ?2 \
                 AND EXISTS (SELECT 1 FROM push_target WHERE no = ?1) ORDER BY seq LIMIT ?3",
            )?;
            let deliveries = statement.query_map([target, after, i64::from(limit)], |row| {
                Ok(Delivery {
                    seq: row.get(0)?,
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

    async fn finish_deliveries(&self, seqs: Vec<i64>) -> Result<()> {
        if seqs.is_empty() {
            return Ok(());
        }
        self.write(move |tx| {
            let mut delete = tx.conn.prepare_cached("DELETE FROM outbox WHERE seq = ?1")?;
            for seq in seqs {
                delete.execute([seq])?;
            }
            Ok(())
        })
        .await
    }

    async fn expire_deliveries(&self, before: Timestamp) -> Result<u64> {
        let (mut after, mut dropped) = (0_i64, 0_u64);
        loop {
            // Looked for in slices, too: an index by time would cost every delivery to serve this rare question.
            let (seen, old) = self
                .read(move |conn| {
                    let seen: Option<i64> = conn
                        .prepare_cached(
                            "SELECT max(seq) FROM (SELECT seq FROM outbox WHERE seq > ?1 ORDER BY seq LIMIT ?2)",
                        )?
                        .query_row([after, SLICE], |row| row.get(0))
                        .optional()?
                        .flatten();
                    let Some(seen) = seen else { return Ok((None, Vec::new())) };
                    let mut statement =
                        conn.prepare_cached("SELECT seq FROM outbox WHERE seq > ?1 AND seq <= ?2 AND at < ?3")?;
                    let old = statement.query_map([after, seen, before.0], |row| row.get::<_, i64>(0))?;
                    Ok((Some(seen), old.collect::<Result<Vec<_>, _>>()?))
                })
                .await?;
            let Some(seen) = seen else { return Ok(dropped) };
            after = seen;
            dropped += old.len() as u64;
            self.finish_deliveries(old).await?;
        }
    }

    fn outbox_signal(&self) -> watch::Receiver<u64> {
        self.outbox_signal.clone()
    }
}
