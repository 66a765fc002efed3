//! The evaluator beside a plain one that works on the parsed notification.

use std::cmp::Ordering;
use std::fmt::Write as _;

use proptest::collection::vec;
use serde_json::Value as Json;

use super::*;

/// An expression, as it is generated.
#[derive(Clone, Debug)]
enum Tree {
    Path(&'static str),
    Bool(bool),
    /// Hundredths.
    Number(i64),
    Text(&'static str),
    Tag(&'static str),
    HasTag(&'static str),
    Service(&'static str),
    HasService(&'static str),
    Property(&'static str, &'static str),
    Minus(Box<Tree>),
    Chain(Box<Tree>, Vec<(char, Tree)>),
    Compare(&'static str, Box<Tree>, Box<Tree>),
    Between(bool, Box<Tree>, Box<Tree>, Box<Tree>),
    In(bool, Box<Tree>, Vec<Tree>),
    Like(bool, Box<Tree>, &'static str),
    IsNull(bool, Box<Tree>),
    Not(Box<Tree>),
    All(Vec<Tree>),
    Any(Vec<Tree>),
    Case(Vec<(Tree, Tree)>, Option<Box<Tree>>),
    CaseOf(Box<Tree>, Vec<(Tree, Tree)>),
}

/// A value: numbers are a coefficient and the places behind the point.
#[derive(Clone, Debug, PartialEq)]
enum Plain {
    Null,
    Bool(bool),
    Number(i128, u32),
    Text(String),
    Other(Json),
}

impl Tree {
    fn sql(&self) -> String {
        let list = |list: &[Self], word: &str| list.iter().map(Self::sql).collect::<Vec<_>>().join(word);
        let not = |negated: &bool| if *negated { "NOT " } else { "" };
        match self {
            Self::Path(path) => (*path).to_owned(),
            Self::Bool(known) => known.to_string(),
            Self::Number(n) if n % 100 == 0 => (n / 100).to_string(),
            Self::Number(n) => format!("{}{}.{:02}", if *n < 0 { "-" } else { "" }, n.abs() / 100, n.abs() % 100),
            Self::Text(text) => format!("'{}'", text.replace('\'', "''")),
            Self::Tag(key) => format!("GET_TAG('{key}')"),
            Self::HasTag(key) => format!("Contains_Tag('{key}')"),
            Self::Service(id) => format!("GET_SERVICE('{id}')"),
            Self::HasService(id) => format!("CONTAINS_SERVICES('{id}')"),
            Self::Property(id, name) => format!("GET_SERVICE_PROPERTY('{id}', '{name}')"),
            Self::Minus(of) => format!("- ({})", of.sql()),
            Self::Chain(first, rest) => {
                let mut sql = format!("(({})", first.sql());
                for (operator, next) in rest {
                    let _ = write!(sql, " {operator} ({})", next.sql());
                }
                sql + ")"
            }
            Self::Compare(how, a, b) => format!("({} {how} {})", a.sql(), b.sql()),
            Self::Between(negated, of, low, high) => {
                format!("({} {}BETWEEN {} AND {})", of.sql(), not(negated), low.sql(), high.sql())
            }
            Self::In(negated, of, values) => format!("({} {}IN ({}))", of.sql(), not(negated), list(values, ", ")),
            Self::Like(negated, of, pattern) => format!("({} {}LIKE '{pattern}')", of.sql(), not(negated)),
            Self::IsNull(negated, of) => format!("({} IS {}NULL)", of.sql(), not(negated)),
            Self::Not(of) => format!("NOT {}", of.sql()),
            Self::All(parts) => format!("({})", list(parts, " AND ")),
            Self::Any(parts) => format!("({})", list(parts, " OR ")),
            Self::Case(branches, otherwise) => {
                let otherwise = otherwise.iter().map(|o| format!(" ELSE {}", o.sql())).collect::<String>();
                format!("CASE{}{otherwise} END", whens(branches))
            }
            Self::CaseOf(of, branches) => format!("CASE {}{} END", of.sql(), whens(branches)),
        }
    }

    fn is_text(&self) -> bool {
        matches!(self, Self::Text(_) | Self::Tag(_))
    }

    fn holds(&self, root: &Json) -> bool {
        self.value(root) == Plain::Bool(true)
    }

    /// The value as it is compared with these.
    fn beside(&self, others: &[&Self], root: &Json) -> Plain {
        match self.value(root) {
            Plain::Number(..) | Plain::Bool(_) if self.is_property() && others.iter().any(|o| o.is_text()) => {
                Plain::Text(self.raw(root))
            }
            value => value,
        }
    }

    fn is_property(&self) -> bool {
        matches!(self, Self::Property(..))
    }

    fn raw(&self, root: &Json) -> String {
        match self {
            Self::Property(id, name) => {
                service(root, id).map(|s| s["properties"][*name].to_string()).unwrap_or_default()
            }
            _ => String::new(),
        }
    }

    fn value(&self, root: &Json) -> Plain {
        let calculated = |a: Plain, operator: char, b: Plain| match (a, b) {
            (Plain::Number(a, a_places), Plain::Number(b, b_places)) => {
                let places = a_places.max(b_places);
                let raised = |n: i128, from: u32| n * 10_i128.pow(places - from);
                match operator {
                    '+' => Plain::Number(raised(a, a_places) + raised(b, b_places), places),
                    '-' => Plain::Number(raised(a, a_places) - raised(b, b_places), places),
                    _ => Plain::Number(a * b, a_places + b_places),
                }
            }
            _ => Plain::Null,
        };
        match self {
            Self::Path(path) => plain(at(root, path)),
            Self::Bool(known) => Plain::Bool(*known),
            Self::Number(n) => Plain::Number(i128::from(*n), 2),
            Self::Text(text) => Plain::Text((*text).to_owned()),
            Self::Tag(key) => plain(tag(root, key).and_then(|tag| tag.get("tag_value"))),
            Self::HasTag(key) => Plain::Bool(tag(root, key).is_some()),
            Self::Service(id) => plain(service(root, id)),
            Self::HasService(id) => Plain::Bool(service(root, id).is_some()),
            Self::Property(id, name) => plain(service(root, id).and_then(|s| s["properties"].get(name))),
            Self::Minus(of) => calculated(Plain::Number(0, 0), '-', of.value(root)),
            Self::Chain(first, rest) => {
                rest.iter().fold(first.value(root), |so_far, (what, next)| calculated(so_far, *what, next.value(root)))
            }
            Self::Compare(how, a, b) => Plain::Bool(compare(&a.beside(&[b], root), how, &b.beside(&[a], root))),
            Self::Between(negated, of, low, high) => {
                let (of, low, high) = (of.beside(&[low, high], root), low.value(root), high.value(root));
                Plain::Bool(match negated {
                    true => compare(&of, "<", &low) || compare(&of, ">", &high),
                    false => compare(&of, ">=", &low) && compare(&of, "<=", &high),
                })
            }
            Self::In(negated, of, list) => {
                let of = of.beside(&list.iter().collect::<Vec<_>>(), root);
                let is_there = list.iter().any(|one| compare(&of, "=", &one.value(root)));
                Plain::Bool(!matches!(of, Plain::Null | Plain::Other(_)) && is_there != *negated)
            }
            Self::Like(negated, of, pattern) => Plain::Bool(match of.beside(&[&Self::Text("")], root) {
                Plain::Text(text) => {
                    let (pattern, text): (Vec<_>, Vec<_>) = (pattern.chars().collect(), text.chars().collect());
                    is_like(&pattern, &text) != *negated
                }
                Plain::Null | Plain::Other(_) => false,
                _ => *negated,
            }),
            Self::IsNull(negated, of) => {
                let value = of.value(root);
                let is_null = value == Plain::Null || value == Plain::Other(Json::Array(Vec::new()));
                Plain::Bool(is_null != *negated)
            }
            Self::Not(of) => Plain::Bool(!of.holds(root)),
            Self::All(list) => Plain::Bool(list.iter().all(|one| one.holds(root))),
            Self::Any(list) => Plain::Bool(list.iter().any(|one| one.holds(root))),
            Self::Case(branches, otherwise) => {
                let then = branches.iter().find(|(when, _)| when.holds(root)).map(|(_, then)| then);
                then.or(otherwise.as_deref()).map_or(Plain::Null, |then| then.value(root))
            }
            Self::CaseOf(of, branches) => {
                let of = of.beside(&branches.iter().map(|(when, _)| when).collect::<Vec<_>>(), root);
                let then = branches.iter().find(|(when, _)| compare(&of, "=", &when.value(root)));
                then.map_or(Plain::Null, |(_, then)| then.value(root))
            }
        }
    }
}

fn whens(branches: &[(Tree, Tree)]) -> String {
    branches.iter().map(|(when, then)| format!(" WHEN {} THEN {}", when.sql(), then.sql())).collect()
}

fn compare(a: &Plain, how: &str, b: &Plain) -> bool {
    let order = match (a, b) {
        (Plain::Null | Plain::Other(_), _) | (_, Plain::Null | Plain::Other(_)) => return false,
        (Plain::Number(a, a_places), Plain::Number(b, b_places)) => {
            (a * 10_i128.pow(*b_places)).cmp(&(b * 10_i128.pow(*a_places)))
        }
        (Plain::Text(a), Plain::Text(b)) => a.chars().cmp(b.chars()),
        (Plain::Bool(a), Plain::Bool(b)) if matches!(how, "=" | "<>" | "!=") => a.cmp(b),
        _ => return matches!(how, "<>" | "!="),
    };
    match how {
        "=" => order == Ordering::Equal,
        "<" => order == Ordering::Less,
        "<=" => order != Ordering::Greater,
        ">" => order == Ordering::Greater,
        ">=" => order != Ordering::Less,
        _ => order != Ordering::Equal,
    }
}

fn is_like(pattern: &[char], text: &[char]) -> bool {
    match (pattern, text) {
        ([], []) => true,
        (['%', rest @ ..], _) => is_like(rest, text) || (!text.is_empty() && is_like(pattern, &text[1..])),
        (['_', rest @ ..], [_, text @ ..]) => is_like(rest, text),
        ([c, rest @ ..], [d, text @ ..]) => c == d && is_like(rest, text),
        _ => false,
    }
}

fn at<'a>(root: &'a Json, path: &str) -> Option<&'a Json> {
    path.split('.').try_fold(root, |value, name| {
        let (name, index) = match name.split_once('[') {
            Some((name, index)) => (name, index.trim_end_matches(']').parse::<usize>().ok()),
            None => (name, None),
        };
        let member = value.as_object()?.get(name.trim_matches('"'))?;
        match index {
            Some(index) => member.as_array()?.get(index),
            None => Some(member),
        }
    })
}

fn tag<'a>(root: &'a Json, key: &str) -> Option<&'a Json> {
    at(root, "notify_data.header.tags")?.as_array()?.iter().find(|tag| tag["tag_key"] == key)
}

fn service<'a>(root: &'a Json, id: &str) -> Option<&'a Json> {
    at(root, "notify_data.body.services")?.as_array()?.iter().find(|service| service["service_id"] == id)
}

fn plain(value: Option<&Json>) -> Plain {
    match value {
        None | Some(Json::Null) => Plain::Null,
        Some(Json::Bool(known)) => Plain::Bool(*known),
        Some(Json::String(text)) => Plain::Text(text.clone()),
        // What is generated has two places at most.
        Some(Json::Number(n)) => Plain::Number((n.as_f64().expect("a number") * 100.0).round() as i128, 2),
        Some(other) => Plain::Other(other.clone()),
    }
}

fn paths() -> impl Strategy<Value = Tree> {
    proptest::sample::select(vec![
        "notify_data.body.content.a",
        "notify_data.body.content.b",
        "notify_data.body.content.\"c-d\"",
        "notify_data.body.content.a.b",
        "notify_data.body.content.a[0]",
        "notify_data.body.content.b[1].a",
        "notify_data.body.content",
        "notify_data.body.topic",
        "notify_data.body.services",
        "notify_data.body.services[0].properties.a",
        "notify_data.body.services[1].properties.b[0]",
        "notify_data.body.services[1].service_id",
        "notify_data.body.services[0].event_time",
        "notify_data.body.services[0]",
        "notify_data.body",
        "notify_data.header.device_id",
        "notify_data.header.tags[0].tag_value",
        "notify_data.header.tags",
        "notify_data.header",
        "notify_data",
        "resource",
        "event_time_ms",
        "nothing.there",
    ])
    .prop_map(Tree::Path)
}

fn texts() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(vec!["", "a", "ab", "b", "é", "it's", "1", "1.5", "true", "\n", "\u{1f600}"])
}

fn ids() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(vec!["s", "t", "u"])
}

fn scalars() -> impl Strategy<Value = Tree> {
    let names = || proptest::sample::select(vec!["a", "b"]);
    prop_oneof![
        6 => paths(),
        2 => (-300_i64..300).prop_map(Tree::Number),
        1 => (-3_i64..3).prop_map(|n| Tree::Number(n * 100)),
        2 => texts().prop_map(Tree::Text),
        1 => any::<bool>().prop_map(Tree::Bool),
        1 => ids().prop_map(Tree::Tag),
        1 => ids().prop_map(Tree::Service),
        3 => (ids(), names()).prop_map(|(id, name)| Tree::Property(id, name)),
    ]
}

/// What may be a number.
fn numbers() -> impl Strategy<Value = Tree> {
    prop_oneof![
        3 => paths(),
        2 => (-300_i64..300).prop_map(Tree::Number),
        1 => Just(Tree::Property("s", "a")),
    ]
}

fn plain_scalars() -> impl Strategy<Value = Tree> {
    scalars().prop_filter("a property", |tree| !tree.is_property())
}

fn values() -> impl Strategy<Value = Tree> {
    let operator = || proptest::sample::select(vec!['+', '-', '*']);
    prop_oneof![
        4 => scalars(),
        1 => (paths(), vec((prop_oneof![Just('+'), Just('-')], numbers()), 1..4))
            .prop_map(|(first, rest)| Tree::Chain(Box::new(first), rest)),
        1 => (numbers(), operator(), numbers()).prop_map(|(a, what, b)| Tree::Chain(Box::new(a), vec![(what, b)])),
        1 => paths().prop_map(|of| Tree::Minus(Box::new(of))),
    ]
}

fn conditions() -> impl Strategy<Value = Tree> {
    let operator = proptest::sample::select(vec!["=", "<>", "!=", "<", "<=", ">", ">="]);
    let patterns = proptest::sample::select(vec!["%", "a%", "%b", "_", "%é%", "a_", "", "1%", "%a%b%"]);
    let leaf = prop_oneof![
        6 => (operator, values(), values()).prop_map(|(how, a, b)| Tree::Compare(how, Box::new(a), Box::new(b))),
        2 => (any::<bool>(), values()).prop_map(|(negated, of)| Tree::IsNull(negated, Box::new(of))),
        1 => (any::<bool>(), scalars(), plain_scalars(), plain_scalars()).prop_map(|(negated, of, low, high)| {
            Tree::Between(negated, Box::new(of), Box::new(low), Box::new(high))
        }),
        2 => (any::<bool>(), scalars(), vec(plain_scalars(), 1..3))
            .prop_map(|(negated, of, list)| Tree::In(negated, Box::new(of), list)),
        1 => (any::<bool>(), scalars(), patterns).prop_map(|(negated, of, p)| Tree::Like(negated, Box::new(of), p)),
        1 => ids().prop_map(Tree::HasTag),
        1 => ids().prop_map(Tree::HasService),
        1 => paths(),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|of| Tree::Not(Box::new(of))),
            vec(inner.clone(), 2..4).prop_map(Tree::All),
            vec(inner.clone(), 2..4).prop_map(Tree::Any),
            (
                vec((inner.clone(), inner), 1..3),
                proptest::option::of(any::<bool>().prop_map(|b| Box::new(Tree::Bool(b))))
            )
                .prop_map(|(branches, otherwise)| Tree::Case(branches, otherwise)),
        ]
    })
}

fn selections() -> impl Strategy<Value = Tree> {
    prop_oneof![
        values(),
        conditions(),
        (scalars(), vec((plain_scalars(), values()), 1..3)).prop_map(|(of, list)| Tree::CaseOf(Box::new(of), list)),
    ]
}

/// JSON as a device may write it.
fn documents() -> impl Strategy<Value = String> {
    let text = (texts(), any::<bool>()).prop_map(|(text, escaped)| {
        if escaped { text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect() } else { escaped_plainly(text) }
    });
    let leaf = prop_oneof![
        (-300_i64..300).prop_map(|n| format!("{}", n as f64 / 100.0)),
        (-3_i64..3).prop_map(|n| n.to_string()),
        (-3_i64..4).prop_map(|n| format!("{n}E0")),
        text.prop_map(|text| format!("\"{text}\"")),
        proptest::sample::select(vec!["true", "false", "null", "[]", "[ ]", "{}"]).prop_map(str::to_owned),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![vec(inner.clone(), 0..3).prop_map(|list| format!("[{}]", list.join(" , "))), objects_of(inner),]
    })
}

fn escaped_plainly(text: &str) -> String {
    let json = Json::from(text).to_string();
    json[1..json.len() - 1].to_owned()
}

fn objects_of(values: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let names = proptest::sample::select(vec!["a", "b", "c-d", "\\u0061", "x"]);
    vec((names, values), 0..5).prop_map(|members| {
        let members: Vec<_> = members.into_iter().map(|(name, value)| format!(" \"{name}\": {value}")).collect();
        format!("{{{}}}", members.join(","))
    })
}

fn tags() -> impl Strategy<Value = String> {
    vec((ids(), texts()), 0..3).prop_map(|tags| {
        let tag =
            |(key, value): (&str, &str)| format!(r#"{{"tag_key":"{key}","tag_value":"{}"}}"#, escaped_plainly(value));
        tags.into_iter().map(tag).collect::<Vec<_>>().join(",")
    })
}

/// One rule over one event: the evaluator over the event and over its text, and the plain one.
fn agree(event: &Event<'_>, condition: &Tree, selection: &Tree) -> Result<(), TestCaseError> {
    let (filter, select) = (condition.sql(), format!("{} AS x", selection.sql()));
    let limits = Limits { characters: usize::MAX, ..Limits::default() };
    let mut text = String::new();
    event.write(&mut text);
    let root: Json = serde_json::from_str(&text).expect("a notification is JSON");
    let compile = |select: &str, filter: &str| Query::compile(event.subject, select, Some(filter), limits);
    if let Ok(query) = compile("*", &filter) {
        let expected = condition.holds(&root);
        prop_assert_eq!(query.matches(event), expected, "{} over {}", filter, text);
        prop_assert_eq!(query.holds(View::Json(&text)), expected, "{} over the text {}", filter, text);
        if expected {
            for (path, wanted) in query.equalities() {
                let found = path.text(event);
                prop_assert_eq!(found.as_deref(), Some(&**wanted));
            }
        }
    }
    if let Ok(query) = compile(&select, "") {
        let expected = selection.value(&root);
        for view in [View::Event(event), View::Json(&text)] {
            let mut out = String::new();
            query.select.write(view, &mut out);
            let output: Json = serde_json::from_str(&out).expect("output is JSON");
            let is_same = match (&expected, plain(output.get("x"))) {
                (Plain::Number(n, places), Plain::Number(..)) => {
                    let wanted = *n as f64 / 10_f64.powi(*places as i32);
                    (output["x"].as_f64().expect("a number") - wanted).abs() < 1e-9
                }
                (expected, found) => *expected == found,
            };
            prop_assert!(is_same, "{select} over {text} gives {out}, not {expected:?}");
        }
    }
    Ok(())
}

fn header(tags: &str) -> Header<'_> {
    Header { tags, ..message("").header.expect("a header") }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn messages_are_seen_as_their_text_says(
        content in objects_of(documents()), tags in tags(), condition in conditions(), selection in selections(),
    ) {
        let content = Content::Json(&content);
        let body = Body::Message { topic: "ab", content };
        let subject = Subject::MESSAGE_REPORT;
        let event = Event { subject, body, header: Some(header(&tags)), ..message("") };
        agree(&event, &condition, &selection)?;
    }

    #[test]
    fn reports_are_seen_as_their_text_says(
        services in vec((ids(), objects_of(documents())), 0..4), tags in tags(), is_typed in any::<bool>(),
        condition in conditions(), selection in selections(),
    ) {
        let services: Vec<_> = services
            .iter()
            .map(|(service_id, properties)| Service { service_id, properties, event_time: AT })
            .collect();
        let mut text = String::new();
        Body::Services(&services).write(&mut text);
        let body = if is_typed { Body::Services(&services) } else { Body::Json(&text) };
        let event = Event { body, header: Some(header(&tags)), ..report() };
        agree(&event, &condition, &selection)?;
    }

    #[test]
    fn numbers_are_compared_exactly(a in any::<i64>(), b in any::<i64>(), zeros in 0_usize..4, power in 0_u32..30) {
        let digits = |n: i64| format!("{n}{}", "0".repeat(zeros));
        let (a_text, b_text) = (format!("{}e{power}", digits(a)), format!("{}{}", digits(b), "0".repeat(power as usize)));
        let of = |text| number::Number::of_json(text).expect("a number");
        prop_assert_eq!(of(&a_text).order(of(&b_text)), a.cmp(&b));
        let near = format!("{b_text}.000000000000000000000000000001");
        let expected = if a > b { Ordering::Greater } else { Ordering::Less };
        if b >= 0 {
            prop_assert_eq!(of(&a_text).order(of(&near)), expected);
        }
        if let Some(sum) = number::Number::Int(a).calculated(number::Arithmetic::Add, number::Number::Int(b)) {
            let mut text = String::new();
            sum.write(&mut text);
            prop_assert_eq!(text, (i128::from(a) + i128::from(b)).to_string());
        }
    }
}
