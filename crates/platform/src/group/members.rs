//! The devices of groups and the groups of devices.

use std::collections::HashMap;

use causeway_model::group::{Group, GroupKind};
use causeway_model::registry::{Device, Page, PageRequest};
use causeway_model::search::{Condition, DeviceQuery, Filter};
use causeway_model::{Code, DeviceId, DeviceNo, Error, GroupId, RecordNo, Result, Spaces};

use crate::Platform;

/// The filter for being in one of these groups.
fn within(groups: &[GroupId]) -> Filter {
    Filter::one(Condition::Group { ids: groups.iter().map(GroupId::to_string).collect(), within: true })
}

fn refuse_dynamic(group: &Group) -> Result<()> {
    match group.kind {
        GroupKind::Static => Ok(()),
        GroupKind::Dynamic(_) => Err(Error::new(
            Code::DynamicGroup,
            format!("Operation not allowed. The devices of the dynamic group '{}' follow its rule.", group.id),
        )),
    }
}

impl Platform {
    /// Puts a device into a static group; nothing happens when it is in it.
    ///
    /// # Errors
    /// [`Code::GroupNotFound`], [`Code::DynamicGroup`], [`Code::InvalidGroup`] when both are of different spaces,
    /// [`Code::GroupFull`], [`Code::TooManyGroupsOfDevice`].
    pub async fn add_to_group(&self, spaces: &Spaces, id: &GroupId, device: &Device) -> Result<()> {
        let group = self.group(spaces, id).await?;
        refuse_dynamic(&group)?;
        if group.app_id != device.app_id {
            return Err(Error::new(
                Code::InvalidGroup,
                format!("Invalid input. The device '{}' belongs to another resource space than the group.", device.id),
            ));
        }
        self.store.add_to_group(group.no, device.no, self.group_limits(), self.clock.now()).await
    }

    /// Takes a device out of a static group.
    ///
    /// # Errors
    /// [`Code::GroupNotFound`], [`Code::DynamicGroup`], [`Code::NotInGroup`].
    pub async fn remove_from_group(&self, spaces: &Spaces, id: &GroupId, device: &Device) -> Result<()> {
        let group = self.group(spaces, id).await?;
        refuse_dynamic(&group)?;
        if self.store.remove_from_group(group.no, device.no).await? {
            return Ok(());
        }
        Err(Error::new(Code::NotInGroup, format!("The device '{}' is not in the device group '{id}'.", device.id)))
    }

    /// A page of a group's devices, newest first.
    ///
    /// # Errors
    /// [`Code::GroupNotFound`].
    pub async fn devices_of_group(&self, spaces: &Spaces, id: &GroupId, page: PageRequest) -> Result<Page<Device>> {
        let group = self.group(spaces, id).await?;
        let query = DeviceQuery {
            spaces: Spaces::one(group.app_id.clone()),
            filter: within(std::slice::from_ref(&group.id)),
            dynamic: self.group_rules.dynamic(&group)?.into_iter().collect(),
        };
        let items = self.store.find_devices(&query, false, page).await?;
        let count = self.store.count_devices(&query).await?;
        Ok(Page { marker: items.last().map_or(page.marker, |d| d.no.into()), items, count })
    }

    /// Devices of at least one of these groups, each once, newest first: at most `limit` before `marker`
    /// ([`RecordNo::LAST`] for the first page, the last number answered for the next one). Few or none end the list.
    /// A group that is not there, or not in `spaces`, has no devices.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn devices_of_groups(
        &self,
        spaces: &Spaces,
        groups: &[GroupId],
        marker: RecordNo,
        limit: u32,
    ) -> Result<Vec<(DeviceNo, DeviceId)>> {
        self.devices_of_search(spaces, &within(groups), marker, limit).await
    }

    /// Every group of a device, static and dynamic, newest first.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn groups_of_device(&self, device: &Device) -> Result<Vec<Group>> {
        let mut found = self.groups_of_devices(std::slice::from_ref(device)).await?;
        Ok(found.remove(&device.no).unwrap_or_default())
    }

    /// Every group of some devices, newest first.
    pub(crate) async fn groups_of_devices(&self, devices: &[Device]) -> Result<HashMap<DeviceNo, Vec<Group>>> {
        let mut found: HashMap<DeviceNo, Vec<Group>> = HashMap::new();
        if devices.is_empty() {
            return Ok(found);
        }
        let numbers: Vec<DeviceNo> = devices.iter().map(|d| d.no).collect();
        for (device, group) in self.store.groups_of_devices(&numbers).await? {
            found.entry(device).or_default().push(group);
        }
        let mut apps: Vec<_> = devices.iter().map(|d| d.app_id.clone()).collect();
        apps.sort_unstable();
        apps.dedup();
        for group in self.store.dynamic_groups(&Spaces::Only(apps.into())).await? {
            let Some(rule) = self.group_rules.of(&group)? else { continue };
            for device in devices.iter().filter(|d| d.app_id == group.app_id) {
                // Rules name no groups.
                if rule.accepts(device, |_| false) {
                    found.entry(device.no).or_default().push(group.clone());
                }
            }
        }
        for groups in found.values_mut() {
            groups.sort_by_key(|g| std::cmp::Reverse(g.no));
        }
        Ok(found)
    }
}
