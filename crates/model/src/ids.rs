//! Identifiers. Each kind of id is its own type, checked once where it enters the platform.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use crate::error::{Code, Error};

/// Characters an id may hold; the sheet's notation for the vendor's API calls this set `I`.
fn is_id_char(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

macro_rules! string_id {
    ($(#[$doc:meta])* $name:ident, $field:literal, $max:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Longest accepted id, in bytes.
            pub const MAX_LEN: usize = $max;

            /// Parses an id that came from outside.
            ///
            /// # Errors
            /// [`Code::InvalidInput`] when it is empty, too long, or holds other characters than `A-Za-z0-9_-`.
            pub fn parse(text: &str) -> Result<Self, Error> {
                if text.is_empty() || text.len() > Self::MAX_LEN || !text.bytes().all(is_id_char) {
                    return Err(Error::new(
                        Code::InvalidInput,
                        concat!(
                            "Invalid input. '", $field, "' must be 1 to ", stringify!($max),
                            " characters of letters, digits, '_' and '-'."
                        ),
                    ));
                }
                Ok(Self(Arc::from(text)))
            }

            /// Wraps an id that the platform itself made or stored before.
            #[must_use]
            pub fn trusted(text: impl Into<Arc<str>>) -> Self {
                Self(text.into())
            }

            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

string_id!(
    /// A device, as the firmware and the applications name it; `{product_id}_{node_id}` unless chosen by the caller.
    DeviceId, "device_id", 128
);
string_id!(
    /// A product: devices of one model. Unique inside its space.
    ProductId, "product_id", 36
);
string_id!(
    /// A resource space, called app by the API; everything registered belongs to one.
    AppId, "app_id", 36
);
string_id!(
    /// What the device calls itself (IMEI, MAC address, serial number); unique inside its product.
    NodeId, "node_id", 64
);
string_id!(
    /// A group of devices; a UUID in lower case.
    GroupId, "group_id", 36
);
string_id!(
    /// An instance of the platform: the outermost border between tenants' data.
    InstanceId, "instance_id", 36
);
string_id!(
    /// A file that a device or an application has put into the object store.
    FileId, "file_id", 36
);
string_id!(
    /// The project id that applications put into every path; one project has one instance for now.
    ProjectId, "project_id", 64
);

/// The number the store gave a record: rises with creation, never reused. Shown outside as 24 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordNo(pub i64);

impl RecordNo {
    /// The marker that stands before every record in descending order (`ffffffffffffffffffffffff`).
    pub const LAST: Self = Self(i64::MAX);

    /// Parses a 24-digit hexadecimal paging marker.
    ///
    /// # Errors
    /// [`Code::MarkerOutOfRange`] for anything else.
    pub fn parse_marker(text: &str) -> Result<Self, Error> {
        let well_formed = text.len() == 24 && text.bytes().all(|b| b.is_ascii_hexdigit());
        let value = well_formed.then(|| u128::from_str_radix(text, 16).ok()).flatten();
        match value {
            Some(value) => Ok(Self(i64::try_from(value).unwrap_or(i64::MAX))),
            None => Err(Error::new(
                Code::MarkerOutOfRange,
                "Invalid input. 'marker' must be 24 hexadecimal characters taken from the previous page.",
            )),
        }
    }
}

impl fmt::Display for RecordNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::LAST { f.write_str("ffffffffffffffffffffffff") } else { write!(f, "{:024x}", self.0) }
    }
}

/// The number of a device inside the store: what history and shadow rows carry instead of the long id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeviceNo(pub i64);

impl From<DeviceNo> for RecordNo {
    fn from(no: DeviceNo) -> Self {
        Self(no.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_refuse_foreign_characters_and_lengths() {
        assert!(DeviceId::parse("prod_dev-01").is_ok());
        assert!(DeviceId::parse("").is_err());
        assert!(DeviceId::parse("a/b").is_err());
        assert!(DeviceId::parse(&"x".repeat(128)).is_ok());
        assert!(DeviceId::parse(&"x".repeat(129)).is_err());
    }

    #[test]
    fn markers_round_trip() {
        assert_eq!(RecordNo::parse_marker("ffffffffffffffffffffffff").expect("max"), RecordNo::LAST);
        assert_eq!(RecordNo::parse_marker(&RecordNo(77).to_string()).expect("own marker"), RecordNo(77));
        assert!(RecordNo::parse_marker("xyz").is_err());
        assert!(RecordNo::parse_marker("+00000000000000000000001").is_err());
    }
}
