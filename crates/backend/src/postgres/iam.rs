//! Users and access keys.

use async_trait::async_trait;
use causeway_model::registry::Sealed;
use causeway_model::{Code, Error, Result, Timestamp};
use causeway_platform::iam::{AccessKey, IamStore, User};
use tokio_postgres::Row;
use tokio_postgres::error::SqlState;

use super::connection::{Columns, db, db_or, row, run};
use super::{INSTANCE, PostgresStore};

fn user(row: &Row) -> Result<User> {
    let mut c = Columns::of(row);
    Ok(User { no: c.take()?, name: c.take()?, password_hash: c.take()?, created_at: Timestamp(c.take()?) })
}

#[async_trait]
impl IamStore for PostgresStore {
    async fn insert_user(&self, new: User) -> Result<User> {
        let client = self.client().await?;
        let sql = "INSERT INTO iam_user (instance, name, password_hash, created_at) VALUES ($1, $2, $3, $4)
            RETURNING no, name, password_hash, created_at";
        row(&client, sql, &[&INSTANCE, &new.name, &new.password_hash, &new.created_at.0])
            .await
            .map_err(|e| {
                let taken = "Invalid input. A user with this name exists.";
                db_or(e, &SqlState::UNIQUE_VIOLATION, Code::InvalidInput, taken)
            })?
            .as_ref()
            .map_or_else(|| Err(Error::internal("an insert returned nothing")), user)
    }

    async fn user(&self, name: &str) -> Result<Option<User>> {
        let client = self.client().await?;
        let sql = "SELECT no, name, password_hash, created_at FROM iam_user WHERE instance = $1 AND name = $2";
        row(&client, sql, &[&INSTANCE, &name]).await.map_err(db)?.as_ref().map(user).transpose()
    }

    async fn insert_access_key(&self, key: &AccessKey) -> Result<()> {
        let client = self.client().await?;
        let sql = "INSERT INTO access_key (ak, instance, iam_user, sk, created_at) VALUES ($1, $2, $3, $4, $5)";
        run(&client, sql, &[&key.ak, &INSTANCE, &key.user, &&*key.sk.0, &key.created_at.0]).await.map_err(|e| {
            let taken = "Invalid input. An access key with this id exists.";
            db_or(e, &SqlState::UNIQUE_VIOLATION, Code::InvalidInput, taken)
        })?;
        Ok(())
    }

    async fn access_key(&self, ak: &str) -> Result<Option<AccessKey>> {
        let client = self.client().await?;
        let sql = "SELECT ak, sk, iam_user, created_at FROM access_key WHERE instance = $1 AND ak = $2";
        let Some(row) = row(&client, sql, &[&INSTANCE, &ak]).await.map_err(db)? else { return Ok(None) };
        let mut c = Columns::of(&row);
        Ok(Some(AccessKey {
            ak: c.take()?,
            sk: Sealed(c.take::<Vec<u8>>()?.into()),
            user: c.take()?,
            created_at: Timestamp(c.take()?),
        }))
    }
}
