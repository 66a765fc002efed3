//! Desired properties that a device has not shown yet: sent when it comes online and when it reports, until they match.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use causeway_model::properties::{ObjectBuilder, PropertyObject};
use causeway_model::shadow::same_value;
use causeway_model::{DeviceId, Result};

use crate::Platform;
use crate::downlink::Downlink;
use crate::uplink::{DeviceContext, ReportRow};

/// So many sends may follow each other at once; afterwards one a second. A device that answers each set with a report
/// that still does not match would otherwise keep the platform sending at the speed of the network.
const BURST: u32 = 5;
const REFILL: Duration = Duration::from_secs(1);

/// The open part of a device's desired side.
#[derive(Debug)]
pub(crate) struct OpenDesired {
    /// Service and properties that do not match yet.
    pub(crate) services: Vec<(String, PropertyObject)>,
    tokens: u32,
    refilled: Instant,
}

impl OpenDesired {
    fn new(services: Vec<(String, PropertyObject)>) -> Self {
        Self { services, tokens: BURST, refilled: Instant::now() }
    }

    fn may_send(&mut self) -> bool {
        let earned = u32::try_from(self.refilled.elapsed().as_millis() / REFILL.as_millis()).unwrap_or(u32::MAX);
        if earned > 0 {
            self.tokens = self.tokens.saturating_add(earned).min(BURST);
            self.refilled = Instant::now();
        }
        let allowed = self.tokens > 0;
        self.tokens = self.tokens.saturating_sub(1);
        allowed
    }

    /// Takes away what a report shows to match.
    fn settle(&mut self, rows: &[ReportRow]) {
        for row in rows {
            let Some(at) = self.services.iter().position(|(s, _)| **s == *row.service_id) else { continue };
            let mut open = ObjectBuilder::default();
            let mut left = false;
            self.services[at].1.for_each(|name, want| {
                if !row.properties.get(name).is_some_and(|have| same_value(want, &have)) {
                    open.set(name, want);
                    left = true;
                }
            });
            if left {
                self.services[at].1 = open.finish();
            } else {
                self.services.swap_remove(at);
            }
        }
    }
}

impl Platform {
    /// Reads from the store what is open for a device.
    pub(crate) async fn load_open_desired(&self, device: &DeviceContext) -> Result<()> {
        let reading = device.desired_readings.fetch_add(1, Ordering::Relaxed) + 1;
        let open: Vec<_> = self
            .store
            .shadow(device.no)
            .await?
            .iter()
            .filter_map(|s| s.unmatched().map(|open| (s.service_id.clone(), open)))
            .collect();
        let mut guard = device.open_desired.lock();
        // A reading that began later saw at least as much.
        if device.desired_readings.load(Ordering::Relaxed) == reading {
            *guard = (!open.is_empty()).then(|| Box::new(OpenDesired::new(open)));
        }
        Ok(())
    }

    /// Compares a report with what is open; what still does not match is sent again.
    pub(crate) fn compare_with_desired(&self, device: &Arc<DeviceContext>, rows: &[ReportRow]) {
        let again = {
            let mut guard = device.open_desired.lock();
            let Some(open) = guard.as_mut() else { return };
            open.settle(rows);
            if open.services.is_empty() {
                *guard = None;
                return;
            }
            open.may_send().then(|| open.services.clone())
        };
        if let Some(services) = again {
            self.send_desired(device, services);
        }
    }

    /// Sends what is open now, without waiting for the device's answer: its next report tells whether it obeyed.
    pub(crate) fn send_open_desired(&self, device: &Arc<DeviceContext>) {
        let services = device.open_desired();
        if !services.is_empty() {
            self.send_desired(device, services);
        }
    }

    fn send_desired(&self, device: &Arc<DeviceContext>, services: Vec<(String, PropertyObject)>) {
        let via = self.connection_of(device);
        let downlink = Downlink::PropertySet {
            request_id: uuid::Uuid::new_v4().to_string().into(),
            object_device_id: device.id.clone(),
            services,
        };
        if let Some(entry) = self.directory.get(via.as_str())
            && entry.link.deliver(downlink).is_err()
        {
            tracing::debug!(device_id = %device.id, "desired properties wait for the next report: the connection is busy");
        }
    }

    /// The device whose connection leads to `device`: itself, or the gateway at the top.
    pub(crate) fn connection_of(&self, device: &DeviceContext) -> DeviceId {
        let mut at = match &device.gateway_id {
            None => return device.id.clone(),
            Some(gateway) => gateway.clone(),
        };
        for _ in 0..self.settings.registry.max_gateway_depth {
            match self.children.get(at.as_str()).and_then(|c| c.gateway_id.clone()) {
                Some(above) => at = above,
                None => break,
            }
        }
        at
    }
}
