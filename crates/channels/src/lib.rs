//! What each channel of data forwarding is configured with: one file a channel, no I/O.
//!
//! A configuration struct is declared once, with `channel!`: its doc comments and types are the manual, the schema of the
//! API and the form of the console. How a channel sends is the business of the delivery crate, which has a file of the same
//! name for each. Start reading at [`Channel`]; to add one, write a file and a line in [`channels!`].

#[macro_use]
mod declare;
mod field;

mod amqp;
mod dis;
mod functiongraph;
mod http;
mod influxdb;
mod kafka;
mod log_file;
mod lts;
mod mqtt;
mod mqtt_device;
mod mysql;
mod nats;
mod obs;
mod postgresql;
mod table;

pub use amqp::AmqpForwarding;
pub use dis::DisForwarding;
pub use field::{ColumnMapping, Field, FieldKind, FieldType, NetAddress, Secret};
pub use functiongraph::FunctiongraphForwarding;
pub use http::HttpForwarding;
pub use influxdb::InfluxdbForwarding;
pub use kafka::{DmsKafkaForwarding, MrsKafkaForwarding, RomaForwarding};
pub use log_file::LogFileForwarding;
pub use lts::LtsForwarding;
pub use mqtt::MqttForwarding;
pub use mqtt_device::MqttDeviceForwarding;
pub use mysql::MysqlForwarding;
pub use nats::NatsForwarding;
pub use obs::ObsForwarding;
pub use postgresql::PostgresqlForwarding;

use causeway_model::{Error, Result};
use serde_json::value::RawValue;

/// A configuration of one channel.
pub trait Configuration: serde::Serialize + for<'de> serde::Deserialize<'de> {
    /// The channel's word, like `HTTP_FORWARDING`.
    const CHANNEL: &'static str;
    /// The member of `channel_detail` that holds it, like `http_forwarding`.
    const MEMBER: &'static str;
    /// What the channel is, for people.
    const ABOUT: &'static str;
    /// Its fields, in order.
    fn fields() -> Vec<Field>;
    /// Checks what types cannot say: lengths, ranges, what goes together.
    ///
    /// # Errors
    /// A sentence that names the field and says what to do; it goes to the client.
    fn check(&self) -> std::result::Result<(), String>;
}

/// What a document needs to know of a channel.
#[derive(Clone, Debug)]
pub struct About {
    /// The channel's word.
    pub channel: &'static str,
    /// The member of `channel_detail`.
    pub member: &'static str,
    /// What the channel is.
    pub about: &'static str,
    /// Its fields.
    pub fields: Vec<Field>,
}

fn refused(why: impl std::fmt::Display) -> Error {
    Error::invalid(format!("Invalid input. {why}"))
}

fn unknown(word: &str) -> Error {
    if word == "DMS_ROCKETMQ_FORWARDING" {
        return refused("The channel DMS_ROCKETMQ_FORWARDING is not built.");
    }
    refused(format_args!("'channel' must be one of {}.", words().join(", ")))
}

/// What a document needs to know of one channel.
///
/// # Errors
/// [`Code::InvalidInput`](causeway_model::Code::InvalidInput) says which channels there are.
pub fn about(word: &str) -> Result<About> {
    all().into_iter().find(|about| about.channel == word).ok_or_else(|| unknown(word))
}

fn read<C: Configuration>(text: &str) -> Result<C> {
    let member = C::MEMBER;
    let read: C = serde_json::from_str(text).map_err(|e| refused(format_args!("'{member}' cannot be read: {e}.")))?;
    read.check().map_err(|why| refused(format_args!("'{member}': {why}.")))?;
    Ok(read)
}

/// The object, without fields that say nothing.
fn whole<C: Configuration>(configuration: &C) -> serde_json::Value {
    let mut whole = serde_json::to_value(configuration).unwrap_or_default();
    if let Some(object) = whole.as_object_mut() {
        object.retain(|_, value| !value.is_null());
    }
    whole
}

/// The object without its credentials, as answers show it.
fn shown<C: Configuration>(configuration: &C) -> serde_json::Value {
    let mut shown = whole(configuration);
    if let Some(object) = shown.as_object_mut() {
        for field in C::fields().iter().filter(|f| f.secret) {
            object.remove(field.name);
        }
    }
    shown
}

/// Declares the channels there are.
macro_rules! channels {
    ($($(#[doc = $text:literal])+ $name:ident($configuration:ty),)+) => {
        /// A channel with its configuration.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Channel {
            $($(#[doc = $text])+ $name($configuration),)+
        }

        impl Channel {
            /// Reads the configuration of the channel `word`: the JSON object that `channel_detail` has for it.
            ///
            /// # Errors
            /// [`Code::InvalidInput`](causeway_model::Code::InvalidInput) names the field and says what is wrong.
            pub fn read(word: &str, text: &str) -> Result<Self> {
                $(if word == <$configuration>::CHANNEL {
                    return Ok(Self::$name(read(text)?));
                })+
                Err(unknown(word))
            }

            /// The channel's word.
            #[must_use]
            pub fn word(&self) -> &'static str {
                match self { $(Self::$name(_) => <$configuration>::CHANNEL,)+ }
            }

            /// The member of `channel_detail` that holds the configuration.
            #[must_use]
            pub fn member(&self) -> &'static str {
                match self { $(Self::$name(_) => <$configuration>::MEMBER,)+ }
            }

            /// The whole configuration as JSON, credentials included: to be sealed.
            #[must_use]
            pub fn to_json(&self) -> String {
                match self { $(Self::$name(c) => whole(c).to_string(),)+ }
            }

            /// The configuration as answers show it: without credentials.
            #[must_use]
            pub fn shown(&self) -> serde_json::Value {
                match self { $(Self::$name(c) => shown(c),)+ }
            }
        }

        /// All channels, for documents.
        #[must_use]
        pub fn all() -> Vec<About> {
            vec![$(About {
                channel: <$configuration>::CHANNEL,
                member: <$configuration>::MEMBER,
                about: <$configuration>::ABOUT,
                fields: <$configuration>::fields(),
            }),+]
        }

        /// The words of all channels.
        #[must_use]
        pub fn words() -> Vec<&'static str> {
            vec![$(<$configuration>::CHANNEL),+]
        }
    };
}

channels! {
    /// See [`HttpForwarding`].
    Http(HttpForwarding),
    /// See [`AmqpForwarding`].
    Amqp(AmqpForwarding),
    /// See [`FunctiongraphForwarding`].
    Functiongraph(FunctiongraphForwarding),
    /// See [`MysqlForwarding`].
    Mysql(MysqlForwarding),
    /// See [`PostgresqlForwarding`].
    Postgresql(PostgresqlForwarding),
    /// See [`ObsForwarding`].
    Obs(ObsForwarding),
    /// See [`InfluxdbForwarding`].
    Influxdb(InfluxdbForwarding),
    /// See [`LtsForwarding`].
    Lts(LtsForwarding),
    /// See [`LogFileForwarding`].
    LogFile(LogFileForwarding),
    /// See [`DisForwarding`].
    Dis(DisForwarding),
    /// See [`DmsKafkaForwarding`].
    DmsKafka(DmsKafkaForwarding),
    /// See [`MrsKafkaForwarding`].
    MrsKafka(MrsKafkaForwarding),
    /// See [`RomaForwarding`].
    Roma(RomaForwarding),
    /// See [`MqttForwarding`].
    Mqtt(MqttForwarding),
    /// See [`MqttDeviceForwarding`].
    MqttDevice(MqttDeviceForwarding),
    /// See [`NatsForwarding`].
    Nats(NatsForwarding),
}

/// Lays a new configuration over the stored one: credentials that are not said again stay.
///
/// # Errors
/// As [`Channel::read`].
pub fn changed(word: &str, new: &RawValue, stored: Option<&Channel>) -> Result<Channel> {
    let mut object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(new.get())
        .map_err(|e| refused(format_args!("the configuration must be an object: {e}.")))?;
    if let Some(stored) = stored.filter(|s| s.word() == word) {
        let old: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(&stored.to_json()).unwrap_or_default();
        let secrets = all().into_iter().filter(|a| a.channel == word).flat_map(|a| a.fields).filter(|f| f.secret);
        for field in secrets {
            if let (None, Some(value)) = (object.get(field.name), old.get(field.name)) {
                object.insert(field.name.to_owned(), value.clone());
            }
        }
    }
    Channel::read(word, &serde_json::Value::Object(object).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_kept_and_not_shown() {
        let stored = Channel::read("HTTP_FORWARDING", r#"{"url":"https://a","signature_enable":true,"token":"abc"}"#)
            .expect("sound");
        assert_eq!(stored.shown().get("token"), None);
        let new = RawValue::from_string(r#"{"url":"https://b","signature_enable":true}"#.to_owned()).expect("JSON");
        let Channel::Http(changed) = changed("HTTP_FORWARDING", &new, Some(&stored)).expect("sound") else {
            panic!("another channel")
        };
        assert_eq!(changed.url, "https://b");
        assert_eq!(changed.token.as_ref().map(Secret::as_str), Some("abc"));
        assert!(!format!("{changed:?}").contains("abc"));
    }

    #[test]
    fn refusals_name_the_field() {
        let why = |text| Channel::read("HTTP_FORWARDING", text).expect_err("refused").to_string();
        assert!(why("{}").contains("url"));
        assert!(why(r#"{"url":"ftp://a"}"#).contains("'url'"));
        let rocket = Channel::read("DMS_ROCKETMQ_FORWARDING", "{}").expect_err("refused").to_string();
        assert!(rocket.contains("DMS_ROCKETMQ_FORWARDING is not built"), "{rocket}");
        assert!(Channel::read("X", "{}").expect_err("refused").to_string().contains("HTTP_FORWARDING"));
    }
}
