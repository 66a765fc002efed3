//! Logs of devices.

use async_trait::async_trait;
use causeway_model::registry::{Page, PageRequest};
use causeway_model::{DeviceNo, RecordNo, Result, Timestamp};
use causeway_platform::log::{LogConfig, LogKept, LogLine, LogState, LogStore};

use super::connection::{Columns, db, first, row, rows, run};
use super::{INSTANCE, PostgresStore, no_such_device};

#[async_trait]
impl LogStore for PostgresStore {
    async fn add_log_line(&self, device: DeviceNo, line: LogLine, kept: LogKept) -> Result<()> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(db)?;
        // One line at a time of a device, so that the limits hold.
        let sql = "SELECT app FROM device WHERE no = $1 FOR NO KEY UPDATE";
        let Some(found) = row(&transaction, sql, &[&device.0]).await.map_err(db)? else {
            return Err(no_such_device());
        };
        let app: i64 = first(&found)?;
        let sql = "INSERT INTO device_log (instance, app, device, at, received_at, kind, content)
            VALUES ($1, $2, $3, $4, $5, $6, $7)";
        // PostgreSQL keeps no NUL; what a device writes into its log is for people.
        let content = line.content.replace('\0', "\u{fffd}");
        let kind = line.kind.replace('\0', "\u{fffd}");
        run(&transaction, sql, &[&INSTANCE, &app, &device.0, &line.at.0, &line.received_at.0, &kind, &content])
            .await
            .map_err(db)?;
        let sql = "DELETE FROM device_log WHERE no IN (SELECT no FROM (SELECT no, row_number() OVER newest AS rank,
                sum(octet_length(content)) OVER newest AS size FROM device_log WHERE device = $1
                WINDOW newest AS (ORDER BY no DESC)) l WHERE rank > 1 AND (rank > $2 OR size > $3))";
        let bytes = i64::try_from(kept.bytes).unwrap_or(i64::MAX);
        run(&transaction, sql, &[&device.0, &i64::from(kept.lines), &bytes]).await.map_err(db)?;
        transaction.commit().await.map_err(db)
    }

    async fn log_lines(&self, device: DeviceNo, kind: Option<String>, page: PageRequest) -> Result<Page<LogLine>> {
        let client = self.client().await?;
        let sql = "SELECT count(*) FROM device_log WHERE device = $1 AND kind = coalesce($2, kind)";
        let counted = row(&client, sql, &[&device.0, &kind]).await.map_err(db)?;
        let count: i64 = counted.as_ref().map_or(Ok(0), first)?;
        let sql = "SELECT no, at, received_at, kind, content FROM device_log
            WHERE device = $1 AND kind = coalesce($2, kind) AND no < $3 ORDER BY no DESC LIMIT $4 OFFSET $5";
        let (limit, offset) = (i64::from(page.limit), i64::from(page.offset));
        let found = rows(&client, sql, &[&device.0, &kind, &page.marker.0, &limit, &offset]).await.map_err(db)?;
        let line = |row| -> Result<LogLine> {
            let mut c = Columns::of(row);
            Ok(LogLine {
                no: RecordNo(c.take()?),
                at: Timestamp(c.take()?),
                received_at: Timestamp(c.take()?),
                kind: c.take()?,
                content: c.take()?,
            })
        };
        let items = found.iter().map(line).collect::<Result<Vec<_>>>()?;
        let marker = items.last().map_or(page.marker, |line| line.no);
        Ok(Page { items, count: u64::try_from(count).unwrap_or(0), marker })
    }

    async fn trim_logs(&self, before: Timestamp) -> Result<u64> {
        let client = self.client().await?;
        run(&client, "DELETE FROM device_log WHERE received_at < $1", &[&before.0]).await.map_err(db)
    }

    async fn put_log_config(&self, device: DeviceNo, config: LogConfig, now: Timestamp) -> Result<()> {
        let client = self.client().await?;
        let sql = "INSERT INTO log_config (device, instance, app, is_on, end_time, set_at, is_sent)
            SELECT no, instance, app, $2, $3, $4, false FROM device WHERE no = $1
            ON CONFLICT (device) DO UPDATE SET is_on = excluded.is_on, end_time = excluded.end_time,
                set_at = excluded.set_at, is_sent = false";
        let set = run(&client, sql, &[&device.0, &config.is_on, &config.end_time.0, &now.0]).await.map_err(db)?;
        if set == 0 { Err(no_such_device()) } else { Ok(()) }
    }

    async fn log_config(&self, device: DeviceNo) -> Result<Option<LogState>> {
        let client = self.client().await?;
        let sql = "SELECT is_on, end_time, set_at, is_sent FROM log_config WHERE device = $1";
        let Some(row) = row(&client, sql, &[&device.0]).await.map_err(db)? else { return Ok(None) };
        let mut c = Columns::of(&row);
        let config = LogConfig { is_on: c.take()?, end_time: Timestamp(c.take()?) };
        Ok(Some(LogState { config, set_at: Timestamp(c.take()?), is_sent: c.take()? }))
    }

    async fn log_config_sent(&self, device: DeviceNo, set_at: Timestamp) -> Result<()> {
        let client = self.client().await?;
        let sql = "UPDATE log_config SET is_sent = true WHERE device = $1 AND set_at = $2";
        run(&client, sql, &[&device.0, &set_at.0]).await.map_err(db).map(|_| ())
    }
}
