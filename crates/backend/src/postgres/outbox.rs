//! Push targets and the outbox.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use causeway_model::{AppId, Code, DeviceNo, Error, Result, Timestamp};
use causeway_platform::outbox::{
    Delivery, Finish, NewDelivery, OutboxSignals, OutboxStore, PushTarget, TargetCounters, TargetKind, TargetState,
    Trimmed,
};
use deadpool_postgres::{GenericClient, Pool};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::connection::{Answer, Columns as RowColumns, db, first, row, rows, run, take};
use super::{AFTER_FAILURE, INSTANCE, LockClass, PostgresStore, lock};

/// How often other nodes' deliveries are looked for. Own ones are told at once.
const POLL: Duration = Duration::from_secs(1);

/// Writes deliveries in the order of the arrays, numbers and counts them for their targets, and answers with the targets
/// that got some; deliveries of targets that are gone are dropped. [`LockClass::Outbox`] must be held.
pub(super) const INSERT: &str = "WITH n AS (
        SELECT target, device, at, body, row_number() OVER (PARTITION BY target ORDER BY place) AS nth
        FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[])
            WITH ORDINALITY u (target, device, at, body, place)),
    c AS (SELECT target, count(*) AS rows, sum(octet_length(body)) AS bytes FROM n GROUP BY target),
    t AS (
        UPDATE target t SET last_seq = last_seq + c.rows, taken = taken + c.rows, bytes = t.bytes + c.bytes
        FROM c WHERE t.no = c.target RETURNING t.no, t.last_seq - c.rows AS base),
    w AS (
        INSERT INTO outbox (target, seq, device, at, body)
        SELECT n.target, t.base + n.nth, n.device, n.at, n.body FROM n JOIN t ON t.no = n.target)
    SELECT no FROM t";

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
        rows(transaction, INSERT, &Columns::of(deliveries.iter()).params()).await?;
    }
    Ok(())
}

/// Makes a target.
pub(super) async fn make_target<C: GenericClient>(transaction: &C, app: Option<i64>, kind: TargetKind) -> Result<i64> {
    let sql = "INSERT INTO target (instance, app, kind) VALUES ($1, $2, $3) RETURNING no";
    let made = row(transaction, sql, &[&INSTANCE, &app, &kind.as_str()]).await.map_err(db)?;
    made.as_ref().map_or_else(|| Err(Error::internal("a target has no number")), first)
}

/// Deletes targets with what waits for them. Whatever refers to them must be gone.
pub(super) async fn drop_targets<C: GenericClient>(transaction: &C, nos: &[i64]) -> Result<()> {
    // Whoever writes deliveries holds the lock, so none can come after their target has gone.
    lock(transaction, LockClass::Outbox).await.map_err(db)?;
    for sql in ["DELETE FROM target WHERE no = ANY ($1)", "DELETE FROM outbox WHERE target = ANY ($1)"] {
        run(transaction, sql, &[&nos]).await.map_err(db)?;
    }
    Ok(())
}

/// Tells the workers of this node when another one has committed deliveries. Numbers of a target become visible in their
/// order, so a higher last one is all there is to look at.
pub(super) async fn watch_other_nodes(pool: Pool, signals: Arc<OutboxSignals>) {
    let mut seen: HashMap<i64, i64> = HashMap::new();
    loop {
        match last_seqs(&pool).await {
            Ok(last) => {
                signals.raise(last.iter().filter(|(no, seq)| seen.get(no).is_none_or(|s| s < seq)).map(|(no, _)| *no));
                seen = last;
                tokio::time::sleep(POLL).await;
            }
            Err(e) => {
                tracing::debug!(error = ?e, "cannot look for other nodes' deliveries");
                tokio::time::sleep(AFTER_FAILURE).await;
            }
        }
    }
}

async fn last_seqs(pool: &Pool) -> Result<HashMap<i64, i64>> {
    let client = take(pool).await?;
    let found = rows(&client, "SELECT no, last_seq FROM target WHERE instance = $1", &[&INSTANCE]).await.map_err(db)?;
    found
        .iter()
        .map(|row| {
            let mut c = RowColumns::of(row);
            Ok((c.take()?, c.take()?))
        })
        .collect()
}

fn push_target(row: &Row) -> Result<PushTarget> {
    let mut c = RowColumns::of(row);
    Ok(PushTarget {
        no: c.take()?,
        app_id: AppId::trusted(c.take::<String>()?),
        url: c.take()?,
        created_at: Timestamp(c.take()?),
    })
}

/// `None` for a kind that this program does not know.
fn state(row: &Row) -> Result<Option<TargetState>> {
    let mut c = RowColumns::of(row);
    let (no, kind, app): (i64, &str, Option<String>) = (c.take()?, c.take()?, c.take()?);
    let mut count = || c.take::<i64>().map(i64::unsigned_abs);
    let counters = TargetCounters {
        taken: count()?,
        delivered: count()?,
        expired: count()?,
        overflowed: count()?,
        rejected: count()?,
        waiting_bytes: count()?,
    };
    Ok(TargetKind::parse(kind).map(|kind| TargetState { no, kind, app_id: app.map(AppId::trusted), counters }))
}

/// Takes the rows out that `which` selects and counts them; how many there were.
async fn finish<C: GenericClient>(client: &C, target: i64, outcome: Finish, which: Which<'_>) -> Result<u64> {
    let column = match outcome {
        Finish::Delivered => "delivered",
        Finish::Expired => "expired",
        Finish::Overflowed => "overflowed",
        Finish::Rejected => "rejected",
    };
    // Rows that another node is finishing right now are counted there.
    let sql = format!(
        "WITH gone AS (DELETE FROM outbox WHERE target = $1 AND {} RETURNING octet_length(body) AS size),
            sums AS (SELECT count(*) AS rows, coalesce(sum(size), 0) AS bytes FROM gone),
            counted AS (
                UPDATE target SET {column} = {column} + s.rows, bytes = target.bytes - s.bytes FROM sums s WHERE no = $1)
        SELECT rows FROM sums",
        which.condition
    );
    let counted = row(client, &sql, &[&target, which.parameter]).await.map_err(db)?;
    counted.as_ref().map_or(Ok(0), first::<i64>).map(i64::unsigned_abs)
}

/// A condition on rows of the outbox with its parameter, $2.
struct Which<'a> {
    condition: &'static str,
    parameter: &'a (dyn ToSql + Sync),
}

#[async_trait]
impl OutboxStore for PostgresStore {
    async fn set_push_target(&self, app: &AppId, url: &str, now: Timestamp) -> Result<PushTarget> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(db)?;
        // Two calls for one space must not both make a target.
        let sql = "SELECT no FROM app WHERE instance = $1 AND id = $2 FOR UPDATE";
        let Some(found) = row(&transaction, sql, &[&INSTANCE, &app.as_str()]).await.map_err(db)? else {
            return Err(Error::new(Code::AppNotFound, "No such resource space."));
        };
        let app: i64 = first(&found)?;
        let sql = "UPDATE push_target SET url = $2, created_at = $3 WHERE app = $1";
        if run(&transaction, sql, &[&app, &url, &now.0]).await.map_err(db)? == 0 {
            let no = make_target(&transaction, Some(app), TargetKind::Push).await?;
            let sql = "INSERT INTO push_target (no, instance, app, url, created_at) VALUES ($1, $2, $3, $4, $5)";
            run(&transaction, sql, &[&no, &INSTANCE, &app, &url, &now.0]).await.map_err(db)?;
        }
        let sql =
            "SELECT t.no, a.id, t.url, t.created_at FROM push_target t JOIN app a ON a.no = t.app WHERE t.app = $1";
        let set = row(&transaction, sql, &[&app]).await.map_err(db)?;
        let set = set.as_ref().map_or_else(|| Err(Error::internal("a push target is gone")), push_target)?;
        transaction.commit().await.map_err(db)?;
        Ok(set)
    }

    async fn delete_push_target(&self, app: &AppId) -> Result<bool> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(db)?;
        let sql =
            "DELETE FROM push_target WHERE app = (SELECT no FROM app WHERE instance = $1 AND id = $2) RETURNING no";
        let gone = row(&transaction, sql, &[&INSTANCE, &app.as_str()]).await.map_err(db)?;
        if let Some(row) = &gone {
            drop_targets(&transaction, &[first::<i64>(row)?]).await?;
        }
        transaction.commit().await.map_err(db)?;
        Ok(gone.is_some())
    }

    async fn push_targets(&self) -> Result<Vec<PushTarget>> {
        let client = self.client().await?;
        let sql = "SELECT t.no, a.id, t.url, t.created_at FROM push_target t JOIN app a ON a.no = t.app
            WHERE t.instance = $1 ORDER BY t.no";
        rows(&client, sql, &[&INSTANCE]).await.map_err(db)?.iter().map(push_target).collect()
    }

    async fn put_deliveries(&self, deliveries: Vec<NewDelivery>) -> Result<()> {
        if deliveries.is_empty() {
            return Ok(());
        }
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(db)?;
        insert(&transaction, &deliveries).await.map_err(db)?;
        transaction.commit().await.map_err(db)?;
        self.signals.raise(deliveries.iter().map(|d| d.target));
        Ok(())
    }

    async fn instance_target(&self, kind: TargetKind) -> Result<i64> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(db)?;
        lock(&transaction, LockClass::Outbox).await.map_err(db)?;
        let sql = "SELECT no FROM target WHERE instance = $1 AND kind = $2 ORDER BY no LIMIT 1";
        let no = match row(&transaction, sql, &[&INSTANCE, &kind.as_str()]).await.map_err(db)? {
            Some(found) => first(&found)?,
            None => make_target(&transaction, None, kind).await?,
        };
        transaction.commit().await.map_err(db)?;
        Ok(no)
    }

    async fn deliveries(&self, target: i64, after: i64, limit: u32) -> Result<Vec<Delivery>> {
        let client = self.client().await?;
        let sql = "SELECT seq, device, body, at FROM outbox WHERE target = $1 AND seq > $2 ORDER BY seq LIMIT $3";
        let rows = rows(&client, sql, &[&target, &after, &i64::from(limit)]).await.map_err(db)?;
        rows.iter()
            .map(|row| {
                let mut c = RowColumns::of(row);
                Ok(Delivery {
                    seq: c.take()?,
                    target,
                    device: c.take::<Option<i64>>()?.map(DeviceNo),
                    body: c.take::<&str>()?.into(),
                    at: Timestamp(c.take()?),
                })
            })
            .collect()
    }

    async fn finish_deliveries(&self, target: i64, seqs: Vec<i64>, outcome: Finish) -> Result<()> {
        if seqs.is_empty() {
            return Ok(());
        }
        let client = self.client().await?;
        finish(&client, target, outcome, Which { condition: "seq = ANY ($2)", parameter: &seqs }).await?;
        Ok(())
    }

    async fn trim_target(&self, target: i64, before: Timestamp, max_bytes: u64) -> Result<Trimmed> {
        let client = self.client().await?;
        // The oldest stand first; a row behind a younger one waits for it.
        let old = "seq < coalesce((SELECT min(seq) FROM outbox WHERE target = $1 AND at >= $2), 9223372036854775807)";
        let expired = finish(&client, target, Finish::Expired, Which { condition: old, parameter: &before.0 }).await?;
        let max_bytes = i64::try_from(max_bytes).unwrap_or(i64::MAX);
        let sql = "SELECT 1 FROM target WHERE no = $1 AND bytes > $2";
        if row(&client, sql, &[&target, &max_bytes]).await.map_err(db)?.is_none() {
            return Ok(Trimmed { expired, overflowed: 0 });
        }
        let excess = "seq IN (SELECT seq FROM (
            SELECT seq, sum(octet_length(body)) OVER (ORDER BY seq DESC) AS kept FROM outbox WHERE target = $1) o
            WHERE kept > $2)";
        let which = Which { condition: excess, parameter: &max_bytes };
        let overflowed = finish(&client, target, Finish::Overflowed, which).await?;
        Ok(Trimmed { expired, overflowed })
    }

    async fn target_states(&self) -> Result<Vec<TargetState>> {
        let client = self.client().await?;
        let sql = "SELECT t.no, t.kind, a.id, t.taken, t.delivered, t.expired, t.overflowed, t.rejected, t.bytes
            FROM target t LEFT JOIN app a ON a.no = t.app WHERE t.instance = $1 ORDER BY t.no";
        let found = rows(&client, sql, &[&INSTANCE]).await.map_err(db)?;
        Ok(found.iter().map(state).collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
    }

    fn outbox_signals(&self) -> Arc<OutboxSignals> {
        Arc::clone(&self.signals)
    }
}
