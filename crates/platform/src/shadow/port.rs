//! What shadows need from the store.

use async_trait::async_trait;
use causeway_model::properties::PropertyObject;
use causeway_model::shadow::ServiceShadow;
use causeway_model::{DeviceNo, Result, Timestamp};

/// One service's change of the desired side.
#[derive(Clone, Debug)]
pub struct DesiredPatch {
    /// The service.
    pub service_id: String,
    /// See [`ServiceShadow::desire`].
    pub patch: PropertyObject,
    /// See [`ServiceShadow::desire`].
    pub expected_version: Option<i64>,
}

/// Keeps shadows. The reported side is written by [`UplinkStore`](crate::uplink::UplinkStore).
#[async_trait]
pub trait ShadowStore: Send + Sync {
    /// All services of a device's shadow that hold data, ordered by service id. Sees every committed report.
    async fn shadow(&self, device: DeviceNo) -> Result<Vec<ServiceShadow>>;
    /// Applies all patches or none, by [`ServiceShadow::desire`], and returns the shadows of the touched services.
    async fn desire(&self, device: DeviceNo, patches: Vec<DesiredPatch>, now: Timestamp) -> Result<Vec<ServiceShadow>>;
    /// Deletes the whole shadow; the versions begin at 0 again.
    async fn delete_shadow(&self, device: DeviceNo) -> Result<()>;
}
