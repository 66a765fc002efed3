//! What persistent sessions need from the store.

use async_trait::async_trait;
use causeway_model::{DeviceNo, Result, Timestamp};

/// A subscription of a persistent session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSubscription {
    /// The topic filter as the device sent it.
    pub filter: String,
    /// Quality of service and options in one byte, as MQTT 5 writes them (for 3.x only the QoS bits are used).
    pub options: u8,
    /// MQTT 5 subscription identifier.
    pub identifier: Option<u32>,
}

/// A persistent session.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct StoredSession {
    /// The client id without its time part; another one does not continue the session.
    pub client: String,
    /// The subscriptions.
    pub subscriptions: Vec<StoredSubscription>,
    /// When the session ends after the disconnection; `None` = while connected or never.
    pub expires_at: Option<Timestamp>,
}

/// A retained message on one of the device's own topics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetainedMessage {
    /// The topic.
    pub topic: String,
    /// The payload.
    pub payload: Vec<u8>,
    /// Quality of service it was published with.
    pub qos: u8,
    /// MQTT 5 properties of the PUBLISH as they stood on the wire; empty when there were none.
    pub properties: Vec<u8>,
    /// When it was published.
    pub at: Timestamp,
}

/// Keeps persistent sessions and retained messages.
#[async_trait]
pub trait SessionStore: Send + Sync {
    /// The device's persistent session, unless it expired before `now`.
    async fn session(&self, device: DeviceNo, now: Timestamp) -> Result<Option<StoredSession>>;
    /// Writes the session whole.
    async fn put_session(&self, device: DeviceNo, session: &StoredSession) -> Result<()>;
    /// Drops the session.
    async fn delete_session(&self, device: DeviceNo) -> Result<()>;
    /// The device's retained messages, by topic.
    async fn retained(&self, device: DeviceNo) -> Result<Vec<RetainedMessage>>;
    /// Sets or replaces a retained message unless the device has `limit` others; false when it was not kept.
    async fn put_retained(&self, device: DeviceNo, message: &RetainedMessage, limit: u32) -> Result<bool>;
    /// Drops a retained message.
    async fn delete_retained(&self, device: DeviceNo, topic: &str) -> Result<()>;
}
