//! What the outbox needs from the store.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use causeway_model::{AppId, DeviceNo, Result, Timestamp};
use parking_lot::Mutex;
use tokio::sync::watch;

/// The URL that takes a space's events without a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushTarget {
    /// Its target.
    pub no: i64,
    /// The space whose events it takes.
    pub app_id: AppId,
    /// `http://` or `https://`.
    pub url: String,
    /// When it was set.
    pub created_at: Timestamp,
}

/// What a target is: where deliveries wait until they are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TargetKind {
    /// The URL of a space ([`PushTarget`]).
    Push,
    /// An action of a forwarding rule that has a channel of its own.
    Action,
    /// An AMQP queue.
    Queue,
    /// A subscription of a notification topic.
    Subscription,
    /// The platform itself: what linkage rules have to do.
    Linkage,
}

impl TargetKind {
    /// The word that stores keep and metrics show.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::Action => "action",
            Self::Queue => "queue",
            Self::Subscription => "subscription",
            Self::Linkage => "linkage",
        }
    }

    /// The kind of this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Push, Self::Action, Self::Queue, Self::Subscription, Self::Linkage]
            .into_iter()
            .find(|k| k.as_str() == word)
    }
}

/// A delivery to write beside its cause. The body is serialised once and shared by all targets that take it whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDelivery {
    /// The target's number.
    pub target: i64,
    /// Deliveries of one device keep their order; `None` orders with others without a device.
    pub device: Option<DeviceNo>,
    /// The notification, JSON.
    pub body: Arc<str>,
    /// When the cause happened.
    pub at: Timestamp,
}

/// A delivery waiting in the outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Rises with commit order, from 1, for each target.
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

/// Why a delivery leaves the outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Finish {
    /// It was taken.
    Delivered,
    /// It waited too long.
    Expired,
    /// Too much waited for the target, and it was the oldest.
    Overflowed,
    /// The target can never take it.
    Rejected,
}

impl Finish {
    /// The word of metrics and answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Expired => "expired",
            Self::Overflowed => "overflowed",
            Self::Rejected => "rejected",
        }
    }
}

/// What became of everything that was written for a target. They balance:
/// `taken = delivered + expired + overflowed + rejected + waiting`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TargetCounters {
    /// Written for it since it was made.
    pub taken: u64,
    /// Taken by it.
    pub delivered: u64,
    /// See [`Finish::Expired`].
    pub expired: u64,
    /// See [`Finish::Overflowed`].
    pub overflowed: u64,
    /// See [`Finish::Rejected`].
    pub rejected: u64,
    /// Bytes of the bodies that wait.
    pub waiting_bytes: u64,
}

impl TargetCounters {
    /// Deliveries that wait.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.taken.saturating_sub(self.delivered + self.expired + self.overflowed + self.rejected)
    }
}

/// A target and its counters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetState {
    /// Its number.
    pub no: i64,
    /// What it is.
    pub kind: TargetKind,
    /// Its space; `None` for one of the instance.
    pub app_id: Option<AppId>,
    /// What became of its deliveries.
    pub counters: TargetCounters,
}

/// What a sweep dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trimmed {
    /// Too old.
    pub expired: u64,
    /// Too much.
    pub overflowed: u64,
}

/// Tells whoever serves a target that deliveries for it were committed: each target has a number that changes.
#[derive(Debug, Default)]
pub struct OutboxSignals(Mutex<HashMap<i64, watch::Sender<u64>>>);

impl OutboxSignals {
    /// The number of one target.
    #[must_use]
    pub fn subscribe(&self, target: i64) -> watch::Receiver<u64> {
        self.0.lock().entry(target).or_default().subscribe()
    }

    /// Deliveries for these targets were committed.
    pub fn raise(&self, targets: impl IntoIterator<Item = i64>) {
        let mut senders = self.0.lock();
        for target in targets {
            let idle = senders.get(&target).is_some_and(|sender| {
                sender.send_modify(|n| *n += 1);
                sender.receiver_count() == 0
            });
            if idle {
                senders.remove(&target);
            }
        }
    }
}

/// Keeps targets and the outbox.
#[async_trait]
pub trait OutboxStore: Send + Sync {
    /// Sets the space's URL, replacing that of an existing target (its waiting deliveries stay).
    async fn set_push_target(&self, app: &AppId, url: &str, now: Timestamp) -> Result<PushTarget>;
    /// Removes the space's push target with its waiting deliveries. False when there is none.
    async fn delete_push_target(&self, app: &AppId) -> Result<bool>;
    /// All push targets.
    async fn push_targets(&self) -> Result<Vec<PushTarget>>;
    /// Writes deliveries whose cause is committed already.
    async fn put_deliveries(&self, deliveries: Vec<NewDelivery>) -> Result<()>;
    /// The one target of the instance for this kind, made when it is not there.
    async fn instance_target(&self, kind: TargetKind) -> Result<i64>;
    /// Waiting deliveries of a target with `seq` greater than `after`, lowest first, at most `limit`.
    async fn deliveries(&self, target: i64, after: i64, limit: u32) -> Result<Vec<Delivery>>;
    /// Takes deliveries out of the outbox and counts them; those that are gone already do not count.
    async fn finish_deliveries(&self, target: i64, seqs: Vec<i64>, outcome: Finish) -> Result<()>;
    /// Drops deliveries whose cause is older than `before`, then the oldest until at most `max_bytes` wait.
    async fn trim_target(&self, target: i64, before: Timestamp, max_bytes: u64) -> Result<Trimmed>;
    /// All targets with their counters, by number.
    async fn target_states(&self) -> Result<Vec<TargetState>>;
    /// Told of every commit of deliveries, those of other nodes within a second.
    fn outbox_signals(&self) -> Arc<OutboxSignals>;
}
