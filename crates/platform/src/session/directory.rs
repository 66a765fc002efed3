//! Where the devices are: each device's live connection on this node.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use causeway_model::{AppId, DeviceId};
use dashmap::DashMap;

use crate::downlink::{CloseReason, DeviceLink};
use crate::uplink::DeviceContext;

/// A connection in the directory.
#[derive(Clone)]
pub struct Entry {
    /// What the road knows of the device.
    pub context: Arc<DeviceContext>,
    /// The door's side.
    pub link: Arc<dyn DeviceLink>,
    generation: u64,
}

impl Entry {
    /// Whether both are the same connection.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.generation == other.generation
    }
}

/// All connections of this node, one a device.
#[derive(Default)]
pub struct Directory {
    entries: DashMap<DeviceId, Entry>,
    generations: AtomicU64,
}

impl Directory {
    /// Registers a connection; an older one of the same device is told to close. Returns the generation that
    /// [`remove`](Self::remove) wants.
    pub fn insert(&self, context: Arc<DeviceContext>, link: Arc<dyn DeviceLink>) -> u64 {
        let generation = self.generations.fetch_add(1, Ordering::Relaxed);
        let id = context.id.clone();
        if let Some(old) = self.entries.insert(id, Entry { context, link, generation }) {
            old.link.close(CloseReason::TakenOver);
        }
        generation
    }

    /// Forgets the connection unless a newer one took its place. True when the device has none now.
    pub fn remove(&self, id: &DeviceId, generation: u64) -> bool {
        self.entries.remove_if(id, |_, e| e.generation == generation).is_some()
    }

    /// The device's connection.
    pub fn get(&self, id: &str) -> Option<Entry> {
        self.entries.get(id).map(|e| e.clone())
    }

    /// Connections of a space whose devices subscribed to broadcasts.
    pub(crate) fn listening(&self, app: &AppId) -> Vec<Arc<dyn DeviceLink>> {
        let of_app = self.entries.iter().filter(|e| e.context.app_id == *app && e.link.hears_broadcasts());
        of_app.map(|e| e.link.clone()).collect()
    }

    /// Connections right now.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True without any connection.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Calls `work` for every connected device.
    pub(crate) fn for_each(&self, work: impl Fn(&DeviceContext)) {
        self.entries.iter().for_each(|entry| work(&entry.context));
    }

    /// Tells the connections that `matches` picks to close.
    pub fn close_where(&self, matches: impl Fn(&DeviceContext) -> bool, reason: CloseReason) {
        for entry in self.entries.iter().filter(|e| matches(&e.context)) {
            entry.link.close(reason);
        }
    }
}
