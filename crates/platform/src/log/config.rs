//! Switching a device's log on and off (002 §2.1.2.2.1).

use causeway_model::registry::Device;
use causeway_model::{DeviceId, DeviceNo, Result, Timestamp};

use crate::Platform;
use crate::downlink::{Downlink, EventNotice, NoticeBody};

/// What a device is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// Send its log.
    pub is_on: bool,
    /// Until then.
    pub end_time: Timestamp,
}

/// What a device is to do, and whether it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogState {
    /// What it is to do.
    pub config: LogConfig,
    /// When that was said.
    pub set_at: Timestamp,
    /// It was handed to the device's connection.
    pub is_sent: bool,
}

impl Platform {
    /// Switches a device's log on or off: now, or when the device comes.
    ///
    /// # Errors
    /// [`Code::DeviceNotFound`](causeway_model::Code::DeviceNotFound).
    pub async fn set_log_config(&self, id: &DeviceId, config: LogConfig) -> Result<LogState> {
        let device = self.device(id).await?;
        let set_at = self.clock.now();
        self.store.put_log_config(device.no, config, set_at).await?;
        let via = self.gateway_of(&device).await?;
        self.send_log_config(device.no, id, &via).await?;
        Ok(self.store.log_config(device.no).await?.unwrap_or(LogState { config, set_at, is_sent: false }))
    }

    /// What a device is to do; nothing was said yet when `None`.
    ///
    /// # Errors
    /// [`Code::DeviceNotFound`](causeway_model::Code::DeviceNotFound).
    pub async fn log_config(&self, device: &Device) -> Result<Option<LogState>> {
        self.store.log_config(device.no).await
    }

    /// Sends the configuration that waits, if the connection of `via` takes it.
    pub(crate) async fn send_log_config(&self, no: DeviceNo, id: &DeviceId, via: &DeviceId) -> Result<()> {
        let Some(state) = self.store.log_config(no).await?.filter(|state| !state.is_sent) else { return Ok(()) };
        let notice =
            EventNotice { object_device_id: id.clone(), event_id: None, body: NoticeBody::LogConfig(state.config) };
        if self.bus.deliver(via, Downlink::Event(Box::new(notice))).await.is_ok() {
            self.store.log_config_sent(no, state.set_at).await?;
        }
        Ok(())
    }
}
