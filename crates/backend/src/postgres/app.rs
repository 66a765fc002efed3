//! Spaces.

use async_trait::async_trait;
use causeway_model::registry::App;
use causeway_model::{AppId, Code, Error, RecordNo, Result, Timestamp};
use causeway_platform::app::AppStore;
use tokio_postgres::Row;
use tokio_postgres::error::SqlState;

use super::connection::{Columns, db, db_or, first, row, rows, run};
use super::{INSTANCE, LockClass, PostgresStore, lock, policy};

const NAME_TAKEN: &str = "Invalid input. A resource space with this name exists.";

fn app(row: &Row) -> Result<App> {
    let mut c = Columns::of(row);
    Ok(App {
        no: RecordNo(c.take()?),
        id: AppId::trusted(c.take::<String>()?),
        name: c.take()?,
        created_at: Timestamp(c.take()?),
        is_default: c.take()?,
    })
}

#[async_trait]
impl AppStore for PostgresStore {
    async fn insert_app(&self, new: App, limit: u32) -> Result<App> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(db)?;
        // Two spaces made at once must not pass the limit together. Reading goes on.
        run(&transaction, "LOCK TABLE app IN SHARE ROW EXCLUSIVE MODE", &[]).await.map_err(db)?;
        let count =
            row(&transaction, "SELECT count(*) FROM app WHERE instance = $1", &[&INSTANCE]).await.map_err(db)?;
        if count.as_ref().map_or(Ok(0), first::<i64>)? >= i64::from(limit) {
            return Err(Error::new(
                Code::TooManyApps,
                format!("The number of resource spaces has reached its limit, {limit}. Delete one first."),
            ));
        }
        let sql = "INSERT INTO app (instance, id, name, is_default, created_at) VALUES ($1, $2, $3, $4, $5)
            RETURNING no, id, name, created_at, is_default";
        let stored =
            row(&transaction, sql, &[&INSTANCE, &new.id.as_str(), &new.name, &new.is_default, &new.created_at.0])
                .await
                .map_err(|e| db_or(e, &SqlState::UNIQUE_VIOLATION, Code::InvalidApp, NAME_TAKEN))?;
        let stored = stored.as_ref().map_or_else(|| Err(Error::internal("an insert returned nothing")), app)?;
        policy::insert_default(&transaction, stored.no.0, stored.created_at).await?;
        transaction.commit().await.map_err(db)?;
        Ok(stored)
    }

    async fn apps(&self) -> Result<Vec<App>> {
        let client = self.client().await?;
        let sql = "SELECT no, id, name, created_at, is_default FROM app WHERE instance = $1 ORDER BY no";
        rows(&client, sql, &[&INSTANCE]).await.map_err(db)?.iter().map(app).collect()
    }

    async fn app(&self, id: &AppId) -> Result<Option<App>> {
        let client = self.client().await?;
        let sql = "SELECT no, id, name, created_at, is_default FROM app WHERE instance = $1 AND id = $2";
        row(&client, sql, &[&INSTANCE, &id.as_str()]).await.map_err(db)?.as_ref().map(app).transpose()
    }

    async fn rename_app(&self, id: &AppId, name: &str) -> Result<Option<App>> {
        let client = self.client().await?;
        let sql = "UPDATE app SET name = $3 WHERE instance = $1 AND id = $2
            RETURNING no, id, name, created_at, is_default";
        row(&client, sql, &[&INSTANCE, &id.as_str(), &name])
            .await
            .map_err(|e| db_or(e, &SqlState::UNIQUE_VIOLATION, Code::InvalidApp, NAME_TAKEN))?
            .as_ref()
            .map(app)
            .transpose()
    }

    async fn delete_app(&self, id: &AppId) -> Result<bool> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(db)?;
        lock(&transaction, LockClass::Delete).await.map_err(db)?;
        let sql = "SELECT no FROM app WHERE instance = $1 AND id = $2 FOR UPDATE";
        let Some(found) = row(&transaction, sql, &[&INSTANCE, &id.as_str()]).await.map_err(db)? else {
            return Ok(false);
        };
        let no: i64 = first(&found)?;
        let purge =
            "INSERT INTO history_purge (device, instance, app) SELECT no, instance, app FROM device WHERE app = $1";
        run(&transaction, purge, &[&no]).await.map_err(db)?;
        // Shadows, messages, sessions, retained messages, tokens and topics go with their owners.
        for sql in ["DELETE FROM device WHERE app = $1", "DELETE FROM product WHERE app = $1"] {
            run(&transaction, sql, &[&no]).await.map_err(db)?;
        }
        lock(&transaction, LockClass::Outbox).await.map_err(db)?;
        for sql in [
            "DELETE FROM outbox WHERE target IN (SELECT no FROM target WHERE app = $1)",
            "DELETE FROM push_target WHERE app = $1",
            // Actions go with their rules.
            "DELETE FROM routing_rule WHERE app = $1",
            "DELETE FROM target WHERE app = $1",
            "DELETE FROM app WHERE no = $1",
        ] {
            run(&transaction, sql, &[&no]).await.map_err(db)?;
        }
        transaction.commit().await.map_err(db)?;
        self.purge.notify_one();
        Ok(true)
    }
}
