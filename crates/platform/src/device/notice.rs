//! Events of the registry of devices: `device` with create, update and delete (`iotda-v5-api.md` §3). They are written
//! right after the change, before the answer to it. A process that is killed in between has changed the registry and told
//! nobody; whoever asked has no answer either.

use causeway_model::forwarding::Subject;
use causeway_model::registry::Device;
use causeway_model::{AppId, DeviceId};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::Platform;
use crate::outbox::notification::About;

/// A device as events tell of it: what the interface shows of it, but no credentials.
#[derive(Serialize)]
struct DeviceNotice<'a> {
    app_id: &'a str,
    app_name: &'a str,
    device_id: &'a str,
    node_id: &'a str,
    gateway_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    device_name: Option<&'a str>,
    node_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fw_version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sw_version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device_sdk_version: Option<&'a str>,
    auth_info: AuthNotice,
    product_id: &'a str,
    product_name: &'a str,
    status: &'static str,
    create_time: String,
    tags: Vec<TagNotice<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    extension_info: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct AuthNotice {
    auth_type: &'static str,
    secure_access: bool,
    timeout: i64,
}

#[derive(Serialize)]
struct TagNotice<'a> {
    tag_key: &'a str,
    tag_value: &'a str,
}

fn text(device: &Device) -> Option<String> {
    let notice = DeviceNotice {
        app_id: device.app_id.as_str(),
        app_name: &device.app_name,
        device_id: device.id.as_str(),
        node_id: device.node_id.as_str(),
        gateway_id: device.gateway_id.as_ref().unwrap_or(&device.id).as_str(),
        device_name: device.name.as_deref(),
        node_type: device.node_type(),
        description: device.description.as_deref(),
        fw_version: device.fw_version.as_deref(),
        sw_version: device.sw_version.as_deref(),
        device_sdk_version: device.sdk_version.as_deref(),
        auth_info: AuthNotice {
            auth_type: device.auth.auth_type.as_str(),
            secure_access: device.auth.secure_access,
            timeout: device.auth.timeout_s,
        },
        product_id: device.product_id.as_str(),
        product_name: &device.product_name,
        status: device.status().as_str(),
        create_time: device.created_at.compact().to_string(),
        tags: device.tags.iter().map(|t| TagNotice { tag_key: &t.key, tag_value: &t.value }).collect(),
        extension_info: device.extension_info.as_deref().and_then(|text| serde_json::from_str(text).ok()),
    };
    serde_json::to_string(&notice).ok()
}

impl Platform {
    /// Tells that devices were made, changed or deleted.
    pub(crate) async fn tell_devices<'a>(&self, subject: Subject, devices: impl IntoIterator<Item = &'a Device>) {
        let now = self.clock.now();
        let deliveries = devices.into_iter().flat_map(|device| {
            if subject == Subject::DEVICE_DELETE {
                return self.tell_of_record(About::Device(device), subject, now, || None);
            }
            self.tell_of_record(About::Entry(device), subject, now, || text(device))
        });
        let deliveries: Vec<_> = deliveries.collect();
        self.tell_of_change(subject, deliveries).await;
    }

    /// Tells that a device of this space changed, as it is now.
    pub(crate) async fn tell_device_changed(&self, app: &AppId, id: &DeviceId) {
        if !self.routes.load().concern(app, Subject::DEVICE_UPDATE) {
            return;
        }
        match self.store.device(id).await {
            Ok(device) => self.tell_devices(Subject::DEVICE_UPDATE, &device).await,
            Err(error) => tracing::error!(?error, device_id = %id, "a change of a device cannot be told"),
        }
    }
}
