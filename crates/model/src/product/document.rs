//! The document form of a product model.

use serde::{Deserialize, Serialize};

/// Data types of properties and parameters (002 §3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DataType {
    /// 32-bit whole number.
    Int,
    /// 64-bit whole number.
    Long,
    /// Any number.
    Decimal,
    /// Text.
    String,
    /// Text in one of the two documented time forms.
    DateTime,
    /// Any object or array.
    JsonObject,
    /// One of a list of texts.
    Enum,
    /// `true` or `false`.
    Boolean,
    /// List of texts.
    StringList,
}

impl DataType {
    const NAMES: [(Self, &'static str); 9] = [
        (Self::Int, "int"),
        (Self::Long, "long"),
        (Self::Decimal, "decimal"),
        (Self::String, "string"),
        (Self::DateTime, "DateTime"),
        (Self::JsonObject, "jsonObject"),
        (Self::Enum, "enum"),
        (Self::Boolean, "boolean"),
        (Self::StringList, "string list"),
    ];

    /// Reads a type's name without regard to case; `dateTime`, `bool` and `array` of older model files are understood.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let alias = match name.to_ascii_lowercase().as_str() {
            "bool" => Some(Self::Boolean),
            "array" => Some(Self::StringList),
            _ => None,
        };
        alias.or_else(|| Self::NAMES.into_iter().find(|(_, n)| n.eq_ignore_ascii_case(name)).map(|(t, _)| t))
    }

    /// The name used in documents.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::NAMES.into_iter().find(|(t, _)| *t == self).map_or("string", |(_, n)| n)
    }
}

/// A service: one group of abilities of a device.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ServiceCapability {
    /// Name of the service, unique in the product.
    pub service_id: String,
    /// Type of the service; equals the id when absent.
    #[serde(default)]
    pub service_type: String,
    /// What the device reports and can be set to.
    #[serde(default, deserialize_with = "null_as_default")]
    pub properties: Vec<ServiceProperty>,
    /// What the device can be told to do.
    #[serde(default, deserialize_with = "null_as_default")]
    pub commands: Vec<ServiceCommand>,
    /// What the device may announce.
    #[serde(default, deserialize_with = "null_as_default")]
    pub events: Vec<ServiceEvent>,
    /// Free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// `Master`, `Mandatory` or `Optional`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub option: Option<String>,
}

/// A property of a service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ServiceProperty {
    /// Name, unique in the service.
    pub property_name: String,
    /// Name of a [`DataType`].
    pub data_type: String,
    /// Must be in every report of the service (shown, not enforced; reports may be partial).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub required: Option<bool>,
    /// Values of an enum, or the allowed texts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enum_list: Option<Vec<String>>,
    /// Smallest number, as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<String>,
    /// Largest number, as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<String>,
    /// Longest text, in characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_length: Option<i64>,
    /// Step between values (shown, not enforced).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<f64>,
    /// Unit of measure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Access: `R` readable, `W` writable, `E` reports its changes, in any of the documented combinations.
    #[serde(default)]
    pub method: String,
    /// Free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Written into the desired side of the shadow of every device created afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_value: Option<serde_json::Value>,
}

/// A command of a service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ServiceCommand {
    /// Name, unique in the service.
    pub command_name: String,
    /// Parameters of the command.
    #[serde(default, deserialize_with = "null_as_default")]
    pub paras: Vec<ServiceCommandPara>,
    /// Answers that the device may give.
    #[serde(default, deserialize_with = "null_as_default")]
    pub responses: Vec<ServiceCommandResponse>,
}

/// A parameter of a command, response or event.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ServiceCommandPara {
    /// Name, unique in its list.
    pub para_name: String,
    /// Name of a [`DataType`].
    pub data_type: String,
    /// Must be given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub required: Option<bool>,
    /// Values of an enum, or the allowed texts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enum_list: Option<Vec<String>>,
    /// Smallest number, as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<String>,
    /// Largest number, as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<String>,
    /// Longest text, in characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_length: Option<i64>,
    /// Step between values (shown, not enforced).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<f64>,
    /// Unit of measure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// An answer to a command.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ServiceCommandResponse {
    /// Name of the answer.
    pub response_name: String,
    /// Its parameters.
    #[serde(default, deserialize_with = "null_as_default")]
    pub paras: Vec<ServiceCommandPara>,
}

/// An event of a service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ServiceEvent {
    /// Name of the event.
    pub event_type: String,
    /// Its parameters.
    #[serde(default, deserialize_with = "null_as_default")]
    pub paras: Vec<ServiceCommandPara>,
}

fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}
