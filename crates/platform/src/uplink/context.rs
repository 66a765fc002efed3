//! What the road knows of a device while it is connected (or behind a connected gateway).

use std::collections::HashSet;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwapOption;
use causeway_model::properties::PropertyObject;
use causeway_model::registry::Device;
use causeway_model::{AppId, DeviceId, DeviceNo, NodeId};
use parking_lot::Mutex;

use crate::policy::{OwnPolicies, TopicRules};
use crate::product::ProductHandle;
use crate::shadow::OpenDesired;

/// A device in use. Small on purpose: there is one for each connection.
#[derive(Debug)]
pub struct DeviceContext {
    /// Number inside the store.
    pub no: DeviceNo,
    /// Its id.
    pub id: DeviceId,
    /// What it calls itself.
    pub node_id: NodeId,
    /// Its space.
    pub app_id: AppId,
    /// Its product.
    pub product: Arc<ProductHandle>,
    /// The gateway it is behind.
    pub gateway_id: Option<DeviceId>,
    /// Desired properties that the device has not shown yet.
    pub(crate) open_desired: Mutex<Option<Box<OpenDesired>>>,
    /// Rises with every reading of the desired side; only the newest reading is kept.
    pub(crate) desired_readings: AtomicU32,
    /// Numbers of pending messages handed to the connection already.
    pub(crate) handed: Mutex<HashSet<i64>>,
    /// What device policies say about topics; nothing when they restrict nothing.
    pub(crate) topic_rules: ArcSwapOption<TopicRules>,
    pub(crate) own_policies: OwnPolicies,
    /// The client id of its connection.
    pub(crate) client_id: OnceLock<Box<str>>,
}

impl DeviceContext {
    pub(crate) fn new(device: Device, product: Arc<ProductHandle>) -> Self {
        Self {
            no: device.no,
            id: device.id,
            node_id: device.node_id,
            app_id: device.app_id,
            product,
            gateway_id: device.gateway_id,
            open_desired: Mutex::new(None),
            desired_readings: AtomicU32::new(0),
            handed: Mutex::new(HashSet::new()),
            topic_rules: ArcSwapOption::empty(),
            own_policies: OwnPolicies::default(),
            client_id: OnceLock::new(),
        }
    }

    /// The desired properties still open, by service.
    #[must_use]
    pub fn open_desired(&self) -> Vec<(String, PropertyObject)> {
        self.open_desired.lock().as_ref().map(|o| o.services.clone()).unwrap_or_default()
    }
}
