//! What outlives single packets: subscriptions, messages in flight, and, for persistent sessions, the connection itself.

pub(crate) mod letter;
pub(crate) mod outbox;
pub(crate) mod place;
pub(crate) mod subscriptions;
pub(crate) mod will;

use std::collections::BTreeSet;

use causeway_wire::mqtt::PacketId;

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
}
