//! What the road knows of a device while it is connected (or behind a connected gateway).

use std::collections::HashSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwapOption;
use causeway_model::properties::{PropertyObject, write_json_string};
use causeway_model::registry::Device;
use causeway_model::tag::Tag;
use causeway_model::{AppId, DeviceId, DeviceNo, NodeId};
use parking_lot::Mutex;

use crate::certificate::Proof;
use crate::gateway::Told;
use crate::linkage;
use crate::policy::{OwnPolicies, TopicRules};
use crate::product::ProductHandle;
use crate::shadow::OpenDesired;

/// The tags of a device.
#[derive(Debug)]
struct ShownTags {
    /// As notifications show them, without the brackets; `None` without tags.
    text: Option<Arc<str>>,
    /// The reading that they are of.
    reading: u32,
}

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
    tags: Mutex<ShownTags>,
    tag_readings: AtomicU32,
    /// The certificate that its connection was opened with.
    pub(crate) proof: Option<Box<Proof>>,
    /// Desired properties that the device has not shown yet.
    pub(crate) open_desired: Mutex<Option<Box<OpenDesired>>>,
    /// Rises with every reading of the desired side; only the newest reading is kept.
    pub(crate) desired_readings: AtomicU32,
    /// What it was told of the devices behind it.
    pub(crate) told: Told,
    /// What linkage rules were told of it.
    pub(crate) linkage_told: Mutex<linkage::Told>,
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
            tags: Mutex::new(ShownTags { text: tags_text(&device.tags), reading: 0 }),
            tag_readings: AtomicU32::new(0),
            gateway_id: device.gateway_id,
            proof: None,
            open_desired: Mutex::new(None),
            desired_readings: AtomicU32::new(0),
            told: Told::default(),
            linkage_told: Mutex::default(),
            handed: Mutex::new(HashSet::new()),
            topic_rules: ArcSwapOption::empty(),
            own_policies: OwnPolicies::default(),
            client_id: OnceLock::new(),
        }
    }

    /// Before the device is read for [`set_tags`](Self::set_tags).
    pub(crate) fn begin_reading_tags(&self) -> u32 {
        self.tag_readings.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Takes the tags that were read, unless a reading that began later was taken already: every change is followed by
    /// a reading of its own.
    pub(crate) fn set_tags(&self, reading: u32, tags: &[Tag]) {
        let mut shown = self.tags.lock();
        if reading > shown.reading {
            *shown = ShownTags { text: tags_text(tags), reading };
        }
    }

    /// The tags as the elements of a JSON array.
    pub(crate) fn tags_text(&self) -> Option<Arc<str>> {
        self.tags.lock().text.clone()
    }

    /// The desired properties still open, by service.
    #[must_use]
    pub fn open_desired(&self) -> Vec<(String, PropertyObject)> {
        self.open_desired.lock().as_ref().map(|o| o.services.clone()).unwrap_or_default()
    }
}

/// Tags as the elements of a JSON array; `None` when there are none.
pub(crate) fn tags_text(tags: &[Tag]) -> Option<Arc<str>> {
    if tags.is_empty() {
        return None;
    }
    let mut out = String::with_capacity(tags.len() * 48);
    for (i, tag) in tags.iter().enumerate() {
        out.push_str(if i == 0 { r#"{"tag_key":"# } else { r#",{"tag_key":"# });
        write_json_string(&mut out, &tag.key);
        out.push_str(r#","tag_value":"#);
        write_json_string(&mut out, &tag.value);
        out.push('}');
    }
    Some(out.into())
}
