//! Persistent sessions and retained messages.

use async_trait::async_trait;
use causeway_model::{Code, DeviceNo, Error, Result, Timestamp};
use causeway_platform::session::{RetainedMessage, SessionStore, StoredSession};
use rusqlite::{Connection, OptionalExtension, params};

use super::error::Outcome;
use super::{INSTANCE, SqliteStore};
use crate::rows;

/// A device that is written to must be there; returns the number of its space.
pub(super) fn require_device(conn: &Connection, device: DeviceNo) -> Outcome<i64> {
    let app = conn
        .prepare_cached("SELECT app FROM device WHERE no = ?1")?
        .query_row([device.0], |row| row.get(0))
        .optional()?;
    app.ok_or_else(|| Error::new(Code::DeviceNotFound, "The device does not exist.").into())
}

#[async_trait]
impl SessionStore for SqliteStore {
    async fn session(&self, device: DeviceNo, now: Timestamp) -> Result<Option<StoredSession>> {
        self.read(move |conn| {
            let found: Option<(String, Option<i64>, String)> = conn
                .prepare_cached(
                    "SELECT client, expires_at, subscriptions FROM session \
                     WHERE device = ?1 AND (expires_at IS NULL OR expires_at >= ?2)",
                )?
                .query_row([device.0, now.0], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
                .optional()?;
            let Some((client, expires_at, subscriptions)) = found else { return Ok(None) };
            let subscriptions = rows::subscriptions(&subscriptions)?;
            Ok(Some(StoredSession { client, subscriptions, expires_at: expires_at.map(Timestamp) }))
        })
        .await
    }

    async fn put_session(&self, device: DeviceNo, session: &StoredSession) -> Result<()> {
        let session = session.clone();
        self.write(move |tx| {
            let app = require_device(tx.conn, device)?;
            tx.conn
                .prepare_cached(
                    "INSERT OR REPLACE INTO session (device, instance, app, client, expires_at, subscriptions) \
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                )?
                .execute(params![
                    device.0,
                    INSTANCE,
                    app,
                    session.client,
                    session.expires_at.map(|t| t.0),
                    rows::subscriptions_text(&session.subscriptions)?,
                ])?;
            Ok(())
        })
        .await
    }

    async fn delete_session(&self, device: DeviceNo) -> Result<()> {
        self.write(move |tx| {
            tx.conn.prepare_cached("DELETE FROM session WHERE device = ?1")?.execute([device.0])?;
            Ok(())
        })
        .await
    }

    async fn retained(&self, device: DeviceNo) -> Result<Vec<RetainedMessage>> {
        self.read(move |conn| {
            let mut statement = conn.prepare_cached(
                "SELECT topic, payload, qos, properties, at FROM retained WHERE device = ?1 ORDER BY topic",
            )?;
            let messages = statement.query_map([device.0], |row| {
                Ok(RetainedMessage {
                    topic: row.get(0)?,
                    payload: row.get(1)?,
                    qos: row.get(2)?,
                    properties: row.get(3)?,
                    at: Timestamp(row.get(4)?),
                })
            })?;
            Ok(messages.collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn put_retained(&self, device: DeviceNo, message: &RetainedMessage, limit: u32) -> Result<bool> {
        let message = message.clone();
        self.write(move |tx| {
            let app = require_device(tx.conn, device)?;
            let others: i64 = tx
                .conn
                .prepare_cached("SELECT count(*) FROM retained WHERE device = ?1 AND topic <> ?2")?
                .query_row(params![device.0, message.topic], |row| row.get(0))?;
            if others >= i64::from(limit) {
                return Ok(false);
            }
            tx.conn
                .prepare_cached(
                    "INSERT INTO retained (instance, app, device, topic, qos, at, properties, payload) \
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (device, topic) DO UPDATE SET \
                     qos = excluded.qos, at = excluded.at, properties = excluded.properties, payload = excluded.payload",
                )?
                .execute(params![
                    INSTANCE,
                    app,
                    device.0,
                    message.topic,
                    message.qos,
                    message.at.0,
                    message.properties,
                    message.payload,
                ])?;
            Ok(true)
        })
        .await
    }

    async fn delete_retained(&self, device: DeviceNo, topic: &str) -> Result<()> {
        let topic = topic.to_owned();
        self.write(move |tx| {
            tx.conn
                .prepare_cached("DELETE FROM retained WHERE device = ?1 AND topic = ?2")?
                .execute(params![device.0, topic])?;
            Ok(())
        })
        .await
    }
}
