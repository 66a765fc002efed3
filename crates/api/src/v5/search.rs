//! Searching devices with SQL (`iotda-v5-api.md`, `search_devices`).

use causeway_model::{Code, RecordNo, Result};
use causeway_platform::search::{Answer, FoundDevice};
use causeway_rules::search::Output;

use super::device_body::Tag;
use super::groups::GroupItem;
use crate::bounded::{Any, Text};
use crate::call::{Call, Reply};
use crate::operation::{Built, json};
use crate::shape::{body, reply};

body! {
    /// A search.
    pub(crate) struct SearchSql {
        /// `select *|fields|count(*) from device [where …] [order by marker asc|desc] [limit [offset,]rows]`.
        sql: Text<Any, 0, 65536>,
    }
}

reply! {
    /// A module of a device and its version.
    pub(crate) struct Module {
        /// The module.
        module_name: String,
        /// Its version.
        module_version: String,
    }
}

reply! {
    /// A device that was found, with the fields that were asked for.
    pub(crate) struct SearchDevice {
        /// Resource space.
        app_id: Option<String>,
        /// Name of the resource space.
        app_name: Option<String>,
        /// The id.
        device_id: Option<String>,
        /// What the device calls itself.
        node_id: Option<String>,
        /// The gateway it is behind; its own id when it connects itself.
        gateway_id: Option<String>,
        /// Display name.
        device_name: Option<String>,
        /// GATEWAY for a device that connects itself, ENDPOINT for one behind a gateway.
        node_type: Option<&'static str>,
        /// Firmware version the device told.
        fw_version: Option<String>,
        /// Software version the device told.
        sw_version: Option<String>,
        /// SDK version the device told.
        device_sdk_version: Option<String>,
        /// Its product.
        product_id: Option<String>,
        /// Name of its product.
        product_name: Option<String>,
        /// The groups it is in.
        groups: Option<Vec<GroupItem>>,
        /// ONLINE, OFFLINE, ABNORMAL, INACTIVE or FROZEN.
        status: Option<&'static str>,
        /// Tags.
        tags: Option<Vec<Tag>>,
        /// Modules of the device.
        modules: Option<Vec<Module>>,
        /// Paging position.
        marker: Option<String>,
    }
}

reply! {
    /// What a search found.
    pub(crate) struct SearchReply {
        /// The devices; absent when they were counted.
        devices: Option<Vec<SearchDevice>>,
        /// How many devices match; there when they were counted.
        count: Option<u64>,
    }
}

pub(super) static SEARCH: Built =
    Built::new("Searches devices with an SQL statement.", json::<SearchReply>(200), |c| Box::pin(search(c)))
        .body::<SearchSql>()
        .errors(&[Code::InvalidSearch, Code::RateLimited]);

async fn search(call: Call) -> Result<Reply> {
    let asked: SearchSql = call.body()?;
    match call.platform().search_devices(&call.allowed, asked.sql.as_str()).await? {
        Answer::Count(count) => Reply::ok(&SearchReply { devices: None, count: Some(count) }),
        Answer::Devices(found, fields) => {
            let devices = found.into_iter().map(|d| shown(d, fields.as_deref())).collect();
            Reply::ok(&SearchReply { devices: Some(devices), count: None })
        }
    }
}

/// The fields that were asked for; `None` for all.
fn shown(found: FoundDevice, fields: Option<&[Output]>) -> SearchDevice {
    let FoundDevice { device, groups } = found;
    let asked = |output: Output| fields.is_none_or(|f| f.contains(&output));
    let (status, node_type) = (device.status().as_str(), device.node_type());
    let gateway_id = device.gateway_id.as_ref().unwrap_or(&device.id).to_string();
    SearchDevice {
        app_id: asked(Output::AppId).then(|| device.app_id.to_string()),
        app_name: asked(Output::AppName).then_some(device.app_name),
        device_id: asked(Output::DeviceId).then(|| device.id.to_string()),
        node_id: asked(Output::NodeId).then(|| device.node_id.to_string()),
        gateway_id: asked(Output::GatewayId).then_some(gateway_id),
        device_name: device.name.filter(|_| asked(Output::DeviceName)),
        node_type: asked(Output::NodeType).then_some(node_type),
        fw_version: device.fw_version.filter(|_| asked(Output::FwVersion)),
        sw_version: device.sw_version.filter(|_| asked(Output::SwVersion)),
        device_sdk_version: device.sdk_version.filter(|_| asked(Output::DeviceSdkVersion)),
        product_id: asked(Output::ProductId).then(|| device.product_id.to_string()),
        product_name: asked(Output::ProductName).then_some(device.product_name),
        groups: asked(Output::Groups).then(|| groups.into_iter().map(Into::into).collect()),
        status: asked(Output::Status).then_some(status),
        tags: asked(Output::Tags).then(|| device.tags.into_iter().map(Into::into).collect()),
        // Versions of modules are told with OTA, which is not there yet.
        modules: asked(Output::Modules).then(Vec::new),
        marker: asked(Output::Marker).then(|| RecordNo::from(device.no).to_string()),
    }
}
