//! One target: the same use case as the single call, within the spaces of the task's creator.
//!
//! A target that is unsure (see [`BatchTarget::unsure`]) may have been carried out before. Registering, deleting and
//! messages find out; freezing, changing and desiring may be done twice without harm; a command is sent again.

use std::sync::Arc;

use causeway_model::batch::{BatchTarget, BatchTask};
use causeway_model::message::MessageStatus;
use causeway_model::registry::Device;
use causeway_model::{Code, DeviceId, Error, RecordNo, Result};
use tokio::sync::OwnedSemaphorePermit;

use super::{DeviceRow, Job};
use crate::Platform;
use crate::device::NewDevice;
use crate::message::NewMessage;

/// Bytes kept of what a target gave.
const OUTPUT_MAX: usize = 4096;

/// A target that has begun, and its place.
pub(super) struct Claimed {
    pub(super) target: BatchTarget,
    pub(super) place: OwnedSemaphorePermit,
}

/// A target that has ended.
pub(super) struct Done {
    pub(super) no: RecordNo,
    pub(super) attempts: u32,
    /// What it gave.
    pub(super) result: Result<String>,
}

fn shortened(mut text: String) -> String {
    if text.len() > OUTPUT_MAX {
        let end = (0..=OUTPUT_MAX).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
    }
    text
}

/// What registering a device gives: the only place that shows a secret that was made.
fn registered(device_id: &str, secret: Option<&str>) -> String {
    match secret {
        Some(secret) => serde_json::json!({ "device_id": device_id, "secret": secret }).to_string(),
        None => serde_json::json!({ "device_id": device_id }).to_string(),
    }
}

impl Platform {
    /// Carries one target out.
    pub(super) async fn carry_out_target(self: &Arc<Self>, task: &BatchTask, job: &Job, claimed: Claimed) -> Done {
        let Claimed { target, place } = claimed;
        let result = self.try_target(task, job, &target).await;
        drop(place);
        Done { no: target.no, attempts: target.attempts, result: result.map(shortened) }
    }

    /// A target's device, if the task may touch it.
    async fn device_of_target(&self, task: &BatchTask, target: &BatchTarget) -> Result<Device> {
        let id = DeviceId::parse(&target.target)?;
        let device = self.device(&id).await?;
        if task.spaces.sees(&device.app_id) {
            return Ok(device);
        }
        Err(Error::new(Code::DeviceNotFound, format!("The device '{id}' does not exist.")))
    }

    async fn try_target(self: &Arc<Self>, task: &BatchTask, job: &Job, target: &BatchTarget) -> Result<String> {
        let device = match (self.device_of_target(task, target).await, job) {
            (Err(e), Job::DeleteDevices) if target.unsure && e.code() == Code::DeviceNotFound => {
                return Ok(String::new());
            }
            (device, _) => device?,
        };
        match job {
            Job::CreateDevices => return Err(Error::internal("devices are created in slices")),
            Job::UpdateDevices => {
                let change = self.row_of(target)?.change();
                self.update_device(&device.id, change).await?;
            }
            Job::DeleteDevices => self.delete_device(&device.id).await?,
            Job::FreezeDevices => self.set_frozen(&device.id, true).await?,
            Job::UnfreezeDevices => self.set_frozen(&device.id, false).await?,
            Job::Command(command) => {
                let answered = self.send_command(&device.id, command.clone()).await?;
                return Ok(String::from_utf8_lossy(&answered.answer.body).into_owned());
            }
            Job::Message(message) => return self.send_message(task, &device, message, target).await,
            Job::Desire(patches) => {
                self.desire(&device.id, patches.clone()).await?;
            }
        }
        Ok(String::new())
    }

    fn row_of(&self, target: &BatchTarget) -> Result<DeviceRow> {
        match &target.input {
            Some(sealed) => DeviceRow::read(&self.secrets.open(sealed)?),
            None => Err(Error::internal("a target of a file has no row")),
        }
    }

    async fn send_message(
        &self,
        task: &BatchTask,
        device: &Device,
        message: &NewMessage,
        target: &BatchTarget,
    ) -> Result<String> {
        // Made of the target and its attempt, so that a message that was made before a crash is known again.
        let id = message.id.clone().unwrap_or_else(|| format!("{}-{:x}-{}", task.id, target.no.0, target.attempts));
        let made = match self.create_message(&device.id, NewMessage { id: Some(id.clone()), ..message.clone() }).await {
            Err(e) if target.unsure && e.code() == Code::MessageExists => {
                let known = self.message(&device.id, &id).await?;
                if target.began_at.is_none_or(|began| known.created_at < began) {
                    return Err(e);
                }
                known
            }
            made => made?,
        };
        if made.status == MessageStatus::Failed
            && let Some((code, text)) = made.error
        {
            let code = Code::ALL.iter().copied().find(|c| c.as_str() == code).unwrap_or(Code::DeviceOffline);
            return Err(Error::new(code, text));
        }
        Ok(serde_json::json!({ "message_id": made.id, "status": made.status.as_str() }).to_string())
    }

    /// Registers the devices of some rows together, in their order.
    pub(super) async fn create_devices(self: &Arc<Self>, task: &BatchTask, claimed: Vec<Claimed>) -> Vec<Done> {
        let mut done = Vec::with_capacity(claimed.len());
        let mut rows: Vec<(BatchTarget, NewDevice)> = Vec::with_capacity(claimed.len());
        let mut places = Vec::with_capacity(claimed.len());
        for Claimed { target, place } in claimed {
            places.push(place);
            match self.row_of(&target).and_then(|row| row.new_device(&task.spaces)) {
                Ok(new) => rows.push((target, new)),
                Err(e) => done.push(Done { no: target.no, attempts: target.attempts, result: Err(e) }),
            }
        }
        let outcomes = self.register_devices(rows.iter().map(|(_, new)| new.clone()).collect()).await;
        for ((target, new), outcome) in rows.into_iter().zip(outcomes) {
            let result = match outcome {
                Ok(made) => Ok(registered(made.device.id.as_str(), made.secret.as_deref())),
                Err(e) if target.unsure && e.code() == Code::DeviceExists => {
                    self.registered_before(&target, &new).await.unwrap_or(Err(e))
                }
                Err(e) => Err(e),
            };
            done.push(Done { no: target.no, attempts: target.attempts, result });
        }
        drop(places);
        done
    }

    /// Whether the device that is in the way is the target's own, made before a crash; what it would have given then.
    async fn registered_before(&self, target: &BatchTarget, new: &NewDevice) -> Option<Result<String>> {
        let default_id = || DeviceId::parse(&format!("{}_{}", new.product_id, new.node_id)).ok();
        let device = self.device(&new.id.clone().or_else(default_id)?).await.ok()?;
        let same = device.node_id == new.node_id
            && device.product_id == new.product_id
            && new.spaces.sees(&device.app_id)
            && target.began_at.is_some_and(|began| device.created_at >= began);
        if !same {
            return None;
        }
        let secret = self.device_secrets(&device).map(|(first, _)| first);
        Some(secret.map(|s| registered(device.id.as_str(), s.as_deref())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_bounded() {
        assert_eq!(shortened("short".to_owned()), "short");
        let long = shortened("温".repeat(OUTPUT_MAX));
        assert!(long.len() <= OUTPUT_MAX && long.ends_with('温'));
    }
}
