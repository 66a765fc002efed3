//! Tags of devices (002 §3.5): a key with a value, each key once a device.

/// A tag bound to a device.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tag {
    /// 1 to 64 characters, unique at the device.
    pub key: String,
    /// At most 128 characters; empty when none was given.
    pub value: String,
}

/// What a query by tags asks for: the key, with any value or with this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagQuery {
    /// The key.
    pub key: String,
    /// The value; `None` for any.
    pub value: Option<String>,
}
