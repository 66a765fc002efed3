//! The audit log.

use async_trait::async_trait;
use causeway_model::audit::{AuditFilter, AuditLevel, AuditRecord};
use causeway_model::registry::{Page, PageRequest};
use causeway_model::{AppId, RecordNo, Result, Timestamp};
use causeway_platform::audit::{AuditStore, COUNT_MAX, DISORDER_MS};
use tokio_postgres::Row;

use super::connection::{Columns, Params, db, first, row, rows, run};
use super::{INSTANCE, PostgresStore};
use crate::rows as words;

const COLUMNS: &str = "no, at, user_id, user_name, credential, operation, event, resource_type, resource_id, app_id,
    status, error_code, level, address, request_id";

/// Parameters 1 to 11 of every list: instance, the two numbers around the range, from, to, spaces, kind, id, user,
/// operation, level.
const MATCHES: &str = "instance = $1 AND no > $2 AND no < $3 AND at >= $4 AND at < $5
    AND ($6::text[] IS NULL OR app_id = ANY ($6))
    AND ($7::text IS NULL OR resource_type = $7)
    AND ($8::text IS NULL OR resource_id = $8)
    AND ($9::text IS NULL OR user_id = $9 OR user_name = $9)
    AND ($10::text IS NULL OR operation = $10 OR event = $10)
    AND ($11::text IS NULL OR level = $11)";

fn record(row: &Row) -> Result<AuditRecord> {
    let mut c = Columns::of(row);
    Ok(AuditRecord {
        no: RecordNo(c.take()?),
        at: Timestamp(c.take()?),
        user_id: c.take()?,
        user_name: c.take()?,
        credential: c.take()?,
        operation: c.take()?,
        event: c.take()?,
        resource_type: c.take()?,
        resource_id: c.take()?,
        app_id: c.take::<Option<String>>()?.map(AppId::trusted),
        status: u16::try_from(c.take::<i32>()?).unwrap_or_default(),
        error_code: c.take()?,
        level: words::audit_level(c.take()?)?,
        address: c.take()?,
        request_id: c.take()?,
    })
}

#[async_trait]
impl AuditStore for PostgresStore {
    async fn insert_audit(&self, records: Vec<AuditRecord>) -> Result<()> {
        let client = self.client().await?;
        let texts = |of: fn(&AuditRecord) -> Option<&str>| records.iter().map(of).collect::<Vec<_>>();
        let at: Vec<i64> = records.iter().map(|r| r.at.0).collect();
        let status: Vec<i32> = records.iter().map(|r| i32::from(r.status)).collect();
        let level: Vec<&str> = records.iter().map(|r| r.level.as_str()).collect();
        let sql = "INSERT INTO audit_log (instance, at, status, level, operation, event, resource_type, resource_id,
                app_id, user_id, user_name, credential, error_code, address, request_id)
            SELECT $1, r.* FROM unnest($2::bigint[], $3::integer[], $4::text[], $5::text[], $6::text[], $7::text[],
                $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[]) r";
        let params: Params<'_> = &[
            &INSTANCE,
            &at,
            &status,
            &level,
            &texts(|r| Some(&r.operation)),
            &texts(|r| Some(&r.event)),
            &texts(|r| Some(&r.resource_type)),
            &texts(|r| r.resource_id.as_deref()),
            &texts(|r| r.app_id.as_ref().map(AppId::as_str)),
            &texts(|r| r.user_id.as_deref()),
            &texts(|r| r.user_name.as_deref()),
            &texts(|r| r.credential.as_deref()),
            &texts(|r| r.error_code.as_deref()),
            &texts(|r| r.address.as_deref()),
            &texts(|r| Some(&r.request_id)),
        ];
        run(&client, sql, params).await.map_err(db)?;
        Ok(())
    }

    async fn audit_records(&self, filter: &AuditFilter, page: PageRequest) -> Result<Page<AuditRecord>> {
        let client = self.client().await?;
        // Numbers follow the times but for a while, so that a range long ago is found without reading what came later.
        let sql = "SELECT no FROM audit_log WHERE at < $1 ORDER BY at DESC, no DESC LIMIT 1";
        let above = row(&client, sql, &[&filter.from.0.saturating_sub(DISORDER_MS)]).await.map_err(db)?;
        let above: i64 = above.as_ref().map_or(Ok(0), first)?;
        let sql = "SELECT no FROM audit_log WHERE at > $1 ORDER BY at, no LIMIT 1";
        let below = row(&client, sql, &[&filter.to.0.saturating_add(DISORDER_MS)]).await.map_err(db)?;
        let below: i64 = below.as_ref().map_or(Ok(i64::MAX), first)?;
        let spaces = filter.spaces.ids();
        let level = filter.level.map(AuditLevel::as_str);
        let (marker, offset, limit) = (page.marker.0, i64::from(page.offset), i64::from(page.limit));
        let list: Params<'_> = &[
            &INSTANCE,
            &above,
            &below,
            &filter.from.0,
            &filter.to.0,
            &spaces,
            &filter.resource_type,
            &filter.resource_id,
            &filter.user,
            &filter.operation,
            &level,
            &marker,
            &offset,
            &limit,
        ];
        let sql = format!(
            "SELECT {COLUMNS} FROM audit_log WHERE {MATCHES} AND no < $12 ORDER BY no DESC OFFSET $13 LIMIT $14"
        );
        let found = rows(&client, &sql, list).await.map_err(db)?;
        let items: Vec<AuditRecord> = found.iter().map(record).collect::<Result<_>>()?;
        let sql = format!("SELECT count(*) FROM (SELECT 1 FROM audit_log WHERE {MATCHES} LIMIT {COUNT_MAX}) found");
        let count = row(&client, &sql, &list[..11]).await.map_err(db)?;
        Ok(Page {
            marker: items.last().map_or(page.marker, |r| r.no),
            count: count.as_ref().map_or(Ok(0), first::<i64>)?.unsigned_abs(),
            items,
        })
    }

    async fn trim_audit(&self, before: Timestamp, limit: u32) -> Result<u64> {
        let client = self.client().await?;
        let sql = "DELETE FROM audit_log WHERE no IN (SELECT no FROM audit_log WHERE at < $1 ORDER BY at LIMIT $2)";
        run(&client, sql, &[&before.0, &i64::from(limit)]).await.map_err(db)
    }
}
