//! The audit log.

use async_trait::async_trait;
use causeway_model::audit::{AuditFilter, AuditRecord};
use causeway_model::registry::{Page, PageRequest};
use causeway_model::{AppId, RecordNo, Result, Timestamp};
use causeway_platform::audit::{AuditStore, COUNT_MAX, DISORDER_MS};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};

use super::error::Outcome;
use super::{INSTANCE, SqliteStore};
use crate::rows;

const COLUMNS: &str = "no, at, user_id, user_name, credential, operation, event, resource_type, resource_id, app_id, \
                       status, error_code, level, address, request_id";

fn read_record(row: &Row<'_>) -> Outcome<AuditRecord> {
    Ok(AuditRecord {
        no: RecordNo(row.get(0)?),
        at: Timestamp(row.get(1)?),
        user_id: row.get(2)?,
        user_name: row.get(3)?,
        credential: row.get(4)?,
        operation: row.get(5)?,
        event: row.get(6)?,
        resource_type: row.get(7)?,
        resource_id: row.get(8)?,
        app_id: row.get::<_, Option<String>>(9)?.map(AppId::trusted),
        status: row.get(10)?,
        error_code: row.get(11)?,
        level: rows::audit_level(row.get_ref(12)?.as_str().map_err(rusqlite::Error::from)?)?,
        address: row.get(13)?,
        request_id: row.get(14)?,
    })
}

/// The number of one record near the time: no record of the range lies beyond it. Numbers follow the times but for
/// [`DISORDER_MS`], so that a range long ago is found without reading what came later.
fn bound(conn: &Connection, sql: &str, at: i64) -> Outcome<Option<i64>> {
    Ok(conn.prepare_cached(sql)?.query_row([at], |row| row.get(0)).optional()?)
}

/// The condition for a filter, and its values.
fn conditions(conn: &Connection, filter: &AuditFilter) -> Outcome<(String, Vec<Value>)> {
    let above = bound(
        conn,
        "SELECT no FROM audit_log WHERE at < ?1 ORDER BY at DESC, no DESC LIMIT 1",
        filter.from.0.saturating_sub(DISORDER_MS),
    )?;
    let below = bound(
        conn,
        "SELECT no FROM audit_log WHERE at > ?1 ORDER BY at, no LIMIT 1",
        filter.to.0.saturating_add(DISORDER_MS),
    )?;
    // The `+` keeps the index of times away: numbers give the order and, with their bounds, the range.
    let mut clause = String::from("no > ? AND no < ? AND +at >= ? AND +at < ?");
    let mut values =
        [above.unwrap_or(0), below.unwrap_or(i64::MAX), filter.from.0, filter.to.0].map(Value::from).to_vec();
    if let Some(ids) = filter.spaces.ids() {
        clause.push_str(&format!(" AND app_id IN ({})", vec!["?"; ids.len()].join(", ")));
        values.extend(ids.into_iter().map(|id| Value::from(id.to_owned())));
    }
    let mut add = |sql: &str, value: &Option<String>| {
        if let Some(value) = value {
            clause.push_str(sql);
            for _ in 0..sql.matches('?').count() {
                values.push(Value::from(value.clone()));
            }
        }
    };
    add(" AND resource_type = ?", &filter.resource_type);
    add(" AND resource_id = ?", &filter.resource_id);
    add(" AND (user_id = ? OR user_name = ?)", &filter.user);
    add(" AND (operation = ? OR event = ?)", &filter.operation);
    add(" AND level = ?", &filter.level.map(|l| l.as_str().to_owned()));
    Ok((clause, values))
}

#[async_trait]
impl AuditStore for SqliteStore {
    async fn insert_audit(&self, records: Vec<AuditRecord>) -> Result<()> {
        self.write(move |tx| {
            let mut insert = tx.conn.prepare_cached(
                "INSERT INTO audit_log (instance, at, user_id, user_name, credential, operation, event, resource_type, \
                 resource_id, app_id, status, error_code, level, address, request_id) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
            )?;
            for record in &records {
                insert.execute(params![
                    INSTANCE,
                    record.at.0,
                    record.user_id,
                    record.user_name,
                    record.credential,
                    record.operation,
                    record.event,
                    record.resource_type,
                    record.resource_id,
                    record.app_id.as_ref().map(AppId::as_str),
                    record.status,
                    record.error_code,
                    record.level.as_str(),
                    record.address,
                    record.request_id,
                ])?;
            }
            Ok(())
        })
        .await
    }

    async fn audit_records(&self, filter: &AuditFilter, page: PageRequest) -> Result<Page<AuditRecord>> {
        let filter = filter.clone();
        self.read(move |conn| {
            let (clause, mut values) = conditions(conn, &filter)?;
            let count: i64 = conn
                .prepare_cached(&format!(
                    "SELECT count(*) FROM (SELECT 1 FROM audit_log WHERE {clause} LIMIT {COUNT_MAX})"
                ))?
                .query_row(params_from_iter(&values), |row| row.get(0))?;
            values.extend([page.marker.0, i64::from(page.limit), i64::from(page.offset)].map(Value::from));
            let sql =
                format!("SELECT {COLUMNS} FROM audit_log WHERE {clause} AND no < ? ORDER BY no DESC LIMIT ? OFFSET ?");
            let items = conn
                .prepare_cached(&sql)?
                .query_and_then(params_from_iter(&values), read_record)?
                .collect::<Outcome<Vec<_>>>()?;
            let marker = items.last().map_or(page.marker, |r| r.no);
            Ok(Page { items, count: u64::try_from(count).unwrap_or(0), marker })
        })
        .await
    }

    async fn trim_audit(&self, before: Timestamp, limit: u32) -> Result<u64> {
        self.write(move |tx| {
            let removed = tx
                .conn
                .prepare_cached(
                    "DELETE FROM audit_log WHERE no IN (SELECT no FROM audit_log WHERE at < ?1 ORDER BY at LIMIT ?2)",
                )?
                .execute([before.0, i64::from(limit)])?;
            Ok(removed as u64)
        })
        .await
    }
}
