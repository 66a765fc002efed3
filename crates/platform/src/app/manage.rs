//! Creating, renaming and deleting spaces.

use causeway_model::registry::App;
use causeway_model::{AppId, Code, Error, RecordNo, Result, Spaces};

use crate::Platform;
use crate::bus::Changed;
use crate::downlink::CloseReason;
use crate::secrets::random_hex;

fn not_found(id: &AppId) -> Error {
    Error::new(Code::AppNotFound, format!("The application '{id}' does not exist."))
}

impl Platform {
    /// Creates a space.
    ///
    /// # Errors
    /// [`Code::TooManyApps`]; [`Code::InvalidApp`] when the name is in use.
    pub async fn create_app(&self, name: &str) -> Result<App> {
        let app = App {
            no: RecordNo(0),
            id: AppId::trusted(random_hex(16)),
            name: name.to_owned(),
            created_at: self.clock.now(),
            is_default: false,
        };
        let app = self.store.insert_app(app, self.settings.registry.max_apps).await?;
        // It was born with a policy.
        self.bus.announce(Changed::Policies).await;
        Ok(app)
    }

    /// All spaces, oldest first; only the default one or only the others when asked.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn apps(&self, default: Option<bool>) -> Result<Vec<App>> {
        let mut apps = self.store.apps().await?;
        apps.retain(|a| default.is_none_or(|d| a.is_default == d));
        Ok(apps)
    }

    /// One space.
    ///
    /// # Errors
    /// [`Code::AppNotFound`].
    pub async fn app(&self, id: &AppId) -> Result<App> {
        self.store.app(id).await?.ok_or_else(|| not_found(id))
    }

    /// The space that is there from the start.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn default_app(&self) -> Result<App> {
        let apps = self.store.apps().await?;
        apps.into_iter().find(|a| a.is_default).ok_or_else(|| Error::internal("the default space is missing"))
    }

    /// Where something new goes: the one space that `spaces` names, else the default one.
    ///
    /// # Errors
    /// [`Code::AppNotFound`]; [`Code::AppRequired`] when there are several and the default one is not among them.
    pub async fn home_for_new(&self, spaces: &Spaces) -> Result<AppId> {
        if let Some(one) = spaces.single() {
            return Ok(self.app(one).await?.id);
        }
        let default = self.default_app().await?.id;
        if spaces.sees(&default) {
            return Ok(default);
        }
        Err(Error::new(
            Code::AppRequired,
            "Operation not allowed. 'app_id' is not carried, and the authorized user has more than one application.",
        ))
    }

    /// Renames a space.
    ///
    /// # Errors
    /// [`Code::AppNotFound`]; [`Code::InvalidApp`] when the name is in use.
    pub async fn rename_app(&self, id: &AppId, name: &str) -> Result<App> {
        self.store.rename_app(id, name).await?.ok_or_else(|| not_found(id))
    }

    /// Deletes a space with everything in it; its devices are disconnected.
    ///
    /// # Errors
    /// [`Code::AppNotFound`]; [`Code::DefaultApp`].
    pub async fn delete_app(&self, id: &AppId) -> Result<()> {
        let app = self.app(id).await?;
        if app.is_default {
            return Err(Error::new(
                Code::DefaultApp,
                "Operation not allowed. The default resource space cannot be deleted.",
            ));
        }
        if !self.store.delete_app(id).await? {
            return Err(not_found(id));
        }
        self.directory.close_where(|context| context.app_id == *id, CloseReason::Deleted);
        self.children.forget_app(id);
        self.bus.announce(Changed::Routes).await;
        self.bus.announce(Changed::Policies).await;
        Ok(())
    }
}
