//! Whose event a delivery is, for keys and topics that name devices.

use std::collections::HashMap;
use std::sync::Arc;

use causeway_model::DeviceNo;
use causeway_platform::Platform;
use parking_lot::Mutex;
use serde::Deserialize;

use crate::target::Item;

/// Devices that are remembered; beyond them everything is forgotten.
const REMEMBERED: usize = 10_000;
/// What stands for something that an event does not name.
const NOTHING: &str = "none";

/// Whose event it is. A field is `None` when the event is of no device, or of none that is still there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) device_id: Option<String>,
    pub(crate) product_id: Option<String>,
    pub(crate) app_id: Option<String>,
}

/// Finds out whose events deliveries are.
pub(crate) struct Names {
    platform: Option<Arc<Platform>>,
    devices: Mutex<HashMap<DeviceNo, Named>>,
}

/// As much of a notification as names anything. What a rule selected may have another shape.
#[derive(Deserialize)]
struct Notification {
    notify_data: NotifyData,
}

#[derive(Deserialize)]
struct NotifyData {
    header: Header,
}

#[derive(Deserialize)]
struct Header {
    device_id: Option<String>,
    product_id: Option<String>,
    app_id: Option<String>,
}

impl Names {
    pub(crate) fn new(platform: Option<Arc<Platform>>) -> Self {
        Self { platform, devices: Mutex::default() }
    }

    /// Whose event the item is: what the notification says itself, else what the store says of its device.
    pub(crate) async fn of(&self, item: &Item) -> Named {
        let said = serde_json::from_slice::<Notification>(&item.body).ok().map(|n| n.notify_data.header);
        let said = said.map(|h| Named { device_id: h.device_id, product_id: h.product_id, app_id: h.app_id });
        match (said, item.device) {
            (Some(said), _) if said.device_id.is_some() => said,
            (said, None) => said.unwrap_or_default(),
            (said, Some(no)) => self.of_device(no).await.or(said).unwrap_or_default(),
        }
    }

    async fn of_device(&self, no: DeviceNo) -> Option<Named> {
        if let Some(known) = self.devices.lock().get(&no) {
            return Some(known.clone());
        }
        let device = self.platform.as_ref()?.store.device_by_no(no).await.ok()??;
        let named = Named {
            device_id: Some(device.id.to_string()),
            product_id: Some(device.product_id.to_string()),
            app_id: Some(device.app_id.to_string()),
        };
        let mut devices = self.devices.lock();
        if devices.len() >= REMEMBERED {
            devices.clear();
        }
        devices.insert(no, named.clone());
        Some(named)
    }
}

impl Named {
    /// Puts ids in the place of `{device_id}`, `{product_id}` and `{app_id}`; `none` where the event has no such id. What
    /// `unsafe_in_names` says of an id's characters becomes `_`: an id must not add levels or wildcards.
    pub(crate) fn fill(&self, template: &str, unsafe_in_names: fn(char) -> bool) -> String {
        let safe = |id: &Option<String>| {
            id.as_deref().filter(|id| !id.is_empty()).unwrap_or(NOTHING).replace(unsafe_in_names, "_")
        };
        template
            .replace("{device_id}", &safe(&self.device_id))
            .replace("{product_id}", &safe(&self.product_id))
            .replace("{app_id}", &safe(&self.app_id))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use causeway_model::Timestamp;

    use super::*;

    #[tokio::test]
    async fn a_notification_says_whose_it_is() {
        let names = Names::new(None);
        let item = |body: &'static str| Item {
            seq: 1,
            device: None,
            at: Timestamp(0),
            body: Bytes::from_static(body.as_bytes()),
        };
        let whole = item(r#"{"notify_data":{"header":{"device_id":"a.b","product_id":"p","app_id":"x","more":1}}}"#);
        let named = names.of(&whole).await;
        assert_eq!(named.fill("s.{app_id}.{product_id}.{device_id}", |c| c == '.'), "s.x.p.a_b");
        for other in [r#"{"a":1}"#, "[]", "no JSON"] {
            assert_eq!(names.of(&item(other)).await.fill("t/{device_id}", |_| false), "t/none", "{other}");
        }
    }
}
