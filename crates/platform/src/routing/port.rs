//! What forwarding rules need from the store.

use async_trait::async_trait;
use causeway_model::forwarding::{BacklogPolicy, FlowControlPolicy, RoutingAction, RoutingRule};
use causeway_model::registry::{Page, PageRequest, Sealed};
use causeway_model::{AppId, Result, Spaces};

/// Which rules a list shows.
#[derive(Clone, Debug, Default)]
pub struct RuleFilter {
    /// `resource` of the subject.
    pub resource: Option<String>,
    /// `event` of the subject.
    pub event: Option<String>,
    /// `GLOBAL` (false) or `APP` (true) only.
    pub of_app: Option<bool>,
    /// Rules of this space only.
    pub app: Option<AppId>,
    /// Part of the name.
    pub name: Option<String>,
    /// Active ones, or inactive ones, only.
    pub active: Option<bool>,
}

/// Which actions a list shows.
#[derive(Clone, Debug, Default)]
pub struct ActionFilter {
    /// Of this rule only.
    pub rule_id: Option<String>,
    /// Of this channel only.
    pub channel: Option<String>,
    /// `GLOBAL` (false) or `APP` (true) only.
    pub of_app: Option<bool>,
    /// Of rules of this space only.
    pub app: Option<AppId>,
}

/// Where a new action's deliveries wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewTarget {
    /// A target of its own.
    Own,
    /// That of the AMQP queue of this name ([`Code::QueueNotFound`](causeway_model::Code::QueueNotFound)).
    Queue(String),
}

/// A rule that takes events now, and where they go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActiveRoute {
    /// The rule.
    pub rule: RoutingRule,
    /// Its actions; not empty.
    pub actions: Vec<RoutingAction>,
}

/// Keeps forwarding rules, their actions and policies. Lists are newest first; a list for `spaces` shows rules of those
/// spaces, and global ones only to who may see every space.
#[async_trait]
pub trait RoutingStore: Send + Sync {
    /// Adds a rule (`no` is ignored) unless `limit` are there
    /// ([`Code::TooManyRoutingRules`](causeway_model::Code::TooManyRoutingRules)).
    async fn insert_routing_rule(&self, rule: RoutingRule, limit: u32) -> Result<RoutingRule>;
    /// One rule.
    async fn routing_rule(&self, id: &str) -> Result<Option<RoutingRule>>;
    /// A page of rules.
    async fn list_routing_rules(
        &self,
        filter: RuleFilter,
        spaces: &Spaces,
        page: PageRequest,
    ) -> Result<Page<RoutingRule>>;
    /// Writes name, description, select, filter and active of a rule. False when it is not there.
    async fn update_routing_rule(&self, rule: &RoutingRule) -> Result<bool>;
    /// Deletes a rule with its actions, their targets and what waits for them. False when it is not there.
    async fn delete_routing_rule(&self, id: &str) -> Result<bool>;
    /// Adds an action (`no` and `target` are ignored) unless its rule has `limit` of them
    /// ([`Code::TooManyRoutingActions`](causeway_model::Code::TooManyRoutingActions)) or is not there
    /// ([`Code::RoutingRuleNotFound`](causeway_model::Code::RoutingRuleNotFound)).
    async fn insert_routing_action(
        &self,
        action: RoutingAction,
        target: NewTarget,
        limit: u32,
    ) -> Result<RoutingAction>;
    /// One action.
    async fn routing_action(&self, id: &str) -> Result<Option<RoutingAction>>;
    /// A page of actions.
    async fn list_routing_actions(
        &self,
        filter: ActionFilter,
        spaces: &Spaces,
        page: PageRequest,
    ) -> Result<Page<RoutingAction>>;
    /// Writes channel and configuration of an action; what waits for it stays as long as its target stays one of its own.
    /// `None` when it is not there.
    async fn update_routing_action(
        &self,
        id: &str,
        channel: &str,
        config: Sealed,
        target: NewTarget,
    ) -> Result<Option<RoutingAction>>;
    /// Deletes an action with its own target and what waits there. False when it is not there.
    async fn delete_routing_action(&self, id: &str) -> Result<bool>;
    /// Everything that takes events now.
    async fn active_routes(&self) -> Result<Vec<ActiveRoute>>;
    /// Every action that has a target of its own, whether its rule is active or not: what waits is delivered.
    async fn own_targets(&self) -> Result<Vec<RoutingAction>>;

    /// Adds a policy unless `limit` are there ([`Code::TooManyRoutingPolicies`](causeway_model::Code::TooManyRoutingPolicies)).
    async fn insert_backlog_policy(&self, policy: BacklogPolicy, limit: u32) -> Result<BacklogPolicy>;
    /// One policy.
    async fn backlog_policy(&self, id: &str) -> Result<Option<BacklogPolicy>>;
    /// A page of policies whose name contains `name`.
    async fn list_backlog_policies(&self, name: Option<&str>, page: PageRequest) -> Result<Page<BacklogPolicy>>;
    /// Writes everything but the id. False when it is not there.
    async fn update_backlog_policy(&self, policy: &BacklogPolicy) -> Result<bool>;
    /// Deletes a policy. False when it is not there.
    async fn delete_backlog_policy(&self, id: &str) -> Result<bool>;
    /// All of them.
    async fn backlog_policies(&self) -> Result<Vec<BacklogPolicy>>;

    /// Adds a policy unless `limit` are there, or one of the same scope is
    /// ([`Code::FlowControlPolicyExists`](causeway_model::Code::FlowControlPolicyExists)).
    async fn insert_flow_control_policy(&self, policy: FlowControlPolicy, limit: u32) -> Result<FlowControlPolicy>;
    /// One policy.
    async fn flow_control_policy(&self, id: &str) -> Result<Option<FlowControlPolicy>>;
    /// A page of policies.
    async fn list_flow_control_policies(
        &self,
        scope: Option<&str>,
        scope_value: Option<&str>,
        name: Option<&str>,
        page: PageRequest,
    ) -> Result<Page<FlowControlPolicy>>;
    /// Writes name, description and limit. False when it is not there.
    async fn update_flow_control_policy(&self, policy: &FlowControlPolicy) -> Result<bool>;
    /// Deletes a policy. False when it is not there.
    async fn delete_flow_control_policy(&self, id: &str) -> Result<bool>;
    /// All of them.
    async fn flow_control_policies(&self) -> Result<Vec<FlowControlPolicy>>;
}
