//! Groups of devices (002 §3.5).

use crate::ids::{AppId, GroupId, RecordNo};
use crate::spaces::Spaces;
use crate::time::Timestamp;

/// How a group gets its devices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupKind {
    /// They are put in and taken out one by one.
    Static,
    /// The where-part of a device search, as it was written; whoever matches is in.
    Dynamic(String),
}

impl GroupKind {
    /// The word of the API.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Static => "STATIC",
            Self::Dynamic(_) => "DYNAMIC",
        }
    }

    /// The rule of a dynamic group.
    #[must_use]
    pub fn rule(&self) -> Option<&str> {
        match self {
            Self::Static => None,
            Self::Dynamic(rule) => Some(rule),
        }
    }
}

/// A group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Paging position.
    pub no: RecordNo,
    /// The space it belongs to, as do all devices in it.
    pub app_id: AppId,
    /// The id, a UUID.
    pub id: GroupId,
    /// Name, unique in the space.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// The group it is below.
    pub super_group_id: Option<GroupId>,
    /// How it gets its devices.
    pub kind: GroupKind,
    /// When it was made or changed last; devices that come and go do not count.
    pub modified_at: Timestamp,
}

/// How large groups may get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupLimits {
    /// Groups of the instance.
    pub groups: u32,
    /// Levels of groups.
    pub depth: u32,
    /// Devices of a group.
    pub devices: u32,
    /// Groups that a device is put into.
    pub of_device: u32,
}

/// Which groups to list. Absent fields do not restrict.
#[derive(Clone, Debug, Default)]
pub struct GroupFilter {
    /// Of these spaces.
    pub spaces: Spaces,
    /// Whose name contains this text.
    pub name: Option<String>,
    /// Only dynamic ones, or only static ones.
    pub dynamic: Option<bool>,
    /// Made or changed after this.
    pub modified_after: Option<Timestamp>,
}
