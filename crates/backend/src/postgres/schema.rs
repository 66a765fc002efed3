//! The schema and its way forward, one file a version. Two nodes may start at once: the first one migrates.

use causeway_model::{Error, Result};
use tokio_postgres::Client;

use super::LockClass;
use super::connection::{Columns, db};

/// The files, oldest first; the place in the list is the version minus one. A published file never changes.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001.sql"),
    include_str!("migrations/device_policy.sql"),
    include_str!("migrations/amqp_queue.sql"),
    include_str!("migrations/users.sql"),
    include_str!("migrations/files.sql"),
    include_str!("migrations/audit_log.sql"),
    include_str!("migrations/groups.sql"),
    include_str!("migrations/certificates.sql"),
    include_str!("migrations/batch.sql"),
    include_str!("migrations/gateway.sql"),
    include_str!("migrations/routing.sql"),
    include_str!("migrations/function.sql"),
    include_str!("migrations/alarm.sql"),
    include_str!("migrations/notify.sql"),
    include_str!("migrations/linkage.sql"),
];

/// The version that this program reads and writes.
pub(super) const CURRENT: i32 = MIGRATIONS.len() as i32;

/// Brings an empty or older database up to the current version, in one transaction.
///
/// # Errors
/// The database was made by a newer program, keeps text in another form than UTF-8, or does not answer.
pub(super) async fn migrate(client: &mut Client) -> Result<()> {
    advance(client, CURRENT).await
}

/// Like [`migrate`], but only up to `target`.
pub(super) async fn advance(client: &mut Client, target: i32) -> Result<()> {
    let encoding: String = client
        .query_one("SELECT current_setting('server_encoding')", &[])
        .await
        .and_then(|row| row.try_get(0))
        .map_err(db)?;
    if encoding != "UTF8" {
        return Err(Error::unavailable(format_args!(
            "the database keeps text as {encoding}; create it with ENCODING 'UTF8' TEMPLATE template0"
        )));
    }
    let transaction = client.transaction().await.map_err(db)?;
    transaction.execute("SELECT pg_advisory_xact_lock($1, 0)", &[&LockClass::Schema.key()]).await.map_err(db)?;
    transaction
        .batch_execute("CREATE TABLE IF NOT EXISTS schema_version (version integer NOT NULL)")
        .await
        .map_err(db)?;
    let found = match transaction.query_opt("SELECT version FROM schema_version", &[]).await.map_err(db)? {
        Some(row) => Columns::of(&row).take::<i32>()?,
        None => 0,
    };
    if found > CURRENT {
        return Err(Error::unavailable(format_args!(
            "the database has schema version {found}, this program knows versions up to {CURRENT}; start a newer program"
        )));
    }
    for version in found..target {
        tracing::info!(version = version + 1, "migrating the PostgreSQL schema");
        transaction.batch_execute(MIGRATIONS[version as usize]).await.map_err(db)?;
    }
    if found < target {
        transaction.execute("DELETE FROM schema_version", &[]).await.map_err(db)?;
        transaction.execute("INSERT INTO schema_version VALUES ($1)", &[&target]).await.map_err(db)?;
    }
    transaction.commit().await.map_err(db)
}
