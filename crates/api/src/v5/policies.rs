//! Device policies (`iotda-v5-api.md`, device policies).

use causeway_model::policy::{DevicePolicy, Effect, PolicyFilter, Statement as Said, TargetKind, TopicAction};
use causeway_model::{AppId, Code, Error, Result};
use causeway_platform::policy::{BindOutcome, NewPolicy, PolicyChange};

use crate::bounded::{Any, Id, Ident, Text, Word, words};
use crate::call::{Call, Page, Reply, page_of_body};
use crate::operation::{Built, Param, Success, json};
use crate::shape::{Compact, body, reply};

words! {
    /// What a statement does.
    Effects: "ALLOW" | "DENY";
    /// What a device does with a topic.
    Actions: "iotda:devices:publish" | "iotda:devices:subscribe";
    /// What a policy is bound to.
    TargetTypes: "device" | "product" | "app";
}

/// Most things that one call binds or unbinds.
const MAX_TARGETS: usize = 100;

body! {
    /// A statement of a policy.
    pub(crate) struct StatementBody {
        /// ALLOW or DENY; DENY wins.
        effect: Word<Effects>,
        /// What it allows or denies.
        actions: Vec<Word<Actions>>,
        /// 1 to 10 resources `topic:` and a pattern in which `*` stands for any characters and `?` for one;
        /// `${devices.deviceId}`, `${devices.productId}`, `${devices.nodeId}` and `${devices.clientId}` for the device's.
        resources: Vec<Text<Any, 1, 2048>>,
    }
}

body! {
    /// A policy to create.
    pub(crate) struct CreatePolicy {
        /// Display name.
        policy_name: Text<Ident, 1, 128>,
        /// Resource space; the default one when absent.
        app_id: Option<Id<AppId>>,
        /// 1 to 10 statements, 10 KB together.
        statement: Vec<StatementBody>,
    }
}

body! {
    /// Fields of a policy to change; absent ones keep their value.
    pub(crate) struct UpdatePolicy {
        /// Display name.
        policy_name: Option<Text<Ident, 1, 128>>,
        /// The statements, all of them.
        statement: Option<Vec<StatementBody>>,
    }
}

body! {
    /// What to bind a policy to, or to unbind from it.
    pub(crate) struct PolicyTargets {
        /// Kind of the things named.
        target_type: Word<TargetTypes>,
        /// Their ids, 1 to 100.
        target_ids: Vec<Text<Any, 1, 128>>,
    }
}

body! {
    /// Which of the things to list that a policy is bound to.
    pub(crate) struct ListTargets {
        /// Only things of this kind.
        target_type: Option<Word<TargetTypes>>,
        /// Records of a page, 1 to 50; 10 when absent.
        limit: Option<i64>,
        /// Only records before this one: 24 hexadecimal digits from the previous page.
        marker: Option<Text<Any, 0, 64>>,
        /// Skip so many of them, 0 to 500.
        offset: Option<i64>,
    }
}

reply! {
    /// A statement of a policy.
    pub(crate) struct StatementReply {
        /// ALLOW or DENY.
        effect: &'static str,
        /// What it allows or denies.
        actions: Vec<&'static str>,
        /// Which topics.
        resources: Vec<String>,
    }
}

reply! {
    /// A device policy.
    pub(crate) struct PolicyReply {
        /// Resource space.
        app_id: String,
        /// The id.
        policy_id: String,
        /// Display name.
        policy_name: String,
        /// What it says.
        statement: Vec<StatementReply>,
        /// When it was made.
        create_time: Compact,
        /// When it was changed last.
        update_time: Compact,
    }
}

reply! {
    /// A device policy in a list.
    pub(crate) struct PolicyItem {
        /// Resource space.
        app_id: String,
        /// The id.
        policy_id: String,
        /// Display name.
        policy_name: String,
        /// When it was made.
        create_time: Compact,
        /// When it was changed last.
        update_time: Compact,
    }
}

reply! {
    /// A page of device policies.
    pub(crate) struct PolicyList {
        /// The policies, newest first.
        policies: Vec<PolicyItem>,
        /// The page.
        page: Page,
    }
}

reply! {
    /// A thing for which it was not done, and why.
    pub(crate) struct BindFailure {
        /// Its id.
        target_id: String,
        /// Stable code.
        error_code: &'static str,
        /// What to do.
        error_msg: String,
    }
}

reply! {
    /// What became of binding or unbinding.
    pub(crate) struct BindReply {
        /// The policy.
        policy_id: String,
        /// Kind of the things.
        target_type: &'static str,
        /// Ids for which it was done.
        success_targets: Vec<String>,
        /// Those for which it was not.
        failure_targets: Vec<BindFailure>,
    }
}

reply! {
    /// A thing that a policy is bound to.
    pub(crate) struct TargetReply {
        /// Its kind.
        target_type: &'static str,
        /// Its id.
        target_id: String,
    }
}

reply! {
    /// A page of what a policy is bound to.
    pub(crate) struct TargetList {
        /// The things, newest first.
        targets: Vec<TargetReply>,
        /// The page.
        page: Page,
    }
}

fn said(statements: Vec<StatementBody>) -> Vec<Said> {
    let action = |word: Word<Actions>| match word.as_str() {
        "iotda:devices:publish" => TopicAction::Publish,
        _ => TopicAction::Subscribe,
    };
    statements
        .into_iter()
        .map(|s| Said {
            effect: if s.effect.as_str() == "DENY" { Effect::Deny } else { Effect::Allow },
            actions: s.actions.into_iter().map(action).collect(),
            resources: s.resources.into_iter().map(Text::into_string).collect(),
        })
        .collect()
}

fn policy_reply(policy: DevicePolicy) -> PolicyReply {
    let statement = policy
        .statements
        .into_iter()
        .map(|s| StatementReply {
            effect: if s.effect == Effect::Deny { "DENY" } else { "ALLOW" },
            actions: s
                .actions
                .iter()
                .map(|a| match a {
                    TopicAction::Publish => "iotda:devices:publish",
                    TopicAction::Subscribe => "iotda:devices:subscribe",
                })
                .collect(),
            resources: s.resources,
        })
        .collect();
    PolicyReply {
        app_id: policy.app_id.to_string(),
        policy_id: policy.id,
        policy_name: policy.name,
        statement,
        create_time: Compact(policy.created_at),
        update_time: Compact(policy.updated_at),
    }
}

pub(super) static CREATE: Built =
    Built::new("Creates a device policy. It takes effect when it is bound.", json::<PolicyReply>(201), |c| {
        Box::pin(create(c))
    })
    .body::<CreatePolicy>()
    .errors(&[Code::AppNotFound, Code::TooManyPolicies]);

async fn create(call: Call) -> Result<Reply> {
    let new: CreatePolicy = call.body()?;
    let spaces = call.spaces(new.app_id.map(|id| id.0))?;
    let new = NewPolicy { spaces, name: new.policy_name.into_string(), statements: said(new.statement) };
    Reply::created(&policy_reply(call.platform().create_policy(new).await?))
}

type NameFilter = Text<Any, 0, 256>;

pub(super) static LIST: Built = Built::new("Lists device policies.", json::<PolicyList>(200), |c| Box::pin(list(c)))
    .query(&[
        Param::optional::<AppId>("app_id", "Only of this resource space."),
        Param::optional::<NameFilter>("policy_name", "Only those whose name contains this text."),
    ])
    .paged()
    .errors(&[Code::AppNotFound]);

async fn list(call: Call) -> Result<Reply> {
    let filter = PolicyFilter {
        spaces: call.spaces(call.query("app_id")?)?,
        name: call.query::<NameFilter>("policy_name")?.map(Text::into_string),
    };
    let found = call.platform().list_policies(&filter, call.page()?).await?;
    let page = Page::of(&found);
    let item = |policy: DevicePolicy| PolicyItem {
        app_id: policy.app_id.to_string(),
        policy_id: policy.id,
        policy_name: policy.name,
        create_time: Compact(policy.created_at),
        update_time: Compact(policy.updated_at),
    };
    Reply::ok(&PolicyList { policies: found.items.into_iter().map(item).collect(), page })
}

pub(super) static SHOW: Built = Built::new("Shows a device policy.", json::<PolicyReply>(200), |c| Box::pin(show(c)))
    .errors(&[Code::PolicyNotFound]);

async fn show(call: Call) -> Result<Reply> {
    Reply::ok(&policy_reply(call.platform().policy(&call.allowed, call.path("policy_id")).await?))
}

pub(super) static UPDATE: Built =
    Built::new("Changes a device policy. Connected devices follow at once.", json::<PolicyReply>(200), |c| {
        Box::pin(update(c))
    })
    .body::<UpdatePolicy>()
    .errors(&[Code::PolicyNotFound]);

async fn update(call: Call) -> Result<Reply> {
    let change: UpdatePolicy = call.body()?;
    let change =
        PolicyChange { name: change.policy_name.map(Text::into_string), statements: change.statement.map(said) };
    let policy = call.platform().update_policy(&call.allowed, call.path("policy_id"), change).await?;
    Reply::ok(&policy_reply(policy))
}

pub(super) static DELETE: Built =
    Built::new("Deletes a device policy and unbinds everything from it.", Success::Empty, |c| Box::pin(delete(c)))
        .errors(&[Code::PolicyNotFound]);

async fn delete(call: Call) -> Result<Reply> {
    call.platform().delete_policy(&call.allowed, call.path("policy_id")).await?;
    Ok(Reply::empty())
}

pub(super) static BIND: Built =
    Built::new("Binds a device policy to devices, products or its resource space.", json::<BindReply>(200), |c| {
        Box::pin(bind(c, true))
    })
    .body::<PolicyTargets>()
    .errors(&[Code::PolicyNotFound]);

pub(super) static UNBIND: Built =
    Built::new("Unbinds a device policy.", json::<BindReply>(200), |c| Box::pin(bind(c, false)))
        .body::<PolicyTargets>()
        .errors(&[Code::PolicyNotFound]);

async fn bind(call: Call, binds: bool) -> Result<Reply> {
    let asked: PolicyTargets = call.body()?;
    if !(1..=MAX_TARGETS).contains(&asked.target_ids.len()) {
        return Err(Error::invalid(format!("Invalid input. 'target_ids' must hold 1 to {MAX_TARGETS} ids.")));
    }
    let kind = kind(&asked.target_type)?;
    let ids = asked.target_ids.into_iter().map(Text::into_string).collect();
    let (spaces, id) = (&call.allowed, call.path("policy_id"));
    let (policy, BindOutcome { done, failed }) = if binds {
        call.platform().bind_policy(spaces, id, kind, ids).await?
    } else {
        call.platform().unbind_policy(spaces, id, kind, ids).await?
    };
    let failure = |(target_id, error): (String, Error)| BindFailure {
        target_id,
        error_code: error.code().as_str(),
        error_msg: error.message().to_owned(),
    };
    Reply::ok(&BindReply {
        policy_id: policy.id,
        target_type: kind.as_str(),
        success_targets: done,
        failure_targets: failed.into_iter().map(failure).collect(),
    })
}

fn kind(word: &Word<TargetTypes>) -> Result<TargetKind> {
    TargetKind::parse(word.as_str()).ok_or_else(|| Error::internal("a kind of target without its word"))
}

pub(super) static TARGETS: Built =
    Built::new("Lists what a device policy is bound to.", json::<TargetList>(200), |c| Box::pin(targets(c)))
        .body::<ListTargets>()
        .errors(&[Code::PolicyNotFound, Code::LimitOutOfRange, Code::MarkerOutOfRange, Code::OffsetOutOfRange]);

async fn targets(call: Call) -> Result<Reply> {
    let asked: ListTargets = call.body()?;
    let page = page_of_body(asked.limit, asked.marker.as_ref().map(Text::as_str), asked.offset)?;
    let kind = asked.target_type.as_ref().map(kind).transpose()?;
    let found = call.platform().policy_targets(&call.allowed, call.path("policy_id"), kind, page).await?;
    let page = Page::of(&found);
    let targets =
        found.items.into_iter().map(|t| TargetReply { target_type: t.kind.as_str(), target_id: t.id }).collect();
    Reply::ok(&TargetList { targets, page })
}
