//! Texts, words and numbers with a rule: read from bodies and queries, shown with the rule in the document.

use std::fmt;
use std::marker::PhantomData;

use causeway_model::{AppId, DeviceId, GroupId, NodeId, ProductId};
use serde::de::{Deserializer, Visitor};
use serde_json::{Value, json};

use crate::shape::{Definitions, Shape};

/// Which characters a text may hold (`iotda-v5-api.md` §1.6).
pub(crate) trait Charset {
    /// Completes "must be 1 to 4 characters…"; empty when all are allowed.
    const WORDS: &'static str;
    /// The set as a regular expression class; empty when all are allowed.
    const CLASS: &'static str;
    /// Whether `c` is in the set.
    fn allows(c: char) -> bool;
}

/// `A-Za-z0-9_-`, the sheet's set I.
pub(crate) enum Ident {}

/// The sheet's set T. Blanks are let through because the vendor's own samples hold them.
pub(crate) enum Name {}

/// Letters, digits and `_.-`, the sheet's set G: keys and values of tags.
pub(crate) enum TagText {}

/// Any text without control characters and angle brackets: what people write as a description. The vendor lists the
/// set T "and the like" for these; a sentence has more punctuation than that.
pub(crate) enum Free {}

/// Letters of any script, digits, `_` and `-`: names of templates.
pub(crate) enum Label {}

/// An MQTT topic without wildcards.
pub(crate) enum TopicName {}

/// Anything: filters and opaque values.
pub(crate) enum Any {}

impl Charset for Ident {
    const WORDS: &'static str = " of letters, digits, '_' and '-'";
    const CLASS: &'static str = "[A-Za-z0-9_-]";
    fn allows(c: char) -> bool {
        c.is_ascii_alphanumeric() || c == '_' || c == '-'
    }
}

impl Charset for Name {
    const WORDS: &'static str = " of letters, digits, blanks and _?'#().,&%@!-";
    // JSON Schema has no class for letters of any script: what ASCII has of other characters is excluded instead.
    const CLASS: &'static str = "[^\\x00-\\x1f\"$*+/:;<=>\\[\\\\\\]^`{|}~]";
    fn allows(c: char) -> bool {
        c.is_alphanumeric() || "_?'#().,&%@!- ".contains(c)
    }
}

impl Charset for TagText {
    const WORDS: &'static str = " of letters, digits and _.-";
    const CLASS: &'static str = "[^\\x00-,/:-@\\[-^`{-\\x7f]";
    fn allows(c: char) -> bool {
        c.is_alphanumeric() || "_.-".contains(c)
    }
}

impl Charset for Label {
    const WORDS: &'static str = " of letters, digits, '_' and '-'";
    const CLASS: &'static str = "[^\\x00-\\x20!-,./:;<=>?@\\[\\\\\\]^`{|}~]";
    fn allows(c: char) -> bool {
        c.is_alphanumeric() || c == '_' || c == '-'
    }
}

impl Charset for Free {
    const WORDS: &'static str = " without control characters and '<' '>'";
    const CLASS: &'static str = "";
    fn allows(c: char) -> bool {
        (!c.is_control() || "\n\r\t".contains(c)) && c != '<' && c != '>'
    }
}

impl Charset for TopicName {
    const WORDS: &'static str = " without '+', '#' and control characters";
    const CLASS: &'static str = "";
    fn allows(c: char) -> bool {
        !c.is_control() && c != '+' && c != '#'
    }
}

impl Charset for Any {
    const WORDS: &'static str = "";
    const CLASS: &'static str = "";
    fn allows(_: char) -> bool {
        true
    }
}

/// A value that is read from a text by a rule. [`Rule::read`] is the only way to one.
pub(crate) trait Rule: Sized {
    /// Reads the text; `None` when it breaks the rule.
    fn read(text: &str) -> Option<Self>;
    /// Completes "must be …".
    fn rule() -> String;
    /// The rule as JSON Schema.
    fn rule_schema() -> Value;
}

/// A text of `MIN` to `MAX` characters of the set `C`.
pub(crate) struct Text<C, const MIN: usize, const MAX: usize>(String, PhantomData<C>);

impl<C: Charset, const MIN: usize, const MAX: usize> Text<C, MIN, MAX> {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn into_string(self) -> String {
        self.0
    }
}

impl<C: Charset, const MIN: usize, const MAX: usize> Rule for Text<C, MIN, MAX> {
    fn read(text: &str) -> Option<Self> {
        let mut count = 0;
        let allowed = text.chars().all(|c| {
            count += 1;
            C::allows(c)
        });
        (allowed && (MIN..=MAX).contains(&count)).then(|| Self(text.to_owned(), PhantomData))
    }

    fn rule() -> String {
        format!("{MIN} to {MAX} characters{}", C::WORDS)
    }

    fn rule_schema() -> Value {
        let mut schema = json!({ "type": "string", "maxLength": MAX });
        if MIN > 0 {
            schema["minLength"] = json!(MIN);
        }
        if !C::CLASS.is_empty() {
            schema["pattern"] = json!(format!("^{}*$", C::CLASS));
        }
        schema
    }
}

/// A word out of a list.
pub(crate) trait Choice {
    /// The words.
    const WORDS: &'static [&'static str];
}

/// One word of `C`.
pub(crate) struct Word<C>(&'static str, PhantomData<C>);

impl<C: Choice> Word<C> {
    pub(crate) fn as_str(&self) -> &'static str {
        self.0
    }
}

impl<C: Choice> Rule for Word<C> {
    fn read(text: &str) -> Option<Self> {
        C::WORDS.iter().find(|w| **w == text).map(|w| Self(w, PhantomData))
    }

    fn rule() -> String {
        format!("one of {}", C::WORDS.join(", "))
    }

    fn rule_schema() -> Value {
        json!({ "type": "string", "enum": C::WORDS })
    }
}

/// Declares lists of words.
macro_rules! words {
    ($( $(#[doc = $doc:literal])+ $name:ident: $($word:literal)|+; )*) => {$(
        $(#[doc = $doc])+
        pub(crate) enum $name {}
        impl $crate::bounded::Choice for $name {
            const WORDS: &'static [&'static str] = &[$($word),+];
        }
    )*};
}
pub(crate) use words;

macro_rules! id_rules {
    ($($id:ty),*) => {$(
        impl Rule for $id {
            fn read(text: &str) -> Option<Self> {
                Self::parse(text).ok()
            }
            fn rule() -> String {
                Text::<Ident, 1, { <$id>::MAX_LEN }>::rule()
            }
            fn rule_schema() -> Value {
                Text::<Ident, 1, { <$id>::MAX_LEN }>::rule_schema()
            }
        }
    )*};
}

id_rules!(AppId, DeviceId, GroupId, NodeId, ProductId);

/// A fingerprint of a certificate: SHA-1 or SHA-256 in hexadecimal digits.
pub(crate) struct Fingerprint(String);

impl Fingerprint {
    pub(crate) fn into_string(self) -> String {
        self.0
    }
}

impl Rule for Fingerprint {
    fn read(text: &str) -> Option<Self> {
        let sound = matches!(text.len(), 40 | 64) && text.bytes().all(|b| b.is_ascii_hexdigit());
        sound.then(|| Self(text.to_owned()))
    }

    fn rule() -> String {
        "40 or 64 hexadecimal digits".to_owned()
    }

    fn rule_schema() -> Value {
        json!({ "type": "string", "pattern": "^([0-9A-Fa-f]{40}|[0-9A-Fa-f]{64})$" })
    }
}

/// `true` or `false` as a text, as queries have it.
pub(crate) struct Flag(pub(crate) bool);

impl Rule for Flag {
    fn read(text: &str) -> Option<Self> {
        if text.eq_ignore_ascii_case("true") {
            Some(Self(true))
        } else {
            text.eq_ignore_ascii_case("false").then_some(Self(false))
        }
    }

    fn rule() -> String {
        "'true' or 'false'".to_owned()
    }

    fn rule_schema() -> Value {
        json!({ "type": "boolean" })
    }
}

/// A whole number from `MIN` to `MAX`.
#[derive(Clone, Copy)]
pub(crate) struct Int<const MIN: i64, const MAX: i64>(pub(crate) i64);

impl<const MIN: i64, const MAX: i64> Rule for Int<MIN, MAX> {
    fn read(text: &str) -> Option<Self> {
        text.parse().ok().filter(|n| (MIN..=MAX).contains(n)).map(Self)
    }

    fn rule() -> String {
        format!("a whole number from {MIN} to {MAX}")
    }

    fn rule_schema() -> Value {
        json!({ "type": "integer", "minimum": MIN, "maximum": MAX })
    }
}

fn read_text<'de, R: Rule, D: Deserializer<'de>>(deserializer: D) -> Result<R, D::Error> {
    struct Reader<R>(PhantomData<R>);
    impl<R: Rule> Visitor<'_> for Reader<R> {
        type Value = R;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string")
        }
        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<R, E> {
            R::read(text).ok_or_else(|| E::custom(format_args!("must be {}", R::rule())))
        }
    }
    deserializer.deserialize_str(Reader(PhantomData))
}

macro_rules! in_bodies {
    ($( ($($generics:tt)*) $type:ty; )*) => {$(
        impl<'de, $($generics)*> serde::Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                read_text(deserializer)
            }
        }
        impl<$($generics)*> Shape for $type {
            fn schema(_: &mut Definitions) -> Value {
                <Self as Rule>::rule_schema()
            }
        }
    )*};
}

in_bodies! {
    (C: Charset, const MIN: usize, const MAX: usize) Text<C, MIN, MAX>;
    (C: Choice) Word<C>;
    () Fingerprint;
}

/// An id in a body.
pub(crate) struct Id<T>(pub(crate) T);

in_bodies! { (T: Rule) Id<T>; }

impl<T: Rule> Rule for Id<T> {
    fn read(text: &str) -> Option<Self> {
        T::read(text).map(Self)
    }
    fn rule() -> String {
        T::rule()
    }
    fn rule_schema() -> Value {
        T::rule_schema()
    }
}

impl<'de, const MIN: i64, const MAX: i64> serde::Deserialize<'de> for Int<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader<const MIN: i64, const MAX: i64>;
        impl<const MIN: i64, const MAX: i64> Visitor<'_> for Reader<MIN, MAX> {
            type Value = Int<MIN, MAX>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a whole number from {MIN} to {MAX}")
            }
            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Self::Value, E> {
                if (MIN..=MAX).contains(&number) {
                    Ok(Int(number))
                } else {
                    Err(E::custom(format_args!("must be {}", Int::<MIN, MAX>::rule())))
                }
            }
            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Self::Value, E> {
                self.visit_i64(i64::try_from(number).unwrap_or(i64::MAX))
            }
        }
        deserializer.deserialize_i64(Reader)
    }
}

impl<const MIN: i64, const MAX: i64> Shape for Int<MIN, MAX> {
    fn schema(_: &mut Definitions) -> Value {
        <Self as Rule>::rule_schema()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_count_characters_not_bytes() {
        type T = Text<Name, 1, 4>;
        assert!(T::read("温度温度").is_some());
        assert!(T::read("温度温度温").is_none());
        assert!(T::read("").is_none());
        assert!(T::read("a<b").is_none());
        assert_eq!(T::read("a b!").map(Text::into_string).as_deref(), Some("a b!"));
        assert!(Text::<Ident, 1, 9>::read("a-b_9").is_some());
        assert!(Text::<Ident, 1, 9>::read("a.b").is_none());
        assert!(Text::<Ident, 1, 9>::read("ä").is_none());
        assert!(Text::<Free, 0, 20>::read("It's 20 °C; see /doc").is_some());
        assert!(Text::<Free, 0, 20>::read("<b>").is_none());
        assert!(Text::<Free, 0, 20>::read("a\0").is_none());
        assert!(Text::<TopicName, 1, 20>::read("a/b").is_some());
        assert!(Text::<TopicName, 1, 20>::read("a/#").is_none());
    }

    #[test]
    fn numbers_flags_and_fingerprints() {
        assert_eq!(Int::<1, 50>::read("50").map(|n| n.0), Some(50));
        assert!(Int::<1, 50>::read("51").is_none());
        assert!(Int::<1, 50>::read("1.0").is_none());
        assert!(Int::<1, 50>::read("").is_none());
        assert_eq!(Flag::read("TRUE").map(|f| f.0), Some(true));
        assert!(Flag::read("yes").is_none());
        assert!(Fingerprint::read(&"aF".repeat(20)).is_some());
        assert!(Fingerprint::read(&"a".repeat(41)).is_none());
    }
}
