//! Data forwarding: rules that say which events go where (002 §5.2). `table` is asked for every event; `rules`, `actions`
//! and `policies` are the registry, `statistics` tells what became of deliveries.

mod actions;
mod policies;
mod port;
mod rules;
pub mod samples;
mod statistics;
mod table;

pub use actions::{OpenAction, OwnTarget, ProbeFailed, Prober, Tested};
pub use causeway_rules::forward::Step as TrialStep;
pub use policies::{BacklogPolicyChange, FlowControlChange, NewBacklogPolicy};
pub use port::*;
pub use rules::{NewRoutingRule, RoutingRuleChange, Trial};
pub use statistics::{StatisticsFilter, TargetStatistics};
pub(crate) use table::RouteTable;
