//! All active rules, by whom and what they look at, so that those which a report does not concern cost nothing.

use std::collections::HashMap;
use std::sync::Arc;

use causeway_model::linkage::{Condition, LinkageRule, Whom};
use causeway_model::properties::PropertyObject;
use causeway_model::{AppId, DeviceId, ProductId, Timestamp};

use super::value::Comparison;

/// A rule with its comparisons prepared.
#[derive(Debug)]
pub struct Ready {
    /// The rule.
    pub rule: LinkageRule,
    /// For each condition its comparisons; none for those that are not about properties.
    comparisons: Vec<Vec<Comparison>>,
}

/// Whether a condition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It does.
    Holds,
    /// It does not.
    Fails,
    /// The report alone does not say: other properties belong to it too.
    Open,
}

/// What a report says about a condition.
#[derive(Clone, Debug)]
pub struct Touched<'a> {
    /// The rule.
    pub rule: &'a Arc<Ready>,
    /// The place of the condition in it.
    pub condition: usize,
    /// The verdict.
    pub verdict: Verdict,
}

/// Who reports.
#[derive(Clone, Copy, Debug)]
pub struct Reporter<'a> {
    /// Its space.
    pub app: &'a AppId,
    /// Its product.
    pub product: &'a ProductId,
    /// The device.
    pub device: &'a DeviceId,
}

/// One service of a report.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// The service.
    pub service_id: &'a str,
    /// Its properties.
    pub properties: &'a PropertyObject,
    /// When the device measured.
    pub event_time: Timestamp,
}

/// A comparison's place: rule, condition, filter.
#[derive(Clone, Copy, Debug)]
struct Place {
    rule: u32,
    condition: u16,
    filter: u16,
}

/// What rules look at of one device, or of the devices of one product.
#[derive(Debug, Default)]
struct Places {
    /// By service, then by property.
    properties: HashMap<Box<str>, HashMap<Box<str>, Vec<Place>>>,
    /// Conditions on the status: rule and condition.
    statuses: Vec<(u32, u16)>,
}

/// See the module text. Never changed: a change of rules makes another.
#[derive(Debug, Default)]
pub struct Table {
    rules: Vec<Arc<Ready>>,
    devices: HashMap<DeviceId, Places>,
    products: HashMap<ProductId, Places>,
    has_times: bool,
}

impl Ready {
    /// Prepares a rule.
    #[must_use]
    pub fn new(rule: LinkageRule) -> Self {
        let comparisons = rule
            .definition
            .conditions
            .iter()
            .map(|condition| match condition {
                Condition::Data { filters, .. } => filters.iter().map(|f| Comparison::of(&f.test)).collect(),
                _ => Vec::new(),
            })
            .collect();
        Self { rule, comparisons }
    }

    /// The comparison of a filter.
    #[must_use]
    pub fn comparison(&self, condition: usize, filter: usize) -> Option<&Comparison> {
        self.comparisons.get(condition)?.get(filter)
    }

    /// Whether the condition acts only when it begins to hold.
    #[must_use]
    pub fn is_on_change(&self, condition: usize) -> bool {
        matches!(
            self.rule.definition.conditions.get(condition),
            Some(Condition::Data { filters, .. }) if filters.iter().any(|f| f.on_change)
        )
    }
}

/// Whether a value measured at `event_time` counts at `now`.
fn is_fresh(valid_s: Option<u32>, event_time: Timestamp, now: Timestamp) -> bool {
    valid_s.is_none_or(|s| now.0.saturating_sub(event_time.0) <= i64::from(s) * 1000)
}

/// What was seen of one condition: a bit for each filter.
struct Seen {
    place: (u32, u16),
    judged: u64,
    holds: u64,
}

impl Table {
    /// Makes the table of these rules.
    #[must_use]
    pub fn new(rules: Vec<LinkageRule>) -> Self {
        let mut table = Self::default();
        for rule in rules {
            table.add(Ready::new(rule));
        }
        table
    }

    fn add(&mut self, ready: Ready) {
        let at = u32::try_from(self.rules.len()).unwrap_or(u32::MAX);
        for (place, condition) in (0_u16..).zip(&ready.rule.definition.conditions) {
            let Some(whom) = condition.whom() else {
                self.has_times = true;
                continue;
            };
            let places = match whom {
                Whom::Device(id) => self.devices.entry(id.clone()).or_default(),
                Whom::Product(id) => self.products.entry(id.clone()).or_default(),
            };
            match condition {
                Condition::Data { filters, .. } => {
                    for (filter, f) in (0_u16..).zip(filters) {
                        let service = places.properties.entry(f.service_id.as_str().into()).or_default();
                        let property = service.entry(f.property.as_str().into()).or_default();
                        property.push(Place { rule: at, condition: place, filter });
                    }
                }
                Condition::Status { minutes, .. } => {
                    self.has_times |= *minutes > 0;
                    places.statuses.push((at, place));
                }
                Condition::SimpleTimer(_) | Condition::DailyTimer(_) => {}
            }
        }
        self.rules.push(Arc::new(ready));
    }

    /// Whether there is no rule.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether the clock matters to any rule.
    #[must_use]
    pub fn has_times(&self) -> bool {
        self.has_times
    }

    fn places(&self, who: Reporter<'_>) -> impl Iterator<Item = &Places> {
        [self.devices.get(who.device), self.products.get(who.product)].into_iter().flatten()
    }

    fn rule(&self, at: u32, app: &AppId) -> Option<&Arc<Ready>> {
        self.rules.get(at as usize).filter(|ready| ready.rule.app_id == *app)
    }

    /// What a report says about the conditions that look at it. Values that are too old for a condition say nothing.
    #[must_use]
    pub fn touch<'r>(
        &self,
        who: Reporter<'_>,
        rows: impl Iterator<Item = Row<'r>> + Clone,
        now: Timestamp,
    ) -> Vec<Touched<'_>> {
        let mut seen: Vec<Seen> = Vec::new();
        for places in self.places(who) {
            if places.properties.is_empty() {
                continue;
            }
            for row in rows.clone() {
                let Some(properties) = places.properties.get(row.service_id) else { continue };
                row.properties.for_each(|name, raw| {
                    for place in properties.get(name).into_iter().flatten() {
                        self.see(*place, who.app, raw, row.event_time, now, &mut seen);
                    }
                });
            }
        }
        seen.iter().filter_map(|seen| self.touched(seen)).collect()
    }

    fn see(&self, at: Place, app: &AppId, raw: &str, measured: Timestamp, now: Timestamp, seen: &mut Vec<Seen>) {
        let (condition, filter) = (usize::from(at.condition), usize::from(at.filter));
        let Some(ready) = self.rule(at.rule, app) else { return };
        let Some(comparison) = ready.comparison(condition, filter) else { return };
        let Some(Condition::Data { filters, .. }) = ready.rule.definition.conditions.get(condition) else { return };
        if filters.get(filter).is_none_or(|f| !is_fresh(f.valid_s, measured, now)) {
            return;
        }
        let place = (at.rule, at.condition);
        let found = match seen.iter().position(|s| s.place == place) {
            Some(found) => found,
            None => {
                seen.push(Seen { place, judged: 0, holds: 0 });
                seen.len() - 1
            }
        };
        let bit = 1 << (filter & 63);
        seen[found].judged |= bit;
        // A later value of the same report replaces an earlier one.
        seen[found].holds &= !bit;
        if comparison.holds(raw) {
            seen[found].holds |= bit;
        }
    }

    fn touched(&self, seen: &Seen) -> Option<Touched<'_>> {
        let rule = self.rules.get(seen.place.0 as usize)?;
        let condition = usize::from(seen.place.1);
        let count = rule.comparisons.get(condition)?.len();
        let all = if count >= 64 { u64::MAX } else { (1 << count) - 1 };
        let verdict = if seen.holds != seen.judged {
            Verdict::Fails
        } else if seen.judged == all {
            Verdict::Holds
        } else {
            Verdict::Open
        };
        Some(Touched { rule, condition, verdict })
    }

    /// Rules that look at the status of this device.
    #[must_use]
    pub fn of_status(&self, who: Reporter<'_>) -> Vec<&Arc<Ready>> {
        let mut found: Vec<u32> = self.places(who).flat_map(|p| p.statuses.iter().map(|(rule, _)| *rule)).collect();
        found.sort_unstable();
        found.dedup();
        found.into_iter().filter_map(|at| self.rule(at, who.app)).collect()
    }
}

impl Ready {
    /// Judges a condition on properties by the last reported values: `last` answers with the raw value of a property and
    /// when it was measured.
    #[must_use]
    pub fn judge<'v>(
        &self,
        condition: usize,
        now: Timestamp,
        last: impl Fn(&str, &str) -> Option<(std::borrow::Cow<'v, str>, Timestamp)>,
    ) -> bool {
        let Some(Condition::Data { filters, .. }) = self.rule.definition.conditions.get(condition) else {
            return false;
        };
        filters.iter().enumerate().all(|(at, filter)| {
            last(&filter.service_id, &filter.property).is_some_and(|(raw, measured)| {
                is_fresh(filter.valid_s, measured, now) && self.comparison(condition, at).is_some_and(|c| c.holds(&raw))
            })
        })
    }
}
