//! What linkage rules need from the store.

use async_trait::async_trait;
use causeway_model::linkage::LinkageRule;
use causeway_model::registry::{Page, PageRequest};
use causeway_model::{DeviceNo, RecordNo, Result, Spaces, Timestamp};

use crate::outbox::NewDelivery;

/// When the clock matters to a rule next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkageTimer {
    /// The rule.
    pub rule: RecordNo,
    /// The place of its condition.
    pub condition: u16,
    /// The device whose status must have lasted; none for timers of the rule.
    pub device: Option<DeviceNo>,
    /// When.
    pub at: Timestamp,
}

/// A command of a rule that waits for its device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkageCommand {
    /// Number inside the store; ignored when it is added.
    pub no: RecordNo,
    /// The device.
    pub device: DeviceNo,
    /// The rule's id, for the log.
    pub rule_id: String,
    /// The action as the rule says it, JSON.
    pub action: String,
    /// It is not sent later.
    pub expires_at: Timestamp,
}

/// Keeps linkage rules, what of their state must outlive a restart, and commands that wait.
#[async_trait]
pub trait LinkageStore: Send + Sync {
    /// Adds a rule (`no` is ignored) with its timers (whose `rule` is ignored) unless `limit` are there
    /// ([`Code::TooManyRoutingRules`](causeway_model::Code::TooManyRoutingRules));
    /// [`Code::AppNotFound`](causeway_model::Code::AppNotFound).
    async fn insert_linkage_rule(
        &self,
        rule: LinkageRule,
        timers: Vec<LinkageTimer>,
        deliveries: Vec<NewDelivery>,
        limit: u32,
    ) -> Result<LinkageRule>;
    /// One rule.
    async fn linkage_rule(&self, id: &str) -> Result<Option<LinkageRule>>;
    /// A page of rules, newest first.
    async fn list_linkage_rules(&self, spaces: &Spaces, page: PageRequest) -> Result<Page<LinkageRule>>;
    /// Writes everything but number, id, space and time of creation; the timers replace those there are, and the states of
    /// the rule's conditions are forgotten. False when it is not there.
    async fn update_linkage_rule(
        &self,
        rule: &LinkageRule,
        timers: Vec<LinkageTimer>,
        deliveries: Vec<NewDelivery>,
    ) -> Result<bool>;
    /// Deletes a rule. False when it is not there.
    async fn delete_linkage_rule(&self, no: RecordNo) -> Result<bool>;
    /// Every active rule, oldest first.
    async fn active_linkage_rules(&self) -> Result<Vec<LinkageRule>>;

    /// The conditions of a rule that a device fulfilled when they were judged last.
    async fn held_conditions(&self, rule: RecordNo, device: DeviceNo) -> Result<Vec<u16>>;
    /// Notes that the device fulfils a condition, or does not any more. Nothing when rule or device are gone.
    async fn set_held(&self, rule: RecordNo, device: DeviceNo, condition: u16, holds: bool) -> Result<()>;

    /// Sets the timer of a rule's condition and a device, in place of the one there is. Nothing when either is gone.
    async fn set_linkage_timer(&self, timer: &LinkageTimer) -> Result<()>;
    /// Takes the timer of a rule's condition and a device away.
    async fn drop_linkage_timer(&self, rule: RecordNo, condition: u16, device: DeviceNo) -> Result<()>;
    /// Timers of active rules whose time has come, with their rules, earliest first, at most `limit`.
    async fn due_linkage_timers(&self, now: Timestamp, limit: u32) -> Result<Vec<(LinkageTimer, LinkageRule)>>;
    /// Sets a timer to its next time (`None` takes it away) and writes the deliveries, in one transaction, unless somebody
    /// else did: true for exactly one of those who claim the same time.
    async fn claim_linkage_timer(
        &self,
        timer: &LinkageTimer,
        next: Option<Timestamp>,
        deliveries: Vec<NewDelivery>,
    ) -> Result<bool>;

    /// Keeps a command for its device, unless the very same one waits; the oldest go when more than `keep` wait for it.
    /// Nothing when the device is gone.
    async fn keep_linkage_command(&self, command: &LinkageCommand, keep: u32) -> Result<()>;
    /// The oldest command that waits for a device and is not too old at `now`.
    async fn next_linkage_command(&self, device: DeviceNo, now: Timestamp) -> Result<Option<LinkageCommand>>;
    /// Takes a command out. False when it is not there.
    async fn drop_linkage_command(&self, no: RecordNo) -> Result<bool>;
    /// Takes commands out that are too old at `now`; how many there were.
    async fn drop_old_linkage_commands(&self, now: Timestamp) -> Result<u64>;
}
