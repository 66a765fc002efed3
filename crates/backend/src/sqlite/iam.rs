//! Users, groups, policies and access keys.

use async_trait::async_trait;
use causeway_model::registry::Sealed;
use causeway_model::{Code, Error, Result, Timestamp};
use causeway_platform::iam::{
    ADMIN_GROUP, AccessKey, AccessMode, CustomPolicy, GrantScope, Granted, IamStore, PolicyContent, User, UserChange,
    UserGroup, UserProfile,
};
use rusqlite::{Connection, OptionalExtension, Params, Row, params};

use super::error::Outcome;
use super::{INSTANCE, SqliteStore};
use crate::iam::{self, Limit};

macro_rules! user_sql {
    ($tail:literal) => {
        concat!(
            "SELECT no, id, name, password_hash, description, email, areacode, phone, access, password_is_first, enabled,
                epoch, created_at, password_at FROM user ",
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
        concat!("SELECT ak, sk, user, active, description, created_at FROM access_key ", $tail)
    };
}

fn read_user(row: &Row<'_>) -> rusqlite::Result<User> {
    Ok(User {
        no: row.get(0)?,
        id: row.get(1)?,
        name: row.get(2)?,
        password_hash: Some(row.get::<_, String>(3)?).filter(|h| !h.is_empty()),
        profile: UserProfile {
            description: row.get(4)?,
            email: row.get(5)?,
            areacode: row.get(6)?,
            phone: row.get(7)?,
            access: AccessMode::parse(&row.get::<_, String>(8)?).unwrap_or_default(),
            password_is_first: row.get(9)?,
        },
        enabled: row.get(10)?,
        epoch: row.get(11)?,
        created_at: Timestamp(row.get(12)?),
        password_at: Timestamp(row.get(13)?),
    })
}

fn read_group(row: &Row<'_>) -> rusqlite::Result<UserGroup> {
    Ok(UserGroup {
        no: row.get(0)?,
        id: row.get(1)?,
        name: row.get(2)?,
        description: row.get(3)?,
        created_at: Timestamp(row.get(4)?),
    })
}

fn read_policy(row: &Row<'_>) -> rusqlite::Result<CustomPolicy> {
    Ok(CustomPolicy {
        no: row.get(0)?,
        id: row.get(1)?,
        content: PolicyContent {
            display_name: row.get(2)?,
            kind: row.get(3)?,
            description: row.get(4)?,
            description_cn: row.get(5)?,
            document: row.get(6)?,
        },
        created_at: Timestamp(row.get(7)?),
        updated_at: Timestamp(row.get(8)?),
    })
}

fn read_key(row: &Row<'_>) -> rusqlite::Result<AccessKey> {
    Ok(AccessKey {
        ak: row.get(0)?,
        sk: Sealed(row.get::<_, Vec<u8>>(1)?.into()),
        user: row.get(2)?,
        active: row.get(3)?,
        description: row.get(4)?,
        created_at: Timestamp(row.get(5)?),
    })
}

/// The row of a query that has one at most.
fn one<T>(
    conn: &Connection,
    sql: &str,
    params: impl Params,
    read: fn(&Row<'_>) -> rusqlite::Result<T>,
) -> Outcome<Option<T>> {
    Ok(conn.prepare_cached(sql)?.query_row(params, read).optional()?)
}

/// All rows of a query.
fn all<T>(
    conn: &Connection,
    sql: &str,
    params: impl Params,
    read: fn(&Row<'_>) -> rusqlite::Result<T>,
) -> Outcome<Vec<T>> {
    Ok(conn.prepare_cached(sql)?.query_map(params, read)?.collect::<Result<_, _>>()?)
}

fn run(conn: &Connection, sql: &str, params: impl Params) -> Outcome<usize> {
    Ok(conn.prepare_cached(sql)?.execute(params)?)
}

fn exists(conn: &Connection, sql: &str, params: impl Params) -> Outcome<bool> {
    Ok(conn.prepare_cached(sql)?.exists(params)?)
}

fn check_limit(conn: &Connection, sql: &str, owner: i64, limit: Limit) -> Outcome<()> {
    let count: i64 = conn.prepare_cached(sql)?.query_row([owner], |row| row.get(0))?;
    Ok(limit.check(count)?)
}

/// Refuses when nobody who is enabled is left in the group of administrators.
fn check_administrators(conn: &Connection) -> Outcome<()> {
    let deserted = "SELECT 1 FROM iam_group g WHERE g.instance = ?1 AND g.name = ?2 AND NOT EXISTS
        (SELECT 1 FROM iam_member m JOIN user u ON u.no = m.user AND u.enabled WHERE m.iam_group = g.no)";
    if exists(conn, deserted, params![INSTANCE, ADMIN_GROUP])? { Err(iam::last_administrator().into()) } else { Ok(()) }
}

fn user_by_no(conn: &Connection, no: i64) -> Outcome<Option<User>> {
    one(conn, user_sql!("WHERE no = ?1"), [no], read_user)
}

fn check_user_name(conn: &Connection, name: &str, except: i64) -> Outcome<()> {
    let taken = exists(
        conn,
        "SELECT 1 FROM user WHERE instance = ?1 AND name = ?2 AND no <> ?3",
        params![INSTANCE, name, except],
    )?;
    if taken { Err(iam::user_exists(name).into()) } else { Ok(()) }
}

fn check_group_name(conn: &Connection, name: &str, except: i64) -> Outcome<()> {
    let taken = exists(
        conn,
        "SELECT 1 FROM iam_group WHERE instance = ?1 AND name = ?2 AND no <> ?3",
        params![INSTANCE, name, except],
    )?;
    if taken { Err(iam::group_exists(name).into()) } else { Ok(()) }
}

fn check_policy_name(conn: &Connection, name: &str, except: i64) -> Outcome<()> {
    let taken = exists(
        conn,
        "SELECT 1 FROM iam_policy WHERE instance = ?1 AND display_name = ?2 AND no <> ?3",
        params![INSTANCE, name, except],
    )?;
    if taken { Err(iam::policy_exists(name).into()) } else { Ok(()) }
}

fn insert_group(conn: &Connection, group: &UserGroup) -> Outcome<i64> {
    run(
        conn,
        "INSERT INTO iam_group (instance, id, name, description, created_at) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![INSTANCE, group.id, group.name, group.description, group.created_at.0],
    )?;
    Ok(conn.last_insert_rowid())
}

fn insert_user(conn: &Connection, user: &User) -> Outcome<i64> {
    run(
        conn,
        "INSERT INTO user (instance, id, name, password_hash, description, email, areacode, phone, access,
            password_is_first, enabled, epoch, created_at, password_at)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
        params![
            INSTANCE,
            user.id,
            user.name,
            user.password_hash.as_deref().unwrap_or_default(),
            user.profile.description,
            user.profile.email,
            user.profile.areacode,
            user.profile.phone,
            user.profile.access.as_str(),
            user.profile.password_is_first,
            user.enabled,
            user.epoch,
            user.created_at.0,
            user.password_at.0,
        ],
    )?;
    Ok(conn.last_insert_rowid())
}

fn insert_key(conn: &Connection, key: &AccessKey) -> Outcome<()> {
    run(
        conn,
        "INSERT INTO access_key (ak, instance, sk, user, active, description, created_at)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![key.ak, INSTANCE, &*key.sk.0, key.user, key.active, key.description, key.created_at.0],
    )?;
    Ok(())
}

#[async_trait]
impl IamStore for SqliteStore {
    async fn ensure_admin_group(&self, group: &UserGroup) -> Result<bool> {
        let group = group.clone();
        self.write(move |tx| {
            let there = "SELECT 1 FROM iam_group WHERE instance = ?1 AND name = ?2";
            if exists(tx.conn, there, params![INSTANCE, group.name])? {
                return Ok(false);
            }
            let no = insert_group(tx.conn, &group)?;
            run(
                tx.conn,
                "INSERT INTO iam_member (iam_group, user, instance) SELECT ?1, no, instance FROM user WHERE instance = ?2",
                params![no, INSTANCE],
            )?;
            Ok(true)
        })
        .await
    }

    async fn insert_first_user(&self, user: User, group: i64, mut key: AccessKey) -> Result<bool> {
        self.write(move |tx| {
            if exists(tx.conn, "SELECT 1 FROM user WHERE instance = ?1", [INSTANCE])? {
                return Ok(false);
            }
            key.user = insert_user(tx.conn, &user)?;
            insert_key(tx.conn, &key)?;
            run(
                tx.conn,
                "INSERT INTO iam_member (iam_group, user, instance) VALUES (?1, ?2, ?3)",
                [group, key.user, INSTANCE],
            )?;
            Ok(true)
        })
        .await
    }

    async fn insert_user(&self, mut user: User, limit: u32) -> Result<User> {
        self.write(move |tx| {
            check_limit(tx.conn, "SELECT count(*) FROM user WHERE instance = ?1", INSTANCE, Limit::Users(limit))?;
            check_user_name(tx.conn, &user.name, 0)?;
            user.no = insert_user(tx.conn, &user)?;
            Ok(user)
        })
        .await
    }

    async fn user(&self, name: &str) -> Result<Option<User>> {
        let name = name.to_owned();
        self.read(move |conn| {
            one(conn, user_sql!("WHERE instance = ?1 AND name = ?2"), params![INSTANCE, name], read_user)
        })
        .await
    }

    async fn user_by_id(&self, id: &str) -> Result<Option<User>> {
        let id = id.to_owned();
        self.read(move |conn| one(conn, user_sql!("WHERE instance = ?1 AND id = ?2"), params![INSTANCE, id], read_user))
            .await
    }

    async fn users(&self) -> Result<Vec<User>> {
        self.read(|conn| all(conn, user_sql!("WHERE instance = ?1 ORDER BY no"), [INSTANCE], read_user)).await
    }

    async fn change_user(&self, no: i64, change: UserChange) -> Result<Option<User>> {
        self.write(move |tx| {
            let Some(user) = user_by_no(tx.conn, no)? else { return Ok(None) };
            let user = change.applied(user);
            check_user_name(tx.conn, &user.name, no)?;
            run(
                tx.conn,
                "UPDATE user SET name = ?2, password_hash = ?3, description = ?4, email = ?5, areacode = ?6, phone = ?7,
                    access = ?8, password_is_first = ?9, enabled = ?10, epoch = ?11, password_at = ?12 WHERE no = ?1",
                params![
                    no,
                    user.name,
                    user.password_hash.as_deref().unwrap_or_default(),
                    user.profile.description,
                    user.profile.email,
                    user.profile.areacode,
                    user.profile.phone,
                    user.profile.access.as_str(),
                    user.profile.password_is_first,
                    user.enabled,
                    user.epoch,
                    user.password_at.0,
                ],
            )?;
            if !user.enabled {
                check_administrators(tx.conn)?;
            }
            Ok(Some(user))
        })
        .await
    }

    async fn delete_user(&self, no: i64) -> Result<bool> {
        self.write(move |tx| {
            // Keys and memberships go with it.
            if run(tx.conn, "DELETE FROM user WHERE no = ?1 AND instance = ?2", [no, INSTANCE])? == 0 {
                return Ok(false);
            }
            check_administrators(tx.conn)?;
            Ok(true)
        })
        .await
    }

    async fn standing(&self, no: i64) -> Result<Option<(User, Vec<Granted>)>> {
        self.read(move |conn| {
            let Some(user) = user_by_no(conn, no)? else { return Ok(None) };
            let sql = "SELECT DISTINCT g.policy, p.document FROM iam_member m JOIN iam_grant g ON g.iam_group = m.iam_group
                LEFT JOIN iam_policy p ON p.instance = g.instance AND p.id = g.policy WHERE m.user = ?1 ORDER BY g.policy";
            let granted = all(conn, sql, [no], |row| Ok(Granted { policy: row.get(0)?, document: row.get(1)? }))?;
            Ok(Some((user, granted)))
        })
        .await
    }

    async fn insert_user_group(&self, mut group: UserGroup, limit: u32) -> Result<UserGroup> {
        self.write(move |tx| {
            check_limit(tx.conn, "SELECT count(*) FROM iam_group WHERE instance = ?1", INSTANCE, Limit::Groups(limit))?;
            check_group_name(tx.conn, &group.name, 0)?;
            group.no = insert_group(tx.conn, &group)?;
            Ok(group)
        })
        .await
    }

    async fn user_group(&self, id: &str) -> Result<Option<UserGroup>> {
        let id = id.to_owned();
        self.read(move |conn| {
            one(conn, group_sql!("WHERE instance = ?1 AND id = ?2"), params![INSTANCE, id], read_group)
        })
        .await
    }

    async fn user_groups(&self) -> Result<Vec<UserGroup>> {
        self.read(|conn| all(conn, group_sql!("WHERE instance = ?1 ORDER BY no"), [INSTANCE], read_group)).await
    }

    async fn change_user_group(
        &self,
        no: i64,
        name: Option<String>,
        description: Option<String>,
    ) -> Result<Option<UserGroup>> {
        self.write(move |tx| {
            if let Some(name) = &name {
                check_group_name(tx.conn, name, no)?;
            }
            run(
                tx.conn,
                "UPDATE iam_group SET name = coalesce(?2, name), description = coalesce(?3, description) WHERE no = ?1",
                params![no, name, description],
            )?;
            one(tx.conn, group_sql!("WHERE no = ?1"), [no], read_group)
        })
        .await
    }

    async fn delete_user_group(&self, no: i64) -> Result<bool> {
        self.write(move |tx| {
            Ok(run(tx.conn, "DELETE FROM iam_group WHERE no = ?1 AND instance = ?2", [no, INSTANCE])? > 0)
        })
        .await
    }

    async fn add_member(&self, group: i64, user: i64) -> Result<bool> {
        self.write(move |tx| {
            let sql = "SELECT 1 FROM iam_group, user WHERE iam_group.no = ?1 AND user.no = ?2";
            if !exists(tx.conn, sql, [group, user])? {
                return Ok(false);
            }
            run(
                tx.conn,
                "INSERT OR IGNORE INTO iam_member (iam_group, user, instance) VALUES (?1, ?2, ?3)",
                [group, user, INSTANCE],
            )?;
            Ok(true)
        })
        .await
    }

    async fn remove_member(&self, group: i64, user: i64) -> Result<bool> {
        self.write(move |tx| {
            if run(tx.conn, "DELETE FROM iam_member WHERE iam_group = ?1 AND user = ?2", [group, user])? == 0 {
                return Ok(false);
            }
            check_administrators(tx.conn)?;
            Ok(true)
        })
        .await
    }

    async fn members(&self, group: i64) -> Result<Vec<User>> {
        self.read(move |conn| {
            let sql = user_sql!("WHERE no IN (SELECT user FROM iam_member WHERE iam_group = ?1) ORDER BY no");
            all(conn, sql, [group], read_user)
        })
        .await
    }

    async fn groups_of(&self, user: i64) -> Result<Vec<UserGroup>> {
        self.read(move |conn| {
            let sql = group_sql!("WHERE no IN (SELECT iam_group FROM iam_member WHERE user = ?1) ORDER BY no");
            all(conn, sql, [user], read_group)
        })
        .await
    }

    async fn insert_custom_policy(&self, mut policy: CustomPolicy, limit: u32) -> Result<CustomPolicy> {
        self.write(move |tx| {
            let count = "SELECT count(*) FROM iam_policy WHERE instance = ?1";
            check_limit(tx.conn, count, INSTANCE, Limit::Policies(limit))?;
            let content = &policy.content;
            check_policy_name(tx.conn, &content.display_name, 0)?;
            run(
                tx.conn,
                "INSERT INTO iam_policy (instance, id, display_name, kind, description, description_cn, document,
                    created_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                params![
                    INSTANCE,
                    policy.id,
                    content.display_name,
                    content.kind,
                    content.description,
                    content.description_cn,
                    content.document,
                    policy.created_at.0,
                    policy.updated_at.0,
                ],
            )?;
            policy.no = tx.conn.last_insert_rowid();
            Ok(policy)
        })
        .await
    }

    async fn custom_policy(&self, id: &str) -> Result<Option<CustomPolicy>> {
        let id = id.to_owned();
        self.read(move |conn| {
            one(conn, policy_sql!("WHERE instance = ?1 AND id = ?2"), params![INSTANCE, id], read_policy)
        })
        .await
    }

    async fn custom_policies(&self) -> Result<Vec<CustomPolicy>> {
        self.read(|conn| all(conn, policy_sql!("WHERE instance = ?1 ORDER BY no"), [INSTANCE], read_policy)).await
    }

    async fn change_custom_policy(
        &self,
        no: i64,
        content: PolicyContent,
        at: Timestamp,
    ) -> Result<Option<CustomPolicy>> {
        self.write(move |tx| {
            check_policy_name(tx.conn, &content.display_name, no)?;
            run(
                tx.conn,
                "UPDATE iam_policy SET display_name = ?2, kind = ?3, description = ?4, description_cn = ?5, document = ?6,
                    updated_at = ?7 WHERE no = ?1",
                params![
                    no,
                    content.display_name,
                    content.kind,
                    content.description,
                    content.description_cn,
                    content.document,
                    at.0,
                ],
            )?;
            one(tx.conn, policy_sql!("WHERE no = ?1"), [no], read_policy)
        })
        .await
    }

    async fn delete_custom_policy(&self, no: i64) -> Result<bool> {
        self.write(move |tx| {
            let granted = "SELECT 1 FROM iam_grant g JOIN iam_policy p ON p.id = g.policy WHERE p.no = ?1";
            if exists(tx.conn, granted, [no])? {
                return Err(iam::policy_in_use().into());
            }
            Ok(run(tx.conn, "DELETE FROM iam_policy WHERE no = ?1 AND instance = ?2", [no, INSTANCE])? > 0)
        })
        .await
    }

    async fn grant(&self, group: i64, policy: &str, custom: bool, scope: GrantScope) -> Result<bool> {
        let policy = policy.to_owned();
        self.write(move |tx| {
            let found = "SELECT 1 FROM iam_policy WHERE instance = ?1 AND id = ?2";
            if custom && !exists(tx.conn, found, params![INSTANCE, policy])?
                || !exists(tx.conn, "SELECT 1 FROM iam_group WHERE no = ?1", [group])?
            {
                return Ok(false);
            }
            run(
                tx.conn,
                "INSERT OR IGNORE INTO iam_grant (instance, iam_group, policy, scope) VALUES (?1, ?2, ?3, ?4)",
                params![INSTANCE, group, policy, scope.as_str()],
            )?;
            Ok(true)
        })
        .await
    }

    async fn revoke(&self, group: i64, policy: &str, scope: GrantScope) -> Result<bool> {
        let policy = policy.to_owned();
        self.write(move |tx| {
            let sql = "DELETE FROM iam_grant WHERE iam_group = ?1 AND policy = ?2 AND scope = ?3";
            Ok(run(tx.conn, sql, params![group, policy, scope.as_str()])? > 0)
        })
        .await
    }

    async fn grants(&self, group: i64, scope: GrantScope) -> Result<Vec<String>> {
        self.read(move |conn| {
            let sql = "SELECT policy FROM iam_grant WHERE iam_group = ?1 AND scope = ?2 ORDER BY no";
            all(conn, sql, params![group, scope.as_str()], |row| row.get(0))
        })
        .await
    }

    async fn grant_count(&self, policy: &str) -> Result<u64> {
        let policy = policy.to_owned();
        self.read(move |conn| {
            let sql = "SELECT count(DISTINCT iam_group) FROM iam_grant WHERE instance = ?1 AND policy = ?2";
            let count: i64 = conn.prepare_cached(sql)?.query_row(params![INSTANCE, policy], |row| row.get(0))?;
            Ok(u64::try_from(count).unwrap_or(0))
        })
        .await
    }

    async fn insert_access_key(&self, key: &AccessKey, limit: u32) -> Result<()> {
        let key = key.clone();
        self.write(move |tx| {
            if user_by_no(tx.conn, key.user)?.is_none() {
                return Err(iam::no_such_user().into());
            }
            let count = "SELECT count(*) FROM access_key WHERE user = ?1";
            check_limit(tx.conn, count, key.user, Limit::AccessKeys(limit))?;
            if exists(tx.conn, "SELECT 1 FROM access_key WHERE ak = ?1", [&key.ak])? {
                return Err(Error::new(Code::InvalidInput, "Invalid input. The access key exists.").into());
            }
            insert_key(tx.conn, &key)
        })
        .await
    }

    async fn access_key(&self, ak: &str) -> Result<Option<AccessKey>> {
        let ak = ak.to_owned();
        self.read(move |conn| one(conn, key_sql!("WHERE ak = ?1"), [ak], read_key)).await
    }

    async fn access_keys(&self, user: i64) -> Result<Vec<AccessKey>> {
        self.read(move |conn| all(conn, key_sql!("WHERE user = ?1 ORDER BY created_at, ak"), [user], read_key)).await
    }

    async fn change_access_key(
        &self,
        ak: &str,
        active: Option<bool>,
        description: Option<String>,
    ) -> Result<Option<AccessKey>> {
        let ak = ak.to_owned();
        self.write(move |tx| {
            run(
                tx.conn,
                "UPDATE access_key SET active = coalesce(?2, active), description = coalesce(?3, description)
                    WHERE ak = ?1",
                params![ak, active, description],
            )?;
            one(tx.conn, key_sql!("WHERE ak = ?1"), [ak], read_key)
        })
        .await
    }

    async fn delete_access_key(&self, ak: &str) -> Result<bool> {
        let ak = ak.to_owned();
        self.write(move |tx| Ok(run(tx.conn, "DELETE FROM access_key WHERE ak = ?1", [ak])? > 0)).await
    }
}
