//! Batch tasks and their targets. Whoever changes targets holds the row of their task, whose counters change with them.

use async_trait::async_trait;
use causeway_model::batch::{
    BatchFile, BatchTarget, BatchTask, ExportTask, TargetStatus, TaskPolicy, TaskProgress, TaskStatus,
};
use causeway_model::registry::{Page, PageRequest, Sealed};
use causeway_model::{AppId, Code, Error, RecordNo, Result, Spaces, Timestamp};
use causeway_platform::batch::{BatchStore, NewTarget, TargetFilter, TargetOutcome, TaskFilter, TaskMove};
use deadpool_postgres::{GenericClient, Transaction};
use tokio_postgres::Row;

use super::connection::{Columns, Params, db, first, row, rows, run};
use super::{INSTANCE, PostgresStore, outbox};
use crate::rows as words;

const TASK: &str = "SELECT t.no, t.id, a.id, t.name, t.task_type, t.status, t.status_desc, t.ext_info, t.targets,
        t.targets_filter, t.document, t.job, t.document_source, t.schedule_time, t.retry_count, t.retry_interval,
        t.spaces, t.created_at, t.due_at, t.waitting, t.processing, t.success, t.fail, t.fail_wait_retry, t.stopped,
        t.removed
    FROM batch_task t JOIN app a ON a.no = t.app";

const TARGET: &str = "no, target, status, attempts, unsure, began_at, input, output, error_code, error_text";

fn progress(c: &mut Columns<'_>) -> Result<TaskProgress> {
    let mut progress = TaskProgress::default();
    for status in [
        TargetStatus::Waitting,
        TargetStatus::Processing,
        TargetStatus::Success,
        TargetStatus::Fail,
        TargetStatus::FailWaitRetry,
        TargetStatus::Stopped,
        TargetStatus::Removed,
    ] {
        progress.add(status, words::count(c.take()?));
    }
    Ok(progress)
}

fn task(row: &Row) -> Result<BatchTask> {
    let mut c = Columns::of(row);
    Ok(BatchTask {
        no: RecordNo(c.take()?),
        id: c.take()?,
        app_id: AppId::trusted(c.take::<String>()?),
        name: c.take()?,
        task_type: words::task_type(c.take()?)?,
        status: words::task_status(c.take()?)?,
        status_desc: c.take()?,
        ext_info: c.take()?,
        targets: c.take()?,
        targets_filter: c.take()?,
        document: c.take()?,
        job: c.take()?,
        document_source: c.take()?,
        policy: TaskPolicy {
            schedule_time: c.take::<Option<i64>>()?.map(Timestamp),
            retry_count: c.take::<Option<i64>>()?.map(words::small),
            retry_interval: c.take::<Option<i64>>()?.map(words::small),
        },
        spaces: words::spaces(c.take()?)?,
        created_at: Timestamp(c.take()?),
        due_at: Timestamp(c.take()?),
        progress: progress(&mut c)?,
    })
}

fn sealed(bytes: Option<Vec<u8>>) -> Option<Sealed> {
    bytes.map(|b| Sealed(b.into()))
}

fn target(row: &Row) -> Result<BatchTarget> {
    let mut c = Columns::of(row);
    Ok(BatchTarget {
        no: RecordNo(c.take()?),
        target: c.take()?,
        status: words::target_status(c.take()?)?,
        attempts: words::small(c.take()?),
        unsure: c.take()?,
        began_at: c.take::<Option<i64>>()?.map(Timestamp),
        input: sealed(c.take()?),
        output: sealed(c.take()?),
        error: c.take::<Option<String>>()?.zip(c.take::<Option<String>>()?),
    })
}

fn status_words(statuses: &[TaskStatus]) -> Vec<&'static str> {
    statuses.iter().map(|s| s.as_str()).collect()
}

/// Holds a task's row until the end of the transaction. False when it is gone.
async fn hold(transaction: &Transaction<'_>, no: RecordNo) -> Result<bool> {
    let sql = "SELECT no FROM batch_task WHERE no = $1 FOR UPDATE";
    Ok(row(transaction, sql, &[&no.0]).await.map_err(db)?.is_some())
}

/// Counts a task's targets anew.
async fn recount<C: GenericClient>(client: &C, no: RecordNo) -> Result<()> {
    let sql = "UPDATE batch_task SET (waitting, processing, success, fail, fail_wait_retry, stopped, removed) = (SELECT
            count(*) FILTER (WHERE status = 'Waitting'), count(*) FILTER (WHERE status = 'Processing'),
            count(*) FILTER (WHERE status = 'Success'), count(*) FILTER (WHERE status = 'Fail'),
            count(*) FILTER (WHERE status = 'FailWaitRetry'), count(*) FILTER (WHERE status = 'Stopped'),
            count(*) FILTER (WHERE status = 'Removed') FROM batch_target WHERE task = $1) WHERE no = $1";
    run(client, sql, &[&no.0]).await.map_err(db)?;
    Ok(())
}

impl PostgresStore {
    /// Changes targets, all or those named; the names of the latter that changed.
    async fn change_targets(&self, no: RecordNo, named: Option<Vec<String>>, sql: &str) -> Result<Vec<String>> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(db)?;
        if !hold(&transaction, no).await? {
            return Ok(Vec::new());
        }
        let changed = rows(&transaction, sql, &[&no.0, &named]).await.map_err(db)?;
        recount(&transaction, no).await?;
        transaction.commit().await.map_err(db)?;
        if named.is_none() {
            return Ok(Vec::new());
        }
        changed.iter().map(first).collect()
    }
}

#[async_trait]
impl BatchStore for PostgresStore {
    async fn insert_batch_task(&self, new: BatchTask, limit: u32) -> Result<BatchTask> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(db)?;
        run(&transaction, "LOCK TABLE batch_task IN SHARE ROW EXCLUSIVE MODE", &[]).await.map_err(db)?;
        let sql = "SELECT count(*) FROM batch_task WHERE instance = $1";
        let count = row(&transaction, sql, &[&INSTANCE]).await.map_err(db)?;
        if count.as_ref().map_or(Ok(0), first::<i64>)? >= i64::from(limit) {
            let text = format!("There are {limit} batch tasks already, which is the limit. Delete finished ones.");
            return Err(Error::new(Code::TooManyBatchTasks, text));
        }
        let sql = "INSERT INTO batch_task (instance, app, id, name, task_type, status, status_desc, ext_info, targets,
                targets_filter, document, job, document_source, schedule_time, retry_count, retry_interval, spaces,
                created_at, due_at)
            SELECT instance, no, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19
            FROM app WHERE instance = $1 AND id = $2 RETURNING no";
        let params: Params<'_> = &[
            &INSTANCE,
            &new.app_id.as_str(),
            &new.id,
            &new.name,
            &new.task_type.as_str(),
            &new.status.as_str(),
            &new.status_desc,
            &new.ext_info,
            &new.targets,
            &new.targets_filter,
            &new.document,
            &new.job,
            &new.document_source,
            &new.policy.schedule_time.map(|t| t.0),
            &new.policy.retry_count.map(i64::from),
            &new.policy.retry_interval.map(i64::from),
            &words::spaces_text(&new.spaces)?,
            &new.created_at.0,
            &new.due_at.0,
        ];
        let Some(stored) = row(&transaction, sql, params).await.map_err(db)? else {
            return Err(Error::new(Code::AppNotFound, "No such resource space."));
        };
        let no = RecordNo(first(&stored)?);
        transaction.commit().await.map_err(db)?;
        Ok(BatchTask { no, progress: TaskProgress::default(), ..new })
    }

    async fn add_batch_targets(&self, no: RecordNo, targets: Vec<NewTarget>) -> Result<()> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(db)?;
        let sql = "INSERT INTO batch_target (instance, app, task, target, status, input)
            SELECT t.instance, t.app, t.no, n.target, 'Waitting', n.input
            FROM unnest($2::text[], $3::bytea[]) WITH ORDINALITY n (target, input, place)
            JOIN batch_task t ON t.no = $1 ORDER BY n.place";
        let names: Vec<&str> = targets.iter().map(|t| t.target.as_str()).collect();
        let inputs: Vec<Option<&[u8]>> = targets.iter().map(|t| t.input.as_ref().map(|i| &*i.0)).collect();
        let added = run(&transaction, sql, &[&no.0, &names, &inputs]).await.map_err(db)?;
        let sql = "UPDATE batch_task SET waitting = waitting + $2 WHERE no = $1";
        run(&transaction, sql, &[&no.0, &i64::try_from(added).unwrap_or(0)]).await.map_err(db)?;
        transaction.commit().await.map_err(db)
    }

    async fn batch_task(&self, id: &str) -> Result<Option<BatchTask>> {
        let client = self.client().await?;
        let sql = format!("{TASK} WHERE t.instance = $1 AND t.id = $2");
        row(&client, &sql, &[&INSTANCE, &id]).await.map_err(db)?.as_ref().map(task).transpose()
    }

    async fn batch_tasks(&self, filter: &TaskFilter, page: PageRequest) -> Result<Page<BatchTask>> {
        const MATCHES: &str = "t.instance = $1 AND t.task_type = $2 AND ($3::text IS NULL OR t.status = $3)
            AND ($4::text[] IS NULL OR a.id = ANY ($4))";
        let client = self.client().await?;
        let list: Params<'_> = &[
            &INSTANCE,
            &filter.task_type.as_str(),
            &filter.status.map(TaskStatus::as_str),
            &filter.spaces.ids(),
            &page.marker.0,
            &i64::from(page.offset),
            &i64::from(page.limit),
        ];
        let sql = format!("{TASK} WHERE {MATCHES} AND t.no < $5 ORDER BY t.no DESC OFFSET $6 LIMIT $7");
        let found = rows(&client, &sql, list).await.map_err(db)?;
        let sql = format!("SELECT count(*) FROM batch_task t JOIN app a ON a.no = t.app WHERE {MATCHES}");
        let count = row(&client, &sql, &list[..4]).await.map_err(db)?;
        let items: Vec<BatchTask> = found.iter().map(task).collect::<Result<_>>()?;
        Ok(Page {
            marker: items.last().map_or(page.marker, |t| t.no),
            count: words::count(count.as_ref().map_or(Ok(0), first)?),
            items,
        })
    }

    async fn batch_targets(&self, no: RecordNo, filter: &TargetFilter, page: PageRequest) -> Result<Page<BatchTarget>> {
        const MATCHES: &str = "task = $1 AND ($2::text IS NULL OR status = $2) AND ($3::text IS NULL OR target = $3)";
        let client = self.client().await?;
        let list: Params<'_> = &[
            &no.0,
            &filter.status.map(TargetStatus::as_str),
            &filter.target,
            &page.marker.0,
            &i64::from(page.offset),
            &i64::from(page.limit),
        ];
        let sql = format!(
            "SELECT {TARGET} FROM batch_target WHERE {MATCHES} AND no < $4 ORDER BY no DESC OFFSET $5 LIMIT $6"
        );
        let found = rows(&client, &sql, list).await.map_err(db)?;
        let sql = format!("SELECT count(*) FROM batch_target WHERE {MATCHES}");
        let count = row(&client, &sql, &list[..3]).await.map_err(db)?;
        let items: Vec<BatchTarget> = found.iter().map(target).collect::<Result<_>>()?;
        Ok(Page {
            marker: items.last().map_or(page.marker, |t| t.no),
            count: words::count(count.as_ref().map_or(Ok(0), first)?),
            items,
        })
    }

    async fn delete_batch_task(&self, no: RecordNo, from: &'static [TaskStatus]) -> Result<bool> {
        let client = self.client().await?;
        // Targets go with it.
        let sql = "DELETE FROM batch_task WHERE no = $1 AND status = ANY ($2)";
        Ok(run(&client, sql, &[&no.0, &status_words(from)]).await.map_err(db)? > 0)
    }

    async fn move_batch_task(&self, change: TaskMove) -> Result<bool> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(db)?;
        let sql = "UPDATE batch_task SET status = $3, status_desc = $4, due_at = coalesce($5, due_at)
            WHERE no = $1 AND status = ANY ($2) AND (NOT $6 OR waitting + processing + fail_wait_retry = 0)";
        let params: Params<'_> = &[
            &change.no.0,
            &status_words(change.from),
            &change.to.as_str(),
            &change.desc,
            &change.due_at.map(|t| t.0),
            &change.only_ended,
        ];
        let changed = run(&transaction, sql, params).await.map_err(db)? > 0;
        if changed {
            outbox::insert(&transaction, &change.deliveries).await.map_err(db)?;
        }
        transaction.commit().await.map_err(db)?;
        if changed && !change.deliveries.is_empty() {
            self.signals.raise(change.deliveries.iter().map(|d| d.target));
        }
        Ok(changed)
    }

    async fn due_batch_tasks(&self, now: Timestamp, except: Vec<RecordNo>, limit: u32) -> Result<Vec<BatchTask>> {
        let client = self.client().await?;
        let except: Vec<i64> = except.into_iter().map(|no| no.0).collect();
        let sql = format!(
            "{TASK} WHERE t.status IN ('Waitting', 'Processing', 'Stopping') AND t.due_at <= $1
            AND NOT t.no = ANY ($2) ORDER BY t.due_at, t.no LIMIT $3"
        );
        rows(&client, &sql, &[&now.0, &except, &i64::from(limit)]).await.map_err(db)?.iter().map(task).collect()
    }

    async fn drop_half_made_batch_tasks(&self) -> Result<()> {
        let client = self.client().await?;
        let sql = "DELETE FROM batch_task WHERE instance = $1 AND status = 'Initializing'";
        run(&client, sql, &[&INSTANCE]).await.map_err(db)?;
        Ok(())
    }

    async fn release_batch_targets(&self, no: RecordNo) -> Result<()> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(db)?;
        if !hold(&transaction, no).await? {
            return Ok(());
        }
        let sql = "UPDATE batch_target SET status = 'Waitting', unsure = true, attempts = greatest(attempts - 1, 0)
            WHERE task = $1 AND status = 'Processing'";
        if run(&transaction, sql, &[&no.0]).await.map_err(db)? > 0 {
            recount(&transaction, no).await?;
        }
        transaction.commit().await.map_err(db)
    }

    async fn claim_batch_targets(&self, no: RecordNo, now: Timestamp, limit: u32) -> Result<Vec<BatchTarget>> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(db)?;
        if !hold(&transaction, no).await? {
            return Ok(Vec::new());
        }
        let sql = format!(
            "UPDATE batch_target SET status = 'Processing', attempts = attempts + 1, began_at = coalesce(began_at, $2)
            WHERE no IN (
                (SELECT no FROM batch_target WHERE task = $1 AND status = $4 AND (due_at IS NULL OR due_at <= $2)
                ORDER BY no LIMIT $3))
            RETURNING {TARGET}"
        );
        let mut targets: Vec<BatchTarget> = Vec::new();
        let mut counts = [0_i64; 2];
        for (count, status) in counts.iter_mut().zip([TargetStatus::Waitting, TargetStatus::FailWaitRetry]) {
            let left = i64::from(limit).saturating_sub(i64::try_from(targets.len()).unwrap_or(i64::MAX));
            if left > 0 {
                let claimed = rows(&transaction, &sql, &[&no.0, &now.0, &left, &status.as_str()]).await.map_err(db)?;
                *count = i64::try_from(claimed.len()).unwrap_or(0);
                for row in &claimed {
                    targets.push(target(row)?);
                }
            }
        }
        if targets.is_empty() {
            return Ok(targets);
        }
        let sql = "UPDATE batch_task SET waitting = waitting - $2, fail_wait_retry = fail_wait_retry - $3,
            processing = processing + $2 + $3 WHERE no = $1";
        run(&transaction, sql, &[&no.0, &counts[0], &counts[1]]).await.map_err(db)?;
        transaction.commit().await.map_err(db)?;
        targets.sort_by_key(|t| t.no);
        Ok(targets)
    }

    async fn finish_batch_targets(&self, no: RecordNo, outcomes: Vec<TargetOutcome>) -> Result<TaskProgress> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(db)?;
        if !hold(&transaction, no).await? {
            return Ok(TaskProgress::default());
        }
        let sql = "UPDATE batch_target b SET status = n.status, output = n.output, error_code = n.code,
                error_text = n.text, due_at = n.due_at, unsure = false,
                input = CASE n.status WHEN 'Success' THEN NULL ELSE b.input END
            FROM unnest($2::bigint[], $3::text[], $4::bytea[], $5::text[], $6::text[], $7::bigint[])
                n (no, status, output, code, text, due_at)
            WHERE b.no = n.no AND b.task = $1 AND b.status = 'Processing' RETURNING n.status";
        let nos: Vec<i64> = outcomes.iter().map(|o| o.no.0).collect();
        let statuses: Vec<&str> = outcomes.iter().map(|o| o.status.as_str()).collect();
        let outputs: Vec<Option<&[u8]>> = outcomes.iter().map(|o| o.output.as_ref().map(|s| &*s.0)).collect();
        let codes: Vec<Option<&str>> = outcomes.iter().map(|o| o.error.as_ref().map(|(c, _)| c.as_str())).collect();
        let texts: Vec<Option<&str>> = outcomes.iter().map(|o| o.error.as_ref().map(|(_, t)| t.as_str())).collect();
        let due: Vec<Option<i64>> = outcomes.iter().map(|o| o.retry_at.map(|t| t.0)).collect();
        let params: Params<'_> = &[&no.0, &nos, &statuses, &outputs, &codes, &texts, &due];
        let (mut success, mut fail, mut again) = (0_i64, 0_i64, 0_i64);
        for changed in rows(&transaction, sql, params).await.map_err(db)? {
            *match words::target_status(first(&changed)?)? {
                TargetStatus::Success => &mut success,
                TargetStatus::FailWaitRetry => &mut again,
                _ => &mut fail,
            } += 1;
        }
        let sql = "UPDATE batch_task SET processing = processing - $2::bigint - $3::bigint - $4::bigint,
                success = success + $2, fail = fail + $3, fail_wait_retry = fail_wait_retry + $4 WHERE no = $1
            RETURNING waitting, processing, success, fail, fail_wait_retry, stopped, removed";
        let counted = row(&transaction, sql, &[&no.0, &success, &fail, &again]).await.map_err(db)?;
        let counted = counted.as_ref().map_or(Ok(TaskProgress::default()), |r| progress(&mut Columns::of(r)))?;
        transaction.commit().await.map_err(db)?;
        Ok(counted)
    }

    async fn postpone_batch_task(&self, no: RecordNo) -> Result<()> {
        let client = self.client().await?;
        let sql = "UPDATE batch_task SET due_at = coalesce((SELECT min(due_at) FROM batch_target
                WHERE task = $1 AND status = 'FailWaitRetry'), due_at)
            WHERE no = $1 AND waitting + processing = 0";
        run(&client, sql, &[&no.0]).await.map_err(db)?;
        Ok(())
    }

    async fn stop_batch_targets(&self, no: RecordNo, named: Option<Vec<String>>) -> Result<Vec<String>> {
        let sql = "UPDATE batch_target SET status = 'Stopped' WHERE task = $1
            AND ($2::text[] IS NULL OR target = ANY ($2)) AND status IN ('Waitting', 'FailWaitRetry') RETURNING target";
        self.change_targets(no, named, sql).await
    }

    async fn retry_batch_targets(&self, no: RecordNo, named: Option<Vec<String>>) -> Result<Vec<String>> {
        let sql = "UPDATE batch_target SET status = 'Waitting', attempts = 0, due_at = NULL WHERE task = $1
            AND ($2::text[] IS NULL OR target = ANY ($2)) AND status IN ('Fail', 'FailWaitRetry', 'Stopped')
            RETURNING target";
        self.change_targets(no, named, sql).await
    }

    async fn insert_batch_file(&self, file: BatchFile, content: Sealed, limit: u32) -> Result<BatchFile> {
        self.add_file(file, content, limit).await
    }

    async fn batch_files(&self) -> Result<Vec<BatchFile>> {
        self.files().await
    }

    async fn batch_file(&self, id: &str) -> Result<Option<(BatchFile, Sealed)>> {
        self.file(id).await
    }

    async fn delete_batch_file(&self, id: &str) -> Result<bool> {
        let client = self.client().await?;
        let sql = "DELETE FROM batch_file WHERE instance = $1 AND id = $2";
        Ok(run(&client, sql, &[&INSTANCE, &id]).await.map_err(db)? > 0)
    }

    async fn insert_export(&self, export: ExportTask, limit: u32) -> Result<ExportTask> {
        self.add_export(export, limit).await
    }

    async fn exports(&self, spaces: &Spaces, task_id: Option<&str>, page: PageRequest) -> Result<Page<ExportTask>> {
        self.list_exports(spaces, task_id, page).await
    }

    async fn export(&self, id: &str) -> Result<Option<ExportTask>> {
        self.one_export("AND e.id = $2", Some(id)).await
    }

    async fn unwritten_export(&self) -> Result<Option<ExportTask>> {
        self.one_export("AND e.status = 'Processing' AND $2::text IS NULL ORDER BY e.no LIMIT 1", None).await
    }

    async fn finish_export(&self, export: &ExportTask, file: Option<Sealed>) -> Result<()> {
        let client = self.client().await?;
        let sql = "UPDATE export_task SET status = $2, rows = $3, ended_at = $4, file = $5 WHERE no = $1";
        let params: Params<'_> = &[
            &export.no.0,
            &export.status.as_str(),
            &i64::try_from(export.rows).unwrap_or(i64::MAX),
            &export.ended_at.map(|t| t.0),
            &file.as_ref().map(|f| &*f.0),
        ];
        run(&client, sql, params).await.map_err(db)?;
        Ok(())
    }

    async fn export_file(&self, no: RecordNo) -> Result<Option<Sealed>> {
        let client = self.client().await?;
        let found = row(&client, "SELECT file FROM export_task WHERE no = $1", &[&no.0]).await.map_err(db)?;
        found.as_ref().map_or(Ok(None), |r| first::<Option<Vec<u8>>>(r).map(sealed))
    }

    async fn delete_export(&self, no: RecordNo) -> Result<bool> {
        let client = self.client().await?;
        Ok(run(&client, "DELETE FROM export_task WHERE no = $1", &[&no.0]).await.map_err(db)? > 0)
    }

    async fn expire_exports(&self, before: Timestamp) -> Result<u64> {
        let client = self.client().await?;
        let sql = "DELETE FROM export_task WHERE instance = $1 AND created_at < $2";
        run(&client, sql, &[&INSTANCE, &before.0]).await.map_err(db)
    }
}
