//! Finds values in JSON text without making any: no allocation, no recursion. The text is valid JSON when it comes from an
//! event; of any other text nothing is found, and nothing breaks.

use std::cmp::Ordering;

use super::text::Decoded;

/// One step into a value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Step {
    /// Into the member of an object.
    Name(Box<str>),
    /// Into the element of an array, counted from 0.
    Index(usize),
}

/// Short strings are skipped byte by byte, longer ones by a search.
const SHORT: usize = 24;

/// The text without white space around it.
pub(super) fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\n', '\r'])
}

/// The value where the steps lead.
pub(super) fn locate<'a>(text: &'a str, steps: &[Step]) -> Option<&'a str> {
    steps.iter().try_fold(trim(text), |text, step| match step {
        Step::Name(name) => member(text, name),
        Step::Index(index) => elements(inside(text)?).nth(*index),
    })
}

/// The value of a member. Of a repeated name the last one counts, as for nearly every reader of JSON.
pub(super) fn member<'a>(object: &'a str, name: &str) -> Option<&'a str> {
    let bytes = object.as_bytes();
    let mut found = None;
    let mut at = skip_space(bytes, 0);
    if bytes.get(at) != Some(&b'{') {
        return None;
    }
    loop {
        at = skip_space(bytes, at + 1);
        if bytes.get(at) != Some(&b'"') {
            // The end of an empty object, or no JSON.
            return found;
        }
        let (start, end) = (at + 1, skip_string(bytes, at)?);
        let is_it = names(object.get(start..end - 1)?, name);
        at = skip_space(bytes, end);
        if bytes.get(at) != Some(&b':') {
            return None;
        }
        let value = skip_space(bytes, at + 1);
        at = skip_value(bytes, value)?;
        if is_it {
            found = object.get(value..at);
        }
        at = skip_space(bytes, at);
        if bytes.get(at) != Some(&b',') {
            return found;
        }
    }
}

/// Whether a written name is this one.
fn names(written: &str, name: &str) -> bool {
    // An escape is longer than what it stands for.
    match written.len().cmp(&name.len()) {
        Ordering::Less => false,
        Ordering::Equal => written == name && !written.contains('\\'),
        Ordering::Greater => written.contains('\\') && Decoded::of(written).eq(name.chars()),
    }
}

/// What stands between the brackets of an array.
pub(super) fn inside(array: &str) -> Option<&str> {
    trim(array).strip_prefix('[')?.strip_suffix(']')
}

/// The elements of an array whose brackets are away.
pub(super) fn elements(list: &str) -> Elements<'_> {
    Elements { list, at: 0 }
}

/// Elements one after another.
#[derive(Clone)]
pub(super) struct Elements<'a> {
    list: &'a str,
    at: usize,
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let bytes = self.list.as_bytes();
        let start = skip_space(bytes, self.at);
        let end = skip_value(bytes, start)?;
        let comma = skip_space(bytes, end);
        self.at = if bytes.get(comma) == Some(&b',') { comma + 1 } else { bytes.len() };
        self.list.get(start..end)
    }
}

fn skip_space(bytes: &[u8], mut at: usize) -> usize {
    while matches!(bytes.get(at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
        at += 1;
    }
    at
}

/// The place behind the string that begins at `at` with its quote.
fn skip_string(bytes: &[u8], at: usize) -> Option<usize> {
    let mut at = at + 1;
    let mut near = at + SHORT;
    loop {
        if at >= near {
            at += memchr::memchr2(b'"', b'\\', bytes.get(at..)?)?;
            near = at + SHORT;
        }
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// The place behind the value that begins at `at`; `None` when there is none.
fn skip_value(bytes: &[u8], at: usize) -> Option<usize> {
    match bytes.get(at)? {
        b'"' => skip_string(bytes, at),
        b'{' | b'[' => skip_nested(bytes, at),
        b',' | b':' | b'}' | b']' => None,
        _ => {
            let rest = &bytes[at..];
            let end = rest.iter().position(|b| matches!(b, b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r'));
            Some(at + end.unwrap_or(rest.len()))
        }
    }
}

fn skip_nested(bytes: &[u8], mut at: usize) -> Option<usize> {
    let mut depth = 0_usize;
    loop {
        match bytes.get(at)? {
            b'"' => {
                at = skip_string(bytes, at)?;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
        at += 1;
    }
}
