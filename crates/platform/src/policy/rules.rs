//! The policies in force, as devices in use see them.

use std::collections::HashMap;
use std::sync::Arc;

use causeway_model::policy::{CompiledPolicy, PolicyVariables, TopicAction};
use causeway_model::{AppId, DeviceId, RecordNo, Result};
use parking_lot::Mutex;
use smallvec::SmallVec;

use super::PoliciesInForce;
use crate::Platform;
use crate::uplink::DeviceContext;

type Covering = SmallVec<[Arc<CompiledPolicy>; 2]>;

/// What the policies that cover a device say together. A topic needs a statement that allows it and none that denies it.
#[derive(Debug)]
pub struct TopicRules(Covering);

impl TopicRules {
    fn of(covering: Covering) -> Option<Arc<Self>> {
        let is_open = covering.iter().any(|p| p.allows_everything()) && covering.iter().all(|p| p.denies_nothing());
        (!is_open).then(|| Arc::new(Self(covering)))
    }

    fn denies(&self, action: TopicAction, text: &str, variables: &PolicyVariables<'_>) -> bool {
        self.0.iter().any(|p| p.denies(action, text, variables))
    }

    fn allows(&self, action: TopicAction, text: &str, variables: &PolicyVariables<'_>) -> bool {
        !self.denies(action, text, variables) && self.0.iter().any(|p| p.allows(action, text, variables))
    }
}

/// All policies, compiled, with what they are bound to; single devices are asked of the store.
#[derive(Debug, Default)]
pub(crate) struct PolicyTable {
    policies: HashMap<RecordNo, Arc<CompiledPolicy>>,
    by_product: HashMap<RecordNo, Vec<RecordNo>>,
    by_app: HashMap<AppId, Vec<RecordNo>>,
    has_devices: bool,
}

impl PolicyTable {
    fn new(found: PoliciesInForce) -> Self {
        let mut table = Self { has_devices: found.has_devices, ..Self::default() };
        for policy in &found.policies {
            table.policies.insert(policy.no, Arc::new(CompiledPolicy::compile(&policy.statements)));
        }
        for (policy, product) in found.products {
            table.by_product.entry(product).or_default().push(policy);
        }
        for (policy, app) in found.apps {
            table.by_app.entry(app).or_default().push(policy);
        }
        table
    }

    fn covering(&self, product: RecordNo, app: &AppId, own: &[RecordNo]) -> Covering {
        let of = |list: Option<&Vec<RecordNo>>| list.map(Vec::as_slice).unwrap_or_default().to_vec();
        let mut nos = of(self.by_product.get(&product));
        nos.extend(of(self.by_app.get(app)));
        nos.extend_from_slice(own);
        nos.sort_unstable();
        nos.dedup();
        nos.iter().filter_map(|no| self.policies.get(no).cloned()).collect()
    }
}

/// A device's part: the policies bound to it alone, and how old that knowledge is.
#[derive(Debug, Default)]
pub(crate) struct OwnPolicies(Mutex<Own>);

#[derive(Debug, Default)]
struct Own {
    policies: Vec<RecordNo>,
    /// The last reading begun, and the one that `policies` is from. Only a newer one replaces it.
    begun: u32,
    kept: u32,
}

impl Platform {
    /// Reads the policies again after a change.
    pub(crate) async fn reload_policies(&self) -> Result<()> {
        {
            let _turn = self.policies_reloading.lock().await;
            let table = PolicyTable::new(self.store.policies_in_force().await?);
            self.policies.store(Arc::new(table));
        }
        self.directory.for_each(|context| self.apply_policies(context));
        Ok(())
    }

    /// Reads what is bound to one device, and puts the rules in force on it. Called when the device is in the directory,
    /// so that no change is missed.
    pub(crate) async fn load_policies(&self, context: &DeviceContext) -> Result<()> {
        if self.policies.load().has_devices {
            let reading = {
                let mut own = context.own_policies.0.lock();
                own.begun += 1;
                own.begun
            };
            let policies = self.store.policies_of_device(context.no).await?;
            let mut own = context.own_policies.0.lock();
            if reading > own.kept {
                own.kept = reading;
                own.policies = policies;
            }
        }
        self.apply_policies(context);
        Ok(())
    }

    /// What is bound to a device changed.
    pub(crate) async fn reconsider_policies(&self, id: &DeviceId) -> Result<()> {
        match self.directory.get(id.as_str()) {
            Some(entry) => self.load_policies(&entry.context).await,
            None => Ok(()),
        }
    }

    fn apply_policies(&self, context: &DeviceContext) {
        // Under the lock: of two that apply at once, the one with the newer table ends.
        let own = context.own_policies.0.lock();
        let table = self.policies.load();
        let covering = table.covering(context.product.no, &context.app_id, &own.policies);
        context.topic_rules.store(TopicRules::of(covering));
    }
}

impl DeviceContext {
    /// Tells the client id of the device's connection, for policies that speak of it. The first one stays.
    pub fn set_client_id(&self, client_id: &str) {
        let _ = self.client_id.set(client_id.into());
    }

    fn variables(&self) -> PolicyVariables<'_> {
        PolicyVariables {
            device: &self.id,
            product: &self.product.id,
            node: self.node_id.as_str(),
            client: self.client_id.get().map(|c| &**c).unwrap_or_default(),
        }
    }

    /// Whether policies let the device publish on a topic, or subscribe to a filter, that does not begin with `$`.
    #[must_use]
    pub fn policies_allow(&self, action: TopicAction, text: &str) -> bool {
        match &*self.topic_rules.load() {
            None => true,
            Some(rules) => rules.allows(action, text, &self.variables()),
        }
    }

    /// Whether policies keep a message on `topic` from the device although a subscription matches it.
    #[must_use]
    pub fn policies_withhold(&self, topic: &str) -> bool {
        match &*self.topic_rules.load() {
            None => false,
            Some(rules) => rules.denies(TopicAction::Subscribe, topic, &self.variables()),
        }
    }

    /// Whether policies put rules on the device at all.
    #[must_use]
    pub fn is_restricted(&self) -> bool {
        self.topic_rules.load().is_some()
    }
}

#[cfg(test)]
mod tests {
    use causeway_model::policy::{Effect, Statement};

    use super::*;

    fn policy(effect: Effect, resource: &str) -> Arc<CompiledPolicy> {
        Arc::new(CompiledPolicy::compile(&[Statement {
            effect,
            actions: vec![TopicAction::Publish, TopicAction::Subscribe],
            resources: vec![resource.to_owned()],
        }]))
    }

    #[test]
    fn deny_wins_and_nothing_is_allowed_by_itself() {
        let everything = policy(Effect::Allow, "topic:*");
        let secret = policy(Effect::Deny, "topic:secret/*");
        assert!(TopicRules::of([everything.clone()].into_iter().collect()).is_none());
        let (device, product) = (DeviceId::trusted("d"), causeway_model::ProductId::trusted("p"));
        let variables = PolicyVariables { device: &device, product: &product, node: "n", client: "" };
        let rules = TopicRules::of([everything, secret].into_iter().collect()).expect("restricts");
        assert!(rules.allows(TopicAction::Publish, "open/a", &variables));
        assert!(!rules.allows(TopicAction::Publish, "secret/a", &variables));
        assert!(rules.denies(TopicAction::Subscribe, "secret/a", &variables));
        let none = TopicRules::of(Covering::new()).expect("restricts");
        assert!(!none.allows(TopicAction::Publish, "open/a", &variables));
        assert!(!none.denies(TopicAction::Publish, "open/a", &variables));
    }

    #[test]
    fn policies_of_device_product_and_space_come_together_once() {
        let table = PolicyTable {
            policies: (1..=3).map(|n| (RecordNo(n), policy(Effect::Allow, "topic:a"))).collect(),
            by_product: [(RecordNo(7), vec![RecordNo(1)])].into(),
            by_app: [(AppId::trusted("a"), vec![RecordNo(1), RecordNo(2)])].into(),
            has_devices: true,
        };
        let covering = |product, app: &str, own: &[RecordNo]| {
            table.covering(RecordNo(product), &AppId::trusted(app.to_owned()), own).len()
        };
        assert_eq!(covering(7, "a", &[RecordNo(3), RecordNo(9)]), 3);
        assert_eq!(covering(8, "a", &[]), 2);
        assert_eq!(covering(8, "b", &[]), 0);
    }
}
