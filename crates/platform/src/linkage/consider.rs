//! On the road: which rules may have to act because of what just happened. Nothing is read and nobody waits here.

use causeway_model::event::Heard;
use causeway_model::linkage::Logic;
use causeway_model::status::DeviceStatus;
use causeway_model::{RecordNo, Timestamp};
use causeway_rules::linkage::{Reporter, Row, Touched, Verdict, clock};

use super::trigger::{Cause, Found, Trigger};
use crate::Platform;
use crate::outbox::NewDelivery;
use crate::uplink::{DeviceContext, ReportRow};

/// What was told last of the conditions that act on a change, during this connection. Whoever comes anew is told of
/// once more; what counts is in the store.
#[derive(Debug, Default)]
pub(crate) struct Told(Vec<(RecordNo, i64, usize, Verdict)>);

impl Told {
    /// Conditions remembered of one device.
    const MOST: usize = 1024;

    /// Whether `verdict` is news.
    fn is_news(&mut self, touched: &Touched<'_>, verdict: Verdict) -> bool {
        let rule = &touched.rule.rule;
        let known = self.0.iter_mut().find(|(no, _, condition, _)| *no == rule.no && *condition == touched.condition);
        match known {
            Some((_, version, _, told)) => {
                let news = *version != rule.version || *told != verdict || verdict == Verdict::Open;
                (*version, *told) = (rule.version, verdict);
                news
            }
            None => {
                if self.0.len() >= Self::MOST {
                    self.0.clear();
                }
                self.0.push((rule.no, rule.version, touched.condition, verdict));
                true
            }
        }
    }
}

fn reporter(device: &DeviceContext) -> Reporter<'_> {
    Reporter { app: &device.app_id, product: &device.product.id, device: &device.id }
}

impl Platform {
    /// Triggers of the rules that a report concerns.
    pub(crate) fn consider_report(
        &self,
        device: &DeviceContext,
        rows: &[ReportRow],
        heard: Heard<'_>,
    ) -> Vec<NewDelivery> {
        let rules = self.linkage.rules.load();
        let Some(target) = rules.target.filter(|_| !rules.table.is_empty()) else { return Vec::new() };
        let rows = rows.iter().map(|row| Row {
            service_id: &row.service_id,
            properties: &row.properties,
            event_time: row.event_time,
        });
        let mut touched = rules.table.touch(reporter(device), rows, heard.at);
        if touched.is_empty() {
            return Vec::new();
        }
        let mut told = device.linkage_told.lock();
        let same_rule = |a: &Touched<'_>, b: &Touched<'_>| a.rule.rule.no == b.rule.rule.no;
        touched.sort_by_key(|t| t.rule.rule.no.0);
        let mut found = Vec::new();
        for of_rule in touched.chunk_by(same_rule) {
            let Some(first) = of_rule.first() else { continue };
            let rule = &first.rule.rule;
            let conditions = self.noteworthy(of_rule, heard.at, &mut told);
            if conditions.is_empty() {
                continue;
            }
            let cause =
                Cause::Report { device: device.no.0, event_id: heard.request_id.map(str::to_owned), found: conditions };
            found.extend(Trigger::new(rule, heard.at, cause).delivery(target));
        }
        found
    }

    /// What of the touched conditions of one rule must be looked at after the commit; nothing when the rule cannot act.
    fn noteworthy(&self, touched: &[Touched<'_>], at: Timestamp, told: &mut Told) -> Vec<Found> {
        let mut is_noteworthy = false;
        let mut found = Vec::with_capacity(touched.len());
        let mut some_fail = false;
        let mut may_act = false;
        for touched in touched {
            let definition = &touched.rule.rule.definition;
            let in_time =
                definition.time_range.is_none_or(|r| clock::contains(&r, at, self.settings.linkage.time_zone));
            let verdict = if in_time { touched.verdict } else { Verdict::Fails };
            if touched.rule.is_on_change(touched.condition) {
                is_noteworthy |= told.is_news(touched, verdict);
            } else {
                may_act |= verdict != Verdict::Fails;
            }
            some_fail |= verdict == Verdict::Fails;
            found.push(Found::new(touched.condition, verdict));
        }
        let needs_all = touched.first().is_some_and(|t| t.rule.rule.definition.logic == Logic::And);
        if is_noteworthy || (may_act && !(needs_all && some_fail)) { found } else { Vec::new() }
    }

    /// Triggers of the rules that look at the status of a device.
    pub(crate) fn consider_status(
        &self,
        device: &DeviceContext,
        status: DeviceStatus,
        at: Timestamp,
    ) -> Vec<NewDelivery> {
        let online = match status {
            DeviceStatus::Online => true,
            DeviceStatus::Offline => false,
            _ => return Vec::new(),
        };
        let rules = self.linkage.rules.load();
        let Some(target) = rules.target.filter(|_| !rules.table.is_empty()) else { return Vec::new() };
        rules
            .table
            .of_status(reporter(device))
            .into_iter()
            .filter_map(|ready| {
                Trigger::new(&ready.rule, at, Cause::Status { device: device.no.0, online }).delivery(target)
            })
            .collect()
    }
}
