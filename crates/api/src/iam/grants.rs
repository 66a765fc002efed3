//! Granting policies to groups: for the domain, the project, or all projects. There is one of each, so the three mean the
//! same; each is listed and revoked as it was granted.

use causeway_model::{Code, Error, Result};
use causeway_platform::iam::GrantScope;

use super::projects::check_place;
use super::roles::{RoleReply, Roles};
use crate::call::{Call, Reply};
use crate::operation::{Built, Success, json};

/// Checks caller and path; the group and the scope that it names.
async fn place(call: &Call) -> Result<GrantScope> {
    call.require_everywhere().await?;
    let path = call.operation.path;
    let (scope, parameter) = match path {
        _ if path.contains("OS-INHERIT") => (GrantScope::AllProjects, "domain_id"),
        _ if path.contains("{domain_id}") => (GrantScope::Domain, "domain_id"),
        _ => (GrantScope::Project, "project_id"),
    };
    check_place(call, parameter)?;
    Ok(scope)
}

async fn list(call: Call) -> Result<Reply> {
    let scope = place(&call).await?;
    let roles = call.platform().granted_roles(call.path("group_id"), scope).await?;
    let total_number = roles.len() as u64;
    let roles = roles.into_iter().map(|r| RoleReply::of(&call, r)).collect::<Result<_>>()?;
    Reply::ok(&Roles { roles, total_number })
}

async fn grant(call: Call) -> Result<Reply> {
    let scope = place(&call).await?;
    call.platform().grant_role(call.path("group_id"), call.path("role_id"), scope).await?;
    Ok(Reply::empty())
}

async fn check(call: Call) -> Result<Reply> {
    let scope = place(&call).await?;
    let roles = call.platform().granted_roles(call.path("group_id"), scope).await?;
    let role = call.path("role_id");
    if roles.iter().any(|r| r.id == role) {
        return Ok(Reply::empty());
    }
    Err(Error::new(Code::NotGranted, format!("The policy '{role}' is not granted to the group.")))
}

async fn revoke(call: Call) -> Result<Reply> {
    let scope = place(&call).await?;
    call.platform().revoke_role(call.path("group_id"), call.path("role_id"), scope).await?;
    Ok(Reply::empty())
}

const fn list_of(summary: &'static str) -> Built {
    Built::new(summary, json::<Roles>(200), |c| Box::pin(list(c))).errors(&[
        Code::NotPermitted,
        Code::ProjectNotFound,
        Code::UserGroupNotFound,
    ])
}

const fn grant_of(summary: &'static str) -> Built {
    Built::new(summary, Success::Empty, |c| Box::pin(grant(c))).errors(&[
        Code::NotPermitted,
        Code::ProjectNotFound,
        Code::UserGroupNotFound,
        Code::RoleNotFound,
    ])
}

const fn check_of(summary: &'static str) -> Built {
    Built::new(summary, Success::Empty, |c| Box::pin(check(c))).errors(&[
        Code::NotPermitted,
        Code::ProjectNotFound,
        Code::UserGroupNotFound,
        Code::NotGranted,
    ])
}

const fn revoke_of(summary: &'static str) -> Built {
    Built::new(summary, Success::Empty, |c| Box::pin(revoke(c))).errors(&[
        Code::NotPermitted,
        Code::ProjectNotFound,
        Code::UserGroupNotFound,
        Code::NotGranted,
        Code::BuiltInRole,
    ])
}

pub(super) static LIST_DOMAIN: Built = list_of("Lists the policies granted to a group for the domain.");
pub(super) static GRANT_DOMAIN: Built = grant_of("Grants a policy to a group for the domain.");
pub(super) static CHECK_DOMAIN: Built = check_of("Tells whether a policy is granted to a group for the domain.");
pub(super) static REVOKE_DOMAIN: Built = revoke_of("Takes back a policy granted for the domain.");
pub(super) static LIST_PROJECT: Built = list_of("Lists the policies granted to a group for the project.");
pub(super) static GRANT_PROJECT: Built = grant_of("Grants a policy to a group for the project.");
pub(super) static CHECK_PROJECT: Built = check_of("Tells whether a policy is granted to a group for the project.");
pub(super) static REVOKE_PROJECT: Built = revoke_of("Takes back a policy granted for the project.");
pub(super) static LIST_INHERITED: Built = list_of("Lists the policies granted to a group for all projects.");
pub(super) static GRANT_INHERITED: Built = grant_of("Grants a policy to a group for all projects.");
pub(super) static CHECK_INHERITED: Built = check_of("Tells whether a policy is granted to a group for all projects.");
pub(super) static REVOKE_INHERITED: Built = revoke_of("Takes back a policy granted for all projects.");
