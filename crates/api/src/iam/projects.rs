//! The one domain and the one project. The vendor's projects bear the names of regions; a self-hosted platform has none.

use causeway_model::{Code, Error, Result};

use super::PROJECT_NAME;
use crate::bounded::{Any, Text};
use crate::call::{Call, Reply};
use crate::operation::{Built, Param, json};
use crate::shape::reply;

reply! {
    /// A project.
    pub(crate) struct Project {
        /// Its id.
        id: String,
        /// Its name.
        name: String,
        /// Its domain.
        domain_id: String,
        /// Its parent.
        parent_id: String,
        /// What it is for.
        description: &'static str,
        /// Whether it is in use.
        enabled: bool,
        /// Whether it is a domain.
        is_domain: bool,
    }
}

reply! {
    /// The projects.
    pub(crate) struct Projects {
        /// The platform's one project.
        projects: Vec<Project>,
    }
}

reply! {
    /// A project of its own.
    pub(crate) struct OneProject {
        /// The project.
        project: Project,
    }
}

reply! {
    /// A domain, called account too.
    pub(crate) struct AccountDomain {
        /// Its id.
        id: String,
        /// Its name.
        name: String,
        /// What it is for.
        description: &'static str,
        /// Whether it is in use.
        enabled: bool,
    }
}

reply! {
    /// The domains.
    pub(crate) struct AccountDomains {
        /// The platform's one domain.
        domains: Vec<AccountDomain>,
    }
}

fn project(call: &Call) -> Project {
    let domain_id = super::domain(call).id;
    Project {
        id: call.platform().instance.project_id.to_string(),
        name: PROJECT_NAME.to_owned(),
        parent_id: domain_id.clone(),
        domain_id,
        description: "",
        enabled: true,
        is_domain: false,
    }
}

/// Refuses paths that name another domain or project.
pub(super) fn check_place(call: &Call, parameter: &str) -> Result<()> {
    let instance = &call.platform().instance;
    let own = if parameter == "domain_id" { instance.id.as_str() } else { instance.project_id.as_str() };
    if call.path(parameter) == own {
        return Ok(());
    }
    let message = format!("The '{parameter}' in the path is not the platform's. GET /v3/auth/projects shows both.");
    Err(Error::new(Code::ProjectNotFound, message))
}

pub(super) static LIST_NAMED: Built =
    Built::new("Shows the platform's one project. SDKs without a project id ask for it.", json::<Projects>(200), |c| {
        Box::pin(list(c))
    })
    .query(&[Param::optional::<Text<Any, 0, 255>>("name", "Name of a region; any means the platform's one project.")]);

pub(super) static LIST: Built =
    Built::new("Shows the platform's one project.", json::<Projects>(200), |c| Box::pin(list(c)));

async fn list(call: Call) -> Result<Reply> {
    Reply::ok(&Projects { projects: vec![project(&call)] })
}

pub(super) static LIST_OF_USER: Built =
    Built::new("Shows the platform's one project for a user.", json::<Projects>(200), |c| Box::pin(list_of_user(c)))
        .account()
        .errors(&[Code::NotPermitted, Code::UserNotFound]);

async fn list_of_user(call: Call) -> Result<Reply> {
    super::require_for_user(&call).await?;
    call.platform().user(call.path("user_id")).await?;
    list(call).await
}

pub(super) static SHOW: Built =
    Built::new("Shows a project.", json::<OneProject>(200), |c| Box::pin(show(c))).errors(&[Code::ProjectNotFound]);

async fn show(call: Call) -> Result<Reply> {
    check_place(&call, "project_id")?;
    Reply::ok(&OneProject { project: project(&call) })
}

pub(super) static LIST_DOMAINS: Built = Built::new(
    "Shows the platform's one domain. SDKs without a domain id ask for it.",
    json::<AccountDomains>(200),
    |c| Box::pin(list_domains(c)),
);

async fn list_domains(call: Call) -> Result<Reply> {
    let super::Domain { id, name } = super::domain(&call);
    Reply::ok(&AccountDomains { domains: vec![AccountDomain { id, name, description: "", enabled: true }] })
}
