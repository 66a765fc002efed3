//! Timers: each time is claimed in the store, so that of several nodes one acts, and none twice after a restart.

use causeway_model::linkage::LinkageRule;
use causeway_model::{RecordNo, Result, Timestamp};
use causeway_rules::linkage::clock;

use super::LinkageTimer;
use super::trigger::{Cause, Trigger};
use crate::Platform;

/// Timers read at once.
const TOGETHER: u32 = 100;

impl Platform {
    /// The first times of a rule's timers after `now`.
    pub(super) fn first_timers(&self, rule: &LinkageRule, now: Timestamp) -> Vec<LinkageTimer> {
        if !rule.is_active {
            return Vec::new();
        }
        (0_u16..)
            .zip(&rule.definition.conditions)
            .filter_map(|(condition, c)| {
                // A timer that is set for this very moment counts.
                let at = clock::next(c, now.plus_ms(-1), self.settings.linkage.time_zone)?;
                Some(LinkageTimer { rule: RecordNo(0), condition, device: None, at })
            })
            .collect()
    }

    /// Lets the rules act whose time has come.
    pub(crate) async fn fire_linkage_timers(&self) -> Result<()> {
        let (has_times, target) = {
            let rules = self.linkage.rules.load();
            (rules.table.has_times(), rules.target)
        };
        let Some(target) = target.filter(|_| has_times) else { return Ok(()) };
        loop {
            let now = self.clock.now();
            let due = self.store.due_linkage_timers(now, TOGETHER).await?;
            let was_all = due.len() < TOGETHER as usize;
            for (timer, rule) in due {
                self.fire_linkage_timer(&timer, &rule, now, target).await?;
            }
            if was_all {
                return Ok(());
            }
        }
    }

    async fn fire_linkage_timer(
        &self,
        timer: &LinkageTimer,
        rule: &LinkageRule,
        now: Timestamp,
        target: i64,
    ) -> Result<()> {
        let condition = timer.condition;
        if let Some(device) = timer.device {
            let cause = Cause::Lasted { device: device.0, condition };
            let deliveries = Trigger::new(rule, timer.at, cause).delivery(target).into_iter().collect();
            self.store.claim_linkage_timer(timer, None, deliveries).await?;
            return Ok(());
        }
        let is_late = now.0.saturating_sub(timer.at.0) > self.settings.linkage.timer_grace.as_millis();
        // What was missed together with this one is skipped with it.
        let after = if is_late { now } else { timer.at };
        let zone = self.settings.linkage.time_zone;
        let next = rule.definition.conditions.get(usize::from(condition)).and_then(|c| clock::next(c, after, zone));
        let cause = Cause::Timer { condition };
        let trigger = (!is_late).then(|| Trigger::new(rule, timer.at, cause).delivery(target)).flatten();
        let is_ours = self.store.claim_linkage_timer(timer, next, trigger.into_iter().collect()).await?;
        if is_ours && is_late {
            metrics::counter!("causeway_linkage_skipped_timers_total").increment(1);
            tracing::warn!(rule_id = rule.id, at = %timer.at, "a timer came too late and is skipped");
        }
        Ok(())
    }
}
