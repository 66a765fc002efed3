//! Operations on batch tasks.

use causeway_model::batch::{TargetStatus, TaskPolicy as Policy, TaskStatus, TaskType};
use causeway_model::{AppId, Code, Error, Result, Timestamp};
use causeway_platform::batch::{NewBatchTask, TargetFilter, TargetSource, TaskFilter};
use serde_json::value::RawValue;

use super::bodies::{
    BatchTargetResults, BatchTargets, BatchTasks, CreateBatchTask, TargetStatuses, TargetsFilter, Task, TaskDetail,
    TaskPolicy, TaskStatuses, TaskTypes, TaskWithDetails,
};
use super::{document, rows};
use crate::bounded::{Any, Text, Word};
use crate::call::{Call, Page, Reply};
use crate::decode;
use crate::operation::{Built, Param, Success, json};

/// Most characters of `task_ext_info` (`iotda-v5-api.md` §5).
const EXT_INFO_MAX: usize = 512;
/// Most targets named at once to stop or retry (`iotda-v5-api.md` §5).
const NAMED_MAX: usize = 100;

/// The type of a task that can be made; the vendor has more.
pub(super) fn buildable(word: &str) -> Result<TaskType> {
    TaskType::parse(word)
        .ok_or_else(|| Error::new(Code::NotBuilt, format!("Batch tasks of type {word} are not built yet.")))
}

fn invalid(text: impl Into<String>) -> Error {
    Error::invalid(text)
}

pub(in crate::v5) static CREATE: Built = Built::new(
    "Makes a batch task: one operation for many devices. Upgrades and asynchronous commands are not built yet (501).",
    json::<Task>(201),
    |c| Box::pin(create(c)),
)
.body::<CreateBatchTask>()
.large()
.errors(&[
    Code::BatchTargets,
    Code::BatchDocument,
    Code::BatchFileNotFound,
    Code::InvalidBatchFile,
    Code::TooManyBatchTasks,
    Code::AppNotFound,
    Code::InvalidTime,
]);

async fn create(call: Call) -> Result<Reply> {
    let asked: CreateBatchTask = call.body()?;
    let task_type = buildable(asked.task_type.as_str())?;
    if asked.need_confirm == Some(true) || asked.task_mode.is_some() {
        return Err(invalid("Invalid input. 'need_confirm' and 'task_mode' are for upgrades only."));
    }
    let spaces = call.spaces(asked.app_id.map(|id| id.0))?;
    let ext_info = checked_ext_info(asked.task_ext_info)?;
    let policy = policy(asked.task_policy)?;
    let document_source = asked.document_source.map(Text::into_string).filter(|t| !t.is_empty());
    let sources = [asked.targets.is_some(), asked.targets_filter.is_some(), document_source.is_some()];
    if sources.iter().filter(|s| **s).count() != 1 {
        return Err(Error::new(
            Code::BatchTargets,
            "Invalid input. Exactly one of 'targets', 'targets_filter' and 'document_source' must be given.",
        ));
    }
    let by_row = matches!(task_type, TaskType::CreateDevices | TaskType::UpdateDevices);
    if by_row && document_source.is_none() {
        return Err(Error::new(
            Code::BatchTargets,
            format!("Invalid input. {} takes its targets from a file: 'document_source'.", task_type.as_str()),
        ));
    }
    let job = document::job(task_type, asked.document.as_deref())?;
    let targets = if let Some(listed) = asked.targets {
        TargetSource::Listed(listed.into_iter().map(|id| id.0).collect())
    } else if let Some(filter) = &asked.targets_filter {
        let filter: TargetsFilter = decode::part("targets_filter", filter)?;
        TargetSource::Groups(filter.group_ids.into_iter().map(|id| id.0).collect())
    } else {
        let id = document_source.as_deref().unwrap_or_default();
        let caller = call.caller.as_ref().ok_or_else(|| Error::internal("a batch task without a caller"))?;
        let (_, content) = call.platform().batch_file(caller, &call.allowed, id).await?;
        let table = call.platform().read_sheet(content).await?;
        let most = call.platform().settings.batch.max_targets as usize;
        let read = tokio::task::spawn_blocking(move || rows::read(task_type, &table, most));
        TargetSource::Rows(read.await.map_err(Error::internal)??)
    };
    let text = |raw: Option<Box<RawValue>>| raw.map(|r| r.get().to_owned());
    let new = NewBatchTask {
        spaces,
        name: asked.task_name.into_string(),
        job,
        ext_info,
        targets,
        targets_filter: text(asked.targets_filter),
        document: text(asked.document),
        document_source,
        policy,
    };
    let task = call.platform().create_batch_task(new).await?;
    call.concerns(&task.app_id);
    Reply::created(&Task::of(task)?)
}

fn checked_ext_info(raw: Option<Box<RawValue>>) -> Result<Option<String>> {
    let Some(raw) = raw else { return Ok(None) };
    decode::check_depth("task_ext_info", &raw)?;
    if decode::characters(&raw) > EXT_INFO_MAX {
        return Err(invalid(format!("Invalid input. 'task_ext_info' is longer than {EXT_INFO_MAX} characters.")));
    }
    Ok(Some(raw.get().to_owned()))
}

fn policy(asked: Option<TaskPolicy>) -> Result<Policy> {
    let Some(asked) = asked else { return Ok(Policy::default()) };
    let schedule_time = asked.schedule_time.map(Text::into_string).filter(|t| !t.is_empty());
    let schedule_time = schedule_time.map(|text| {
        Timestamp::parse(&text).ok_or_else(|| {
            Error::new(
                Code::InvalidTime,
                "Invalid input. Invalid time format. 'task_policy.schedule_time' must look like 20151212T121212Z.",
            )
        })
    });
    let small = |n: i64| u32::try_from(n).expect("the rule bounds it");
    Ok(Policy {
        schedule_time: schedule_time.transpose()?,
        retry_count: asked.retry_count.map(|n| small(n.0)),
        retry_interval: asked.retry_interval.map(|n| small(n.0)),
    })
}

pub(in crate::v5) static LIST: Built =
    Built::new("Lists batch tasks of one type.", json::<BatchTasks>(200), |c| Box::pin(list(c)))
        .query(&[
            Param::optional::<AppId>("app_id", "Only of this resource space."),
            Param::mandatory::<Word<TaskTypes>>("task_type", "Only of this type."),
            Param::optional::<Word<TaskStatuses>>("status", "Only with this status."),
        ])
        .paged()
        .errors(&[Code::AppNotFound]);

async fn list(call: Call) -> Result<Reply> {
    let spaces = call.spaces(call.query("app_id")?)?;
    let Some(task_type) = call.query::<Word<TaskTypes>>("task_type")? else {
        return Err(invalid("Invalid input. The mandatory parameter 'task_type' is missing."));
    };
    let status = call.query::<Word<TaskStatuses>>("status")?.and_then(|s| TaskStatus::parse(s.as_str()));
    let request = call.page()?;
    // Of the types that are not built yet there are none.
    let Some(task_type) = TaskType::parse(task_type.as_str()) else {
        let none = causeway_model::registry::Page::<()> { items: Vec::new(), count: 0, marker: request.marker };
        return Reply::ok(&BatchTasks { batchtasks: Vec::new(), page: Page::of(&none) });
    };
    let found = call.platform().batch_tasks(&TaskFilter { spaces, task_type, status }, request).await?;
    let page = Page::of(&found);
    Reply::ok(&BatchTasks { batchtasks: found.items.into_iter().map(Task::of).collect::<Result<_>>()?, page })
}

pub(in crate::v5) static SHOW: Built =
    Built::new("Shows a batch task with a page of its targets.", json::<TaskWithDetails>(200), |c| Box::pin(show(c)))
        .query(&[
            Param::optional::<Word<TargetStatuses>>("task_detail_status", "Only targets with this status."),
            Param::optional::<Text<Any, 0, 128>>("target", "Only this target."),
        ])
        .paged()
        .errors(&[Code::BatchTaskNotFound]);

async fn show(call: Call) -> Result<Reply> {
    let task = call.platform().batch_task(&call.allowed, call.path("task_id")).await?;
    let filter = TargetFilter {
        status: call.query::<Word<TargetStatuses>>("task_detail_status")?.and_then(|s| TargetStatus::parse(s.as_str())),
        target: call.query::<Text<Any, 0, 128>>("target")?.map(Text::into_string),
    };
    let found = call.platform().batch_targets(&task, &filter, call.page()?).await?;
    let page = Page::of(&found);
    let details = found.items.into_iter().map(|t| TaskDetail::of(call.platform(), t)).collect::<Result<_>>()?;
    Reply::ok(&TaskWithDetails { batchtask: Task::of(task)?, task_details: details, page })
}

pub(in crate::v5) static DELETE: Built =
    Built::new("Deletes a batch task that is over, with its results.", Success::Empty, |c| Box::pin(delete(c)))
        .errors(&[Code::BatchTaskNotFound, Code::BatchTaskState]);

async fn delete(call: Call) -> Result<Reply> {
    call.platform().delete_batch_task(&call.allowed, call.path("task_id")).await?;
    Ok(Reply::empty())
}

/// The targets named in the body; `None` for all. No body is like `{}`.
fn named(call: &Call) -> Result<Option<Vec<String>>> {
    if call.body.is_empty() {
        return Ok(None);
    }
    let asked: BatchTargets = call.body()?;
    let Some(targets) = asked.targets else { return Ok(None) };
    if targets.is_empty() || targets.len() > NAMED_MAX {
        return Err(invalid(format!("Invalid input. 'targets' must name 1 to {NAMED_MAX} targets, or be absent.")));
    }
    Ok(Some(targets.into_iter().map(Text::into_string).collect()))
}

pub(in crate::v5) static CONFIRM: Built = Built::new(
    "Confirms an upgrade that was made with need_confirm. There are none yet: every task is refused.",
    json::<BatchTargetResults>(200),
    |c| Box::pin(confirm(c)),
)
.body::<BatchTargets>()
.errors(&[Code::BatchTaskNotFound, Code::BatchNotConfirmable]);

async fn confirm(call: Call) -> Result<Reply> {
    named(&call)?;
    let results = call.platform().confirm_batch_task(&call.allowed, call.path("task_id")).await?;
    Reply::ok(&BatchTargetResults::of(results))
}

pub(in crate::v5) static RETRY: Built =
    Built::new("Tries failed and stopped targets again, all or those named.", json::<BatchTargetResults>(200), |c| {
        Box::pin(retry(c))
    })
    .body::<BatchTargets>()
    .errors(&[Code::BatchTaskNotFound, Code::BatchTaskState]);

async fn retry(call: Call) -> Result<Reply> {
    let named = named(&call)?;
    let results = call.platform().retry_batch_task(&call.allowed, call.path("task_id"), named).await?;
    Reply::ok(&BatchTargetResults::of(results))
}

pub(in crate::v5) static STOP: Built = Built::new(
    "Stops a task: targets that have not begun do not begin any more. With targets named, only those are stopped.",
    json::<BatchTargetResults>(200),
    |c| Box::pin(stop(c)),
)
.body::<BatchTargets>()
.errors(&[Code::BatchTaskNotFound, Code::BatchTaskState]);

async fn stop(call: Call) -> Result<Reply> {
    let named = named(&call)?;
    let results = call.platform().stop_batch_task(&call.allowed, call.path("task_id"), named).await?;
    Reply::ok(&BatchTargetResults::of(results))
}
