//! What outlives single packets: subscriptions, messages in flight, and, for persistent sessions, the connection itself.

pub(crate) mod letter;
pub(crate) mod outbox;
pub(crate) mod place;
pub(crate) mod subscriptions;
pub(crate) mod will;

use std::collections::BTreeSet;
use std::sync::Arc;

use causeway_wire::mqtt::{PacketId, Properties};

use letter::{Budget, Letter, Share};
use outbox::Outbox;
use subscriptions::Subscriptions;

/// Session state of a device (3.1.1 §3.1.2.4, v5 §4.1).
#[derive(Default)]
pub(crate) struct Session {
    /// Its subscriptions; those of persistent sessions are in the store too.
    pub(crate) subscriptions: Subscriptions,
    /// QoS 1 and 2 messages to the device.
    pub(crate) outbox: Outbox,
    /// QoS 2 messages from the device that it has not released yet.
    pub(crate) received: BTreeSet<PacketId>,
    /// What the messages that the device causes cost; made with the first of them.
    share: Option<Arc<Share>>,
}

impl Session {
    /// Keeps a message that the device causes itself; `None` when its share or the memory for all is used up.
    pub(crate) fn letter(
        &mut self,
        topic: &str,
        payload: &[u8],
        properties: &Properties<'_>,
        budget: &Arc<Budget>,
    ) -> Option<Arc<Letter>> {
        let share = self.share.get_or_insert_with(Arc::default);
        Letter::new(topic, payload, properties, budget, Some(share))
    }
}
