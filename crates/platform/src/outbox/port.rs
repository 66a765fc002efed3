//! What the outbox needs from the store.

use async_trait::async_trait;
use causeway_model::{AppId, DeviceNo, Result, Timestamp};

/// Where deliveries go: today one URL a space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushTarget {
    /// Number inside the store.
    pub no: i64,
    /// The space whose events it takes.
    pub app_id: AppId,
    /// `http://` or `https://`.
    pub url: String,
    /// When it was set.
    pub created_at: Timestamp,
}

/// A delivery to write beside its cause. The body is serialised once, here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDelivery {
    /// The target's number.
    pub target: i64,
    /// Deliveries of one device keep their order; `None` orders with others without a device.
    pub device: Option<DeviceNo>,
    /// The notification, JSON.
    pub body: Box<str>,
    /// When the cause happened.
    pub at: Timestamp,
}

/// A delivery waiting in the outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Rises with commit order.
    pub seq: i64,
    /// The target's number.
    pub target: i64,
    /// Ordering key.
    pub device: Option<DeviceNo>,
    /// The notification, JSON.
    pub body: Box<str>,
    /// When the cause happened.
    pub at: Timestamp,
}

/// Keeps push targets and the outbox.
#[async_trait]
pub trait OutboxStore: Send + Sync {
    /// Sets the space's target, replacing the URL of an existing one (its waiting deliveries stay).
    async fn set_push_target(&self, app: &AppId, url: &str, now: Timestamp) -> Result<PushTarget>;
    /// Removes the space's target with its waiting deliveries. False when there is none.
    async fn delete_push_target(&self, app: &AppId) -> Result<bool>;
    /// All targets.
    async fn push_targets(&self) -> Result<Vec<PushTarget>>;
    /// Waiting deliveries of a target with `seq` greater than `after`, lowest first, at most `limit`.
    async fn deliveries(&self, target: i64, after: i64, limit: u32) -> Result<Vec<Delivery>>;
    /// Drops delivered (or given up) deliveries.
    async fn finish_deliveries(&self, seqs: Vec<i64>) -> Result<()>;
    /// Drops deliveries whose cause is older than `before`; returns how many.
    async fn expire_deliveries(&self, before: Timestamp) -> Result<u64>;
    /// A number that changes whenever deliveries were committed; workers wait on it instead of polling.
    fn outbox_signal(&self) -> tokio::sync::watch::Receiver<u64>;
}
