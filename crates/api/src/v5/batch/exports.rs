//! Operations on exports of batch tasks.

use axum::http::{HeaderValue, header};
use causeway_model::{AppId, Code, Error, Result, Spaces};
use causeway_platform::batch::NewExportTask;

use super::bodies::{AppTypes, CreateExportTask, ExportCondition, ExportTask, ExportTasks, ResourceTypes};
use crate::bounded::{Any, Text, Word};
use crate::call::{Call, Page, Reply};
use crate::decode;
use crate::operation::{Built, Param, Success, json};

const ZIP: &str = "application/zip";

/// The spaces that `app_type` and `app_id` name: APP needs one.
fn spaces(call: &Call, app_type: Option<&str>, app_id: Option<AppId>) -> Result<Spaces> {
    if app_type == Some("APP") && app_id.is_none() {
        return Err(Error::invalid("Invalid input. 'app_id' is missing; 'app_type' APP needs it."));
    }
    call.spaces(app_id)
}

pub(in crate::v5) static CREATE: Built = Built::new(
    "Asks for the results of a batch task as a file: a zip of an xlsx workbook. It is written in the background.",
    json::<ExportTask>(201),
    |c| Box::pin(create(c)),
)
.body::<CreateExportTask>()
.errors(&[Code::BatchTaskNotFound, Code::TooManyExportTasks, Code::AppNotFound]);

async fn create(call: Call) -> Result<Reply> {
    let asked: CreateExportTask = call.body()?;
    let app_type = asked.app_type.map(|t| t.as_str());
    let spaces = spaces(&call, app_type, asked.app_id.map(|id| id.0))?;
    let condition: ExportCondition = decode::part("resource_condition", &asked.resource_condition)?;
    if asked.resource_condition.get().len() > 1024 {
        return Err(Error::invalid("Invalid input. 'resource_condition' is longer than 1024 bytes."));
    }
    let new = NewExportTask {
        task_id: condition.task_id.into_string(),
        condition: asked.resource_condition.get().to_owned(),
        app_type: app_type.map(str::to_owned),
    };
    let export = call.platform().create_export(&spaces, new).await?;
    call.concerns(&export.app_id);
    Reply::created(&ExportTask::of(export)?)
}

pub(in crate::v5) static LIST: Built = Built::new("Lists exports.", json::<ExportTasks>(200), |c| Box::pin(list(c)))
    .query(&[
        Param::mandatory::<Word<ResourceTypes>>("resource_type", "Only of this."),
        Param::optional::<Text<Any, 0, 1024>>("resource_condition", "Only of this batch task: {\"task_id\":\"…\"}."),
        Param::optional::<Word<AppTypes>>("app_type", "With APP: only of the resource space app_id."),
        Param::optional::<AppId>("app_id", "Only of this resource space."),
    ])
    .paged()
    .errors(&[Code::AppNotFound]);

async fn list(call: Call) -> Result<Reply> {
    if call.query::<Word<ResourceTypes>>("resource_type")?.is_none() {
        return Err(Error::invalid("Invalid input. The mandatory parameter 'resource_type' is missing."));
    }
    let app_type = call.query::<Word<AppTypes>>("app_type")?.map(|t| t.as_str());
    let spaces = spaces(&call, app_type, call.query("app_id")?)?;
    let task_id = match call.query::<Text<Any, 0, 1024>>("resource_condition")? {
        None => None,
        Some(text) => {
            let condition: ExportCondition = decode::body(text.as_str().as_bytes())?;
            Some(condition.task_id.into_string())
        }
    };
    let found = call.platform().exports(&spaces, task_id.as_deref(), call.page()?).await?;
    let page = Page::of(&found);
    Reply::ok(&ExportTasks { export_tasks: found.items.into_iter().map(ExportTask::of).collect::<Result<_>>()?, page })
}

pub(in crate::v5) static SHOW: Built = Built::new("The file of an export.", Success::Text(ZIP), |c| Box::pin(show(c)))
    .errors(&[Code::ExportTaskNotFound, Code::ExportNotReady]);

async fn show(call: Call) -> Result<Reply> {
    let file = call.platform().export_file(&call.allowed, call.path("export_task_id")).await?;
    let disposition = HeaderValue::from_static("attachment; filename=\"batchtask.zip\"");
    Ok(Reply::of_type(ZIP, file.to_vec()).with_header(header::CONTENT_DISPOSITION, disposition))
}

pub(in crate::v5) static DELETE: Built =
    Built::new("Deletes an export with its file.", Success::Empty, |c| Box::pin(delete(c)))
        .errors(&[Code::ExportTaskNotFound]);

async fn delete(call: Call) -> Result<Reply> {
    call.platform().delete_export(&call.allowed, call.path("export_task_id")).await?;
    Ok(Reply::empty())
}
