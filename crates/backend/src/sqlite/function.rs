//! Functions.

use async_trait::async_trait;
use causeway_model::registry::{Page, PageRequest};
use causeway_model::{AppId, RecordNo, Result, Timestamp};
use causeway_platform::function::{Function, FunctionFilter, FunctionStore};
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params, params_from_iter};

use super::app::{in_spaces, require_app};
use super::error::Outcome;
use super::{INSTANCE, SqliteStore};
use crate::rows;

macro_rules! function_sql {
    ($tail:literal) => {
        concat!(
            "SELECT f.no, a.id, f.id, f.name, f.description, f.kind, f.source, f.url, f.token, f.time, f.memory, \
             f.created_at, f.updated_at FROM function f LEFT JOIN app a ON a.no = f.app ",
            $tail
        )
    };
}

fn read_function(row: &Row<'_>) -> Outcome<Function> {
    let kind = row.get_ref(5)?.as_str().map_err(rusqlite::Error::from)?;
    Ok(Function {
        no: RecordNo(row.get(0)?),
        app_id: row.get::<_, Option<String>>(1)?.map(AppId::trusted),
        id: row.get(2)?,
        name: row.get(3)?,
        description: row.get(4)?,
        body: rows::function_body(kind, row.get(6)?, row.get(7)?, row.get(8)?)?,
        timeout_ms: row.get(9)?,
        memory: row.get(10)?,
        created_at: Timestamp(row.get(11)?),
        updated_at: Timestamp(row.get(12)?),
    })
}

fn read_functions(conn: &Connection, sql: &str, params: impl rusqlite::Params) -> Outcome<Vec<Function>> {
    conn.prepare_cached(sql)?.query_and_then(params, read_function)?.collect()
}

#[async_trait]
impl FunctionStore for SqliteStore {
    async fn insert_function(&self, mut function: Function, limit: u32) -> Result<Function> {
        self.write(move |tx| {
            let app = function.app_id.as_ref().map(|id| require_app(tx.conn, id)).transpose()?;
            let taken = "SELECT 1 FROM function WHERE instance = ?1 AND coalesce(app, 0) = ?2 AND name = ?3";
            if tx.conn.prepare_cached(taken)?.exists(params![INSTANCE, app.unwrap_or(0), function.name])? {
                return Err(rows::function_exists(&function.name).into());
            }
            let count: i64 = tx
                .conn
                .prepare_cached("SELECT count(*) FROM function WHERE instance = ?1")?
                .query_row([INSTANCE], |row| row.get(0))?;
            if count >= i64::from(limit) {
                return Err(rows::too_many_functions(limit).into());
            }
            let (kind, source, url, token) = rows::function_columns(&function.body);
            tx.conn
                .prepare_cached(
                    "INSERT INTO function (instance, app, id, name, description, kind, source, url, token, time, memory, \
                     created_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
                )?
                .execute(params![
                    INSTANCE,
                    app,
                    function.id,
                    function.name,
                    function.description,
                    kind,
                    source,
                    url,
                    token,
                    function.timeout_ms,
                    function.memory,
                    function.created_at.0,
                    function.updated_at.0,
                ])?;
            function.no = RecordNo(tx.conn.last_insert_rowid());
            Ok(function)
        })
        .await
    }

    async fn function(&self, id: &str) -> Result<Option<Function>> {
        let id = id.to_owned();
        let sql = function_sql!("WHERE f.instance = ?1 AND f.id = ?2");
        self.read(move |conn| Ok(read_functions(conn, sql, params![INSTANCE, id])?.pop())).await
    }

    async fn function_by_name(&self, app: Option<&AppId>, name: &str) -> Result<Option<Function>> {
        let (app, name) = (app.map(|a| a.as_str().to_owned()), name.to_owned());
        let sql = function_sql!("WHERE f.instance = ?1 AND f.name = ?3 AND a.id IS ?2");
        self.read(move |conn| Ok(read_functions(conn, sql, params![INSTANCE, app, name])?.pop())).await
    }

    async fn list_functions(&self, filter: &FunctionFilter, page: PageRequest) -> Result<Page<Function>> {
        let mut clause = String::from("f.instance = ?");
        let mut values = vec![Value::from(INSTANCE)];
        in_spaces(&filter.spaces, "f.app", &mut clause, &mut values);
        if let Some(name) = &filter.name {
            clause.push_str(" AND instr(f.name, ?) > 0");
            values.push(Value::from(name.clone()));
        }
        self.read(move |conn| {
            let count: i64 = conn
                .prepare_cached(&format!("SELECT count(*) FROM function f WHERE {clause}"))?
                .query_row(params_from_iter(&values), |row| row.get(0))?;
            values.extend([page.marker.0, i64::from(page.limit), i64::from(page.offset)].map(Value::from));
            let sql = format!(function_sql!("WHERE {} AND f.no < ? ORDER BY f.no DESC LIMIT ? OFFSET ?"), clause);
            let items = read_functions(conn, &sql, params_from_iter(&values))?;
            let marker = items.last().map_or(page.marker, |f| f.no);
            Ok(Page { items, count: u64::try_from(count).unwrap_or(0), marker })
        })
        .await
    }

    async fn update_function(&self, function: &Function) -> Result<bool> {
        let function = function.clone();
        self.write(move |tx| {
            let (kind, source, url, token) = rows::function_columns(&function.body);
            let changed = tx
                .conn
                .prepare_cached(
                    "UPDATE function SET description = ?2, kind = ?3, source = ?4, url = ?5, token = ?6, time = ?7, \
                     memory = ?8, updated_at = ?9 WHERE no = ?1",
                )?
                .execute(params![
                    function.no.0,
                    function.description,
                    kind,
                    source,
                    url,
                    token,
                    function.timeout_ms,
                    function.memory,
                    function.updated_at.0,
                ])?;
            Ok(changed > 0)
        })
        .await
    }

    async fn delete_function(&self, no: RecordNo) -> Result<bool> {
        self.write(move |tx| Ok(tx.conn.prepare_cached("DELETE FROM function WHERE no = ?1")?.execute([no.0])? > 0))
            .await
    }
}
