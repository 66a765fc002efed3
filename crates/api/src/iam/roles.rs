//! Policies, called roles in paths.

use causeway_model::{Code, Error, Result};
use causeway_platform::iam::{PolicyContent, Role, RoleSource};
use serde_json::value::RawValue;

use crate::bounded::{Any, Free, Text, Word, words};
use crate::call::{Call, Reply};
use crate::operation::{Built, Param, Success, json};
use crate::shape::{body, reply};

words! {
    /// Where a custom policy is shown.
    RoleType: "AX" | "XA";
}

body! {
    /// A custom policy to create or to write anew.
    pub(crate) struct NewRole {
        /// Name, unique.
        display_name: Text<Free, 1, 128>,
        /// Shown for the domain (AX) or for projects (XA).
        r#type: Word<RoleType>,
        /// What it is for.
        description: Option<Text<Free, 0, 256>>,
        /// The same in Chinese.
        description_cn: Option<Text<Free, 0, 256>>,
        /// The policy: {"Version": "1.1", "Statement": [{"Effect", "Action", "Resource"}]}.
        policy: Box<RawValue>,
    }
}

body! {
    /// See `role`.
    pub(crate) struct WriteRole {
        /// The policy.
        role: NewRole,
    }
}

reply! {
    /// A policy with its document.
    pub(crate) struct RoleReply {
        /// Its id.
        id: String,
        /// Name inside the platform.
        name: String,
        /// Name.
        display_name: String,
        /// Where it is shown.
        r#type: String,
        /// The service it is about, CUSTOMED for custom policies.
        catalog: &'static str,
        /// What it is for.
        description: String,
        /// The same in Chinese.
        description_cn: String,
        /// The platform's one domain; absent for system policies.
        domain_id: Option<String>,
        /// The document.
        policy: Box<RawValue>,
        /// When it was made, in milliseconds since 1970.
        created_time: Option<String>,
        /// When it was changed last, in milliseconds since 1970.
        updated_time: Option<String>,
        /// To how many groups it is granted.
        references: Option<u64>,
    }
}

reply! {
    /// A policy of its own.
    pub(crate) struct OneRole {
        /// The policy.
        role: RoleReply,
    }
}

reply! {
    /// Policies.
    pub(crate) struct Roles {
        /// One page of them.
        roles: Vec<RoleReply>,
        /// All that match.
        total_number: u64,
    }
}

impl RoleReply {
    pub(super) fn of(call: &Call, role: Role) -> Result<Self> {
        let custom = role.source == RoleSource::Custom;
        Ok(Self {
            id: role.id,
            name: role.name,
            display_name: role.content.display_name,
            r#type: role.content.kind,
            catalog: role.catalog,
            description: role.content.description,
            description_cn: role.content.description_cn,
            domain_id: custom.then(|| super::domain(call).id),
            policy: RawValue::from_string(role.content.document).map_err(Error::internal)?,
            created_time: role.created_at.map(|t| t.0.to_string()),
            updated_time: role.updated_at.map(|t| t.0.to_string()),
            references: None,
        })
    }
}

fn content(new: NewRole) -> PolicyContent {
    let text = |text: Option<Text<Free, 0, 256>>| text.map(Text::into_string).unwrap_or_default();
    PolicyContent {
        display_name: new.display_name.into_string(),
        kind: new.r#type.as_str().to_owned(),
        description: text(new.description),
        description_cn: text(new.description_cn),
        document: new.policy.get().to_owned(),
    }
}

pub(super) static CREATE: Built = Built::new("Creates a custom policy.", json::<OneRole>(201), |c| Box::pin(create(c)))
    .body::<WriteRole>()
    .errors(&[Code::NotPermitted, Code::InvalidRole, Code::RoleExists, Code::TooManyRoles]);

async fn create(call: Call) -> Result<Reply> {
    call.require_everywhere().await?;
    let role = call.platform().create_role(content(call.body::<WriteRole>()?.role)).await?;
    Reply::created(&OneRole { role: RoleReply::of(&call, role)? })
}

pub(super) static UPDATE: Built =
    Built::new("Writes a custom policy anew.", json::<OneRole>(200), |c| Box::pin(update(c)))
        .body::<WriteRole>()
        .errors(&[Code::NotPermitted, Code::RoleNotFound, Code::InvalidRole, Code::RoleExists, Code::BuiltInRole]);

async fn update(call: Call) -> Result<Reply> {
    call.require_everywhere().await?;
    let content = content(call.body::<WriteRole>()?.role);
    let role = call.platform().change_role(call.path("role_id"), content).await?;
    Reply::ok(&OneRole { role: RoleReply::of(&call, role)? })
}

pub(super) static DELETE: Built =
    Built::new("Deletes a custom policy that is granted to nobody.", Success::Empty, |c| Box::pin(delete(c)))
        .errors(&[Code::NotPermitted, Code::RoleNotFound, Code::RoleInUse, Code::BuiltInRole]);

async fn delete(call: Call) -> Result<Reply> {
    call.require_everywhere().await?;
    call.platform().delete_role(call.path("role_id")).await?;
    Ok(Reply::empty())
}

pub(super) static SHOW_CUSTOM: Built =
    Built::new("Shows a custom policy.", json::<OneRole>(200), |c| Box::pin(show_custom(c)))
        .errors(&[Code::NotPermitted, Code::RoleNotFound]);

async fn show_custom(call: Call) -> Result<Reply> {
    call.require_everywhere().await?;
    let id = call.path("role_id");
    let role = call.platform().role(id).await?;
    if role.source != RoleSource::Custom {
        return Err(Error::new(Code::RoleNotFound, format!("The policy '{id}' is no custom policy.")));
    }
    let references = Some(call.platform().role_references(id).await?);
    Reply::ok(&OneRole { role: RoleReply { references, ..RoleReply::of(&call, role)? } })
}

pub(super) static SHOW: Built = Built::new("Shows a policy.", json::<OneRole>(200), |c| Box::pin(show(c)))
    .errors(&[Code::NotPermitted, Code::RoleNotFound]);

async fn show(call: Call) -> Result<Reply> {
    call.require_everywhere().await?;
    let role = call.platform().role(call.path("role_id")).await?;
    Reply::ok(&OneRole { role: RoleReply::of(&call, role)? })
}

/// Pages in the manner of IAM: `page` from 1, `per_page` up to 300; all without them.
async fn paged(call: &Call, matches: impl Fn(&Role) -> bool) -> Result<Reply> {
    let page = call.number::<1, 1_000_000>("page", Code::InvalidInput)?;
    let per_page = call.number::<1, 300>("per_page", Code::InvalidInput)?;
    let roles: Vec<Role> = call.platform().roles().await?.into_iter().filter(matches).collect();
    let total_number = roles.len() as u64;
    let whole = if page.is_none() && per_page.is_none() { i64::MAX } else { 300 };
    let size = usize::try_from(per_page.unwrap_or(whole)).unwrap_or(usize::MAX);
    let before = usize::try_from(page.unwrap_or(1) - 1).unwrap_or(usize::MAX).saturating_mul(size);
    let roles = roles.into_iter().skip(before).take(size).map(|r| RoleReply::of(call, r)).collect::<Result<_>>()?;
    Reply::ok(&Roles { roles, total_number })
}

const PAGE: Param = Param::optional::<crate::bounded::Int<1, 1_000_000>>("page", "Which page, from 1 on.");
const PER_PAGE: Param = Param::optional::<crate::bounded::Int<1, 300>>("per_page", "Records of a page.");

pub(super) static LIST_CUSTOM: Built =
    Built::new("Lists the custom policies.", json::<Roles>(200), |c| Box::pin(list_custom(c)))
        .query(&[PAGE, PER_PAGE])
        .errors(&[Code::NotPermitted]);

async fn list_custom(call: Call) -> Result<Reply> {
    call.require_everywhere().await?;
    paged(&call, |r| r.source == RoleSource::Custom).await
}

pub(super) static LIST: Built = Built::new("Lists all policies.", json::<Roles>(200), |c| Box::pin(list(c)))
    .query(&[
        PAGE,
        PER_PAGE,
        Param::optional::<Text<Any, 0, 255>>("name", "Only the policy of this name."),
        Param::optional::<Text<Any, 0, 255>>("display_name", "Only policies whose shown name holds this."),
        Param::optional::<Text<Any, 0, 64>>("domain_id", "Only the custom policies of this domain."),
        Param::optional::<Text<Any, 0, 64>>("catalog", "Only policies of this service."),
        Param::optional::<Text<Any, 0, 64>>("permission_type", "`policy`; there are no roles of the older kind."),
        Param::optional::<Text<Any, 0, 64>>("type", "Where they are shown: domain, project or all."),
    ])
    .errors(&[Code::NotPermitted]);

async fn list(call: Call) -> Result<Reply> {
    call.require_everywhere().await?;
    let given = |name: &str| Ok::<_, Error>(call.text(name)?.filter(|v| !v.is_empty()).map(str::to_owned));
    let (name, display_name, catalog) = (given("name")?, given("display_name")?, given("catalog")?);
    let of_domain = given("domain_id")?.is_some();
    let own_domain = super::is_own_domain(&call)?;
    let no_policies = given("permission_type")?.is_some_and(|t| t != "policy");
    let shown = given("type")?;
    paged(&call, |role| {
        let kind = role.content.kind.as_bytes();
        let fits = match shown.as_deref() {
            None | Some("all") => true,
            Some("domain") => kind[0] == b'A',
            Some("project") => kind[1] == b'A',
            Some(_) => false,
        };
        fits && !no_policies
            && name.as_ref().is_none_or(|n| *n == role.name)
            && display_name.as_ref().is_none_or(|n| role.content.display_name.contains(n))
            && catalog.as_ref().is_none_or(|c| *c == role.catalog)
            && (!of_domain || own_domain && role.source == RoleSource::Custom)
    })
    .await
}
