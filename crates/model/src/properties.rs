//! Property objects: one level of name and value, kept as the JSON text that the device or application sent.
//!
//! Values are carried verbatim (`23.10` stays `23.10`, a long keeps all its digits) and are never parsed further than
//! a rule or the product model asks.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::error::{Code, Error};

/// JSON nested deeper than this is refused wherever a value is kept verbatim.
pub const MAX_DEPTH: usize = 64;

/// A JSON object `{"name":value,…}` in compact form, valid by construction, without repeated names.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PropertyObject(Box<str>);

impl PropertyObject {
    /// `{}`.
    #[must_use]
    pub fn empty() -> Self {
        Self("{}".into())
    }

    /// Reads an object that came from outside; a repeated name keeps its last value.
    ///
    /// # Errors
    /// [`Code::InvalidInput`] when the text is not a JSON object, or nests too deep.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let mut builder = ObjectBuilder::default();
        each_entry(text, |name, value| {
            if nests_deeper_than(value, MAX_DEPTH) {
                return Err(Error::new(
                    Code::InvalidInput,
                    format!("Invalid input. The value of '{name}' nests too deep."),
                ));
            }
            if !is_text(value) {
                return Err(Error::new(
                    Code::InvalidInput,
                    format!("Invalid input. The value of '{name}' holds a lone surrogate."),
                ));
            }
            builder.set(&name, value);
            Ok(())
        })?;
        Ok(builder.finish())
    }

    /// Wraps text that the platform wrote itself.
    #[must_use]
    pub fn trusted(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// The object as JSON text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// True for `{}`.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        &*self.0 == "{}"
    }

    /// Calls `visit` with each name and the raw JSON text of its value, in order.
    pub fn for_each(&self, mut visit: impl FnMut(&str, &str)) {
        let walked = each_entry(&self.0, |name, value| {
            visit(&name, value);
            Ok(())
        });
        debug_assert!(walked.is_ok(), "a property object is valid by construction");
    }

    /// The raw JSON text of one value.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<String> {
        let mut found = None;
        self.for_each(|n, v| {
            if n == name {
                found = Some(v.to_owned());
            }
        });
        found
    }

    /// This object with `patch` laid over it: names of the patch win, new ones are added at the end.
    #[must_use]
    pub fn merged(&self, patch: &Self) -> Self {
        if self.is_empty() {
            return patch.clone();
        }
        let mut builder = ObjectBuilder::default();
        self.for_each(|n, v| builder.set(n, v));
        patch.for_each(|n, v| builder.set(n, v));
        builder.finish()
    }
}

impl fmt::Debug for PropertyObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Collects names and raw values; setting a name again replaces its value.
#[derive(Default)]
pub struct ObjectBuilder {
    entries: Vec<(Box<str>, Box<str>)>,
    /// Positions by name, kept only once the object is large.
    index: std::collections::HashMap<Box<str>, usize>,
}

impl ObjectBuilder {
    /// Up to here a linear search is cheaper than an index.
    const LINEAR: usize = 16;

    fn position(&self, name: &str) -> Option<usize> {
        if self.entries.len() <= Self::LINEAR {
            self.entries.iter().position(|(n, _)| &**n == name)
        } else {
            self.index.get(name).copied()
        }
    }

    /// Sets `name` to the raw JSON `value`.
    pub fn set(&mut self, name: &str, value: &str) {
        if let Some(at) = self.position(name) {
            self.entries[at].1 = value.into();
            return;
        }
        self.entries.push((name.into(), value.into()));
        let count = self.entries.len();
        if count == Self::LINEAR + 1 {
            self.index = self.entries.iter().enumerate().map(|(i, (n, _))| (n.clone(), i)).collect();
        } else if count > Self::LINEAR {
            self.index.insert(name.into(), count - 1);
        }
    }

    /// Drops `name`; false when it was not there.
    pub fn remove(&mut self, name: &str) -> bool {
        let Some(at) = self.position(name) else { return false };
        self.entries.remove(at);
        self.index = if self.entries.len() > Self::LINEAR {
            self.entries.iter().enumerate().map(|(i, (n, _))| (n.clone(), i)).collect()
        } else {
            std::collections::HashMap::new()
        };
        true
    }

    /// The object.
    #[must_use]
    pub fn finish(self) -> PropertyObject {
        let mut text =
            String::with_capacity(2 + self.entries.iter().map(|(n, v)| n.len() + v.len() + 4).sum::<usize>());
        text.push('{');
        for (i, (name, value)) in self.entries.iter().enumerate() {
            if i > 0 {
                text.push(',');
            }
            write_json_string(&mut text, name);
            text.push(':');
            text.push_str(value);
        }
        text.push('}');
        PropertyObject(text.into())
    }
}

/// Appends `text` as a JSON string.
pub fn write_json_string(out: &mut String, text: &str) {
    out.push('"');
    let plain = |b: u8| b >= 0x20 && b != b'"' && b != b'\\';
    if text.bytes().all(plain) {
        out.push_str(text);
    } else {
        for c in text.chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                c if (c as u32) < 0x20 => {
                    use std::fmt::Write as _;
                    let written = write!(out, "\\u{:04x}", c as u32);
                    debug_assert!(written.is_ok(), "writing to a String cannot fail");
                }
                c => out.push(c),
            }
        }
    }
    out.push('"');
}

/// Whether every `\u` escape of the JSON `value` names a character. A lone surrogate (`"\ud800"`) is JSON by its grammar,
/// but no text: readers in many languages fail on it.
#[must_use]
pub fn is_text(value: &str) -> bool {
    !value.contains("\\u") || serde_json::from_str::<Decoded>(value).is_ok()
}

/// Reads any JSON and decodes its strings, keeping nothing.
struct Decoded;

impl<'de> serde::Deserialize<'de> for Decoded {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Decoded;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }
            fn visit_bool<E>(self, _: bool) -> Result<Decoded, E> {
                Ok(Decoded)
            }
            fn visit_i64<E>(self, _: i64) -> Result<Decoded, E> {
                Ok(Decoded)
            }
            fn visit_u64<E>(self, _: u64) -> Result<Decoded, E> {
                Ok(Decoded)
            }
            fn visit_f64<E>(self, _: f64) -> Result<Decoded, E> {
                Ok(Decoded)
            }
            fn visit_str<E>(self, _: &str) -> Result<Decoded, E> {
                Ok(Decoded)
            }
            fn visit_unit<E>(self) -> Result<Decoded, E> {
                Ok(Decoded)
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut items: A) -> Result<Decoded, A::Error> {
                while items.next_element::<Decoded>()?.is_some() {}
                Ok(Decoded)
            }
            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Decoded, A::Error> {
                while entries.next_entry::<Decoded, Decoded>()?.is_some() {}
                Ok(Decoded)
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// True when the JSON `value` has more than `depth` levels of objects and arrays. `value` must be valid JSON.
#[must_use]
pub fn nests_deeper_than(value: &str, depth: usize) -> bool {
    if !value.starts_with(['{', '[']) {
        return false;
    }
    let (mut level, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in value.bytes() {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => {
                level += 1;
                if level > depth {
                    return true;
                }
            }
            b'}' | b']' => level -= 1,
            _ => {}
        }
    }
    false
}

/// Walks the entries of a JSON object in text order without building it. Values are handed over as raw JSON text.
///
/// # Errors
/// [`Code::InvalidInput`] when `text` is not a JSON object; or what `visit` returned.
pub fn each_entry<'a>(
    text: &'a str,
    visit: impl FnMut(Cow<'a, str>, &'a str) -> Result<(), Error>,
) -> Result<(), Error> {
    struct Walk<F> {
        visit: F,
    }
    /// A borrowed name, or an owned one when it holds escapes.
    struct Name<'a>(Cow<'a, str>);
    impl<'de> serde::Deserialize<'de> for Name<'de> {
        fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
            struct NameVisitor;
            impl<'de> Visitor<'de> for NameVisitor {
                type Value = Name<'de>;
                fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str("a name")
                }
                fn visit_borrowed_str<E>(self, v: &'de str) -> Result<Self::Value, E> {
                    Ok(Name(Cow::Borrowed(v)))
                }
                fn visit_str<E>(self, v: &str) -> Result<Self::Value, E> {
                    Ok(Name(Cow::Owned(v.to_owned())))
                }
            }
            d.deserialize_str(NameVisitor)
        }
    }
    impl<'de, F: FnMut(Cow<'de, str>, &'de str) -> Result<(), Error>> Visitor<'de> for Walk<F> {
        type Value = Result<(), Error>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a JSON object")
        }
        fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut outcome = Ok(());
            while let Some((name, value)) = map.next_entry::<Name<'de>, &'de RawValue>()? {
                if outcome.is_ok() {
                    outcome = (self.visit)(name.0, value.get());
                }
            }
            Ok(outcome)
        }
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let outcome = deserializer.deserialize_map(Walk { visit }).and_then(|o| deserializer.end().map(|()| o));
    match outcome {
        Ok(outcome) => outcome,
        Err(e) => Err(Error::new(Code::InvalidInput, format!("Invalid input. A JSON object is expected: {e}."))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_keep_values_verbatim_and_last_wins() {
        let o =
            PropertyObject::parse(r#" {"a": 1.10 , "b":{"x":[1, 2]}, "a":12345678901234567890123 }"#).expect("object");
        assert_eq!(o.as_str(), r#"{"a":12345678901234567890123,"b":{"x":[1, 2]}}"#);
        assert!(PropertyObject::parse("[1]").is_err());
        assert!(PropertyObject::parse(r#"{"a":1} x"#).is_err());
        assert!(PropertyObject::parse(r#"{"a":}"#).is_err());
        assert_eq!(PropertyObject::parse("{}").expect("empty"), PropertyObject::empty());
    }

    #[test]
    fn merging_replaces_and_appends() {
        let base = PropertyObject::parse(r#"{"a":1,"b":2}"#).expect("base");
        let patch = PropertyObject::parse(r#"{"b":3,"c\"":"x"}"#).expect("patch");
        assert_eq!(base.merged(&patch).as_str(), r#"{"a":1,"b":3,"c\"":"x"}"#);
    }

    #[test]
    fn large_objects_stay_exact() {
        let mut b = ObjectBuilder::default();
        for i in 0..100 {
            b.set(&format!("k{i}"), "0");
        }
        for i in 0..100 {
            b.set(&format!("k{i}"), "1");
        }
        assert!(b.remove("k50"));
        assert!(!b.remove("k50"));
        let o = b.finish();
        let mut n = 0;
        o.for_each(|_, v| {
            assert_eq!(v, "1");
            n += 1;
        });
        assert_eq!(n, 99);
    }

    #[test]
    fn lone_surrogates_are_no_text() {
        assert!(is_text(r#""\ud83d\ude00""#) && is_text(r#"{"a\u0041":["\u0000", 1e9, null]}"#) && is_text("1"));
        assert!(!is_text(r#""\ud800""#) && !is_text(r#"{"a":["\udc00x"]}"#) && !is_text(r#"{"\ud800":1}"#));
        assert!(PropertyObject::parse(r#"{"a":"\ud800"}"#).is_err());
    }

    #[test]
    fn depth_counts_only_outside_strings() {
        assert!(!nests_deeper_than(r#"{"a":"[[[[["}"#, 1));
        assert!(nests_deeper_than("[[1]]", 1));
        let deep = format!("{}1{}", "[".repeat(100), "]".repeat(100));
        assert!(PropertyObject::parse(&format!(r#"{{"a":{deep}}}"#)).is_err());
    }
}
