//! Persistent sessions and retained messages.

use async_trait::async_trait;
use causeway_model::{DeviceNo, Error, Result, Timestamp};
use causeway_platform::session::{RetainedMessage, SessionStore, StoredSession};

use super::connection::{Columns, Params, db, first, row, rows, run};
use super::{INSTANCE, PostgresStore, no_such_device};
use crate::rows as words;

#[async_trait]
impl SessionStore for PostgresStore {
    async fn session(&self, device: DeviceNo, now: Timestamp) -> Result<Option<StoredSession>> {
        let client = self.client().await?;
        let sql = "SELECT client, subscriptions, expires_at FROM session
            WHERE device = $1 AND (expires_at IS NULL OR expires_at >= $2)";
        let Some(row) = row(&client, sql, &[&device.0, &now.0]).await.map_err(db)? else { return Ok(None) };
        let mut c = Columns::of(&row);
        Ok(Some(StoredSession {
            client: c.take()?,
            subscriptions: words::subscriptions(c.take()?)?,
            expires_at: c.take::<Option<i64>>()?.map(Timestamp),
        }))
    }

    async fn put_session(&self, device: DeviceNo, session: &StoredSession) -> Result<()> {
        let client = self.client().await?;
        let sql = "INSERT INTO session (device, instance, app, client, subscriptions, expires_at)
            SELECT no, instance, app, $2, $3, $4 FROM device WHERE no = $1
            ON CONFLICT (device) DO UPDATE SET
                client = excluded.client, subscriptions = excluded.subscriptions, expires_at = excluded.expires_at";
        let subscriptions = words::subscriptions_text(&session.subscriptions)?;
        let params: Params<'_> = &[&device.0, &session.client, &subscriptions, &session.expires_at.map(|t| t.0)];
        if run(&client, sql, params).await.map_err(db)? == 0 { Err(no_such_device()) } else { Ok(()) }
    }

    async fn delete_session(&self, device: DeviceNo) -> Result<()> {
        let client = self.client().await?;
        run(&client, "DELETE FROM session WHERE device = $1", &[&device.0]).await.map_err(db)?;
        Ok(())
    }

    async fn retained(&self, device: DeviceNo) -> Result<Vec<RetainedMessage>> {
        let client = self.client().await?;
        let sql = "SELECT topic, payload, qos, properties, at FROM retained WHERE device = $1 ORDER BY topic";
        let rows = rows(&client, sql, &[&device.0]).await.map_err(db)?;
        rows.iter()
            .map(|row| {
                let mut c = Columns::of(row);
                Ok(RetainedMessage {
                    topic: c.take()?,
                    payload: c.take()?,
                    qos: u8::try_from(c.take::<i16>()?)
                        .map_err(|_| Error::internal("the store holds a quality of service that is none"))?,
                    properties: c.take()?,
                    at: Timestamp(c.take()?),
                })
            })
            .collect()
    }

    async fn put_retained(&self, device: DeviceNo, message: &RetainedMessage, limit: u32) -> Result<bool> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(db)?;
        let sql = "SELECT app FROM device WHERE no = $1 FOR NO KEY UPDATE";
        let Some(found) = row(&transaction, sql, &[&device.0]).await.map_err(db)? else {
            return Err(no_such_device());
        };
        let app: i64 = first(&found)?;
        let others = "SELECT count(*) FROM retained WHERE device = $1 AND topic <> $2";
        let others = row(&transaction, others, &[&device.0, &message.topic]).await.map_err(db)?;
        if others.as_ref().map_or(Ok(0), first::<i64>)? >= i64::from(limit) {
            return Ok(false);
        }
        let replace = "DELETE FROM retained WHERE device = $1 AND topic = $2";
        run(&transaction, replace, &[&device.0, &message.topic]).await.map_err(db)?;
        let sql = "INSERT INTO retained (instance, app, device, topic, payload, qos, properties, at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
        let (qos, at) = (i16::from(message.qos), message.at.0);
        let params: Params<'_> =
            &[&INSTANCE, &app, &device.0, &message.topic, &message.payload, &qos, &message.properties, &at];
        run(&transaction, sql, params).await.map_err(db)?;
        transaction.commit().await.map_err(db)?;
        Ok(true)
    }

    async fn delete_retained(&self, device: DeviceNo, topic: &str) -> Result<()> {
        let client = self.client().await?;
        run(&client, "DELETE FROM retained WHERE device = $1 AND topic = $2", &[&device.0, &topic])
            .await
            .map_err(db)?;
        Ok(())
    }
}
