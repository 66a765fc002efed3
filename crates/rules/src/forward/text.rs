//! Texts as they stand in JSON, compared without being decoded first; patterns of `LIKE`.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::str::Chars;

use causeway_model::properties::write_json_string;

/// A text.
#[derive(Clone, Debug)]
pub(super) enum Text<'a> {
    /// As it is.
    Plain(&'a str),
    /// What stands between the quotes of a JSON string that holds escapes.
    Escaped(&'a str),
    /// Made for this evaluation: a time.
    Made(Box<str>),
}

impl<'a> Text<'a> {
    /// The text of what stands between the quotes of a JSON string.
    pub(super) fn of_json(inside: &'a str) -> Self {
        if inside.contains('\\') { Self::Escaped(inside) } else { Self::Plain(inside) }
    }

    fn plain(&self) -> Option<&str> {
        match self {
            Self::Plain(text) => Some(text),
            Self::Made(text) => Some(text),
            Self::Escaped(_) => None,
        }
    }

    fn chars(&self) -> Decoded<'_> {
        match self {
            Self::Plain(text) => Decoded::plain(text),
            Self::Made(text) => Decoded::plain(text),
            Self::Escaped(text) => Decoded::of(text),
        }
    }

    /// In the order of Unicode's numbers.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        match (self.plain(), other.plain()) {
            // The order of UTF-8 is that of the characters.
            (Some(a), Some(b)) => a.cmp(b),
            _ => self.chars().cmp(other.chars()),
        }
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        match (self.plain(), other.plain()) {
            (Some(a), Some(b)) => a == b,
            _ => self.chars().eq(other.chars()),
        }
    }

    pub(super) fn decoded(self) -> Cow<'a, str> {
        match self {
            Self::Plain(text) => Cow::Borrowed(text),
            Self::Escaped(text) => Cow::Owned(Decoded::of(text).collect()),
            Self::Made(text) => Cow::Owned(text.into()),
        }
    }

    /// Appends the JSON string.
    pub(super) fn write(&self, out: &mut String) {
        match self {
            Self::Plain(text) => write_json_string(out, text),
            Self::Made(text) => write_json_string(out, text),
            Self::Escaped(text) => {
                out.push('"');
                out.push_str(text);
                out.push('"');
            }
        }
    }
}

/// The characters of a text, its escapes resolved. Half of a surrogate pair is U+FFFD.
#[derive(Clone)]
pub(super) struct Decoded<'a> {
    rest: Chars<'a>,
    escaped: bool,
}

impl<'a> Decoded<'a> {
    /// Of what stands between the quotes of a JSON string.
    pub(super) fn of(inside: &'a str) -> Self {
        Self { rest: inside.chars(), escaped: true }
    }

    fn plain(text: &'a str) -> Self {
        Self { rest: text.chars(), escaped: false }
    }

    fn unit(&mut self) -> Option<u32> {
        let digits = self.rest.as_str().get(..4)?;
        let unit = u32::from_str_radix(digits, 16).ok()?;
        self.rest = self.rest.as_str()[4..].chars();
        Some(unit)
    }

    fn unicode(&mut self) -> char {
        let Some(first) = self.unit() else { return char::REPLACEMENT_CHARACTER };
        if !(0xd800..0xdc00).contains(&first) {
            return char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER);
        }
        let before = self.rest.clone();
        if let Some(after) = self.rest.as_str().strip_prefix("\\u") {
            self.rest = after.chars();
            if let Some(second @ 0xdc00..0xe000) = self.unit() {
                let joined = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                return char::from_u32(joined).unwrap_or(char::REPLACEMENT_CHARACTER);
            }
            self.rest = before;
        }
        char::REPLACEMENT_CHARACTER
    }
}

impl Iterator for Decoded<'_> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        let c = self.rest.next()?;
        if c != '\\' || !self.escaped {
            return Some(c);
        }
        Some(match self.rest.next()? {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'u' => self.unicode(),
            other => other,
        })
    }
}

/// A pattern of `LIKE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern(Vec<Glob>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Glob {
    Char(char),
    /// `_`
    One,
    /// `%`
    Many,
}

impl Pattern {
    /// Reads a pattern; the error is the reason.
    pub(super) fn read(text: &str, escape: Option<char>) -> Result<Self, &'static str> {
        let mut globs = Vec::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            globs.push(match c {
                c if Some(c) == escape => match chars.next() {
                    Some(c) if c == '%' || c == '_' || Some(c) == escape => Glob::Char(c),
                    _ => return Err("behind the escape character of a pattern stands `%`, `_` or itself"),
                },
                '%' if globs.last() == Some(&Glob::Many) => continue,
                '%' => Glob::Many,
                '_' => Glob::One,
                c => Glob::Char(c),
            });
        }
        Ok(Self(globs))
    }

    /// Whether the whole text is like this.
    pub(super) fn matches(&self, text: &Text<'_>) -> bool {
        let mut chars = text.chars();
        let mut at = 0;
        // Behind the last `%`: where the pattern goes on, and the text that it may swallow further.
        let mut retry: Option<(usize, Decoded<'_>)> = None;
        loop {
            let glob = self.0.get(at);
            if glob == Some(&Glob::Many) {
                at += 1;
                if at == self.0.len() {
                    return true;
                }
                retry = Some((at, chars.clone()));
                continue;
            }
            let fits = match (glob, chars.next()) {
                (None, None) => return true,
                (Some(Glob::One), Some(_)) => true,
                (Some(Glob::Char(wanted)), Some(c)) => *wanted == c,
                (Some(_), None) => return false,
                _ => false,
            };
            if fits {
                at += 1;
                continue;
            }
            let Some((pattern, swallowed)) = &mut retry else { return false };
            if swallowed.next().is_none() {
                return false;
            }
            at = *pattern;
            chars = swallowed.clone();
        }
    }
}
