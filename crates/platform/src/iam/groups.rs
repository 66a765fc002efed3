//! User groups and their members.

use causeway_model::{Code, Error, Result};

use super::{ADMIN_GROUP, User, UserGroup};
use crate::Platform;
use crate::secrets::random_hex;

fn not_found(id: &str) -> Error {
    Error::new(Code::UserGroupNotFound, format!("The user group '{id}' does not exist."))
}

fn not_a_member() -> Error {
    Error::new(Code::NotGranted, "The user is not a member of the group.")
}

impl Platform {
    /// Adds a group.
    ///
    /// # Errors
    /// [`Code::UserGroupExists`], [`Code::TooManyUserGroups`].
    pub async fn create_user_group(&self, name: &str, description: &str) -> Result<UserGroup> {
        let group = UserGroup {
            no: 0,
            id: random_hex(16),
            name: name.to_owned(),
            description: description.to_owned(),
            created_at: self.clock.now(),
        };
        self.store.insert_user_group(group, self.settings.iam.max_groups).await
    }

    /// All groups, oldest first.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn user_groups(&self) -> Result<Vec<UserGroup>> {
        self.store.user_groups().await
    }

    /// One group.
    ///
    /// # Errors
    /// [`Code::UserGroupNotFound`].
    pub async fn user_group(&self, id: &str) -> Result<UserGroup> {
        self.store.user_group(id).await?.ok_or_else(|| not_found(id))
    }

    /// Sets name and description where given.
    ///
    /// # Errors
    /// [`Code::UserGroupNotFound`], [`Code::UserGroupExists`]; [`Code::BuiltInRole`] for the name of `admin`.
    pub async fn change_user_group(
        &self,
        id: &str,
        name: Option<String>,
        description: Option<String>,
    ) -> Result<UserGroup> {
        let group = self.user_group(id).await?;
        if group.name == ADMIN_GROUP && name.as_ref().is_some_and(|n| *n != group.name) {
            return Err(Error::new(Code::BuiltInRole, "Operation not allowed. The group 'admin' keeps its name."));
        }
        self.store.change_user_group(group.no, name, description).await?.ok_or_else(|| not_found(id))
    }

    /// Deletes a group; its members lose what was granted to it.
    ///
    /// # Errors
    /// [`Code::UserGroupNotFound`]; [`Code::BuiltInRole`] for `admin`.
    pub async fn delete_user_group(&self, id: &str) -> Result<()> {
        let group = self.user_group(id).await?;
        if group.name == ADMIN_GROUP {
            return Err(Error::new(Code::BuiltInRole, "Operation not allowed. The group 'admin' cannot be deleted."));
        }
        if !self.store.delete_user_group(group.no).await? {
            return Err(not_found(id));
        }
        self.iam_changed().await;
        Ok(())
    }

    /// Adds a member; once is enough.
    ///
    /// # Errors
    /// [`Code::UserGroupNotFound`], [`Code::UserNotFound`].
    pub async fn add_member(&self, group: &str, user: &str) -> Result<()> {
        let (group, user) = (self.user_group(group).await?, self.user(user).await?);
        if !self.store.add_member(group.no, user.no).await? {
            return Err(not_found(&group.id));
        }
        self.iam_changed().await;
        Ok(())
    }

    /// Removes a member.
    ///
    /// # Errors
    /// [`Code::UserGroupNotFound`], [`Code::UserNotFound`], [`Code::NotGranted`]; [`Code::LastAdministrator`].
    pub async fn remove_member(&self, group: &str, user: &str) -> Result<()> {
        let (group, user) = (self.user_group(group).await?, self.user(user).await?);
        if !self.store.remove_member(group.no, user.no).await? {
            return Err(not_a_member());
        }
        self.iam_changed().await;
        Ok(())
    }

    /// Members of a group, oldest first.
    ///
    /// # Errors
    /// [`Code::UserGroupNotFound`].
    pub async fn members(&self, group: &str) -> Result<Vec<User>> {
        let group = self.user_group(group).await?;
        self.store.members(group.no).await
    }

    /// Fails unless a user is in a group.
    ///
    /// # Errors
    /// [`Code::UserGroupNotFound`], [`Code::UserNotFound`], [`Code::NotGranted`].
    pub async fn check_member(&self, group: &str, user: &str) -> Result<()> {
        let (group, user) = (self.user_group(group).await?, self.user(user).await?);
        let groups = self.store.groups_of(user.no).await?;
        if groups.iter().any(|g| g.no == group.no) { Ok(()) } else { Err(not_a_member()) }
    }

    /// Groups of a user, oldest first.
    ///
    /// # Errors
    /// [`Code::UserNotFound`].
    pub async fn groups_of(&self, user: &str) -> Result<Vec<UserGroup>> {
        let user = self.user(user).await?;
        self.store.groups_of(user.no).await
    }
}
