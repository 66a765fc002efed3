//! What requests about batch tasks carry, and what their answers carry.

use causeway_model::batch::{BatchFile, BatchTarget, BatchTask, ExportTask as ExportRecord, TaskPolicy as Policy};
use causeway_model::{AppId, DeviceId, Error, GroupId, Result};
use causeway_platform::Platform;
use causeway_platform::batch::TargetResult;
use serde_json::value::RawValue;

use crate::bounded::{Any, Id, Int, Name, Text, Word, words};
use crate::call::Page;
use crate::shape::{Compact, Millis, body, reply};

words! {
    /// Types of batch tasks that the vendor has.
    TaskTypes: "softwareUpgrade" | "firmwareUpgrade" | "moduleUpgrade" | "createDevices" | "deleteDevices" |
        "freezeDevices" | "unfreezeDevices" | "createCommands" | "createAsyncCommands" | "createMessages" |
        "updateDeviceShadows" | "updateDevices";
    /// Statuses of a task.
    TaskStatuses: "Initializing" | "Waitting" | "Processing" | "Success" | "Fail" | "PartialSuccess" | "Stopping" |
        "Stopped";
    /// Statuses of a target.
    TargetStatuses: "Waitting" | "Processing" | "Success" | "Fail" | "FailWaitRetry" | "Stopped" | "Removed";
    /// How an upgrade reaches its devices.
    TaskModes: "GATEWAY";
    /// What can be exported.
    ResourceTypes: "BatchTask";
    /// Formats of exports.
    ExportFormats: "xls";
    /// Whether an export concerns one space.
    AppTypes: "GLOBAL" | "APP";
    /// Formats of templates.
    TemplateFormats: "xlsx" | "csv";
}

body! {
    /// When a task begins and how often its targets are tried.
    pub(crate) struct TaskPolicy {
        /// Not before, like 20151212T121212Z, at most 7 days ahead; at once when absent or past.
        schedule_time: Option<Text<Any, 0, 64>>,
        /// How often a failed target is tried again.
        retry_count: Option<Int<0, 5>>,
        /// Minutes between two tries.
        retry_interval: Option<Int<0, 1440>>,
    }
}

body! {
    /// A batch task to make. Exactly one of targets, targets_filter and document_source says for whom.
    pub(crate) struct CreateBatchTask {
        /// Resource space; the default one when absent.
        app_id: Option<Id<AppId>>,
        /// Display name.
        task_name: Text<Name, 1, 128>,
        /// What to do.
        task_type: Word<TaskTypes>,
        /// For upgrades only.
        task_mode: Option<Word<TaskModes>>,
        /// For upgrades only.
        need_confirm: Option<bool>,
        /// The caller's own JSON, at most 512 characters.
        task_ext_info: Option<Box<RawValue>>,
        /// Ids of devices, at most 30,000.
        targets: Option<Vec<Id<DeviceId>>>,
        /// `{"group_ids":[…]}`: the devices of groups.
        targets_filter: Option<Box<RawValue>>,
        /// What each target gets, by task type.
        document: Option<Box<RawValue>>,
        /// When and how often.
        task_policy: Option<TaskPolicy>,
        /// Id of an uploaded file.
        document_source: Option<Text<Any, 0, 64>>,
    }
}

body! {
    /// Targets of a task to act on; all of them when the list is absent.
    pub(crate) struct BatchTargets {
        /// At most 100.
        targets: Option<Vec<Text<Any, 1, 128>>>,
    }
}

reply! {
    /// When a task begins and how often its targets are tried.
    pub(crate) struct TaskPolicyReply {
        /// Not before.
        schedule_time: Option<Compact>,
        /// How often a failed target is tried again.
        retry_count: Option<i64>,
        /// Minutes between two tries.
        retry_interval: Option<i64>,
    }
}

reply! {
    /// How many targets stand where.
    pub(crate) struct TaskProgress {
        /// All.
        total: u64,
        /// Under way.
        processing: u64,
        /// Done.
        success: u64,
        /// Failed for good.
        fail: u64,
        /// Not begun.
        waitting: u64,
        /// Failed, to be tried again.
        fail_wait_retry: u64,
        /// Stopped.
        stopped: u64,
        /// Taken out.
        removed: u64,
    }
}

reply! {
    /// A batch task.
    pub(crate) struct Task {
        /// Its id.
        task_id: String,
        /// Display name.
        task_name: String,
        /// What it does.
        task_type: &'static str,
        /// The caller's own JSON.
        task_ext_info: Option<Box<RawValue>>,
        /// Its targets as they were listed; only of lists of up to 100. task_details of show_batch_task has them all.
        targets: Option<Box<RawValue>>,
        /// As it was given.
        targets_filter: Option<Box<RawValue>>,
        /// As it was given.
        document: Option<Box<RawValue>>,
        /// When and how often.
        task_policy: TaskPolicyReply,
        /// Where it stands.
        status: &'static str,
        /// A sentence about the status.
        status_desc: Option<String>,
        /// How many targets stand where.
        task_progress: TaskProgress,
        /// When it was made.
        create_time: Compact,
    }
}

reply! {
    /// A page of batch tasks.
    pub(crate) struct BatchTasks {
        /// Newest first.
        batchtasks: Vec<Task>,
        /// Where the page stands.
        page: Page,
    }
}

reply! {
    /// Why a target failed.
    pub(crate) struct TargetError {
        /// Stable code.
        error_code: String,
        /// What it means.
        error_msg: String,
    }
}

reply! {
    /// A target of a batch task.
    pub(crate) struct TaskDetail {
        /// A device's id, or the node id of a device to register without an id of its own.
        target: String,
        /// Where it stands.
        status: &'static str,
        /// What it gave: the answer to a command; id and secret of a device that was registered.
        output: Option<String>,
        /// Why it failed.
        error: Option<TargetError>,
    }
}

reply! {
    /// A batch task with a page of its targets.
    pub(crate) struct TaskWithDetails {
        /// The task.
        batchtask: Task,
        /// Its targets, newest first.
        task_details: Vec<TaskDetail>,
        /// Where the page stands.
        page: Page,
    }
}

reply! {
    /// What became of one target.
    pub(crate) struct BatchTargetResult {
        /// The target.
        target: String,
        /// success or failure.
        status: &'static str,
        /// Why not.
        error_code: Option<String>,
        /// Why not, in words.
        error_msg: Option<String>,
    }
}

reply! {
    /// What became of the targets that were named.
    pub(crate) struct BatchTargetResults {
        /// In the order in which they were named.
        targets: Vec<BatchTargetResult>,
    }
}

reply! {
    /// An uploaded file.
    pub(crate) struct BatchTaskFile {
        /// Its id: `document_source` of a task.
        file_id: String,
        /// Its name on the uploader's disk.
        file_name: String,
        /// When it came.
        upload_time: Compact,
    }
}

reply! {
    /// Uploaded files.
    pub(crate) struct BatchTaskFiles {
        /// Newest first.
        files: Vec<BatchTaskFile>,
    }
}

body! {
    /// An export to make.
    pub(crate) struct CreateExportTask {
        /// What to export.
        resource_type: Word<ResourceTypes>,
        /// `{"task_id":"…"}`: which batch task.
        resource_condition: Box<RawValue>,
        /// Format; the file is a zip of a workbook.
        export_format: Option<Word<ExportFormats>>,
        /// GLOBAL, or APP with app_id.
        app_type: Option<Word<AppTypes>>,
        /// Resource space.
        app_id: Option<Id<AppId>>,
    }
}

body! {
    /// Which batch task is exported.
    pub(crate) struct ExportCondition {
        /// Its id.
        task_id: Text<Any, 1, 64>,
    }
}

body! {
    /// Which devices a task is for.
    pub(crate) struct TargetsFilter {
        /// Ids of groups.
        group_ids: Vec<Id<GroupId>>,
    }
}

reply! {
    /// An export.
    pub(crate) struct ExportTask {
        /// Its id.
        export_task_id: String,
        /// What is exported.
        resource_type: &'static str,
        /// Which of them.
        resource_condition: Box<RawValue>,
        /// Format.
        export_format: &'static str,
        /// Processing, Success or Failed.
        status: &'static str,
        /// Rows in the file.
        export_count: u64,
        /// Per cent done.
        progress: u64,
        /// When it was asked for.
        create_time: Millis,
        /// When it was ready or failed.
        end_time: Option<Millis>,
        /// As it was asked for.
        app_type: Option<String>,
        /// Space of the batch task.
        app_id: String,
    }
}

reply! {
    /// A page of exports.
    pub(crate) struct ExportTasks {
        /// Newest first.
        export_tasks: Vec<ExportTask>,
        /// Where the page stands.
        page: Page,
    }
}

fn raw(text: Option<String>) -> Result<Option<Box<RawValue>>> {
    text.map(|t| RawValue::from_string(t).map_err(Error::internal)).transpose()
}

impl Task {
    pub(super) fn of(task: BatchTask) -> Result<Self> {
        let Policy { schedule_time, retry_count, retry_interval } = task.policy;
        let p = task.progress;
        Ok(Self {
            task_id: task.id,
            task_name: task.name,
            task_type: task.task_type.as_str(),
            task_ext_info: raw(task.ext_info)?,
            targets: raw(task.targets)?,
            targets_filter: raw(task.targets_filter)?,
            document: raw(task.document)?,
            task_policy: TaskPolicyReply {
                schedule_time: schedule_time.map(Compact),
                retry_count: retry_count.map(i64::from),
                retry_interval: retry_interval.map(i64::from),
            },
            status: task.status.as_str(),
            status_desc: task.status_desc,
            task_progress: TaskProgress {
                total: p.total,
                processing: p.processing,
                success: p.success,
                fail: p.fail,
                waitting: p.waitting,
                fail_wait_retry: p.fail_wait_retry,
                stopped: p.stopped,
                removed: p.removed,
            },
            create_time: Compact(task.created_at),
        })
    }
}

impl TaskDetail {
    pub(super) fn of(platform: &Platform, target: BatchTarget) -> Result<Self> {
        let output = platform.batch_output(&target)?;
        Ok(Self {
            target: target.target,
            status: target.status.as_str(),
            output,
            error: target.error.map(|(error_code, error_msg)| TargetError { error_code, error_msg }),
        })
    }
}

impl BatchTargetResults {
    pub(super) fn of(results: Vec<TargetResult>) -> Self {
        let result = |r: TargetResult| BatchTargetResult {
            target: r.target,
            status: if r.error.is_none() { "success" } else { "failure" },
            error_code: r.error.as_ref().map(|e| e.code().as_str().to_owned()),
            error_msg: r.error.as_ref().map(|e| e.message().to_owned()),
        };
        Self { targets: results.into_iter().map(result).collect() }
    }
}

impl BatchTaskFile {
    pub(super) fn of(file: BatchFile) -> Self {
        Self { file_id: file.id, file_name: file.name, upload_time: Compact(file.uploaded_at) }
    }
}

impl ExportTask {
    pub(super) fn of(export: ExportRecord) -> Result<Self> {
        Ok(Self {
            export_task_id: export.id,
            resource_type: "BatchTask",
            resource_condition: RawValue::from_string(export.condition).map_err(Error::internal)?,
            export_format: "xls",
            status: export.status.as_str(),
            export_count: export.rows,
            progress: if export.ended_at.is_some() { 100 } else { 0 },
            create_time: Millis(export.created_at),
            end_time: export.ended_at.map(Millis),
            app_type: export.app_type,
            app_id: export.app_id.to_string(),
        })
    }
}
