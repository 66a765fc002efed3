//! What alarms need from the store.

use async_trait::async_trait;
use causeway_model::alarm::{Alarm, AlarmFilter, AlarmKey};
use causeway_model::registry::{Page, PageRequest};
use causeway_model::{Result, Timestamp};

use crate::outbox::NewDelivery;

/// Keeps alarms. At most one alarm of a key is active. Lists are newest first.
#[async_trait]
pub trait AlarmStore: Send + Sync {
    /// Adds an active alarm (`no` is ignored) with its deliveries, all or none. `None` when one of its key is active.
    /// When `keep` alarms are there, the one that was raised last the longest ago makes room, cleared ones first.
    async fn insert_alarm(&self, alarm: Alarm, keep: u32, deliveries: Vec<NewDelivery>) -> Result<Option<Alarm>>;
    /// Writes what may change of an alarm that still has the revision before its own, with its deliveries, all or none.
    /// False when it changed meanwhile or is gone.
    async fn update_alarm(&self, alarm: &Alarm, deliveries: Vec<NewDelivery>) -> Result<bool>;
    /// One alarm.
    async fn alarm(&self, id: &str) -> Result<Option<Alarm>>;
    /// The active alarm of a key.
    async fn active_alarm(&self, key: &AlarmKey) -> Result<Option<Alarm>>;
    /// A page of alarms.
    async fn list_alarms(&self, filter: &AlarmFilter, page: PageRequest) -> Result<Page<Alarm>>;
    /// Removes at most `limit` alarms that were raised last before `before`; how many.
    async fn trim_alarms(&self, before: Timestamp, limit: u32) -> Result<u64>;
}
