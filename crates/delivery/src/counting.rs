//! Metrics of targets, by kind, made of the store's counters. They balance as those do:
//! `written = delivered + expired + overflowed + rejected + deleted + waiting`, each kind for itself.

use std::collections::HashMap;

use causeway_platform::outbox::{TargetCounters, TargetKind, TargetState};

/// What was told of each target until now.
#[derive(Default)]
pub(crate) struct Counting {
    told: HashMap<i64, (TargetKind, TargetCounters)>,
}

fn finished(kind: TargetKind, outcome: &'static str, more: u64) {
    metrics::counter!("causeway_outbox_finished_total", "kind" => kind.as_str(), "outcome" => outcome).increment(more);
}

impl Counting {
    /// Tells what has happened since.
    pub(crate) fn tell(&mut self, states: &[TargetState]) {
        let mut waiting: HashMap<TargetKind, u64> = self.told.values().map(|(kind, _)| (*kind, 0)).collect();
        let mut told = HashMap::with_capacity(states.len());
        for state in states {
            let (kind, now) = (state.kind, state.counters);
            let before = self.told.remove(&state.no).map(|(_, counters)| counters).unwrap_or_default();
            metrics::counter!("causeway_outbox_written_total", "kind" => kind.as_str())
                .increment(now.taken.saturating_sub(before.taken));
            for (outcome, now, before) in [
                ("delivered", now.delivered, before.delivered),
                ("expired", now.expired, before.expired),
                ("overflowed", now.overflowed, before.overflowed),
                ("rejected", now.rejected, before.rejected),
            ] {
                finished(kind, outcome, now.saturating_sub(before));
            }
            *waiting.entry(kind).or_default() += now.waiting();
            told.insert(state.no, (kind, now));
        }
        // What waited for targets that are gone went with them.
        for (kind, last) in self.told.values() {
            finished(*kind, "deleted", last.waiting());
        }
        self.told = told;
        for (kind, count) in waiting {
            #[allow(clippy::cast_precision_loss, reason = "a gauge is a float")]
            metrics::gauge!("causeway_outbox_waiting", "kind" => kind.as_str()).set(count as f64);
        }
    }
}
