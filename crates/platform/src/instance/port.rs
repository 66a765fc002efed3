//! What the instance itself needs from the store.

use async_trait::async_trait;
use causeway_model::{InstanceId, ProjectId, Result, Timestamp};

/// The instance that this store object serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// The id, UUID.
    pub id: InstanceId,
    /// The project that applications name in their paths, 32 hex digits.
    pub project_id: ProjectId,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Keeps the instance's own record.
#[async_trait]
pub trait InstanceStore: Send + Sync {
    /// The instance; `None` before the first start.
    async fn instance(&self) -> Result<Option<Instance>>;
    /// Records the instance at the first start.
    async fn insert_instance(&self, instance: &Instance) -> Result<()>;
    /// Answers when the store can serve (for `/readyz`).
    async fn ping(&self) -> Result<()>;
    /// True once the store can never serve again in this process.
    fn has_ended(&self) -> bool {
        false
    }
    /// Commits what is gathered and stops taking units. Called once, at the end.
    async fn close(&self);
}
