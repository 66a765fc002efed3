//! What device policies need from the store.

use async_trait::async_trait;
use causeway_model::policy::{BoundTarget, DevicePolicy, PolicyFilter, PolicyTarget, TargetKind};
use causeway_model::registry::{Page, PageRequest};
use causeway_model::{AppId, DeviceNo, RecordNo, Result};

/// Everything that decides about more than one device.
#[derive(Clone, Debug, Default)]
pub struct PoliciesInForce {
    /// All policies.
    pub policies: Vec<DevicePolicy>,
    /// Policy and product, for every product with a policy.
    pub products: Vec<(RecordNo, RecordNo)>,
    /// Policy and space, for every space with a policy.
    pub apps: Vec<(RecordNo, AppId)>,
    /// Whether any policy is bound to a single device.
    pub has_devices: bool,
}

/// Keeps device policies. A new space is born with the policy
/// [`DEFAULT_NAME`](causeway_model::policy::DEFAULT_NAME), bound to it, in the transaction that makes the space.
#[async_trait]
pub trait PolicyStore: Send + Sync {
    /// Adds a policy (`no` is ignored) unless `limit` are there, those that spaces were born with not counted
    /// ([`Code::TooManyPolicies`](causeway_model::Code::TooManyPolicies)), checked in the same transaction.
    /// [`Code::AppNotFound`](causeway_model::Code::AppNotFound).
    async fn insert_policy(&self, policy: DevicePolicy, limit: u32) -> Result<DevicePolicy>;
    /// One policy.
    async fn policy(&self, id: &str) -> Result<Option<DevicePolicy>>;
    /// A page of policies, newest first.
    async fn list_policies(&self, filter: &PolicyFilter, page: PageRequest) -> Result<Page<DevicePolicy>>;
    /// Sets name, statements and `updated_at`. False when gone.
    async fn update_policy(&self, policy: &DevicePolicy) -> Result<bool>;
    /// Deletes a policy with its bindings. False when gone.
    async fn delete_policy(&self, no: RecordNo) -> Result<bool>;
    /// Binds a policy to targets of its space, each unless `limit` policies are bound to it already; binding again
    /// changes nothing. For each target, in order: done, [`PolicyTargetLimit`](causeway_model::Code::PolicyTargetLimit),
    /// or the code for a target that is gone.
    async fn bind_policy(&self, policy: RecordNo, targets: Vec<PolicyTarget>, limit: u32) -> Result<Vec<Result<()>>>;
    /// Ends bindings. For each target, in order, whether there was one.
    async fn unbind_policy(&self, policy: RecordNo, targets: Vec<PolicyTarget>) -> Result<Vec<bool>>;
    /// A page of what a policy is bound to, newest first.
    async fn policy_targets(
        &self,
        policy: RecordNo,
        kind: Option<TargetKind>,
        page: PageRequest,
    ) -> Result<Page<BoundTarget>>;
    /// What decides about more than one device.
    async fn policies_in_force(&self) -> Result<PoliciesInForce>;
    /// The policies that are bound to one device itself.
    async fn policies_of_device(&self, device: DeviceNo) -> Result<Vec<RecordNo>>;
}
