//! What the first start makes.

use causeway_model::registry::App;
use causeway_model::{AppId, InstanceId, ProjectId, RecordNo, Result};

use super::Instance;
use crate::clock::Clock;
use crate::secrets::random_hex;
use crate::{Platform, Store};

/// Secrets that only the first start can show.
#[derive(Clone, Debug)]
pub struct FirstStart {
    /// The administrator's name.
    pub user: String,
    /// The administrator's password.
    pub password: String,
    /// Public half of the first access key.
    pub ak: String,
    /// Secret half of the first access key.
    pub sk: String,
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
    /// Makes the administrator and the first access key unless the administrator is there.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn first_start(&self, user: &str) -> Result<Option<FirstStart>> {
        if self.store.user(user).await?.is_some() {
            return Ok(None);
        }
        let password = random_hex(10);
        let record = self.create_user(user, &password).await?;
        let (ak, sk) = self.create_access_key(record.no).await?;
        Ok(Some(FirstStart { user: user.to_owned(), password, ak, sk }))
    }
}
