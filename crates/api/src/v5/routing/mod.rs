//! Data forwarding (`iotda-v5-api.md`, data forwarding rules, backlog policies, flow control; 002 §5). Rules of every space
//! (`GLOBAL`) and policies are for callers that may do what they do everywhere.

mod actions;
mod debug;
mod detail;
mod policies;
mod rules;
mod statistics;

pub(super) use actions::{
    CREATE as CREATE_ACTION, DELETE as DELETE_ACTION, LIST as LIST_ACTIONS, SHOW as SHOW_ACTION, TEST as TEST_ACTION,
    UPDATE as UPDATE_ACTION,
};
pub(super) use debug::{DEBUG, TEMPLATES};
pub(super) use policies::{
    CREATE_BACKLOG, CREATE_FLOW, DELETE_BACKLOG, DELETE_FLOW, LIST_BACKLOG, LIST_FLOW, SHOW_BACKLOG, SHOW_FLOW,
    UPDATE_BACKLOG, UPDATE_FLOW,
};
pub(super) use rules::{CREATE, DELETE, LIST, SHOW, UPDATE};
pub(super) use statistics::STATISTICS;

use causeway_model::forwarding::{RuleScope, Subject};
use causeway_model::{Error, Result};

use crate::bounded::{Any, Name, Text, words};
use crate::call::Call;

words! {
    /// Whose events a rule takes.
    AppTypes: "GLOBAL" | "APP";
}

/// Names of rules and policies.
type RuleName = Text<Name, 0, 256>;
/// Parts of them that lists are filtered by.
type NameFilter = Text<Any, 0, 256>;
/// The clauses. How long they may be is said by a key; this bounds what is looked at.
type ClauseText = Text<Any, 0, 100_000>;
/// One of the two words of a subject.
type SubjectWord = Text<Any, 1, 64>;

fn subject(resource: &str, event: &str) -> Result<Subject> {
    Subject::parse(resource, event).ok_or_else(|| {
        let all: Vec<String> = Subject::ALL.iter().map(|s| format!("{s:?}")).collect();
        Error::invalid(format!(
            "Invalid input. There are no events of this 'resource' and 'event'. There are {}.",
            all.join(", ")
        ))
    })
}

/// The audit log finds a rule by its space.
fn concerns(call: &Call, scope: &RuleScope) {
    if let Some(app) = scope.app() {
        call.concerns(app);
    }
}

fn app_of(scope: &RuleScope) -> Option<String> {
    scope.app().map(ToString::to_string)
}

/// Whose events: `GLOBAL` (false) or `APP` (true).
fn is_of_app(word: Option<&str>) -> Option<bool> {
    word.map(|w| w == "APP")
}
