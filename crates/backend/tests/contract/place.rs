//! Where a store lives.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;

use causeway_backend::{StoreSettings, open};
use causeway_model::Result;
use causeway_platform::Store;
use tempfile::TempDir;

use crate::cluster;

/// Which backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Sqlite,
    Postgres,
}

/// A folder or database that nobody else uses; stores can be opened in it one after another.
pub(crate) struct Place {
    pub(crate) kind: Kind,
    pub(crate) settings: StoreSettings,
    folder: TempDir,
}

impl Place {
    async fn new(kind: Kind) -> Self {
        let url = match kind {
            Kind::Sqlite => None,
            Kind::Postgres => Some(cluster::new_database().await),
        };
        let settings = StoreSettings { url, ..StoreSettings::default() };
        Self { kind, settings, folder: tempfile::tempdir().expect("a temporary folder") }
    }

    /// A second place of the same kind. Its database is the caller's to drop.
    pub(crate) async fn beside(other: &Self) -> Self {
        Self::new(other.kind).await
    }

    /// The data folder.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The URL of the database; only for PostgreSQL.
    pub(crate) fn url(&self) -> &str {
        self.settings.url.as_deref().expect("a PostgreSQL place has a URL")
    }

    /// Opens the store.
    pub(crate) async fn open(&self) -> Arc<dyn Store> {
        self.try_open().await.expect("the store opens")
    }

    /// Opens the store, or not.
    pub(crate) async fn try_open(&self) -> Result<Arc<dyn Store>> {
        open(&self.settings, self.folder()).await
    }

    /// Opens the store with other settings for its queue.
    pub(crate) async fn open_with_queue(&self, gather_ms: u64, queue_units: u32) -> Arc<dyn Store> {
        let gather = causeway_model::settings::Span::millis(gather_ms);
        let settings = StoreSettings { gather, queue_units, ..self.settings.clone() };
        open(&settings, self.folder()).await.expect("the store opens")
    }
}

/// Runs one test in a new place and cleans up whether it passes or not.
pub(crate) async fn run<F>(kind: Kind, test: impl FnOnce(Arc<Place>) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let place = Arc::new(Place::new(kind).await);
    let outcome = tokio::spawn(test(Arc::clone(&place))).await;
    if let Some(url) = &place.settings.url {
        cluster::drop_database(url).await;
    }
    if let Err(e) = outcome {
        std::panic::resume_unwind(e.into_panic());
    }
}
