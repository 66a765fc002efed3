//! Topic names, topic filters and shared subscriptions (3.1.1 §4.7, v5 §4.7 and §4.8).

use super::Version;
use super::error::{self, DecodeError};

/// Checks a topic name as it may stand in PUBLISH and in a will.
///
/// # Errors
/// Empty, longer than 65535 bytes, a wildcard or U+0000 in it.
pub fn check_name(name: &str) -> Result<(), DecodeError> {
    if name.is_empty() {
        return Err(error::TOPIC_EMPTY); // [MQTT-4.7.3-1]
    }
    if name.len() > usize::from(u16::MAX) {
        return Err(error::TOPIC_TOO_LONG); // [MQTT-4.7.3-3]
    }
    if has_wildcard(name) {
        return Err(error::TOPIC_WILDCARD); // [MQTT-4.7.1-1] v5 [MQTT-4.7.0-1]
    }
    if name.as_bytes().contains(&0) {
        return Err(error::NUL); // [MQTT-4.7.3-2]
    }
    Ok(())
}

/// Whether `+` or `#` stands anywhere in the text. The whole text is looked at so that the loop becomes vector code.
pub(crate) fn has_wildcard(text: &str) -> bool {
    text.bytes().fold(false, |found, byte| found | (byte == b'+') | (byte == b'#'))
}

/// A checked topic filter, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TopicFilter<'a> {
    /// Share name of a shared subscription (v5 §4.8.2).
    pub share: Option<&'a str>,
    /// The filter itself, without `$share/{name}/`.
    pub filter: &'a str,
}

impl<'a> TopicFilter<'a> {
    /// Checks and takes apart the text of a SUBSCRIBE or UNSUBSCRIBE.
    ///
    /// `$share/…` means a shared subscription in 5.0 only; 3.x knows no such thing and there it is an ordinary filter. A
    /// server that offers shared subscriptions to 3.x clients too parses with [`Version::V5`].
    ///
    /// # Errors
    /// Empty, longer than 65535 bytes, U+0000, a wildcard at a wrong place, a bad share name.
    pub fn parse(text: &'a str, version: Version) -> Result<Self, DecodeError> {
        if text.len() > usize::from(u16::MAX) {
            return Err(error::FILTER_TOO_LONG); // [MQTT-4.7.3-3]
        }
        if text.as_bytes().contains(&0) {
            return Err(error::NUL); // [MQTT-4.7.3-2]
        }
        let (share, filter) = match text.strip_prefix("$share/") {
            Some(shared) if version == Version::V5 => {
                // v5 [MQTT-4.8.2-2]
                let (name, filter) = shared.split_once('/').ok_or(error::SHARE_NAME)?;
                if name.is_empty() {
                    return Err(error::SHARE_NAME_EMPTY); // v5 [MQTT-4.8.2-1]
                }
                if has_wildcard(name) || filter.is_empty() {
                    return Err(error::SHARE_NAME); // v5 [MQTT-4.8.2-2]
                }
                (Some(name), filter)
            }
            _ => (None, text),
        };
        check_wildcards(filter)?;
        Ok(TopicFilter { share, filter })
    }

    /// Whether messages on this topic belong to the subscription.
    pub fn matches(&self, topic: &str) -> bool {
        matches(self.filter, topic)
    }
}

fn check_wildcards(filter: &str) -> Result<(), DecodeError> {
    if filter.is_empty() {
        return Err(error::FILTER_EMPTY); // [MQTT-4.7.3-1]
    }
    let mut levels = filter.split('/').peekable();
    while let Some(level) = levels.next() {
        if level.contains('#') && (level != "#" || levels.peek().is_some()) {
            return Err(error::FILTER_MULTI_LEVEL); // [MQTT-4.7.1-2] v5 [MQTT-4.7.1-1]
        }
        if level.contains('+') && level != "+" {
            return Err(error::FILTER_SINGLE_LEVEL); // [MQTT-4.7.1-3] v5 [MQTT-4.7.1-2]
        }
    }
    Ok(())
}

/// Whether a checked filter (without share name) matches a topic name.
///
/// Levels are compared byte by byte, without any normalisation (`[MQTT-4.7.3-4]`).
pub fn matches(filter: &str, topic: &str) -> bool {
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return false; // [MQTT-4.7.2-1]
    }
    let mut levels = topic.split('/');
    for wanted in filter.split('/') {
        let level = match wanted {
            // The parent level matches too, so it does not matter whether a level is left (3.1.1 §4.7.1.2).
            "#" => return true,
            _ => levels.next(),
        };
        match level {
            Some(level) if wanted == "+" || wanted == level => {}
            _ => return false,
        }
    }
    levels.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_match(filter: &str, topic: &str, expected: bool) {
        let parsed = TopicFilter::parse(filter, Version::V5).expect("legal filter");
        assert_eq!(parsed.matches(topic), expected, "{filter:?} on {topic:?}");
    }

    #[test]
    fn multi_level_wildcard() {
        // 3.1.1 §4.7.1.2
        for topic in ["sport/tennis/player1", "sport/tennis/player1/ranking", "sport/tennis/player1/score/wimbledon"] {
            check_match("sport/tennis/player1/#", topic, true);
        }
        check_match("sport/tennis/player1/#", "sport/tennis/player2", false);
        check_match("sport/tennis/player1/#", "sport/tennis/player10", false);
        check_match("sport/#", "sport", true);
        check_match("sport/#", "sport/", true);
        check_match("sport/#", "sports", false);
        check_match("#", "anything/at/all", true);
        check_match("#", "/", true);
    }

    #[test]
    fn single_level_wildcard() {
        // 3.1.1 §4.7.1.3
        check_match("sport/tennis/+", "sport/tennis/player1", true);
        check_match("sport/tennis/+", "sport/tennis/player1/ranking", false);
        check_match("sport/+", "sport", false);
        check_match("sport/+", "sport/", true);
        check_match("+/+", "/finance", true);
        check_match("/+", "/finance", true);
        check_match("+", "/finance", false);
        check_match("+/tennis/#", "sport/tennis", true);
        check_match("+", "a", true);
    }

    #[test]
    fn levels_without_wildcards() {
        // 3.1.1 §4.7.3
        check_match("ACCOUNTS", "Accounts", false);
        check_match("a/b", "a/b", true);
        check_match("a/b", "a", false);
        check_match("a", "a/b", false);
        check_match("/a", "a", false);
        check_match("a/", "a", false);
        check_match("a", "a/", false);
        check_match("a//b", "a/b", false);
        check_match("é", "e\u{301}", false); // [MQTT-4.7.3-4]
    }

    #[test]
    fn dollar_topics_need_a_literal_first_level() {
        // [MQTT-4.7.2-1]
        check_match("#", "$SYS/broker", false);
        check_match("+/broker", "$SYS/broker", false);
        check_match("+", "$SYS", false);
        check_match("$SYS/#", "$SYS/broker", true);
        check_match("$SYS/+", "$SYS/broker", true);
        check_match("a/+", "a/$SYS", true);
        check_match("+/a", "a$/a", true);
    }

    #[test]
    fn shared_filter_matches_without_its_share() {
        check_match("$share/group/sport/#", "sport/tennis", true);
        check_match("$share/group/sport/#", "$share/group/sport/tennis", false);
        check_match("$share/group//a", "/a", true);
        check_match("$share/group/#", "$SYS/a", false);
        check_match("$share/group/$SYS/#", "$SYS/a", true);
    }

    #[test]
    fn share_is_taken_apart_in_5_0_only() {
        let text = "$share/group/a/b";
        let shared = TopicFilter { share: Some("group"), filter: "a/b" };
        assert_eq!(TopicFilter::parse(text, Version::V5), Ok(shared));
        for version in [Version::V31, Version::V311] {
            let plain = TopicFilter { share: None, filter: text };
            assert_eq!(TopicFilter::parse(text, version), Ok(plain));
        }
        for plain in ["$share", "$shared/group/a", "$SHARE/group/a", "share/group/a"] {
            assert_eq!(TopicFilter::parse(plain, Version::V5), Ok(TopicFilter { share: None, filter: plain }));
        }
    }

    #[track_caller]
    fn check_filter(filter: &str, expected: Result<(), DecodeError>) {
        assert_eq!(TopicFilter::parse(filter, Version::V5).map(drop), expected, "{filter:?}");
    }

    #[test]
    fn filters() {
        for legal in ["#", "+", "/", "//", "a", "a/#", "+/#", "+/a/+", "/+", "+/", "/#", " ", "$SYS/#", "$share/g/#"] {
            check_filter(legal, Ok(()));
        }
        check_filter("", Err(error::FILTER_EMPTY));
        for bad in ["a#", "#a", "a/#/b", "#/", "##", "a/b#", "+#", "$share/g/a#"] {
            check_filter(bad, Err(error::FILTER_MULTI_LEVEL));
        }
        for bad in ["a+", "+a", "a/b+/c", "++", "+/a+"] {
            check_filter(bad, Err(error::FILTER_SINGLE_LEVEL));
        }
        check_filter("a\0", Err(error::NUL));
        check_filter("$share//a", Err(error::SHARE_NAME_EMPTY));
        for bad in ["$share/", "$share/g", "$share/g/", "$share/g+/a", "$share/#/a"] {
            check_filter(bad, Err(error::SHARE_NAME));
        }
        check_filter(&"a".repeat(65_535), Ok(()));
        check_filter(&"a".repeat(65_536), Err(error::FILTER_TOO_LONG));
    }

    #[test]
    fn names() {
        for legal in ["a", "/", "a b", "$SYS/a", "温度", "a/b/"] {
            assert_eq!(check_name(legal), Ok(()), "{legal:?}");
        }
        assert_eq!(check_name(""), Err(error::TOPIC_EMPTY));
        assert_eq!(check_name("a/+"), Err(error::TOPIC_WILDCARD));
        assert_eq!(check_name("a#"), Err(error::TOPIC_WILDCARD));
        assert_eq!(check_name("a\0"), Err(error::NUL));
        assert_eq!(check_name(&"a".repeat(65_535)), Ok(()));
        assert_eq!(check_name(&"a".repeat(65_536)), Err(error::TOPIC_TOO_LONG));
    }
}
