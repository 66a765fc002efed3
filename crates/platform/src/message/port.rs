//! What messages need from the store.

use async_trait::async_trait;
use causeway_model::message::{DeviceMessage, MessageStatus};
use causeway_model::{DeviceId, DeviceNo, Result, Timestamp};

use crate::outbox::NewDelivery;

/// Keeps messages to devices.
#[async_trait]
pub trait MessageStore: Send + Sync {
    /// Adds a message and keeps at most `keep` at the device: the oldest go, final ones first. `no` is ignored; the
    /// stored message is returned. [`Code::MessageExists`](causeway_model::Code::MessageExists) when the id is taken
    /// at the device. `deliveries` are written in the same transaction.
    async fn insert_message(
        &self,
        message: DeviceMessage,
        keep: u32,
        deliveries: Vec<NewDelivery>,
    ) -> Result<DeviceMessage>;
    /// The device's messages, newest first.
    async fn messages(&self, device: DeviceNo) -> Result<Vec<DeviceMessage>>;
    /// One message.
    async fn message(&self, device: DeviceNo, id: &str) -> Result<Option<DeviceMessage>>;
    /// Deletes a message. False when it is not there.
    async fn delete_message(&self, device: DeviceNo, id: &str) -> Result<bool>;
    /// Pending messages of the device that have not expired at `now`, oldest first.
    async fn pending_messages(&self, device: DeviceNo, now: Timestamp) -> Result<Vec<DeviceMessage>>;
    /// Pending messages that expired before `now`, at most `limit`, with their device ids. They stay pending until
    /// their change of status is committed.
    async fn expired_messages(&self, now: Timestamp, limit: u32) -> Result<Vec<(DeviceId, DeviceMessage)>>;
}

/// A message's change of status, committed with the next gathered transaction; without effect when the message is gone
/// or final already.
#[derive(Clone, Debug)]
pub struct MessageOutcome {
    /// The message's number.
    pub no: i64,
    /// The new status.
    pub status: MessageStatus,
    /// Code and sentence of a failure.
    pub error: Option<(String, String)>,
    /// When.
    pub at: Timestamp,
}
