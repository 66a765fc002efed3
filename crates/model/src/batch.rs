//! Batch tasks (002 §3.3.2, §3.4, §4.5.3): one operation for many targets. Words are the vendor's, misspelt ones too.

use crate::ids::{AppId, RecordNo};
use crate::spaces::Spaces;
use crate::time::Timestamp;

words! {
    /// What a task does with each of its targets.
    TaskType {
        /// Registers the devices of a file.
        CreateDevices = "createDevices",
        /// Changes the devices of a file, each as its row says.
        UpdateDevices = "updateDevices",
        /// Deletes devices.
        DeleteDevices = "deleteDevices",
        /// Freezes devices.
        FreezeDevices = "freezeDevices",
        /// Unfreezes devices.
        UnfreezeDevices = "unfreezeDevices",
        /// Sends a synchronous command and waits for each device's answer.
        CreateCommands = "createCommands",
        /// Sends a message.
        CreateMessages = "createMessages",
        /// Changes what is desired of devices.
        UpdateDeviceShadows = "updateDeviceShadows",
    }
}

words! {
    /// Where a task stands.
    TaskStatus {
        /// Its targets are being written down.
        Initializing = "Initializing",
        /// Waits for its time or its turn.
        Waitting = "Waitting",
        /// Under way.
        Processing = "Processing",
        /// Every target succeeded.
        Success = "Success",
        /// No target succeeded.
        Fail = "Fail",
        /// Some targets succeeded.
        PartialSuccess = "PartialSuccess",
        /// Stopped; targets under way come to their end.
        Stopping = "Stopping",
        /// Stopped.
        Stopped = "Stopped",
    }
}

impl TaskStatus {
    /// Whether nothing happens any more unless the task is retried.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Success | Self::Fail | Self::PartialSuccess | Self::Stopped)
    }

    /// How a task ends whose targets have all ended; `stopped`: it was stopped as a whole.
    #[must_use]
    pub fn of_ended(progress: &TaskProgress, stopped: bool) -> Self {
        if stopped || progress.stopped > 0 && progress.stopped == progress.total {
            Self::Stopped
        } else if progress.success + progress.removed == progress.total {
            Self::Success
        } else if progress.success == 0 {
            Self::Fail
        } else {
            Self::PartialSuccess
        }
    }
}

words! {
    /// Where one target of a task stands.
    TargetStatus {
        /// Waits for its turn.
        Waitting = "Waitting",
        /// Under way.
        Processing = "Processing",
        /// Done.
        Success = "Success",
        /// Failed for good.
        Fail = "Fail",
        /// Failed, and tried again after the interval of the task's policy.
        FailWaitRetry = "FailWaitRetry",
        /// Stopped before it began.
        Stopped = "Stopped",
        /// Taken out of the task.
        Removed = "Removed",
    }
}

/// How many targets stand where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TaskProgress {
    /// All targets.
    pub total: u64,
    /// [`TargetStatus::Waitting`].
    pub waitting: u64,
    /// [`TargetStatus::Processing`].
    pub processing: u64,
    /// [`TargetStatus::Success`].
    pub success: u64,
    /// [`TargetStatus::Fail`].
    pub fail: u64,
    /// [`TargetStatus::FailWaitRetry`].
    pub fail_wait_retry: u64,
    /// [`TargetStatus::Stopped`].
    pub stopped: u64,
    /// [`TargetStatus::Removed`].
    pub removed: u64,
}

impl TaskProgress {
    /// Counts `n` more targets with `status`.
    pub fn add(&mut self, status: TargetStatus, n: u64) {
        self.total += n;
        *match status {
            TargetStatus::Waitting => &mut self.waitting,
            TargetStatus::Processing => &mut self.processing,
            TargetStatus::Success => &mut self.success,
            TargetStatus::Fail => &mut self.fail,
            TargetStatus::FailWaitRetry => &mut self.fail_wait_retry,
            TargetStatus::Stopped => &mut self.stopped,
            TargetStatus::Removed => &mut self.removed,
        } += n;
    }

    /// Whether no target waits or is under way.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.waitting + self.processing + self.fail_wait_retry == 0
    }
}

/// When a task begins and how often its targets are tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TaskPolicy {
    /// Not before.
    pub schedule_time: Option<Timestamp>,
    /// How often a failed target is tried again.
    pub retry_count: Option<u32>,
    /// Minutes between two tries.
    pub retry_interval: Option<u32>,
}

/// A task.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchTask {
    /// Paging position.
    pub no: RecordNo,
    /// The id, 24 hex digits.
    pub id: String,
    /// The space it belongs to.
    pub app_id: AppId,
    /// Display name.
    pub name: String,
    /// What it does.
    pub task_type: TaskType,
    /// Where it stands.
    pub status: TaskStatus,
    /// A sentence about the status.
    pub status_desc: Option<String>,
    /// The caller's own JSON.
    pub ext_info: Option<String>,
    /// Its targets as they were listed, a JSON array; only of short lists.
    pub targets: Option<String>,
    /// The filter its targets were found by, JSON as it was sent.
    pub targets_filter: Option<String>,
    /// The parameters, JSON as they were sent.
    pub document: Option<String>,
    /// What each target gets, in the form the platform keeps it.
    pub job: String,
    /// The uploaded file its targets came from.
    pub document_source: Option<String>,
    /// See [`TaskPolicy`].
    pub policy: TaskPolicy,
    /// The spaces whose devices it may touch: those its creator might.
    pub spaces: Spaces,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it begins.
    pub due_at: Timestamp,
    /// How many targets stand where.
    pub progress: TaskProgress,
}

/// One target of a task.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchTarget {
    /// Paging position.
    pub no: RecordNo,
    /// A device's id, or the node id of a device to register.
    pub target: String,
    /// Where it stands.
    pub status: TargetStatus,
    /// How often it was begun since the task was made or retried.
    pub attempts: u32,
    /// Whether an earlier try may have been carried out although its outcome was never recorded: the platform ended
    /// while it was under way.
    pub unsure: bool,
    /// When it was begun first.
    pub began_at: Option<Timestamp>,
    /// What its row of the file says, sealed.
    pub input: Option<crate::registry::Sealed>,
    /// What came of it, sealed.
    pub output: Option<crate::registry::Sealed>,
    /// Code and sentence of its failure.
    pub error: Option<(String, String)>,
}

/// An uploaded file. What it holds is read apart from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchFile {
    /// Position in lists.
    pub no: RecordNo,
    /// The id, 24 hex digits.
    pub id: String,
    /// Number of the user who uploaded it.
    pub owner: i64,
    /// Its name on the uploader's disk.
    pub name: String,
    /// When it came.
    pub uploaded_at: Timestamp,
}

words! {
    /// Where an export stands.
    ExportStatus {
        /// Being written.
        Processing = "Processing",
        /// Ready.
        Success = "Success",
        /// Could not be written.
        Failed = "Failed",
    }
}

/// An export of a task's results.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportTask {
    /// Paging position.
    pub no: RecordNo,
    /// The id, 24 hex digits.
    pub id: String,
    /// The space of the task that is exported.
    pub app_id: AppId,
    /// Id of the task that is exported.
    pub task_id: String,
    /// What was asked for: JSON as it was sent.
    pub condition: String,
    /// `GLOBAL` or `APP` as it was asked for.
    pub app_type: Option<String>,
    /// Where it stands.
    pub status: ExportStatus,
    /// Rows in the file.
    pub rows: u64,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it was ready or failed.
    pub ended_at: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(success: u64, fail: u64, stopped: u64) -> TaskProgress {
        let mut progress = TaskProgress::default();
        progress.add(TargetStatus::Success, success);
        progress.add(TargetStatus::Fail, fail);
        progress.add(TargetStatus::Stopped, stopped);
        progress
    }

    #[test]
    fn tasks_end_as_their_targets_did() {
        for (success, fail, stopped, whole, expected) in [
            (3, 0, 0, false, TaskStatus::Success),
            (0, 3, 0, false, TaskStatus::Fail),
            (1, 2, 0, false, TaskStatus::PartialSuccess),
            (1, 0, 2, false, TaskStatus::PartialSuccess),
            (0, 1, 2, false, TaskStatus::Fail),
            (0, 0, 3, false, TaskStatus::Stopped),
            (1, 0, 2, true, TaskStatus::Stopped),
        ] {
            assert_eq!(TaskStatus::of_ended(&progress(success, fail, stopped), whole), expected);
        }
    }

    #[test]
    fn words_are_read_back() {
        for status in TaskStatus::ALL {
            assert_eq!(TaskStatus::parse(status.as_str()), Some(*status));
        }
        assert_eq!(TargetStatus::parse("Waiting"), None);
        assert_eq!(TaskType::parse("createDevices"), Some(TaskType::CreateDevices));
    }
}
