//! What batch tasks need from the store.

use async_trait::async_trait;
use causeway_model::batch::{
    BatchFile, BatchTarget, BatchTask, ExportTask, TargetStatus, TaskProgress, TaskStatus, TaskType,
};
use causeway_model::registry::{Page, PageRequest, Sealed};
use causeway_model::{RecordNo, Result, Spaces, Timestamp};

use crate::outbox::NewDelivery;

/// Which tasks to list.
#[derive(Clone, Debug)]
pub struct TaskFilter {
    /// Of these spaces.
    pub spaces: Spaces,
    /// Of this type.
    pub task_type: TaskType,
    /// With this status.
    pub status: Option<TaskStatus>,
}

/// Which targets to list.
#[derive(Clone, Debug, Default)]
pub struct TargetFilter {
    /// With this status.
    pub status: Option<TargetStatus>,
    /// This one.
    pub target: Option<String>,
}

/// A target to add.
#[derive(Clone, Debug)]
pub struct NewTarget {
    /// See [`BatchTarget::target`].
    pub target: String,
    /// See [`BatchTarget::input`].
    pub input: Option<Sealed>,
}

/// What came of a target.
#[derive(Clone, Debug)]
pub struct TargetOutcome {
    /// The target.
    pub no: RecordNo,
    /// Success, Fail or FailWaitRetry.
    pub status: TargetStatus,
    /// See [`BatchTarget::output`].
    pub output: Option<Sealed>,
    /// See [`BatchTarget::error`].
    pub error: Option<(String, String)>,
    /// When it is tried again; with FailWaitRetry.
    pub retry_at: Option<Timestamp>,
}

/// A change of a task's status.
#[derive(Clone, Debug)]
pub struct TaskMove {
    /// The task.
    pub no: RecordNo,
    /// Nothing happens unless it has one of these.
    pub from: &'static [TaskStatus],
    /// What it has afterwards.
    pub to: TaskStatus,
    /// A sentence about it.
    pub desc: Option<String>,
    /// Nothing happens while a target waits or is under way.
    pub only_ended: bool,
    /// When the task is due from now on; unchanged when `None`.
    pub due_at: Option<Timestamp>,
    /// Written in the same transaction.
    pub deliveries: Vec<NewDelivery>,
}

/// Keeps batch tasks with their targets, uploaded files and exports. Everything of a space goes with it.
#[async_trait]
pub trait BatchStore: Send + Sync {
    /// Adds a task without targets; `no` and `progress` are ignored, the stored task is returned.
    /// [`Code::TooManyBatchTasks`](causeway_model::Code::TooManyBatchTasks) when `limit` are there.
    async fn insert_batch_task(&self, task: BatchTask, limit: u32) -> Result<BatchTask>;
    /// Adds targets, waiting, in their order. Nothing happens when the task is gone.
    async fn add_batch_targets(&self, task: RecordNo, targets: Vec<NewTarget>) -> Result<()>;
    /// A task by its id.
    async fn batch_task(&self, id: &str) -> Result<Option<BatchTask>>;
    /// A page of tasks, newest first.
    async fn batch_tasks(&self, filter: &TaskFilter, page: PageRequest) -> Result<Page<BatchTask>>;
    /// A page of a task's targets, newest first.
    async fn batch_targets(
        &self,
        task: RecordNo,
        filter: &TargetFilter,
        page: PageRequest,
    ) -> Result<Page<BatchTarget>>;
    /// Deletes a task with its targets if its status is one of `from`. False when it is not there or has another one.
    async fn delete_batch_task(&self, task: RecordNo, from: &'static [TaskStatus]) -> Result<bool>;
    /// Changes a task's status. False when it is not there or its state is another one.
    async fn move_batch_task(&self, change: TaskMove) -> Result<bool>;
    /// Tasks that wait, are under way or are being stopped and are due at `now`, longest due first, at most `limit`,
    /// none of `except`.
    async fn due_batch_tasks(&self, now: Timestamp, except: Vec<RecordNo>, limit: u32) -> Result<Vec<BatchTask>>;
    /// Deletes tasks whose targets were never written down completely.
    async fn drop_half_made_batch_tasks(&self) -> Result<()>;
    /// Nobody carries the task's targets out: those under way wait again, one attempt back, marked as unsure.
    async fn release_batch_targets(&self, task: RecordNo) -> Result<()>;
    /// Marks up to `limit` targets that may begin at `now` as under way, oldest first, and returns them.
    async fn claim_batch_targets(&self, task: RecordNo, now: Timestamp, limit: u32) -> Result<Vec<BatchTarget>>;
    /// Records what came of targets under way; those that are no more under way are left alone. Successful targets
    /// lose their input. Returns the progress afterwards; all zero when the task is gone.
    async fn finish_batch_targets(&self, task: RecordNo, outcomes: Vec<TargetOutcome>) -> Result<TaskProgress>;
    /// With no target waiting or under way, makes the task due when its first target is to be tried again.
    async fn postpone_batch_task(&self, task: RecordNo) -> Result<()>;
    /// Stops targets that have not begun: all, or those named. Returns the names of those stopped (none for all).
    async fn stop_batch_targets(&self, task: RecordNo, named: Option<Vec<String>>) -> Result<Vec<String>>;
    /// Lets failed and stopped targets wait again, their attempts counted anew: all, or those named. Returns the names
    /// of those (none for all).
    async fn retry_batch_targets(&self, task: RecordNo, named: Option<Vec<String>>) -> Result<Vec<String>>;

    /// Adds a file; `no` is ignored. [`Code::TooManyBatchFiles`](causeway_model::Code::TooManyBatchFiles) when `limit`
    /// are there.
    async fn insert_batch_file(&self, file: BatchFile, content: Sealed, limit: u32) -> Result<BatchFile>;
    /// All files, newest first.
    async fn batch_files(&self) -> Result<Vec<BatchFile>>;
    /// A file and its content.
    async fn batch_file(&self, id: &str) -> Result<Option<(BatchFile, Sealed)>>;
    /// Deletes a file. False when it is not there.
    async fn delete_batch_file(&self, id: &str) -> Result<bool>;

    /// Adds an export; `no` is ignored. [`Code::TooManyExportTasks`](causeway_model::Code::TooManyExportTasks) when
    /// `limit` are there.
    async fn insert_export(&self, export: ExportTask, limit: u32) -> Result<ExportTask>;
    /// A page of exports, newest first; only of one batch task, when asked.
    async fn exports(&self, spaces: &Spaces, task_id: Option<&str>, page: PageRequest) -> Result<Page<ExportTask>>;
    /// An export by its id.
    async fn export(&self, id: &str) -> Result<Option<ExportTask>>;
    /// The oldest export that is to be written.
    async fn unwritten_export(&self) -> Result<Option<ExportTask>>;
    /// Ends an export, with its file unless it failed.
    async fn finish_export(&self, export: &ExportTask, file: Option<Sealed>) -> Result<()>;
    /// The file of an export.
    async fn export_file(&self, no: RecordNo) -> Result<Option<Sealed>>;
    /// Deletes an export. False when it is not there.
    async fn delete_export(&self, no: RecordNo) -> Result<bool>;
    /// Deletes exports made before then; returns how many.
    async fn expire_exports(&self, before: Timestamp) -> Result<u64>;
}
