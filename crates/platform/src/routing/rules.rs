//! Making, reading, changing and deleting forwarding rules.

use causeway_model::forwarding::{RoutingRule, RuleScope, Subject};
use causeway_model::registry::{Page, PageRequest};
use causeway_model::{Code, Error, RecordNo, Result, Spaces};
use causeway_rules::forward::{Debugged, Limits, Query, Refused, debug};

use super::{ActionFilter, RuleFilter};
use crate::Platform;
use crate::bus::Changed;

/// A rule to make.
#[derive(Clone, Debug)]
pub struct NewRoutingRule {
    /// `None`: the events of every space. Else the one space that the caller named, or those that it may use (see
    /// [`Platform::home_for_new`]).
    pub spaces: Option<Spaces>,
    /// A name for people; may be empty.
    pub name: String,
    /// For people.
    pub description: Option<String>,
    /// What it takes.
    pub subject: Subject,
    /// The SELECT clause, with or without its keyword.
    pub select: Option<String>,
    /// The WHERE clause, with or without its keyword.
    pub filter: Option<String>,
}

/// Fields of a rule to change; absent ones keep their value.
#[derive(Clone, Debug, Default)]
pub struct RoutingRuleChange {
    /// A name for people.
    pub name: Option<String>,
    /// For people.
    pub description: Option<String>,
    /// The SELECT clause; an empty one takes the whole notification.
    pub select: Option<String>,
    /// The WHERE clause; an empty one takes every event.
    pub filter: Option<String>,
    /// Whether it takes events.
    pub active: Option<bool>,
}

/// A rule that is tried with a sample.
#[derive(Clone, Copy, Debug)]
pub struct Trial<'a> {
    /// What the rule takes.
    pub subject: Subject,
    /// The SELECT clause.
    pub select: &'a str,
    /// The WHERE clause.
    pub filter: Option<&'a str>,
    /// The sample: a notification, JSON.
    pub message: &'a str,
}

pub(super) fn rule_not_found(id: &str) -> Error {
    let id: String = id.chars().take(64).collect();
    Error::new(Code::RoutingRuleNotFound, format!("The forwarding rule '{id}' does not exist."))
}

/// Whether somebody who may see `spaces` may see a rule of `scope`: one of every space is for those who see them all.
pub(super) fn is_seen(spaces: &Spaces, scope: &RuleScope) -> bool {
    match scope {
        RuleScope::Global => *spaces == Spaces::All,
        RuleScope::App(app) => spaces.sees(app),
    }
}

impl Platform {
    fn clause_limits(&self) -> Limits {
        let characters = usize::try_from(self.settings.routing.max_clause).unwrap_or(usize::MAX);
        Limits { characters, ..Limits::default() }
    }

    /// The clauses as they are stored: compiled once, without their keywords.
    fn clauses(&self, subject: Subject, select: &str, filter: Option<&str>) -> Result<(String, Option<String>)> {
        let query = Query::compile(subject, select, filter, self.clause_limits()).map_err(|e| e.error())?;
        let (select, filter) = query.clauses();
        Ok((select.to_owned(), filter.map(str::to_owned)))
    }

    /// Makes a rule. It takes no events until it is activated.
    ///
    /// # Errors
    /// [`Code::InvalidInput`] names the place in a clause that cannot be read; [`Code::AppNotFound`];
    /// [`Code::TooManyRoutingRules`].
    pub async fn create_routing_rule(&self, new: NewRoutingRule) -> Result<RoutingRule> {
        let select = new.select.as_deref().unwrap_or_default();
        let (select, filter) = self.clauses(new.subject, select, new.filter.as_deref())?;
        let scope = match &new.spaces {
            None => RuleScope::Global,
            Some(spaces) => RuleScope::App(self.home_for_new(spaces).await?),
        };
        let rule = RoutingRule {
            no: RecordNo(0),
            id: uuid::Uuid::new_v4().to_string(),
            name: new.name,
            description: new.description,
            subject: new.subject,
            scope,
            select,
            filter,
            active: false,
            created_at: self.clock.now(),
        };
        self.store.insert_routing_rule(rule, self.settings.routing.max_rules).await
    }

    /// One rule that somebody with these spaces may see.
    ///
    /// # Errors
    /// [`Code::RoutingRuleNotFound`].
    pub async fn routing_rule(&self, spaces: &Spaces, id: &str) -> Result<RoutingRule> {
        let found = self.store.routing_rule(id).await?;
        found.filter(|rule| is_seen(spaces, &rule.scope)).ok_or_else(|| rule_not_found(id))
    }

    /// A page of rules, newest first; those of every space only for those who may see all.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn list_routing_rules(
        &self,
        filter: RuleFilter,
        spaces: &Spaces,
        page: PageRequest,
    ) -> Result<Page<RoutingRule>> {
        self.store.list_routing_rules(filter, spaces, page).await
    }

    /// Changes a rule; what is reported from then on follows it.
    ///
    /// # Errors
    /// [`Code::RoutingRuleNotFound`]; [`Code::InvalidInput`] names the place in a clause that cannot be read;
    /// [`Code::RuleWithoutAction`] when a rule is activated that has nowhere to put its events.
    pub async fn update_routing_rule(
        &self,
        spaces: &Spaces,
        id: &str,
        change: RoutingRuleChange,
    ) -> Result<RoutingRule> {
        let mut rule = self.routing_rule(spaces, id).await?;
        if change.select.is_some() || change.filter.is_some() {
            let select = change.select.as_deref().unwrap_or(&rule.select);
            let filter = change.filter.as_deref().or(rule.filter.as_deref());
            (rule.select, rule.filter) = self.clauses(rule.subject, select, filter)?;
        }
        rule.name = change.name.unwrap_or(rule.name);
        rule.description = change.description.or(rule.description);
        if change.active == Some(true) && !rule.active {
            let of_rule = ActionFilter { rule_id: Some(rule.id.clone()), ..ActionFilter::default() };
            let first = PageRequest { marker: RecordNo::LAST, offset: 0, limit: 1 };
            if self.store.list_routing_actions(of_rule, &Spaces::All, first).await?.count == 0 {
                return Err(Error::new(
                    Code::RuleWithoutAction,
                    "Operation not allowed. The rule has no action. Create one first, then activate the rule.",
                ));
            }
        }
        rule.active = change.active.unwrap_or(rule.active);
        if !self.store.update_routing_rule(&rule).await? {
            return Err(rule_not_found(id));
        }
        self.bus.announce(Changed::Routes).await;
        Ok(rule)
    }

    /// Deletes a rule with its actions and what waits for them. What AMQP queues hold stays.
    ///
    /// # Errors
    /// [`Code::RoutingRuleNotFound`].
    pub async fn delete_routing_rule(&self, spaces: &Spaces, id: &str) -> Result<()> {
        self.routing_rule(spaces, id).await?;
        if !self.store.delete_routing_rule(id).await? {
            return Err(rule_not_found(id));
        }
        self.bus.announce(Changed::Routes).await;
        Ok(())
    }

    /// Tries clauses with a sample, step by step. Nothing is forwarded.
    ///
    /// # Errors
    /// [`Code::InvalidInput`] names the place in a clause or in the sample that cannot be read.
    pub fn try_routing_rule(&self, trial: Trial<'_>) -> Result<Debugged> {
        debug(trial.subject, trial.select, trial.filter, trial.message, self.clause_limits())
            .map_err(|refused: Refused| refused.error())
    }
}
