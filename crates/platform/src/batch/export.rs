//! Exports: a task's results as a spreadsheet in a zip, written in the background.

use causeway_model::batch::{BatchTarget, BatchTask, ExportStatus, ExportTask};
use causeway_model::registry::{Page, PageRequest};
use causeway_model::{Code, Error, RecordNo, Result, Spaces};
use causeway_sheet::{Column, write_xlsx, zip_file};
use zeroize::Zeroizing;

use super::TargetFilter;
use crate::Platform;
use crate::secrets::random_hex;

/// Targets read at once.
const PAGE: u32 = 1000;

/// The columns of an export.
const COLUMNS: &[Column] = &[
    Column { name: "target", width: 40 },
    Column { name: "status", width: 14 },
    Column { name: "output", width: 60 },
    Column { name: "error_code", width: 16 },
    Column { name: "error_msg", width: 60 },
];

/// An export to make.
#[derive(Clone, Debug)]
pub struct NewExportTask {
    /// The task to export.
    pub task_id: String,
    /// The condition as it was sent.
    pub condition: String,
    /// As it was sent.
    pub app_type: Option<String>,
}

fn not_found(id: &str) -> Error {
    let shown: String = id.chars().take(50).collect();
    Error::new(Code::ExportTaskNotFound, format!("The export task '{shown}' does not exist."))
}

impl Platform {
    /// Asks for an export of a task's results as they are when it is written.
    ///
    /// # Errors
    /// [`Code::BatchTaskNotFound`]; [`Code::TooManyExportTasks`].
    pub async fn create_export(&self, spaces: &Spaces, new: NewExportTask) -> Result<ExportTask> {
        let task = self.batch_task(spaces, &new.task_id).await?;
        let export = ExportTask {
            no: RecordNo(0),
            id: random_hex(12),
            app_id: task.app_id,
            task_id: task.id,
            condition: new.condition,
            app_type: new.app_type,
            status: ExportStatus::Processing,
            rows: 0,
            created_at: self.clock.now(),
            ended_at: None,
        };
        let export = self.store.insert_export(export, self.settings.batch.max_exports).await?;
        self.batch.wake();
        Ok(export)
    }

    /// A page of exports, newest first; only of one batch task, when asked.
    ///
    /// # Errors
    /// [`Code::AppNotFound`].
    pub async fn exports(&self, spaces: &Spaces, task_id: Option<&str>, page: PageRequest) -> Result<Page<ExportTask>> {
        if let Some(app) = spaces.single() {
            self.app(app).await?;
        }
        self.store.exports(spaces, task_id, page).await
    }

    async fn export(&self, spaces: &Spaces, id: &str) -> Result<ExportTask> {
        let export = self.store.export(id).await?.filter(|e| spaces.sees(&e.app_id));
        export.ok_or_else(|| not_found(id))
    }

    /// The file of an export: a zip.
    ///
    /// # Errors
    /// [`Code::ExportTaskNotFound`]; [`Code::ExportNotReady`].
    pub async fn export_file(&self, spaces: &Spaces, id: &str) -> Result<Zeroizing<Vec<u8>>> {
        let export = self.export(spaces, id).await?;
        match export.status {
            ExportStatus::Processing => {
                Err(Error::new(Code::ExportNotReady, "Operation not allowed. The export is still being written."))
            }
            ExportStatus::Failed => {
                Err(Error::new(Code::ExportNotReady, "Operation not allowed. The export failed; make another one."))
            }
            ExportStatus::Success => {
                let sealed = self.store.export_file(export.no).await?.ok_or_else(|| not_found(id))?;
                self.secrets.open(&sealed)
            }
        }
    }

    /// Deletes an export with its file.
    ///
    /// # Errors
    /// [`Code::ExportTaskNotFound`].
    pub async fn delete_export(&self, spaces: &Spaces, id: &str) -> Result<()> {
        let export = self.export(spaces, id).await?;
        if self.store.delete_export(export.no).await? { Ok(()) } else { Err(not_found(id)) }
    }

    /// Writes the exports there are, and deletes those that are too old when `expire` says so.
    pub(super) async fn work_on_exports(&self, expire: bool) {
        if let Err(error) = self.try_exports(expire).await {
            tracing::warn!(?error, "exports are tried again in a moment");
        }
    }

    async fn try_exports(&self, expire: bool) -> Result<()> {
        let retention = self.settings.batch.export_retention.as_millis();
        if expire && retention > 0 {
            let dropped = self.store.expire_exports(self.clock.now().plus_ms(-retention)).await?;
            tracing::debug!(dropped, "old exports");
        }
        while let Some(mut export) = self.store.unwritten_export().await? {
            let file = match self.write_export(&mut export).await {
                Ok(file) => Some(self.secrets.seal(&file)),
                Err(error) if error.is_retryable() => return Err(error),
                Err(error) => {
                    tracing::error!(export_task_id = export.id, ?error, "an export failed");
                    None
                }
            };
            export.status = if file.is_some() { ExportStatus::Success } else { ExportStatus::Failed };
            export.ended_at = Some(self.clock.now());
            self.store.finish_export(&export, file).await?;
        }
        Ok(())
    }

    async fn write_export(&self, export: &mut ExportTask) -> Result<Zeroizing<Vec<u8>>> {
        let task = self.store.batch_task(&export.task_id).await?;
        let task = task.ok_or_else(|| Error::internal("the batch task went before its export was written"))?;
        let rows = self.result_rows(&task).await?;
        export.rows = rows.len() as u64;
        let name = format!("{}.xlsx", task.id);
        let made = tokio::task::spawn_blocking(move || {
            let sheet = write_xlsx(COLUMNS, &rows)?;
            zip_file(&name, &sheet)
        });
        made.await.map_err(Error::internal)?.map(Zeroizing::new).map_err(Error::internal)
    }

    /// One row a target, in their order.
    async fn result_rows(&self, task: &BatchTask) -> Result<Vec<Vec<String>>> {
        let mut rows = Vec::new();
        let mut page = PageRequest { marker: RecordNo::LAST, offset: 0, limit: PAGE };
        loop {
            let found = self.store.batch_targets(task.no, &TargetFilter::default(), page).await?;
            let last = found.items.len() < PAGE as usize;
            page.marker = found.marker;
            for target in found.items {
                rows.push(self.result_row(target)?);
            }
            if last {
                rows.reverse();
                return Ok(rows);
            }
        }
    }

    fn result_row(&self, target: BatchTarget) -> Result<Vec<String>> {
        let output = self.batch_output(&target)?.unwrap_or_default();
        let (code, text) = target.error.unwrap_or_default();
        Ok(vec![target.target, target.status.as_str().to_owned(), output, code, text])
    }
}
