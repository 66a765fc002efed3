//! Synchronous commands (002 §2.1.2.10).

use causeway_model::{Code, Result};
use causeway_platform::command::NewCommand;
use serde_json::value::RawValue;

use super::answer;
use crate::bounded::{Any, Text};
use crate::call::{Call, Reply};
use crate::decode;
use crate::operation::{Built, json};
use crate::shape::{body, reply};

body! {
    /// A command to send.
    pub(crate) struct DeviceCommand {
        /// The service of the product model.
        service_id: Option<Text<Any, 0, 64>>,
        /// The command of the service.
        command_name: Option<Text<Any, 0, 128>>,
        /// Parameters, a JSON object.
        paras: Box<RawValue>,
    }
}

reply! {
    /// The device's answer, or why there is none.
    pub(crate) struct CommandReply {
        /// The id made for the command.
        command_id: Option<String>,
        /// What the device sent.
        response: Option<Box<RawValue>>,
        /// Set when the device did not answer in time.
        error_code: Option<String>,
        /// What error_code means.
        error_msg: Option<String>,
    }
}

pub(super) static CREATE: Built = Built::new(
    "Sends a command and waits for the device's answer. A device that does not answer in time gives 200 with error_code.",
    json::<CommandReply>(200),
    |c| Box::pin(create(c)),
)
.body::<DeviceCommand>()
.errors(&[
    Code::DeviceNotFound,
    Code::DeviceOffline,
    Code::NoSuchModel,
    Code::InvalidCommand,
    Code::TooManyPending,
]);

/// The command that a body asks for.
pub(super) fn new_command(command: DeviceCommand) -> Result<NewCommand> {
    Ok(NewCommand {
        service_id: command.service_id.map(Text::into_string).filter(|t| !t.is_empty()),
        command_name: command.command_name.map(Text::into_string).filter(|t| !t.is_empty()),
        paras: decode::object("paras", &command.paras)?,
    })
}

async fn create(call: Call) -> Result<Reply> {
    let id = call.device_id()?;
    let command = new_command(call.body()?)?;
    let answered = call.platform().send_command(&id, command).await?;
    Reply::ok(&CommandReply {
        command_id: Some(answered.command_id.to_string()),
        response: Some(answer::verbatim(answered.answer)?),
        error_code: None,
        error_msg: None,
    })
}
