//! Push targets: one URL a space.

use std::collections::HashMap;

use causeway_model::{AppId, Error, Result};
use tokio::sync::watch;

use super::PushTarget;
use super::address::PushHost;
use crate::Platform;
use crate::bus::Changed;

/// Target numbers by space, as the road looks them up for every event.
pub(crate) type TargetsByApp = HashMap<AppId, i64>;

impl Platform {
    /// The target of a space's events, if it has one.
    pub(crate) fn push_target_of(&self, app: &AppId) -> Option<i64> {
        let targets = self.push_targets.load();
        if targets.is_empty() { None } else { targets.get(app).copied() }
    }

    /// A number that changes whenever targets were set, changed or removed.
    #[must_use]
    pub fn push_targets_signal(&self) -> watch::Receiver<u64> {
        self.push_targets_changed.subscribe()
    }

    pub(crate) async fn reload_push_targets(&self) -> Result<()> {
        let targets = self.store.push_targets().await?;
        self.push_targets.store(std::sync::Arc::new(targets.into_iter().map(|t| (t.app_id, t.no)).collect()));
        self.push_targets_changed.send_modify(|n| *n += 1);
        Ok(())
    }

    /// Sets the URL that takes a space's events.
    ///
    /// # Errors
    /// [`Code::AppNotFound`](causeway_model::Code::AppNotFound);
    /// [`Code::InvalidInput`](causeway_model::Code::InvalidInput) when the URL is not `http(s)://host…`, or names an
    /// address of the platform's own network while `push.allow_private` is off.
    pub async fn set_push_url(&self, app: &AppId, url: &str) -> Result<PushTarget> {
        let sound = url.len() <= 1024 && url.bytes().all(|b| b.is_ascii_graphic());
        let Some(host) = PushHost::of(url).filter(|_| sound) else {
            return Err(Error::invalid(
                "Invalid input. 'url' must be an http:// or https:// address of at most 1024 characters, without a user name.",
            ));
        };
        if host.is_private() && !self.settings.push.allow_private {
            return Err(Error::invalid(
                "Invalid input. 'url' leads into the platform's own network. Use a public address, or have the operator switch \
                 on 'push.allow_private'.",
            ));
        }
        self.app(app).await?;
        let target = self.store.set_push_target(app, url, self.clock.now()).await?;
        self.bus.announce(Changed::PushTargets).await;
        Ok(target)
    }

    /// The URL that takes a space's events.
    ///
    /// # Errors
    /// [`Code::AppNotFound`](causeway_model::Code::AppNotFound).
    pub async fn push_url(&self, app: &AppId) -> Result<Option<PushTarget>> {
        self.app(app).await?;
        Ok(self.store.push_targets().await?.into_iter().find(|t| t.app_id == *app))
    }

    /// Stops pushing a space's events; waiting ones are dropped.
    ///
    /// # Errors
    /// [`Code::AppNotFound`](causeway_model::Code::AppNotFound).
    pub async fn delete_push_url(&self, app: &AppId) -> Result<bool> {
        self.app(app).await?;
        let deleted = self.store.delete_push_target(app).await?;
        self.bus.announce(Changed::PushTargets).await;
        Ok(deleted)
    }
}
