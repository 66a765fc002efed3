//! Batch tasks and their targets. A task's counters change in the transaction that changes its targets.

use async_trait::async_trait;
use causeway_model::batch::{
    BatchFile, BatchTarget, BatchTask, ExportTask, TargetStatus, TaskPolicy, TaskProgress, TaskStatus,
};
use causeway_model::registry::{Page, PageRequest, Sealed};
use causeway_model::{AppId, Code, Error, RecordNo, Result, Spaces, Timestamp};
use causeway_platform::batch::{BatchStore, NewTarget, TargetFilter, TargetOutcome, TaskFilter, TaskMove};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};

use super::app::{in_spaces, require_app};
use super::error::Outcome;
use super::{INSTANCE, SqliteStore, batch_file};
use crate::rows;

macro_rules! task_sql {
    ($tail:literal) => {
        concat!(
            "SELECT t.no, t.id, a.id, t.name, t.task_type, t.status, t.status_desc, t.ext_info, t.targets, \
             t.targets_filter, t.document, t.job, t.document_source, t.schedule_time, t.retry_count, \
             t.retry_interval, t.spaces, t.created_at, t.due_at, t.waitting, t.processing, t.success, t.fail, \
             t.fail_wait_retry, t.stopped, t.removed FROM batch_task t JOIN app a ON a.no = t.app ",
            $tail
        )
    };
}

macro_rules! target_sql {
    ($tail:literal) => {
        concat!(
            "SELECT no, target, status, attempts, unsure, began_at, input, output, error_code, error_text \
             FROM batch_target ",
            $tail
        )
    };
}

fn read_progress(row: &Row<'_>, from: usize) -> rusqlite::Result<TaskProgress> {
    let mut progress = TaskProgress::default();
    for (at, status) in COUNTERS.iter().enumerate() {
        progress.add(*status, rows::count(row.get(from + at)?));
    }
    Ok(progress)
}

/// The statuses in the order of the counters' columns.
const COUNTERS: [TargetStatus; 7] = [
    TargetStatus::Waitting,
    TargetStatus::Processing,
    TargetStatus::Success,
    TargetStatus::Fail,
    TargetStatus::FailWaitRetry,
    TargetStatus::Stopped,
    TargetStatus::Removed,
];

fn read_task(row: &Row<'_>) -> Outcome<BatchTask> {
    let text = |at: usize| row.get_ref(at)?.as_str().map_err(rusqlite::Error::from);
    let small = |at: usize| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(at)?.map(rows::small));
    Ok(BatchTask {
        no: RecordNo(row.get(0)?),
        id: row.get(1)?,
        app_id: AppId::trusted(row.get::<_, String>(2)?),
        name: row.get(3)?,
        task_type: rows::task_type(text(4)?)?,
        status: rows::task_status(text(5)?)?,
        status_desc: row.get(6)?,
        ext_info: row.get(7)?,
        targets: row.get(8)?,
        targets_filter: row.get(9)?,
        document: row.get(10)?,
        job: row.get(11)?,
        document_source: row.get(12)?,
        policy: TaskPolicy {
            schedule_time: row.get::<_, Option<i64>>(13)?.map(Timestamp),
            retry_count: small(14)?,
            retry_interval: small(15)?,
        },
        spaces: rows::spaces(row.get::<_, Option<String>>(16)?.as_deref())?,
        created_at: Timestamp(row.get(17)?),
        due_at: Timestamp(row.get(18)?),
        progress: read_progress(row, 19)?,
    })
}

fn read_target(row: &Row<'_>) -> Outcome<BatchTarget> {
    let sealed = |at: usize| Ok::<_, rusqlite::Error>(row.get::<_, Option<Vec<u8>>>(at)?.map(|b| Sealed(b.into())));
    Ok(BatchTarget {
        no: RecordNo(row.get(0)?),
        target: row.get(1)?,
        status: rows::target_status(row.get_ref(2)?.as_str().map_err(rusqlite::Error::from)?)?,
        attempts: rows::small(row.get(3)?),
        unsure: row.get(4)?,
        began_at: row.get::<_, Option<i64>>(5)?.map(Timestamp),
        input: sealed(6)?,
        output: sealed(7)?,
        error: row.get::<_, Option<String>>(8)?.zip(row.get::<_, Option<String>>(9)?),
    })
}

/// Counts a task's targets anew.
fn recount(conn: &Connection, task: RecordNo) -> Outcome<()> {
    conn.prepare_cached(
        "UPDATE batch_task SET (waitting, processing, success, fail, fail_wait_retry, stopped, removed) = (SELECT \
         count(*) FILTER (WHERE status = 'Waitting'), count(*) FILTER (WHERE status = 'Processing'), \
         count(*) FILTER (WHERE status = 'Success'), count(*) FILTER (WHERE status = 'Fail'), \
         count(*) FILTER (WHERE status = 'FailWaitRetry'), count(*) FILTER (WHERE status = 'Stopped'), \
         count(*) FILTER (WHERE status = 'Removed') FROM batch_target WHERE task = ?1) WHERE no = ?1",
    )?
    .execute([task.0])?;
    Ok(())
}

/// Changes the status of targets, all that have one of the statuses or those named; the names of the latter.
fn change_targets(
    conn: &Connection,
    task: RecordNo,
    named: Option<&[String]>,
    all: &'static str,
    one: &'static str,
) -> Outcome<Vec<String>> {
    let mut changed = Vec::new();
    match named {
        None => {
            conn.prepare_cached(all)?.execute([task.0])?;
        }
        Some(names) => {
            let mut change = conn.prepare_cached(one)?;
            for name in names {
                if change.execute(params![task.0, name])? > 0 {
                    changed.push(name.clone());
                }
            }
        }
    }
    recount(conn, task)?;
    Ok(changed)
}

fn words(statuses: &[TaskStatus]) -> String {
    serde_json::to_string(&statuses.iter().map(|s| s.as_str()).collect::<Vec<_>>()).unwrap_or_default()
}

fn insert(conn: &Connection, task: &BatchTask) -> Outcome<i64> {
    let app = require_app(conn, &task.app_id)?;
    conn.prepare_cached(
        "INSERT INTO batch_task (instance, app, id, name, task_type, status, status_desc, ext_info, targets, \
         targets_filter, document, job, document_source, schedule_time, retry_count, retry_interval, spaces, \
         created_at, due_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)",
    )?
    .execute(params![
        INSTANCE,
        app,
        task.id,
        task.name,
        task.task_type.as_str(),
        task.status.as_str(),
        task.status_desc,
        task.ext_info,
        task.targets,
        task.targets_filter,
        task.document,
        task.job,
        task.document_source,
        task.policy.schedule_time.map(|t| t.0),
        task.policy.retry_count,
        task.policy.retry_interval,
        rows::spaces_text(&task.spaces)?,
        task.created_at.0,
        task.due_at.0,
    ])?;
    Ok(conn.last_insert_rowid())
}

#[async_trait]
impl BatchStore for SqliteStore {
    async fn insert_batch_task(&self, mut task: BatchTask, limit: u32) -> Result<BatchTask> {
        self.write(move |tx| {
            let count: i64 = tx.conn.prepare_cached("SELECT count(*) FROM batch_task")?.query_row([], |r| r.get(0))?;
            if count >= i64::from(limit) {
                let text = format!("There are {limit} batch tasks already, which is the limit. Delete finished ones.");
                return Err(Error::new(Code::TooManyBatchTasks, text).into());
            }
            task.no = RecordNo(insert(tx.conn, &task)?);
            task.progress = TaskProgress::default();
            Ok(task)
        })
        .await
    }

    async fn add_batch_targets(&self, task: RecordNo, targets: Vec<NewTarget>) -> Result<()> {
        self.write(move |tx| {
            let mut find = tx.conn.prepare_cached("SELECT app FROM batch_task WHERE no = ?1")?;
            let Some(app) = find.query_row([task.0], |r| r.get::<_, i64>(0)).optional()? else { return Ok(()) };
            let mut insert = tx.conn.prepare_cached(
                "INSERT INTO batch_target (instance, app, task, target, status, input) \
                 VALUES (?1, ?2, ?3, ?4, 'Waitting', ?5)",
            )?;
            for target in &targets {
                let input = target.input.as_ref().map(|i| &*i.0);
                insert.execute(params![INSTANCE, app, task.0, target.target, input])?;
            }
            let mut count = tx.conn.prepare_cached("UPDATE batch_task SET waitting = waitting + ?2 WHERE no = ?1")?;
            count.execute(params![task.0, i64::try_from(targets.len()).unwrap_or(0)])?;
            Ok(())
        })
        .await
    }

    async fn batch_task(&self, id: &str) -> Result<Option<BatchTask>> {
        let id = id.to_owned();
        self.read(move |conn| {
            let mut statement = conn.prepare_cached(task_sql!("WHERE t.instance = ?1 AND t.id = ?2"))?;
            statement.query_and_then(params![INSTANCE, id], read_task)?.next().transpose()
        })
        .await
    }

    async fn batch_tasks(&self, filter: &TaskFilter, page: PageRequest) -> Result<Page<BatchTask>> {
        let mut clause = "t.instance = 1 AND t.task_type = ?".to_owned();
        let mut values = vec![Value::from(filter.task_type.as_str().to_owned())];
        if let Some(status) = filter.status {
            clause.push_str(" AND t.status = ?");
            values.push(Value::from(status.as_str().to_owned()));
        }
        in_spaces(&filter.spaces, "t.app", &mut clause, &mut values);
        self.read(move |conn| {
            let count: i64 = conn
                .prepare_cached(&format!("SELECT count(*) FROM batch_task t WHERE {clause}"))?
                .query_row(params_from_iter(&values), |row| row.get(0))?;
            values.extend([page.marker.0, i64::from(page.limit), i64::from(page.offset)].map(Value::from));
            let sql = format!(task_sql!("WHERE {} AND t.no < ? ORDER BY t.no DESC LIMIT ? OFFSET ?"), clause);
            let items: Vec<BatchTask> = conn
                .prepare_cached(&sql)?
                .query_and_then(params_from_iter(&values), read_task)?
                .collect::<Outcome<_>>()?;
            let marker = items.last().map_or(page.marker, |t| t.no);
            Ok(Page { items, count: rows::count(count), marker })
        })
        .await
    }

    async fn batch_targets(
        &self,
        task: RecordNo,
        filter: &TargetFilter,
        page: PageRequest,
    ) -> Result<Page<BatchTarget>> {
        let mut clause = "task = ?".to_owned();
        let mut values = vec![Value::from(task.0)];
        if let Some(status) = filter.status {
            clause.push_str(" AND status = ?");
            values.push(Value::from(status.as_str().to_owned()));
        }
        if let Some(target) = &filter.target {
            clause.push_str(" AND target = ?");
            values.push(Value::from(target.clone()));
        }
        self.read(move |conn| {
            let count: i64 = conn
                .prepare_cached(&format!("SELECT count(*) FROM batch_target WHERE {clause}"))?
                .query_row(params_from_iter(&values), |row| row.get(0))?;
            values.extend([page.marker.0, i64::from(page.limit), i64::from(page.offset)].map(Value::from));
            let sql = format!(target_sql!("WHERE {} AND no < ? ORDER BY no DESC LIMIT ? OFFSET ?"), clause);
            let items: Vec<BatchTarget> = conn
                .prepare_cached(&sql)?
                .query_and_then(params_from_iter(&values), read_target)?
                .collect::<Outcome<_>>()?;
            let marker = items.last().map_or(page.marker, |t| t.no);
            Ok(Page { items, count: rows::count(count), marker })
        })
        .await
    }

    async fn delete_batch_task(&self, task: RecordNo, from: &'static [TaskStatus]) -> Result<bool> {
        self.write(move |tx| {
            // Targets go with it.
            let mut delete = tx.conn.prepare_cached(
                "DELETE FROM batch_task WHERE no = ?1 AND status IN (SELECT value FROM json_each(?2))",
            )?;
            Ok(delete.execute(params![task.0, words(from)])? > 0)
        })
        .await
    }

    async fn move_batch_task(&self, change: TaskMove) -> Result<bool> {
        self.write(move |tx| {
            let mut update = tx.conn.prepare_cached(
                "UPDATE batch_task SET status = ?3, status_desc = ?4, due_at = coalesce(?5, due_at) \
                 WHERE no = ?1 AND status IN (SELECT value FROM json_each(?2)) \
                 AND (NOT ?6 OR waitting + processing + fail_wait_retry = 0)",
            )?;
            let changed = update.execute(params![
                change.no.0,
                words(change.from),
                change.to.as_str(),
                change.desc,
                change.due_at.map(|t| t.0),
                change.only_ended,
            ])?;
            if changed > 0 {
                tx.outbox.write(tx.conn, &change.deliveries)?;
            }
            Ok(changed > 0)
        })
        .await
    }

    async fn due_batch_tasks(&self, now: Timestamp, except: Vec<RecordNo>, limit: u32) -> Result<Vec<BatchTask>> {
        let except: Vec<i64> = except.into_iter().map(|no| no.0).collect();
        let except = serde_json::to_string(&except).map_err(Error::internal)?;
        self.read(move |conn| {
            let mut statement = conn.prepare_cached(task_sql!(
                "WHERE t.status IN ('Waitting', 'Processing', 'Stopping') AND t.due_at <= ?1 \
                 AND t.no NOT IN (SELECT value FROM json_each(?2)) ORDER BY t.due_at, t.no LIMIT ?3"
            ))?;
            statement.query_and_then(params![now.0, except, limit], read_task)?.collect()
        })
        .await
    }

    async fn drop_half_made_batch_tasks(&self) -> Result<()> {
        self.write(|tx| {
            tx.conn.prepare_cached("DELETE FROM batch_task WHERE status = 'Initializing'")?.execute([])?;
            Ok(())
        })
        .await
    }

    async fn release_batch_targets(&self, task: RecordNo) -> Result<()> {
        self.write(move |tx| {
            let released = tx
                .conn
                .prepare_cached(
                    "UPDATE batch_target SET status = 'Waitting', unsure = 1, attempts = max(attempts - 1, 0) \
                     WHERE task = ?1 AND status = 'Processing'",
                )?
                .execute([task.0])?;
            if released > 0 { recount(tx.conn, task) } else { Ok(()) }
        })
        .await
    }

    async fn claim_batch_targets(&self, task: RecordNo, now: Timestamp, limit: u32) -> Result<Vec<BatchTarget>> {
        self.write(move |tx| {
            let mut targets: Vec<BatchTarget> = tx
                .conn
                .prepare_cached(target_sql!("WHERE task = ?1 AND status = 'Waitting' ORDER BY no LIMIT ?2"))?
                .query_and_then(params![task.0, limit], read_target)?
                .collect::<Outcome<_>>()?;
            let waitting = targets.len();
            if waitting < limit as usize {
                let mut again = tx.conn.prepare_cached(target_sql!(
                    "WHERE task = ?1 AND status = 'FailWaitRetry' AND due_at <= ?2 ORDER BY no LIMIT ?3"
                ))?;
                let left = limit as usize - waitting;
                for target in again.query_and_then(params![task.0, now.0, left as i64], read_target)? {
                    targets.push(target?);
                }
            }
            if targets.is_empty() {
                return Ok(targets);
            }
            let mut mark = tx.conn.prepare_cached(
                "UPDATE batch_target SET status = 'Processing', attempts = ?2, began_at = ?3 WHERE no = ?1",
            )?;
            for target in &mut targets {
                target.status = TargetStatus::Processing;
                target.attempts += 1;
                let began = *target.began_at.get_or_insert(now);
                mark.execute(params![target.no.0, target.attempts, began.0])?;
            }
            tx.conn
                .prepare_cached(
                    "UPDATE batch_task SET waitting = waitting - ?2, fail_wait_retry = fail_wait_retry - ?3, \
                     processing = processing + ?2 + ?3 WHERE no = ?1",
                )?
                .execute(params![task.0, waitting as i64, (targets.len() - waitting) as i64])?;
            Ok(targets)
        })
        .await
    }

    async fn finish_batch_targets(&self, task: RecordNo, outcomes: Vec<TargetOutcome>) -> Result<TaskProgress> {
        self.write(move |tx| {
            let mut update = tx.conn.prepare_cached(
                "UPDATE batch_target SET status = ?2, output = ?3, error_code = ?4, error_text = ?5, due_at = ?6, \
                 unsure = 0, input = CASE ?2 WHEN 'Success' THEN NULL ELSE input END \
                 WHERE no = ?1 AND status = 'Processing'",
            )?;
            let (mut success, mut fail, mut again) = (0_i64, 0_i64, 0_i64);
            for outcome in &outcomes {
                let changed = update.execute(params![
                    outcome.no.0,
                    outcome.status.as_str(),
                    outcome.output.as_ref().map(|o| &*o.0),
                    outcome.error.as_ref().map(|(code, _)| code),
                    outcome.error.as_ref().map(|(_, text)| text),
                    outcome.retry_at.map(|t| t.0),
                ])?;
                if changed > 0 {
                    *match outcome.status {
                        TargetStatus::Success => &mut success,
                        TargetStatus::FailWaitRetry => &mut again,
                        _ => &mut fail,
                    } += 1;
                }
            }
            let progress = tx
                .conn
                .prepare_cached(
                    "UPDATE batch_task SET processing = processing - (?2 + ?3 + ?4), success = success + ?2, \
                     fail = fail + ?3, fail_wait_retry = fail_wait_retry + ?4 WHERE no = ?1 \
                     RETURNING waitting, processing, success, fail, fail_wait_retry, stopped, removed",
                )?
                .query_row(params![task.0, success, fail, again], |row| read_progress(row, 0))
                .optional()?;
            Ok(progress.unwrap_or_default())
        })
        .await
    }

    async fn postpone_batch_task(&self, task: RecordNo) -> Result<()> {
        self.write(move |tx| {
            tx.conn
                .prepare_cached(
                    "UPDATE batch_task SET due_at = coalesce((SELECT min(due_at) FROM batch_target \
                     WHERE task = ?1 AND status = 'FailWaitRetry'), due_at) \
                     WHERE no = ?1 AND waitting + processing = 0",
                )?
                .execute([task.0])?;
            Ok(())
        })
        .await
    }

    async fn stop_batch_targets(&self, task: RecordNo, named: Option<Vec<String>>) -> Result<Vec<String>> {
        self.write(move |tx| {
            change_targets(
                tx.conn,
                task,
                named.as_deref(),
                "UPDATE batch_target SET status = 'Stopped' \
                 WHERE task = ?1 AND status IN ('Waitting', 'FailWaitRetry')",
                "UPDATE batch_target SET status = 'Stopped' \
                 WHERE task = ?1 AND target = ?2 AND status IN ('Waitting', 'FailWaitRetry')",
            )
        })
        .await
    }

    async fn retry_batch_targets(&self, task: RecordNo, named: Option<Vec<String>>) -> Result<Vec<String>> {
        self.write(move |tx| {
            change_targets(
                tx.conn,
                task,
                named.as_deref(),
                "UPDATE batch_target SET status = 'Waitting', attempts = 0, due_at = NULL \
                 WHERE task = ?1 AND status IN ('Fail', 'FailWaitRetry', 'Stopped')",
                "UPDATE batch_target SET status = 'Waitting', attempts = 0, due_at = NULL \
                 WHERE task = ?1 AND target = ?2 AND status IN ('Fail', 'FailWaitRetry', 'Stopped')",
            )
        })
        .await
    }

    async fn insert_batch_file(&self, file: BatchFile, content: Sealed, limit: u32) -> Result<BatchFile> {
        self.write(move |tx| batch_file::insert_file(tx.conn, file, &content, limit)).await
    }

    async fn batch_files(&self) -> Result<Vec<BatchFile>> {
        self.read(batch_file::files).await
    }

    async fn batch_file(&self, id: &str) -> Result<Option<(BatchFile, Sealed)>> {
        let id = id.to_owned();
        self.read(move |conn| batch_file::file(conn, &id)).await
    }

    async fn delete_batch_file(&self, id: &str) -> Result<bool> {
        let id = id.to_owned();
        self.write(move |tx| {
            let mut delete = tx.conn.prepare_cached("DELETE FROM batch_file WHERE instance = ?1 AND id = ?2")?;
            Ok(delete.execute(params![INSTANCE, id])? > 0)
        })
        .await
    }

    async fn insert_export(&self, export: ExportTask, limit: u32) -> Result<ExportTask> {
        self.write(move |tx| batch_file::insert_export(tx.conn, export, limit)).await
    }

    async fn exports(&self, spaces: &Spaces, task_id: Option<&str>, page: PageRequest) -> Result<Page<ExportTask>> {
        let (spaces, task_id) = (spaces.clone(), task_id.map(str::to_owned));
        self.read(move |conn| batch_file::exports(conn, &spaces, task_id, page)).await
    }

    async fn export(&self, id: &str) -> Result<Option<ExportTask>> {
        let id = id.to_owned();
        self.read(move |conn| batch_file::export(conn, &id)).await
    }

    async fn unwritten_export(&self) -> Result<Option<ExportTask>> {
        self.read(batch_file::unwritten_export).await
    }

    async fn finish_export(&self, export: &ExportTask, file: Option<Sealed>) -> Result<()> {
        let export = export.clone();
        self.write(move |tx| batch_file::finish_export(tx.conn, &export, file.as_ref())).await
    }

    async fn export_file(&self, no: RecordNo) -> Result<Option<Sealed>> {
        self.read(move |conn| batch_file::export_file(conn, no)).await
    }

    async fn delete_export(&self, no: RecordNo) -> Result<bool> {
        self.write(move |tx| Ok(tx.conn.prepare_cached("DELETE FROM export_task WHERE no = ?1")?.execute([no.0])? > 0))
            .await
    }

    async fn expire_exports(&self, before: Timestamp) -> Result<u64> {
        self.write(move |tx| {
            let mut delete = tx.conn.prepare_cached("DELETE FROM export_task WHERE created_at < ?1")?;
            Ok(delete.execute([before.0])? as u64)
        })
        .await
    }
}
