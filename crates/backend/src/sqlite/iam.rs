//! Users and access keys.

use async_trait::async_trait;
use causeway_model::registry::Sealed;
use causeway_model::{Error, Result, Timestamp};
use causeway_platform::iam::{AccessKey, IamStore, User};
use rusqlite::{OptionalExtension, params};

use super::{INSTANCE, SqliteStore};

#[async_trait]
impl IamStore for SqliteStore {
    async fn insert_user(&self, mut user: User) -> Result<User> {
        self.write(move |tx| {
            let taken = tx
                .conn
                .prepare_cached("SELECT 1 FROM user WHERE instance = ?1 AND name = ?2")?
                .exists(params![INSTANCE, user.name])?;
            if taken {
                return Err(Error::invalid(format!("Invalid input. The user name '{}' is taken.", user.name)).into());
            }
            tx.conn
                .prepare_cached("INSERT INTO user (instance, name, password_hash, created_at) VALUES (?1, ?2, ?3, ?4)")?
                .execute(params![INSTANCE, user.name, user.password_hash, user.created_at.0])?;
            user.no = tx.conn.last_insert_rowid();
            Ok(user)
        })
        .await
    }

    async fn user(&self, name: &str) -> Result<Option<User>> {
        let name = name.to_owned();
        self.read(move |conn| {
            let user = conn
                .prepare_cached(
                    "SELECT no, name, password_hash, created_at FROM user WHERE instance = ?1 AND name = ?2",
                )?
                .query_row(params![INSTANCE, name], |row| {
                    Ok(User {
                        no: row.get(0)?,
                        name: row.get(1)?,
                        password_hash: row.get(2)?,
                        created_at: Timestamp(row.get(3)?),
                    })
                })
                .optional()?;
            Ok(user)
        })
        .await
    }

    async fn insert_access_key(&self, key: &AccessKey) -> Result<()> {
        let key = key.clone();
        self.write(move |tx| {
            let taken = tx.conn.prepare_cached("SELECT 1 FROM access_key WHERE ak = ?1")?.exists([&key.ak])?;
            if taken {
                return Err(Error::invalid("Invalid input. The access key exists.").into());
            }
            tx.conn
                .prepare_cached(
                    "INSERT INTO access_key (ak, instance, sk, user, created_at) VALUES (?1, ?2, ?3, ?4, ?5)",
                )?
                .execute(params![key.ak, INSTANCE, &*key.sk.0, key.user, key.created_at.0])?;
            Ok(())
        })
        .await
    }

    async fn access_key(&self, ak: &str) -> Result<Option<AccessKey>> {
        let ak = ak.to_owned();
        self.read(move |conn| {
            let key = conn
                .prepare_cached("SELECT ak, sk, user, created_at FROM access_key WHERE ak = ?1")?
                .query_row([ak], |row| {
                    Ok(AccessKey {
                        ak: row.get(0)?,
                        sk: Sealed(row.get::<_, Vec<u8>>(1)?.into()),
                        user: row.get(2)?,
                        created_at: Timestamp(row.get(3)?),
                    })
                })
                .optional()?;
            Ok(key)
        })
        .await
    }
}
