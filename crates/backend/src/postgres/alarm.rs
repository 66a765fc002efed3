//! Alarms.

use async_trait::async_trait;
use causeway_model::alarm::{Alarm, AlarmFilter, AlarmKey, AlarmStatus, Severity};
use causeway_model::registry::{Page, PageRequest};
use causeway_model::{AppId, Code, DeviceId, Error, RecordNo, Result, Timestamp};
use causeway_platform::alarm::AlarmStore;
use causeway_platform::outbox::NewDelivery;
use tokio_postgres::Row;

use super::connection::{Columns, Params, db, first, row, rows, run};
use super::{INSTANCE, PostgresStore, outbox};
use crate::rows as words;

const SELECT: &str = "SELECT t.no, t.id, a.id, t.name, t.severity, t.dimension, t.device, t.description, t.source,
        t.status, t.times, t.first_at, t.last_at, t.acknowledged_by, t.acknowledged_at, t.cleared_by, t.cleared_at,
        t.revision
    FROM alarm t JOIN app a ON a.no = t.app WHERE t.instance = $1";

/// Parameters 2 to 9 of every list.
const MATCHES: &str = "($2::text[] IS NULL OR a.id = ANY ($2)) AND ($3::text IS NULL OR t.status = $3)
    AND ($4::text IS NULL OR t.severity = $4) AND ($5::text IS NULL OR t.device = $5)
    AND ($6::text IS NULL OR strpos(t.name, $6) > 0)
    AND ($7::boolean IS NULL OR (t.acknowledged_at IS NOT NULL) = $7)
    AND ($8::bigint IS NULL OR t.last_at >= $8) AND ($9::bigint IS NULL OR t.last_at < $9)";

fn alarm(row: &Row) -> Result<Alarm> {
    let mut c = Columns::of(row);
    Ok(Alarm {
        no: RecordNo(c.take()?),
        id: c.take()?,
        app_id: AppId::trusted(c.take::<String>()?),
        name: c.take()?,
        severity: words::severity(c.take()?)?,
        dimension: words::dimension(c.take()?)?,
        device_id: c.take::<Option<String>>()?.map(DeviceId::trusted),
        description: c.take()?,
        source: c.take()?,
        status: words::alarm_status(c.take()?)?,
        count: words::count(c.take()?),
        first_at: Timestamp(c.take()?),
        last_at: Timestamp(c.take()?),
        acknowledged: done(&mut c)?,
        cleared: done(&mut c)?,
        revision: c.take()?,
    })
}

fn done(c: &mut Columns<'_>) -> Result<Option<(String, Timestamp)>> {
    Ok(c.take::<Option<String>>()?.zip(c.take::<Option<i64>>()?.map(Timestamp)))
}

#[async_trait]
impl AlarmStore for PostgresStore {
    async fn insert_alarm(&self, new: Alarm, keep: u32, deliveries: Vec<NewDelivery>) -> Result<Option<Alarm>> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(db)?;
        let sql = "SELECT no FROM app WHERE instance = $1 AND id = $2 FOR KEY SHARE";
        let Some(app) = row(&transaction, sql, &[&INSTANCE, &new.app_id.as_str()]).await.map_err(db)? else {
            return Err(Error::new(Code::AppNotFound, "No such resource space."));
        };
        let (app, key): (i64, _) = (first(&app)?, new.key());
        let sql = "INSERT INTO alarm (instance, app, id, name, severity, dimension, about, device, description, source,
                status, times, first_at, last_at, revision)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
            ON CONFLICT (instance, name, dimension, about) WHERE status = 'ACTIVE' DO NOTHING RETURNING no";
        let params: Params<'_> = &[
            &INSTANCE,
            &app,
            &new.id,
            &new.name,
            &new.severity.as_str(),
            &new.dimension.as_str(),
            &key.about,
            &new.device_id.as_ref().map(DeviceId::as_str),
            &new.description,
            &new.source,
            &new.status.as_str(),
            &i64::try_from(new.count).unwrap_or(i64::MAX),
            &new.first_at.0,
            &new.last_at.0,
            &new.revision,
        ];
        let Some(made) = row(&transaction, sql, params).await.map_err(db)? else { return Ok(None) };
        let no: i64 = first(&made)?;
        let sql = "DELETE FROM alarm WHERE no IN (SELECT no FROM alarm WHERE instance = $1 AND no <> $2
            ORDER BY status = 'ACTIVE', last_at, no
            LIMIT greatest((SELECT count(*) FROM alarm WHERE instance = $1) - $3::bigint, 0))";
        run(&transaction, sql, &[&INSTANCE, &no, &i64::from(keep.max(1))]).await.map_err(db)?;
        outbox::insert(&transaction, &deliveries).await.map_err(db)?;
        transaction.commit().await.map_err(db)?;
        self.signals.raise(deliveries.iter().map(|d| d.target));
        Ok(Some(Alarm { no: RecordNo(no), ..new }))
    }

    async fn update_alarm(&self, alarm: &Alarm, deliveries: Vec<NewDelivery>) -> Result<bool> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(db)?;
        let (acknowledged_by, acknowledged_at) = alarm.acknowledged.as_ref().map(|(by, at)| (by, at.0)).unzip();
        let (cleared_by, cleared_at) = alarm.cleared.as_ref().map(|(by, at)| (by, at.0)).unzip();
        let sql = "UPDATE alarm SET severity = $3, device = $4, description = $5, source = $6, status = $7, times = $8,
                last_at = $9, acknowledged_by = $10, acknowledged_at = $11, cleared_by = $12, cleared_at = $13,
                revision = $2
            WHERE no = $1 AND revision = $2::bigint - 1";
        let params: Params<'_> = &[
            &alarm.no.0,
            &alarm.revision,
            &alarm.severity.as_str(),
            &alarm.device_id.as_ref().map(DeviceId::as_str),
            &alarm.description,
            &alarm.source,
            &alarm.status.as_str(),
            &i64::try_from(alarm.count).unwrap_or(i64::MAX),
            &alarm.last_at.0,
            &acknowledged_by,
            &acknowledged_at,
            &cleared_by,
            &cleared_at,
        ];
        if run(&transaction, sql, params).await.map_err(db)? == 0 {
            return Ok(false);
        }
        outbox::insert(&transaction, &deliveries).await.map_err(db)?;
        transaction.commit().await.map_err(db)?;
        self.signals.raise(deliveries.iter().map(|d| d.target));
        Ok(true)
    }

    async fn alarm(&self, id: &str) -> Result<Option<Alarm>> {
        let client = self.client().await?;
        let sql = format!("{SELECT} AND t.id = $2");
        row(&client, &sql, &[&INSTANCE, &id]).await.map_err(db)?.as_ref().map(alarm).transpose()
    }

    async fn active_alarm(&self, key: &AlarmKey) -> Result<Option<Alarm>> {
        let client = self.client().await?;
        let sql = format!("{SELECT} AND t.name = $2 AND t.dimension = $3 AND t.about = $4 AND t.status = 'ACTIVE'");
        let params: Params<'_> = &[&INSTANCE, &key.name, &key.dimension.as_str(), &key.about];
        row(&client, &sql, params).await.map_err(db)?.as_ref().map(alarm).transpose()
    }

    async fn list_alarms(&self, filter: &AlarmFilter, page: PageRequest) -> Result<Page<Alarm>> {
        let client = self.client().await?;
        let list: Params<'_> = &[
            &INSTANCE,
            &filter.spaces.ids(),
            &filter.status.map(AlarmStatus::as_str),
            &filter.severity.map(Severity::as_str),
            &filter.device_id,
            &filter.name,
            &filter.acknowledged,
            &filter.from.map(|t| t.0),
            &filter.to.map(|t| t.0),
            &page.marker.0,
            &i64::from(page.offset),
            &i64::from(page.limit),
        ];
        let sql = format!("{SELECT} AND {MATCHES} AND t.no < $10 ORDER BY t.no DESC OFFSET $11 LIMIT $12");
        let found = rows(&client, &sql, list).await.map_err(db)?;
        let items: Vec<Alarm> = found.iter().map(alarm).collect::<Result<_>>()?;
        let sql =
            format!("SELECT count(*) FROM alarm t JOIN app a ON a.no = t.app WHERE t.instance = $1 AND {MATCHES}");
        let count = row(&client, &sql, &list[..9]).await.map_err(db)?;
        Ok(Page {
            marker: items.last().map_or(page.marker, |a| a.no),
            count: words::count(count.as_ref().map_or(Ok(0), first)?),
            items,
        })
    }

    async fn trim_alarms(&self, before: Timestamp, limit: u32) -> Result<u64> {
        let client = self.client().await?;
        let sql = "DELETE FROM alarm WHERE no IN (SELECT no FROM alarm WHERE last_at < $1 ORDER BY last_at LIMIT $2)";
        run(&client, sql, &[&before.0, &i64::from(limit)]).await.map_err(db)
    }
}
