//! The document of a task: what each target gets, by the task's type.

use std::collections::HashSet;

use causeway_model::batch::TaskType;
use causeway_model::{Code, Error, Result};
use causeway_platform::batch::Job;
use causeway_platform::shadow::DesiredPatch;
use serde_json::value::RawValue;

use crate::bounded::{Name, Text};
use crate::decode;
use crate::shape::body;
use crate::v5::commands::{DeviceCommand, new_command};
use crate::v5::messages::{NewDeviceMessage, new_message};

/// Most services and characters of a document that changes shadows (`iotda-v5-api.md` §5).
const SHADOW_SERVICES: usize = 5;
const SHADOW_MAX: usize = 10 << 10;

body! {
    /// The desired properties of one service.
    pub(crate) struct DesiredOfService {
        /// The service.
        service_id: Text<Name, 1, 64>,
        /// Names and values, a JSON object.
        desired: Box<RawValue>,
    }
}

body! {
    /// What is desired of each target.
    pub(crate) struct ShadowDocument {
        /// One entry a service, at most five.
        shadow: Vec<DesiredOfService>,
    }
}

fn wrong(text: impl Into<String>) -> Error {
    Error::new(Code::BatchDocument, text)
}

/// A fault of the document keeps its sentence and gets the document's code.
fn of_document<T>(read: Result<T>) -> Result<T> {
    read.map_err(|e| if e.code() == Code::InvalidInput { wrong(e.message()) } else { e })
}

/// What a task of this type does with this document.
///
/// # Errors
/// [`Code::BatchDocument`] names the field.
pub(super) fn job(task_type: TaskType, document: Option<&RawValue>) -> Result<Job> {
    let needed = || {
        document.ok_or_else(|| wrong(format!("Invalid input. 'document' is missing; {} needs it.", task_type.as_str())))
    };
    let job = match task_type {
        TaskType::CreateDevices => Job::CreateDevices,
        TaskType::UpdateDevices => Job::UpdateDevices,
        TaskType::DeleteDevices => Job::DeleteDevices,
        TaskType::FreezeDevices => Job::FreezeDevices,
        TaskType::UnfreezeDevices => Job::UnfreezeDevices,
        TaskType::CreateCommands => {
            let command: DeviceCommand = of_document(decode::part("document", needed()?))?;
            return of_document(new_command(command)).map(Job::Command);
        }
        TaskType::CreateMessages => {
            let message: NewDeviceMessage = of_document(decode::part("document", needed()?))?;
            return of_document(new_message(message)).map(Job::Message);
        }
        TaskType::UpdateDeviceShadows => return desire(needed()?),
    };
    let empty = document.is_none_or(|d| d.get().bytes().filter(|b| !b.is_ascii_whitespace()).eq(*b"{}"));
    if empty { Ok(job) } else { Err(wrong(format!("Invalid input. {} takes no 'document'.", task_type.as_str()))) }
}

fn desire(document: &RawValue) -> Result<Job> {
    if decode::characters(document) > SHADOW_MAX {
        return Err(wrong(format!("Invalid input. 'document' is longer than {SHADOW_MAX} characters.")));
    }
    let asked: ShadowDocument = of_document(decode::part("document", document))?;
    let services: HashSet<&str> = asked.shadow.iter().map(|s| s.service_id.as_str()).collect();
    if asked.shadow.is_empty() || services.len() != asked.shadow.len() || services.len() > SHADOW_SERVICES {
        return Err(wrong(format!(
            "Invalid input. 'document.shadow' must hold 1 to {SHADOW_SERVICES} services, each once."
        )));
    }
    let mut patches = Vec::with_capacity(asked.shadow.len());
    for (i, entry) in asked.shadow.into_iter().enumerate() {
        let place = format!("document.shadow[{i}].desired");
        patches.push(DesiredPatch {
            service_id: entry.service_id.into_string(),
            patch: of_document(decode::object(&place, &entry.desired))?,
            expected_version: None,
        });
    }
    Ok(Job::Desire(patches))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(task_type: TaskType, text: &str) -> Result<Job> {
        let raw = RawValue::from_string(text.to_owned()).expect("JSON");
        job(task_type, Some(&raw))
    }

    #[test]
    fn documents_fit_their_type() {
        use TaskType::{CreateCommands, CreateMessages, DeleteDevices, UpdateDeviceShadows};
        for (task_type, text, sound) in [
            (CreateCommands, r#"{"service_id":"s","command_name":"c","paras":{"a":1}}"#, true),
            (CreateCommands, r#"{"service_id":"s","command_name":"c"}"#, false),
            (CreateCommands, r#"{"paras":[1]}"#, false),
            (CreateCommands, "[]", false),
            (CreateMessages, r#"{"message":"hi"}"#, true),
            (CreateMessages, r#"{"message":"hi","ttl":3}"#, false),
            (UpdateDeviceShadows, r#"{"shadow":[{"service_id":"s","desired":{"a":1}}]}"#, true),
            (UpdateDeviceShadows, r#"{"shadow":[{"service_id":"s","desired":7}]}"#, false),
            (UpdateDeviceShadows, r#"{"shadow":[]}"#, false),
            (DeleteDevices, "{ }", true),
            (DeleteDevices, r#"{"a":1}"#, false),
        ] {
            let outcome = read(task_type, text).map_err(|e| e.code());
            assert!(if sound { outcome.is_ok() } else { matches!(outcome, Err(Code::BatchDocument)) }, "{text}");
        }
        assert!(job(CreateCommands, None).is_err());
        let service = |n: usize| format!(r#"{{"service_id":"s{n}","desired":{{}}}}"#);
        let list = |n: usize| format!(r#"{{"shadow":[{}]}}"#, (0..n).map(service).collect::<Vec<_>>().join(","));
        assert!(read(UpdateDeviceShadows, &list(5)).is_ok());
        assert!(read(UpdateDeviceShadows, &list(6)).is_err());
    }
}
