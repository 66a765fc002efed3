//! Types of fields, and what documents say of them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One field of a configuration, for documents.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// Its name on the wire.
    pub name: &'static str,
    /// What it holds.
    pub kind: FieldKind,
    /// Whether it must be there.
    pub required: bool,
    /// Whether it is a credential: stored sealed, never shown.
    pub secret: bool,
    /// The doc comment.
    pub about: &'static str,
}

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldKind {
    /// A text.
    Text,
    /// A whole number.
    Integer,
    /// True or false.
    Bool,
    /// Several texts.
    Texts,
    /// A [`NetAddress`].
    Address,
    /// Several of them.
    Addresses,
    /// Several [`ColumnMapping`]s.
    Mappings,
}

/// A type that fields may have.
pub trait FieldType {
    /// Whether a field of it must be there.
    const REQUIRED: bool = true;
    /// Whether it is a credential.
    const SECRET: bool = false;
    /// What documents call it.
    fn kind() -> FieldKind;
}

impl<T: FieldType> FieldType for Option<T> {
    const REQUIRED: bool = false;
    const SECRET: bool = T::SECRET;
    fn kind() -> FieldKind {
        T::kind()
    }
}

macro_rules! field_types {
    ($($type:ty = $kind:ident;)+) => {
        $(impl FieldType for $type {
            fn kind() -> FieldKind {
                FieldKind::$kind
            }
        })+
    };
}

field_types! {
    String = Text;
    bool = Bool;
    u16 = Integer;
    u32 = Integer;
    u64 = Integer;
    Vec<String> = Texts;
    NetAddress = Address;
    Vec<NetAddress> = Addresses;
    Vec<ColumnMapping> = Mappings;
}

/// A credential: its text is not shown by accident.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The text, for whoever signs in with it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl FieldType for Secret {
    const SECRET: bool = true;
    fn kind() -> FieldKind {
        FieldKind::Text
    }
}

/// Host and port of a server: `ip` or `domain`, and `port`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetAddress {
    /// An IP address; or `domain`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
    /// The port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// A host name; or `ip`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
}

impl NetAddress {
    /// Host and port, `default_port` when none is said.
    ///
    /// # Errors
    /// When neither or both of `ip` and `domain` are there, or they cannot be a host.
    pub fn host_and_port(&self, default_port: u16) -> Result<(&str, u16), String> {
        let host = match (self.ip.as_deref(), self.domain.as_deref()) {
            (Some(ip), None | Some("")) if ip.parse::<std::net::IpAddr>().is_ok() => ip,
            (Some(_), None | Some("")) => return Err("'ip' is not an IP address".to_owned()),
            (None | Some(""), Some(domain)) if is_host_name(domain) => domain,
            (None | Some(""), Some(_)) => return Err("'domain' is not a host name".to_owned()),
            _ => return Err("an address needs 'ip' or 'domain', not both".to_owned()),
        };
        match self.port {
            Some(0) => Err("'port' must be 1 to 65535".to_owned()),
            port => Ok((host, port.unwrap_or(default_port))),
        }
    }
}

/// Whether a text can be the name of a host.
pub(crate) fn is_host_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 253
        && text.split('.').all(|label| {
            !label.is_empty()
                && label.len() <= 63
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        })
}

/// A column of a table and where its value stands in the forwarded JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnMapping {
    /// The column.
    pub column_name: String,
    /// Path of the value, dotted, or one name of a selection's output (`notify_data.body.content`).
    pub json_key: String,
}

/// Checks the length of a text, in characters.
pub(crate) fn length(name: &str, text: &str, at_least: usize, at_most: usize) -> Result<(), String> {
    let count = text.chars().count();
    if (at_least..=at_most).contains(&count) && !text.chars().any(char::is_control) {
        Ok(())
    } else {
        Err(format!("'{name}' must be {at_least} to {at_most} characters without control characters"))
    }
}

/// Checks one to `at_most` addresses.
pub(crate) fn addresses(name: &str, list: &[NetAddress], at_most: usize, default_port: u16) -> Result<(), String> {
    if list.is_empty() || list.len() > at_most {
        return Err(format!("'{name}' must hold 1 to {at_most} addresses"));
    }
    list.iter().try_for_each(|a| a.host_and_port(default_port).map(|_| ()).map_err(|why| format!("'{name}': {why}")))
}

/// Checks `ca_certificate`: certificates in PEM.
pub(crate) fn authorities(pem: Option<&str>) -> Result<(), String> {
    match pem {
        Some(pem) if pem.len() > 64 << 10 || !pem.contains("-----BEGIN CERTIFICATE-----") => {
            Err("'ca_certificate' must hold certificates in PEM, at most 64 KB".to_owned())
        }
        _ => Ok(()),
    }
}
