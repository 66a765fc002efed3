//! What the first start makes.

use causeway_model::registry::App;
use causeway_model::{AppId, InstanceId, ProjectId, RecordNo, Result};

use super::Instance;
use crate::clock::Clock;
use crate::secrets::random_hex;
use crate::{Platform, Store};

/// The administrator's first credentials. They can be shown only by who made them: the store keeps a hash of the
/// password and a sealed key.
#[derive(Clone)]
pub struct AdminCredentials {
    /// The administrator's name.
    pub user: String,
    /// The administrator's password.
    pub password: String,
    /// Public half of the first access key.
    pub ak: String,
    /// Secret half of the first access key.
    pub sk: String,
}

impl AdminCredentials {
    /// Makes new ones for `admin`.
    #[must_use]
    pub fn generate() -> Self {
        Self {
            user: "admin".to_owned(),
            password: random_hex(10),
            ak: random_hex(10).to_ascii_uppercase(),
            sk: random_hex(20),
        }
    }
}

/// Makes the instance's record and default space unless they are there.
///
/// # Errors
/// Only the store's.
pub async fn bootstrap(store: &dyn Store, clock: &Clock) -> Result<Instance> {
    let instance = match store.instance().await? {
        Some(instance) => instance,
        None => {
            let instance = Instance {
                id: InstanceId::trusted(uuid::Uuid::new_v4().to_string()),
                project_id: ProjectId::trusted(random_hex(16)),
                created_at: clock.now(),
            };
            store.insert_instance(&instance).await?;
            instance
        }
    };
    if !store.apps().await?.iter().any(|a| a.is_default) {
        let app = App {
            no: RecordNo(0),
            id: AppId::trusted(random_hex(16)),
            name: "DefaultApp".to_owned(),
            created_at: clock.now(),
            is_default: true,
        };
        store.insert_app(app, u32::MAX).await?;
    }
    Ok(instance)
}

impl Platform {
    /// Makes the administrator and the access key of `first` unless they are there; running it again is harmless.
    /// True when the administrator is new.
    ///
    /// # Errors
    /// Only the store's; internal when an access key is there that does not open under this instance key.
    pub async fn ensure_admin(&self, first: &AdminCredentials) -> Result<bool> {
        let (user, is_new) = match self.store.user(&first.user).await? {
            Some(user) => (user, false),
            None => (self.create_user(&first.user, &first.password).await?, true),
        };
        match self.store.access_key(&first.ak).await? {
            Some(key) => drop(self.secrets.open(&key.sk)?),
            None => self.add_access_key(user.no, &first.ak, &first.sk).await?,
        }
        Ok(is_new)
    }

    /// Whether the administrator was made before.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn has_admin(&self) -> Result<bool> {
        Ok(self.store.user("admin").await?.is_some())
    }
}
