//! What a device search asks for (`iotda-v5-api.md`, `search_devices`): read from text by `causeway-rules`, compiled to
//! queries by the store, and judged here for a device at hand.
//!
//! Two rules fill what the vendor leaves open:
//! * a field that a device does not have equals nothing: `=`, `in` and `like` do not match it, `!=` and `not in` do;
//! * `tag_key` and `tag_value` joined by `and` right beside each other speak of one tag; alone, `=` and `like` ask for
//!   any tag, and `!=` for none.

use crate::ids::AppId;
use crate::registry::Device;
use crate::spaces::Spaces;
use crate::tag::Tag;

/// A field that holds text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TextField {
    /// The space.
    AppId,
    /// The device's id.
    DeviceId,
    /// The gateway it is behind, its own id when it connects itself.
    GatewayId,
    /// Its product.
    ProductId,
    /// Display name.
    DeviceName,
    /// What it calls itself.
    NodeId,
    /// The status that interfaces show.
    Status,
    /// `GATEWAY` or `ENDPOINT`.
    NodeType,
    /// Software version.
    SwVersion,
    /// Firmware version.
    FwVersion,
}

/// A field that holds a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NumberField {
    /// When the device was registered, in milliseconds since 1970 UTC.
    CreateTime,
    /// Its paging position.
    Marker,
}

/// What is asked of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextTest {
    /// `=`, `in`.
    OneOf(Vec<String>),
    /// `!=`, `not in`.
    NoneOf(Vec<String>),
    /// `like 'text%'`; not empty.
    Starts(String),
}

impl TextTest {
    /// Whether a text passes; `None` stands for a field that is not there.
    #[must_use]
    pub fn accepts(&self, text: Option<&str>) -> bool {
        match (self, text) {
            (Self::OneOf(words), Some(text)) => words.iter().any(|w| w == text),
            (Self::NoneOf(words), Some(text)) => words.iter().all(|w| w != text),
            (Self::Starts(start), Some(text)) => text.starts_with(start.as_str()),
            (Self::NoneOf(_), None) => true,
            (Self::OneOf(_) | Self::Starts(_), None) => false,
        }
    }

    /// The same without a negation, and whether there was one.
    #[must_use]
    pub fn positive(&self) -> (Self, bool) {
        match self {
            Self::NoneOf(words) => (Self::OneOf(words.clone()), true),
            other => (other.clone(), false),
        }
    }
}

/// What is asked of a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NumberTest {
    /// `=`, `in`.
    OneOf(Vec<i64>),
    /// `!=`, `not in`.
    NoneOf(Vec<i64>),
    /// `>`.
    Above(i64),
    /// `<`.
    Below(i64),
}

impl NumberTest {
    /// Whether a number passes.
    #[must_use]
    pub fn accepts(&self, number: i64) -> bool {
        match self {
            Self::OneOf(numbers) => numbers.contains(&number),
            Self::NoneOf(numbers) => !numbers.contains(&number),
            Self::Above(limit) => number > *limit,
            Self::Below(limit) => number < *limit,
        }
    }
}

/// What is asked of the tags; at least one of both is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagTest {
    /// Of the key.
    pub key: Option<TextTest>,
    /// Of the value, of the same tag when the key is asked for too.
    pub value: Option<TextTest>,
}

impl TagTest {
    /// Whether a device with these tags passes.
    #[must_use]
    pub fn accepts(&self, tags: &[Tag]) -> bool {
        match (&self.key, &self.value) {
            (Some(key), Some(value)) => tags.iter().any(|t| key.accepts(Some(&t.key)) && value.accepts(Some(&t.value))),
            (Some(key), None) => {
                let (key, negated) = key.positive();
                tags.iter().any(|t| key.accepts(Some(&t.key))) != negated
            }
            (None, Some(value)) => {
                let (value, negated) = value.positive();
                tags.iter().any(|t| value.accepts(Some(&t.value))) != negated
            }
            (None, None) => true,
        }
    }
}

/// One condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Of a text.
    Text(TextField, TextTest),
    /// Of a number.
    Number(NumberField, NumberTest),
    /// Of the tags.
    Tag(TagTest),
    /// Being in one of these groups, or in none of them.
    Group {
        /// Their ids as they were written; one that is not there has no device.
        ids: Vec<String>,
        /// `true` for being in one of them.
        within: bool,
    },
}

impl Condition {
    fn accepts(&self, device: &Device, is_in: &impl Fn(&str) -> bool) -> bool {
        match self {
            Self::Text(field, test) => test.accepts(text_of(device, *field)),
            Self::Number(NumberField::CreateTime, test) => test.accepts(device.created_at.0),
            Self::Number(NumberField::Marker, test) => test.accepts(device.no.0),
            Self::Tag(test) => test.accepts(&device.tags),
            Self::Group { ids, within } => ids.iter().any(|id| is_in(id)) == *within,
        }
    }
}

fn text_of(device: &Device, field: TextField) -> Option<&str> {
    match field {
        TextField::AppId => Some(device.app_id.as_str()),
        TextField::DeviceId => Some(device.id.as_str()),
        TextField::GatewayId => Some(device.gateway_id.as_ref().unwrap_or(&device.id).as_str()),
        TextField::ProductId => Some(device.product_id.as_str()),
        TextField::DeviceName => device.name.as_deref(),
        TextField::NodeId => Some(device.node_id.as_str()),
        TextField::Status => Some(device.status().as_str()),
        TextField::NodeType => Some(device.node_type()),
        TextField::SwVersion => device.sw_version.as_deref(),
        TextField::FwVersion => device.fw_version.as_deref(),
    }
}

/// Alternatives joined by `or`, each of conditions joined by `and`. Without any alternative nothing is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter(pub Vec<Vec<Condition>>);

impl Filter {
    /// One condition.
    #[must_use]
    pub fn one(condition: Condition) -> Self {
        Self(vec![vec![condition]])
    }

    /// Whether the device matches; `is_in` says in which groups it is.
    #[must_use]
    pub fn accepts(&self, device: &Device, is_in: impl Fn(&str) -> bool) -> bool {
        self.0.is_empty() || self.0.iter().any(|all| all.iter().all(|c| c.accepts(device, &is_in)))
    }

    /// The groups that conditions name.
    pub fn groups(&self) -> impl Iterator<Item = &str> {
        self.0.iter().flatten().flat_map(|condition| {
            match condition {
                Condition::Group { ids, .. } => ids.as_slice(),
                _ => &[],
            }
            .iter()
            .map(String::as_str)
        })
    }
}

/// What a dynamic group stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DynamicGroup {
    /// Its id.
    pub id: String,
    /// Its space.
    pub app_id: AppId,
    /// Its rule, without conditions of groups.
    pub rule: Filter,
}

/// A search, as the store gets it.
#[derive(Clone, Debug, Default)]
pub struct DeviceQuery {
    /// Of these spaces.
    pub spaces: Spaces,
    /// Which devices.
    pub filter: Filter,
    /// Those of the groups named in `filter` that are dynamic; the others are static.
    pub dynamic: Vec<DynamicGroup>,
}
