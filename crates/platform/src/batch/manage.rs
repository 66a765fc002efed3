//! Creating, reading, stopping, retrying and deleting tasks.

use std::collections::HashSet;

use causeway_model::batch::{BatchTarget, BatchTask, TargetStatus, TaskPolicy, TaskProgress, TaskStatus};
use causeway_model::registry::{Page, PageRequest};
use causeway_model::{Code, DeviceId, Error, GroupId, RecordNo, Result, Spaces};

use super::{Job, NewTarget, Row, TargetFilter, TaskFilter, TaskMove};
use crate::Platform;
use crate::outbox::NewDelivery;
use crate::secrets::random_hex;

/// Targets written in one transaction: a large task does not hold up the reports of devices.
const SLICE: usize = 2000;

/// Devices of groups read at once.
const GROUP_PAGE: u32 = 1000;

/// Lists of up to so many targets are shown with their task.
const SHOWN_TARGETS: usize = 100;

/// Statuses in which a task is over.
pub(super) const ENDED: &[TaskStatus] =
    &[TaskStatus::Success, TaskStatus::Fail, TaskStatus::PartialSuccess, TaskStatus::Stopped];

/// Where a task's targets come from.
#[derive(Clone, Debug)]
pub enum TargetSource {
    /// These devices. One named twice is one target.
    Listed(Vec<DeviceId>),
    /// The devices of these groups, as they are when the task is made.
    Groups(Vec<GroupId>),
    /// The rows of a file.
    Rows(Vec<Row>),
}

/// A task to make; checked fields of the API.
#[derive(Clone, Debug)]
pub struct NewBatchTask {
    /// The one space that the caller named, or those it may use.
    pub spaces: Spaces,
    /// Display name.
    pub name: String,
    /// What it does.
    pub job: Job,
    /// The caller's own JSON.
    pub ext_info: Option<String>,
    /// To whom.
    pub targets: TargetSource,
    /// JSON as it was sent.
    pub targets_filter: Option<String>,
    /// JSON as it was sent.
    pub document: Option<String>,
    /// Id of the file that the rows are of.
    pub document_source: Option<String>,
    /// When and how often.
    pub policy: TaskPolicy,
}

/// What stopping or retrying did with one target.
#[derive(Clone, Debug)]
pub struct TargetResult {
    /// The target.
    pub target: String,
    /// Why not.
    pub error: Option<Error>,
}

fn not_found(id: &str) -> Error {
    let shown: String = id.chars().take(50).collect();
    Error::new(Code::BatchTaskNotFound, format!("The batch task '{shown}' does not exist."))
}

fn wrong_state(task: &BatchTask, what: &str) -> Error {
    Error::new(
        Code::BatchTaskState,
        format!("Operation not allowed. The status of the batch task is {}; {what}.", task.status.as_str()),
    )
}

impl Platform {
    /// Makes a task. When this returns, it and all its targets are stored, and it begins when it is due.
    ///
    /// # Errors
    /// [`Code::BatchTargets`] when there is no target or too many; [`Code::InvalidTime`] when it is scheduled too far
    /// ahead; [`Code::TooManyBatchTasks`]; [`Code::AppNotFound`], [`Code::AppRequired`].
    pub async fn create_batch_task(&self, new: NewBatchTask) -> Result<BatchTask> {
        let now = self.clock.now();
        let due_at = new.policy.schedule_time.unwrap_or(now);
        if due_at.0 - now.0 > self.settings.batch.max_schedule.as_millis() {
            return Err(Error::new(
                Code::InvalidTime,
                format!(
                    "Invalid input. Invalid time format. 'task_policy.schedule_time' must be within {} hours from now.",
                    self.settings.batch.max_schedule.0.as_secs() / 3600
                ),
            ));
        }
        let app_id = self.home_for_new(&new.spaces).await?;
        self.app(&app_id).await?;
        let shown = match &new.targets {
            TargetSource::Listed(ids) if ids.len() <= SHOWN_TARGETS => {
                let ids: Vec<&str> = ids.iter().map(DeviceId::as_str).collect();
                Some(serde_json::to_string(&ids).map_err(Error::internal)?)
            }
            _ => None,
        };
        let targets = self.targets_of(new.targets, &new.spaces).await?;
        self.check_target_count(targets.len())?;
        let task = BatchTask {
            no: RecordNo(0),
            id: random_hex(12),
            app_id,
            name: new.name,
            task_type: new.job.task_type(),
            status: TaskStatus::Initializing,
            status_desc: None,
            ext_info: new.ext_info,
            targets: shown,
            targets_filter: new.targets_filter,
            document: new.document,
            job: new.job.write()?,
            document_source: new.document_source,
            policy: new.policy,
            spaces: new.spaces,
            created_at: now,
            due_at: due_at.max(now),
            progress: TaskProgress::default(),
        };
        let mut task = self.store.insert_batch_task(task, self.settings.batch.max_tasks).await?;
        if let Err(error) = self.write_down_targets(&mut task, targets).await {
            // What is left if this fails too goes at the next start.
            let _ = self.store.delete_batch_task(task.no, &[TaskStatus::Initializing]).await;
            return Err(error);
        }
        self.batch.wake();
        Ok(task)
    }

    /// # Errors
    /// [`Code::BatchTargets`].
    fn check_target_count(&self, count: usize) -> Result<()> {
        let most = self.settings.batch.max_targets as usize;
        if count == 0 || count > most {
            return Err(Error::new(
                Code::BatchTargets,
                format!("Invalid input. A batch task must have 1 to {most} targets; this one has {count}."),
            ));
        }
        Ok(())
    }

    async fn targets_of(&self, source: TargetSource, spaces: &Spaces) -> Result<Vec<NewTarget>> {
        let plain = |ids: Vec<DeviceId>| {
            let mut seen = HashSet::with_capacity(ids.len());
            ids.into_iter()
                .filter(|id| seen.insert(id.clone()))
                .map(|id| NewTarget { target: id.to_string(), input: None })
                .collect()
        };
        match source {
            TargetSource::Listed(ids) => Ok(plain(ids)),
            TargetSource::Groups(groups) => Ok(plain(self.targets_of_groups(&groups, spaces).await?)),
            TargetSource::Rows(rows) => rows
                .into_iter()
                .map(|row| match row {
                    Row::Device(id) => Ok(NewTarget { target: id.to_string(), input: None }),
                    Row::New(row) | Row::Change(row) => {
                        let target = row.device_id.clone().or_else(|| row.node_id.clone()).unwrap_or_default();
                        Ok(NewTarget { target, input: Some(self.secrets.seal(&row.write()?)) })
                    }
                })
                .collect(),
        }
    }

    /// The devices of some groups, each once; one more than a task may have at most.
    async fn targets_of_groups(&self, groups: &[GroupId], spaces: &Spaces) -> Result<Vec<DeviceId>> {
        let most = self.settings.batch.max_targets as usize;
        let (mut found, mut marker) = (Vec::new(), RecordNo::LAST);
        loop {
            let page = self.devices_of_groups(spaces, groups, marker, GROUP_PAGE).await?;
            let last = page.len() < GROUP_PAGE as usize;
            marker = page.last().map_or(marker, |(no, _)| (*no).into());
            found.extend(page.into_iter().map(|(_, id)| id));
            if last || found.len() > most {
                return Ok(found);
            }
        }
    }

    async fn write_down_targets(&self, task: &mut BatchTask, mut targets: Vec<NewTarget>) -> Result<()> {
        task.progress.add(TargetStatus::Waitting, targets.len() as u64);
        while !targets.is_empty() {
            let rest = targets.split_off(targets.len().min(SLICE));
            self.store.add_batch_targets(task.no, std::mem::replace(&mut targets, rest)).await?;
        }
        task.status = TaskStatus::Waitting;
        let change = TaskMove {
            no: task.no,
            from: &[TaskStatus::Initializing],
            to: TaskStatus::Waitting,
            desc: None,
            only_ended: false,
            due_at: None,
            deliveries: self.task_notifications(task),
        };
        if self.store.move_batch_task(change).await? { Ok(()) } else { Err(not_found(&task.id)) }
    }

    /// What applications are told of a task's present status.
    pub(super) fn task_notifications(&self, task: &BatchTask) -> Vec<NewDelivery> {
        self.tell_batch_task(task, self.clock.now())
    }

    /// A task of one of `spaces`.
    ///
    /// # Errors
    /// [`Code::BatchTaskNotFound`].
    pub async fn batch_task(&self, spaces: &Spaces, id: &str) -> Result<BatchTask> {
        let task = self.store.batch_task(id).await?.filter(|t| spaces.sees(&t.app_id));
        task.ok_or_else(|| not_found(id))
    }

    /// A page of tasks, newest first.
    ///
    /// # Errors
    /// [`Code::AppNotFound`].
    pub async fn batch_tasks(&self, filter: &TaskFilter, page: PageRequest) -> Result<Page<BatchTask>> {
        if let Some(app) = filter.spaces.single() {
            self.app(app).await?;
        }
        self.store.batch_tasks(filter, page).await
    }

    /// A page of a task's targets, newest first.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn batch_targets(
        &self,
        task: &BatchTask,
        filter: &TargetFilter,
        page: PageRequest,
    ) -> Result<Page<BatchTarget>> {
        self.store.batch_targets(task.no, filter, page).await
    }

    /// What came of a target, in the clear.
    ///
    /// # Errors
    /// Internal, when it was sealed under another instance key.
    pub fn batch_output(&self, target: &BatchTarget) -> Result<Option<String>> {
        let open = |sealed| Ok(String::from_utf8_lossy(&self.secrets.open(sealed)?).into_owned());
        target.output.as_ref().map(open).transpose()
    }

    /// Deletes a task that is over.
    ///
    /// # Errors
    /// [`Code::BatchTaskNotFound`]; [`Code::BatchTaskState`].
    pub async fn delete_batch_task(&self, spaces: &Spaces, id: &str) -> Result<()> {
        let task = self.batch_task(spaces, id).await?;
        if self.store.delete_batch_task(task.no, ENDED).await? {
            return Ok(());
        }
        let task = self.batch_task(spaces, id).await?;
        Err(wrong_state(&task, "only one that is finished or stopped can be deleted"))
    }

    /// Confirming is for upgrades alone.
    ///
    /// # Errors
    /// [`Code::BatchTaskNotFound`]; [`Code::BatchNotConfirmable`] for every task that there is.
    pub async fn confirm_batch_task(&self, spaces: &Spaces, id: &str) -> Result<Vec<TargetResult>> {
        let task = self.batch_task(spaces, id).await?;
        Err(Error::new(
            Code::BatchNotConfirmable,
            format!("Operation not allowed. A batch task of type {} needs no confirmation.", task.task_type.as_str()),
        ))
    }

    /// Stops a task: targets that have not begun do not begin any more; those under way come to their end. With
    /// `named`, only these targets are stopped and the task goes on.
    ///
    /// # Errors
    /// [`Code::BatchTaskNotFound`]; [`Code::BatchTaskState`] when it is over or being stopped.
    pub async fn stop_batch_task(
        &self,
        spaces: &Spaces,
        id: &str,
        named: Option<Vec<String>>,
    ) -> Result<Vec<TargetResult>> {
        let mut task = self.batch_task(spaces, id).await?;
        if task.status.is_final() || matches!(task.status, TaskStatus::Stopping | TaskStatus::Initializing) {
            return Err(wrong_state(&task, "only one that waits or is under way can be stopped"));
        }
        let results = if let Some(named) = named {
            let stopped = self.store.stop_batch_targets(task.no, Some(named.clone())).await?;
            results(named, stopped, "has begun already, is over, or is not in the task")
        } else {
            task.status = TaskStatus::Stopping;
            let change = TaskMove {
                no: task.no,
                from: &[TaskStatus::Waitting, TaskStatus::Processing],
                to: TaskStatus::Stopping,
                desc: Some("stopped by an application".to_owned()),
                only_ended: false,
                due_at: Some(self.clock.now()),
                deliveries: self.task_notifications(&task),
            };
            if !self.store.move_batch_task(change).await? {
                let task = self.batch_task(spaces, id).await?;
                return Err(wrong_state(&task, "only one that waits or is under way can be stopped"));
            }
            self.store.stop_batch_targets(task.no, None).await?;
            Vec::new()
        };
        self.batch.wake();
        Ok(results)
    }

    /// Tries failed and stopped targets again, all or those named.
    ///
    /// # Errors
    /// [`Code::BatchTaskNotFound`]; [`Code::BatchTaskState`] unless it is under way, failed in part or whole, or
    /// stopped.
    pub async fn retry_batch_task(
        &self,
        spaces: &Spaces,
        id: &str,
        named: Option<Vec<String>>,
    ) -> Result<Vec<TargetResult>> {
        const FROM: &[TaskStatus] =
            &[TaskStatus::Processing, TaskStatus::Fail, TaskStatus::PartialSuccess, TaskStatus::Stopped];
        let mut task = self.batch_task(spaces, id).await?;
        if !FROM.contains(&task.status) {
            return Err(wrong_state(
                &task,
                "only one that is under way, has failed targets or is stopped can be retried",
            ));
        }
        let retried = self.store.retry_batch_targets(task.no, named.clone()).await?;
        let is_over = task.status.is_final();
        task.status = TaskStatus::Waitting;
        // Without a target that waits the task stays as it is.
        let revived = named.is_none() || !retried.is_empty();
        if revived {
            let change = TaskMove {
                no: task.no,
                from: if is_over { ENDED } else { &[TaskStatus::Processing] },
                to: if is_over { TaskStatus::Waitting } else { TaskStatus::Processing },
                desc: None,
                only_ended: false,
                due_at: Some(self.clock.now()),
                deliveries: if is_over { self.task_notifications(&task) } else { Vec::new() },
            };
            self.store.move_batch_task(change).await?;
        }
        self.batch.wake();
        Ok(named.map_or_else(Vec::new, |n| results(n, retried, "has not failed, or is not in the task")))
    }
}

/// One result for each name, in their order.
fn results(named: Vec<String>, done: Vec<String>, why_not: &str) -> Vec<TargetResult> {
    let done: HashSet<String> = done.into_iter().collect();
    named
        .into_iter()
        .map(|target| {
            let error = (!done.contains(&target))
                .then(|| Error::new(Code::BatchTargetNotFound, format!("The target '{target}' {why_not}.")));
            TargetResult { target, error }
        })
        .collect()
}
