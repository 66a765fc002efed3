//! Users, groups, policies and access keys.
//!
//! Whatever checks a limit, a name or that an administrator is left locks `iam_user` against other writers first: such
//! changes are rare, and two of them at once must not pass a check together.

use async_trait::async_trait;
use causeway_model::registry::Sealed;
use causeway_model::{Code, Error, Result, Timestamp};
use causeway_platform::iam::{
    ADMIN_GROUP, AccessKey, AccessMode, CustomPolicy, GrantScope, Granted, IamStore, PolicyContent, User, UserChange,
    UserGroup, UserProfile,
};
use deadpool_postgres::{GenericClient, Object, Transaction};
use tokio_postgres::Row;
use tokio_postgres::error::SqlState;

use super::connection::{Columns, Params, db, db_or, first, row, rows, run};
use super::{INSTANCE, PostgresStore};
use crate::iam::{self, Limit};

macro_rules! user_sql {
    ($tail:literal) => {
        concat!(
            "SELECT no, id, name, password_hash, description, email, areacode, phone, access, password_is_first, enabled,
                epoch, created_at, password_at FROM iam_user ",
            $tail
        )
    };
}

macro_rules! group_sql {
    ($tail:literal) => {
        concat!("SELECT no, id, name, description, created_at FROM iam_group ", $tail)
    };
}

macro_rules! policy_sql {
    ($tail:literal) => {
        concat!(
            "SELECT no, id, display_name, kind, description, description_cn, document, created_at, updated_at
                FROM iam_policy ",
            $tail
        )
    };
}

macro_rules! key_sql {
    ($tail:literal) => {
        concat!("SELECT ak, sk, iam_user, active, description, created_at FROM access_key ", $tail)
    };
}

fn read_user(row: &Row) -> Result<User> {
    let mut c = Columns::of(row);
    Ok(User {
        no: c.take()?,
        id: c.take()?,
        name: c.take()?,
        password_hash: Some(c.take::<String>()?).filter(|h| !h.is_empty()),
        profile: UserProfile {
            description: c.take()?,
            email: c.take()?,
            areacode: c.take()?,
            phone: c.take()?,
            access: AccessMode::parse(c.take()?).unwrap_or_default(),
            password_is_first: c.take()?,
        },
        enabled: c.take()?,
        epoch: c.take()?,
        created_at: Timestamp(c.take()?),
        password_at: Timestamp(c.take()?),
    })
}

fn read_group(row: &Row) -> Result<UserGroup> {
    let mut c = Columns::of(row);
    Ok(UserGroup {
        no: c.take()?,
        id: c.take()?,
        name: c.take()?,
        description: c.take()?,
        created_at: Timestamp(c.take()?),
    })
}

fn read_policy(row: &Row) -> Result<CustomPolicy> {
    let mut c = Columns::of(row);
    Ok(CustomPolicy {
        no: c.take()?,
        id: c.take()?,
        content: PolicyContent {
            display_name: c.take()?,
            kind: c.take()?,
            description: c.take()?,
            description_cn: c.take()?,
            document: c.take()?,
        },
        created_at: Timestamp(c.take()?),
        updated_at: Timestamp(c.take()?),
    })
}

fn read_key(row: &Row) -> Result<AccessKey> {
    let mut c = Columns::of(row);
    Ok(AccessKey {
        ak: c.take()?,
        sk: Sealed(c.take::<Vec<u8>>()?.into()),
        user: c.take()?,
        active: c.take()?,
        description: c.take()?,
        created_at: Timestamp(c.take()?),
    })
}

/// The row of a query that has one at most.
async fn one<C: GenericClient, T>(
    client: &C,
    sql: &str,
    params: Params<'_>,
    read: fn(&Row) -> Result<T>,
) -> Result<Option<T>> {
    row(client, sql, params).await.map_err(db)?.as_ref().map(read).transpose()
}

/// All rows of a query.
async fn all<C: GenericClient, T>(
    client: &C,
    sql: &str,
    params: Params<'_>,
    read: fn(&Row) -> Result<T>,
) -> Result<Vec<T>> {
    rows(client, sql, params).await.map_err(db)?.iter().map(read).collect()
}

async fn exists<C: GenericClient>(client: &C, sql: &str, params: Params<'_>) -> Result<bool> {
    Ok(row(client, sql, params).await.map_err(db)?.is_some())
}

async fn touch<C: GenericClient>(client: &C, sql: &str, params: Params<'_>) -> Result<bool> {
    Ok(run(client, sql, params).await.map_err(db)? > 0)
}

/// Begins a transaction that no other of this kind runs beside.
async fn alone(client: &mut Object) -> Result<Transaction<'_>> {
    let transaction = client.transaction().await.map_err(db)?;
    run(&transaction, "LOCK TABLE iam_user IN SHARE ROW EXCLUSIVE MODE", &[]).await.map_err(db)?;
    Ok(transaction)
}

async fn check_limit<C: GenericClient>(client: &C, sql: &str, params: Params<'_>, limit: Limit) -> Result<()> {
    let found = row(client, sql, params).await.map_err(db)?;
    limit.check(found.as_ref().map_or(Ok(0), first::<i64>)?)
}

/// Refuses when nobody who is enabled is left in the group of administrators.
async fn check_administrators<C: GenericClient>(client: &C) -> Result<()> {
    let deserted = "SELECT 1 FROM iam_group g WHERE g.instance = $1 AND g.name = $2 AND NOT EXISTS
        (SELECT 1 FROM iam_member m JOIN iam_user u ON u.no = m.iam_user AND u.enabled WHERE m.iam_group = g.no)";
    if exists(client, deserted, &[&INSTANCE, &ADMIN_GROUP]).await? { Err(iam::last_administrator()) } else { Ok(()) }
}

async fn insert_group<C: GenericClient>(client: &C, group: &UserGroup) -> Result<i64> {
    let sql =
        "INSERT INTO iam_group (instance, id, name, description, created_at) VALUES ($1, $2, $3, $4, $5) RETURNING no";
    let made = row(client, sql, &[&INSTANCE, &group.id, &group.name, &group.description, &group.created_at.0])
        .await
        .map_err(|e| unique(e, || iam::group_exists(&group.name)))?;
    made.as_ref().map_or_else(|| Err(Error::internal("an insert returned nothing")), first)
}

async fn insert_user<C: GenericClient>(client: &C, user: &User) -> Result<i64> {
    let sql = "INSERT INTO iam_user (instance, id, name, password_hash, description, email, areacode, phone, access,
        password_is_first, enabled, epoch, created_at, password_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) RETURNING no";
    let profile = &user.profile;
    let params: Params<'_> = &[
        &INSTANCE,
        &user.id,
        &user.name,
        &user.password_hash.as_deref().unwrap_or_default(),
        &profile.description,
        &profile.email,
        &profile.areacode,
        &profile.phone,
        &profile.access.as_str(),
        &profile.password_is_first,
        &user.enabled,
        &user.epoch,
        &user.created_at.0,
        &user.password_at.0,
    ];
    let made = row(client, sql, params).await.map_err(|e| unique(e, || iam::user_exists(&user.name)))?;
    made.as_ref().map_or_else(|| Err(Error::internal("an insert returned nothing")), first)
}

async fn insert_key<C: GenericClient>(client: &C, key: &AccessKey) -> Result<()> {
    let sql = "INSERT INTO access_key (ak, instance, iam_user, sk, active, description, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7)";
    let params: Params<'_> =
        &[&key.ak, &INSTANCE, &key.user, &&*key.sk.0, &key.active, &key.description, &key.created_at.0];
    run(client, sql, params).await.map_err(|e| {
        let taken = "Invalid input. An access key with this id exists.";
        db_or(e, &SqlState::UNIQUE_VIOLATION, Code::InvalidInput, taken)
    })?;
    Ok(())
}

/// What a statement means that breaks a unique name.
fn unique(error: tokio_postgres::Error, taken: impl FnOnce() -> Error) -> Error {
    if error.code() == Some(&SqlState::UNIQUE_VIOLATION) { taken() } else { db(error) }
}

#[async_trait]
impl IamStore for PostgresStore {
    async fn ensure_admin_group(&self, group: &UserGroup) -> Result<bool> {
        let mut client = self.client().await?;
        let there = "SELECT 1 FROM iam_group WHERE instance = $1 AND name = $2";
        let transaction = alone(&mut client).await?;
        if exists(&transaction, there, &[&INSTANCE, &group.name]).await? {
            return Ok(false);
        }
        let no = insert_group(&transaction, group).await?;
        let sql = "INSERT INTO iam_member (iam_group, iam_user, instance)
            SELECT $1, no, instance FROM iam_user WHERE instance = $2";
        run(&transaction, sql, &[&no, &INSTANCE]).await.map_err(db)?;
        transaction.commit().await.map_err(db)?;
        Ok(true)
    }

    async fn insert_first_user(&self, user: User, group: i64, mut key: AccessKey) -> Result<bool> {
        let mut client = self.client().await?;
        let transaction = alone(&mut client).await?;
        if exists(&transaction, "SELECT 1 FROM iam_user WHERE instance = $1 LIMIT 1", &[&INSTANCE]).await? {
            return Ok(false);
        }
        key.user = insert_user(&transaction, &user).await?;
        insert_key(&transaction, &key).await?;
        let sql = "INSERT INTO iam_member (iam_group, iam_user, instance) VALUES ($1, $2, $3)";
        run(&transaction, sql, &[&group, &key.user, &INSTANCE]).await.map_err(db)?;
        transaction.commit().await.map_err(db)?;
        Ok(true)
    }

    async fn insert_user(&self, mut user: User, limit: u32) -> Result<User> {
        let mut client = self.client().await?;
        let transaction = alone(&mut client).await?;
        let count = "SELECT count(*) FROM iam_user WHERE instance = $1";
        check_limit(&transaction, count, &[&INSTANCE], Limit::Users(limit)).await?;
        user.no = insert_user(&transaction, &user).await?;
        transaction.commit().await.map_err(db)?;
        Ok(user)
    }

    async fn user(&self, name: &str) -> Result<Option<User>> {
        let sql = user_sql!("WHERE instance = $1 AND name = $2");
        one(&self.client().await?, sql, &[&INSTANCE, &name], read_user).await
    }

    async fn user_by_id(&self, id: &str) -> Result<Option<User>> {
        let sql = user_sql!("WHERE instance = $1 AND id = $2");
        one(&self.client().await?, sql, &[&INSTANCE, &id], read_user).await
    }

    async fn users(&self) -> Result<Vec<User>> {
        all(&self.client().await?, user_sql!("WHERE instance = $1 ORDER BY no"), &[&INSTANCE], read_user).await
    }

    async fn change_user(&self, no: i64, change: UserChange) -> Result<Option<User>> {
        let mut client = self.client().await?;
        let transaction = alone(&mut client).await?;
        let found = one(&transaction, user_sql!("WHERE no = $1"), &[&no], read_user).await?;
        let Some(user) = found.map(|u| change.applied(u)) else { return Ok(None) };
        let sql = "UPDATE iam_user SET name = $2, password_hash = $3, description = $4, email = $5, areacode = $6,
            phone = $7, access = $8, password_is_first = $9, enabled = $10, epoch = $11, password_at = $12 WHERE no = $1";
        let profile = &user.profile;
        let params: Params<'_> = &[
            &no,
            &user.name,
            &user.password_hash.as_deref().unwrap_or_default(),
            &profile.description,
            &profile.email,
            &profile.areacode,
            &profile.phone,
            &profile.access.as_str(),
            &profile.password_is_first,
            &user.enabled,
            &user.epoch,
            &user.password_at.0,
        ];
        run(&transaction, sql, params).await.map_err(|e| unique(e, || iam::user_exists(&user.name)))?;
        if !user.enabled {
            check_administrators(&transaction).await?;
        }
        transaction.commit().await.map_err(db)?;
        Ok(Some(user))
    }

    async fn delete_user(&self, no: i64) -> Result<bool> {
        let mut client = self.client().await?;
        let transaction = alone(&mut client).await?;
        // Keys and memberships go with it.
        if !touch(&transaction, "DELETE FROM iam_user WHERE no = $1 AND instance = $2", &[&no, &INSTANCE]).await? {
            return Ok(false);
        }
        check_administrators(&transaction).await?;
        transaction.commit().await.map_err(db)?;
        Ok(true)
    }

    async fn standing(&self, no: i64) -> Result<Option<(User, Vec<Granted>)>> {
        let client = self.client().await?;
        let Some(user) = one(&client, user_sql!("WHERE no = $1"), &[&no], read_user).await? else { return Ok(None) };
        let sql = "SELECT DISTINCT g.policy, p.document FROM iam_member m JOIN iam_grant g ON g.iam_group = m.iam_group
            LEFT JOIN iam_policy p ON p.instance = g.instance AND p.id = g.policy WHERE m.iam_user = $1 ORDER BY g.policy";
        let read = |row: &Row| {
            let mut c = Columns::of(row);
            Ok(Granted { policy: c.take()?, document: c.take()? })
        };
        let granted = all(&client, sql, &[&no], read).await?;
        Ok(Some((user, granted)))
    }

    async fn insert_user_group(&self, mut group: UserGroup, limit: u32) -> Result<UserGroup> {
        let mut client = self.client().await?;
        let transaction = alone(&mut client).await?;
        let count = "SELECT count(*) FROM iam_group WHERE instance = $1";
        check_limit(&transaction, count, &[&INSTANCE], Limit::Groups(limit)).await?;
        group.no = insert_group(&transaction, &group).await?;
        transaction.commit().await.map_err(db)?;
        Ok(group)
    }

    async fn user_group(&self, id: &str) -> Result<Option<UserGroup>> {
        let sql = group_sql!("WHERE instance = $1 AND id = $2");
        one(&self.client().await?, sql, &[&INSTANCE, &id], read_group).await
    }

    async fn user_groups(&self) -> Result<Vec<UserGroup>> {
        all(&self.client().await?, group_sql!("WHERE instance = $1 ORDER BY no"), &[&INSTANCE], read_group).await
    }

    async fn change_user_group(
        &self,
        no: i64,
        name: Option<String>,
        description: Option<String>,
    ) -> Result<Option<UserGroup>> {
        let sql =
            "UPDATE iam_group SET name = coalesce($2, name), description = coalesce($3, description) WHERE no = $1
            RETURNING no, id, name, description, created_at";
        row(&self.client().await?, sql, &[&no, &name, &description])
            .await
            .map_err(|e| unique(e, || iam::group_exists(name.as_deref().unwrap_or_default())))?
            .as_ref()
            .map(read_group)
            .transpose()
    }

    async fn delete_user_group(&self, no: i64) -> Result<bool> {
        let sql = "DELETE FROM iam_group WHERE no = $1 AND instance = $2";
        touch(&self.client().await?, sql, &[&no, &INSTANCE]).await
    }

    async fn add_member(&self, group: i64, user: i64) -> Result<bool> {
        let mut client = self.client().await?;
        let transaction = alone(&mut client).await?;
        let found = "SELECT 1 FROM iam_group g, iam_user u WHERE g.no = $1 AND u.no = $2 FOR KEY SHARE OF g";
        if !exists(&transaction, found, &[&group, &user]).await? {
            return Ok(false);
        }
        let sql = "INSERT INTO iam_member (iam_group, iam_user, instance) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
        run(&transaction, sql, &[&group, &user, &INSTANCE]).await.map_err(db)?;
        transaction.commit().await.map_err(db)?;
        Ok(true)
    }

    async fn remove_member(&self, group: i64, user: i64) -> Result<bool> {
        let mut client = self.client().await?;
        let transaction = alone(&mut client).await?;
        let sql = "DELETE FROM iam_member WHERE iam_group = $1 AND iam_user = $2";
        if !touch(&transaction, sql, &[&group, &user]).await? {
            return Ok(false);
        }
        check_administrators(&transaction).await?;
        transaction.commit().await.map_err(db)?;
        Ok(true)
    }

    async fn members(&self, group: i64) -> Result<Vec<User>> {
        let sql = user_sql!("WHERE no IN (SELECT iam_user FROM iam_member WHERE iam_group = $1) ORDER BY no");
        all(&self.client().await?, sql, &[&group], read_user).await
    }

    async fn groups_of(&self, user: i64) -> Result<Vec<UserGroup>> {
        let sql = group_sql!("WHERE no IN (SELECT iam_group FROM iam_member WHERE iam_user = $1) ORDER BY no");
        all(&self.client().await?, sql, &[&user], read_group).await
    }

    async fn insert_custom_policy(&self, mut policy: CustomPolicy, limit: u32) -> Result<CustomPolicy> {
        let mut client = self.client().await?;
        let transaction = alone(&mut client).await?;
        let count = "SELECT count(*) FROM iam_policy WHERE instance = $1";
        check_limit(&transaction, count, &[&INSTANCE], Limit::Policies(limit)).await?;
        let sql = "INSERT INTO iam_policy (instance, id, display_name, kind, description, description_cn, document,
            created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING no";
        let content = &policy.content;
        let params: Params<'_> = &[
            &INSTANCE,
            &policy.id,
            &content.display_name,
            &content.kind,
            &content.description,
            &content.description_cn,
            &content.document,
            &policy.created_at.0,
            &policy.updated_at.0,
        ];
        let made = row(&transaction, sql, params)
            .await
            .map_err(|e| unique(e, || iam::policy_exists(&content.display_name)))?;
        policy.no = made.as_ref().map_or_else(|| Err(Error::internal("an insert returned nothing")), first)?;
        transaction.commit().await.map_err(db)?;
        Ok(policy)
    }

    async fn custom_policy(&self, id: &str) -> Result<Option<CustomPolicy>> {
        let sql = policy_sql!("WHERE instance = $1 AND id = $2");
        one(&self.client().await?, sql, &[&INSTANCE, &id], read_policy).await
    }

    async fn custom_policies(&self) -> Result<Vec<CustomPolicy>> {
        all(&self.client().await?, policy_sql!("WHERE instance = $1 ORDER BY no"), &[&INSTANCE], read_policy).await
    }

    async fn change_custom_policy(
        &self,
        no: i64,
        content: PolicyContent,
        at: Timestamp,
    ) -> Result<Option<CustomPolicy>> {
        let sql = "UPDATE iam_policy SET display_name = $2, kind = $3, description = $4, description_cn = $5,
            document = $6, updated_at = $7 WHERE no = $1
            RETURNING no, id, display_name, kind, description, description_cn, document, created_at, updated_at";
        let params: Params<'_> = &[
            &no,
            &content.display_name,
            &content.kind,
            &content.description,
            &content.description_cn,
            &content.document,
            &at.0,
        ];
        row(&self.client().await?, sql, params)
            .await
            .map_err(|e| unique(e, || iam::policy_exists(&content.display_name)))?
            .as_ref()
            .map(read_policy)
            .transpose()
    }

    async fn delete_custom_policy(&self, no: i64) -> Result<bool> {
        let mut client = self.client().await?;
        let transaction = alone(&mut client).await?;
        let granted = "SELECT 1 FROM iam_grant g JOIN iam_policy p ON p.id = g.policy WHERE p.no = $1 LIMIT 1";
        if exists(&transaction, granted, &[&no]).await? {
            return Err(iam::policy_in_use());
        }
        let sql = "DELETE FROM iam_policy WHERE no = $1 AND instance = $2";
        let gone = touch(&transaction, sql, &[&no, &INSTANCE]).await?;
        transaction.commit().await.map_err(db)?;
        Ok(gone)
    }

    async fn grant(&self, group: i64, policy: &str, custom: bool, scope: GrantScope) -> Result<bool> {
        let mut client = self.client().await?;
        let transaction = alone(&mut client).await?;
        let found = "SELECT 1 FROM iam_policy WHERE instance = $1 AND id = $2";
        if custom && !exists(&transaction, found, &[&INSTANCE, &policy]).await?
            || !exists(&transaction, "SELECT 1 FROM iam_group WHERE no = $1 FOR KEY SHARE", &[&group]).await?
        {
            return Ok(false);
        }
        let sql = "INSERT INTO iam_grant (instance, iam_group, policy, scope) VALUES ($1, $2, $3, $4)
            ON CONFLICT DO NOTHING";
        run(&transaction, sql, &[&INSTANCE, &group, &policy, &scope.as_str()]).await.map_err(db)?;
        transaction.commit().await.map_err(db)?;
        Ok(true)
    }

    async fn revoke(&self, group: i64, policy: &str, scope: GrantScope) -> Result<bool> {
        let sql = "DELETE FROM iam_grant WHERE iam_group = $1 AND policy = $2 AND scope = $3";
        touch(&self.client().await?, sql, &[&group, &policy, &scope.as_str()]).await
    }

    async fn grants(&self, group: i64, scope: GrantScope) -> Result<Vec<String>> {
        let sql = "SELECT policy FROM iam_grant WHERE iam_group = $1 AND scope = $2 ORDER BY no";
        all(&self.client().await?, sql, &[&group, &scope.as_str()], |row| first(row)).await
    }

    async fn grant_count(&self, policy: &str) -> Result<u64> {
        let sql = "SELECT count(DISTINCT iam_group) FROM iam_grant WHERE instance = $1 AND policy = $2";
        let count = one(&self.client().await?, sql, &[&INSTANCE, &policy], |row| first::<i64>(row)).await?;
        Ok(count.and_then(|c| u64::try_from(c).ok()).unwrap_or(0))
    }

    async fn insert_access_key(&self, key: &AccessKey, limit: u32) -> Result<()> {
        let mut client = self.client().await?;
        let transaction = alone(&mut client).await?;
        if !exists(&transaction, "SELECT 1 FROM iam_user WHERE no = $1", &[&key.user]).await? {
            return Err(iam::no_such_user());
        }
        let count = "SELECT count(*) FROM access_key WHERE iam_user = $1";
        check_limit(&transaction, count, &[&key.user], Limit::AccessKeys(limit)).await?;
        insert_key(&transaction, key).await?;
        transaction.commit().await.map_err(db)
    }

    async fn access_key(&self, ak: &str) -> Result<Option<AccessKey>> {
        let sql = key_sql!("WHERE instance = $1 AND ak = $2");
        one(&self.client().await?, sql, &[&INSTANCE, &ak], read_key).await
    }

    async fn access_keys(&self, user: i64) -> Result<Vec<AccessKey>> {
        let sql = key_sql!("WHERE iam_user = $1 ORDER BY created_at, ak");
        all(&self.client().await?, sql, &[&user], read_key).await
    }

    async fn change_access_key(
        &self,
        ak: &str,
        active: Option<bool>,
        description: Option<String>,
    ) -> Result<Option<AccessKey>> {
        let sql = "UPDATE access_key SET active = coalesce($3, active), description = coalesce($4, description)
            WHERE instance = $1 AND ak = $2 RETURNING ak, sk, iam_user, active, description, created_at";
        one(&self.client().await?, sql, &[&INSTANCE, &ak, &active, &description], read_key).await
    }

    async fn delete_access_key(&self, ak: &str) -> Result<bool> {
        let sql = "DELETE FROM access_key WHERE instance = $1 AND ak = $2";
        touch(&self.client().await?, sql, &[&INSTANCE, &ak]).await
    }
}
