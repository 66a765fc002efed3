//! Policies of version 1.1: who may do what in which spaces (002 §10.2).
//!
//! ```json
//! {"Version": "1.1", "Statement": [{"Effect": "Allow", "Action": ["iotda:devices:query"],
//!   "Resource": ["iotda:*:*:app:0ab1"]}]}
//! ```
//!
//! A document is parsed into a [`Policy`], all policies of a user are put together into [`Permissions`], and these say
//! in which spaces an action is allowed. What one statement denies no other can allow.

mod document;
mod glob;

pub use document::{Fault, Policy};

use crate::ids::AppId;
use document::{Resource, ResourceKind};
use glob::Glob;

/// One statement of a policy in the form in which it is evaluated.
#[derive(Clone, Debug)]
struct Rule {
    actions: Box<[Glob]>,
    reach: Reach,
}

/// Where a statement applies.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Reach {
    /// In every space, and to what belongs to no space.
    Everywhere,
    /// In these spaces.
    In(Box<[AppId]>),
}

/// What a user may do: all the policies that reach it, put together.
#[derive(Clone, Debug, Default)]
pub struct Permissions {
    allow: Vec<Rule>,
    deny: Vec<Rule>,
}

/// Where an action is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nowhere.
    Nowhere,
    /// In every space, and to what belongs to no space.
    Everywhere,
    /// In these spaces, of which there is at least one.
    In(Vec<AppId>),
    /// In every space but these.
    EverywhereBut(Vec<AppId>),
}

impl Permissions {
    /// Puts policies together. `account` is the account and instance that resources must name, unless they name all.
    #[must_use]
    pub fn of<'a>(policies: impl IntoIterator<Item = &'a Policy>, account: &str) -> Self {
        let mut made = Self::default();
        for statement in policies.into_iter().flat_map(|p| &p.statements) {
            let Some(reach) = Reach::of(statement.resources.as_deref(), account) else { continue };
            let rule = Rule { actions: statement.actions.clone(), reach };
            if statement.allows { &mut made.allow } else { &mut made.deny }.push(rule);
        }
        made
    }

    /// Where `action` (`iotda:devices:query`) is allowed. Nothing is allowed that no statement allows.
    #[must_use]
    pub fn verdict(&self, action: &str) -> Verdict {
        let mut allowed = Gathered::default();
        allowed.gather(&self.allow, action);
        if !allowed.everywhere && allowed.apps.is_empty() {
            return Verdict::Nowhere;
        }
        let mut denied = Gathered::default();
        denied.gather(&self.deny, action);
        if denied.everywhere {
            return Verdict::Nowhere;
        }
        if allowed.everywhere {
            return if denied.apps.is_empty() {
                Verdict::Everywhere
            } else {
                Verdict::EverywhereBut(denied.apps.into_iter().cloned().collect())
            };
        }
        let apps: Vec<AppId> = allowed.apps.into_iter().filter(|a| !denied.apps.contains(a)).cloned().collect();
        if apps.is_empty() { Verdict::Nowhere } else { Verdict::In(apps) }
    }
}

/// Where some rules apply to an action.
#[derive(Default)]
struct Gathered<'a> {
    everywhere: bool,
    apps: Vec<&'a AppId>,
}

impl<'a> Gathered<'a> {
    fn gather(&mut self, rules: &'a [Rule], action: &str) {
        for rule in rules.iter().filter(|r| r.actions.iter().any(|a| a.matches(action))) {
            match &rule.reach {
                Reach::Everywhere => {
                    self.everywhere = true;
                    return;
                }
                Reach::In(apps) => {
                    for app in apps {
                        if !self.apps.contains(&app) {
                            self.apps.push(app);
                        }
                    }
                }
            }
        }
    }
}

impl Reach {
    /// `None` when the resources are all somebody else's.
    fn of(resources: Option<&[Resource]>, account: &str) -> Option<Self> {
        let Some(resources) = resources else { return Some(Self::Everywhere) };
        let own = |r: &&Resource| r.account.as_deref().is_none_or(|a| a == account);
        let mut apps = Vec::new();
        let (mut every_app, mut named_app, mut own_instance, mut named_instance) = (false, false, false, false);
        for resource in resources {
            let ours = own(&resource);
            match &resource.kind {
                ResourceKind::App(id) => {
                    named_app = true;
                    match id {
                        None => every_app |= ours,
                        Some(id) if ours => apps.push(id.clone()),
                        Some(_) => {}
                    }
                }
                ResourceKind::Instance(id) => {
                    named_instance = true;
                    own_instance |= ours && id.as_deref().is_none_or(|i| i == account);
                }
                ResourceKind::Any => {
                    every_app |= ours;
                    own_instance |= ours;
                }
                ResourceKind::Foreign => {}
            }
        }
        // A statement that names instances means those only.
        if named_instance && !own_instance {
            return None;
        }
        match (every_app || own_instance && !named_app, apps.is_empty()) {
            (true, _) => Some(Self::Everywhere),
            (false, false) => Some(Self::In(apps.into())),
            (false, true) => None,
        }
    }
}

#[cfg(test)]
mod tests;
