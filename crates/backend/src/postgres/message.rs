//! Messages to devices.

use async_trait::async_trait;
use causeway_model::message::DeviceMessage;
use causeway_model::{Code, DeviceId, DeviceNo, Error, Result, Timestamp};
use causeway_platform::message::MessageStore;
use causeway_platform::outbox::NewDelivery;
use tokio_postgres::Row;
use tokio_postgres::error::SqlState;

use super::connection::{Columns, Params, db, db_or, first, row, rows, run};
use super::{INSTANCE, PostgresStore, no_such_device, outbox};
use crate::rows as words;

/// What [`message`] reads.
const COLUMNS: &str =
    "m.no, m.device, m.id, m.name, m.content, m.encoding, m.format, m.topic_kind, m.topic, m.properties,
    m.status, m.error_code, m.error_text, m.created_at, m.finished_at, m.expires_at";

fn message(c: &mut Columns<'_>) -> Result<DeviceMessage> {
    Ok(DeviceMessage {
        no: c.take()?,
        device: DeviceNo(c.take()?),
        id: c.take()?,
        name: c.take()?,
        content: c.take()?,
        encoding: words::encoding(c.take()?)?,
        format: words::payload_format(c.take()?)?,
        topic: words::message_topic(c.take()?, c.take()?)?,
        properties: c.take()?,
        status: words::message_status(c.take()?)?,
        error: c.take::<Option<String>>()?.zip(c.take::<Option<String>>()?),
        created_at: Timestamp(c.take()?),
        finished_at: c.take::<Option<i64>>()?.map(Timestamp),
        expires_at: Timestamp(c.take()?),
    })
}

fn whole(row: &Row) -> Result<DeviceMessage> {
    message(&mut Columns::of(row))
}

#[async_trait]
impl MessageStore for PostgresStore {
    async fn insert_message(
        &self,
        new: DeviceMessage,
        keep: u32,
        deliveries: Vec<NewDelivery>,
    ) -> Result<DeviceMessage> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(db)?;
        // One message at a time at a device, so that the limit holds.
        let sql = "SELECT app FROM device WHERE no = $1 FOR NO KEY UPDATE";
        let Some(found) = row(&transaction, sql, &[&new.device.0]).await.map_err(db)? else {
            return Err(no_such_device());
        };
        let app: i64 = first(&found)?;
        let sql = "INSERT INTO message (instance, app, device, id, name, content, encoding, format, topic_kind, topic,
                properties, status, error_code, error_text, created_at, finished_at, expires_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
            RETURNING no";
        let (topic_kind, topic) = words::topic_columns(&new.topic);
        let (error_code, error_text) = new.error.as_ref().map(|(code, text)| (code, text)).unzip();
        let params: Params<'_> = &[
            &INSTANCE,
            &app,
            &new.device.0,
            &new.id,
            &new.name,
            &new.content,
            &words::encoding_word(new.encoding),
            &words::format_word(new.format),
            &topic_kind,
            &topic,
            &new.properties,
            &new.status.as_str(),
            &error_code,
            &error_text,
            &new.created_at.0,
            &new.finished_at.map(|t| t.0),
            &new.expires_at.0,
        ];
        let stored = row(&transaction, sql, params).await.map_err(|e| {
            let taken = "A message with this id exists at the device. Choose another one.";
            db_or(e, &SqlState::UNIQUE_VIOLATION, Code::MessageExists, taken)
        })?;
        let no: i64 = stored.as_ref().map_or_else(|| Err(Error::internal("an insert returned nothing")), first)?;
        let surplus = "DELETE FROM message WHERE no IN (
            SELECT no FROM message WHERE device = $1 AND no <> $2
            ORDER BY status <> 'PENDING', no DESC OFFSET greatest($3::bigint - 1, 0))";
        run(&transaction, surplus, &[&new.device.0, &no, &i64::from(keep)]).await.map_err(db)?;
        outbox::insert(&transaction, &deliveries).await.map_err(db)?;
        transaction.commit().await.map_err(db)?;
        if !deliveries.is_empty() {
            self.signals.raise(deliveries.iter().map(|d| d.target));
        }
        Ok(DeviceMessage { no, ..new })
    }

    async fn messages(&self, device: DeviceNo) -> Result<Vec<DeviceMessage>> {
        let client = self.client().await?;
        let sql = format!("SELECT {COLUMNS} FROM message m WHERE m.device = $1 ORDER BY m.no DESC");
        rows(&client, &sql, &[&device.0]).await.map_err(db)?.iter().map(whole).collect()
    }

    async fn message(&self, device: DeviceNo, id: &str) -> Result<Option<DeviceMessage>> {
        let client = self.client().await?;
        let sql = format!("SELECT {COLUMNS} FROM message m WHERE m.device = $1 AND m.id = $2");
        row(&client, &sql, &[&device.0, &id]).await.map_err(db)?.as_ref().map(whole).transpose()
    }

    async fn delete_message(&self, device: DeviceNo, id: &str) -> Result<bool> {
        let client = self.client().await?;
        let sql = "DELETE FROM message WHERE device = $1 AND id = $2";
        Ok(run(&client, sql, &[&device.0, &id]).await.map_err(db)? > 0)
    }

    async fn pending_messages(&self, device: DeviceNo, now: Timestamp) -> Result<Vec<DeviceMessage>> {
        let client = self.client().await?;
        let sql = format!(
            "SELECT {COLUMNS} FROM message m WHERE m.device = $1 AND m.status = 'PENDING' AND m.expires_at >= $2
            ORDER BY m.no"
        );
        rows(&client, &sql, &[&device.0, &now.0]).await.map_err(db)?.iter().map(whole).collect()
    }

    async fn expired_messages(&self, now: Timestamp, limit: u32) -> Result<Vec<(DeviceId, DeviceMessage)>> {
        let client = self.client().await?;
        let sql = format!(
            "SELECT d.id, {COLUMNS} FROM message m JOIN device d ON d.no = m.device
            WHERE m.instance = $1 AND m.status = 'PENDING' AND m.expires_at < $2 ORDER BY m.expires_at, m.no LIMIT $3"
        );
        let rows = rows(&client, &sql, &[&INSTANCE, &now.0, &i64::from(limit)]).await.map_err(db)?;
        rows.iter()
            .map(|row| {
                let mut c = Columns::of(row);
                Ok((DeviceId::trusted(c.take::<String>()?), message(&mut c)?))
            })
            .collect()
    }
}
