//! Devices of the event's own space: `MQTT_DEVICE_FORWARDING`. A broadcast: done when it is on its way to those that are
//! connected and subscribed.

use std::sync::Arc;

use async_trait::async_trait;
use causeway_channels::MqttDeviceForwarding;
use causeway_model::{AppId, Code};
use causeway_platform::Platform;
use causeway_platform::broadcast::NewBroadcast;

use super::Workshop;
use crate::names::Names;
use crate::target::{Feeding, Item, Sent, Target};

/// See the module text.
pub(crate) struct DeviceTarget {
    platform: Arc<Platform>,
    names: Names,
    topic: String,
}

impl DeviceTarget {
    pub(crate) fn new(workshop: &Workshop, to: &MqttDeviceForwarding) -> Result<Self, String> {
        let platform = workshop.platform.clone().ok_or_else(|| "there is no platform to call".to_owned())?;
        Ok(Self { names: Names::new(Some(platform.clone())), platform, topic: to.topic.clone() })
    }
}

#[async_trait]
impl Target for DeviceTarget {
    fn feeding(&self) -> Feeding {
        // One at a time, so that devices get events in order; the host is only what failures are counted for.
        Feeding::Lanes { concurrency: 1, host: format!("devices:{}", self.topic) }
    }

    async fn send(&self, items: &[Item]) -> Sent {
        let Some(item) = items.first() else { return Sent::default() };
        let rejected = |why: String| Sent { done: 1, rejected: vec![(0, why)], failure: None };
        let Some(app_id) = self.names.of(item).await.app_id else {
            return rejected("the event does not tell its resource space".to_owned());
        };
        let new = NewBroadcast {
            app: AppId::trusted(app_id),
            topic: self.topic.clone(),
            payload: item.body.to_vec(),
            id: None,
        };
        match self.platform.broadcast(new).await {
            Ok(_) => Sent::all(items),
            Err(error) if error.code() == Code::AppNotFound => rejected("its resource space is gone".to_owned()),
            Err(error) => Sent::failed("busy", error.message()),
        }
    }
}
