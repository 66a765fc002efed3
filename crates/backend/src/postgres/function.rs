//! Functions.

use async_trait::async_trait;
use causeway_model::registry::{Page, PageRequest};
use causeway_model::{AppId, Code, Error, RecordNo, Result, Timestamp};
use causeway_platform::function::{Function, FunctionFilter, FunctionStore};
use tokio_postgres::Row;
use tokio_postgres::error::SqlState;

use super::connection::{Columns, Params, db, first, row, rows, run};
use super::{INSTANCE, PostgresStore};
use crate::rows as words;

/// Reads what [`function`] turns into a function; a condition follows.
const SELECT: &str =
    "SELECT f.no, a.id, f.id, f.name, f.description, f.kind, f.source, f.url, f.token, f.time, f.memory,
        f.created_at, f.updated_at
    FROM function f LEFT JOIN app a ON a.no = f.app";

/// Parameters 1 to 3 of every list: instance, space, name.
const MATCHES: &str =
    "f.instance = $1 AND ($2::text[] IS NULL OR a.id = ANY ($2)) AND ($3::text IS NULL OR strpos(f.name, $3) > 0)";

fn function(row: &Row) -> Result<Function> {
    let mut c = Columns::of(row);
    let (no, app_id, id, name) = (c.take()?, c.take::<Option<String>>()?, c.take()?, c.take()?);
    let (description, kind) = (c.take()?, c.take::<&str>()?);
    Ok(Function {
        no: RecordNo(no),
        app_id: app_id.map(AppId::trusted),
        id,
        name,
        description,
        body: words::function_body(kind, c.take()?, c.take()?, c.take()?)?,
        timeout_ms: words::small(c.take()?),
        memory: words::small(c.take()?),
        created_at: Timestamp(c.take()?),
        updated_at: Timestamp(c.take()?),
    })
}

#[async_trait]
impl FunctionStore for PostgresStore {
    async fn insert_function(&self, new: Function, limit: u32) -> Result<Function> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(db)?;
        // Two functions made at once must not pass the limit together. Reading goes on.
        run(&transaction, "LOCK TABLE function IN SHARE ROW EXCLUSIVE MODE", &[]).await.map_err(db)?;
        let app: Option<i64> = match &new.app_id {
            None => None,
            Some(id) => {
                let sql = "SELECT no FROM app WHERE instance = $1 AND id = $2 FOR KEY SHARE";
                let found = row(&transaction, sql, &[&INSTANCE, &id.as_str()]).await.map_err(db)?;
                let gone = || Error::new(Code::AppNotFound, "No such resource space.");
                Some(first(&found.ok_or_else(gone)?)?)
            }
        };
        let sql = "SELECT count(*), count(*) FILTER (WHERE name = $2 AND coalesce(app, 0) = coalesce($3::bigint, 0))
            FROM function WHERE instance = $1";
        if let Some(found) = &row(&transaction, sql, &[&INSTANCE, &new.name, &app]).await.map_err(db)? {
            let mut c = Columns::of(found);
            let (all, same): (i64, i64) = (c.take()?, c.take()?);
            if same > 0 {
                return Err(words::function_exists(&new.name));
            }
            if all >= i64::from(limit) {
                return Err(words::too_many_functions(limit));
            }
        }
        let (kind, source, url, token) = words::function_columns(&new.body);
        let (time, memory) = (i64::from(new.timeout_ms), i64::from(new.memory));
        let sql = "INSERT INTO function (instance, app, id, name, description, kind, source, url, token, time, memory,
                created_at, updated_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) RETURNING no";
        let params: Params<'_> = &[
            &INSTANCE,
            &app,
            &new.id,
            &new.name,
            &new.description,
            &kind,
            &source,
            &url,
            &token,
            &time,
            &memory,
            &new.created_at.0,
            &new.updated_at.0,
        ];
        let made = row(&transaction, sql, params).await.map_err(|e| {
            if e.code() == Some(&SqlState::UNIQUE_VIOLATION) { words::function_exists(&new.name) } else { db(e) }
        })?;
        let no = made.as_ref().map_or(Ok(0), first::<i64>)?;
        transaction.commit().await.map_err(db)?;
        Ok(Function { no: RecordNo(no), ..new })
    }

    async fn function(&self, id: &str) -> Result<Option<Function>> {
        let client = self.client().await?;
        let sql = format!("{SELECT} WHERE f.instance = $1 AND f.id = $2");
        row(&client, &sql, &[&INSTANCE, &id]).await.map_err(db)?.as_ref().map(function).transpose()
    }

    async fn function_by_name(&self, app: Option<&AppId>, name: &str) -> Result<Option<Function>> {
        let client = self.client().await?;
        let app = app.map(AppId::as_str);
        let sql = format!("{SELECT} WHERE f.instance = $1 AND f.name = $3 AND a.id IS NOT DISTINCT FROM $2");
        row(&client, &sql, &[&INSTANCE, &app, &name]).await.map_err(db)?.as_ref().map(function).transpose()
    }

    async fn list_functions(&self, filter: &FunctionFilter, page: PageRequest) -> Result<Page<Function>> {
        let client = self.client().await?;
        let spaces = filter.spaces.ids();
        let (marker, offset, limit) = (page.marker.0, i64::from(page.offset), i64::from(page.limit));
        let list: Params<'_> = &[&INSTANCE, &spaces, &filter.name, &marker, &offset, &limit];
        let sql = format!("{SELECT} WHERE {MATCHES} AND f.no < $4 ORDER BY f.no DESC OFFSET $5 LIMIT $6");
        let found = rows(&client, &sql, list).await.map_err(db)?;
        let items: Vec<Function> = found.iter().map(function).collect::<Result<_>>()?;
        let sql = format!("SELECT count(*) FROM function f LEFT JOIN app a ON a.no = f.app WHERE {MATCHES}");
        let count = row(&client, &sql, &list[..3]).await.map_err(db)?;
        Ok(Page {
            marker: items.last().map_or(page.marker, |f| f.no),
            count: count.as_ref().map_or(Ok(0), first::<i64>)?.unsigned_abs(),
            items,
        })
    }

    async fn update_function(&self, function: &Function) -> Result<bool> {
        let client = self.client().await?;
        let (kind, source, url, token) = words::function_columns(&function.body);
        let (time, memory) = (i64::from(function.timeout_ms), i64::from(function.memory));
        let sql = "UPDATE function SET description = $2, kind = $3, source = $4, url = $5, token = $6, time = $7,
            memory = $8, updated_at = $9 WHERE no = $1";
        let params: Params<'_> = &[
            &function.no.0,
            &function.description,
            &kind,
            &source,
            &url,
            &token,
            &time,
            &memory,
            &function.updated_at.0,
        ];
        Ok(run(&client, sql, params).await.map_err(db)? > 0)
    }

    async fn delete_function(&self, no: RecordNo) -> Result<bool> {
        let client = self.client().await?;
        Ok(run(&client, "DELETE FROM function WHERE no = $1", &[&no.0]).await.map_err(db)? > 0)
    }
}
