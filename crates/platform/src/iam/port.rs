//! What users, groups, policies and keys need from the store.

use async_trait::async_trait;
use causeway_model::registry::Sealed;
use causeway_model::{Result, Timestamp};

/// A person or program that may sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Number inside the store.
    pub no: i64,
    /// The id that clients see, 32 hex digits.
    pub id: String,
    /// Sign-in name, unique.
    pub name: String,
    /// Argon2id hash in PHC form; `None` for users that only sign with keys.
    pub password_hash: Option<String>,
    /// What the user is known by besides.
    pub profile: UserProfile,
    /// False: nothing that speaks for the user is accepted.
    pub enabled: bool,
    /// Rises whenever tokens that were made before must die.
    pub epoch: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When the password was set last.
    pub password_at: Timestamp,
}

/// What a user is known by besides its name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserProfile {
    /// What it is for.
    pub description: String,
    /// Electronic mail address, or empty.
    pub email: String,
    /// Country code of the telephone, or empty.
    pub areacode: String,
    /// Telephone number, or empty.
    pub phone: String,
    /// By which ways it may come.
    pub access: AccessMode,
    /// Whether it is asked to set a new password; clients show it, nothing else follows.
    pub password_is_first: bool,
}

/// By which ways a user may come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AccessMode {
    /// Any.
    #[default]
    Default,
    /// By programs.
    Programmatic,
    /// By password only: access keys are refused.
    Console,
}

impl AccessMode {
    /// The vendor's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Programmatic => "programmatic",
            Self::Console => "console",
        }
    }

    /// Reads the vendor's word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Default, Self::Programmatic, Self::Console].into_iter().find(|m| m.as_str() == word)
    }
}

/// What changes of a user; `None` stays as it is.
#[derive(Clone, Debug, Default)]
pub struct UserChange {
    /// The sign-in name.
    pub name: Option<String>,
    /// Hash of a new password, and when it was set. Ends the tokens made before.
    pub password: Option<(String, Timestamp)>,
    /// Whether it may do anything. Disabling ends the tokens made before.
    pub enabled: Option<bool>,
    /// See [`UserProfile::description`].
    pub description: Option<String>,
    /// See [`UserProfile::email`].
    pub email: Option<String>,
    /// See [`UserProfile::areacode`] and [`UserProfile::phone`].
    pub phone: Option<(String, String)>,
    /// See [`UserProfile::access`].
    pub access: Option<AccessMode>,
    /// See [`UserProfile::password_is_first`].
    pub password_is_first: Option<bool>,
}

impl UserChange {
    /// What `user` is with the change.
    #[must_use]
    pub fn applied(self, mut user: User) -> User {
        let profile = &mut user.profile;
        if let Some((areacode, phone)) = self.phone {
            (profile.areacode, profile.phone) = (areacode, phone);
        }
        if let Some((hash, at)) = self.password {
            (user.password_hash, user.password_at) = (Some(hash), at);
            user.epoch += 1;
        }
        if self.enabled == Some(false) && user.enabled {
            user.epoch += 1;
        }
        profile.description = self.description.unwrap_or(std::mem::take(&mut profile.description));
        profile.email = self.email.unwrap_or(std::mem::take(&mut profile.email));
        profile.access = self.access.unwrap_or(profile.access);
        profile.password_is_first = self.password_is_first.unwrap_or(profile.password_is_first);
        user.enabled = self.enabled.unwrap_or(user.enabled);
        user.name = self.name.unwrap_or(user.name);
        user
    }
}

/// Users that have the same permissions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserGroup {
    /// Number inside the store.
    pub no: i64,
    /// The id that clients see, 32 hex digits.
    pub id: String,
    /// Unique.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// The group whose members may do everything. It is there from the first start on and always has a member that is
/// enabled.
pub const ADMIN_GROUP: &str = "admin";

/// A policy that somebody wrote, called role by the vendor's interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomPolicy {
    /// Number inside the store.
    pub no: i64,
    /// The id that clients see, 32 hex digits.
    pub id: String,
    /// What is shown and changed.
    pub content: PolicyContent,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

/// What of a custom policy its owner writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyContent {
    /// Unique among custom policies.
    pub display_name: String,
    /// `AX` (shown for the domain) or `XA` (shown for projects).
    pub kind: String,
    /// What it is for.
    pub description: String,
    /// The same in Chinese, or empty.
    pub description_cn: String,
    /// The document, as [`Policy::to_json`](causeway_model::permission::Policy::to_json) writes it.
    pub document: String,
}

/// For what a policy was granted to a group. There is one domain with one project, so each means the same; the word is
/// kept because clients list and revoke by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GrantScope {
    /// The domain.
    Domain,
    /// The project.
    Project,
    /// All projects of the domain.
    AllProjects,
}

impl GrantScope {
    /// The word that is stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Domain => "domain",
            Self::Project => "project",
            Self::AllProjects => "all_projects",
        }
    }
}

/// A policy that reaches a user through one of its groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// Id of the policy, a system policy's or a custom one's.
    pub policy: String,
    /// The document of a custom policy.
    pub document: Option<String>,
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
    /// False: signatures with it are refused.
    pub active: bool,
    /// What it is for.
    pub description: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Keeps users, groups, policies and access keys.
///
/// Limits and unique names are checked in the transaction that writes. What would leave [`ADMIN_GROUP`] without a member
/// that is enabled is refused with [`Code::LastAdministrator`].
///
/// [`Code::LastAdministrator`]: causeway_model::Code::LastAdministrator
#[async_trait]
pub trait IamStore: Send + Sync {
    /// Makes [`ADMIN_GROUP`] out of `group` unless it is there, with all users that are there as its members: before
    /// there were groups every user was an administrator. True when it was made.
    async fn ensure_admin_group(&self, group: &UserGroup) -> Result<bool>;

    /// Adds the first user with its access key as a member of `group` (numbers inside are ignored). False when there are
    /// users already.
    async fn insert_first_user(&self, user: User, group: i64, key: AccessKey) -> Result<bool>;
    /// Adds a user (`no` is ignored) and returns it. [`Code::UserExists`], [`Code::TooManyUsers`].
    ///
    /// [`Code::UserExists`]: causeway_model::Code::UserExists
    /// [`Code::TooManyUsers`]: causeway_model::Code::TooManyUsers
    async fn insert_user(&self, user: User, limit: u32) -> Result<User>;
    /// A user by sign-in name.
    async fn user(&self, name: &str) -> Result<Option<User>>;
    /// A user by id.
    async fn user_by_id(&self, id: &str) -> Result<Option<User>>;
    /// All users, oldest first.
    async fn users(&self) -> Result<Vec<User>>;
    /// Changes a user; `None` when it is not there. [`Code::UserExists`].
    ///
    /// [`Code::UserExists`]: causeway_model::Code::UserExists
    async fn change_user(&self, no: i64, change: UserChange) -> Result<Option<User>>;
    /// Deletes a user with its keys and memberships. False when it is not there.
    async fn delete_user(&self, no: i64) -> Result<bool>;
    /// A user with all that is granted to its groups; `None` when it is not there.
    async fn standing(&self, no: i64) -> Result<Option<(User, Vec<Granted>)>>;

    /// Adds a group (`no` is ignored) and returns it. [`Code::UserGroupExists`], [`Code::TooManyUserGroups`].
    ///
    /// [`Code::UserGroupExists`]: causeway_model::Code::UserGroupExists
    /// [`Code::TooManyUserGroups`]: causeway_model::Code::TooManyUserGroups
    async fn insert_user_group(&self, group: UserGroup, limit: u32) -> Result<UserGroup>;
    /// A group by id.
    async fn user_group(&self, id: &str) -> Result<Option<UserGroup>>;
    /// All groups, oldest first.
    async fn user_groups(&self) -> Result<Vec<UserGroup>>;
    /// Sets name and description where given; `None` when the group is not there. [`Code::UserGroupExists`].
    ///
    /// [`Code::UserGroupExists`]: causeway_model::Code::UserGroupExists
    async fn change_user_group(
        &self,
        no: i64,
        name: Option<String>,
        description: Option<String>,
    ) -> Result<Option<UserGroup>>;
    /// Deletes a group with its memberships and grants. False when it is not there.
    async fn delete_user_group(&self, no: i64) -> Result<bool>;
    /// Adds a member; one that is there stays. False when user or group is not there.
    async fn add_member(&self, group: i64, user: i64) -> Result<bool>;
    /// Removes a member. False when it was none.
    async fn remove_member(&self, group: i64, user: i64) -> Result<bool>;
    /// Members of a group, oldest first.
    async fn members(&self, group: i64) -> Result<Vec<User>>;
    /// Groups of a user, oldest first.
    async fn groups_of(&self, user: i64) -> Result<Vec<UserGroup>>;

    /// Adds a policy (`no` is ignored) and returns it. [`Code::RoleExists`], [`Code::TooManyRoles`].
    ///
    /// [`Code::RoleExists`]: causeway_model::Code::RoleExists
    /// [`Code::TooManyRoles`]: causeway_model::Code::TooManyRoles
    async fn insert_custom_policy(&self, policy: CustomPolicy, limit: u32) -> Result<CustomPolicy>;
    /// A policy by id.
    async fn custom_policy(&self, id: &str) -> Result<Option<CustomPolicy>>;
    /// All policies, oldest first.
    async fn custom_policies(&self) -> Result<Vec<CustomPolicy>>;
    /// Writes a policy anew; `None` when it is not there. [`Code::RoleExists`].
    ///
    /// [`Code::RoleExists`]: causeway_model::Code::RoleExists
    async fn change_custom_policy(
        &self,
        no: i64,
        content: PolicyContent,
        at: Timestamp,
    ) -> Result<Option<CustomPolicy>>;
    /// Deletes a policy. False when it is not there; [`Code::RoleInUse`] while it is granted.
    ///
    /// [`Code::RoleInUse`]: causeway_model::Code::RoleInUse
    async fn delete_custom_policy(&self, no: i64) -> Result<bool>;
    /// Grants a policy to a group; what is granted stays. The policy is a system policy when `custom` is false. False
    /// when group or custom policy is not there.
    async fn grant(&self, group: i64, policy: &str, custom: bool, scope: GrantScope) -> Result<bool>;
    /// Takes a grant back. False when there was none.
    async fn revoke(&self, group: i64, policy: &str, scope: GrantScope) -> Result<bool>;
    /// Ids of the policies granted to a group for `scope`, oldest grant first.
    async fn grants(&self, group: i64, scope: GrantScope) -> Result<Vec<String>>;
    /// To how many groups a policy is granted.
    async fn grant_count(&self, policy: &str) -> Result<u64>;

    /// Adds an access key. [`Code::TooManyAccessKeys`] when the user has `limit` already, [`Code::UserNotFound`] when it
    /// is gone, [`Code::InvalidInput`] when the key exists.
    ///
    /// [`Code::TooManyAccessKeys`]: causeway_model::Code::TooManyAccessKeys
    /// [`Code::UserNotFound`]: causeway_model::Code::UserNotFound
    /// [`Code::InvalidInput`]: causeway_model::Code::InvalidInput
    async fn insert_access_key(&self, key: &AccessKey, limit: u32) -> Result<()>;
    /// An access key by its public half.
    async fn access_key(&self, ak: &str) -> Result<Option<AccessKey>>;
    /// Access keys of a user, oldest first.
    async fn access_keys(&self, user: i64) -> Result<Vec<AccessKey>>;
    /// Sets state and description where given; `None` when the key is not there.
    async fn change_access_key(
        &self,
        ak: &str,
        active: Option<bool>,
        description: Option<String>,
    ) -> Result<Option<AccessKey>>;
    /// Deletes an access key. False when it is not there.
    async fn delete_access_key(&self, ak: &str) -> Result<bool>;
}
