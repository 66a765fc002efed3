//! Uploaded files and exports of batch tasks.

use causeway_model::batch::{BatchFile, ExportTask};
use causeway_model::registry::{Page, PageRequest, Sealed};
use causeway_model::{AppId, Code, Error, RecordNo, Result, Spaces, Timestamp};
use deadpool_postgres::Transaction;
use tokio_postgres::Row;

use super::connection::{Columns, Params, db, first, row, rows, run};
use super::{INSTANCE, PostgresStore};
use crate::rows as words;

const EXPORT: &str =
    "SELECT e.no, e.id, a.id, e.task_id, e.condition, e.app_type, e.status, e.rows, e.created_at, e.ended_at
    FROM export_task e JOIN app a ON a.no = e.app";

fn file(c: &mut Columns<'_>) -> Result<BatchFile> {
    Ok(BatchFile {
        no: RecordNo(c.take()?),
        id: c.take()?,
        owner: c.take()?,
        name: c.take()?,
        uploaded_at: Timestamp(c.take()?),
    })
}

fn export(row: &Row) -> Result<ExportTask> {
    let mut c = Columns::of(row);
    Ok(ExportTask {
        no: RecordNo(c.take()?),
        id: c.take()?,
        app_id: AppId::trusted(c.take::<String>()?),
        task_id: c.take()?,
        condition: c.take()?,
        app_type: c.take()?,
        status: words::export_status(c.take()?)?,
        rows: words::count(c.take()?),
        created_at: Timestamp(c.take()?),
        ended_at: c.take::<Option<i64>>()?.map(Timestamp),
    })
}

/// Refuses one more row than a table may have. Two callers at once are let through one after the other.
async fn check_limit(
    transaction: &Transaction<'_>,
    (lock, count): (&str, &str),
    limit: u32,
    code: Code,
    what: &str,
) -> Result<()> {
    run(transaction, lock, &[]).await.map_err(db)?;
    let count = row(transaction, count, &[&INSTANCE]).await.map_err(db)?;
    if count.as_ref().map_or(Ok(0), first::<i64>)? >= i64::from(limit) {
        return Err(Error::new(code, format!("There are {limit} {what} already, which is the limit. Delete some.")));
    }
    Ok(())
}

impl PostgresStore {
    pub(super) async fn add_file(&self, new: BatchFile, content: Sealed, limit: u32) -> Result<BatchFile> {
        const SQL: (&str, &str) = (
            "LOCK TABLE batch_file IN SHARE ROW EXCLUSIVE MODE",
            "SELECT count(*) FROM batch_file WHERE instance = $1",
        );
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(db)?;
        check_limit(&transaction, SQL, limit, Code::TooManyBatchFiles, "uploaded files").await?;
        let sql = "INSERT INTO batch_file (instance, id, owner, name, uploaded_at, content)
            VALUES ($1, $2, $3, $4, $5, $6) RETURNING no";
        let params: Params<'_> = &[&INSTANCE, &new.id, &new.owner, &new.name, &new.uploaded_at.0, &&*content.0];
        let stored = row(&transaction, sql, params).await.map_err(db)?;
        let no = stored.as_ref().map_or_else(|| Err(Error::internal("an insert returned nothing")), first)?;
        transaction.commit().await.map_err(db)?;
        Ok(BatchFile { no: RecordNo(no), ..new })
    }

    pub(super) async fn files(&self) -> Result<Vec<BatchFile>> {
        let client = self.client().await?;
        let sql = "SELECT no, id, owner, name, uploaded_at FROM batch_file WHERE instance = $1 ORDER BY no DESC";
        rows(&client, sql, &[&INSTANCE]).await.map_err(db)?.iter().map(|r| file(&mut Columns::of(r))).collect()
    }

    pub(super) async fn file(&self, id: &str) -> Result<Option<(BatchFile, Sealed)>> {
        let client = self.client().await?;
        let sql = "SELECT no, id, owner, name, uploaded_at, content FROM batch_file WHERE instance = $1 AND id = $2";
        let Some(found) = row(&client, sql, &[&INSTANCE, &id]).await.map_err(db)? else { return Ok(None) };
        let mut c = Columns::of(&found);
        Ok(Some((file(&mut c)?, Sealed(c.take::<Vec<u8>>()?.into()))))
    }

    pub(super) async fn add_export(&self, new: ExportTask, limit: u32) -> Result<ExportTask> {
        const SQL: (&str, &str) = (
            "LOCK TABLE export_task IN SHARE ROW EXCLUSIVE MODE",
            "SELECT count(*) FROM export_task WHERE instance = $1",
        );
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(db)?;
        check_limit(&transaction, SQL, limit, Code::TooManyExportTasks, "export tasks").await?;
        let sql = "INSERT INTO export_task (instance, app, id, task_id, condition, app_type, status, rows, created_at,
                ended_at)
            SELECT instance, no, $3, $4, $5, $6, $7, $8, $9, $10 FROM app WHERE instance = $1 AND id = $2 RETURNING no";
        let params: Params<'_> = &[
            &INSTANCE,
            &new.app_id.as_str(),
            &new.id,
            &new.task_id,
            &new.condition,
            &new.app_type,
            &new.status.as_str(),
            &i64::try_from(new.rows).unwrap_or(i64::MAX),
            &new.created_at.0,
            &new.ended_at.map(|t| t.0),
        ];
        let Some(stored) = row(&transaction, sql, params).await.map_err(db)? else {
            return Err(Error::new(Code::AppNotFound, "No such resource space."));
        };
        let no = RecordNo(first(&stored)?);
        transaction.commit().await.map_err(db)?;
        Ok(ExportTask { no, ..new })
    }

    pub(super) async fn list_exports(
        &self,
        spaces: &Spaces,
        task_id: Option<&str>,
        page: PageRequest,
    ) -> Result<Page<ExportTask>> {
        const MATCHES: &str = "e.instance = $1 AND ($2::text[] IS NULL OR a.id = ANY ($2))
            AND ($3::text IS NULL OR e.task_id = $3)";
        let client = self.client().await?;
        let list: Params<'_> =
            &[&INSTANCE, &spaces.ids(), &task_id, &page.marker.0, &i64::from(page.offset), &i64::from(page.limit)];
        let sql = format!("{EXPORT} WHERE {MATCHES} AND e.no < $4 ORDER BY e.no DESC OFFSET $5 LIMIT $6");
        let found = rows(&client, &sql, list).await.map_err(db)?;
        let sql = format!("SELECT count(*) FROM export_task e JOIN app a ON a.no = e.app WHERE {MATCHES}");
        let count = row(&client, &sql, &list[..3]).await.map_err(db)?;
        let items: Vec<ExportTask> = found.iter().map(export).collect::<Result<_>>()?;
        Ok(Page {
            marker: items.last().map_or(page.marker, |e| e.no),
            count: words::count(count.as_ref().map_or(Ok(0), first)?),
            items,
        })
    }

    pub(super) async fn one_export(&self, condition: &'static str, id: Option<&str>) -> Result<Option<ExportTask>> {
        let client = self.client().await?;
        let sql = format!("{EXPORT} WHERE e.instance = $1 {condition}");
        row(&client, &sql, &[&INSTANCE, &id]).await.map_err(db)?.as_ref().map(export).transpose()
    }
}
