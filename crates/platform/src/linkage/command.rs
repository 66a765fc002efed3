//! Commands of rules: sent at once, or kept until the device comes online.

use std::sync::Arc;
use std::time::Duration;

use causeway_model::linkage::CommandAction;
use causeway_model::properties::{PropertyObject, each_entry};
use causeway_model::registry::Device;
use causeway_model::{Code, DeviceNo, Error, RecordNo, Result, Timestamp};

use super::LinkageCommand;
use crate::Platform;
use crate::command::new_request_id;
use crate::downlink::Downlink;
use crate::session::Place;

/// The worker waits so long for the answer of a device before it goes on; the rest of the time is waited beside it.
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// What a `command_body` says.
pub(super) struct Parameters {
    /// The parameters of the command.
    pub(super) paras: PropertyObject,
    /// Whether the device answers (`header.mode` is not `NOACK`).
    pub(super) is_answered: bool,
}

impl Parameters {
    /// Reads the parameters, or `{"header":{…},"body":{the parameters}}` (the SDK's text on `Cmd`).
    pub(super) fn read(command_body: &str) -> Result<Self> {
        let whole = PropertyObject::parse(command_body)?;
        let part = |name| whole.get(name).filter(|raw| raw.starts_with('{'));
        let Some(header) = part("header") else { return Ok(Self { paras: whole, is_answered: true }) };
        let paras = match part("body") {
            Some(body) => PropertyObject::parse(&body)?,
            None => PropertyObject::empty(),
        };
        let mut mode = None;
        each_entry(&header, |name, value| {
            if name == "mode" {
                mode = Some(value.to_owned());
            }
            Ok(())
        })?;
        match mode.as_deref() {
            None | Some("\"ACK\"") => Ok(Self { paras, is_answered: true }),
            Some("\"NOACK\"") => Ok(Self { paras, is_answered: false }),
            Some(_) => Err(Error::invalid("'header.mode' of 'command_body' must be ACK or NOACK.")),
        }
    }
}

/// A command on its way.
struct Sent {
    place: Option<Place>,
    rule_id: String,
    device: Device,
    request_id: Arc<str>,
}

impl Sent {
    /// Notes the answer, or that there was none.
    fn note(&self, answer: Option<crate::downlink::Answer>) {
        let outcome = if answer.is_some() { "answered" } else { "unanswered" };
        note_command(&self.rule_id, self.device.id.as_str(), outcome, Some(&self.request_id));
    }
}

fn note_command(rule_id: &str, device_id: &str, outcome: &'static str, command_id: Option<&str>) {
    metrics::counter!("causeway_linkage_commands_total", "outcome" => outcome).increment(1);
    tracing::info!(rule_id, device_id, command_id, outcome, "command of a linkage rule");
}

impl Platform {
    /// Sends the command of a rule that acts at `at` to `device`, or keeps it. What cannot be repeated with more success is noted and left.
    ///
    /// # Errors
    /// Only the store's.
    pub(super) async fn send_linkage_command(
        &self,
        rule_id: &str,
        action: &CommandAction,
        device: Device,
        at: Timestamp,
    ) -> Result<()> {
        let ends = at.plus_ms(i64::from(action.buffer_s) * 1000);
        if action.buffer_s > 0 && self.clock.now() >= ends {
            // The platform was down meanwhile.
            note_command(rule_id, device.id.as_str(), "expired", None);
            return Ok(());
        }
        if action.passive && action.buffer_s > 0 {
            return self.keep_command(rule_id, action, &device, at).await;
        }
        match self.begin_command(rule_id, action, &device).await {
            Ok(sent) => {
                self.await_answer(sent, Duration::from_secs(u64::from(action.response_s))).await;
                Ok(())
            }
            Err(error) if is_absent(&error) && action.buffer_s > 0 => {
                self.keep_command(rule_id, action, &device, at).await?;
                // It may have come online while the command was written.
                self.hand_linkage_commands(device.no);
                Ok(())
            }
            Err(error) if error.code() == Code::Unavailable => Err(error),
            Err(error) => {
                tracing::warn!(rule_id, device_id = %device.id, %error, "a command of a linkage rule cannot be sent");
                note_command(rule_id, device.id.as_str(), "failed", None);
                Ok(())
            }
        }
    }

    /// Takes a place for the answer and hands the command to the device's connection.
    async fn begin_command(&self, rule_id: &str, action: &CommandAction, device: &Device) -> Result<Sent> {
        let parameters = Parameters::read(&action.command_body)?;
        let Some(product) = self.products.get(&*self.store, device.product_no).await? else {
            return Err(Error::new(Code::DeviceNotFound, "The device's product is gone."));
        };
        product.current().model.check_command(&action.service_id, &action.command_name, &parameters.paras)?;
        let via = self.gateway_of(device).await?;
        let request_id = new_request_id();
        let place = if parameters.is_answered {
            let most = self.settings.command.max_pending;
            let place = self.waiters.listen(request_id.clone(), via.clone(), most);
            Some(place.ok_or_else(|| Error::new(Code::TooManyPending, "Too many requests wait for this device."))?)
        } else {
            None
        };
        let downlink = Downlink::Command {
            request_id: request_id.clone(),
            object_device_id: device.id.clone(),
            service_id: action.service_id.clone(),
            command_name: action.command_name.clone(),
            paras: parameters.paras.as_str().to_owned(),
        };
        self.bus.deliver(&via, downlink).await?;
        Ok(Sent { place, rule_id: rule_id.to_owned(), device: device.clone(), request_id })
    }

    /// Waits a moment for the answer; the rest of the time beside the worker, as long as not too many are waited for.
    async fn await_answer(&self, mut sent: Sent, within: Duration) {
        let Some(mut place) = sent.place.take() else {
            note_command(&sent.rule_id, sent.device.id.as_str(), "sent", Some(&sent.request_id));
            return;
        };
        if let Some(answer) = place.wait_some(within.min(FIRST_WAIT)).await {
            sent.note(Some(answer));
            return;
        }
        let rest = within.saturating_sub(FIRST_WAIT);
        let Some(permit) = self.linkage.waiting.clone().try_acquire_owned().ok().filter(|_| !rest.is_zero()) else {
            sent.note(None);
            return;
        };
        // Bounded by the permits and by time, and ended by `Waiters::give_up`: only the log waits for it.
        tokio::spawn(async move {
            let answer = place.wait(rest).await;
            sent.note(answer);
            drop(permit);
        });
    }

    async fn keep_command(&self, rule_id: &str, action: &CommandAction, device: &Device, at: Timestamp) -> Result<()> {
        let command = LinkageCommand {
            no: RecordNo(0),
            device: device.no,
            rule_id: rule_id.to_owned(),
            action: serde_json::to_string(action).map_err(Error::internal)?,
            // Counted from the cause: what is repeated after a crash is the same command, and kept once.
            expires_at: at.plus_ms(i64::from(action.buffer_s) * 1000),
        };
        self.store.keep_linkage_command(&command, self.settings.linkage.kept_commands).await?;
        note_command(rule_id, device.id.as_str(), "kept", None);
        Ok(())
    }

    /// Begins to hand over the commands that wait for a device, one after the answer to the other, unless that is under
    /// way.
    pub(crate) fn hand_linkage_commands(&self, device: DeviceNo) {
        let Some(platform) = self.itself.upgrade() else { return };
        if !self.linkage.handing.lock().insert(device) {
            return;
        }
        tokio::spawn(async move {
            let outcome = platform.hand_commands(device).await;
            platform.linkage.handing.lock().remove(&device);
            if let Err(error) = outcome {
                tracing::warn!(?error, "commands of linkage rules wait for the device's next connection");
            }
        });
    }

    async fn hand_commands(&self, no: DeviceNo) -> Result<()> {
        while let Some(command) = self.store.next_linkage_command(no, self.clock.now()).await? {
            let Some(device) = self.store.device_by_no(no).await? else { return Ok(()) };
            let action: CommandAction = serde_json::from_str(&command.action).map_err(Error::internal)?;
            match self.begin_command(&command.rule_id, &action, &device).await {
                Ok(mut sent) => {
                    let within = Duration::from_secs(u64::from(action.response_s));
                    let answer = match sent.place.take() {
                        Some(place) => place.wait(within.min(self.settings.command.timeout.0)).await,
                        None => None,
                    };
                    // A crash before this brings the command once more.
                    self.store.drop_linkage_command(command.no).await?;
                    sent.note(answer);
                }
                Err(error) if is_absent(&error) || error.is_retryable() => return Ok(()),
                Err(error) => {
                    tracing::warn!(rule_id = command.rule_id, device_id = %device.id, %error, "a kept command cannot be sent");
                    note_command(&command.rule_id, device.id.as_str(), "failed", None);
                    self.store.drop_linkage_command(command.no).await?;
                }
            }
        }
        Ok(())
    }
}

/// Whether the device is not there now.
fn is_absent(error: &Error) -> bool {
    matches!(error.code(), Code::DeviceOffline | Code::GatewayOffline)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_stand_alone_or_in_a_body() {
        let read = |text| Parameters::read(text).map(|p| (p.paras.as_str().to_owned(), p.is_answered));
        assert_eq!(read(r#"{"value":1.10}"#).expect("plain"), (r#"{"value":1.10}"#.into(), true));
        let whole = r#"{"header":{"mode":"NOACK","method":"M"},"body":{"value":"1"}}"#;
        assert_eq!(read(whole).expect("whole"), (r#"{"value":"1"}"#.into(), false));
        assert_eq!(read(r#"{"header":{"mode":"ACK"}}"#).expect("no body"), ("{}".into(), true));
        assert!(read(r#"{"header":{"mode":"MAYBE"},"body":{}}"#).is_err());
        assert!(read("[]").is_err());
    }
}
