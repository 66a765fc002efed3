//! What both stores refuse in the same words, about users.

use causeway_model::{Code, Error, Result};

/// Things of which there may be so many.
#[derive(Clone, Copy)]
pub(crate) enum Limit {
    Users(u32),
    Groups(u32),
    Policies(u32),
    AccessKeys(u32),
}

impl Limit {
    /// Refuses one more when there are `count`.
    pub(crate) fn check(self, count: i64) -> Result<()> {
        let (limit, code, things) = match self {
            Self::Users(limit) => (limit, Code::TooManyUsers, "users"),
            Self::Groups(limit) => (limit, Code::TooManyUserGroups, "user groups"),
            Self::Policies(limit) => (limit, Code::TooManyRoles, "custom policies"),
            Self::AccessKeys(limit) => (limit, Code::TooManyAccessKeys, "access keys of the user"),
        };
        if count < i64::from(limit) {
            return Ok(());
        }
        let message =
            format!("Operation not allowed. The number of {things} has reached its limit, {limit}. Delete one first.");
        Err(Error::new(code, message))
    }
}

pub(crate) fn last_administrator() -> Error {
    Error::new(
        Code::LastAdministrator,
        "Operation not allowed. The group 'admin' would have no member left that is enabled.",
    )
}

pub(crate) fn user_exists(name: &str) -> Error {
    Error::new(Code::UserExists, format!("Invalid input. A user with the name '{name}' exists."))
}

pub(crate) fn group_exists(name: &str) -> Error {
    Error::new(Code::UserGroupExists, format!("Invalid input. A user group with the name '{name}' exists."))
}

pub(crate) fn policy_exists(name: &str) -> Error {
    Error::new(Code::RoleExists, format!("Invalid input. A custom policy with the name '{name}' exists."))
}

pub(crate) fn policy_in_use() -> Error {
    Error::new(Code::RoleInUse, "Operation not allowed. The policy is granted to user groups. Revoke it first.")
}

pub(crate) fn no_such_user() -> Error {
    Error::new(Code::UserNotFound, "The user does not exist.")
}
