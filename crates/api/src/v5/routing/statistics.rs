//! What became of everything that was written for targets.

use causeway_model::{Code, Result};
use causeway_platform::routing::{StatisticsFilter, TargetStatistics as Found};

use crate::bounded::{Any, Ident, Text};
use crate::call::{Call, Reply};
use crate::operation::{Built, Param, json};
use crate::shape::reply;

type RuleId = Text<Ident, 1, 36>;
type QueueFilter = Text<Any, 1, 128>;

reply! {
    /// A target with its counters. written = delivered + expired + overflowed + rejected + waiting.
    pub(crate) struct TargetStatistics {
        /// push, action, queue, subscription or linkage.
        kind: &'static str,
        /// Its resource space, when it has one.
        app_id: Option<String>,
        /// The rule of an action.
        rule_id: Option<String>,
        /// The action.
        action_id: Option<String>,
        /// The action's channel.
        channel: Option<String>,
        /// The name of an AMQP queue.
        queue_name: Option<String>,
        /// Written for it since it was made.
        written: u64,
        /// Taken by it.
        delivered: u64,
        /// Given up because they waited too long.
        expired: u64,
        /// Given up because too much waited.
        overflowed: u64,
        /// Given up because it can never take them.
        rejected: u64,
        /// Waiting now.
        waiting: u64,
        /// Bytes of those that wait.
        waiting_bytes: u64,
    }
}

reply! {
    /// Targets with their counters.
    pub(crate) struct StatisticsReply {
        /// The targets, oldest first.
        targets: Vec<TargetStatistics>,
    }
}

impl From<Found> for TargetStatistics {
    fn from(found: Found) -> Self {
        let counters = found.state.counters;
        let (rule_id, action_id, channel) = match found.action {
            Some(action) => (Some(action.rule_id), Some(action.id), Some(action.channel)),
            None => (None, None, None),
        };
        Self {
            kind: found.state.kind.as_str(),
            app_id: found.state.app_id.map(|app| app.to_string()),
            rule_id,
            action_id,
            channel,
            queue_name: found.queue,
            written: counters.taken,
            delivered: counters.delivered,
            expired: counters.expired,
            overflowed: counters.overflowed,
            rejected: counters.rejected,
            waiting: counters.waiting(),
            waiting_bytes: counters.waiting_bytes,
        }
    }
}

pub(in crate::v5) static STATISTICS: Built =
    Built::new("Shows what became of events by target.", json::<StatisticsReply>(200), |c| Box::pin(statistics(c)))
        .query(&[
            Param::optional::<RuleId>("rule_id", "Only targets that actions of this rule feed."),
            Param::optional::<QueueFilter>("queue", "Only the AMQP queue of this name."),
        ])
        .errors(&[Code::RoutingRuleNotFound]);

async fn statistics(call: Call) -> Result<Reply> {
    let filter = StatisticsFilter {
        rule_id: call.query::<RuleId>("rule_id")?.map(Text::into_string),
        queue: call.query::<QueueFilter>("queue")?.map(Text::into_string),
    };
    let found = call.platform().target_statistics(&call.allowed, &filter).await?;
    Reply::ok(&StatisticsReply { targets: found.into_iter().map(TargetStatistics::from).collect() })
}
