//! Uploaded files and exports of batch tasks.

use causeway_model::batch::{BatchFile, ExportTask};
use causeway_model::registry::{Page, PageRequest, Sealed};
use causeway_model::{AppId, Code, Error, RecordNo, Spaces, Timestamp};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};

use super::INSTANCE;
use super::app::{in_spaces, require_app};
use super::error::Outcome;
use crate::rows;

/// Refuses one more row than a table may have.
fn check_limit(conn: &Connection, sql: &'static str, limit: u32, code: Code, what: &str) -> Outcome<()> {
    let count: i64 = conn.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
    if count >= i64::from(limit) {
        let text = format!("There are {limit} {what} already, which is the limit. Delete some.");
        return Err(Error::new(code, text).into());
    }
    Ok(())
}

fn read_file(row: &Row<'_>) -> rusqlite::Result<BatchFile> {
    Ok(BatchFile {
        no: RecordNo(row.get(0)?),
        id: row.get(1)?,
        owner: row.get(2)?,
        name: row.get(3)?,
        uploaded_at: Timestamp(row.get(4)?),
    })
}

pub(super) fn insert_file(conn: &Connection, mut file: BatchFile, content: &Sealed, limit: u32) -> Outcome<BatchFile> {
    check_limit(conn, "SELECT count(*) FROM batch_file", limit, Code::TooManyBatchFiles, "uploaded files")?;
    conn.prepare_cached(
        "INSERT INTO batch_file (instance, id, owner, name, uploaded_at, content) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![INSTANCE, file.id, file.owner, file.name, file.uploaded_at.0, &*content.0])?;
    file.no = RecordNo(conn.last_insert_rowid());
    Ok(file)
}

pub(super) fn files(conn: &Connection) -> Outcome<Vec<BatchFile>> {
    let mut statement = conn.prepare_cached(
        "SELECT no, id, owner, name, uploaded_at FROM batch_file WHERE instance = ?1 ORDER BY no DESC",
    )?;
    Ok(statement.query_map([INSTANCE], read_file)?.collect::<Result<_, _>>()?)
}

pub(super) fn file(conn: &Connection, id: &str) -> Outcome<Option<(BatchFile, Sealed)>> {
    let mut statement = conn.prepare_cached(
        "SELECT no, id, owner, name, uploaded_at, content FROM batch_file WHERE instance = ?1 AND id = ?2",
    )?;
    let read = |row: &Row<'_>| Ok((read_file(row)?, Sealed(row.get::<_, Vec<u8>>(5)?.into())));
    Ok(statement.query_row(params![INSTANCE, id], read).optional()?)
}

macro_rules! export_sql {
    ($tail:literal) => {
        concat!(
            "SELECT e.no, e.id, a.id, e.task_id, e.condition, e.app_type, e.status, e.rows, e.created_at, e.ended_at \
             FROM export_task e JOIN app a ON a.no = e.app ",
            $tail
        )
    };
}

fn read_export(row: &Row<'_>) -> Outcome<ExportTask> {
    Ok(ExportTask {
        no: RecordNo(row.get(0)?),
        id: row.get(1)?,
        app_id: AppId::trusted(row.get::<_, String>(2)?),
        task_id: row.get(3)?,
        condition: row.get(4)?,
        app_type: row.get(5)?,
        status: rows::export_status(row.get_ref(6)?.as_str().map_err(rusqlite::Error::from)?)?,
        rows: rows::count(row.get(7)?),
        created_at: Timestamp(row.get(8)?),
        ended_at: row.get::<_, Option<i64>>(9)?.map(Timestamp),
    })
}

pub(super) fn insert_export(conn: &Connection, mut export: ExportTask, limit: u32) -> Outcome<ExportTask> {
    check_limit(conn, "SELECT count(*) FROM export_task", limit, Code::TooManyExportTasks, "export tasks")?;
    let app = require_app(conn, &export.app_id)?;
    conn.prepare_cached(
        "INSERT INTO export_task (instance, app, id, task_id, condition, app_type, status, rows, created_at, ended_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?
    .execute(params![
        INSTANCE,
        app,
        export.id,
        export.task_id,
        export.condition,
        export.app_type,
        export.status.as_str(),
        i64::try_from(export.rows).unwrap_or(i64::MAX),
        export.created_at.0,
        export.ended_at.map(|t| t.0),
    ])?;
    export.no = RecordNo(conn.last_insert_rowid());
    Ok(export)
}

pub(super) fn exports(
    conn: &Connection,
    spaces: &Spaces,
    task_id: Option<String>,
    page: PageRequest,
) -> Outcome<Page<ExportTask>> {
    let mut clause = "e.instance = 1".to_owned();
    let mut values = Vec::new();
    if let Some(task_id) = task_id {
        clause.push_str(" AND e.task_id = ?");
        values.push(Value::from(task_id));
    }
    in_spaces(spaces, "e.app", &mut clause, &mut values);
    let count: i64 = conn
        .prepare_cached(&format!("SELECT count(*) FROM export_task e WHERE {clause}"))?
        .query_row(params_from_iter(&values), |row| row.get(0))?;
    values.extend([page.marker.0, i64::from(page.limit), i64::from(page.offset)].map(Value::from));
    let sql = format!(export_sql!("WHERE {} AND e.no < ? ORDER BY e.no DESC LIMIT ? OFFSET ?"), clause);
    let items: Vec<ExportTask> =
        conn.prepare_cached(&sql)?.query_and_then(params_from_iter(&values), read_export)?.collect::<Outcome<_>>()?;
    let marker = items.last().map_or(page.marker, |e| e.no);
    Ok(Page { items, count: rows::count(count), marker })
}

pub(super) fn export(conn: &Connection, id: &str) -> Outcome<Option<ExportTask>> {
    let mut statement = conn.prepare_cached(export_sql!("WHERE e.instance = ?1 AND e.id = ?2"))?;
    statement.query_and_then(params![INSTANCE, id], read_export)?.next().transpose()
}

pub(super) fn unwritten_export(conn: &Connection) -> Outcome<Option<ExportTask>> {
    let mut statement =
        conn.prepare_cached(export_sql!("WHERE e.instance = ?1 AND e.status = 'Processing' ORDER BY e.no LIMIT 1"))?;
    statement.query_and_then([INSTANCE], read_export)?.next().transpose()
}

pub(super) fn finish_export(conn: &Connection, export: &ExportTask, file: Option<&Sealed>) -> Outcome<()> {
    conn.prepare_cached("UPDATE export_task SET status = ?2, rows = ?3, ended_at = ?4, file = ?5 WHERE no = ?1")?
        .execute(params![
            export.no.0,
            export.status.as_str(),
            i64::try_from(export.rows).unwrap_or(i64::MAX),
            export.ended_at.map(|t| t.0),
            file.map(|f| &*f.0),
        ])?;
    Ok(())
}

pub(super) fn export_file(conn: &Connection, no: RecordNo) -> Outcome<Option<Sealed>> {
    let file = conn
        .prepare_cached("SELECT file FROM export_task WHERE no = ?1")?
        .query_row([no.0], |row| row.get::<_, Option<Vec<u8>>>(0))
        .optional()?;
    Ok(file.flatten().map(|f| Sealed(f.into())))
}
