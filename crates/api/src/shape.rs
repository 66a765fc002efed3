//! Bodies: a struct, its reader or writer, and its place in the OpenAPI document, declared once.
//!
//! `body!` declares what a request carries, `reply!` what an answer carries; field names, limits and texts stand in the
//! declaration only.

use std::collections::BTreeMap;

use causeway_model::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// Schemas that have a name, as they are met.
#[derive(Default)]
pub(crate) struct Definitions(pub(crate) BTreeMap<&'static str, Value>);

impl Definitions {
    /// A reference to the schema `name`, which `make` writes when it is met for the first time.
    pub(crate) fn named(&mut self, name: &'static str, make: impl FnOnce(&mut Self) -> Value) -> Value {
        if !self.0.contains_key(name) {
            self.0.insert(name, Value::Null);
            let schema = make(self);
            self.0.insert(name, schema);
        }
        json!({ "$ref": format!("#/components/schemas/{name}") })
    }
}

/// A type of a body's field.
pub(crate) trait Shape: Sized {
    /// False for fields that may be left out.
    const REQUIRED: bool = true;

    /// JSON Schema of the type.
    fn schema(definitions: &mut Definitions) -> Value;

    /// What a field means that is not there; `None` when it must be there.
    fn absent() -> Option<Self> {
        None
    }

    /// Whether an answer leaves the field out.
    fn is_absent(&self) -> bool {
        false
    }
}

impl<T: Shape> Shape for Option<T> {
    const REQUIRED: bool = false;

    fn schema(definitions: &mut Definitions) -> Value {
        T::schema(definitions)
    }

    fn absent() -> Option<Self> {
        Some(None)
    }

    fn is_absent(&self) -> bool {
        self.is_none()
    }
}

impl<T: Shape> Shape for Vec<T> {
    fn schema(definitions: &mut Definitions) -> Value {
        json!({ "type": "array", "items": T::schema(definitions) })
    }
}

macro_rules! plain_shapes {
    ($($type:ty => $schema:tt;)*) => {$(
        impl Shape for $type {
            fn schema(_: &mut Definitions) -> Value {
                json!($schema)
            }
        }
    )*};
}

plain_shapes! {
    String => { "type": "string" };
    &'static str => { "type": "string" };
    bool => { "type": "boolean" };
    i64 => { "type": "integer", "format": "int64" };
    u64 => { "type": "integer", "format": "int64", "minimum": 0 };
    Box<RawValue> => { "description": "Any JSON value." };
    Compact => { "type": "string", "examples": ["20151212T121212Z"] };
    Millis => { "type": "string", "examples": ["2015-12-12T12:12:12.000Z"] };
}

/// A time as `yyyyMMdd'T'HHmmss'Z'` (`iotda-v5-api.md` §1.5).
pub(crate) struct Compact(pub(crate) Timestamp);

/// A time as `yyyy-MM-dd'T'HH:mm:ss.SSS'Z'`.
pub(crate) struct Millis(pub(crate) Timestamp);

impl Serialize for Compact {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.compact())
    }
}

impl Serialize for Millis {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.millis())
    }
}

/// An answer that says nothing but that it was done: `{}`.
pub(crate) struct Nothing;

impl Serialize for Nothing {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serde::ser::SerializeMap::end(serializer.serialize_map(Some(0))?)
    }
}

impl Shape for Nothing {
    fn schema(_: &mut Definitions) -> Value {
        json!({ "type": "object" })
    }
}

/// One field of an object schema.
pub(crate) fn field(schema: Value, text: &str) -> Value {
    let mut schema = schema;
    if let Some(object) = schema.as_object_mut() {
        object.insert("description".to_owned(), Value::from(text));
    }
    schema
}

/// Doc comment lines as one text.
pub(crate) fn text_of(lines: &[&str]) -> String {
    lines.iter().map(|l| l.trim()).collect::<Vec<_>>().join(" ")
}

/// A field's name on the wire: `r#type` is `type`.
pub(crate) const fn field_name(field: &'static str) -> &'static str {
    match field.as_bytes() {
        [b'r', b'#', ..] => field.split_at(2).1,
        _ => field,
    }
}

macro_rules! describe {
    ([$($about:literal)+] $name:ident { $( [$($text:literal)+] $field:ident : $type:ty, )* }) => {
        impl $crate::shape::Shape for $name {
            fn schema(definitions: &mut $crate::shape::Definitions) -> serde_json::Value {
                definitions.named(stringify!($name), |definitions| {
                    let mut properties = serde_json::Map::new();
                    let mut required: Vec<&str> = Vec::new();
                    $(
                        let schema = <$type as $crate::shape::Shape>::schema(definitions);
                        let text = $crate::shape::text_of(&[$($text),+]);
                        properties.insert($crate::shape::field_name(stringify!($field)).to_owned(), $crate::shape::field(schema, &text));
                        if <$type as $crate::shape::Shape>::REQUIRED {
                            required.push($crate::shape::field_name(stringify!($field)));
                        }
                    )*
                    serde_json::json!({
                        "type": "object",
                        "description": $crate::shape::text_of(&[$($about),+]),
                        "properties": properties,
                        "required": required,
                    })
                })
            }
        }
    };
}

/// Declares what a request carries. Unknown fields are skipped, `null` is like an absent field, a repeated name keeps
/// its last value, and only objects are taken (serde's derive would take arrays too).
macro_rules! body {
    ($(#[doc = $about:literal])+ $visibility:vis struct $name:ident {
        $( $(#[doc = $text:literal])+ $field:ident : $type:ty, )*
    }) => {
        $(#[doc = $about])+
        #[allow(dead_code, reason = "some fields are read for their rule only")]
        $visibility struct $name {
            $( $(#[doc = $text])+ $visibility $field: $type, )*
        }

        $crate::shape::describe! { [$($about)+] $name { $( [$($text)+] $field: $type, )* } }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Fields;
                impl<'de> serde::de::Visitor<'de> for Fields {
                    type Value = $name;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("a JSON object")
                    }

                    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<$name, A::Error> {
                        $( let mut $field: Option<$type> = None; )*
                        while let Some(name) = map.next_key::<$crate::decode::FieldName<'de>>()? {
                            match name.as_str() {
                                $( name if name == $crate::shape::field_name(stringify!($field)) => {
                                    $field = Some(map.next_value()?);
                                } )*
                                _ => { map.next_value::<serde::de::IgnoredAny>()?; }
                            }
                        }
                        Ok($name {
                            $( $field: match $field.or_else(<$type as $crate::shape::Shape>::absent) {
                                Some(value) => value,
                                None => return Err(serde::de::Error::missing_field($crate::shape::field_name(stringify!($field)))),
                            }, )*
                        })
                    }
                }
                deserializer.deserialize_map(Fields)
            }
        }
    };
}

/// Declares what an answer carries; absent fields are left out.
macro_rules! reply {
    ($(#[doc = $about:literal])+ $visibility:vis struct $name:ident {
        $( $(#[doc = $text:literal])+ $field:ident : $type:ty, )*
    }) => {
        $(#[doc = $about])+
        $visibility struct $name {
            $( $(#[doc = $text])+ $visibility $field: $type, )*
        }

        $crate::shape::describe! { [$($about)+] $name { $( [$($text)+] $field: $type, )* } }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use serde::ser::SerializeMap as _;
                let mut map = serializer.serialize_map(None)?;
                $(
                    if !$crate::shape::Shape::is_absent(&self.$field) {
                        map.serialize_entry($crate::shape::field_name(stringify!($field)), &self.$field)?;
                    }
                )*
                map.end()
            }
        }
    };
}

pub(crate) use {body, describe, reply};

/// A field of a change that `null` and an empty text take away: the vendor's SDK cannot send `null`.
pub(crate) enum Clearable<T> {
    /// It is absent and keeps its value.
    Keep,
    /// It loses its value.
    Clear,
    /// It gets this one.
    Set(T),
}

impl<T> Clearable<T> {
    /// As changes of the platform carry it.
    pub(crate) fn map<U>(self, to: impl FnOnce(T) -> U) -> Option<Option<U>> {
        match self {
            Self::Keep => None,
            Self::Clear => Some(None),
            Self::Set(value) => Some(Some(to(value))),
        }
    }
}

impl<T: Shape> Shape for Clearable<T> {
    const REQUIRED: bool = false;

    fn schema(definitions: &mut Definitions) -> Value {
        json!({ "oneOf": [T::schema(definitions), { "type": "null" }, { "type": "string", "maxLength": 0 }] })
    }

    fn absent() -> Option<Self> {
        Some(Self::Keep)
    }
}

impl<'de, T: crate::bounded::Rule> serde::Deserialize<'de> for Clearable<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader<T>(std::marker::PhantomData<T>);
        impl<'de, T: crate::bounded::Rule> serde::de::Visitor<'de> for Reader<T> {
            type Value = Clearable<T>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a string or null")
            }
            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Clearable::Clear)
            }
            fn visit_none<E>(self) -> Result<Self::Value, E> {
                Ok(Clearable::Clear)
            }
            fn visit_some<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
                deserializer.deserialize_str(self)
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
                if text.is_empty() {
                    return Ok(Clearable::Clear);
                }
                let read = T::read(text).map(Clearable::Set);
                read.ok_or_else(|| E::custom(format_args!("must be {}", T::rule())))
            }
        }
        deserializer.deserialize_option(Reader(std::marker::PhantomData))
    }
}
