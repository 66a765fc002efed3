//! `channel_detail`: one member, named by the channel, that holds the channel's configuration. Its schema is made of the
//! configuration structs of the channels crate.

use causeway_channels::{About, Channel, FieldKind};
use causeway_model::{Error, Result};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::decode;
use crate::shape::{Definitions, Shape};

/// `channel_detail` of a request, as it was sent.
pub(crate) struct DetailBody(Box<RawValue>);

/// `channel_detail` of an answer: without credentials.
pub(crate) struct DetailReply {
    member: &'static str,
    shown: Value,
}

impl<'de> serde::Deserialize<'de> for DetailBody {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        Box::<RawValue>::deserialize(deserializer).map(Self)
    }
}

impl DetailBody {
    /// The configuration of `channel`: the one member that is there must be that channel's.
    ///
    /// # Errors
    /// [`Code::InvalidInput`](causeway_model::Code::InvalidInput) says which member is missing or too many.
    pub(crate) fn of(&self, channel: &str) -> Result<Box<RawValue>> {
        let member = causeway_channels::about(channel)?.member;
        let members: std::collections::BTreeMap<String, Box<RawValue>> = decode::part("channel_detail", &self.0)?;
        let mut found = None;
        for (name, value) in members.into_iter().filter(|(_, value)| value.get() != "null") {
            if name != member {
                return Err(Error::invalid(format!(
                    "Invalid input. 'channel_detail' holds '{}', which is not for the channel {channel}.",
                    name.chars().take(64).collect::<String>()
                )));
            }
            decode::check_depth(member, &value)?;
            found = Some(value);
        }
        found.ok_or_else(|| {
            Error::invalid(format!("Invalid input. 'channel_detail' must hold '{member}' for the channel {channel}."))
        })
    }
}

impl From<&Channel> for DetailReply {
    fn from(channel: &Channel) -> Self {
        Self { member: channel.member(), shown: channel.shown() }
    }
}

impl Serialize for DetailReply {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        serde::ser::SerializeMap::serialize_entry(&mut map, self.member, &self.shown)?;
        serde::ser::SerializeMap::end(map)
    }
}

fn kind_schema(kind: FieldKind) -> Value {
    let address = || {
        json!({ "type": "object", "properties": {
            "ip": { "type": "string", "description": "An IP address; or domain." },
            "port": { "type": "integer", "minimum": 1, "maximum": 65535 },
            "domain": { "type": "string", "description": "A host name; or ip." },
        } })
    };
    match kind {
        FieldKind::Text => json!({ "type": "string" }),
        FieldKind::Integer => json!({ "type": "integer", "minimum": 0 }),
        FieldKind::Bool => json!({ "type": "boolean" }),
        FieldKind::Texts => json!({ "type": "array", "items": { "type": "string" } }),
        FieldKind::Address => address(),
        FieldKind::Addresses => json!({ "type": "array", "items": address() }),
        FieldKind::Mappings => json!({ "type": "array", "items": { "type": "object", "properties": {
            "column_name": { "type": "string" },
            "json_key": { "type": "string" },
        }, "required": ["column_name", "json_key"] } }),
    }
}

fn channel_schema(about: &About, is_answer: bool) -> Value {
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for field in about.fields.iter().filter(|field| !(is_answer && field.secret)) {
        let mut schema = kind_schema(field.kind);
        schema["description"] = json!(field.about.trim());
        if field.secret {
            schema["writeOnly"] = json!(true);
        }
        properties.insert(field.name.to_owned(), schema);
        if field.required {
            required.push(field.name);
        }
    }
    let text = format!("{}: {}", about.channel, about.about.trim());
    json!({ "type": "object", "description": text, "properties": properties, "required": required })
}

fn detail_schema(is_answer: bool) -> Value {
    let all = causeway_channels::all();
    let members: Map<String, Value> =
        all.iter().map(|about| (about.member.to_owned(), channel_schema(about, is_answer))).collect();
    json!({
        "type": "object",
        "description": "One member: that of the channel.",
        "properties": members,
        "minProperties": 1,
        "maxProperties": 1,
    })
}

impl Shape for DetailBody {
    fn schema(definitions: &mut Definitions) -> Value {
        definitions.named("ChannelDetail", |_| detail_schema(false))
    }
}

impl Shape for DetailReply {
    fn schema(definitions: &mut Definitions) -> Value {
        definitions.named("ChannelDetailReply", |_| detail_schema(true))
    }
}
