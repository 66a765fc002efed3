//! Making, reading, changing and deleting linkage rules.

use causeway_model::linkage::{Definition, LinkageRule};
use causeway_model::registry::{Page, PageRequest};
use causeway_model::{AppId, Code, Error, RecordNo, Result, Spaces, Timestamp};

use super::trigger::{Cause, Trigger};
use crate::Platform;
use crate::bus::Changed;
use crate::outbox::{NewDelivery, TargetKind};
use crate::secrets::random_hex;

/// A rule to make, or what one is to be; checked fields of the API.
#[derive(Clone, Debug)]
pub struct NewRule {
    /// Display name.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// Whether it is looked at.
    pub is_active: bool,
    /// What it says.
    pub definition: Definition,
}

fn not_found(id: &str) -> Error {
    let id: String = id.chars().take(64).collect();
    Error::new(Code::RoutingRuleNotFound, format!("The rule '{id}' does not exist."))
}

impl Platform {
    /// Makes a rule in the space named, else in the default one.
    ///
    /// # Errors
    /// [`Code::AppNotFound`]; [`Code::TooManyRoutingRules`]; the codes of rules (IOTDA.010004 to 010011) name the place.
    pub async fn create_linkage_rule(&self, spaces: &Spaces, new: NewRule) -> Result<LinkageRule> {
        let app_id = self.home_for_new(spaces).await?;
        self.check_linkage(&app_id, &new.definition).await?;
        let now = self.clock.now();
        let rule = LinkageRule {
            no: RecordNo(0),
            id: random_hex(16),
            app_id,
            name: new.name,
            description: new.description,
            is_active: new.is_active,
            version: 1,
            definition: new.definition,
            created_at: now,
            updated_at: now,
        };
        let timers = self.first_timers(&rule, now);
        let deliveries = self.first_trigger(&rule, now).await?;
        let rule = self.store.insert_linkage_rule(rule, timers, deliveries, self.settings.linkage.max_rules).await?;
        self.bus.announce(Changed::Linkage).await;
        Ok(rule)
    }

    /// What was reported before counts for a rule that says so.
    async fn first_trigger(&self, rule: &LinkageRule, now: Timestamp) -> Result<Vec<NewDelivery>> {
        if !rule.is_active || !rule.definition.immediate_trigger {
            return Ok(Vec::new());
        }
        let target = self.store.instance_target(TargetKind::Linkage).await?;
        Ok(Trigger::new(rule, now, Cause::Made).delivery(target).into_iter().collect())
    }

    /// One rule of these spaces.
    ///
    /// # Errors
    /// [`Code::RoutingRuleNotFound`].
    pub async fn linkage_rule(&self, spaces: &Spaces, id: &str) -> Result<LinkageRule> {
        self.store.linkage_rule(id).await?.filter(|r| spaces.sees(&r.app_id)).ok_or_else(|| not_found(id))
    }

    /// A page of rules, newest first.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn list_linkage_rules(&self, spaces: &Spaces, page: PageRequest) -> Result<Page<LinkageRule>> {
        self.store.list_linkage_rules(spaces, page).await
    }

    /// Makes a rule say something else. What its conditions were judged before is forgotten. `app` must be its space.
    ///
    /// # Errors
    /// [`Code::RoutingRuleNotFound`]; [`Code::InvalidRule`] for another space; as
    /// [`create_linkage_rule`](Self::create_linkage_rule).
    pub async fn update_linkage_rule(
        &self,
        spaces: &Spaces,
        id: &str,
        app: Option<&AppId>,
        new: NewRule,
    ) -> Result<LinkageRule> {
        let old = self.linkage_rule(spaces, id).await?;
        if app.is_some_and(|app| *app != old.app_id) {
            return Err(Error::new(
                Code::InvalidRule,
                "Invalid input for this rule. A rule stays in its resource space; leave 'app_id' out.",
            ));
        }
        self.check_linkage(&old.app_id, &new.definition).await?;
        self.put_linkage_rule(LinkageRule {
            name: new.name,
            description: new.description,
            is_active: new.is_active,
            definition: new.definition,
            ..old
        })
        .await
    }

    /// Activates or deactivates a rule.
    ///
    /// # Errors
    /// [`Code::RoutingRuleNotFound`].
    pub async fn activate_linkage_rule(&self, spaces: &Spaces, id: &str, is_active: bool) -> Result<LinkageRule> {
        let rule = self.linkage_rule(spaces, id).await?;
        if rule.is_active == is_active {
            return Ok(rule);
        }
        self.put_linkage_rule(LinkageRule { is_active, ..rule }).await
    }

    async fn put_linkage_rule(&self, mut rule: LinkageRule) -> Result<LinkageRule> {
        let now = self.clock.now();
        rule.version += 1;
        rule.updated_at = now;
        let timers = self.first_timers(&rule, now);
        let deliveries = self.first_trigger(&rule, now).await?;
        if !self.store.update_linkage_rule(&rule, timers, deliveries).await? {
            return Err(not_found(&rule.id));
        }
        self.bus.announce(Changed::Linkage).await;
        Ok(rule)
    }

    /// Deletes a rule.
    ///
    /// # Errors
    /// [`Code::RoutingRuleNotFound`].
    pub async fn delete_linkage_rule(&self, spaces: &Spaces, id: &str) -> Result<()> {
        let rule = self.linkage_rule(spaces, id).await?;
        let deleted = self.store.delete_linkage_rule(rule.no).await?;
        self.bus.announce(Changed::Linkage).await;
        if deleted { Ok(()) } else { Err(not_found(id)) }
    }
}
