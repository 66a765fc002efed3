//! What both stores say of forwarding rules, their actions and policies, and how their scopes stand in columns.

use causeway_model::forwarding::{FlowScope, Subject};
use causeway_model::{Code, Error, Result};

/// What there may be only so many of.
pub(crate) const TOO_MANY_RULES: (Code, &str) = (Code::TooManyRoutingRules, "forwarding rules");
pub(crate) const TOO_MANY_BACKLOG_POLICIES: (Code, &str) = (Code::TooManyRoutingPolicies, "backlog policies");
pub(crate) const TOO_MANY_FLOW_POLICIES: (Code, &str) = (Code::TooManyRoutingPolicies, "flow control policies");

pub(crate) fn no_such_rule(id: &str) -> Error {
    Error::new(Code::RoutingRuleNotFound, format!("The forwarding rule '{id}' does not exist."))
}

pub(crate) fn too_many_actions(limit: u32) -> Error {
    Error::new(
        Code::TooManyRoutingActions,
        format!("Operation not allowed. The forwarding rule has {limit} actions already, which is the limit."),
    )
}

pub(crate) fn no_such_queue(name: &str) -> Error {
    Error::new(Code::QueueNotFound, format!("The AMQP queue '{name}' does not exist. Add it first."))
}

pub(crate) fn flow_policy_exists(scope: &FlowScope) -> Error {
    let of = scope.value().map(|value| format!(" of '{value}'")).unwrap_or_default();
    Error::new(
        Code::FlowControlPolicyExists,
        format!("There is a flow control policy with the scope {}{of} already. Change that one.", scope.as_str()),
    )
}

/// Columns `scope` and `value`.
pub(crate) fn flow_scope_columns(scope: &FlowScope) -> (&'static str, &str) {
    (scope.as_str(), scope.value().unwrap_or_default())
}

/// Reads what [`flow_scope_columns`] wrote.
pub(crate) fn flow_scope(word: &str, value: String) -> Result<FlowScope> {
    match word {
        "USER" => Ok(FlowScope::User),
        "CHANNEL" => Ok(FlowScope::Channel(value)),
        "RULE" => Ok(FlowScope::Rule(value)),
        "ACTION" => Ok(FlowScope::Action(value)),
        _ => Err(Error::internal(format_args!("the store holds '{word}' where a scope of flow control is expected"))),
    }
}

/// Reads the words of a subject back.
pub(crate) fn subject(resource: &str, event: &str) -> Result<Subject> {
    Subject::parse(resource, event).ok_or_else(|| {
        Error::internal(format_args!("the store holds a rule for '{resource}:{event}', which is no event"))
    })
}
