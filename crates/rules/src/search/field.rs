//! The names of fields and what may be asked of them.

use causeway_model::search::{NumberField, TextField};

/// A field that conditions may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Text(TextField),
    Number(NumberField),
    TagKey,
    TagValue,
    Group,
}

/// Every field of a condition, in the order of the vendor's table.
pub(super) const CONDITIONS: &[(&str, Field)] = &[
    ("app_id", Field::Text(TextField::AppId)),
    ("device_id", Field::Text(TextField::DeviceId)),
    ("gateway_id", Field::Text(TextField::GatewayId)),
    ("product_id", Field::Text(TextField::ProductId)),
    ("device_name", Field::Text(TextField::DeviceName)),
    ("node_id", Field::Text(TextField::NodeId)),
    ("status", Field::Text(TextField::Status)),
    ("node_type", Field::Text(TextField::NodeType)),
    ("tag_key", Field::TagKey),
    ("tag_value", Field::TagValue),
    ("sw_version", Field::Text(TextField::SwVersion)),
    ("fw_version", Field::Text(TextField::FwVersion)),
    ("group_id", Field::Group),
    ("create_time", Field::Number(NumberField::CreateTime)),
    ("marker", Field::Number(NumberField::Marker)),
];

impl Field {
    /// Whether `like` is there for it.
    pub(super) fn takes_like(self) -> bool {
        matches!(self, Self::Text(TextField::DeviceName | TextField::NodeId) | Self::TagKey | Self::TagValue)
    }

    /// Whether `in` and `not in` are there for it.
    pub(super) fn takes_in(self) -> bool {
        !matches!(self, Self::TagKey | Self::TagValue)
    }

    /// Whether `<` and `>` are there for it.
    pub(super) fn is_ordered(self) -> bool {
        matches!(self, Self::Number(_))
    }
}

macro_rules! outputs {
    ($($(#[$doc:meta])* $name:ident = $word:literal;)*) => {
        /// A field of an answer.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Output { $($(#[$doc])* $name,)* }

        impl Output {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Its name.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }
        }
    };
}

outputs! {
    /// The space.
    AppId = "app_id";
    /// Name of the space.
    AppName = "app_name";
    /// The device's id.
    DeviceId = "device_id";
    /// What it calls itself.
    NodeId = "node_id";
    /// The gateway it is behind.
    GatewayId = "gateway_id";
    /// Display name.
    DeviceName = "device_name";
    /// Direct or behind a gateway.
    NodeType = "node_type";
    /// Firmware version.
    FwVersion = "fw_version";
    /// Software version.
    SwVersion = "sw_version";
    /// SDK version.
    DeviceSdkVersion = "device_sdk_version";
    /// Its product.
    ProductId = "product_id";
    /// Name of the product.
    ProductName = "product_name";
    /// Its groups.
    Groups = "groups";
    /// Its status.
    Status = "status";
    /// Its tags.
    Tags = "tags";
    /// Its modules.
    Modules = "modules";
    /// Its paging position.
    Marker = "marker";
}
