//! What spaces need from the store.

use async_trait::async_trait;
use causeway_model::registry::App;
use causeway_model::{AppId, Result};

/// Keeps resource spaces.
#[async_trait]
pub trait AppStore: Send + Sync {
    /// Adds a space unless `limit` are there already ([`Code::TooManyApps`]) or the name is taken
    /// ([`Code::InvalidApp`]), checked in the same transaction. `app.no` is ignored; the stored space is returned.
    ///
    /// [`Code::TooManyApps`]: causeway_model::Code::TooManyApps
    /// [`Code::InvalidApp`]: causeway_model::Code::InvalidApp
    async fn insert_app(&self, app: App, limit: u32) -> Result<App>;
    /// All spaces, oldest first.
    async fn apps(&self) -> Result<Vec<App>>;
    /// One space.
    async fn app(&self, id: &AppId) -> Result<Option<App>>;
    /// Renames a space; `None` when it is not there. A name in use is [`Code::InvalidApp`].
    ///
    /// [`Code::InvalidApp`]: causeway_model::Code::InvalidApp
    async fn rename_app(&self, id: &AppId, name: &str) -> Result<Option<App>>;
    /// Deletes a space and everything in it: products, devices, their shadows, histories, messages, sessions, pushes,
    /// outbox rows. False when it is not there.
    async fn delete_app(&self, id: &AppId) -> Result<bool>;
}
