//! The grammar, one method a rule.

use causeway_model::search::{Condition, Filter, NumberField, NumberTest, TagTest, TextField, TextTest};
use causeway_model::status::DeviceStatus;
use causeway_model::{RecordNo, Timestamp};
use sqlparser::tokenizer::Token;

use super::field::{CONDITIONS, Field, Output};
use super::{DEFAULT_ROWS, MAX_OFFSET, MAX_ROWS, Search, Select};
use crate::Refusal;
use crate::tokens::Tokens;

type Read<T> = Result<T, Refusal>;

/// Shortest text that `like` compares.
const SHORTEST_PREFIX: usize = 4;

/// A condition as it is written; tags are joined afterwards.
enum Written {
    Whole(Condition),
    Key(TextTest),
    Value(TextTest),
}

/// What is asked of a field, before its values are read.
#[derive(Clone, Copy)]
enum Operator {
    OneOf,
    NoneOf,
    Above,
    Below,
}

pub(super) struct Grammar<'a> {
    tokens: Tokens<'a>,
    conditions_left: usize,
    most_conditions: usize,
}

impl<'a> Grammar<'a> {
    pub(super) fn new(tokens: Tokens<'a>, conditions: usize) -> Self {
        Self { tokens, conditions_left: conditions, most_conditions: conditions }
    }

    /// `select … from device [where …] [order by …] [limit …]`
    pub(super) fn search(mut self) -> Read<Search> {
        self.keyword("select")?;
        let select = self.select()?;
        self.keyword("from")?;
        if !self.tokens.take_if_name("device") {
            return self.tokens.refuse("`device`");
        }
        let filter = if self.tokens.take_word("where") { self.alternatives()? } else { Filter::default() };
        let ascending = self.order()?;
        let (offset, limit) = self.limit()?;
        self.end("the end, or `where`, `order by` or `limit` in this order,")?;
        Ok(Search { select, filter, ascending, offset, limit })
    }

    /// The where-part alone.
    pub(super) fn rule(mut self) -> Read<Filter> {
        let start = self.tokens.place();
        self.tokens.take_word("where");
        let filter = self.alternatives()?;
        self.end("`and`, `or` or the end")?;
        if filter.groups().next().is_some() {
            return Err(Refusal { at: start, reason: "a rule may not ask for `group_id`".to_owned() });
        }
        Ok(filter)
    }

    fn keyword(&mut self, word: &str) -> Read<()> {
        if self.tokens.take_word(word) { Ok(()) } else { self.tokens.refuse(&format!("`{word}`")) }
    }

    fn end(&mut self, wanted: &str) -> Read<()> {
        if self.tokens.peek().is_none() { Ok(()) } else { self.tokens.refuse(wanted) }
    }

    fn select(&mut self) -> Read<Select> {
        if self.tokens.take_if(&Token::Mul) {
            return Ok(Select::All);
        }
        if self.tokens.take_word("count") {
            if !self.tokens.take_if(&Token::LParen) {
                return self.tokens.refuse("`(*)` or `(1)`");
            }
            if !self.tokens.take_if(&Token::Mul) && !self.tokens.take_if(&Token::Number("1".to_owned(), false)) {
                return self.tokens.refuse("`*` or `1`");
            }
            if !self.tokens.take_if(&Token::RParen) {
                return self.tokens.refuse("`)`");
            }
            return Ok(Select::Count);
        }
        let mut fields = vec![self.output()?];
        while self.tokens.take_if(&Token::Comma) {
            fields.push(self.output()?);
        }
        Ok(Select::Fields(fields))
    }

    fn output(&mut self) -> Read<Output> {
        let found = Output::ALL.iter().copied().find(|o| self.tokens.take_if_name(o.as_str()));
        match found {
            Some(output) => Ok(output),
            None => {
                let names: Vec<_> = Output::ALL.iter().map(|o| o.as_str()).collect();
                self.tokens.refuse(&format!("`*`, `count(*)` or one of the fields {}", names.join(", ")))
            }
        }
    }

    fn order(&mut self) -> Read<bool> {
        if !self.tokens.take_word("order") {
            return Ok(false);
        }
        self.keyword("by")?;
        if !self.tokens.take_if_name("marker") {
            return self.tokens.refuse("`marker`");
        }
        // Without a word, SQL sorts upwards.
        Ok(self.tokens.take_word("asc") || !self.tokens.take_word("desc"))
    }

    fn limit(&mut self) -> Read<(u32, u32)> {
        if !self.tokens.take_word("limit") {
            return Ok((0, DEFAULT_ROWS));
        }
        let at = self.tokens.place();
        let first = self.number()?;
        let (offset, rows, rows_at) = if self.tokens.take_if(&Token::Comma) {
            let rows_at = self.tokens.place();
            (first, self.number()?, rows_at)
        } else {
            (0, first, at)
        };
        if offset > MAX_OFFSET {
            return Err(Refusal { at, reason: format!("at most {MAX_OFFSET} rows can be skipped; use `marker`") });
        }
        if rows == 0 || rows > MAX_ROWS {
            return Err(Refusal { at: rows_at, reason: format!("1 to {MAX_ROWS} rows can be asked for") });
        }
        Ok((offset, rows))
    }

    fn number(&mut self) -> Read<u32> {
        let number = match self.tokens.peek() {
            Some(Token::Number(digits, false)) => digits.parse().ok(),
            _ => None,
        };
        match number {
            Some(number) => {
                self.tokens.take();
                Ok(number)
            }
            None => self.tokens.refuse("a whole number"),
        }
    }

    fn alternatives(&mut self) -> Read<Filter> {
        let mut alternatives = vec![self.all_of()?];
        while self.tokens.take_word("or") {
            alternatives.push(self.all_of()?);
        }
        Ok(Filter(alternatives))
    }

    fn all_of(&mut self) -> Read<Vec<Condition>> {
        let mut written = vec![self.condition()?];
        while self.tokens.take_word("and") {
            written.push(self.condition()?);
        }
        Ok(with_tags_joined(written))
    }

    fn condition(&mut self) -> Read<Written> {
        let at = self.tokens.place();
        if self.conditions_left == 0 {
            return Err(Refusal { at, reason: format!("there are more than {} conditions", self.most_conditions) });
        }
        self.conditions_left -= 1;
        if self.tokens.peek() == Some(&Token::LParen) {
            return Err(Refusal { at, reason: "conditions cannot be nested in parentheses".to_owned() });
        }
        let Some((name, field)) = CONDITIONS.iter().copied().find(|(name, _)| self.tokens.take_if_name(name)) else {
            let names: Vec<_> = CONDITIONS.iter().map(|(name, _)| *name).collect();
            return self.tokens.refuse(&format!("one of the fields {}", names.join(", ")));
        };
        let at = self.tokens.place();
        let refuse = |operator: &str, why: &str| {
            Err(Refusal { at, reason: format!("`{operator}` cannot be used with `{name}`{why}") })
        };
        let negated = self.tokens.take_word("not");
        if self.tokens.take_word("in") {
            if !field.takes_in() {
                return refuse(if negated { "not in" } else { "in" }, "");
            }
            let values = self.list(field)?;
            return self.compared(field, if negated { Operator::NoneOf } else { Operator::OneOf }, values);
        }
        if negated {
            return self.tokens.refuse("`in`");
        }
        if self.tokens.take_word("like") {
            if !field.takes_like() {
                return refuse("like", ", only with device_name, node_id, tag_key and tag_value");
            }
            return self.prefix(field);
        }
        let operator = match self.tokens.peek() {
            Some(Token::Eq) => Operator::OneOf,
            Some(Token::Neq) => Operator::NoneOf,
            Some(Token::Gt) if field.is_ordered() => Operator::Above,
            Some(Token::Lt) if field.is_ordered() => Operator::Below,
            Some(token @ (Token::Gt | Token::Lt)) => {
                let operator = token.to_string();
                return refuse(&operator, ", only with create_time and marker");
            }
            _ => return self.tokens.refuse("one of the operators =, !=, >, <, like, in and not in"),
        };
        self.tokens.take();
        let value = self.value(field)?;
        self.compared(field, operator, vec![value])
    }

    /// `('…', …)`
    fn list(&mut self, field: Field) -> Read<Vec<Value>> {
        if !self.tokens.take_if(&Token::LParen) {
            return self.tokens.refuse("`(`");
        }
        let mut values = vec![self.value(field)?];
        while self.tokens.take_if(&Token::Comma) {
            values.push(self.value(field)?);
        }
        if !self.tokens.take_if(&Token::RParen) {
            return self.tokens.refuse("`,` or `)`");
        }
        Ok(values)
    }

    /// A value in single quotes that the field can have.
    fn value(&mut self, field: Field) -> Read<Value> {
        let at = self.tokens.place();
        let text = match self.tokens.peek() {
            Some(Token::SingleQuotedString(text)) => text.clone(),
            _ => return self.tokens.refuse("a value in single quotes"),
        };
        self.tokens.take();
        if text.is_empty() {
            return Err(Refusal { at, reason: "a value may not be empty".to_owned() });
        }
        let refuse = |reason: &str| Err(Refusal { at, reason: reason.to_owned() });
        match field {
            Field::Number(NumberField::CreateTime) => match Timestamp::parse(&text) {
                Some(time) => Ok(Value::Number(time.0)),
                None => refuse("a time must look like '2015-06-06T12:10:10.000Z'"),
            },
            Field::Number(NumberField::Marker) => match RecordNo::parse_marker(&text) {
                Ok(no) => Ok(Value::Number(no.0)),
                Err(_) => refuse("a marker is 24 hexadecimal digits"),
            },
            Field::Text(TextField::Status) if DeviceStatus::parse(&text).is_none() => {
                refuse("a status is one of ONLINE, OFFLINE, ABNORMAL, INACTIVE and FROZEN")
            }
            Field::Text(TextField::NodeType) if !matches!(text.as_str(), "GATEWAY" | "ENDPOINT") => {
                refuse("a node type is GATEWAY or ENDPOINT")
            }
            _ => Ok(Value::Text(text)),
        }
    }

    /// `'text%'`
    fn prefix(&mut self, field: Field) -> Read<Written> {
        let at = self.tokens.place();
        let Value::Text(pattern) = self.value(field)? else {
            return Err(Refusal { at, reason: "a text is expected".to_owned() });
        };
        let allowed = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
        match pattern.strip_suffix('%') {
            Some(start) if start.chars().count() >= SHORTEST_PREFIX && start.chars().all(allowed) => {
                Ok(text_condition(field, TextTest::Starts(start.to_owned())))
            }
            _ => Err(Refusal {
                at,
                reason: format!(
                    "`like` compares the start: at least {SHORTEST_PREFIX} letters, digits, '_' or '-', then '%'"
                ),
            }),
        }
    }

    fn compared(&mut self, field: Field, operator: Operator, values: Vec<Value>) -> Read<Written> {
        if let Field::Number(number) = field {
            let numbers: Vec<i64> =
                values.iter().map(|v| if let Value::Number(n) = v { *n } else { i64::MAX }).collect();
            let test = match operator {
                Operator::OneOf => NumberTest::OneOf(numbers),
                Operator::NoneOf => NumberTest::NoneOf(numbers),
                Operator::Above => NumberTest::Above(numbers[0]),
                Operator::Below => NumberTest::Below(numbers[0]),
            };
            return Ok(Written::Whole(Condition::Number(number, test)));
        }
        let texts = values.into_iter().filter_map(|v| if let Value::Text(t) = v { Some(t) } else { None }).collect();
        let test = if matches!(operator, Operator::NoneOf) { TextTest::NoneOf(texts) } else { TextTest::OneOf(texts) };
        Ok(text_condition(field, test))
    }
}

/// A value, read as the field wants it.
enum Value {
    Text(String),
    Number(i64),
}

fn text_condition(field: Field, test: TextTest) -> Written {
    match (field, test) {
        (Field::TagKey, test) => Written::Key(test),
        (Field::TagValue, test) => Written::Value(test),
        (Field::Group, TextTest::NoneOf(ids)) => Written::Whole(Condition::Group { ids, within: false }),
        (Field::Group, TextTest::OneOf(ids)) => Written::Whole(Condition::Group { ids, within: true }),
        (Field::Group, TextTest::Starts(id)) => Written::Whole(Condition::Group { ids: vec![id], within: true }),
        (Field::Text(field), test) => Written::Whole(Condition::Text(field, test)),
        (Field::Number(_), _) => unreachable!("numbers are read as numbers"),
    }
}

/// A key and a value right beside each other speak of one tag.
fn with_tags_joined(written: Vec<Written>) -> Vec<Condition> {
    let mut joined = Vec::with_capacity(written.len());
    let mut rest = written.into_iter().peekable();
    while let Some(one) = rest.next() {
        joined.push(match one {
            Written::Whole(condition) => condition,
            Written::Key(key) => {
                let value = match rest.next_if(|next| matches!(next, Written::Value(_))) {
                    Some(Written::Value(value)) => Some(value),
                    _ => None,
                };
                Condition::Tag(TagTest { key: Some(key), value })
            }
            Written::Value(value) => {
                let key = match rest.next_if(|next| matches!(next, Written::Key(_))) {
                    Some(Written::Key(key)) => Some(key),
                    _ => None,
                };
                Condition::Tag(TagTest { key, value: Some(value) })
            }
        });
    }
    joined
}

impl Tokens<'_> {
    /// Takes the next token when it is this name, in lower case and without quotes.
    fn take_if_name(&mut self, wanted: &str) -> bool {
        let is_it = matches!(self.peek(), Some(Token::Word(w)) if w.quote_style.is_none() && w.value == wanted);
        if is_it {
            self.take();
        }
        is_it
    }
}
