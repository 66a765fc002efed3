//! What gateways need from the store.

use async_trait::async_trait;
use causeway_model::registry::{Device, Page, PageRequest};
use causeway_model::service_event::FoundDevice;
use causeway_model::{DeviceId, DeviceNo, NodeId, RecordNo, Result, Timestamp};

/// The state of a gateway's list of devices behind it. The list of a gateway holds the devices of all levels; a gateway
/// that is itself behind another one has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChildList {
    /// Rises with every device that comes, goes or moves; 0 before the first.
    pub version: i64,
    /// Deletions up to this version are forgotten.
    pub floor: i64,
}

/// The last change of one device in a gateway's list.
#[derive(Clone, Debug, PartialEq)]
pub struct ChildChange {
    /// The version of the list that the change made; no other change made the same.
    pub version: i64,
    /// The device.
    pub device_id: DeviceId,
    /// What it calls itself.
    pub node_id: NodeId,
    /// The device right above it.
    pub parent_id: DeviceId,
    /// The device as it is now; `None` when it is not behind the gateway any more.
    pub device: Option<Device>,
}

/// What waits for a device that connects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Devices are behind it.
    pub has_children: bool,
    /// A log configuration was not sent yet.
    pub has_log_config: bool,
    /// Commands of linkage rules were kept for it.
    pub has_commands: bool,
}

/// A device that a scan found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Paging position.
    pub no: RecordNo,
    /// What the gateway told of it: a JSON object.
    pub fields: String,
    /// When.
    pub at: Timestamp,
}

/// Keeps the lists of devices behind gateways. They change with the devices, in the same transaction: the store sees to
/// that whenever a device is added behind a gateway, moves or goes.
#[async_trait]
pub trait GatewayStore: Send + Sync {
    /// The state of a gateway's list.
    async fn child_list(&self, gateway: DeviceNo) -> Result<ChildList>;
    /// The gateways in whose lists these devices are, or were, and the lowest version of their changes.
    async fn list_versions_of(&self, devices: &[DeviceId]) -> Result<Vec<(DeviceId, i64)>>;
    /// Changes with a version greater than `after`, in order, at most `limit`.
    async fn child_changes(&self, gateway: DeviceNo, after: i64, limit: u32) -> Result<Vec<ChildChange>>;
    /// Keeps the newest `keep` deletions of a list.
    async fn forget_deletions(&self, gateway: &DeviceId, keep: u32) -> Result<()>;
    /// Numbers the list anew from `above` + 1, in its order, and forgets its deletions: for a gateway that knows higher
    /// versions than there are.
    async fn raise_child_list(&self, gateway: DeviceNo, above: i64) -> Result<()>;
    /// What waits for a device.
    async fn waiting(&self, device: DeviceNo) -> Result<Waiting>;
    /// Devices behind a gateway, on any level, that have pending messages, desired properties, commands of linkage rules or
    /// a log configuration that was not sent, with a number greater than `after`, in the order of their numbers, at most `limit`.
    async fn children_awaiting(&self, gateway: DeviceNo, after: DeviceNo, limit: u32) -> Result<Vec<Device>>;
    /// Adds devices that a scan found, in place of those with the same node id, and keeps the newest `keep`.
    async fn put_found(&self, gateway: DeviceNo, found: Vec<FoundDevice>, at: Timestamp, keep: u32) -> Result<()>;
    /// A page of what scans of a gateway found, newest first.
    async fn found(&self, gateway: DeviceNo, page: PageRequest) -> Result<Page<Found>>;
    /// Forgets what scans of a gateway found.
    async fn forget_found(&self, gateway: DeviceNo) -> Result<()>;
}
