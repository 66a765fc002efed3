//! Policies of forwarding: backlog and flow control. They belong to the whole instance.

use causeway_model::forwarding::{BacklogPolicy as Backlog, FlowControlPolicy as Flow, FlowScope};
use causeway_model::{Code, Error, Result};
use causeway_platform::routing::{BacklogPolicyChange, FlowControlChange, NewBacklogPolicy};

use super::{NameFilter, RuleName};
use crate::bounded::{Any, Free, Int, Text, Word, words};
use crate::call::{Call, Reply};
use crate::operation::{Built, Param, Success, json};
use crate::shape::{body, reply};

words! {
    /// What flow control slows down.
    FlowScopes: "USER" | "CHANNEL" | "RULE" | "ACTION";
}

/// Bytes that wait for one target.
type BacklogSize = Int<0, 1_073_741_823>;
/// Seconds that a delivery waits.
type BacklogTime = Int<0, 86_399>;
/// Deliveries a second.
type FlowLimit = Int<1, 1000>;
type ScopeValue = Text<Any, 0, 64>;
type Description = Text<Free, 0, 256>;

const MOST_BYTES: i64 = 1_073_741_823;
const MOST_SECONDS: i64 = 86_399;
const MOST_A_SECOND: u32 = 1000;

body! {
    /// A backlog policy to create.
    pub(crate) struct CreateBacklogPolicy {
        /// A name for people.
        policy_name: Option<RuleName>,
        /// For people.
        description: Option<Description>,
        /// Bytes that wait for one target at most; the most when absent.
        backlog_size: Option<BacklogSize>,
        /// Seconds that a delivery waits at most; the most when absent.
        backlog_time: Option<BacklogTime>,
    }
}

body! {
    /// Fields of a backlog policy to change; absent ones keep their value.
    pub(crate) struct UpdateBacklogPolicy {
        /// A name for people.
        policy_name: Option<RuleName>,
        /// For people.
        description: Option<Description>,
        /// Bytes that wait for one target at most.
        backlog_size: Option<BacklogSize>,
        /// Seconds that a delivery waits at most.
        backlog_time: Option<BacklogTime>,
    }
}

body! {
    /// A flow control policy to create.
    pub(crate) struct CreateFlowControlPolicy {
        /// A name for people.
        policy_name: Option<RuleName>,
        /// For people.
        description: Option<Description>,
        /// What is slowed down: all of the instance (USER), a channel, a rule or an action. USER when absent.
        scope: Option<Word<FlowScopes>>,
        /// The channel's word, or the id of the rule or action. Not with USER.
        scope_value: Option<ScopeValue>,
        /// Deliveries a second; 1000 when absent.
        limit: Option<FlowLimit>,
    }
}

body! {
    /// Fields of a flow control policy to change; absent ones keep their value.
    pub(crate) struct UpdateFlowControlPolicy {
        /// A name for people.
        policy_name: Option<RuleName>,
        /// For people.
        description: Option<Description>,
        /// Deliveries a second.
        limit: Option<FlowLimit>,
    }
}

reply! {
    /// A backlog policy. The least of all policies counts for each target.
    pub(crate) struct BacklogPolicyReply {
        /// The id.
        policy_id: String,
        /// A name for people.
        policy_name: Option<String>,
        /// For people.
        description: Option<String>,
        /// Bytes that wait for one target at most.
        backlog_size: u64,
        /// Seconds that a delivery waits at most.
        backlog_time: u64,
    }
}

reply! {
    /// A page of backlog policies.
    pub(crate) struct BacklogPolicies {
        /// The policies, newest first.
        backlog_policies: Vec<BacklogPolicyReply>,
        /// All records that match, on any page.
        count: u64,
        /// Send it as `marker` to get the next page.
        marker: String,
    }
}

reply! {
    /// A flow control policy.
    pub(crate) struct FlowControlPolicyReply {
        /// The id.
        policy_id: String,
        /// A name for people.
        policy_name: Option<String>,
        /// For people.
        description: Option<String>,
        /// What is slowed down.
        scope: &'static str,
        /// The channel, rule or action.
        scope_value: Option<String>,
        /// Deliveries a second.
        limit: u64,
    }
}

reply! {
    /// A page of flow control policies.
    pub(crate) struct FlowControlPolicies {
        /// The policies, newest first.
        flowcontrol_policies: Vec<FlowControlPolicyReply>,
        /// All records that match, on any page.
        count: u64,
        /// Send it as `marker` to get the next page.
        marker: String,
    }
}

impl From<Backlog> for BacklogPolicyReply {
    fn from(policy: Backlog) -> Self {
        Self {
            policy_id: policy.id,
            policy_name: policy.name,
            description: policy.description,
            backlog_size: policy.size,
            backlog_time: policy.seconds,
        }
    }
}

impl From<Flow> for FlowControlPolicyReply {
    fn from(policy: Flow) -> Self {
        Self {
            scope: policy.scope.as_str(),
            scope_value: policy.scope.value().map(str::to_owned),
            policy_id: policy.id,
            policy_name: policy.name,
            description: policy.description,
            limit: u64::from(policy.limit),
        }
    }
}

fn natural(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

fn limit_of(limit: FlowLimit) -> u32 {
    u32::try_from(limit.0).unwrap_or(MOST_A_SECOND)
}

pub(in crate::v5) static CREATE_BACKLOG: Built =
    Built::new("Creates a backlog policy.", json::<BacklogPolicyReply>(201), |c| Box::pin(create_backlog(c)))
        .body::<CreateBacklogPolicy>()
        .errors(&[Code::NotPermitted, Code::TooManyRoutingPolicies]);

async fn create_backlog(call: Call) -> Result<Reply> {
    call.require_everywhere().await?;
    let new: CreateBacklogPolicy = call.body()?;
    let new = NewBacklogPolicy {
        name: new.policy_name.map(Text::into_string),
        description: new.description.map(Text::into_string),
        size: natural(new.backlog_size.map_or(MOST_BYTES, |n| n.0)),
        seconds: natural(new.backlog_time.map_or(MOST_SECONDS, |n| n.0)),
    };
    Reply::created(&BacklogPolicyReply::from(call.platform().create_backlog_policy(new).await?))
}

pub(in crate::v5) static LIST_BACKLOG: Built =
    Built::new("Lists backlog policies.", json::<BacklogPolicies>(200), |c| Box::pin(list_backlog(c)))
        .query(&[Param::optional::<NameFilter>("policy_name", "Only those whose name contains this text.")])
        .paged()
        .errors(&[Code::NotPermitted]);

async fn list_backlog(call: Call) -> Result<Reply> {
    call.require_everywhere().await?;
    let name = call.query::<NameFilter>("policy_name")?;
    let found = call.platform().list_backlog_policies(name.as_ref().map(Text::as_str), call.page()?).await?;
    let (count, marker) = (found.count, found.marker.to_string());
    let backlog_policies = found.items.into_iter().map(BacklogPolicyReply::from).collect();
    Reply::ok(&BacklogPolicies { backlog_policies, count, marker })
}

pub(in crate::v5) static SHOW_BACKLOG: Built =
    Built::new("Shows a backlog policy.", json::<BacklogPolicyReply>(200), |c| Box::pin(show_backlog(c)))
        .errors(&[Code::NotPermitted, Code::RoutingPolicyNotFound]);

async fn show_backlog(call: Call) -> Result<Reply> {
    call.require_everywhere().await?;
    Reply::ok(&BacklogPolicyReply::from(call.platform().backlog_policy(call.path("policy_id")).await?))
}

pub(in crate::v5) static UPDATE_BACKLOG: Built =
    Built::new("Changes a backlog policy.", json::<BacklogPolicyReply>(200), |c| Box::pin(update_backlog(c)))
        .body::<UpdateBacklogPolicy>()
        .errors(&[Code::NotPermitted, Code::RoutingPolicyNotFound]);

async fn update_backlog(call: Call) -> Result<Reply> {
    call.require_everywhere().await?;
    let change: UpdateBacklogPolicy = call.body()?;
    let change = BacklogPolicyChange {
        name: change.policy_name.map(Text::into_string),
        description: change.description.map(Text::into_string),
        size: change.backlog_size.map(|n| natural(n.0)),
        seconds: change.backlog_time.map(|n| natural(n.0)),
    };
    let changed = call.platform().update_backlog_policy(call.path("policy_id"), change).await?;
    Reply::ok(&BacklogPolicyReply::from(changed))
}

pub(in crate::v5) static DELETE_BACKLOG: Built =
    Built::new("Deletes a backlog policy.", Success::Empty, |c| Box::pin(delete_backlog(c)))
        .errors(&[Code::NotPermitted, Code::RoutingPolicyNotFound]);

async fn delete_backlog(call: Call) -> Result<Reply> {
    call.require_everywhere().await?;
    call.platform().delete_backlog_policy(call.path("policy_id")).await?;
    Ok(Reply::empty())
}

pub(in crate::v5) static CREATE_FLOW: Built =
    Built::new("Creates a flow control policy. What is too much waits.", json::<FlowControlPolicyReply>(201), |c| {
        Box::pin(create_flow(c))
    })
    .body::<CreateFlowControlPolicy>()
    .errors(&[
        Code::NotPermitted,
        Code::RoutingRuleNotFound,
        Code::RoutingActionNotFound,
        Code::FlowControlPolicyExists,
        Code::TooManyRoutingPolicies,
    ]);

fn scope_of(word: &str, value: Option<String>) -> Result<FlowScope> {
    match (word, value.filter(|v| !v.is_empty())) {
        ("USER", None) => Ok(FlowScope::User),
        ("USER", Some(_)) => Err(Error::invalid("Invalid input. 'scope_value' is not for the scope USER.")),
        ("CHANNEL", Some(value)) => Ok(FlowScope::Channel(value)),
        ("RULE", Some(value)) => Ok(FlowScope::Rule(value)),
        ("ACTION", Some(value)) => Ok(FlowScope::Action(value)),
        (_, _) => Err(Error::invalid(format!("Invalid input. The scope {word} needs its 'scope_value'."))),
    }
}

async fn create_flow(call: Call) -> Result<Reply> {
    call.require_everywhere().await?;
    let new: CreateFlowControlPolicy = call.body()?;
    let scope = scope_of(new.scope.map_or("USER", |w| w.as_str()), new.scope_value.map(Text::into_string))?;
    let (name, description) = (new.policy_name.map(Text::into_string), new.description.map(Text::into_string));
    let limit = new.limit.map_or(MOST_A_SECOND, limit_of);
    let made = call.platform().create_flow_control_policy(name, description, scope, limit).await?;
    Reply::created(&FlowControlPolicyReply::from(made))
}

pub(in crate::v5) static LIST_FLOW: Built =
    Built::new("Lists flow control policies.", json::<FlowControlPolicies>(200), |c| Box::pin(list_flow(c)))
        .query(&[
            Param::optional::<Word<FlowScopes>>("scope", "Only of this scope."),
            Param::optional::<ScopeValue>("scope_value", "Only of this channel, rule or action."),
            Param::optional::<NameFilter>("policy_name", "Only those whose name contains this text."),
        ])
        .paged()
        .errors(&[Code::NotPermitted]);

async fn list_flow(call: Call) -> Result<Reply> {
    call.require_everywhere().await?;
    let scope = call.query::<Word<FlowScopes>>("scope")?.map(|w| w.as_str());
    let (value, name) = (call.query::<ScopeValue>("scope_value")?, call.query::<NameFilter>("policy_name")?);
    let (value, name) = (value.as_ref().map(Text::as_str), name.as_ref().map(Text::as_str));
    let found = call.platform().list_flow_control_policies(scope, value, name, call.page()?).await?;
    let (count, marker) = (found.count, found.marker.to_string());
    let flowcontrol_policies = found.items.into_iter().map(FlowControlPolicyReply::from).collect();
    Reply::ok(&FlowControlPolicies { flowcontrol_policies, count, marker })
}

pub(in crate::v5) static SHOW_FLOW: Built =
    Built::new("Shows a flow control policy.", json::<FlowControlPolicyReply>(200), |c| Box::pin(show_flow(c)))
        .errors(&[Code::NotPermitted, Code::RoutingPolicyNotFound]);

async fn show_flow(call: Call) -> Result<Reply> {
    call.require_everywhere().await?;
    Reply::ok(&FlowControlPolicyReply::from(call.platform().flow_control_policy(call.path("policy_id")).await?))
}

pub(in crate::v5) static UPDATE_FLOW: Built =
    Built::new("Changes a flow control policy.", json::<FlowControlPolicyReply>(200), |c| Box::pin(update_flow(c)))
        .body::<UpdateFlowControlPolicy>()
        .errors(&[Code::NotPermitted, Code::RoutingPolicyNotFound]);

async fn update_flow(call: Call) -> Result<Reply> {
    call.require_everywhere().await?;
    let change: UpdateFlowControlPolicy = call.body()?;
    let change = FlowControlChange {
        name: change.policy_name.map(Text::into_string),
        description: change.description.map(Text::into_string),
        limit: change.limit.map(limit_of),
    };
    let changed = call.platform().update_flow_control_policy(call.path("policy_id"), change).await?;
    Reply::ok(&FlowControlPolicyReply::from(changed))
}

pub(in crate::v5) static DELETE_FLOW: Built =
    Built::new("Deletes a flow control policy.", Success::Empty, |c| Box::pin(delete_flow(c)))
        .errors(&[Code::NotPermitted, Code::RoutingPolicyNotFound]);

async fn delete_flow(call: Call) -> Result<Reply> {
    call.require_everywhere().await?;
    call.platform().delete_flow_control_policy(call.path("policy_id")).await?;
    Ok(Reply::empty())
}
