//! Device searches as SQL, for both stores: constant pieces, and every value bound.

use causeway_model::Spaces;
use causeway_model::search::{
    Condition, DeviceQuery, DynamicGroup, Filter, NumberField, NumberTest, TagTest, TextField, TextTest,
};

/// A value for a marker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    Text(String),
    Number(i64),
}

/// Where the stores differ.
pub(crate) struct Words {
    /// What a marker begins with; its number follows.
    pub(crate) marker: char,
    /// Wraps `SELECT no FROM …` so that a column compared with it leads into an index.
    pub(crate) among: (&'static str, &'static str),
    /// The column of the connection status.
    pub(crate) connection: &'static str,
    /// The condition for a frozen device, and for one that is not.
    pub(crate) frozen: (&'static str, &'static str),
    /// The condition for the instance. SQLite must not take it as a way in: its planner would think that an instance
    /// has few devices.
    pub(crate) instance: &'static str,
    /// The display name, compared by code points.
    pub(crate) name: &'static str,
    /// Whether a search by tag or group should name where to begin. PostgreSQL counts its rows and knows better.
    pub(crate) leads: bool,
}

/// Which rows of `device d` match.
pub(crate) struct Compiled {
    /// The tables, `device d` among them.
    pub(crate) from: &'static str,
    /// The conditions.
    pub(crate) clause: String,
    /// The column that the devices are sorted by.
    pub(crate) position: &'static str,
    /// What the markers stand for.
    pub(crate) values: Vec<Bound>,
}

impl Compiled {
    /// Binds one more value.
    pub(crate) fn bind(&mut self, words: &Words, value: Bound) -> String {
        self.values.push(value);
        format!("{}{}", words.marker, self.values.len())
    }
}

/// The first text behind all that begin with `start`; `None` when there is none.
fn behind(start: &str) -> Option<String> {
    let mut text = start.to_owned();
    while let Some(last) = text.pop() {
        let next = match last {
            '\u{d7ff}' => Some('\u{e000}'),
            char::MAX => None,
            c => char::from_u32(c as u32 + 1),
        };
        if let Some(next) = next {
            text.push(next);
            return Some(text);
        }
    }
    None
}

/// Compiles a query. The instance is the one instance of a store.
pub(crate) fn compile(query: &DeviceQuery, words: &Words) -> Compiled {
    let mut writer = Writer { words, dynamic: &query.dynamic, values: Vec::new() };
    let mut parts = vec![words.instance.to_owned()];
    if let Spaces::Only(apps) = &query.spaces {
        let ids: Vec<String> = apps.iter().map(|a| a.as_str().to_owned()).collect();
        parts.push(writer.owned_by("d.app", "app", &ids));
    }
    let (mut from, mut position) = ("device d", "d.no");
    match query.filter.0.as_slice() {
        [] => {}
        [all] => {
            let mut all = inlined(all, &query.dynamic);
            let lead = all.iter().position(|c| lead_of(c, &query.dynamic).is_some());
            if let Some(at) = lead.filter(|_| words.leads) {
                let lead = lead_of(&all.swap_remove(at), &query.dynamic).expect("it was found to be one");
                (from, position) = (lead.from, "s.device");
                parts.push("d.no = s.device".to_owned());
                parts.extend(lead.conditions.into_iter().map(|(sql, value)| {
                    let marker = writer.bind(Bound::Text(value));
                    sql.replace('@', &marker)
                }));
            }
            for condition in &all {
                // Without a lead, the tags are listed once instead of looking at those of every device.
                let sql = match condition {
                    Condition::Tag(test) if words.leads && from == "device d" => writer.tag(test, true),
                    condition => writer.condition(condition),
                };
                parts.push(sql);
            }
        }
        _ => {
            let sql = writer.filter(&query.filter);
            parts.push(sql);
        }
    }
    Compiled { from, clause: parts.join(" AND "), position, values: writer.values }
}

/// The conditions of one alternative; a dynamic group that must be met stands with its rule.
fn inlined(all: &[Condition], dynamic: &[DynamicGroup]) -> Vec<Condition> {
    let mut conditions = Vec::with_capacity(all.len());
    for condition in all {
        let group = match condition {
            Condition::Group { ids, within: true } if ids.len() == 1 => dynamic.iter().find(|g| g.id == ids[0]),
            _ => None,
        };
        match group.map(|g| (g, g.rule.0.as_slice())) {
            Some((group, [rule])) => {
                let app = TextTest::OneOf(vec![group.app_id.to_string()]);
                conditions.push(Condition::Text(TextField::AppId, app));
                conditions.extend(rule.iter().cloned());
            }
            _ => conditions.push(condition.clone()),
        }
    }
    conditions
}

/// A table that has the devices of a condition in their order.
struct Lead {
    from: &'static str,
    /// Conditions on `s` with `@` for the marker.
    conditions: Vec<(&'static str, String)>,
}

/// `CROSS JOIN` keeps SQLite from beginning at the devices.
const BY_TAG: &str = "device_tag s CROSS JOIN device d";
const BY_GROUP: &str = "group_member s CROSS JOIN device d";

fn lead_of(condition: &Condition, dynamic: &[DynamicGroup]) -> Option<Lead> {
    let exactly = |test: &TextTest| match test {
        TextTest::OneOf(words) if words.len() == 1 => Some(words[0].clone()),
        _ => None,
    };
    match condition {
        Condition::Tag(TagTest { key, value }) => {
            // A device has a key once; it may have a value several times.
            let mut conditions = vec![("s.key = @", exactly(key.as_ref()?)?)];
            if let Some(value) = value {
                conditions.push(("s.value = @", exactly(value)?));
            }
            Some(Lead { from: BY_TAG, conditions })
        }
        Condition::Group { ids, within: true } if ids.len() == 1 && dynamic.iter().all(|g| g.id != ids[0]) => {
            let group = "s.grp = (SELECT no FROM device_group WHERE instance = 1 AND id = @)";
            Some(Lead { from: BY_GROUP, conditions: vec![(group, ids[0].clone())] })
        }
        _ => None,
    }
}

struct Writer<'a> {
    words: &'a Words,
    dynamic: &'a [DynamicGroup],
    values: Vec<Bound>,
}

impl Writer<'_> {
    fn bind(&mut self, value: Bound) -> String {
        self.values.push(value);
        format!("{}{}", self.words.marker, self.values.len())
    }

    fn text(&mut self, text: &str) -> String {
        self.bind(Bound::Text(text.to_owned()))
    }

    /// `column = ?` or `column IN (?, …)`; never true for an empty list.
    fn one_of(&mut self, column: &str, words: &[String]) -> String {
        match words {
            [] => "1 = 0".to_owned(),
            [one] => format!("{column} = {}", self.text(one)),
            _ => {
                let markers: Vec<String> = words.iter().map(|w| self.text(w)).collect();
                format!("{column} IN ({})", markers.join(", "))
            }
        }
    }

    /// `column`, the number of a row of `table`, is that of one of these ids.
    fn owned_by(&mut self, column: &str, table: &str, ids: &[String]) -> String {
        let id = self.one_of("id", ids);
        let (before, after) = self.words.among;
        format!("{column} {before}SELECT no FROM {table} WHERE instance = 1 AND {id}{after}")
    }

    fn starts(&mut self, column: &str, start: &str) -> String {
        let from = self.text(start);
        match behind(start) {
            Some(behind) => {
                let to = self.text(&behind);
                format!("({column} >= {from} AND {column} < {to})")
            }
            None => format!("{column} >= {from}"),
        }
    }

    /// A test of a column. What is not there is nothing: negations hold for it.
    fn column(&mut self, column: &str, test: &TextTest) -> String {
        match test {
            TextTest::OneOf(words) => self.one_of(column, words),
            TextTest::NoneOf(words) => format!("({}) IS NOT TRUE", self.one_of(column, words)),
            TextTest::Starts(start) => self.starts(column, start),
        }
    }

    fn filter(&mut self, filter: &Filter) -> String {
        if filter.0.is_empty() {
            return "1 = 1".to_owned();
        }
        let alternatives: Vec<String> = filter
            .0
            .iter()
            .map(|all| {
                let all: Vec<String> = all.iter().map(|c| self.condition(c)).collect();
                format!("({})", all.join(" AND "))
            })
            .collect();
        format!("({})", alternatives.join(" OR "))
    }

    fn condition(&mut self, condition: &Condition) -> String {
        match condition {
            Condition::Text(field, test) => self.text_field(*field, test),
            Condition::Number(field, test) => self.number_field(*field, test),
            Condition::Tag(test) => self.tag(test, false),
            Condition::Group { ids, within } => self.group(ids, *within),
        }
    }

    fn text_field(&mut self, field: TextField, test: &TextTest) -> String {
        let column = match field {
            TextField::NodeId => "d.node_id",
            TextField::DeviceName => self.words.name,
            TextField::SwVersion => "d.sw_version",
            TextField::FwVersion => "d.fw_version",
            TextField::AppId
            | TextField::DeviceId
            | TextField::ProductId
            | TextField::GatewayId
            | TextField::Status
            | TextField::NodeType => {
                return self.derived(field, test);
            }
        };
        self.column(column, test)
    }

    /// Fields that are no plain column of the device.
    fn derived(&mut self, field: TextField, test: &TextTest) -> String {
        let (test, negated) = test.positive();
        // The language has no `like` for these fields.
        let words = match test {
            TextTest::OneOf(words) => words,
            TextTest::NoneOf(_) | TextTest::Starts(_) => Vec::new(),
        };
        let sql = match field {
            TextField::AppId => self.owned_by("d.app", "app", &words),
            TextField::DeviceId => format!("(d.instance = 1 AND {})", self.one_of("d.id", &words)),
            TextField::ProductId => self.owned_by("d.product", "product", &words),
            TextField::GatewayId => {
                let behind = self.owned_by("d.gateway", "device", &words);
                let itself = self.one_of("d.id", &words);
                format!("({behind} OR (d.gateway IS NULL AND d.instance = 1 AND {itself}))")
            }
            TextField::Status => {
                let each: Vec<String> = words
                    .iter()
                    .map(|word| match word.as_str() {
                        "FROZEN" => self.words.frozen.0.to_owned(),
                        word => {
                            let (connection, thawed) = (self.words.connection, self.words.frozen.1);
                            format!("({connection} = {} AND {thawed})", self.text(word))
                        }
                    })
                    .collect();
                any_of(&each)
            }
            _ => {
                let each: Vec<String> = words
                    .iter()
                    .map(|word| match word.as_str() {
                        "GATEWAY" => "d.gateway IS NULL".to_owned(),
                        "ENDPOINT" => "d.gateway IS NOT NULL".to_owned(),
                        _ => "1 = 0".to_owned(),
                    })
                    .collect();
                any_of(&each)
            }
        };
        if negated { format!("({sql}) IS NOT TRUE") } else { sql }
    }

    fn number_field(&mut self, field: NumberField, test: &NumberTest) -> String {
        let column = match field {
            NumberField::CreateTime => "d.created_at",
            NumberField::Marker => "d.no",
        };
        let (numbers, operator) = match test {
            NumberTest::OneOf(numbers) => (numbers.as_slice(), "IN"),
            NumberTest::NoneOf(numbers) => (numbers.as_slice(), "NOT IN"),
            NumberTest::Above(limit) => (std::slice::from_ref(limit), ">"),
            NumberTest::Below(limit) => (std::slice::from_ref(limit), "<"),
        };
        let markers: Vec<String> = numbers.iter().map(|n| self.bind(Bound::Number(*n))).collect();
        match operator {
            "IN" | "NOT IN" => format!("{column} {operator} ({})", markers.join(", ")),
            _ => format!("{column} {operator} {}", markers.concat()),
        }
    }

    fn tag(&mut self, test: &TagTest, listed: bool) -> String {
        let (key, value, negated) = match (&test.key, &test.value) {
            // Alone, `!=` asks for no such tag.
            (Some(key), None) => {
                let (key, negated) = key.positive();
                (Some(key), None, negated)
            }
            (None, Some(value)) => {
                let (value, negated) = value.positive();
                (None, Some(value), negated)
            }
            (key, value) => (key.clone(), value.clone(), false),
        };
        let mut sql = if listed && !negated {
            "d.no IN (SELECT t.device FROM device_tag t WHERE 1 = 1".to_owned()
        } else {
            "EXISTS (SELECT 1 FROM device_tag t WHERE t.device = d.no".to_owned()
        };
        for (column, test) in [("t.key", key), ("t.value", value)] {
            if let Some(test) = test {
                sql.push_str(" AND ");
                sql.push_str(&self.column(column, &test));
            }
        }
        sql.push(')');
        if negated { format!("NOT {sql}") } else { sql }
    }

    fn group(&mut self, ids: &[String], within: bool) -> String {
        let dynamic = self.dynamic;
        let mut each = Vec::new();
        let mut fixed = Vec::new();
        for id in ids {
            match dynamic.iter().find(|g| g.id == *id) {
                None => fixed.push(id.clone()),
                Some(group) => {
                    let app = self.owned_by("d.app", "app", &[group.app_id.to_string()]);
                    each.push(format!("({app} AND {})", self.filter(&group.rule)));
                }
            }
        }
        if !fixed.is_empty() {
            let groups = self.owned_by("m.grp", "device_group", &fixed);
            each.push(format!("EXISTS (SELECT 1 FROM group_member m WHERE m.device = d.no AND {groups})"));
        }
        let sql = any_of(&each);
        if within { sql } else { format!("({sql}) IS NOT TRUE") }
    }
}

fn any_of(each: &[String]) -> String {
    match each {
        [] => "1 = 0".to_owned(),
        [one] => one.clone(),
        _ => format!("({})", each.join(" OR ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_behind_a_prefix() {
        for (start, expected) in [
            ("abcd", Some("abce")),
            ("abc\u{7f}", Some("abc\u{80}")),
            ("ab\u{d7ff}", Some("ab\u{e000}")),
            ("a\u{10ffff}", Some("b")),
            ("\u{10ffff}", None),
        ] {
            assert_eq!(behind(start).as_deref(), expected, "{start:?}");
            assert!(expected.is_none_or(|e| format!("{start}\u{10ffff}").as_str() < e && start < e));
        }
    }
}
