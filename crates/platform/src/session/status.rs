//! OFFLINE, one minute late (002 §3.4): devices that left, in the order of leaving.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use causeway_model::status::{DeviceStatus, StatusEvent};
use causeway_model::{DeviceId, Result, Timestamp};
use parking_lot::Mutex;

use crate::Platform;
use crate::uplink::DeviceContext;

/// Devices that left and are not OFFLINE yet.
#[derive(Default)]
pub(crate) struct Departures(Mutex<Left>);

#[derive(Default)]
struct Left {
    /// Leaving times; a device that came back is no longer in `contexts`, its place here is skipped.
    order: VecDeque<(Timestamp, DeviceId)>,
    contexts: HashMap<DeviceId, (Timestamp, Arc<DeviceContext>)>,
}

impl Departures {
    /// The device left at `at`.
    pub(crate) fn note(&self, context: Arc<DeviceContext>, at: Timestamp) {
        let mut left = self.0.lock();
        left.order.push_back((at, context.id.clone()));
        left.contexts.insert(context.id.clone(), (at, context));
        metrics::counter!("causeway_device_departures_total").increment(1);
    }

    /// The device came back.
    pub(crate) fn forget(&self, id: &DeviceId) {
        self.0.lock().contexts.remove(id);
    }

    /// Devices that left before `before`.
    fn due(&self, before: Timestamp) -> Vec<Arc<DeviceContext>> {
        let mut left = self.0.lock();
        let mut due = Vec::new();
        while left.order.front().is_some_and(|(at, _)| *at <= before) {
            let Some((at, id)) = left.order.pop_front() else { break };
            if left.contexts.get(&id).is_some_and(|(noted, _)| *noted == at)
                && let Some((_, context)) = left.contexts.remove(&id)
            {
                due.push(context);
            }
        }
        due
    }
}

impl Platform {
    /// Devices that the store shows ONLINE at the start lost their connections with the previous process.
    pub(crate) async fn adopt_departed(&self) -> Result<()> {
        let now = self.clock.now();
        for (no, id) in self.store.devices_with_status(DeviceStatus::Online).await? {
            if self.directory.get(id.as_str()).is_some() {
                continue;
            }
            let Some(device) = self.store.device_by_no(no).await? else { continue };
            if let Some(context) = self.context_of(device).await?
                && self.directory.get(id.as_str()).is_none()
            {
                self.departures.note(context, now);
            }
        }
        Ok(())
    }

    /// Shows devices OFFLINE whose delay has passed.
    pub(crate) async fn mark_offline(&self) -> Result<()> {
        let before = self.clock.now().plus_ms(-self.settings.device.offline_delay.as_millis());
        for context in self.departures.due(before) {
            if self.directory.get(context.id.as_str()).is_none()
                && let Some(device) = self.store.device_by_no(context.no).await?
            {
                self.change_status(&context, device.connection, StatusEvent::Gone).await?;
            }
        }
        Ok(())
    }
}
