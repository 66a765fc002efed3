//! Actions with wildcards.

/// The name of an action, in which `*` stands for any characters of one part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Glob(Box<str>);

impl Glob {
    /// Longest name taken.
    const MAX_LEN: usize = 256;

    /// Reads `service:resource:verb` or `*`; the error says what is wrong.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        if text == "*" {
            return Ok(Self("*:*:*".into()));
        }
        if text.len() > Self::MAX_LEN {
            return Err("is longer than 256 characters");
        }
        let mut parts = 0;
        for part in text.split(':') {
            parts += 1;
            if part.is_empty() || !part.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-*".contains(&b)) {
                return Err("must be three parts of letters, digits, '_', '-' and '*', like 'iotda:devices:query'");
            }
        }
        if parts == 3 { Ok(Self(text.into())) } else { Err("must have three parts, like 'iotda:devices:query'") }
    }

    /// As it was written.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `action` is meant; upper and lower case are the same.
    pub(super) fn matches(&self, action: &str) -> bool {
        let mut parts = action.split(':');
        let same = self.0.split(':').all(|pattern| parts.next().is_some_and(|part| part_matches(pattern, part)));
        same && parts.next().is_none()
    }
}

/// Goes back to the last `*` only, so the time is at most the product of the two lengths.
fn part_matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        if p < pattern.len() && pattern[p] == b'*' {
            star = Some((p, t));
            p += 1;
        } else if p < pattern.len() && pattern[p].eq_ignore_ascii_case(&text[t]) {
            p += 1;
            t += 1;
        } else if let Some((at, from)) = star {
            star = Some((at, from + 1));
            p = at + 1;
            t = from + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|b| *b == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, action: &str, expected: bool) {
        let glob = Glob::parse(pattern).expect(pattern);
        assert_eq!(glob.matches(action), expected, "{pattern} {action}");
    }

    #[test]
    fn wildcards_stay_in_their_part() {
        check("iotda:devices:query", "iotda:devices:query", true);
        check("iotda:devices:query", "iotda:devices:queryList", false);
        check("iotda:devices:query*", "iotda:devices:queryList", true);
        check("iotda:devices:*", "iotda:devices:delete", true);
        check("iotda:devices:*", "iotda:products:delete", false);
        check("iotda:*:*", "iotda:devices:delete", true);
        check("iotda:*:*", "iam:users:createUser", false);
        check("*:*:*", "iam:users:createUser", true);
        check("*", "iam:users:createUser", true);
        check("iotda:*ice*:*er*List*", "iotda:devices:queryList", true);
        check("iotda:*x*:*", "iotda:devices:queryList", false);
        check("iotda:*:*", "iotda:devices", false);
        check("iotda:*:*", "iotda:devices:query:more", false);
        check("IoTDA:Devices:QUERYLIST", "iotda:devices:queryList", true);
    }

    #[test]
    fn a_hostile_pattern_costs_little() {
        let pattern = format!("iotda:{}b:*", "a*".repeat(120));
        check(&pattern, &format!("iotda:{}:x", "a".repeat(4000)), false);
    }

    #[test]
    fn other_forms_are_refused() {
        for text in ["", "iotda", "iotda:devices", "iotda::query", "a:b:c:d", "iotda:devices:qu ery", "**:", "a:b:ä"] {
            assert!(Glob::parse(text).is_err(), "{text}");
        }
        assert!(Glob::parse(&format!("iotda:{}:x", "a".repeat(260))).is_err());
    }
}
