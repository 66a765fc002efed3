//! What searches need from the store.

use async_trait::async_trait;
use causeway_model::registry::{Device, PageRequest};
use causeway_model::search::DeviceQuery;
use causeway_model::{DeviceId, DeviceNo, RecordNo, Result};

/// Finds devices. A store agrees with [`Filter::accepts`](causeway_model::search::Filter::accepts) on every device.
#[async_trait]
pub trait SearchStore: Send + Sync {
    /// Devices by number: downwards from before the marker, or upwards from the first (then the marker is not looked
    /// at).
    async fn find_devices(&self, query: &DeviceQuery, ascending: bool, page: PageRequest) -> Result<Vec<Device>>;
    /// How many devices match.
    async fn count_devices(&self, query: &DeviceQuery) -> Result<u64>;
    /// Numbers and ids only: at most `limit`, downwards from before `marker`.
    async fn device_ids(&self, query: &DeviceQuery, marker: RecordNo, limit: u32) -> Result<Vec<(DeviceNo, DeviceId)>>;
}
