//! Device policies: which topics outside of `$oc` a device may publish and subscribe (`iotda-v5-api.md`, device
//! policies; the vendor's pages on topic policies).
//!
//! A resource is `topic:` and a pattern. In a pattern `*` stands for any characters, `?` for any one, and `+` and `#` for
//! themselves: a pattern judges the text that a device sends, a topic or a filter. `${devices.deviceId}`,
//! `${devices.productId}`, `${devices.nodeId}` and `${devices.clientId}` stand for the values of the device.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::ids::{AppId, DeviceId, DeviceNo, ProductId, RecordNo};
use crate::spaces::Spaces;
use crate::time::Timestamp;

/// Name of the policy that every space is born with: it allows everything, and may be deleted.
pub const DEFAULT_NAME: &str = "system_default_policy";

/// Most statements of a policy.
pub const MAX_STATEMENTS: usize = 10;
/// Most resources of a statement.
pub const MAX_RESOURCES: usize = 10;
/// Most bytes of a policy's statements together, as JSON.
pub const MAX_DOCUMENT: usize = 10 << 10;

/// What a statement does to what it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Effect {
    /// Allows it.
    Allow,
    /// Forbids it, whatever else allows it.
    Deny,
}

/// What a device does with a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TopicAction {
    /// It publishes.
    #[serde(rename = "iotda:devices:publish")]
    Publish,
    /// It subscribes.
    #[serde(rename = "iotda:devices:subscribe")]
    Subscribe,
}

/// One statement of a policy; the serialised form is the store's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// Allow or deny.
    pub effect: Effect,
    /// Doing what.
    pub actions: Vec<TopicAction>,
    /// With which topics, `topic:…`.
    pub resources: Vec<String>,
}

/// A policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DevicePolicy {
    /// Paging position and the key bindings refer to.
    pub no: RecordNo,
    /// The space it belongs to; only things of this space can be bound to it.
    pub app_id: AppId,
    /// The id, 24 hex digits.
    pub id: String,
    /// Display name.
    pub name: String,
    /// What it says.
    pub statements: Vec<Statement>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

/// Which policies to list.
#[derive(Clone, Debug, Default)]
pub struct PolicyFilter {
    /// Of these spaces.
    pub spaces: Spaces,
    /// Whose name contains this text.
    pub name: Option<String>,
}

/// What kind of thing a policy is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetKind {
    /// One device.
    Device,
    /// All devices of a product.
    Product,
    /// All devices of a space.
    App,
}

impl TargetKind {
    /// The word of the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::Product => "product",
            Self::App => "app",
        }
    }

    /// Reads the word back.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Device, Self::Product, Self::App].into_iter().find(|k| k.as_str() == word)
    }
}

/// Something that policies are bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicyTarget {
    /// A device.
    Device(DeviceNo),
    /// A product.
    Product(RecordNo),
    /// The space itself.
    App(AppId),
}

/// A binding, as lists show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoundTarget {
    /// Paging position.
    pub no: RecordNo,
    /// What kind of thing.
    pub kind: TargetKind,
    /// Its id.
    pub id: String,
}

/// What stands for a variable of a pattern.
#[derive(Clone, Copy, Debug)]
pub struct PolicyVariables<'a> {
    /// The device's id.
    pub device: &'a DeviceId,
    /// The id of its product.
    pub product: &'a ProductId,
    /// What it calls itself.
    pub node: &'a str,
    /// The client id of its connection; empty without one.
    pub client: &'a str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Variable {
    Device,
    Product,
    Node,
    Client,
}

const VARIABLES: [(&str, Variable); 4] = [
    ("${devices.deviceId}", Variable::Device),
    ("${devices.productId}", Variable::Product),
    ("${devices.nodeId}", Variable::Node),
    ("${devices.clientId}", Variable::Client),
];

#[derive(Clone, Debug, PartialEq, Eq)]
enum Atom {
    Text(Box<str>),
    Variable(Variable),
    /// `?`
    One,
}

/// A compiled pattern: what stands between the `*`, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(Vec<Box<[Atom]>>);

impl Pattern {
    /// Compiles a resource.
    ///
    /// # Errors
    /// Invalid, with what is wrong.
    pub fn of_resource(resource: &str) -> Result<Self> {
        let refuse = |why: &str| Err(Error::invalid(format!("Invalid input. The resource '{resource}' {why}.")));
        let Some(pattern) = resource.strip_prefix("topic:").filter(|p| !p.is_empty()) else {
            return refuse("must be 'topic:' and a topic");
        };
        if !pattern.bytes().all(|b| b.is_ascii_alphanumeric() || b"/{}$=+#?*:._-".contains(&b)) {
            return refuse("may hold letters, digits and /{}$=+#?*:._- only");
        }
        let mut parts = Vec::new();
        let (mut part, mut text) = (Vec::new(), String::new());
        let flush = |text: &mut String, part: &mut Vec<Atom>| {
            if !text.is_empty() {
                part.push(Atom::Text(std::mem::take(text).into()));
            }
        };
        let mut rest = pattern;
        while let Some(c) = rest.chars().next() {
            if rest.starts_with("${") {
                let Some((name, variable)) = VARIABLES.iter().find(|(name, _)| rest.starts_with(name)) else {
                    return refuse(
                        "names a variable that is not one of ${devices.deviceId}, ${devices.productId}, \
                         ${devices.nodeId} and ${devices.clientId}",
                    );
                };
                flush(&mut text, &mut part);
                part.push(Atom::Variable(*variable));
                rest = &rest[name.len()..];
                continue;
            }
            match c {
                '*' => {
                    flush(&mut text, &mut part);
                    parts.push(std::mem::take(&mut part).into());
                }
                '?' => {
                    flush(&mut text, &mut part);
                    part.push(Atom::One);
                }
                c => text.push(c),
            }
            rest = &rest[c.len_utf8()..];
        }
        flush(&mut text, &mut part);
        parts.push(part.into());
        Ok(Self(parts))
    }

    /// Whether it matches everything.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.0.len() > 1 && self.0.iter().all(|part| part.is_empty())
    }

    /// Whether the pattern matches the whole text.
    #[must_use]
    pub fn matches(&self, text: &str, variables: &PolicyVariables<'_>) -> bool {
        let (first, last) = (&self.0[0], &self.0[self.0.len() - 1]);
        let Some(mut rest) = strip(first, text, variables) else { return false };
        if self.0.len() == 1 {
            return rest.is_empty();
        }
        // Each part goes to its first place, which leaves the most for those behind it.
        for part in &self.0[1..self.0.len() - 1] {
            match suffixes(rest).find_map(|at| strip(part, at, variables)) {
                Some(behind) => rest = behind,
                None => return false,
            }
        }
        suffixes(rest).any(|at| strip(last, at, variables).is_some_and(str::is_empty))
    }
}

/// The text and what is left of it from each further character on, the empty end included.
fn suffixes(text: &str) -> impl Iterator<Item = &str> {
    text.char_indices().map(|(at, _)| at).chain([text.len()]).map(|at| &text[at..])
}

/// What is left of `text` behind the part, when it begins with it.
fn strip<'t>(part: &[Atom], text: &'t str, variables: &PolicyVariables<'_>) -> Option<&'t str> {
    part.iter().try_fold(text, |rest, atom| match atom {
        Atom::Text(text) => rest.strip_prefix(&**text),
        Atom::One => rest.chars().next().map(|c| &rest[c.len_utf8()..]),
        // Without a value nothing is meant, not everything.
        Atom::Variable(variable) => match variable {
            Variable::Device => rest.strip_prefix(variables.device.as_str()),
            Variable::Product => rest.strip_prefix(variables.product.as_str()),
            Variable::Node => rest.strip_prefix(variables.node),
            Variable::Client => rest.strip_prefix(variables.client).filter(|_| !variables.client.is_empty()),
        },
    })
}

/// Checks the statements of a policy (`iotda-v5-api.md`, Statement).
///
/// # Errors
/// Invalid, with the place.
pub fn check_statements(statements: &[Statement]) -> Result<()> {
    let refuse = |why: String| Err(Error::invalid(format!("Invalid input. {why}")));
    if !(1..=MAX_STATEMENTS).contains(&statements.len()) {
        return refuse(format!("'statement' must hold 1 to {MAX_STATEMENTS} statements."));
    }
    for (i, statement) in statements.iter().enumerate() {
        if statement.actions.is_empty() || statement.actions.len() > 2 {
            return refuse(format!("'statement[{i}].actions' must hold 1 or 2 actions."));
        }
        if !(1..=MAX_RESOURCES).contains(&statement.resources.len()) {
            return refuse(format!("'statement[{i}].resources' must hold 1 to {MAX_RESOURCES} resources."));
        }
        for resource in &statement.resources {
            Pattern::of_resource(resource)?;
        }
    }
    let length: usize = statements.iter().flat_map(|s| &s.resources).map(|r| r.len() + 3).sum();
    if length > MAX_DOCUMENT {
        return refuse(format!("The statements of a policy are larger than {MAX_DOCUMENT} bytes."));
    }
    Ok(())
}

/// What policies say about one action.
#[derive(Clone, Debug, Default)]
struct Rules {
    allow: Vec<Pattern>,
    deny: Vec<Pattern>,
}

/// A policy, compiled once and shared by all devices that it covers.
#[derive(Clone, Debug, Default)]
pub struct CompiledPolicy {
    publish: Rules,
    subscribe: Rules,
}

impl CompiledPolicy {
    /// Compiles a policy. A resource that cannot be read, which only a changed store can hold, matches nothing.
    #[must_use]
    pub fn compile(statements: &[Statement]) -> Self {
        let mut compiled = Self::default();
        for statement in statements {
            let patterns: Vec<Pattern> =
                statement.resources.iter().filter_map(|r| Pattern::of_resource(r).ok()).collect();
            for action in &statement.actions {
                let rules = compiled.rules_mut(*action);
                let list = if statement.effect == Effect::Allow { &mut rules.allow } else { &mut rules.deny };
                list.extend(patterns.iter().cloned());
            }
        }
        compiled
    }

    fn rules_mut(&mut self, action: TopicAction) -> &mut Rules {
        match action {
            TopicAction::Publish => &mut self.publish,
            TopicAction::Subscribe => &mut self.subscribe,
        }
    }

    fn rules(&self, action: TopicAction) -> &Rules {
        match action {
            TopicAction::Publish => &self.publish,
            TopicAction::Subscribe => &self.subscribe,
        }
    }

    /// Whether it denies nothing.
    #[must_use]
    pub fn denies_nothing(&self) -> bool {
        self.publish.deny.is_empty() && self.subscribe.deny.is_empty()
    }

    /// Whether it allows every topic for both actions.
    #[must_use]
    pub fn allows_everything(&self) -> bool {
        [&self.publish, &self.subscribe].iter().all(|rules| rules.allow.iter().any(Pattern::is_everything))
    }

    /// Whether a statement allows the action.
    #[must_use]
    pub fn allows(&self, action: TopicAction, text: &str, variables: &PolicyVariables<'_>) -> bool {
        self.rules(action).allow.iter().any(|p| p.matches(text, variables))
    }

    /// Whether a statement denies the action.
    #[must_use]
    pub fn denies(&self, action: TopicAction, text: &str, variables: &PolicyVariables<'_>) -> bool {
        self.rules(action).deny.iter().any(|p| p.matches(text, variables))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        let (device, product) = (DeviceId::trusted("dev1"), ProductId::trusted("prod"));
        let variables = PolicyVariables { device: &device, product: &product, node: "n-7", client: "dev1_0_1_2026" };
        Pattern::of_resource(&format!("topic:{pattern}")).expect("a pattern").matches(text, &variables)
    }

    #[test]
    fn patterns_of_the_vendors_pages() {
        for (pattern, text, expected) in [
            ("test/topic?/some", "test/topic1/some", true),
            ("test/topic?/some", "test/topic12/some", false),
            ("test/set?????/some", "test/setabcde/some", true),
            ("test/*", "test/a/b/c", true),
            ("test/*", "test/", true),
            ("test/*", "tes", false),
            ("test/*/some", "test/a/b/some", true),
            ("test/*/some", "test/some", false),
            ("*some", "some", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("*a?", "aab", true),
            ("*?b", "ab", true),
            ("*?b", "b", false),
            ("test/#", "test/#", true),
            ("test/#", "test/a", false),
            ("test/+/x", "test/a/x", false),
            ("/v1/${devices.deviceId}/up", "/v1/dev1/up", true),
            ("/v1/${devices.deviceId}/up", "/v1/dev2/up", false),
            ("${devices.productId}:${devices.nodeId}/*", "prod:n-7/x", true),
            ("c/${devices.clientId}", "c/dev1_0_1_2026", true),
            ("*", "温度/a", true),
            ("?", "度", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn a_variable_without_a_value_matches_nothing() {
        let (device, product) = (DeviceId::trusted("d"), ProductId::trusted("p"));
        let variables = PolicyVariables { device: &device, product: &product, node: "n", client: "" };
        let pattern = Pattern::of_resource("topic:a${devices.clientId}*").expect("a pattern");
        assert!(!pattern.matches("a", &variables) && !pattern.matches("ab", &variables));
    }

    #[test]
    fn bad_resources_are_refused() {
        for resource in
            ["", "topic:", "/a", "topic:a b", "topic:ä", "topic:${devices.name}", "topic:${devices.deviceId", "queue:a"]
        {
            assert!(Pattern::of_resource(resource).is_err(), "{resource}");
        }
        let statement = |resources: usize, actions: usize| Statement {
            effect: Effect::Allow,
            actions: vec![TopicAction::Publish; actions],
            resources: vec!["topic:a".to_owned(); resources],
        };
        assert!(check_statements(&[statement(10, 1)]).is_ok());
        assert!(check_statements(&[statement(11, 1)]).is_err());
        assert!(check_statements(&[statement(0, 1)]).is_err());
        assert!(check_statements(&[statement(1, 0)]).is_err());
        assert!(check_statements(&[]).is_err());
        assert!(check_statements(&vec![statement(1, 1); 11]).is_err());
        let mut long = statement(10, 1);
        long.resources = vec![format!("topic:{}", "a".repeat(2000)); 10];
        assert!(check_statements(&[long]).is_err());
    }

    #[test]
    fn statements_keep_their_words_in_the_store() {
        let statement = Statement {
            effect: Effect::Deny,
            actions: vec![TopicAction::Publish, TopicAction::Subscribe],
            resources: vec!["topic:a".to_owned()],
        };
        let text = serde_json::to_string(&[&statement]).expect("writes");
        assert_eq!(
            text,
            r#"[{"effect":"DENY","actions":["iotda:devices:publish","iotda:devices:subscribe"],"resources":["topic:a"]}]"#
        );
        assert_eq!(serde_json::from_str::<Vec<Statement>>(&text).expect("reads"), [statement]);
    }

    /// The obvious way to match, for comparison.
    fn slowly(pattern: &[char], text: &[char]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some(('*', rest)) => (0..=text.len()).any(|n| slowly(rest, &text[n..])),
            Some(('?', rest)) => !text.is_empty() && slowly(rest, &text[1..]),
            Some((c, rest)) => text.first() == Some(c) && slowly(rest, &text[1..]),
        }
    }

    fn words(letters: &[char], longest: usize) -> Vec<String> {
        let mut words = vec![String::new()];
        let mut begin = 0;
        for _ in 0..longest {
            let end = words.len();
            for at in begin..end {
                for letter in letters {
                    words.push(format!("{}{letter}", words[at]));
                }
            }
            begin = end;
        }
        words
    }

    #[test]
    fn matching_agrees_with_the_obvious_way() {
        let chars = |s: &str| s.chars().collect::<Vec<_>>();
        let texts = words(&['a', 'b'], 5);
        for pattern in words(&['a', 'b', '*', '?'], 5).iter().filter(|p| !p.is_empty()) {
            for text in &texts {
                assert_eq!(matches(pattern, text), slowly(&chars(pattern), &chars(text)), "{pattern} {text}");
            }
        }
    }
}
