//! A device behind a gateway, as its gateway sees it.

use causeway_model::registry::{Device, Product};
use causeway_model::status::DeviceStatus;
use causeway_model::{DeviceId, NodeId, ProductId};

/// See the module text; the table DeviceInfo of 002 §2.1.2.7.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubDevice {
    /// The device right above it.
    pub parent_id: DeviceId,
    /// What it calls itself.
    pub node_id: NodeId,
    /// The device.
    pub device_id: DeviceId,
    /// Display name.
    pub name: Option<String>,
    /// Free text.
    pub description: Option<String>,
    /// The product's manufacturer.
    pub manufacturer: Option<String>,
    /// The product's kind of device.
    pub model: Option<String>,
    /// Its product.
    pub product_id: ProductId,
    /// Firmware version.
    pub fw_version: Option<String>,
    /// Software version.
    pub sw_version: Option<String>,
    /// Its status as its gateway told it.
    pub status: DeviceStatus,
    /// The application's own JSON.
    pub extension_info: Option<String>,
}

impl SubDevice {
    pub(crate) fn new(device: &Device, parent: &DeviceId, product: Option<&Product>) -> Self {
        Self {
            parent_id: parent.clone(),
            node_id: device.node_id.clone(),
            device_id: device.id.clone(),
            name: device.name.clone(),
            description: device.description.clone(),
            manufacturer: product.and_then(|p| p.manufacturer_name.clone()),
            model: product.map(|p| p.device_type.clone()),
            product_id: device.product_id.clone(),
            fw_version: device.fw_version.clone(),
            sw_version: device.sw_version.clone(),
            status: device.connection,
            extension_info: device.extension_info.clone(),
        }
    }
}
