//! Users.

use std::net::IpAddr;

use causeway_model::{Code, Error, Result};

use super::password::check_rules;
use super::{Caller, User, UserChange, UserProfile};
use crate::Platform;
use crate::secrets::random_hex;

/// A user to be made.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// Sign-in name.
    pub name: String,
    /// Password; `None` for users that only sign with keys.
    pub password: Option<String>,
    /// What it is known by besides.
    pub profile: UserProfile,
    /// Whether it may do anything.
    pub enabled: bool,
}

fn not_found(id: &str) -> Error {
    Error::new(Code::UserNotFound, format!("The user '{id}' does not exist."))
}

fn check_name(name: &str) -> Result<()> {
    if name.starts_with(|c: char| c.is_ascii_digit()) || name.trim() != name {
        return Err(Error::invalid("Invalid input. A user name begins neither with a digit nor with a blank."));
    }
    Ok(())
}

impl Platform {
    /// Adds a user.
    ///
    /// # Errors
    /// [`Code::UserExists`], [`Code::TooManyUsers`], [`Code::WeakPassword`], [`Code::InvalidInput`].
    pub async fn create_user(&self, new: NewUser) -> Result<User> {
        check_name(&new.name)?;
        if let Some(password) = &new.password {
            check_rules(&self.settings.iam, &new.name, password)?;
        }
        let user = self.prepare_user(new).await?;
        self.store.insert_user(user, self.settings.iam.max_users).await
    }

    /// The record of a user to be added, whatever its name and password.
    pub(crate) async fn prepare_user(&self, new: NewUser) -> Result<User> {
        let password_hash = match &new.password {
            Some(password) => Some(self.hash_password(password).await?),
            None => None,
        };
        let now = self.clock.now();
        Ok(User {
            no: 0,
            id: random_hex(16),
            name: new.name,
            password_hash,
            profile: new.profile,
            enabled: new.enabled,
            epoch: 0,
            created_at: now,
            password_at: now,
        })
    }

    /// All users, oldest first.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn users(&self) -> Result<Vec<User>> {
        self.store.users().await
    }

    /// A user by id.
    ///
    /// # Errors
    /// [`Code::UserNotFound`].
    pub async fn user(&self, id: &str) -> Result<User> {
        self.store.user_by_id(id).await?.ok_or_else(|| not_found(id))
    }

    /// Changes a user; `password` is a new one in clear. A new password and disabling end the user's tokens.
    ///
    /// # Errors
    /// [`Code::UserNotFound`], [`Code::UserExists`], [`Code::WeakPassword`]; [`Code::LastAdministrator`].
    pub async fn change_user(&self, id: &str, mut change: UserChange, password: Option<String>) -> Result<User> {
        let user = self.user(id).await?;
        if let Some(name) = &change.name {
            check_name(name)?;
        }
        if let Some(password) = password {
            check_rules(&self.settings.iam, change.name.as_deref().unwrap_or(&user.name), &password)?;
            change.password = Some((self.hash_password(&password).await?, self.clock.now()));
        }
        let changed = self.store.change_user(user.no, change).await?;
        self.iam_changed().await;
        changed.ok_or_else(|| not_found(id))
    }

    /// Deletes a user with its keys; its tokens die.
    ///
    /// # Errors
    /// [`Code::UserNotFound`]; [`Code::LastAdministrator`].
    pub async fn delete_user(&self, id: &str) -> Result<()> {
        let user = self.user(id).await?;
        let gone = self.store.delete_user(user.no).await?;
        self.iam_changed().await;
        if gone { Ok(()) } else { Err(not_found(id)) }
    }

    /// Sets the caller's own password. The tokens made before die.
    ///
    /// # Errors
    /// [`Code::WrongPassword`], [`Code::WeakPassword`]; [`Code::SignInLocked`] after too many wrong originals.
    pub async fn change_own_password(
        &self,
        caller: &Caller,
        original: &str,
        new: &str,
        from: Option<IpAddr>,
    ) -> Result<()> {
        let user = self.user(caller.id()).await?;
        if !self.check_password(&user.name, Some(&user), original, from).await? {
            return Err(Error::new(Code::WrongPassword, "Invalid input. The original password is wrong."));
        }
        if original == new {
            return Err(Error::new(
                Code::WeakPassword,
                "Invalid input. The new password must not be the original one.",
            ));
        }
        check_rules(&self.settings.iam, &user.name, new)?;
        let change = UserChange {
            password: Some((self.hash_password(new).await?, self.clock.now())),
            password_is_first: Some(false),
            ..UserChange::default()
        };
        self.store.change_user(user.no, change).await?;
        self.iam_changed().await;
        Ok(())
    }
}
