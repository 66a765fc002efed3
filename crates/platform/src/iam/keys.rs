//! Access keys (AK/SK).

use causeway_model::{Code, Error, Result};
use zeroize::Zeroizing;

use super::{AccessKey, AccessMode, Caller, User};
use crate::Platform;
use crate::secrets::random_hex;

/// A key that was just made: the only time its secret half is told.
pub struct NewAccessKey {
    /// The key.
    pub key: AccessKey,
    /// Its secret half.
    pub secret: Zeroizing<String>,
}

fn not_found(ak: &str) -> Error {
    Error::new(Code::AccessKeyNotFound, format!("The access key '{ak}' does not exist."))
}

impl Platform {
    /// Lets a user act for itself, and everybody else who may do `action`.
    ///
    /// # Errors
    /// [`Code::NotPermitted`].
    pub async fn require_for_user(&self, caller: &Caller, user_id: &str, action: &str) -> Result<()> {
        if caller.id() == user_id { Ok(()) } else { self.require_everywhere(caller, action).await }
    }

    /// Makes an access key for a user.
    ///
    /// # Errors
    /// [`Code::UserNotFound`]; [`Code::TooManyAccessKeys`]; [`Code::InvalidInput`] for a user that may use none.
    pub async fn create_access_key(&self, user_id: &str, description: &str) -> Result<NewAccessKey> {
        let user = self.user(user_id).await?;
        if user.profile.access == AccessMode::Console {
            return Err(Error::invalid(
                "Invalid input. The user's access_mode is 'console': it may not use access keys.",
            ));
        }
        let secret = Zeroizing::new(random_hex(20));
        let key = self.prepare_access_key(user.no, &random_hex(10).to_ascii_uppercase(), &secret, description);
        self.store.insert_access_key(&key, self.settings.iam.max_access_keys).await?;
        Ok(NewAccessKey { key, secret })
    }

    /// Access keys of a user, oldest first.
    ///
    /// # Errors
    /// [`Code::UserNotFound`].
    pub async fn access_keys(&self, user_id: &str) -> Result<Vec<AccessKey>> {
        let user = self.user(user_id).await?;
        self.store.access_keys(user.no).await
    }

    /// A key and its user, for a caller that owns it or may do `action`.
    ///
    /// # Errors
    /// [`Code::NotPermitted`], also for a key that is not there; [`Code::AccessKeyNotFound`].
    pub async fn access_key(&self, caller: &Caller, ak: &str, action: &str) -> Result<(AccessKey, User)> {
        let key = self.store.access_key(ak).await?;
        if key.as_ref().is_none_or(|k| k.user != caller.user) {
            self.require_everywhere(caller, action).await?;
        }
        let key = key.ok_or_else(|| not_found(ak))?;
        let users = self.store.users().await?;
        let owner = users.into_iter().find(|u| u.no == key.user).ok_or_else(|| not_found(ak))?;
        Ok((key, owner))
    }

    /// Sets state and description of a key where given.
    ///
    /// # Errors
    /// [`Code::AccessKeyNotFound`].
    pub async fn change_access_key(
        &self,
        ak: &str,
        active: Option<bool>,
        description: Option<String>,
    ) -> Result<AccessKey> {
        let changed = self.store.change_access_key(ak, active, description).await?;
        self.iam_changed().await;
        changed.ok_or_else(|| not_found(ak))
    }

    /// Deletes a key.
    ///
    /// # Errors
    /// [`Code::AccessKeyNotFound`].
    pub async fn delete_access_key(&self, ak: &str) -> Result<()> {
        let gone = self.store.delete_access_key(ak).await?;
        self.iam_changed().await;
        if gone { Ok(()) } else { Err(not_found(ak)) }
    }

    /// The record of an access key to be added.
    pub(crate) fn prepare_access_key(&self, user: i64, ak: &str, sk: &str, description: &str) -> AccessKey {
        AccessKey {
            ak: ak.to_owned(),
            sk: self.secrets.seal(sk.as_bytes()),
            user,
            active: true,
            description: description.to_owned(),
            created_at: self.clock.now(),
        }
    }
}
