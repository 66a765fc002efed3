//! The active rules as the road sees them, and the target that their triggers wait for.

use std::collections::HashSet;
use std::sync::Arc;

use arc_swap::ArcSwap;
use causeway_model::{DeviceNo, Result};
use causeway_rules::linkage::Table;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::Platform;
use crate::outbox::TargetKind;

/// Commands whose answer is waited for beside their rule.
const WAITING: usize = 512;

/// What the platform remembers of linkage.
pub(crate) struct Linkage {
    pub(super) rules: ArcSwap<Rules>,
    /// Rules are read one time after another, so that an older reading never replaces a newer one.
    reloading: tokio::sync::Mutex<()>,
    /// Devices that waiting commands are being handed to.
    pub(super) handing: Mutex<HashSet<DeviceNo>>,
    pub(super) waiting: Arc<Semaphore>,
}

/// See the module text.
#[derive(Default)]
pub(super) struct Rules {
    pub(super) table: Table,
    /// Where triggers wait; `None` as long as there was never a rule.
    pub(super) target: Option<i64>,
}

impl Default for Linkage {
    fn default() -> Self {
        Self {
            rules: ArcSwap::default(),
            reloading: tokio::sync::Mutex::default(),
            handing: Mutex::default(),
            waiting: Arc::new(Semaphore::new(WAITING)),
        }
    }
}

impl Platform {
    /// Reads the rules anew.
    pub(crate) async fn reload_linkage(&self) -> Result<()> {
        let _turn = self.linkage.reloading.lock().await;
        let rules = self.store.active_linkage_rules().await?;
        let target = if rules.is_empty() {
            let states = self.store.target_states().await?;
            states.iter().find(|t| t.kind == TargetKind::Linkage).map(|t| t.no)
        } else {
            Some(self.store.instance_target(TargetKind::Linkage).await?)
        };
        let news = self.linkage.rules.load().target != target;
        self.linkage.rules.store(Arc::new(Rules { table: Table::new(rules), target }));
        if news {
            self.targets_changed.send_modify(|n| *n += 1);
        }
        Ok(())
    }

    /// The target whose deliveries are for [`act_on_linkage`](Self::act_on_linkage); `None` as long as there was never a
    /// linkage rule.
    #[must_use]
    pub fn linkage_target(&self) -> Option<i64> {
        self.linkage.rules.load().target
    }
}
