//! Logs of devices.

use async_trait::async_trait;
use causeway_model::registry::{Page, PageRequest};
use causeway_model::{DeviceNo, RecordNo, Result, Timestamp};
use causeway_platform::log::{LogConfig, LogKept, LogLine, LogState, LogStore};
use rusqlite::{OptionalExtension, params};

use super::session::require_device;
use super::{INSTANCE, SqliteStore};

#[async_trait]
impl LogStore for SqliteStore {
    async fn add_log_line(&self, device: DeviceNo, line: LogLine, kept: LogKept) -> Result<()> {
        self.write(move |tx| {
            let app = require_device(tx.conn, device)?;
            tx.conn
                .prepare_cached(
                    "INSERT INTO device_log (instance, app, device, at, received_at, kind, content) \
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                )?
                .execute(params![INSTANCE, app, device.0, line.at.0, line.received_at.0, line.kind, line.content])?;
            tx.conn
                .prepare_cached(
                    "DELETE FROM device_log WHERE no IN (SELECT no FROM (SELECT no, row_number() OVER newest AS rank, \
                     sum(octet_length(content)) OVER newest AS size FROM device_log WHERE device = ?1 \
                     WINDOW newest AS (ORDER BY no DESC)) WHERE rank > 1 AND (rank > ?2 OR size > ?3))",
                )?
                .execute(params![device.0, kept.lines, i64::try_from(kept.bytes).unwrap_or(i64::MAX)])?;
            Ok(())
        })
        .await
    }

    async fn log_lines(&self, device: DeviceNo, kind: Option<String>, page: PageRequest) -> Result<Page<LogLine>> {
        self.read(move |conn| {
            let count: i64 = conn
                .prepare_cached("SELECT count(*) FROM device_log WHERE device = ?1 AND kind = coalesce(?2, kind)")?
                .query_row(params![device.0, kind], |row| row.get(0))?;
            let items: Vec<LogLine> = conn
                .prepare_cached(
                    "SELECT no, at, received_at, kind, content FROM device_log \
                     WHERE device = ?1 AND kind = coalesce(?2, kind) AND no < ?3 ORDER BY no DESC LIMIT ?4 OFFSET ?5",
                )?
                .query_map(params![device.0, kind, page.marker.0, page.limit, page.offset], |row| {
                    Ok(LogLine {
                        no: RecordNo(row.get(0)?),
                        at: Timestamp(row.get(1)?),
                        received_at: Timestamp(row.get(2)?),
                        kind: row.get(3)?,
                        content: row.get(4)?,
                    })
                })?
                .collect::<Result<_, _>>()?;
            let marker = items.last().map_or(page.marker, |line| line.no);
            Ok(Page { items, count: u64::try_from(count).unwrap_or(0), marker })
        })
        .await
    }

    async fn trim_logs(&self, before: Timestamp) -> Result<u64> {
        self.write(move |tx| {
            let dropped =
                tx.conn.prepare_cached("DELETE FROM device_log WHERE received_at < ?1")?.execute([before.0])?;
            Ok(dropped as u64)
        })
        .await
    }

    async fn put_log_config(&self, device: DeviceNo, config: LogConfig, now: Timestamp) -> Result<()> {
        self.write(move |tx| {
            let app = require_device(tx.conn, device)?;
            tx.conn
                .prepare_cached(
                    "INSERT OR REPLACE INTO log_config (device, instance, app, is_on, end_time, set_at, is_sent) \
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0)",
                )?
                .execute(params![device.0, INSTANCE, app, config.is_on, config.end_time.0, now.0])?;
            Ok(())
        })
        .await
    }

    async fn log_config(&self, device: DeviceNo) -> Result<Option<LogState>> {
        self.read(move |conn| {
            let found = conn
                .prepare_cached("SELECT is_on, end_time, set_at, is_sent FROM log_config WHERE device = ?1")?
                .query_row([device.0], |row| {
                    Ok(LogState {
                        config: LogConfig { is_on: row.get(0)?, end_time: Timestamp(row.get(1)?) },
                        set_at: Timestamp(row.get(2)?),
                        is_sent: row.get(3)?,
                    })
                })
                .optional()?;
            Ok(found)
        })
        .await
    }

    async fn log_config_sent(&self, device: DeviceNo, set_at: Timestamp) -> Result<()> {
        self.write(move |tx| {
            tx.conn
                .prepare_cached("UPDATE log_config SET is_sent = 1 WHERE device = ?1 AND set_at = ?2")?
                .execute([device.0, set_at.0])?;
            Ok(())
        })
        .await
    }
}
