//! Device shadows (002 §3.6).

use causeway_model::shadow::{ServiceShadow, ShadowSide};
use causeway_model::{Code, Error, Result};
use causeway_platform::shadow::DesiredPatch;
use serde_json::value::RawValue;

use crate::bounded::{Int, Name, Text};
use crate::call::{Call, Reply};
use crate::decode;
use crate::operation::{Built, Success, json};
use crate::shape::{Compact, body, reply};

body! {
    /// The change of one service's desired side.
    pub(crate) struct UpdateDesired {
        /// The service.
        service_id: Text<Name, 1, 64>,
        /// Names and values, a JSON object: `{}` clears the desired side, `null` removes one name.
        desired: Box<RawValue>,
        /// The version the caller knows; the change is refused when it is not the current one.
        version: Option<Int<0, { i64::MAX }>>,
    }
}

body! {
    /// Changes of the desired side, all or none.
    pub(crate) struct UpdateDesireds {
        /// One entry a service.
        shadow: Vec<UpdateDesired>,
    }
}

reply! {
    /// One side of one service.
    pub(crate) struct Side {
        /// Names and values.
        properties: Box<RawValue>,
        /// When they were reported or desired.
        event_time: Compact,
    }
}

reply! {
    /// The shadow of one service.
    pub(crate) struct ShadowData {
        /// The service.
        service_id: String,
        /// What the applications want.
        desired: Option<Side>,
        /// What the device reported last.
        reported: Option<Side>,
        /// Rises with each change of the desired side; starts at 0.
        version: i64,
    }
}

reply! {
    /// A device's shadow.
    pub(crate) struct Shadow {
        /// The device.
        device_id: String,
        /// One entry for every service with data.
        shadow: Vec<ShadowData>,
    }
}

fn side(side: ShadowSide) -> Result<Side> {
    let properties = RawValue::from_string(side.properties.as_str().to_owned()).map_err(Error::internal)?;
    Ok(Side { properties, event_time: Compact(side.event_time) })
}

fn reply_of(device_id: &str, services: Vec<ServiceShadow>) -> Result<Reply> {
    let shadow = services
        .into_iter()
        .map(|s| {
            Ok(ShadowData {
                service_id: s.service_id,
                desired: s.desired.map(side).transpose()?,
                reported: s.reported.map(side).transpose()?,
                version: s.version,
            })
        })
        .collect::<Result<_>>()?;
    Reply::ok(&Shadow { device_id: device_id.to_owned(), shadow })
}

pub(super) static SHOW: Built =
    Built::new("Shows a device's shadow.", json::<Shadow>(200), |c| Box::pin(show(c))).errors(&[Code::DeviceNotFound]);

async fn show(call: Call) -> Result<Reply> {
    let id = call.device_id()?;
    let services = call.platform().shadow(&id).await?;
    reply_of(id.as_str(), services)
}

pub(super) static UPDATE: Built = Built::new(
    "Changes what is desired of a device; it is sent to the device until its report matches.",
    json::<Shadow>(200),
    |c| Box::pin(update(c)),
)
.body::<UpdateDesireds>()
.errors(&[
    Code::DeviceNotFound,
    Code::NoSuchModel,
    Code::PropertyNotWritable,
    Code::ShadowVersion,
    Code::InvalidShadow,
]);

async fn update(call: Call) -> Result<Reply> {
    let id = call.device_id()?;
    let asked: UpdateDesireds = call.body()?;
    if asked.shadow.is_empty() {
        return Err(Error::invalid("Invalid input. 'shadow' must hold at least one service."));
    }
    let mut patches = Vec::with_capacity(asked.shadow.len());
    for (i, entry) in asked.shadow.into_iter().enumerate() {
        patches.push(DesiredPatch {
            service_id: entry.service_id.into_string(),
            patch: decode::object(&format!("shadow[{i}].desired"), &entry.desired)?,
            expected_version: entry.version.map(|v| v.0),
        });
    }
    let services = call.platform().desire(&id, patches).await?;
    reply_of(id.as_str(), services)
}

pub(super) static DELETE: Built =
    Built::new("Deletes a device's whole shadow.", Success::Empty, |c| Box::pin(delete(c)))
        .errors(&[Code::DeviceNotFound]);

async fn delete(call: Call) -> Result<Reply> {
    call.platform().delete_shadow(&call.device_id()?).await?;
    Ok(Reply::empty())
}
