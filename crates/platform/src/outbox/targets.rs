//! Push targets: one URL a space.

use std::sync::Arc;

use causeway_model::{AppId, Error, Result};
use tokio::sync::watch;

use super::PushTarget;
use super::address::PushHost;
use crate::Platform;
use crate::bus::Changed;
use crate::routing::RouteTable;

impl Platform {
    /// A number that changes whenever targets were set, changed or removed.
    #[must_use]
    pub fn targets_signal(&self) -> watch::Receiver<u64> {
        self.targets_changed.subscribe()
    }

    /// Reads anew who takes which events.
    pub(crate) async fn reload_routes(&self) -> Result<()> {
        let _turn = self.routes_reloading.lock().await;
        let push = self.store.push_targets().await?;
        let active = self.store.active_routes().await?;
        self.routes.store(Arc::new(RouteTable::new(push, &active)));
        self.targets_changed.send_modify(|n| *n += 1);
        Ok(())
    }

    /// Sets the URL that takes a space's events.
    ///
    /// # Errors
    /// [`Code::AppNotFound`](causeway_model::Code::AppNotFound);
    /// [`Code::InvalidInput`](causeway_model::Code::InvalidInput) when the URL is not `http(s)://host…`, or names an
    /// address of the platform's own network while `push.allow_private` is off.
    pub async fn set_push_url(&self, app: &AppId, url: &str) -> Result<PushTarget> {
        self.check_address(url)?;
        self.app(app).await?;
        let target = self.store.set_push_target(app, url, self.clock.now()).await?;
        self.bus.announce(Changed::Routes).await;
        Ok(target)
    }

    /// Refuses what is no `http(s)://host…`, or names an address of the platform's own network while `push.allow_private`
    /// is off.
    pub(crate) fn check_address(&self, url: &str) -> Result<()> {
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
        Ok(())
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
        self.bus.announce(Changed::Routes).await;
        Ok(deleted)
    }
}
