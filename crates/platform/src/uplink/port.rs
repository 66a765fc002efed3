//! What the road hands to the store: units, gathered from all doors and committed together.

use async_trait::async_trait;
use causeway_model::properties::PropertyObject;
use causeway_model::status::DeviceStatus;
use causeway_model::{DeviceNo, Error, Result, Timestamp};
use smallvec::SmallVec;
use tokio::sync::oneshot;

use crate::message::MessageOutcome;
use crate::outbox::NewDelivery;

/// One service of a report, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportRow {
    /// The service.
    pub service_id: Box<str>,
    /// What passed the product model; not empty.
    pub properties: PropertyObject,
    /// When the device measured.
    pub event_time: Timestamp,
}

/// A change of connection status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusChange {
    /// The new status. The first [`DeviceStatus::Online`] also sets the time of activation.
    pub status: DeviceStatus,
    /// When it changed.
    pub at: Timestamp,
}

/// What a unit changes.
#[derive(Clone, Debug)]
pub enum Change {
    /// Nothing but the deliveries.
    None,
    /// Each row goes to the history and is laid over the reported side of the shadow, in order.
    Report(SmallVec<[ReportRow; 1]>),
    /// The device's status.
    Status(StatusChange),
    /// A message's status.
    Message(MessageOutcome),
}

/// One cause and everything that follows from it; committed whole or not at all.
#[derive(Clone, Debug)]
pub struct Unit {
    /// The device it is about. A device deleted meanwhile makes the unit void, not an error.
    pub device: DeviceNo,
    /// When the platform took it.
    pub arrival: Timestamp,
    /// The change.
    pub change: Change,
    /// Rows for the outbox. Empty vectors do not allocate.
    pub deliveries: Vec<NewDelivery>,
}

/// Resolves when the units are committed, or could not be.
pub type CommitTicket = oneshot::Receiver<Result<(), Error>>;

/// Takes units.
#[async_trait]
pub trait UplinkStore: Send + Sync {
    /// Queues units in order. Waits while the store is behind by more than its limit; that is the back-pressure which
    /// makes doors read more slowly. Units of one call, and of calls one after another, commit in order.
    ///
    /// The ticket resolves after the commit: whatever is acknowledged on it survives `kill -9`.
    async fn submit(&self, units: Vec<Unit>) -> CommitTicket;
    /// Like [`submit`](Self::submit), but returns the units at once when the store is behind.
    fn try_submit(&self, units: Vec<Unit>) -> Result<CommitTicket, Vec<Unit>>;
}
