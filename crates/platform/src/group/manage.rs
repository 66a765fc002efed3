//! Making, changing and deleting groups.

use causeway_model::group::{Group, GroupFilter, GroupKind, GroupLimits};
use causeway_model::registry::{Page, PageRequest};
use causeway_model::{Code, Error, GroupId, RecordNo, Result, Spaces};
use causeway_rules::search::parse_rule;
use uuid::Uuid;

use crate::Platform;

/// A group to make; checked fields of the API.
#[derive(Clone, Debug)]
pub struct NewGroup {
    /// Name, unique in the space.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// The group it is to be below.
    pub super_group_id: Option<GroupId>,
    /// The one space that the caller named, or those in which it may make groups.
    pub spaces: Spaces,
    /// The rule of a dynamic group.
    pub rule: Option<String>,
}

fn not_found(id: &GroupId) -> Error {
    Error::new(Code::GroupNotFound, format!("The device group '{id}' does not exist."))
}

impl Platform {
    pub(super) fn group_limits(&self) -> GroupLimits {
        let registry = &self.settings.registry;
        GroupLimits {
            groups: registry.max_groups,
            depth: registry.max_group_depth,
            devices: registry.max_group_devices,
            of_device: registry.max_groups_of_device,
        }
    }

    /// Makes a group: in the space of the group above when one is named, else in the space named, else in the default
    /// one.
    ///
    /// # Errors
    /// [`Code::GroupExists`], [`Code::TooManyGroups`], [`Code::InvalidGroup`], [`Code::GroupTooDeep`],
    /// [`Code::InvalidSearch`] for the rule, [`Code::AppNotFound`].
    pub async fn create_group(&self, new: NewGroup) -> Result<Group> {
        if let Some(rule) = &new.rule {
            if new.super_group_id.is_some() {
                return Err(Error::new(
                    Code::InvalidGroup,
                    "Invalid input. A dynamic group has no group above it; leave 'super_group_id' out.",
                ));
            }
            parse_rule(rule, self.search_limits()).map_err(|e| e.of_search("dynamic_group_rule"))?;
        }
        let app_id = match &new.super_group_id {
            Some(above) if new.spaces.single().is_none() => {
                let found = self.group(&new.spaces, above).await.map_err(|_| {
                    Error::new(Code::InvalidGroup, format!("Invalid input. The device group '{above}' does not exist."))
                })?;
                found.app_id
            }
            _ => self.home_for_new(&new.spaces).await?,
        };
        let group = Group {
            no: RecordNo(0),
            app_id,
            id: GroupId::trusted(Uuid::new_v4().to_string()),
            name: new.name,
            description: new.description,
            super_group_id: new.super_group_id,
            kind: new.rule.map_or(GroupKind::Static, GroupKind::Dynamic),
            modified_at: self.clock.now(),
        };
        self.store.insert_group(group, self.group_limits()).await
    }

    /// One group of these spaces.
    ///
    /// # Errors
    /// [`Code::GroupNotFound`].
    pub async fn group(&self, spaces: &Spaces, id: &GroupId) -> Result<Group> {
        let found = self.store.group(id).await?.filter(|g| spaces.sees(&g.app_id));
        found.ok_or_else(|| not_found(id))
    }

    /// A page of groups, newest first.
    ///
    /// # Errors
    /// [`Code::AppNotFound`].
    pub async fn list_groups(&self, filter: &GroupFilter, page: PageRequest) -> Result<Page<Group>> {
        if let Some(app) = filter.spaces.single() {
            self.app(app).await?;
        }
        self.store.list_groups(filter, page).await
    }

    /// Changes a group; absent fields keep their value.
    ///
    /// # Errors
    /// [`Code::GroupNotFound`], [`Code::GroupExists`].
    pub async fn update_group(
        &self,
        spaces: &Spaces,
        id: &GroupId,
        name: Option<String>,
        description: Option<String>,
    ) -> Result<Group> {
        let mut group = self.group(spaces, id).await?;
        group.name = name.unwrap_or(group.name);
        group.description = description.or(group.description);
        group.modified_at = self.clock.now();
        if self.store.update_group(&group).await? { Ok(group) } else { Err(not_found(id)) }
    }

    /// Deletes a group without devices and groups below it. A dynamic group has none that were put in.
    ///
    /// # Errors
    /// [`Code::GroupNotFound`], [`Code::GroupInUse`].
    pub async fn delete_group(&self, spaces: &Spaces, id: &GroupId) -> Result<()> {
        let group = self.group(spaces, id).await?;
        if self.store.delete_group(group.no).await? { Ok(()) } else { Err(not_found(id)) }
    }
}
