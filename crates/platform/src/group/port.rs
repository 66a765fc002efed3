//! What groups need from the store.

use async_trait::async_trait;
use causeway_model::group::{Group, GroupFilter, GroupLimits};
use causeway_model::registry::{Page, PageRequest};
use causeway_model::{DeviceNo, GroupId, RecordNo, Result, Spaces, Timestamp};

/// Keeps groups. Limits are checked in the transaction that would break them.
#[async_trait]
pub trait GroupStore: Send + Sync {
    /// Adds a group; `no` is ignored. [`Code::AppNotFound`](causeway_model::Code::AppNotFound),
    /// [`Code::GroupExists`](causeway_model::Code::GroupExists) when the name is taken in the space,
    /// [`Code::TooManyGroups`](causeway_model::Code::TooManyGroups),
    /// [`Code::InvalidGroup`](causeway_model::Code::InvalidGroup) when the group above is not there, in another space or
    /// dynamic, [`Code::GroupTooDeep`](causeway_model::Code::GroupTooDeep).
    async fn insert_group(&self, group: Group, limits: GroupLimits) -> Result<Group>;
    /// One group.
    async fn group(&self, id: &GroupId) -> Result<Option<Group>>;
    /// Those groups with these ids that are there.
    async fn groups(&self, ids: &[String]) -> Result<Vec<Group>>;
    /// A page of groups, newest first.
    async fn list_groups(&self, filter: &GroupFilter, page: PageRequest) -> Result<Page<Group>>;
    /// All dynamic groups of some spaces, newest first; as many as there may be groups.
    async fn dynamic_groups(&self, spaces: &Spaces) -> Result<Vec<Group>>;
    /// Sets name, description and `modified_at`. [`Code::GroupExists`](causeway_model::Code::GroupExists) when the name
    /// is taken. False when gone.
    async fn update_group(&self, group: &Group) -> Result<bool>;
    /// Deletes a group. [`Code::GroupInUse`](causeway_model::Code::GroupInUse) when it has devices or groups below it.
    /// False when it is not there.
    async fn delete_group(&self, no: RecordNo) -> Result<bool>;
    /// Puts a device of the same space into a static group; nothing happens when it is there.
    /// [`Code::GroupNotFound`](causeway_model::Code::GroupNotFound),
    /// [`Code::DeviceNotFound`](causeway_model::Code::DeviceNotFound),
    /// [`Code::GroupFull`](causeway_model::Code::GroupFull),
    /// [`Code::TooManyGroupsOfDevice`](causeway_model::Code::TooManyGroupsOfDevice).
    async fn add_to_group(&self, group: RecordNo, device: DeviceNo, limits: GroupLimits, at: Timestamp) -> Result<()>;
    /// Takes a device out of a static group. False when it is not in it.
    async fn remove_from_group(&self, group: RecordNo, device: DeviceNo) -> Result<bool>;
    /// The static groups of some devices, newest first.
    async fn groups_of_devices(&self, devices: &[DeviceNo]) -> Result<Vec<(DeviceNo, Group)>>;
}
