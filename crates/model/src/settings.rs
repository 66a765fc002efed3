//! Configuration keys: one struct a part, declared beside the part, with default and manual text in one place.
//!
//! [`settings!`](crate::settings!) makes the struct, its `Default`, and the table that `causeway serve` reads keys
//! with and the docs are generated from. There is no second, hand-written copy of any key.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// One key as the docs show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyDoc {
    /// Full dotted name, `mqtt.max_packet_size`.
    pub key: String,
    /// Default as it would be written in a file.
    pub default: String,
    /// What the key does, from the doc comment.
    pub text: String,
}

/// A part's keys.
pub trait Settings: Default {
    /// All keys with default and text, in declaration order.
    fn keys() -> Vec<KeyDoc>;

    /// Sets one key. `Ok(false)`: the key is not of this part.
    ///
    /// # Errors
    /// A sentence that says what the value should look like.
    fn set(&mut self, key: &str, value: &str) -> Result<bool, String>;
}

/// A value that can stand in the configuration.
pub trait SettingValue: Sized {
    /// Reads the value; the error says what it should look like.
    ///
    /// # Errors
    /// A sentence for the person who wrote the value.
    fn read(text: &str) -> Result<Self, String>;
    /// Writes the value as it could be read again.
    fn write(&self) -> String;
}

macro_rules! plain_value {
    ($($type:ty, $what:literal;)*) => {$(
        impl SettingValue for $type {
            fn read(text: &str) -> Result<Self, String> {
                <$type>::from_str(text.trim()).map_err(|_| format!("'{text}' is not {}", $what))
            }
            fn write(&self) -> String {
                self.to_string()
            }
        }
    )*};
}

plain_value! {
    u16, "a whole number from 0 to 65535";
    u32, "a whole number from 0 to 4294967295";
    u64, "a whole number";
    usize, "a whole number";
    bool, "'true' or 'false'";
    String, "a text";
}

impl SettingValue for Option<String> {
    fn read(text: &str) -> Result<Self, String> {
        Ok(if text.is_empty() { None } else { Some(text.to_owned()) })
    }
    fn write(&self) -> String {
        self.clone().unwrap_or_default()
    }
}

/// A length of time: `500ms`, `20s`, `5m`, `24h`, `7d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

impl Span {
    /// A span of whole seconds.
    #[must_use]
    pub const fn secs(n: u64) -> Self {
        Self(Duration::from_secs(n))
    }

    /// A span of milliseconds.
    #[must_use]
    pub const fn millis(n: u64) -> Self {
        Self(Duration::from_millis(n))
    }

    /// The span in milliseconds.
    #[must_use]
    pub fn as_millis(self) -> i64 {
        i64::try_from(self.0.as_millis()).unwrap_or(i64::MAX)
    }
}

impl SettingValue for Span {
    fn read(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(split);
        let factor_ms = match unit.trim() {
            "ms" => Some(1),
            "s" => Some(1000),
            "m" => Some(60_000),
            "h" => Some(3_600_000),
            "d" => Some(86_400_000),
            _ => None,
        };
        let value = number.parse::<u64>().ok().zip(factor_ms).and_then(|(n, f)| n.checked_mul(f));
        value
            .map(|ms| Self(Duration::from_millis(ms)))
            .ok_or_else(|| format!("'{text}' is not a time like 500ms, 20s, 5m, 24h or 7d"))
    }
    fn write(&self) -> String {
        let ms = self.0.as_millis();
        for (factor, unit) in [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s")] {
            if ms != 0 && ms.is_multiple_of(factor) {
                return format!("{}{unit}", ms / factor);
            }
        }
        format!("{ms}ms")
    }
}

/// A size in bytes: `512`, `64KB`, `1MB`, `2GB` (powers of 1024).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub usize);

impl SettingValue for ByteSize {
    fn read(text: &str) -> Result<Self, String> {
        let upper = text.trim().to_ascii_uppercase();
        let split = upper.find(|c: char| !c.is_ascii_digit()).unwrap_or(upper.len());
        let (number, unit) = upper.split_at(split);
        let factor = match unit.trim() {
            "" | "B" => Some(1_usize),
            "KB" | "K" => Some(1 << 10),
            "MB" | "M" => Some(1 << 20),
            "GB" | "G" => Some(1 << 30),
            _ => None,
        };
        let value = number.parse::<usize>().ok().zip(factor).and_then(|(n, f)| n.checked_mul(f));
        value.map(Self).ok_or_else(|| format!("'{text}' is not a size like 512, 64KB, 1MB or 2GB"))
    }
    fn write(&self) -> String {
        for (factor, unit) in [(1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "KB")] {
            if self.0 != 0 && self.0.is_multiple_of(factor) {
                return format!("{}{unit}", self.0 / factor);
            }
        }
        self.0.to_string()
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.write())
    }
}

/// Declares the settings of one part. See the module text.
#[macro_export]
macro_rules! settings {
    (
        $(#[$meta:meta])*
        pub struct $name:ident in $section:literal {
            $( $(#[doc = $doc:literal])+ $field:ident : $type:ty = $default:expr, )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug)]
        pub struct $name {
            $( $(#[doc = $doc])+ pub $field: $type, )*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $( $field: $default, )* }
            }
        }

        impl $crate::settings::Settings for $name {
            fn keys() -> Vec<$crate::settings::KeyDoc> {
                let defaults = Self::default();
                vec![$( $crate::settings::KeyDoc {
                    key: concat!($section, ".", stringify!($field)).to_owned(),
                    default: $crate::settings::SettingValue::write(&defaults.$field),
                    text: [$($doc.trim()),+].join(" "),
                }, )*]
            }

            fn set(&mut self, key: &str, value: &str) -> Result<bool, String> {
                match key {
                    $( concat!($section, ".", stringify!($field)) => {
                        self.$field = $crate::settings::SettingValue::read(value)?;
                        Ok(true)
                    } )*
                    _ => Ok(false),
                }
            }
        }
    };
}

#[cfg(test)]
#[expect(unreachable_pub, reason = "the macro makes public parts")]
mod tests {
    use super::*;

    settings! {
        /// Sample.
        pub struct Sample in "sample" {
            /// How long
            /// it waits.
            wait: Span = Span::secs(20),
            /// Largest body.
            body: ByteSize = ByteSize(1 << 20),
        }
    }

    #[test]
    fn keys_carry_default_and_text_and_can_be_set() {
        let keys = Sample::keys();
        assert_eq!(keys[0].key, "sample.wait");
        assert_eq!(keys[0].default, "20s");
        assert_eq!(keys[0].text, "How long it waits.");
        assert_eq!(keys[1].default, "1MB");
        let mut sample = Sample::default();
        assert_eq!(sample.set("sample.wait", "1500ms"), Ok(true));
        assert_eq!(sample.wait, Span::millis(1500));
        assert_eq!(sample.set("other.wait", "1s"), Ok(false));
        assert!(sample.set("sample.wait", "soon").is_err());
        assert!(sample.set("sample.body", "99999999999999GB").is_err());
    }
}
