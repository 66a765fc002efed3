//! What the platform tells a gateway.

use causeway_model::registry::Product;
use causeway_model::{DeviceId, Error, NodeId};

use super::SubDevice;

/// News and answers of `$sub_device_manager` and `$sub_device_discovery` (002 §2.1.2.7).
#[derive(Clone, Debug)]
pub enum GatewayNotice {
    /// Devices came, moved or are as the gateway asked to hear: `add_sub_device_notify`.
    Added {
        /// The devices.
        devices: Vec<SubDevice>,
        /// The version of the list with them.
        version: i64,
    },
    /// Devices went: `delete_sub_device_notify`.
    Deleted {
        /// The device that was right above, node id, device id.
        devices: Vec<(DeviceId, NodeId, DeviceId)>,
        /// The version of the list without them.
        version: i64,
    },
    /// `add_sub_device_response`.
    AddResponse {
        /// Registered.
        successful: Vec<SubDevice>,
        /// Not registered: node id, product id, why.
        failed: Vec<(String, String, Error)>,
    },
    /// `delete_sub_device_response`.
    DeleteResponse {
        /// Deleted.
        successful: Vec<DeviceId>,
        /// Device id and why not.
        failed: Vec<(String, Error)>,
    },
    /// `update_sub_device_response`.
    UpdateResponse {
        /// As they are now.
        successful: Vec<SubDevice>,
        /// Device id and why not.
        failed: Vec<(String, Error)>,
    },
    /// `sub_device_update_status_response`.
    StatusResponse {
        /// Device id and status.
        successful: Vec<(String, String)>,
        /// Device id and why not.
        failed: Vec<(String, Error)>,
    },
    /// `get_products_response`.
    Products(Vec<Product>),
    /// `start_scan`.
    StartScan(Scan),
}

/// What a gateway is to look for (002 §2.1.2.7.7).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scan {
    /// The protocol to look on.
    pub protocol: Option<String>,
    /// The channel to look on.
    pub channel: Option<String>,
    /// The device below which to look.
    pub parent_device_id: Option<DeviceId>,
    /// Settings of the scan: a JSON object.
    pub settings: Option<String>,
}
