//! Devices behind gateways, remembered while they report. Bounded; the least used go.

use std::sync::Arc;
use std::time::Duration;

use causeway_model::{AppId, DeviceId, Result};
use moka::sync::Cache;
use parking_lot::Mutex;

use super::DeviceContext;
use crate::Platform;

/// Most children remembered.
const CAPACITY: u64 = 50_000;
/// Children are read again after so long, in case the news of a change was lost with whoever had to tell it.
const REMEMBERED: Duration = Duration::from_secs(60);

pub(crate) struct Children {
    known: Cache<DeviceId, Arc<DeviceContext>>,
    /// Rises with everything forgotten. What was read from the store before a rise is not remembered after it.
    forgotten: Mutex<u64>,
}

impl Default for Children {
    fn default() -> Self {
        let known =
            Cache::builder().max_capacity(CAPACITY).time_to_live(REMEMBERED).support_invalidation_closures().build();
        Self { known, forgotten: Mutex::new(0) }
    }
}

impl Children {
    pub(crate) fn get(&self, id: &str) -> Option<Arc<DeviceContext>> {
        self.known.get(id)
    }

    /// Remembers what was read from the store, unless something was forgotten since `mark`.
    fn remember(&self, mark: u64, child: &Arc<DeviceContext>) {
        let forgotten = self.forgotten.lock();
        if *forgotten == mark {
            self.known.insert(child.id.clone(), child.clone());
        }
    }

    pub(crate) fn forget(&self, id: &DeviceId) {
        let mut forgotten = self.forgotten.lock();
        *forgotten += 1;
        self.known.invalidate(id);
    }

    pub(crate) fn forget_app(&self, app: &AppId) {
        let mut forgotten = self.forgotten.lock();
        *forgotten += 1;
        let app = app.clone();
        let done = self.known.invalidate_entries_if(move |_, c| c.app_id == app);
        debug_assert!(done.is_ok(), "the cache is built with invalidation closures");
    }
}

impl Platform {
    /// The device with this id when it is behind `gateway`, on any level.
    pub(crate) async fn child_of(&self, gateway: &DeviceContext, id: &str) -> Result<Option<Arc<DeviceContext>>> {
        let Some(child) = self.behind_gateway(id).await? else { return Ok(None) };
        let mut above = child.gateway_id.clone();
        for _ in 0..=self.settings.registry.max_gateway_depth {
            match above {
                Some(id) if id == gateway.id => return Ok(Some(child)),
                Some(id) => above = self.behind_gateway(id.as_str()).await?.and_then(|p| p.gateway_id.clone()),
                None => return Ok(None),
            }
        }
        Ok(None)
    }

    /// The device with this id when it is behind any gateway.
    pub(crate) async fn behind_gateway(&self, id: &str) -> Result<Option<Arc<DeviceContext>>> {
        if let Some(child) = self.children.get(id) {
            return Ok(Some(child));
        }
        let Ok(id) = DeviceId::parse(id) else { return Ok(None) };
        let mark = *self.children.forgotten.lock();
        let Some(device) = self.store.device(&id).await? else { return Ok(None) };
        if device.gateway_id.is_none() {
            return Ok(None);
        }
        let context = self.context_of(device).await?;
        if let Some(context) = &context {
            self.load_open_desired(context).await?;
            self.children.remember(mark, context);
        }
        Ok(context)
    }
}
