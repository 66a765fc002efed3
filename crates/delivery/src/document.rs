//! Finds single values in the JSON that a rule forwards.

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::value::RawValue;

/// A value, as it stands in the text: a number keeps its digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found<'a> {
    /// True or false.
    Bool(bool),
    /// The text of a number.
    Number(&'a str),
    /// A text without its quotes and escapes.
    Text(Cow<'a, str>),
    /// The text of an object or an array.
    Json(&'a str),
}

type Members<'a> = HashMap<Cow<'a, str>, &'a RawValue>;

/// A forwarded JSON object.
pub(crate) struct Document<'a>(Members<'a>);

impl<'a> Document<'a> {
    /// `None` when the text is no JSON object.
    pub(crate) fn parse(body: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(body).ok().map(Self)
    }

    /// The value at `path`: one name of the object, or a dotted path into it, `[n]` or `.n` for places of arrays. `None`
    /// when there is none, or it is null.
    pub(crate) fn find(&self, path: &str) -> Option<Found<'a>> {
        in_members(&self.0, path).or_else(|| {
            let dotted = path.replace('[', ".").replace(']', "");
            (dotted != path).then(|| in_members(&self.0, dotted.trim_start_matches('.'))).flatten()
        })
    }
}

fn in_members<'a>(members: &Members<'a>, path: &str) -> Option<Found<'a>> {
    if let Some(raw) = members.get(path) {
        return value(raw.get());
    }
    // A selection's names may have dots themselves: every way to divide the path is tried.
    path.match_indices('.')
        .filter_map(|(at, _)| Some((members.get(&path[..at])?, &path[at + 1..])))
        .find_map(|(raw, rest)| within(raw.get(), rest))
}

fn within<'a>(text: &'a str, path: &str) -> Option<Found<'a>> {
    match text.as_bytes().first()? {
        b'{' => in_members(&serde_json::from_str(text).ok()?, path),
        b'[' => {
            let (place, rest) = path.split_once('.').map_or((path, None), |(place, rest)| (place, Some(rest)));
            let elements: Vec<&'a RawValue> = serde_json::from_str(text).ok()?;
            let element = elements.get(place.parse::<usize>().ok()?)?.get();
            rest.map_or_else(|| value(element), |rest| within(element, rest))
        }
        _ => None,
    }
}

fn value(text: &str) -> Option<Found<'_>> {
    Some(match text.as_bytes().first()? {
        b'n' => return None,
        b't' => Found::Bool(true),
        b'f' => Found::Bool(false),
        b'"' => {
            let inner = &text[1..text.len() - 1];
            match inner.contains('\\') {
                true => Found::Text(Cow::Owned(serde_json::from_str(text).ok()?)),
                false => Found::Text(Cow::Borrowed(inner)),
            }
        }
        b'{' | b'[' => Found::Json(text),
        _ => Found::Number(text),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, expected: Option<Found<'_>>) {
        let text = r#"{"resource":"device.property","event_time_ms":"2026-12-01T00:00:00.000Z","a.b":1.50,"a":{"c":null,"d.e":true},
            "notify_data":{"header":{"device_id":"d\"1"},"body":{"services":[{"properties":{"t":23.10,"big":9007199254740993}}]}}}"#;
        let document = Document::parse(text.as_bytes()).expect("an object");
        assert_eq!(document.find(path), expected, "{path}");
    }

    #[test]
    fn values_are_found_by_name_and_by_path() {
        check("resource", Some(Found::Text("device.property".into())));
        check("a.b", Some(Found::Number("1.50")));
        check("a.d.e", Some(Found::Bool(true)));
        check("a", Some(Found::Json(r#"{"c":null,"d.e":true}"#)));
        check("notify_data.header.device_id", Some(Found::Text("d\"1".into())));
        check("notify_data.body.services[0].properties.t", Some(Found::Number("23.10")));
        check("notify_data.body.services.0.properties.big", Some(Found::Number("9007199254740993")));
    }

    #[test]
    fn what_is_not_there_or_null_is_nothing() {
        for path in
            ["a.c", "a.x", "b", "", ".", "resource.x", "notify_data.body.services[7].x", "notify_data.body.services.x"]
        {
            check(path, None);
        }
        for text in ["", "[]", "1", "{", "null"] {
            assert!(Document::parse(text.as_bytes()).is_none(), "{text}");
        }
    }
}
