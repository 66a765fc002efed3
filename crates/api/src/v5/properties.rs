//! Properties of the live device (002 §2.1.2.8.3, §2.1.2.8.4).

use causeway_model::{Code, Error, Result};
use causeway_platform::command::CommandAnswer;
use serde_json::value::RawValue;

use super::answer;
use crate::bounded::{Any, Text};
use crate::call::{Call, Reply};
use crate::decode;
use crate::operation::{Built, Param, json};
use crate::shape::{body, reply};

type ServiceId = Text<Any, 1, 64>;

body! {
    /// Properties of one service to set.
    pub(crate) struct ServiceProperties {
        /// The service.
        service_id: ServiceId,
        /// Names and values, a JSON object.
        properties: Box<RawValue>,
    }
}

body! {
    /// Properties to set.
    pub(crate) struct UpdateProperties {
        /// One entry a service.
        services: Vec<ServiceProperties>,
    }
}

reply! {
    /// The device's answer, or why there is none.
    pub(crate) struct SyncResult {
        /// The id made for the request.
        request_id: Option<String>,
        /// What the device sent.
        response: Option<Box<RawValue>>,
        /// Set when the device did not answer in time.
        error_code: Option<String>,
        /// What error_code means.
        error_msg: Option<String>,
    }
}

fn reply_of(answered: CommandAnswer) -> Result<Reply> {
    Reply::ok(&SyncResult {
        request_id: Some(answered.command_id.to_string()),
        response: Some(answer::verbatim(answered.answer)?),
        error_code: None,
        error_msg: None,
    })
}

pub(super) static GET: Built = Built::new(
    "Asks the device for the properties of a service. The shadow is not touched. A device that does not answer in time \
     gives 200 with error_code.",
    json::<SyncResult>(200),
    |c| Box::pin(get(c)),
)
.query(&[Param::mandatory::<ServiceId>("service_id", "The service.")])
.errors(&[Code::DeviceNotFound, Code::DeviceOffline, Code::NoSuchModel, Code::TooManyPending]);

async fn get(call: Call) -> Result<Reply> {
    let id = call.device_id()?;
    let Some(service_id) = call.query::<ServiceId>("service_id")? else {
        return Err(Error::invalid("Invalid input. The mandatory parameter 'service_id' is missing."));
    };
    reply_of(call.platform().get_properties(&id, Some(service_id.into_string())).await?)
}

pub(super) static SET: Built = Built::new(
    "Sets properties on the device and waits for its answer. The shadow is not touched. A device that does not answer in \
     time gives 200 with error_code.",
    json::<SyncResult>(200),
    |c| Box::pin(set(c)),
)
.body::<UpdateProperties>()
.errors(&[
    Code::DeviceNotFound,
    Code::DeviceOffline,
    Code::NoSuchModel,
    Code::PropertyNotWritable,
    Code::TooManyPending,
]);

async fn set(call: Call) -> Result<Reply> {
    let id = call.device_id()?;
    let asked: UpdateProperties = call.body()?;
    if asked.services.is_empty() {
        return Err(Error::invalid("Invalid input. 'services' must hold at least one service."));
    }
    let mut services = Vec::with_capacity(asked.services.len());
    for (i, service) in asked.services.into_iter().enumerate() {
        let properties = decode::object(&format!("services[{i}].properties"), &service.properties)?;
        services.push((service.service_id.into_string(), properties));
    }
    reply_of(call.platform().set_properties(&id, services).await?)
}
