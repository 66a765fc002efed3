//! Synchronous commands: the caller waits for the device's answer (002 §2.1.2.10, §4.5.3).

use std::sync::Arc;

use causeway_model::properties::PropertyObject;
use causeway_model::registry::Device;
use causeway_model::{Code, DeviceId, Error, Result};
use causeway_rules::event::write_field;

use crate::Platform;
use crate::downlink::{Answer, Downlink};
use crate::runlog::{Business, Line, outcome};

/// A command to send.
#[derive(Clone, Debug)]
pub struct NewCommand {
    /// The service of the product model.
    pub service_id: Option<String>,
    /// The command of the service.
    pub command_name: Option<String>,
    /// Parameters.
    pub paras: PropertyObject,
}

/// A command that the device answered.
#[derive(Clone, Debug)]
pub struct CommandAnswer {
    /// The id made for the command.
    pub command_id: Arc<str>,
    /// What the device sent, verbatim.
    pub answer: Answer,
}

/// A command as its request says it.
fn command_text(command: &NewCommand) -> String {
    let mut text = String::from("{");
    for (name, value) in [("service_id", &command.service_id), ("command_name", &command.command_name)] {
        if let Some(value) = value {
            write_field(&mut text, name, value);
            text.push(',');
        }
    }
    text.push_str(r#""paras":"#);
    text.push_str(command.paras.as_str());
    text.push('}');
    text
}

impl Platform {
    /// Sends a command and waits for the device's answer.
    ///
    /// # Errors
    /// [`Code::DeviceNotFound`]; [`Code::InvalidCommand`] and [`Code::NoSuchModel`] from the product model;
    /// [`Code::DeviceOffline`]; [`Code::CommandTimeout`]; [`Code::TooManyPending`].
    pub async fn send_command(&self, id: &DeviceId, command: NewCommand) -> Result<CommandAnswer> {
        let device = self.device(id).await?;
        let request = command_text(&command);
        let done = self.command(&device, command).await;
        self.log_call(&device, Business::Command, || {
            let (result, status) = outcome(&done, "200", |a| String::from_utf8_lossy(&a.answer.body));
            let operation = self.device_path(&device, "/commands").into();
            Line { business: Business::Command, operation, request: request.into(), result, status }
        })
        .await;
        done
    }

    async fn command(&self, device: &Device, command: NewCommand) -> Result<CommandAnswer> {
        let id = &device.id;
        let Some(product) = self.products.get(&*self.store, device.product_no).await? else {
            return Err(Error::internal(format!("device {id} has no product")));
        };
        if let Some(service_id) = &command.service_id {
            let name = command.command_name.as_deref().unwrap_or_default();
            product.current().model.check_command(service_id, name, &command.paras)?;
        }
        let request_id = new_request_id();
        let request = command_text(&command);
        let downlink = Downlink::Command {
            request_id: request_id.clone(),
            object_device_id: device.id.clone(),
            service_id: command.service_id.unwrap_or_default(),
            command_name: command.command_name.unwrap_or_default(),
            paras: command.paras.as_str().to_owned(),
        };
        let answered = self.ask(device, request_id.clone(), downlink).await;
        self.log_sent(device, Business::Command, &answered, || {
            (format!("$oc/devices/{id}/sys/commands/request_id={request_id}"), request)
        })
        .await;
        let answer = answered?;
        metrics::counter!("causeway_commands_total", "outcome" => "answered").increment(1);
        Ok(CommandAnswer { command_id: request_id, answer })
    }

    /// Sends a downlink that the device answers and waits for the answer: listens first, sends then.
    pub(crate) async fn ask(&self, device: &Device, request_id: Arc<str>, downlink: Downlink) -> Result<Answer> {
        let via = self.gateway_of(device).await?;
        let place =
            self.waiters.listen(request_id, via.clone(), self.settings.command.max_pending).ok_or_else(|| {
                Error::new(
                    Code::TooManyPending,
                    "Too many requests wait for this device. Wait for their answers first.",
                )
            })?;
        self.bus.deliver(&via, downlink).await.map_err(|error| match error.code() {
            Code::DeviceOffline if via != device.id => {
                Error::new(Code::GatewayOffline, "Invalid input. The gateway is not online.")
            }
            _ => error,
        })?;
        place.wait(self.settings.command.timeout.0).await.ok_or_else(|| {
            metrics::counter!("causeway_commands_total", "outcome" => "timeout").increment(1);
            Error::new(
                Code::CommandTimeout,
                "Command request timed out. Check whether the device returns a response within the specified time after receiving the request.",
            )
        })
    }

    /// The device whose connection leads to `device`: itself, or the gateway at the top of its chain.
    pub(crate) async fn gateway_of(&self, device: &Device) -> Result<DeviceId> {
        let Some(mut at) = device.gateway_id.clone() else { return Ok(device.id.clone()) };
        for _ in 0..self.settings.registry.max_gateway_depth {
            match self.behind_gateway(at.as_str()).await?.and_then(|c| c.gateway_id.clone()) {
                Some(above) => at = above,
                None => break,
            }
        }
        Ok(at)
    }
}

/// Ids that travel in topics: no `=` and no `/` (`iotda-device-access.md` §4).
pub(crate) fn new_request_id() -> Arc<str> {
    uuid::Uuid::new_v4().to_string().into()
}
