//! What the first start makes.

use causeway_model::registry::App;
use causeway_model::{AppId, InstanceId, ProjectId, RecordNo, Result};

use super::Instance;
use crate::clock::Clock;
use crate::iam::{NewUser, UserProfile};
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
    /// Makes the administrator `first` with its access key unless there are users; running it again is harmless. True
    /// when the administrator is new.
    ///
    /// # Errors
    /// Only the store's; internal when an access key is there that does not open under this instance key.
    pub async fn ensure_admin(&self, first: &AdminCredentials) -> Result<bool> {
        if self.has_users().await? {
            if let Some(key) = self.store.access_key(&first.ak).await? {
                self.secrets.open(&key.sk)?;
            }
            return Ok(false);
        }
        let group = self.ensure_admin_group().await?;
        let user = self.prepare_user(NewUser {
            name: first.user.clone(),
            password: Some(first.password.clone()),
            profile: UserProfile { description: "The first administrator.".to_owned(), ..UserProfile::default() },
            enabled: true,
        });
        let key = self.prepare_access_key(0, &first.ak, &first.sk, "");
        self.store.insert_first_user(user.await?, group.no, key).await
    }

    /// Whether there are users: only an instance without gets an administrator.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn has_users(&self) -> Result<bool> {
        Ok(!self.store.users().await?.is_empty())
    }
}
