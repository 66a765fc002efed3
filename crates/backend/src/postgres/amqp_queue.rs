//! AMQP queues and access codes.

use async_trait::async_trait;
use causeway_model::registry::{Page, PageRequest, Sealed};
use causeway_model::{RecordNo, Result, Timestamp};
use causeway_platform::outbox::TargetKind;
use causeway_platform::queue::{AccessCode, AccessCodeKind, Queue, QueueStore};
use tokio_postgres::Row;
use tokio_postgres::error::SqlState;

use super::connection::{Columns, Params, db, first, row, rows, run};
use super::{INSTANCE, PostgresStore, outbox};
use crate::rows as words;

const SELECT: &str = "SELECT no, id, name, created_at, updated_at, target FROM amqp_queue WHERE instance = $1";

/// Parameter 2 of every list: the name.
const MATCHES: &str = "($2::text IS NULL OR strpos(name, $2) > 0)";

fn queue(row: &Row) -> Result<Queue> {
    let mut c = Columns::of(row);
    Ok(Queue {
        no: RecordNo(c.take()?),
        id: c.take()?,
        name: c.take()?,
        created_at: Timestamp(c.take()?),
        updated_at: Timestamp(c.take()?),
        target: c.take()?,
    })
}

#[async_trait]
impl QueueStore for PostgresStore {
    async fn insert_queue(&self, new: Queue, limit: u32) -> Result<Queue> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(db)?;
        // Two queues made at once must not pass the limit together. Reading goes on.
        run(&transaction, "LOCK TABLE amqp_queue IN SHARE ROW EXCLUSIVE MODE", &[]).await.map_err(db)?;
        let sql = "SELECT count(*), count(*) FILTER (WHERE name = $2) FROM amqp_queue WHERE instance = $1";
        let found = row(&transaction, sql, &[&INSTANCE, &new.name]).await.map_err(db)?;
        if let Some(found) = &found {
            let mut c = Columns::of(found);
            let (all, same): (i64, i64) = (c.take()?, c.take()?);
            if same > 0 {
                return Err(words::queue_exists(&new.name));
            }
            if all >= i64::from(limit) {
                return Err(words::too_many_queues(limit));
            }
        }
        let target = outbox::make_target(&transaction, None, TargetKind::Queue).await?;
        let sql = "INSERT INTO amqp_queue (instance, id, name, created_at, updated_at, target)
            VALUES ($1, $2, $3, $4, $5, $6) RETURNING no";
        let params: Params<'_> = &[&INSTANCE, &new.id, &new.name, &new.created_at.0, &new.updated_at.0, &target];
        let made = row(&transaction, sql, params).await.map_err(|e| {
            if e.code() == Some(&SqlState::UNIQUE_VIOLATION) { words::queue_exists(&new.name) } else { db(e) }
        })?;
        let no = made.as_ref().map_or(Ok(0), first::<i64>)?;
        transaction.commit().await.map_err(db)?;
        Ok(Queue { no: RecordNo(no), target, ..new })
    }

    async fn queue(&self, id: &str) -> Result<Option<Queue>> {
        let client = self.client().await?;
        let sql = format!("{SELECT} AND id = $2");
        row(&client, &sql, &[&INSTANCE, &id]).await.map_err(db)?.as_ref().map(queue).transpose()
    }

    async fn queue_by_name(&self, name: &str) -> Result<Option<Queue>> {
        let client = self.client().await?;
        let sql = format!("{SELECT} AND name = $2");
        row(&client, &sql, &[&INSTANCE, &name]).await.map_err(db)?.as_ref().map(queue).transpose()
    }

    async fn list_queues(&self, name: Option<&str>, page: PageRequest) -> Result<Page<Queue>> {
        let client = self.client().await?;
        let (marker, offset, limit) = (page.marker.0, i64::from(page.offset), i64::from(page.limit));
        let list: Params<'_> = &[&INSTANCE, &name, &marker, &offset, &limit];
        let sql = format!("{SELECT} AND {MATCHES} AND no < $3 ORDER BY no DESC OFFSET $4 LIMIT $5");
        let found = rows(&client, &sql, list).await.map_err(db)?;
        let items: Vec<Queue> = found.iter().map(queue).collect::<Result<_>>()?;
        let sql = format!("SELECT count(*) FROM amqp_queue WHERE instance = $1 AND {MATCHES}");
        let count = row(&client, &sql, &list[..2]).await.map_err(db)?;
        Ok(Page {
            marker: items.last().map_or(page.marker, |q| q.no),
            count: count.as_ref().map_or(Ok(0), first::<i64>)?.unsigned_abs(),
            items,
        })
    }

    async fn delete_queue(&self, id: &str) -> Result<bool> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(db)?;
        let sql = format!("{SELECT} AND id = $2 FOR UPDATE");
        let found = row(&transaction, &sql, &[&INSTANCE, &id]).await.map_err(db)?;
        let Some(queue) = found.as_ref().map(queue).transpose()? else { return Ok(false) };
        let sql = "SELECT EXISTS (SELECT 1 FROM routing_action WHERE target = $1)";
        let used = row(&transaction, sql, &[&queue.target]).await.map_err(db)?;
        if used.as_ref().map_or(Ok(false), first::<bool>)? {
            return Err(words::queue_in_use(&queue.name));
        }
        run(&transaction, "DELETE FROM amqp_queue WHERE no = $1", &[&queue.no.0]).await.map_err(db)?;
        outbox::drop_targets(&transaction, &[queue.target]).await?;
        transaction.commit().await.map_err(db)?;
        Ok(true)
    }

    async fn put_access_code(&self, code: &AccessCode) -> Result<()> {
        let client = self.client().await?;
        let sql = "INSERT INTO access_code (instance, kind, access_key, code, created_at) VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT (instance, kind) DO UPDATE
            SET access_key = excluded.access_key, code = excluded.code, created_at = excluded.created_at";
        let params: Params<'_> =
            &[&INSTANCE, &code.kind.as_str(), &code.access_key, &&*code.code.0, &code.created_at.0];
        run(&client, sql, params).await.map_err(db)?;
        Ok(())
    }

    async fn access_code(&self, kind: AccessCodeKind) -> Result<Option<AccessCode>> {
        let client = self.client().await?;
        let sql = "SELECT access_key, code, created_at FROM access_code WHERE instance = $1 AND kind = $2";
        let found = row(&client, sql, &[&INSTANCE, &kind.as_str()]).await.map_err(db)?;
        found
            .as_ref()
            .map(|row| {
                let mut c = Columns::of(row);
                Ok(AccessCode {
                    kind,
                    access_key: c.take()?,
                    code: Sealed(c.take::<Vec<u8>>()?.into()),
                    created_at: Timestamp(c.take()?),
                })
            })
            .transpose()
    }
}
