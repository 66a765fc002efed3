//! The schema and how it came about: one file a version, applied in order, each in its own transaction.

use causeway_model::Error;
use rusqlite::{Connection, TransactionBehavior};

use super::error::Outcome;

/// All versions; the position plus one is the number in `PRAGMA user_version`.
pub(super) const MIGRATIONS: &[&str] = &[
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

/// The schema version of the file; 0 for an empty one.
pub(super) fn version(conn: &Connection) -> Outcome<usize> {
    let version: i64 = conn.pragma_query_value(None, "user_version", |row| row.get(0))?;
    Ok(usize::try_from(version).unwrap_or(usize::MAX))
}

/// Brings the file to the newest version.
pub(super) fn migrate(conn: &mut Connection) -> Outcome<()> {
    migrate_by(conn, MIGRATIONS)
}

fn migrate_by(conn: &mut Connection, migrations: &[&str]) -> Outcome<()> {
    let found = version(conn)?;
    if found > migrations.len() {
        return Err(Error::unavailable(format_args!(
            "the database has schema version {found}, this program knows versions up to {}; a newer program wrote it",
            migrations.len()
        ))
        .into());
    }
    for (at, sql) in migrations.iter().enumerate().skip(found) {
        let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        tx.execute_batch(sql)?;
        let reached = i64::try_from(at + 1).unwrap_or(i64::MAX);
        tx.pragma_update(None, "user_version", reached)?;
        tx.commit()?;
        tracing::info!(version = reached, "database schema migrated");
    }
    Ok(())
}
