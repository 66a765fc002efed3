//! Devices behind gateways, remembered while they report. Bounded; the least used go.

use std::sync::Arc;
use std::time::Duration;

use causeway_model::{AppId, DeviceId, Result};
use moka::sync::Cache;

use super::DeviceContext;
use crate::Platform;

/// Most children remembered.
const CAPACITY: u64 = 50_000;
/// Silent children are forgotten.
const IDLE: Duration = Duration::from_secs(600);

pub(crate) struct Children(Cache<DeviceId, Arc<DeviceContext>>);

impl Default for Children {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(CAPACITY).time_to_idle(IDLE).support_invalidation_closures().build())
    }
}

impl Children {
    pub(crate) fn get(&self, id: &str) -> Option<Arc<DeviceContext>> {
        self.0.get(id)
    }

    pub(crate) fn forget(&self, id: &DeviceId) {
        self.0.invalidate(id);
    }

    pub(crate) fn forget_app(&self, app: &AppId) {
        let app = app.clone();
        let forgotten = self.0.invalidate_entries_if(move |_, c| c.app_id == app);
        debug_assert!(forgotten.is_ok(), "the cache is built with invalidation closures");
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
        let Some(device) = self.store.device(&id).await? else { return Ok(None) };
        if device.gateway_id.is_none() {
            return Ok(None);
        }
        let context = self.context_of(device).await?;
        if let Some(context) = &context {
            self.load_open_desired(context).await?;
            self.children.0.insert(id, context.clone());
        }
        Ok(context)
    }
}
