//! AMQP queues and access codes.

use async_trait::async_trait;
use causeway_model::registry::{Page, PageRequest, Sealed};
use causeway_model::{RecordNo, Result, Timestamp};
use causeway_platform::outbox::TargetKind;
use causeway_platform::queue::{AccessCode, AccessCodeKind, Queue, QueueStore};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::error::Outcome;
use super::outbox::{drop_target, make_target};
use super::{INSTANCE, SqliteStore};
use crate::rows;

macro_rules! queue_sql {
    ($tail:literal) => {
        concat!("SELECT no, id, name, created_at, updated_at, target FROM amqp_queue WHERE instance = ?1 ", $tail)
    };
}

fn read_queue(row: &Row<'_>) -> rusqlite::Result<Queue> {
    Ok(Queue {
        no: RecordNo(row.get(0)?),
        id: row.get(1)?,
        name: row.get(2)?,
        created_at: Timestamp(row.get(3)?),
        updated_at: Timestamp(row.get(4)?),
        target: row.get(5)?,
    })
}

fn one(conn: &Connection, sql: &str, word: &str) -> Outcome<Option<Queue>> {
    Ok(conn.prepare_cached(sql)?.query_row(params![INSTANCE, word], read_queue).optional()?)
}

#[async_trait]
impl QueueStore for SqliteStore {
    async fn insert_queue(&self, mut queue: Queue, limit: u32) -> Result<Queue> {
        self.write(move |tx| {
            if one(tx.conn, queue_sql!("AND name = ?2"), &queue.name)?.is_some() {
                return Err(rows::queue_exists(&queue.name).into());
            }
            let count: i64 = tx
                .conn
                .prepare_cached("SELECT count(*) FROM amqp_queue WHERE instance = ?1")?
                .query_row([INSTANCE], |row| row.get(0))?;
            if count >= i64::from(limit) {
                return Err(rows::too_many_queues(limit).into());
            }
            queue.target = make_target(tx, None, TargetKind::Queue)?;
            tx.conn
                .prepare_cached(
                    "INSERT INTO amqp_queue (instance, id, name, created_at, updated_at, target) \
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                )?
                .execute(params![
                    INSTANCE,
                    queue.id,
                    queue.name,
                    queue.created_at.0,
                    queue.updated_at.0,
                    queue.target
                ])?;
            queue.no = RecordNo(tx.conn.last_insert_rowid());
            Ok(queue)
        })
        .await
    }

    async fn queue(&self, id: &str) -> Result<Option<Queue>> {
        let id = id.to_owned();
        self.read(move |conn| one(conn, queue_sql!("AND id = ?2"), &id)).await
    }

    async fn queue_by_name(&self, name: &str) -> Result<Option<Queue>> {
        let name = name.to_owned();
        self.read(move |conn| one(conn, queue_sql!("AND name = ?2"), &name)).await
    }

    async fn list_queues(&self, name: Option<&str>, page: PageRequest) -> Result<Page<Queue>> {
        let name = name.map(str::to_owned);
        self.read(move |conn| {
            let count: i64 = conn
                .prepare_cached(
                    "SELECT count(*) FROM amqp_queue WHERE instance = ?1 AND (?2 IS NULL OR instr(name, ?2) > 0)",
                )?
                .query_row(params![INSTANCE, name], |row| row.get(0))?;
            let sql =
                queue_sql!("AND (?2 IS NULL OR instr(name, ?2) > 0) AND no < ?3 ORDER BY no DESC LIMIT ?4 OFFSET ?5");
            let items: Vec<Queue> = conn
                .prepare_cached(sql)?
                .query_map(params![INSTANCE, name, page.marker.0, page.limit, page.offset], read_queue)?
                .collect::<Result<_, _>>()?;
            let marker = items.last().map_or(page.marker, |q| q.no);
            Ok(Page { items, count: u64::try_from(count).unwrap_or(0), marker })
        })
        .await
    }

    async fn delete_queue(&self, id: &str) -> Result<bool> {
        let id = id.to_owned();
        self.write(move |tx| {
            let Some(queue) = one(tx.conn, queue_sql!("AND id = ?2"), &id)? else { return Ok(false) };
            let used: bool = tx
                .conn
                .prepare_cached("SELECT EXISTS (SELECT 1 FROM routing_action WHERE target = ?1)")?
                .query_row([queue.target], |row| row.get(0))?;
            if used {
                return Err(rows::queue_in_use(&queue.name).into());
            }
            tx.conn.prepare_cached("DELETE FROM amqp_queue WHERE no = ?1")?.execute([queue.no.0])?;
            drop_target(tx, queue.target)?;
            Ok(true)
        })
        .await
    }

    async fn put_access_code(&self, code: &AccessCode) -> Result<()> {
        let code = code.clone();
        self.write(move |tx| {
            tx.conn
                .prepare_cached(
                    "INSERT OR REPLACE INTO access_code (instance, kind, access_key, code, created_at) \
                     VALUES (?1, ?2, ?3, ?4, ?5)",
                )?
                .execute(params![INSTANCE, code.kind.as_str(), code.access_key, &*code.code.0, code.created_at.0])?;
            Ok(())
        })
        .await
    }

    async fn access_code(&self, kind: AccessCodeKind) -> Result<Option<AccessCode>> {
        self.read(move |conn| {
            Ok(conn
                .prepare_cached(
                    "SELECT access_key, code, created_at FROM access_code WHERE instance = ?1 AND kind = ?2",
                )?
                .query_row(params![INSTANCE, kind.as_str()], |row| {
                    Ok(AccessCode {
                        kind,
                        access_key: row.get(0)?,
                        code: Sealed(row.get::<_, Vec<u8>>(1)?.into()),
                        created_at: Timestamp(row.get(2)?),
                    })
                })
                .optional()?)
        })
        .await
    }
}
