//! Products as the hot path sees them: compiled once a version, swapped under live sessions when they change.

use std::sync::Arc;

use arc_swap::ArcSwap;
use causeway_model::product::{CompiledModel, Strictness};
use causeway_model::registry::{CustomTopic, Product};
use causeway_model::{AppId, ProductId, RecordNo, Result};
use dashmap::DashMap;
use parking_lot::Mutex;

use crate::Store;

/// What of a product changes with its version.
#[derive(Debug)]
pub struct ProductVersion {
    /// The compiled product model.
    pub model: CompiledModel,
    /// Declared custom topics.
    pub topics: Vec<CustomTopic>,
    /// `json` or `binary`.
    pub is_binary: bool,
}

/// A product in use. Sessions hold it; a changed product is swapped in for all of them at once.
#[derive(Debug)]
pub struct ProductHandle {
    /// The product's number.
    pub no: RecordNo,
    /// Its id.
    pub id: ProductId,
    /// Its space.
    pub app_id: AppId,
    version: ArcSwap<ProductVersion>,
}

impl ProductHandle {
    /// The version in force.
    pub fn current(&self) -> arc_swap::Guard<Arc<ProductVersion>> {
        self.version.load()
    }
}

/// Handles of the products that were used since the start; as many as there are products.
pub(crate) struct ProductCache {
    handles: DashMap<RecordNo, Arc<ProductHandle>>,
    strictness: Strictness,
    /// Rises with every change heard. What was read from the store before a rise is read again.
    changes: Mutex<u64>,
    /// Versions are compiled one after another, so that an older one never replaces a newer one.
    reloading: tokio::sync::Mutex<()>,
}

impl ProductCache {
    pub(crate) fn new(strictness: Strictness) -> Self {
        Self { handles: DashMap::new(), strictness, changes: Mutex::new(0), reloading: tokio::sync::Mutex::new(()) }
    }

    fn compile(&self, product: &Product) -> ProductVersion {
        ProductVersion {
            model: CompiledModel::compile(&product.services, self.strictness),
            topics: product.topics.clone(),
            is_binary: product.data_format == "binary",
        }
    }

    /// The product's handle, loaded when it is not there.
    pub(crate) async fn get(&self, store: &dyn Store, no: RecordNo) -> Result<Option<Arc<ProductHandle>>> {
        if let Some(handle) = self.handles.get(&no) {
            return Ok(Some(handle.clone()));
        }
        loop {
            let mark = *self.changes.lock();
            let Some(product) = store.product(no).await? else { return Ok(None) };
            let handle = Arc::new(ProductHandle {
                no,
                id: product.id.clone(),
                app_id: product.app_id.clone(),
                version: ArcSwap::from_pointee(self.compile(&product)),
            });
            let changes = self.changes.lock();
            if *changes == mark {
                return Ok(Some(self.handles.entry(no).or_insert(handle).clone()));
            }
        }
    }

    /// Compiles the product anew after a change.
    pub(crate) async fn reload(&self, store: &dyn Store, no: RecordNo) -> Result<()> {
        *self.changes.lock() += 1;
        let _turn = self.reloading.lock().await;
        let Some(handle) = self.handles.get(&no).map(|h| h.clone()) else { return Ok(()) };
        match store.product(no).await? {
            Some(product) => handle.version.store(Arc::new(self.compile(&product))),
            None => {
                self.handles.remove(&no);
            }
        }
        Ok(())
    }
}
