//! Groups of devices (002 §3.5).

use causeway_model::group::{Group as Record, GroupFilter};
use causeway_model::{AppId, Code, DeviceId, Error, GroupId, Result};
use causeway_platform::group::NewGroup;

use crate::bounded::{Any, Id, Name, Text, Word, words};
use crate::call::{Call, Page, Reply};
use crate::operation::{Built, Param, Success, json};
use crate::shape::{Nothing, body, reply};

words! {
    /// How a group gets its devices.
    Types: "STATIC" | "DYNAMIC";
    /// What to do with a device and a group.
    Actions: "addDevice" | "removeDevice";
}

type GroupName = Text<Name, 1, 64>;
type NameFilter = Text<Name, 0, 64>;
type Description = Text<Name, 0, 64>;

body! {
    /// A group to make.
    pub(crate) struct AddGroup {
        /// Name, unique in the resource space.
        name: GroupName,
        /// Free text.
        description: Option<Description>,
        /// The group it is to be below; not for dynamic groups.
        super_group_id: Option<Id<GroupId>>,
        /// Resource space; the default one when absent, or that of the group above.
        app_id: Option<Id<AppId>>,
        /// STATIC, unless said otherwise, or DYNAMIC.
        group_type: Option<Word<Types>>,
        /// The where-part of a device search: which devices are in a dynamic group.
        dynamic_group_rule: Option<Text<Any, 0, 65536>>,
    }
}

body! {
    /// Fields of a group to change; absent ones keep their value.
    pub(crate) struct UpdateGroup {
        /// Name, unique in the resource space.
        name: Option<GroupName>,
        /// Free text.
        description: Option<Description>,
    }
}

reply! {
    /// A group.
    pub(crate) struct Group {
        /// Its id.
        group_id: String,
        /// Name.
        name: String,
        /// Free text.
        description: Option<String>,
        /// The group it is below.
        super_group_id: Option<String>,
        /// STATIC or DYNAMIC.
        group_type: &'static str,
        /// The rule of a dynamic group.
        dynamic_group_rule: Option<String>,
    }
}

reply! {
    /// A group in a list.
    pub(crate) struct GroupItem {
        /// Its id.
        group_id: String,
        /// Name.
        name: String,
        /// Free text.
        description: Option<String>,
        /// The group it is below.
        super_group_id: Option<String>,
        /// STATIC or DYNAMIC.
        group_type: &'static str,
    }
}

reply! {
    /// A page of groups.
    pub(crate) struct Groups {
        /// The groups, newest first.
        device_groups: Vec<GroupItem>,
        /// The page.
        page: Page,
    }
}

reply! {
    /// The groups of a device.
    pub(crate) struct GroupsOfDevice {
        /// The groups, newest first.
        device_groups: Vec<GroupItem>,
    }
}

reply! {
    /// A device of a group.
    pub(crate) struct GroupDevice {
        /// The id.
        device_id: String,
        /// What the device calls itself.
        node_id: String,
        /// Display name.
        device_name: Option<String>,
        /// Its product.
        product_id: String,
    }
}

reply! {
    /// A page of the devices of a group.
    pub(crate) struct GroupDevices {
        /// The devices, newest first.
        devices: Vec<GroupDevice>,
        /// The page.
        page: Page,
    }
}

impl From<Record> for Group {
    fn from(group: Record) -> Self {
        Self {
            group_id: group.id.to_string(),
            name: group.name,
            description: group.description,
            super_group_id: group.super_group_id.map(|id| id.to_string()),
            group_type: group.kind.as_str(),
            dynamic_group_rule: group.kind.rule().map(str::to_owned),
        }
    }
}

impl From<Record> for GroupItem {
    fn from(group: Record) -> Self {
        Self {
            group_id: group.id.to_string(),
            name: group.name,
            description: group.description,
            super_group_id: group.super_group_id.map(|id| id.to_string()),
            group_type: group.kind.as_str(),
        }
    }
}

/// The group of the path.
fn group_id(call: &Call) -> Result<GroupId> {
    GroupId::parse(call.path("group_id"))
}

/// The rule, when the group is to be dynamic.
fn rule_of(group_type: Option<Word<Types>>, rule: Option<Text<Any, 0, 65536>>) -> Result<Option<String>> {
    let dynamic = group_type.is_some_and(|t| t.as_str() == "DYNAMIC");
    match (dynamic, rule.map(Text::into_string).filter(|r| !r.is_empty())) {
        (true, None) => Err(Error::new(
            Code::InvalidGroup,
            "Invalid input. A dynamic group needs a 'dynamic_group_rule', the where-part of a device search.",
        )),
        (false, Some(_)) => Err(Error::new(
            Code::InvalidGroup,
            "Invalid input. Only a group of the 'group_type' DYNAMIC has a 'dynamic_group_rule'.",
        )),
        (_, rule) => Ok(rule),
    }
}

pub(super) static ADD: Built =
    Built::new("Makes a device group.", json::<Group>(201), |c| Box::pin(add(c))).body::<AddGroup>().errors(&[
        Code::AppNotFound,
        Code::AppRequired,
        Code::GroupExists,
        Code::InvalidGroup,
        Code::TooManyGroups,
        Code::GroupTooDeep,
        Code::InvalidSearch,
    ]);

async fn add(call: Call) -> Result<Reply> {
    let new: AddGroup = call.body()?;
    let group = call
        .platform()
        .create_group(NewGroup {
            name: new.name.into_string(),
            description: new.description.map(Text::into_string),
            super_group_id: new.super_group_id.map(|id| id.0),
            spaces: call.spaces(new.app_id.map(|id| id.0))?,
            rule: rule_of(new.group_type, new.dynamic_group_rule)?,
        })
        .await?;
    call.concerns(&group.app_id);
    Reply::created(&Group::from(group))
}

pub(super) static LIST: Built = Built::new("Lists device groups.", json::<Groups>(200), |c| Box::pin(list(c)))
    .query(&[
        Param::optional::<Text<Any, 0, 64>>(
            "last_modified_time",
            "Only those made or changed after this, like 20151212T121212Z.",
        ),
        Param::optional::<AppId>("app_id", "Only of this resource space."),
        Param::optional::<Word<Types>>("group_type", "Only of this type."),
        Param::optional::<NameFilter>("name", "Only those whose name contains this text."),
    ])
    .paged()
    .errors(&[Code::AppNotFound, Code::InvalidTime]);

async fn list(call: Call) -> Result<Reply> {
    let filter = GroupFilter {
        spaces: call.spaces(call.query("app_id")?)?,
        name: call.query::<NameFilter>("name")?.map(Text::into_string),
        dynamic: call.query::<Word<Types>>("group_type")?.map(|t| t.as_str() == "DYNAMIC"),
        modified_after: call.time("last_modified_time")?,
    };
    let found = call.platform().list_groups(&filter, call.page()?).await?;
    let page = Page::of(&found);
    Reply::ok(&Groups { device_groups: found.items.into_iter().map(Into::into).collect(), page })
}

pub(super) static SHOW: Built =
    Built::new("Shows a device group.", json::<Group>(200), |c| Box::pin(show(c))).errors(&[Code::GroupNotFound]);

async fn show(call: Call) -> Result<Reply> {
    Reply::ok(&Group::from(call.platform().group(&call.allowed, &group_id(&call)?).await?))
}

pub(super) static UPDATE: Built = Built::new("Changes a device group.", json::<Group>(200), |c| Box::pin(update(c)))
    .body::<UpdateGroup>()
    .errors(&[Code::GroupNotFound, Code::GroupExists]);

async fn update(call: Call) -> Result<Reply> {
    let id = group_id(&call)?;
    let change: UpdateGroup = call.body()?;
    let (name, description) = (change.name.map(Text::into_string), change.description.map(Text::into_string));
    Reply::ok(&Group::from(call.platform().update_group(&call.allowed, &id, name, description).await?))
}

pub(super) static DELETE: Built =
    Built::new("Deletes a device group without devices and groups below it.", Success::Empty, |c| Box::pin(delete(c)))
        .errors(&[Code::GroupNotFound, Code::GroupInUse]);

async fn delete(call: Call) -> Result<Reply> {
    call.platform().delete_group(&call.allowed, &group_id(&call)?).await?;
    Ok(Reply::empty())
}

pub(super) static ACT: Built =
    Built::new("Puts a device into a static group, or takes it out.", json::<Nothing>(200), |c| Box::pin(act(c)))
        .query(&[
            Param::mandatory::<Word<Actions>>("action_id", "What to do."),
            Param::mandatory::<DeviceId>("device_id", "The device."),
        ])
        .errors(&[
            Code::GroupNotFound,
            Code::DeviceNotFound,
            Code::DynamicGroup,
            Code::InvalidGroup,
            Code::GroupFull,
            Code::TooManyGroupsOfDevice,
            Code::NotInGroup,
        ]);

async fn act(call: Call) -> Result<Reply> {
    let id = group_id(&call)?;
    let missing = |name: &str| Error::invalid(format!("Invalid input. The mandatory parameter '{name}' is missing."));
    let action = call.query::<Word<Actions>>("action_id")?.ok_or_else(|| missing("action_id"))?;
    let device = call.query::<DeviceId>("device_id")?.ok_or_else(|| missing("device_id"))?;
    call.platform().group(&call.allowed, &id).await?;
    let device = call.named_device(&device).await?;
    match action.as_str() {
        "addDevice" => call.platform().add_to_group(&call.allowed, &id, &device).await?,
        _ => call.platform().remove_from_group(&call.allowed, &id, &device).await?,
    }
    Reply::ok(&Nothing)
}

pub(super) static DEVICES: Built =
    Built::new("Lists the devices of a group.", json::<GroupDevices>(200), |c| Box::pin(devices(c)))
        .paged()
        .errors(&[Code::GroupNotFound]);

async fn devices(call: Call) -> Result<Reply> {
    let found = call.platform().devices_of_group(&call.allowed, &group_id(&call)?, call.page()?).await?;
    let page = Page::of(&found);
    let devices = found
        .items
        .into_iter()
        .map(|d| GroupDevice {
            device_id: d.id.to_string(),
            node_id: d.node_id.to_string(),
            device_name: d.name,
            product_id: d.product_id.to_string(),
        })
        .collect();
    Reply::ok(&GroupDevices { devices, page })
}

pub(super) static OF_DEVICE: Built =
    Built::new("Lists the groups that a device is in.", json::<GroupsOfDevice>(200), |c| Box::pin(of_device(c)))
        .errors(&[Code::DeviceNotFound]);

async fn of_device(call: Call) -> Result<Reply> {
    let device = call.named_device(&call.device_id()?).await?;
    let groups = call.platform().groups_of_device(&device).await?;
    Reply::ok(&GroupsOfDevice { device_groups: groups.into_iter().map(Into::into).collect() })
}
