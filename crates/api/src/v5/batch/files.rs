//! Operations on the files of batch tasks, and their templates.

use axum::http::{HeaderValue, header};
use causeway_model::{Code, Error, Result};
use causeway_platform::iam::Caller;
use causeway_sheet::{write_csv, write_xlsx};

use super::bodies::{BatchTaskFile, BatchTaskFiles, TemplateFormats};
use super::{columns, tasks};
use crate::bounded::Word;
use crate::call::{Call, Reply};
use crate::operation::{Built, Param, Success, json};

const XLSX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
const CSV: &str = "text/csv; charset=utf-8";

fn caller(call: &Call) -> Result<&Caller> {
    call.caller.as_ref().ok_or_else(|| Error::internal("an operation on files without a caller"))
}

pub(in crate::v5) static UPLOAD: Built = Built::new(
    "Takes a file (xlsx, xls or CSV) for a batch task: form data with the part 'file'. What its columns must be depends \
     on the task; GET /batchtask-templates/{task_type} has a template.",
    json::<BatchTaskFile>(201),
    |c| Box::pin(upload(c)),
)
.file("file")
.errors(&[Code::InvalidBatchFile, Code::TooManyBatchFiles]);

async fn upload(call: Call) -> Result<Reply> {
    let file = call.file()?;
    let limit = call.platform().settings.batch.max_file.0;
    if file.content.len() > limit {
        return Err(Error::new(Code::BodyTooLarge, format!("Invalid input. The file is larger than {limit} bytes.")));
    }
    let (name, content) = (file.file_name.clone(), file.content.clone());
    // What cannot be read at all is refused here; whether its rows fit is known with the type of the task.
    let table = call.platform().read_sheet(content.clone()).await?;
    if table.rows.is_empty() {
        return Err(Error::new(Code::InvalidBatchFile, "Invalid batch file. It is empty."));
    }
    let file = call.platform().add_batch_file(caller(&call)?, name, &content).await?;
    Reply::created(&BatchTaskFile::of(file))
}

pub(in crate::v5) static LIST: Built =
    Built::new("Lists uploaded files.", json::<BatchTaskFiles>(200), |c| Box::pin(list(c)));

async fn list(call: Call) -> Result<Reply> {
    let files = call.platform().batch_files(caller(&call)?, &call.allowed).await?;
    Reply::ok(&BatchTaskFiles { files: files.into_iter().map(BatchTaskFile::of).collect() })
}

pub(in crate::v5) static DELETE: Built =
    Built::new("Deletes an uploaded file. Tasks made of it go on.", Success::Empty, |c| Box::pin(delete(c)))
        .errors(&[Code::BatchFileNotFound]);

async fn delete(call: Call) -> Result<Reply> {
    call.platform().delete_batch_file(caller(&call)?, &call.allowed, call.path("file_id")).await?;
    Ok(Reply::empty())
}

pub(in crate::v5) static TEMPLATE: Built =
    Built::new("A file to fill in for a type of batch task, xlsx or CSV.", Success::Text(XLSX), |c| {
        Box::pin(template(c))
    })
    .query(&[Param::optional::<Word<TemplateFormats>>("format", "xlsx unless said otherwise.")]);

async fn template(call: Call) -> Result<Reply> {
    let name = call.path("task_type");
    if !<super::bodies::TaskTypes as crate::bounded::Choice>::WORDS.contains(&name) {
        return Err(Error::invalid("Invalid input. There is no such type of batch task."));
    }
    let task_type = tasks::buildable(name)?;
    let csv = call.query::<Word<TemplateFormats>>("format")?.is_some_and(|f| f.as_str() == "csv");
    let (columns, rows) = columns::template(task_type);
    let write = if csv { write_csv } else { write_xlsx };
    let content = write(&columns, &rows).map_err(Error::internal)?;
    let file_name = format!("attachment; filename=\"{name}.{}\"", if csv { "csv" } else { "xlsx" });
    let disposition = HeaderValue::from_str(&file_name).map_err(Error::internal)?;
    Ok(Reply::of_type(if csv { CSV } else { XLSX }, content).with_header(header::CONTENT_DISPOSITION, disposition))
}
