//! Push targets and the outbox.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use causeway_model::{AppId, Code, DeviceNo, Error, Result, Timestamp};
use causeway_platform::outbox::{Delivery, NewDelivery, OutboxStore, PushTarget};
use deadpool_postgres::{GenericClient, Pool};
use tokio::sync::watch;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::connection::{Answer, Columns as RowColumns, db, first, row, rows, run, take};
use super::{AFTER_FAILURE, INSTANCE, LockClass, PostgresStore, lock};

/// How often other nodes' deliveries are looked for. Own ones are told at once.
const POLL: Duration = Duration::from_secs(1);

/// Writes deliveries in the order of the arrays; those of targets that are gone are dropped. [`LockClass::Outbox`] must
/// be held.
pub(super) const INSERT: &str = "INSERT INTO outbox (instance, app, target, device, at, body)
    SELECT t.instance, t.app, t.no, n.device, n.at, n.body
    FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[])
        WITH ORDINALITY n (target, device, at, body, place)
    JOIN push_target t ON t.no = n.target
    ORDER BY n.place";

/// Parameters of [`INSERT`].
#[derive(Default)]
pub(super) struct Columns<'a> {
    target: Vec<i64>,
    device: Vec<Option<i64>>,
    at: Vec<i64>,
    body: Vec<&'a str>,
}

impl<'a> Columns<'a> {
    pub(super) fn of(deliveries: impl Iterator<Item = &'a NewDelivery>) -> Self {
        let mut columns = Self::default();
        for delivery in deliveries {
            columns.target.push(delivery.target);
            columns.device.push(delivery.device.map(|d| d.0));
            columns.at.push(delivery.at.0);
            columns.body.push(&delivery.body);
        }
        columns
    }

    pub(super) fn is_empty(&self) -> bool {
        self.target.is_empty()
    }

    pub(super) fn params(&self) -> [&(dyn ToSql + Sync); 4] {
        [&self.target, &self.device, &self.at, &self.body]
    }
}

/// Writes deliveries inside a transaction; the last thing it does.
pub(super) async fn insert<C: GenericClient>(transaction: &C, deliveries: &[NewDelivery]) -> Answer<()> {
    if !deliveries.is_empty() {
        lock(transaction, LockClass::Outbox).await?;
        run(transaction, INSERT, &Columns::of(deliveries.iter()).params()).await?;
    }
    Ok(())
}

/// Tells the workers of this node when another one has committed deliveries. Sequence numbers become visible in their
/// order, so a higher last one is all there is to look at.
pub(super) async fn watch_other_nodes(pool: Pool, signal: Arc<watch::Sender<u64>>) {
    let mut seen: Option<i64> = None;
    loop {
        match last_seq(&pool).await {
            Ok(last) => {
                if seen.is_some_and(|seen| last > seen) {
                    signal.send_modify(|n| *n += 1);
                }
                seen = Some(seen.unwrap_or(0).max(last));
                tokio::time::sleep(POLL).await;
            }
            Err(e) => {
                tracing::debug!(error = ?e, "cannot look for other nodes' deliveries");
                tokio::time::sleep(AFTER_FAILURE).await;
            }
        }
    }
}

async fn last_seq(pool: &Pool) -> Result<i64> {
    let client = take(pool).await?;
    let last = row(&client, "SELECT seq FROM outbox ORDER BY seq DESC LIMIT 1", &[]).await.map_err(db)?;
    last.as_ref().map_or(Ok(0), first)
}

fn target(row: &Row) -> Result<PushTarget> {
    let mut c = RowColumns::of(row);
    Ok(PushTarget {
        no: c.take()?,
        app_id: AppId::trusted(c.take::<String>()?),
        url: c.take()?,
        created_at: Timestamp(c.take()?),
    })
}

#[async_trait]
impl OutboxStore for PostgresStore {
    async fn set_push_target(&self, app: &AppId, url: &str, now: Timestamp) -> Result<PushTarget> {
        let client = self.client().await?;
        let sql = "WITH t AS (
                INSERT INTO push_target (instance, app, url, created_at)
                SELECT instance, no, $3, $4 FROM app WHERE instance = $1 AND id = $2
                ON CONFLICT (app) DO UPDATE SET url = excluded.url
                RETURNING no, app, url, created_at)
            SELECT t.no, a.id, t.url, t.created_at FROM t JOIN app a ON a.no = t.app";
        let row = row(&client, sql, &[&INSTANCE, &app.as_str(), &url, &now.0]).await.map_err(db)?;
        row.as_ref().map_or_else(|| Err(Error::new(Code::AppNotFound, "No such resource space.")), target)
    }

    async fn delete_push_target(&self, app: &AppId) -> Result<bool> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(db)?;
        // Whoever writes deliveries holds the lock, so none can come after their target has gone.
        lock(&transaction, LockClass::Outbox).await.map_err(db)?;
        let sql =
            "DELETE FROM push_target WHERE app = (SELECT no FROM app WHERE instance = $1 AND id = $2) RETURNING no";
        let gone = row(&transaction, sql, &[&INSTANCE, &app.as_str()]).await.map_err(db)?;
        if let Some(row) = &gone {
            run(&transaction, "DELETE FROM outbox WHERE target = $1", &[&first::<i64>(row)?]).await.map_err(db)?;
        }
        transaction.commit().await.map_err(db)?;
        Ok(gone.is_some())
    }

    async fn push_targets(&self) -> Result<Vec<PushTarget>> {
        let client = self.client().await?;
        let sql = "SELECT t.no, a.id, t.url, t.created_at FROM push_target t JOIN app a ON a.no = t.app
            WHERE t.instance = $1 ORDER BY t.no";
        rows(&client, sql, &[&INSTANCE]).await.map_err(db)?.iter().map(target).collect()
    }

    async fn deliveries(&self, target: i64, after: i64, limit: u32) -> Result<Vec<Delivery>> {
        let client = self.client().await?;
        let sql =
            "SELECT seq, target, device, body, at FROM outbox WHERE target = $1 AND seq > $2 ORDER BY seq LIMIT $3";
        let rows = rows(&client, sql, &[&target, &after, &i64::from(limit)]).await.map_err(db)?;
        rows.iter()
            .map(|row| {
                let mut c = RowColumns::of(row);
                Ok(Delivery {
                    seq: c.take()?,
                    target: c.take()?,
                    device: c.take::<Option<i64>>()?.map(DeviceNo),
                    body: c.take::<&str>()?.into(),
                    at: Timestamp(c.take()?),
                })
            })
            .collect()
    }

    async fn finish_deliveries(&self, seqs: Vec<i64>) -> Result<()> {
        let client = self.client().await?;
        run(&client, "DELETE FROM outbox WHERE seq = ANY ($1)", &[&seqs]).await.map_err(db)?;
        Ok(())
    }

    async fn expire_deliveries(&self, before: Timestamp) -> Result<u64> {
        let client = self.client().await?;
        // Rows that a worker is finishing right now are skipped; they go anyway.
        let sql = "DELETE FROM outbox WHERE seq IN (
            SELECT seq FROM outbox WHERE instance = $1 AND at < $2 ORDER BY seq FOR UPDATE SKIP LOCKED)";
        run(&client, sql, &[&INSTANCE, &before.0]).await.map_err(db)
    }

    fn outbox_signal(&self) -> watch::Receiver<u64> {
        self.signal.subscribe()
    }
}
