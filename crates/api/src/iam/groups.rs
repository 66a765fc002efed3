//! User groups and their members.

use causeway_model::{Code, Result};
use causeway_platform::iam::UserGroup;

use super::users::{KeystoneUser, KeystoneUsers};
use crate::bounded::{Any, Free, Text};
use crate::call::{Call, Reply};
use crate::operation::{Built, Param, Success, json};
use crate::shape::{body, reply};

body! {
    /// A user group to create.
    pub(crate) struct NewGroup {
        /// Name, unique.
        name: Text<Free, 1, 128>,
        /// What it is for.
        description: Option<Text<Free, 0, 255>>,
    }
}

body! {
    /// See `group`.
    pub(crate) struct CreateGroup {
        /// The group.
        group: NewGroup,
    }
}

body! {
    /// Fields of a user group to change.
    pub(crate) struct GroupChange {
        /// Name, unique.
        name: Option<Text<Free, 1, 128>>,
        /// What it is for.
        description: Option<Text<Free, 0, 255>>,
    }
}

body! {
    /// See `group`.
    pub(crate) struct UpdateGroup {
        /// What changes.
        group: GroupChange,
    }
}

reply! {
    /// A user group.
    pub(crate) struct Group {
        /// Its id.
        id: String,
        /// Its name.
        name: String,
        /// What it is for.
        description: String,
        /// The platform's one domain.
        domain_id: String,
        /// When it was made, in milliseconds since 1970.
        create_time: i64,
    }
}

reply! {
    /// A user group of its own.
    pub(crate) struct OneGroup {
        /// The group.
        group: Group,
    }
}

reply! {
    /// User groups.
    pub(crate) struct Groups {
        /// Oldest first.
        groups: Vec<Group>,
    }
}

fn show_group(call: &Call, group: UserGroup) -> Group {
    Group {
        id: group.id,
        name: group.name,
        description: group.description,
        domain_id: super::domain(call).id,
        create_time: group.created_at.0,
    }
}

fn many(call: &Call, groups: Vec<UserGroup>) -> Result<Reply> {
    Reply::ok(&Groups { groups: groups.into_iter().map(|g| show_group(call, g)).collect() })
}

pub(super) static CREATE: Built = Built::new("Creates a user group.", json::<OneGroup>(201), |c| Box::pin(create(c)))
    .body::<CreateGroup>()
    .errors(&[Code::NotPermitted, Code::UserGroupExists, Code::TooManyUserGroups]);

async fn create(call: Call) -> Result<Reply> {
    call.require_everywhere().await?;
    let new = call.body::<CreateGroup>()?.group;
    let description = new.description.as_ref().map_or("", Text::as_str);
    let group = call.platform().create_user_group(new.name.as_str(), description).await?;
    Reply::created(&OneGroup { group: show_group(&call, group) })
}

pub(super) static LIST: Built = Built::new("Lists the user groups.", json::<Groups>(200), |c| Box::pin(list(c)))
    .query(&[
        Param::optional::<Text<Any, 0, 255>>("name", "Only the group of this name."),
        Param::optional::<Text<Any, 0, 64>>("domain_id", "The platform's one domain; another has no groups."),
    ])
    .errors(&[Code::NotPermitted]);

async fn list(call: Call) -> Result<Reply> {
    call.require_everywhere().await?;
    let name = call.text("name")?.filter(|n| !n.is_empty());
    let own = super::is_own_domain(&call)?;
    let mut groups = call.platform().user_groups().await?;
    groups.retain(|g| own && name.is_none_or(|n| n == g.name));
    many(&call, groups)
}

pub(super) static SHOW: Built = Built::new("Shows a user group.", json::<OneGroup>(200), |c| Box::pin(show(c)))
    .errors(&[Code::NotPermitted, Code::UserGroupNotFound]);

async fn show(call: Call) -> Result<Reply> {
    call.require_everywhere().await?;
    let group = call.platform().user_group(call.path("group_id")).await?;
    Reply::ok(&OneGroup { group: show_group(&call, group) })
}

pub(super) static UPDATE: Built = Built::new("Changes a user group.", json::<OneGroup>(200), |c| Box::pin(update(c)))
    .body::<UpdateGroup>()
    .errors(&[Code::NotPermitted, Code::UserGroupNotFound, Code::UserGroupExists, Code::BuiltInRole]);

async fn update(call: Call) -> Result<Reply> {
    call.require_everywhere().await?;
    let change = call.body::<UpdateGroup>()?.group;
    let (name, description) = (change.name.map(Text::into_string), change.description.map(Text::into_string));
    let group = call.platform().change_user_group(call.path("group_id"), name, description).await?;
    Reply::ok(&OneGroup { group: show_group(&call, group) })
}

pub(super) static DELETE: Built =
    Built::new("Deletes a user group; its members lose what is granted to it.", Success::Empty, |c| {
        Box::pin(delete(c))
    })
    .errors(&[Code::NotPermitted, Code::UserGroupNotFound, Code::BuiltInRole]);

async fn delete(call: Call) -> Result<Reply> {
    call.require_everywhere().await?;
    call.platform().delete_user_group(call.path("group_id")).await?;
    Ok(Reply::empty())
}

pub(super) static LIST_OF_USER: Built =
    Built::new("Lists the groups of a user; users may ask for their own.", json::<Groups>(200), |c| {
        Box::pin(list_of_user(c))
    })
    .account()
    .errors(&[Code::NotPermitted, Code::UserNotFound]);

async fn list_of_user(call: Call) -> Result<Reply> {
    super::require_for_user(&call).await?;
    let groups = call.platform().groups_of(call.path("user_id")).await?;
    many(&call, groups)
}

pub(super) static LIST_MEMBERS: Built =
    Built::new("Lists the members of a user group.", json::<KeystoneUsers>(200), |c| Box::pin(list_members(c)))
        .errors(&[Code::NotPermitted, Code::UserGroupNotFound]);

async fn list_members(call: Call) -> Result<Reply> {
    call.require_everywhere().await?;
    let users = call.platform().members(call.path("group_id")).await?;
    Reply::ok(&KeystoneUsers { users: users.into_iter().map(|u| KeystoneUser::of(&call, u)).collect() })
}

pub(super) static ADD_MEMBER: Built =
    Built::new("Puts a user into a group.", Success::Empty, |c| Box::pin(add_member(c))).errors(&[
        Code::NotPermitted,
        Code::UserGroupNotFound,
        Code::UserNotFound,
    ]);

async fn add_member(call: Call) -> Result<Reply> {
    call.require_everywhere().await?;
    call.platform().add_member(call.path("group_id"), call.path("user_id")).await?;
    Ok(Reply::empty())
}

pub(super) static CHECK_MEMBER: Built =
    Built::new("Tells whether a user is in a group.", Success::Empty, |c| Box::pin(check_member(c))).errors(&[
        Code::NotPermitted,
        Code::UserGroupNotFound,
        Code::UserNotFound,
        Code::NotGranted,
    ]);

async fn check_member(call: Call) -> Result<Reply> {
    call.require_everywhere().await?;
    call.platform().check_member(call.path("group_id"), call.path("user_id")).await?;
    Ok(Reply::empty())
}

pub(super) static REMOVE_MEMBER: Built =
    Built::new("Takes a user out of a group.", Success::Empty, |c| Box::pin(remove_member(c))).errors(&[
        Code::NotPermitted,
        Code::UserGroupNotFound,
        Code::UserNotFound,
        Code::NotGranted,
        Code::LastAdministrator,
    ]);

async fn remove_member(call: Call) -> Result<Reply> {
    call.require_everywhere().await?;
    call.platform().remove_member(call.path("group_id"), call.path("user_id")).await?;
    Ok(Reply::empty())
}
