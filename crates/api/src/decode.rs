//! Reading JSON bodies so that an error names the field.

use std::borrow::Cow;
use std::fmt;

use causeway_model::properties::{MAX_DEPTH, PropertyObject, nests_deeper_than};
use causeway_model::{Code, Error, Result};
use serde::de::{DeserializeOwned, Deserializer, Visitor};
use serde_json::error::Category;
use serde_json::value::RawValue;

/// A field's name, borrowed from the body unless it holds escapes.
pub(crate) struct FieldName<'a>(Cow<'a, str>);

impl FieldName<'_> {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> serde::Deserialize<'de> for FieldName<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Name;
        impl<'de> Visitor<'de> for Name {
            type Value = FieldName<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a field name")
            }
            fn visit_borrowed_str<E>(self, v: &'de str) -> Result<Self::Value, E> {
                Ok(FieldName(Cow::Borrowed(v)))
            }
            fn visit_str<E>(self, v: &str) -> Result<Self::Value, E> {
                Ok(FieldName(Cow::Owned(v.to_owned())))
            }
        }
        deserializer.deserialize_str(Name)
    }
}

/// Reads a whole body.
///
/// # Errors
/// [`Code::BadRequest`] when it is not JSON (the message says where), [`Code::InvalidInput`] when a field has the wrong
/// type, breaks its rule or is missing (the message names it).
pub(crate) fn body<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    if body.is_empty() {
        return Err(Error::new(Code::BadRequest, "Invalid input. The body is empty; a JSON object is expected."));
    }
    serde_json::from_slice(body).map_err(|error| explain(&error, body, ""))
}

/// Reads a part of a body that was kept as it was sent; `at` is its place.
///
/// # Errors
/// As [`body`].
pub(crate) fn part<T: DeserializeOwned>(at: &str, raw: &RawValue) -> Result<T> {
    serde_json::from_str(raw.get()).map_err(|error| explain(&error, raw.get().as_bytes(), at))
}

/// Reads a part of a body as an object of names and values that are kept as they were sent; `at` is its place.
///
/// # Errors
/// [`Code::InvalidInput`].
pub(crate) fn object(at: &str, raw: &RawValue) -> Result<PropertyObject> {
    if !raw.get().starts_with('{') {
        return Err(Error::invalid(format!("Invalid input. '{at}' must be a JSON object.")));
    }
    PropertyObject::parse(raw.get())
}

/// Refuses values that nest too deep to be handed on.
///
/// # Errors
/// [`Code::InvalidInput`].
pub(crate) fn check_depth(at: &str, raw: &RawValue) -> Result<()> {
    if nests_deeper_than(raw.get(), MAX_DEPTH) {
        return Err(Error::invalid(format!("Invalid input. '{at}' nests deeper than {MAX_DEPTH} levels.")));
    }
    Ok(())
}

/// Characters of a JSON text, an escape counting as the one it stands for: the SDK escapes everything beyond ASCII.
pub(crate) fn characters(raw: &RawValue) -> usize {
    let mut text = raw.get().chars();
    let mut count = 0;
    while let Some(c) = text.next() {
        count += 1;
        if c == '\\' && text.next() == Some('u') {
            text.by_ref().take(4).for_each(drop);
        }
    }
    count
}

fn explain(error: &serde_json::Error, body: &[u8], at: &str) -> Error {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let reason = text.strip_suffix(&place).unwrap_or(&text);
    if error.classify() != Category::Data {
        return Error::new(Code::BadRequest, format!("Invalid input. The body is not JSON: {reason}{place}."));
    }
    let mut path = at.to_owned();
    append_path(&mut path, body, offset_of(error, body));
    let message = if let Some(name) = reason.strip_prefix("missing field `") {
        let dot = if path.is_empty() { "" } else { "." };
        format!("Invalid input. The mandatory field '{path}{dot}{}' is missing.", name.trim_end_matches('`'))
    } else if path.is_empty() {
        format!("Invalid input. The body is wrong: {reason}.")
    } else if let Some(rule) = reason.strip_prefix("must be ") {
        format!("Invalid input. '{path}' must be {rule}.")
    } else {
        format!("Invalid input. '{path}' is wrong: {reason}.")
    };
    Error::invalid(message)
}

/// How many bytes of the body were read when the error came up.
fn offset_of(error: &serde_json::Error, body: &[u8]) -> usize {
    let lines = error.line().saturating_sub(1);
    let start = if lines == 0 {
        0
    } else {
        body.iter().enumerate().filter(|(_, b)| **b == b'\n').nth(lines - 1).map_or(0, |(at, _)| at + 1)
    };
    start + error.column()
}

/// Appends the path of the value that the first `read` bytes of `body` end in, as `list[2].name`. What was read is
/// valid JSON so far.
fn append_path(path: &mut String, body: &[u8], read: usize) {
    enum Level {
        /// In an object: the name whose value is being read.
        Object(Option<String>),
        /// In an array: the place of the value being read.
        Array(usize),
    }
    let mut levels: Vec<Level> = Vec::new();
    let mut at = 0;
    let read = read.min(body.len());
    while at < read {
        match body[at] {
            b'{' => levels.push(Level::Object(None)),
            b'[' => levels.push(Level::Array(0)),
            b'}' | b']' => {
                levels.pop();
            }
            b',' => match levels.last_mut() {
                Some(Level::Object(name)) => *name = None,
                Some(Level::Array(index)) => *index += 1,
                None => {}
            },
            b'"' => {
                let start = at;
                at += 1;
                while at < body.len() && body[at] != b'"' {
                    at += if body[at] == b'\\' { 2 } else { 1 };
                }
                if let Some(Level::Object(name @ None)) = levels.last_mut() {
                    let text = body.get(start..=at).unwrap_or_default();
                    *name = Some(serde_json::from_slice(text).unwrap_or_default());
                }
            }
            _ => {}
        }
        at += 1;
    }
    for level in levels {
        match level {
            Level::Object(Some(name)) => {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(&name);
            }
            Level::Object(None) => {}
            Level::Array(index) => {
                path.push('[');
                path.push_str(&index.to_string());
                path.push(']');
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bounded::{Ident, Int, Text};
    use crate::shape::body;

    body! {
        /// Inner.
        struct Inner {
            /// Id.
            id: Text<Ident, 1, 4>,
            /// Number.
            number: Option<Int<0, 9>>,
            /// Raw.
            raw: Option<Box<RawValue>>,
        }
    }

    body! {
        /// Outer.
        struct Outer {
            /// Name.
            name: String,
            /// Parts.
            parts: Option<Vec<Inner>>,
            /// One.
            one: Option<Inner>,
        }
    }

    #[track_caller]
    fn check(text: &str, code: Code, message: &str) {
        let error = super::body::<Outer>(text.as_bytes()).err().expect("an error");
        assert_eq!((error.code(), error.message()), (code, message), "{text}");
    }

    #[test]
    fn errors_name_the_field() {
        let invalid = Code::InvalidInput;
        check("{}", invalid, "Invalid input. The mandatory field 'name' is missing.");
        check(
            r#"{"name":7}"#,
            invalid,
            "Invalid input. 'name' is wrong: invalid type: integer `7`, expected a string.",
        );
        check(r#"{"name":[1]}"#, invalid, "Invalid input. 'name' is wrong: invalid type: sequence, expected a string.");
        check(r#"{"name":null}"#, invalid, "Invalid input. 'name' is wrong: invalid type: null, expected a string.");
        check(
            r#"{"name":"n","one":7}"#,
            invalid,
            "Invalid input. 'one' is wrong: invalid type: integer `7`, expected a JSON object.",
        );
        check(
            r#"{"name":"n","one":["id"]}"#,
            invalid,
            "Invalid input. 'one' is wrong: invalid type: sequence, expected a JSON object.",
        );
        check(
            "{\"name\":\"n\",\n \"parts\":[{\"id\":\"a\"},\n {\"number\":3, \"x\":{\"y\":[1,2]}}]}",
            invalid,
            "Invalid input. The mandatory field 'parts[1].id' is missing.",
        );
        check(
            r#"{"name":"a\"b,{","parts":[{"id":"a"},{"id":"b","number":10}]}"#,
            invalid,
            "Invalid input. 'parts[1].number' must be a whole number from 0 to 9.",
        );
        check(
            r#"{"name":"n","one":{"id":"a b"}}"#,
            invalid,
            "Invalid input. 'one.id' must be 1 to 4 characters of letters, digits, '_' and '-'.",
        );
        check(
            r#"{"name":"n","parts":[{"id":"a"}, [1]]}"#,
            invalid,
            "Invalid input. 'parts[1]' is wrong: invalid type: sequence, expected a JSON object.",
        );
        check("[]", invalid, "Invalid input. The body is wrong: invalid type: sequence, expected a JSON object.");
        check("null", invalid, "Invalid input. The body is wrong: invalid type: null, expected a JSON object.");
        check("", Code::BadRequest, "Invalid input. The body is empty; a JSON object is expected.");
        check(
            r#"{"name":"n" x}"#,
            Code::BadRequest,
            "Invalid input. The body is not JSON: expected `,` or `}` at line 1 column 13.",
        );
        check(
            "{",
            Code::BadRequest,
            "Invalid input. The body is not JSON: EOF while parsing an object at line 1 column 1.",
        );
        check(
            r#"{"name":"n"} {}"#,
            Code::BadRequest,
            "Invalid input. The body is not JSON: trailing characters at line 1 column 14.",
        );
        assert!(super::body::<Outer>(b"\xff\xfe").is_err());
        assert!(super::body::<Outer>(b"{\"name\":\"\xff\"}").is_err());
    }

    #[test]
    fn parts_carry_their_place() {
        let raw = RawValue::from_string(r#"{"id":""}"#.to_owned()).expect("JSON");
        let error = part::<Inner>("properties", &raw).err().expect("an error");
        assert_eq!(
            error.message(),
            "Invalid input. 'properties.id' must be 1 to 4 characters of letters, digits, '_' and '-'."
        );
    }

    #[test]
    fn unknown_fields_nulls_and_repetitions() {
        let outer: Outer =
            super::body(br#"{"name":"a","extra":[{}],"parts":null,"name":"b","one":{"id":"x","raw":{"a":1.10}}}"#)
                .expect("reads");
        assert_eq!(outer.name, "b");
        assert!(outer.parts.is_none());
        let one = outer.one.expect("one");
        assert_eq!(one.id.as_str(), "x");
        assert!(one.number.is_none());
        assert_eq!(one.raw.expect("raw").get(), r#"{"a":1.10}"#);
    }

    #[test]
    fn escapes_count_as_one_character() {
        let raw = |text: &str| RawValue::from_string(text.to_owned()).expect("JSON");
        assert_eq!(characters(&raw(r#""\u6e29\n""#)), 4);
        assert_eq!(characters(&raw(r#"{"a":1}"#)), 7);
    }
}
