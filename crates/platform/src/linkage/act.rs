//! After the commit: judges what the road could not, and carries out the actions.

use std::borrow::Cow;

use causeway_model::linkage::{Action, Condition, Logic, Whom};
use causeway_model::registry::{Device, DeviceFilter, PageRequest};
use causeway_model::shadow::ServiceShadow;
use causeway_model::status::DeviceStatus;
use causeway_model::{DeviceId, DeviceNo, RecordNo, Result, Spaces, Timestamp};
use causeway_rules::linkage::{Ready, clock};

use super::LinkageTimer;
use super::trigger::{Cause, Found, Trigger};
use crate::Platform;

/// Devices of a product judged together when a rule is made.
const PAGE: u32 = 50;

/// The time and the device that a rule acts for.
pub(super) struct Occasion<'a> {
    /// When.
    pub(super) at: Timestamp,
    /// Who caused it; nobody for timers.
    pub(super) device: Option<&'a Device>,
}

impl Platform {
    /// Carries out what a delivery for [`linkage_target`](Self::linkage_target) asks for. A rule that changed or went
    /// meanwhile does not act.
    ///
    /// # Errors
    /// What may succeed later: the store's and those of the services that actions need. Actions before the failing one
    /// are carried out again then.
    pub async fn act_on_linkage(&self, body: &[u8]) -> Result<()> {
        let Ok(trigger) = serde_json::from_slice::<Trigger>(body) else {
            tracing::error!("a trigger of a linkage rule cannot be read and is dropped");
            return Ok(());
        };
        let rule = self.store.linkage_rule(&trigger.rule).await?;
        let Some(rule) = rule.filter(|r| r.is_active && r.version == trigger.version) else { return Ok(()) };
        let ready = Ready::new(rule);
        let at = Timestamp(trigger.at);
        match trigger.cause {
            Cause::Report { device, found, .. } => match self.store.device_by_no(DeviceNo(device)).await? {
                Some(device) => self.act_on_report(&ready, &device, &found, at).await,
                None => Ok(()),
            },
            Cause::Status { device, online } => match self.store.device_by_no(DeviceNo(device)).await? {
                Some(device) => self.act_on_status(&ready, &device, online, at).await,
                None => Ok(()),
            },
            Cause::Lasted { device, condition } => match self.store.device_by_no(DeviceNo(device)).await? {
                Some(device) if self.status_holds(&ready, usize::from(condition), &device, at) => {
                    self.act_by_condition(&ready, &device, usize::from(condition), at).await
                }
                _ => Ok(()),
            },
            Cause::Timer { condition } => self.act_on_timer(&ready, usize::from(condition), at).await,
            Cause::Made => self.act_on_last_values(&ready, at).await,
        }
    }

    fn is_in_time(&self, ready: &Ready, at: Timestamp) -> bool {
        let range = ready.rule.definition.time_range;
        range.is_none_or(|range| clock::contains(&range, at, self.settings.linkage.time_zone))
    }

    async fn act_on_report(&self, ready: &Ready, device: &Device, found: &[Found], at: Timestamp) -> Result<()> {
        let mut judged = Vec::with_capacity(found.len());
        for found in found {
            let condition = usize::from(found.condition);
            let holds = match found.holds {
                Some(holds) => holds,
                None => self.data_holds(ready, condition, device, at).await?,
            };
            judged.push((condition, holds));
        }
        self.act_on_judged(ready, device, &judged, at).await
    }

    /// Acts when one of the conditions judged begins to hold, or holds and acts each time, and with `and` all others do.
    async fn act_on_judged(
        &self,
        ready: &Ready,
        device: &Device,
        judged: &[(usize, bool)],
        at: Timestamp,
    ) -> Result<()> {
        let rule = &ready.rule;
        let remembers = judged.iter().any(|(condition, _)| ready.is_on_change(*condition));
        let held = if remembers { self.store.held_conditions(rule.no, device.no).await? } else { Vec::new() };
        let mut acts = false;
        let mut changes = Vec::new();
        for (condition, holds) in judged {
            let place = u16::try_from(*condition).unwrap_or(u16::MAX);
            let held = held.contains(&place);
            if ready.is_on_change(*condition) {
                acts |= *holds && !held;
                if *holds != held {
                    changes.push((place, *holds));
                }
            } else {
                acts |= *holds;
            }
        }
        if acts && (rule.definition.logic == Logic::Or || self.all_hold(ready, Some(device), judged, at).await?) {
            self.carry_out_rule(ready, &Occasion { at, device: Some(device) }).await?;
        }
        // After the actions: a crash before this repeats them, one after it does not lose them.
        for (condition, holds) in changes {
            self.store.set_held(rule.no, device.no, condition, holds).await?;
        }
        Ok(())
    }

    /// Whether every condition holds: those judged already as they were, the others by the last values.
    async fn all_hold(
        &self,
        ready: &Ready,
        device: Option<&Device>,
        judged: &[(usize, bool)],
        at: Timestamp,
    ) -> Result<bool> {
        for (place, condition) in ready.rule.definition.conditions.iter().enumerate() {
            if let Some((_, holds)) = judged.iter().find(|(c, _)| *c == place) {
                if *holds {
                    continue;
                }
                return Ok(false);
            }
            let named;
            let of = match condition.whom() {
                // Another timer.
                None => return Ok(false),
                Some(Whom::Device(id)) => {
                    named = self.store.device(id).await?;
                    named.as_ref()
                }
                Some(Whom::Product(id)) => device.filter(|d| d.product_id == *id),
            };
            let Some(of) = of.filter(|d| d.app_id == ready.rule.app_id) else { return Ok(false) };
            let holds = match condition {
                Condition::Data { .. } => self.data_holds(ready, place, of, at).await?,
                _ => self.status_holds(ready, place, of, at),
            };
            if !holds {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether a condition on properties holds by what the device reported last.
    async fn data_holds(&self, ready: &Ready, condition: usize, device: &Device, at: Timestamp) -> Result<bool> {
        let shadow = self.store.shadow(device.no).await?;
        Ok(ready.judge(condition, at, |service, property| last_value(&shadow, service, property)))
    }

    /// Whether a condition on the status holds now, and has for long enough.
    fn status_holds(&self, ready: &Ready, condition: usize, device: &Device, at: Timestamp) -> bool {
        let Some(Condition::Status { online, offline, minutes, .. }) = ready.rule.definition.conditions.get(condition)
        else {
            return false;
        };
        let counts = match device.connection {
            DeviceStatus::Online => *online,
            DeviceStatus::Offline => *offline,
            _ => false,
        };
        let lasted = |since: Timestamp| at.0.saturating_sub(since.0) >= i64::from(*minutes) * 60_000;
        counts && device.status_changed_at.is_some_and(lasted)
    }

    async fn act_on_status(&self, ready: &Ready, device: &Device, is_online: bool, at: Timestamp) -> Result<()> {
        let mut judged = Vec::new();
        for (place, condition) in ready.rule.definition.conditions.iter().enumerate() {
            let Condition::Status { whom, online, offline, minutes } = condition else { continue };
            let concerns = match whom {
                Whom::Device(id) => *id == device.id,
                Whom::Product(id) => *id == device.product_id,
            };
            if !concerns {
                continue;
            }
            let counts = if is_online { *online } else { *offline };
            let condition = u16::try_from(place).unwrap_or(u16::MAX);
            if counts && *minutes > 0 {
                let due = at.plus_ms(i64::from(*minutes) * 60_000);
                let timer = LinkageTimer { rule: ready.rule.no, condition, device: Some(device.no), at: due };
                self.store.set_linkage_timer(&timer).await?;
            } else {
                if *minutes > 0 {
                    self.store.drop_linkage_timer(ready.rule.no, condition, device.no).await?;
                }
                judged.push((place, counts));
            }
        }
        if judged.iter().any(|(_, holds)| *holds) && self.is_in_time(ready, at) {
            self.act_on_judged(ready, device, &judged, at).await?;
        }
        Ok(())
    }

    async fn act_by_condition(&self, ready: &Ready, device: &Device, condition: usize, at: Timestamp) -> Result<()> {
        if self.is_in_time(ready, at) {
            self.act_on_judged(ready, device, &[(condition, true)], at).await?;
        }
        Ok(())
    }

    async fn act_on_timer(&self, ready: &Ready, condition: usize, at: Timestamp) -> Result<()> {
        if !self.is_in_time(ready, at) {
            return Ok(());
        }
        let or = ready.rule.definition.logic == Logic::Or;
        if or || self.all_hold(ready, None, &[(condition, true)], at).await? {
            self.carry_out_rule(ready, &Occasion { at, device: None }).await?;
        }
        Ok(())
    }

    /// Judges the rule by what was reported before it was made.
    async fn act_on_last_values(&self, ready: &Ready, at: Timestamp) -> Result<()> {
        if !self.is_in_time(ready, at) {
            return Ok(());
        }
        let conditions = &ready.rule.definition.conditions;
        let mut done: Vec<&Whom> = Vec::new();
        for whom in conditions.iter().filter(|c| matches!(c, Condition::Data { .. })).filter_map(Condition::whom) {
            if done.contains(&whom) {
                continue;
            }
            done.push(whom);
            match whom {
                Whom::Device(id) => {
                    if let Some(device) = self.store.device(id).await?.filter(|d| d.app_id == ready.rule.app_id) {
                        self.act_on_last_values_of(ready, whom, &device, at).await?;
                    }
                }
                Whom::Product(id) => {
                    let filter = DeviceFilter {
                        spaces: Spaces::one(ready.rule.app_id.clone()),
                        product_id: Some(id.clone()),
                        ..DeviceFilter::default()
                    };
                    let mut page = PageRequest { marker: RecordNo::LAST, offset: 0, limit: PAGE };
                    loop {
                        let found = self.store.list_devices(&filter, page).await?;
                        for device in &found.items {
                            self.act_on_last_values_of(ready, whom, device, at).await?;
                        }
                        if found.items.len() < PAGE as usize {
                            break;
                        }
                        page.marker = found.marker;
                    }
                }
            }
        }
        Ok(())
    }

    async fn act_on_last_values_of(&self, ready: &Ready, whom: &Whom, device: &Device, at: Timestamp) -> Result<()> {
        let shadow = self.store.shadow(device.no).await?;
        let conditions = ready.rule.definition.conditions.iter().enumerate();
        let judged: Vec<(usize, bool)> = conditions
            .filter(|(_, c)| matches!(c, Condition::Data { whom: w, .. } if w == whom))
            .map(|(place, _)| {
                (place, ready.judge(place, at, |service, property| last_value(&shadow, service, property)))
            })
            .collect();
        self.act_on_judged(ready, device, &judged, at).await
    }

    /// Carries out every action, in order.
    async fn carry_out_rule(&self, ready: &Ready, occasion: &Occasion<'_>) -> Result<()> {
        let rule = &ready.rule;
        metrics::counter!("causeway_linkage_triggered_total").increment(1);
        let device_id = occasion.device.map(|d| d.id.as_str());
        tracing::info!(rule_id = rule.id, device_id, "a linkage rule acts");
        for action in &rule.definition.actions {
            let outcome = match action {
                Action::Command(command) => {
                    let named;
                    let device = match &command.device_id {
                        Some(id) => {
                            named = self.store.device(&DeviceId::trusted(id.as_str())).await?;
                            named.as_ref()
                        }
                        None => occasion.device,
                    };
                    match device.filter(|d| d.app_id == rule.app_id) {
                        Some(device) => self.send_linkage_command(&rule.id, command, device.clone(), occasion.at).await,
                        None => {
                            tracing::warn!(rule_id = rule.id, device_id = command.device_id, "no such device any more");
                            Ok(())
                        }
                    }
                }
                Action::Notify(notify) => self.notify_by_rule(rule, notify, occasion).await,
                Action::Alarm(alarm) => self.alarm_by_rule(rule, alarm, occasion).await,
            };
            match outcome {
                Ok(()) => {}
                Err(error) if error.is_retryable() => return Err(error),
                Err(error) => {
                    metrics::counter!("causeway_linkage_failed_actions_total").increment(1);
                    tracing::warn!(rule_id = rule.id, %error, "an action of a linkage rule failed");
                }
            }
        }
        Ok(())
    }
}

/// The last reported value of a property, and when it was measured.
fn last_value(shadow: &[ServiceShadow], service: &str, property: &str) -> Option<(Cow<'static, str>, Timestamp)> {
    let side = shadow.iter().find(|s| s.service_id == service)?.reported.as_ref()?;
    Some((Cow::Owned(side.properties.get(property)?), side.event_time))
}
