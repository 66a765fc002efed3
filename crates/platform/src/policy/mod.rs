//! Device policies: their registry, and the rules they put on devices in use.
//!
//! A policy is compiled once. A device in use holds the compiled policies that cover it, or nothing when these restrict
//! nothing; only topics that do not begin with `$oc` ask for them.

mod manage;
mod port;
mod rules;

pub use manage::{BindOutcome, NewPolicy, PolicyChange};
pub use port::*;
pub use rules::TopicRules;
pub(crate) use rules::{OwnPolicies, PolicyTable};
