//! Alarms.

use async_trait::async_trait;
use causeway_model::alarm::{Alarm, AlarmFilter, AlarmKey};
use causeway_model::registry::{Page, PageRequest};
use causeway_model::{AppId, DeviceId, RecordNo, Result, Timestamp};
use causeway_platform::alarm::AlarmStore;
use causeway_platform::outbox::NewDelivery;
use rusqlite::types::Value;
use rusqlite::{Row, params, params_from_iter};

use super::app::{in_spaces, require_app};
use super::error::Outcome;
use super::{INSTANCE, SqliteStore};
use crate::rows;

macro_rules! alarm_sql {
    ($tail:literal) => {
        concat!(
            "SELECT t.no, t.id, a.id, t.name, t.severity, t.dimension, t.device, t.description, t.source, t.status, \
             t.times, t.first_at, t.last_at, t.acknowledged_by, t.acknowledged_at, t.cleared_by, t.cleared_at, \
             t.revision FROM alarm t JOIN app a ON a.no = t.app WHERE t.instance = 1 ",
            $tail
        )
    };
}

fn read_alarm(row: &Row<'_>) -> Outcome<Alarm> {
    let text = |at: usize| row.get_ref(at)?.as_str().map_err(rusqlite::Error::from);
    let done = |by: usize| {
        let at = row.get::<_, Option<i64>>(by + 1)?.map(Timestamp);
        Ok::<_, rusqlite::Error>(row.get::<_, Option<String>>(by)?.zip(at))
    };
    Ok(Alarm {
        no: RecordNo(row.get(0)?),
        id: row.get(1)?,
        app_id: AppId::trusted(row.get::<_, String>(2)?),
        name: row.get(3)?,
        severity: rows::severity(text(4)?)?,
        dimension: rows::dimension(text(5)?)?,
        device_id: row.get::<_, Option<String>>(6)?.map(DeviceId::trusted),
        description: row.get(7)?,
        source: row.get(8)?,
        status: rows::alarm_status(text(9)?)?,
        count: rows::count(row.get(10)?),
        first_at: Timestamp(row.get(11)?),
        last_at: Timestamp(row.get(12)?),
        acknowledged: done(13)?,
        cleared: done(15)?,
        revision: row.get(17)?,
    })
}

/// The condition for a filter, and its values.
fn conditions(filter: &AlarmFilter) -> (String, Vec<Value>) {
    let (mut clause, mut values) = (String::new(), Vec::new());
    in_spaces(&filter.spaces, "t.app", &mut clause, &mut values);
    let mut add = |sql: &str, value: Option<Value>| {
        if let Some(value) = value {
            clause.push_str(sql);
            values.push(value);
        }
    };
    let word = |text: &str| Value::from(text.to_owned());
    add(" AND t.status = ?", filter.status.map(|s| word(s.as_str())));
    add(" AND t.severity = ?", filter.severity.map(|s| word(s.as_str())));
    add(" AND t.device = ?", filter.device_id.as_deref().map(word));
    add(" AND instr(t.name, ?) > 0", filter.name.as_deref().map(word));
    add(" AND (t.acknowledged_at IS NOT NULL) = ?", filter.acknowledged.map(|yes| Value::from(i64::from(yes))));
    add(" AND t.last_at >= ?", filter.from.map(|t| Value::from(t.0)));
    add(" AND t.last_at < ?", filter.to.map(|t| Value::from(t.0)));
    (clause, values)
}

#[async_trait]
impl AlarmStore for SqliteStore {
    async fn insert_alarm(&self, mut alarm: Alarm, keep: u32, deliveries: Vec<NewDelivery>) -> Result<Option<Alarm>> {
        self.write(move |tx| {
            let app = require_app(tx.conn, &alarm.app_id)?;
            let key = alarm.key();
            let added = tx
                .conn
                .prepare_cached(
                    "INSERT INTO alarm (instance, app, id, name, severity, dimension, about, device, description, source, \
                     status, times, first_at, last_at, revision) \
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15) \
                     ON CONFLICT (instance, name, dimension, about) WHERE status = 'ACTIVE' DO NOTHING",
                )?
                .execute(params![
                    INSTANCE,
                    app,
                    alarm.id,
                    alarm.name,
                    alarm.severity.as_str(),
                    alarm.dimension.as_str(),
                    key.about,
                    alarm.device_id.as_ref().map(DeviceId::as_str),
                    alarm.description,
                    alarm.source,
                    alarm.status.as_str(),
                    i64::try_from(alarm.count).unwrap_or(i64::MAX),
                    alarm.first_at.0,
                    alarm.last_at.0,
                    alarm.revision,
                ])?;
            if added == 0 {
                return Ok(None);
            }
            alarm.no = RecordNo(tx.conn.last_insert_rowid());
            tx.conn
                .prepare_cached(
                    "DELETE FROM alarm WHERE no IN (SELECT no FROM alarm WHERE instance = ?1 AND no <> ?2 \
                     ORDER BY status = 'ACTIVE', last_at, no \
                     LIMIT max((SELECT count(*) FROM alarm WHERE instance = ?1) - ?3, 0))",
                )?
                .execute([INSTANCE, alarm.no.0, i64::from(keep.max(1))])?;
            tx.outbox.write(tx.conn, &deliveries)?;
            Ok(Some(alarm))
        })
        .await
    }

    async fn update_alarm(&self, alarm: &Alarm, deliveries: Vec<NewDelivery>) -> Result<bool> {
        let alarm = alarm.clone();
        self.write(move |tx| {
            let (acknowledged_by, acknowledged_at) = alarm.acknowledged.as_ref().map(|(by, at)| (by, at.0)).unzip();
            let (cleared_by, cleared_at) = alarm.cleared.as_ref().map(|(by, at)| (by, at.0)).unzip();
            let changed = tx
                .conn
                .prepare_cached(
                    "UPDATE alarm SET severity = ?3, device = ?4, description = ?5, source = ?6, status = ?7, times = ?8, \
                     last_at = ?9, acknowledged_by = ?10, acknowledged_at = ?11, cleared_by = ?12, cleared_at = ?13, \
                     revision = ?2 WHERE no = ?1 AND revision = ?2 - 1",
                )?
                .execute(params![
                    alarm.no.0,
                    alarm.revision,
                    alarm.severity.as_str(),
                    alarm.device_id.as_ref().map(DeviceId::as_str),
                    alarm.description,
                    alarm.source,
                    alarm.status.as_str(),
                    i64::try_from(alarm.count).unwrap_or(i64::MAX),
                    alarm.last_at.0,
                    acknowledged_by,
                    acknowledged_at,
                    cleared_by,
                    cleared_at,
                ])?;
            if changed > 0 {
                tx.outbox.write(tx.conn, &deliveries)?;
            }
            Ok(changed > 0)
        })
        .await
    }

    async fn alarm(&self, id: &str) -> Result<Option<Alarm>> {
        let id = id.to_owned();
        self.read(move |conn| {
            conn.prepare_cached(alarm_sql!("AND t.id = ?1"))?.query_and_then([id], read_alarm)?.next().transpose()
        })
        .await
    }

    async fn active_alarm(&self, key: &AlarmKey) -> Result<Option<Alarm>> {
        let key = key.clone();
        self.read(move |conn| {
            conn.prepare_cached(alarm_sql!(
                "AND t.name = ?1 AND t.dimension = ?2 AND t.about = ?3 AND t.status = 'ACTIVE'"
            ))?
            .query_and_then(params![key.name, key.dimension.as_str(), key.about], read_alarm)?
            .next()
            .transpose()
        })
        .await
    }

    async fn list_alarms(&self, filter: &AlarmFilter, page: PageRequest) -> Result<Page<Alarm>> {
        let (clause, mut values) = conditions(filter);
        self.read(move |conn| {
            let count: i64 = conn
                .prepare_cached(&format!("SELECT count(*) FROM alarm t WHERE t.instance = 1{clause}"))?
                .query_row(params_from_iter(&values), |row| row.get(0))?;
            values.extend([page.marker.0, i64::from(page.limit), i64::from(page.offset)].map(Value::from));
            let sql = format!(alarm_sql!("{} AND t.no < ? ORDER BY t.no DESC LIMIT ? OFFSET ?"), clause);
            let items: Vec<Alarm> = conn
                .prepare_cached(&sql)?
                .query_and_then(params_from_iter(&values), read_alarm)?
                .collect::<Outcome<_>>()?;
            let marker = items.last().map_or(page.marker, |a| a.no);
            Ok(Page { items, count: rows::count(count), marker })
        })
        .await
    }

    async fn trim_alarms(&self, before: Timestamp, limit: u32) -> Result<u64> {
        self.write(move |tx| {
            let removed = tx
                .conn
                .prepare_cached(
                    "DELETE FROM alarm WHERE no IN (SELECT no FROM alarm WHERE last_at < ?1 ORDER BY last_at LIMIT ?2)",
                )?
                .execute([before.0, i64::from(limit)])?;
            Ok(removed as u64)
        })
        .await
    }
}
