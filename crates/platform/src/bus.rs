//! The port between nodes: finding a device's connection, carrying answers back, telling of changes.
//!
//! With one node everything stays in the process. A second implementation (NATS) routes by device id.

use std::sync::Arc;

use async_trait::async_trait;
use causeway_model::{AppId, DeviceId, RecordNo};

use crate::broadcast::Broadcast;
use crate::downlink::{Answer, Delivered, Downlink};

/// A change that other nodes' caches must hear of.
#[derive(Clone, Debug)]
pub enum Changed {
    /// A product or its topics changed or went.
    Product(RecordNo),
    /// A device changed, was frozen or went; its connection closes when the record says so.
    Device(DeviceId),
    /// The desired side of a device's shadow changed.
    Desired(DeviceId),
    /// Devices came behind a gateway, moved or went.
    Children {
        /// The gateway at the top of their chain.
        gateway: DeviceId,
        /// The version of its list with the first of the changes.
        version: i64,
    },
    /// A message for all connected devices of a space.
    Broadcast(Arc<Broadcast>),
    /// Who takes which events changed: push addresses, forwarding rules, their actions and policies.
    Routes,
    /// Linkage rules changed.
    Linkage,
    /// AMQP queues went.
    Queues,
    /// The access code of consumers of queues was replaced.
    QueueAccess {
        /// Those who signed in with the old one have to go.
        disconnect: bool,
    },
    /// Device policies changed, or what products and spaces they are bound to.
    Policies,
    /// Policies were bound to this one device, or unbound from it.
    DevicePolicies(DeviceId),
    /// Users, groups, policies or access keys changed.
    Users,
    /// Authorities of devices changed or went; connections under those that no longer count close.
    Authorities,
    /// A certificate was revoked; connections that were opened with it close.
    CertificateRevoked {
        /// The space of its devices.
        app: AppId,
        /// Its SHA-256.
        sha256: [u8; 32],
    },
}

/// Routes between the nodes of one instance.
#[async_trait]
pub trait Bus: Send + Sync {
    /// Hands a downlink to the connection of `via`, wherever it is.
    /// [`Code::DeviceOffline`](causeway_model::Code::DeviceOffline) when it has none.
    async fn deliver(&self, via: &DeviceId, downlink: Downlink) -> Delivered;
    /// Carries a device's answer to the node that waits for it. An answer that nobody waits for is dropped.
    async fn answer(&self, via: &DeviceId, request_id: &str, answer: Answer);
    /// Tells every node of a change, this one included, and returns when this one has heard it.
    async fn announce(&self, change: Changed);
    /// Connects this node's ear. Called once, before the first device.
    fn join(&self, ear: Arc<dyn BusEar>);
}

/// What a node does with what comes over the bus.
#[async_trait]
pub trait BusEar: Send + Sync {
    /// Delivers to a connection of this node.
    fn deliver_here(&self, via: &DeviceId, downlink: Downlink) -> Delivered;
    /// Completes a waiting request of this node.
    fn answer_here(&self, via: &DeviceId, request_id: &str, answer: Answer);
    /// Drops or reloads what is cached.
    async fn changed(&self, change: Changed);
}
