//! What became of everything that was written for targets.

use std::collections::HashMap;

use causeway_model::forwarding::RoutingAction;
use causeway_model::registry::PageRequest;
use causeway_model::{RecordNo, Result, Spaces};

use super::ActionFilter;
use crate::Platform;
use crate::outbox::{TargetKind, TargetState};

/// A target, what it belongs to, and its counters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetStatistics {
    /// Number, kind, space and counters.
    pub state: TargetState,
    /// The action whose own target it is.
    pub action: Option<RoutingAction>,
    /// The name of the AMQP queue that it is.
    pub queue: Option<String>,
}

/// Which targets to show.
#[derive(Clone, Debug, Default)]
pub struct StatisticsFilter {
    /// Those that actions of this rule feed.
    pub rule_id: Option<String>,
    /// That of the AMQP queue of this name.
    pub queue: Option<String>,
}

impl Platform {
    /// Targets that somebody with these spaces may see, by number: those of the spaces; AMQP queues and what belongs to the
    /// whole instance for those who may see all.
    ///
    /// # Errors
    /// [`Code::RoutingRuleNotFound`](causeway_model::Code::RoutingRuleNotFound).
    pub async fn target_statistics(&self, spaces: &Spaces, filter: &StatisticsFilter) -> Result<Vec<TargetStatistics>> {
        let all = |limit| PageRequest { marker: RecordNo::LAST, offset: 0, limit };
        let of_rule = match &filter.rule_id {
            None => None,
            Some(id) => {
                self.routing_rule(spaces, id).await?;
                let filter = ActionFilter { rule_id: Some(id.clone()), ..ActionFilter::default() };
                let actions = self.store.list_routing_actions(filter, spaces, all(u32::MAX)).await?;
                Some(actions.items.into_iter().map(|a| a.target).collect::<Vec<_>>())
            }
        };
        let own = self.store.own_targets().await?;
        let mut actions: HashMap<i64, RoutingAction> = own.into_iter().map(|a| (a.target, a)).collect();
        let queues = self.store.list_queues(None, all(u32::MAX)).await?;
        let mut queues: HashMap<i64, String> = queues.items.into_iter().map(|q| (q.target, q.name)).collect();
        let mut found = Vec::new();
        for state in self.store.target_states().await? {
            let is_of_rule = of_rule.as_ref().is_some_and(|targets| targets.contains(&state.no));
            let is_seen = match &state.app_id {
                Some(app) => spaces.sees(app),
                // A queue that a rule feeds concerns whoever may see the rule.
                None => *spaces == Spaces::All || (is_of_rule && state.kind == TargetKind::Queue),
            };
            if !is_seen || (of_rule.is_some() && !is_of_rule) {
                continue;
            }
            let queue = queues.remove(&state.no);
            if filter.queue.is_some() && queue != filter.queue {
                continue;
            }
            found.push(TargetStatistics { action: actions.remove(&state.no), queue, state });
        }
        Ok(found)
    }
}
