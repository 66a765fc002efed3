//! What both stores say of tags and groups: how tags stand in columns, and what is refused in which words.

use causeway_model::tag::Tag;
use causeway_model::{Code, Error, GroupId, Result};

/// Tags as the stores select them: JSON `[["key","value"],…]`; nothing without tags.
pub(crate) fn tags(text: Option<&str>) -> Result<Vec<Tag>> {
    let Some(text) = text.filter(|t| *t != "[]") else { return Ok(Vec::new()) };
    let pairs: Vec<(String, String)> =
        serde_json::from_str(text).map_err(|e| Error::internal(format_args!("cannot read stored tags: {e}")))?;
    Ok(pairs.into_iter().map(|(key, value)| Tag { key, value }).collect())
}

pub(crate) fn too_many_tags(most: u32) -> Error {
    Error::new(
        Code::TooManyTags,
        format!("Operation not allowed. A device has at most {most} tags. Unbind others first."),
    )
}

pub(crate) fn group_exists(name: &str) -> Error {
    Error::new(Code::GroupExists, format!("A device group with the name '{name}' exists in the resource space."))
}

pub(crate) fn no_group_above(id: &GroupId) -> Error {
    let message = format!("Invalid input. The resource space has no device group '{id}' to be below of.");
    Error::new(Code::InvalidGroup, message)
}

pub(crate) fn dynamic_group_above(id: &GroupId) -> Error {
    Error::new(Code::InvalidGroup, format!("Invalid input. Nothing can be below the dynamic group '{id}'."))
}

pub(crate) fn group_too_deep(depth: u32) -> Error {
    Error::new(Code::GroupTooDeep, format!("Operation not allowed. Device groups have at most {depth} levels."))
}

pub(crate) fn too_many_groups(most: u32) -> Error {
    Error::new(
        Code::TooManyGroups,
        format!("Operation not allowed. There are {most} device groups, which is the limit."),
    )
}

pub(crate) fn group_in_use(what: &str) -> Error {
    Error::new(Code::GroupInUse, format!("Operation not allowed. The device group has {what}. Remove them first."))
}

pub(crate) fn group_full(most: u32) -> Error {
    Error::new(Code::GroupFull, format!("Operation not allowed. A device group has at most {most} devices."))
}

pub(crate) fn too_many_groups_of_device(most: u32) -> Error {
    let message = format!("Operation not allowed. A device is in at most {most} device groups.");
    Error::new(Code::TooManyGroupsOfDevice, message)
}
