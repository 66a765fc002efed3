//! Messages to devices. Their change of status comes with units, see writer.rs.

use async_trait::async_trait;
use causeway_model::message::DeviceMessage;
use causeway_model::{Code, DeviceId, DeviceNo, Error, Result, Timestamp};
use causeway_platform::message::MessageStore;
use causeway_platform::outbox::NewDelivery;
use rusqlite::{Connection, Row, params};

use super::error::Outcome;
use super::session::require_device;
use super::{INSTANCE, SqliteStore};
use crate::rows;

macro_rules! message_sql {
    ($tail:literal) => {
        concat!(
            "SELECT m.no, m.device, m.id, m.name, m.content, m.encoding, m.format, m.topic_kind, m.topic, \
             m.properties, m.status, m.error_code, m.error_text, m.created_at, m.finished_at, m.expires_at, d.id \
             FROM message m JOIN device d ON d.no = m.device ",
            $tail
        )
    };
}

fn read_message(row: &Row<'_>) -> Outcome<DeviceMessage> {
    let text = |at: usize| row.get_ref(at)?.as_str().map_err(rusqlite::Error::from);
    Ok(DeviceMessage {
        no: row.get(0)?,
        device: DeviceNo(row.get(1)?),
        id: row.get(2)?,
        name: row.get(3)?,
        content: row.get(4)?,
        encoding: rows::encoding(text(5)?)?,
        format: rows::payload_format(text(6)?)?,
        topic: rows::message_topic(text(7)?, row.get(8)?)?,
        properties: row.get(9)?,
        status: rows::message_status(text(10)?)?,
        error: row.get::<_, Option<String>>(11)?.zip(row.get::<_, Option<String>>(12)?),
        created_at: Timestamp(row.get(13)?),
        finished_at: row.get::<_, Option<i64>>(14)?.map(Timestamp),
        expires_at: Timestamp(row.get(15)?),
    })
}

fn read_messages(conn: &Connection, sql: &'static str, params: impl rusqlite::Params) -> Outcome<Vec<DeviceMessage>> {
    conn.prepare_cached(sql)?.query_and_then(params, read_message)?.collect()
}

fn insert(conn: &Connection, message: &DeviceMessage) -> Outcome<i64> {
    let app = require_device(conn, message.device)?;
    let taken = conn
        .prepare_cached("SELECT 1 FROM message WHERE device = ?1 AND id = ?2")?
        .exists(params![message.device.0, message.id])?;
    if taken {
        return Err(
            Error::new(Code::MessageExists, format!("The message '{}' exists at the device.", message.id)).into()
        );
    }
    let (topic_kind, topic) = rows::topic_columns(&message.topic);
    let (error_code, error_text) = message.error.as_ref().map(|(c, t)| (c.as_str(), t.as_str())).unzip();
    conn.prepare_cached(
        "INSERT INTO message (instance, app, device, status, expires_at, created_at, finished_at, id, name, encoding, \
         format, topic_kind, topic, error_code, error_text, properties, content) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)",
    )?
    .execute(params![
        INSTANCE,
        app,
        message.device.0,
        message.status.as_str(),
        message.expires_at.0,
        message.created_at.0,
        message.finished_at.map(|t| t.0),
        message.id,
        message.name,
        rows::encoding_word(message.encoding),
        rows::format_word(message.format),
        topic_kind,
        topic,
        error_code,
        error_text,
        message.properties,
        message.content,
    ])?;
    Ok(conn.last_insert_rowid())
}

#[async_trait]
impl MessageStore for SqliteStore {
    async fn insert_message(
        &self,
        mut message: DeviceMessage,
        keep: u32,
        deliveries: Vec<NewDelivery>,
    ) -> Result<DeviceMessage> {
        self.write(move |tx| {
            message.no = insert(tx.conn, &message)?;
            // The new one stays; of the others the final ones go first, and of those the oldest.
            tx.conn
                .prepare_cached(
                    "DELETE FROM message WHERE no IN (SELECT no FROM message WHERE device = ?1 AND no <> ?2 \
                     ORDER BY status <> 'PENDING', no DESC LIMIT -1 OFFSET ?3)",
                )?
                .execute([message.device.0, message.no, i64::from(keep.saturating_sub(1))])?;
            tx.outbox.write(tx.conn, &deliveries)?;
            Ok(message)
        })
        .await
    }

    async fn messages(&self, device: DeviceNo) -> Result<Vec<DeviceMessage>> {
        let sql = message_sql!("WHERE m.device = ?1 ORDER BY m.no DESC");
        self.read(move |conn| read_messages(conn, sql, [device.0])).await
    }

    async fn message(&self, device: DeviceNo, id: &str) -> Result<Option<DeviceMessage>> {
        let id = id.to_owned();
        let sql = message_sql!("WHERE m.device = ?1 AND m.id = ?2");
        self.read(move |conn| Ok(read_messages(conn, sql, params![device.0, id])?.pop())).await
    }

    async fn delete_message(&self, device: DeviceNo, id: &str) -> Result<bool> {
        let id = id.to_owned();
        self.write(move |tx| {
            let mut delete = tx.conn.prepare_cached("DELETE FROM message WHERE device = ?1 AND id = ?2")?;
            Ok(delete.execute(params![device.0, id])? > 0)
        })
        .await
    }

    async fn pending_messages(&self, device: DeviceNo, now: Timestamp) -> Result<Vec<DeviceMessage>> {
        let sql = message_sql!("WHERE m.device = ?1 AND m.status = 'PENDING' AND m.expires_at >= ?2 ORDER BY m.no");
        self.read(move |conn| read_messages(conn, sql, [device.0, now.0])).await
    }

    async fn expired_messages(&self, now: Timestamp, limit: u32) -> Result<Vec<(DeviceId, DeviceMessage)>> {
        self.read(move |conn| {
            let mut statement = conn.prepare_cached(message_sql!(
                "WHERE m.status = 'PENDING' AND m.expires_at < ?1 ORDER BY m.expires_at, m.no LIMIT ?2"
            ))?;
            statement
                .query_and_then([now.0, i64::from(limit)], |row| {
                    Ok((DeviceId::trusted(row.get::<_, String>(16)?), read_message(row)?))
                })?
                .collect()
        })
        .await
    }
}
