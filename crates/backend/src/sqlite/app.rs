//! Resource spaces.

use async_trait::async_trait;
use causeway_model::registry::App;
use causeway_model::{AppId, Code, Error, RecordNo, Result, Spaces, Timestamp};
use causeway_platform::app::AppStore;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::device::delete_device;
use super::error::Outcome;
use super::transaction::{Effect, Tx};
use super::{INSTANCE, SqliteStore, policy};

/// Devices deleted in one transaction.
const SLICE: i64 = 500;

/// The number of a space.
pub(super) fn app_no(conn: &Connection, id: &AppId) -> Outcome<Option<i64>> {
    Ok(conn
        .prepare_cached("SELECT no FROM app WHERE instance = ?1 AND id = ?2")?
        .query_row(params![INSTANCE, id.as_str()], |row| row.get(0))
        .optional()?)
}

/// The number of a space that must be there.
pub(super) fn require_app(conn: &Connection, id: &AppId) -> Outcome<i64> {
    match app_no(conn, id)? {
        Some(no) => Ok(no),
        None => Err(Error::new(Code::AppNotFound, format!("The resource space '{id}' does not exist.")).into()),
    }
}

/// Restricts `column`, the number of a space, to `spaces`.
pub(super) fn in_spaces(spaces: &Spaces, column: &'static str, clause: &mut String, values: &mut Vec<Value>) {
    let Some(ids) = spaces.ids() else { return };
    let marks = vec!["?"; ids.len()].join(", ");
    clause.push_str(&format!(" AND {column} IN (SELECT no FROM app WHERE instance = 1 AND id IN ({marks}))"));
    values.extend(ids.into_iter().map(|id| Value::from(id.to_owned())));
}

macro_rules! app_sql {
    ($tail:literal) => {
        concat!("SELECT no, id, name, created_at, is_default FROM app WHERE instance = ?1", $tail)
    };
}

fn read_app(row: &Row<'_>) -> rusqlite::Result<App> {
    Ok(App {
        no: RecordNo(row.get(0)?),
        id: AppId::trusted(row.get::<_, String>(1)?),
        name: row.get(2)?,
        created_at: Timestamp(row.get(3)?),
        is_default: row.get(4)?,
    })
}

fn find(conn: &Connection, id: &AppId) -> Outcome<Option<App>> {
    let mut statement = conn.prepare_cached(app_sql!(" AND id = ?2"))?;
    Ok(statement.query_row(params![INSTANCE, id.as_str()], read_app).optional()?)
}

/// Refuses a name that another space has.
fn check_name(conn: &Connection, name: &str, except: Option<&AppId>) -> Outcome<()> {
    let taken: Option<String> = conn
        .prepare_cached("SELECT id FROM app WHERE instance = ?1 AND name = ?2")?
        .query_row(params![INSTANCE, name], |row| row.get(0))
        .optional()?;
    match taken {
        Some(id) if except.is_none_or(|e| e.as_str() != id) => {
            Err(Error::new(Code::InvalidApp, format!("The name '{name}' belongs to another resource space.")).into())
        }
        _ => Ok(()),
    }
}

#[async_trait]
impl AppStore for SqliteStore {
    async fn insert_app(&self, mut app: App, limit: u32) -> Result<App> {
        self.write(move |tx| {
            let count: i64 = tx
                .conn
                .prepare_cached("SELECT count(*) FROM app WHERE instance = ?1")?
                .query_row([INSTANCE], |row| row.get(0))?;
            if count >= i64::from(limit) {
                return Err(Error::new(
                    Code::TooManyApps,
                    format!("There are {limit} resource spaces already, which is the limit."),
                )
                .into());
            }
            check_name(tx.conn, &app.name, None)?;
            if app_no(tx.conn, &app.id)?.is_some() {
                return Err(Error::new(Code::InvalidApp, format!("The resource space '{}' exists.", app.id)).into());
            }
            tx.conn
                .prepare_cached(
                    "INSERT INTO app (instance, id, name, created_at, is_default) VALUES (?1, ?2, ?3, ?4, ?5)",
                )?
                .execute(params![INSTANCE, app.id.as_str(), app.name, app.created_at.0, app.is_default])?;
            app.no = RecordNo(tx.conn.last_insert_rowid());
            policy::insert_default(tx.conn, app.no.0, app.created_at)?;
            Ok(app)
        })
        .await
    }

    async fn apps(&self) -> Result<Vec<App>> {
        self.read(|conn| {
            let mut statement = conn.prepare_cached(app_sql!(" ORDER BY no"))?;
            Ok(statement.query_map([INSTANCE], read_app)?.collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn app(&self, id: &AppId) -> Result<Option<App>> {
        let id = id.clone();
        self.read(move |conn| find(conn, &id)).await
    }

    async fn rename_app(&self, id: &AppId, name: &str) -> Result<Option<App>> {
        let (id, name) = (id.clone(), name.to_owned());
        self.write(move |tx| {
            let Some(mut app) = find(tx.conn, &id)? else { return Ok(None) };
            check_name(tx.conn, &name, Some(&id))?;
            tx.conn.prepare_cached("UPDATE app SET name = ?1 WHERE no = ?2")?.execute(params![name, app.no.0])?;
            app.name = name;
            Ok(Some(app))
        })
        .await
    }

    async fn delete_app(&self, id: &AppId) -> Result<bool> {
        // Many devices go in slices, so that commits are not held up for seconds. A crash in between leaves a space with
        // fewer devices; nobody was told that it is gone, and deleting it again ends it.
        loop {
            let id = id.clone();
            let more = self.write(move |tx| delete_slice(tx, &id)).await?;
            match more {
                None => return Ok(false),
                Some(true) => {}
                Some(false) => return Ok(true),
            }
        }
    }
}

/// Deletes some devices of a space, or the space with the last of them. Says whether there are more; `None` when there
/// is no such space.
fn delete_slice(tx: &mut Tx<'_>, id: &AppId) -> Outcome<Option<bool>> {
    let Some(app) = app_no(tx.conn, id)? else { return Ok(None) };
    let mut read = tx.conn.prepare_cached("SELECT no FROM device WHERE app = ?1 LIMIT ?2")?;
    let devices: Vec<i64> = read.query_map([app, SLICE], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for device in &devices {
        delete_device(tx, *device)?;
    }
    if devices.len() as i64 == SLICE {
        return Ok(Some(true));
    }
    tx.outbox.targets_change(tx.conn)?;
    for sql in [
        "INSERT OR IGNORE INTO purge (kind, no, instance) SELECT 'outbox', no, instance FROM target WHERE app = ?1",
        // Actions hold their targets, which go with the space as products, topics and rules do.
        "DELETE FROM routing_rule WHERE app = ?1",
        "DELETE FROM app WHERE no = ?1",
    ] {
        tx.conn.prepare_cached(sql)?.execute([app])?;
    }
    tx.effects.push(Effect::Purge);
    Ok(Some(false))
}
