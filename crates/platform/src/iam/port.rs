//! What users and keys need from the store.

use async_trait::async_trait;
use causeway_model::registry::Sealed;
use causeway_model::{Result, Timestamp};

/// A person or program that may sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Number inside the store.
    pub no: i64,
    /// Sign-in name, unique.
    pub name: String,
    /// Argon2id hash in PHC form.
    pub password_hash: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// An access key (AK/SK). The secret must be read back to check signatures, so it is sealed, not hashed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessKey {
    /// The public half.
    pub ak: String,
    /// The secret half.
    pub sk: Sealed,
    /// The user it belongs to.
    pub user: i64,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Keeps users and access keys.
#[async_trait]
pub trait IamStore: Send + Sync {
    /// Adds a user (`no` is ignored) and returns it.
    async fn insert_user(&self, user: User) -> Result<User>;
    /// A user by sign-in name.
    async fn user(&self, name: &str) -> Result<Option<User>>;
    /// Adds an access key.
    async fn insert_access_key(&self, key: &AccessKey) -> Result<()>;
    /// An access key by its public half.
    async fn access_key(&self, ak: &str) -> Result<Option<AccessKey>>;
}
