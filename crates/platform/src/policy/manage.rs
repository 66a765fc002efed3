//! Creating, changing, deleting and binding device policies.

use causeway_model::policy::{
    BoundTarget, DevicePolicy, PolicyFilter, PolicyTarget, Statement, TargetKind, check_statements,
};
use causeway_model::registry::{Page, PageRequest};
use causeway_model::{AppId, Code, DeviceId, Error, ProductId, RecordNo, Result, Spaces};

use crate::Platform;
use crate::bus::Changed;
use crate::secrets::random_hex;

/// A policy to create.
#[derive(Clone, Debug)]
pub struct NewPolicy {
    /// The one space that the caller named, or those that it may use (see [`Platform::home_for_new`]).
    pub spaces: Spaces,
    /// Display name.
    pub name: String,
    /// What it says.
    pub statements: Vec<Statement>,
}

/// Fields of a policy to change; absent ones keep their value.
#[derive(Clone, Debug, Default)]
pub struct PolicyChange {
    /// Display name.
    pub name: Option<String>,
    /// What it says.
    pub statements: Option<Vec<Statement>>,
}

/// What became of binding, or unbinding, each target.
#[derive(Clone, Debug, Default)]
pub struct BindOutcome {
    /// Ids for which it was done.
    pub done: Vec<String>,
    /// Ids for which it was not, and why.
    pub failed: Vec<(String, Error)>,
}

impl BindOutcome {
    fn note(&mut self, id: String, outcome: Result<()>) {
        match outcome {
            Ok(()) => self.done.push(id),
            Err(error) => self.failed.push((id, error)),
        }
    }
}

fn not_found(id: &str) -> Error {
    let id: String = id.chars().take(64).collect();
    Error::new(Code::PolicyNotFound, format!("The device policy '{id}' does not exist."))
}

impl Platform {
    /// Creates a policy. It takes effect when it is bound.
    ///
    /// # Errors
    /// [`Code::InvalidInput`]; [`Code::AppNotFound`]; [`Code::TooManyPolicies`].
    pub async fn create_policy(&self, new: NewPolicy) -> Result<DevicePolicy> {
        check_statements(&new.statements)?;
        let now = self.clock.now();
        let policy = DevicePolicy {
            no: RecordNo(0),
            app_id: self.home_for_new(&new.spaces).await?,
            id: random_hex(12),
            name: new.name,
            statements: new.statements,
            created_at: now,
            updated_at: now,
        };
        self.store.insert_policy(policy, self.settings.registry.max_device_policies).await
    }

    /// One policy of these spaces.
    ///
    /// # Errors
    /// [`Code::PolicyNotFound`].
    pub async fn policy(&self, spaces: &Spaces, id: &str) -> Result<DevicePolicy> {
        self.store.policy(id).await?.filter(|p| spaces.sees(&p.app_id)).ok_or_else(|| not_found(id))
    }

    /// A page of policies, newest first.
    ///
    /// # Errors
    /// [`Code::AppNotFound`].
    pub async fn list_policies(&self, filter: &PolicyFilter, page: PageRequest) -> Result<Page<DevicePolicy>> {
        if let Some(app) = filter.spaces.single() {
            self.app(app).await?;
        }
        self.store.list_policies(filter, page).await
    }

    /// Changes a policy; live connections follow at once.
    ///
    /// # Errors
    /// [`Code::PolicyNotFound`]; [`Code::InvalidInput`].
    pub async fn update_policy(&self, spaces: &Spaces, id: &str, change: PolicyChange) -> Result<DevicePolicy> {
        let mut policy = self.policy(spaces, id).await?;
        if let Some(name) = change.name {
            policy.name = name;
        }
        if let Some(statements) = change.statements {
            check_statements(&statements)?;
            policy.statements = statements;
        }
        policy.updated_at = self.clock.now();
        if !self.store.update_policy(&policy).await? {
            return Err(not_found(id));
        }
        self.bus.announce(Changed::Policies).await;
        Ok(policy)
    }

    /// Deletes a policy and unbinds everything from it. Returns what it was.
    ///
    /// # Errors
    /// [`Code::PolicyNotFound`].
    pub async fn delete_policy(&self, spaces: &Spaces, id: &str) -> Result<DevicePolicy> {
        let policy = self.policy(spaces, id).await?;
        if !self.store.delete_policy(policy.no).await? {
            return Err(not_found(id));
        }
        self.bus.announce(Changed::Policies).await;
        Ok(policy)
    }

    /// What a policy is bound to, newest first.
    ///
    /// # Errors
    /// [`Code::PolicyNotFound`].
    pub async fn policy_targets(
        &self,
        spaces: &Spaces,
        id: &str,
        kind: Option<TargetKind>,
        page: PageRequest,
    ) -> Result<Page<BoundTarget>> {
        let policy = self.policy(spaces, id).await?;
        self.store.policy_targets(policy.no, kind, page).await
    }

    /// Binds a policy to each of the things named; those that cannot be bound are listed with the reason.
    ///
    /// # Errors
    /// [`Code::PolicyNotFound`].
    pub async fn bind_policy(
        &self,
        spaces: &Spaces,
        id: &str,
        kind: TargetKind,
        ids: Vec<String>,
    ) -> Result<(DevicePolicy, BindOutcome)> {
        let policy = self.policy(spaces, id).await?;
        let mut outcome = BindOutcome::default();
        let (ids, targets) = self.targets(&policy, kind, ids, &mut outcome).await?;
        let limit = self.settings.registry.max_target_policies;
        let done = self.store.bind_policy(policy.no, targets, limit).await?;
        let changed = ids.iter().zip(&done).filter(|(_, d)| d.is_ok()).map(|(id, _)| id.clone()).collect();
        ids.into_iter().zip(done).for_each(|(id, done)| outcome.note(id, done));
        self.announce_bindings(kind, changed).await;
        Ok((policy, outcome))
    }

    /// Ends bindings; those that were not there are listed.
    ///
    /// # Errors
    /// [`Code::PolicyNotFound`].
    pub async fn unbind_policy(
        &self,
        spaces: &Spaces,
        id: &str,
        kind: TargetKind,
        ids: Vec<String>,
    ) -> Result<(DevicePolicy, BindOutcome)> {
        let policy = self.policy(spaces, id).await?;
        let mut outcome = BindOutcome::default();
        let (ids, targets) = self.targets(&policy, kind, ids, &mut outcome).await?;
        let done = self.store.unbind_policy(policy.no, targets).await?;
        let changed = ids.iter().zip(&done).filter(|(_, d)| **d).map(|(id, _)| id.clone()).collect();
        for (id, was_bound) in ids.into_iter().zip(done) {
            let refusal = Error::new(Code::PolicyNotBound, format!("The policy is not bound to '{id}'."));
            outcome.note(id, if was_bound { Ok(()) } else { Err(refusal) });
        }
        self.announce_bindings(kind, changed).await;
        Ok((policy, outcome))
    }

    async fn announce_bindings(&self, kind: TargetKind, changed: Vec<String>) {
        if changed.is_empty() {
            return;
        }
        self.bus.announce(Changed::Policies).await;
        if kind == TargetKind::Device {
            for id in changed {
                self.bus.announce(Changed::DevicePolicies(DeviceId::trusted(id))).await;
            }
        }
    }

    /// Finds the things named in the policy's space, each once; those that are not there are noted as failed.
    async fn targets(
        &self,
        policy: &DevicePolicy,
        kind: TargetKind,
        ids: Vec<String>,
        outcome: &mut BindOutcome,
    ) -> Result<(Vec<String>, Vec<PolicyTarget>)> {
        let mut found: (Vec<String>, Vec<PolicyTarget>) = Default::default();
        for id in ids {
            if found.0.contains(&id) {
                continue;
            }
            match self.target(policy, kind, &id).await {
                Ok(target) => {
                    found.0.push(id);
                    found.1.push(target);
                }
                Err(error) if error.is_retryable() || error.code() == Code::Internal => return Err(error),
                Err(error) => outcome.note(id, Err(error)),
            }
        }
        Ok(found)
    }

    /// One thing of the policy's space. What belongs to another space is not told apart from what is not there.
    async fn target(&self, policy: &DevicePolicy, kind: TargetKind, id: &str) -> Result<PolicyTarget> {
        match kind {
            TargetKind::Device => {
                let device = self.device(&DeviceId::parse(id)?).await?;
                if device.app_id == policy.app_id {
                    return Ok(PolicyTarget::Device(device.no));
                }
                Err(Error::new(Code::DeviceNotFound, format!("The device '{id}' does not exist.")))
            }
            TargetKind::Product => {
                let space = Spaces::one(policy.app_id.clone());
                Ok(PolicyTarget::Product(self.product(&space, &ProductId::parse(id)?).await?.no))
            }
            TargetKind::App => {
                let app = AppId::parse(id)?;
                if app == policy.app_id {
                    return Ok(PolicyTarget::App(app));
                }
                Err(Error::new(Code::AppNotFound, format!("The application '{id}' is not the policy's.")))
            }
        }
    }
}
