//! The grammar, one method a rule. Kinds of values are checked as far as they are known.

use std::collections::HashSet;

use causeway_model::forwarding::Subject;
use serde_json::value::RawValue;
use sqlparser::tokenizer::{Token, Word};

use super::expr::{Call, Comparison, Expr, Function, Kind, Node};
use super::json::Step;
use super::number::{Arithmetic, Number};
use super::path::Path;
use super::select::Item;
use super::text::Pattern;
use crate::Refusal;
use crate::tokens::{Span, Tokens, is_word};

pub(super) type Read<T> = Result<T, Refusal>;

/// Words that are no names unless they stand in double quotes or behind a point.
const RESERVED: &[&str] = &[
    "select", "from", "where", "as", "and", "or", "not", "is", "null", "like", "escape", "in", "between", "case",
    "when", "then", "else", "end", "true", "false",
];

/// The members of a notification, which `*` writes.
const MEMBERS: &[&str] = &["resource", "event", "event_time", "event_time_ms", "request_id", "notify_data"];

/// Most characters of a name behind `AS` (002 §5.4, SELECT).
const ALIAS: usize = 32;
/// Most characters of a pattern: what a pattern costs grows with both lengths.
const PATTERN: usize = 256;

pub(super) struct Grammar<'a> {
    tokens: Tokens<'a>,
    subject: Subject,
    depth_left: usize,
    depth: usize,
}

impl<'a> Grammar<'a> {
    pub(super) fn new(tokens: Tokens<'a>, subject: Subject, depth: usize) -> Self {
        Self { tokens, subject, depth_left: depth, depth }
    }

    /// Whether nothing is written.
    pub(super) fn is_empty(&self) -> bool {
        self.tokens.peek().is_none()
    }

    /// `[SELECT] item, …`: the items, and where they stand.
    pub(super) fn select(&mut self) -> Read<(Vec<Item>, Span)> {
        self.tokens.take_word("select");
        let start = self.tokens.span();
        let mut items: Vec<Item> = Vec::new();
        let mut places = Vec::new();
        loop {
            places.push(self.tokens.place());
            items.push(self.item()?);
            if !self.tokens.take_if(&Token::Comma) {
                break;
            }
        }
        let has_all = items.iter().any(|item| item.key.is_none());
        let mut keys = HashSet::new();
        for (item, at) in items.iter().zip(places) {
            let is_taken = has_all && item.key.as_deref().is_some_and(|key| MEMBERS.contains(&key));
            if !keys.insert(&item.key) || is_taken {
                let reason = match &item.key {
                    None => "`*` can stand once".to_owned(),
                    Some(key) => format!("there is a value named `{key}` already; give this one another name with AS"),
                };
                return Err(Refusal { at, reason });
            }
        }
        Ok((items, start.until(self.tokens.span_before())))
    }

    /// `WHERE`, when it is next: its span.
    pub(super) fn where_word(&mut self) -> Option<Span> {
        let span = self.tokens.span();
        self.tokens.take_word("where").then_some(span)
    }

    /// The condition behind `WHERE`, behind which nothing may follow.
    pub(super) fn condition(&mut self) -> Read<Expr> {
        let expr = self.expression()?;
        self.end("an operator, AND, OR or the end")?;
        wanted(&expr, Kind::Bool)?;
        Ok(expr)
    }

    /// Nothing may follow.
    pub(super) fn end(&self, wanted: &str) -> Read<()> {
        match self.tokens.peek() {
            None => Ok(()),
            Some(Token::DoubleEq) => self.tokens.refuse(&format!("{wanted} (equality is written `=`)")),
            Some(Token::StringConcat) => self.tokens.refuse(&format!("{wanted} (texts cannot be joined)")),
            Some(_) => self.tokens.refuse(wanted),
        }
    }

    fn item(&mut self) -> Read<Item> {
        if self.tokens.take_if(&Token::Mul) {
            return Ok(Item { key: None, expr: None });
        }
        let expr = self.expression()?;
        if self.tokens.take_word("as") {
            let alias = self.alias()?;
            return Ok(Item { key: Some(alias), expr: Some(expr) });
        }
        let key = match &expr.node {
            Node::Path(path) => path.to_string(),
            Node::Call(_) => expr.span.of(self.tokens.text()).to_owned(),
            Node::Bool(_) | Node::Int(_) | Node::Number(_) | Node::Text(_) => {
                return self.tokens.refuse("AS and a name for the constant");
            }
            _ => return self.tokens.refuse("AS and a name for the expression"),
        };
        Ok(Item { key: Some(key), expr: Some(expr) })
    }

    fn alias(&mut self) -> Read<String> {
        let at = self.tokens.place();
        let Some(alias) = self.tokens.peek().and_then(name) else {
            return self.tokens.refuse("a name, in double quotes when it holds more than letters, digits and `_`,");
        };
        let alias = alias.to_owned();
        if alias.is_empty() || alias.chars().count() > ALIAS {
            return Err(Refusal { at, reason: format!("a name has 1 to {ALIAS} characters") });
        }
        self.tokens.take();
        Ok(alias)
    }

    /// Reads what is nested, as deep as is allowed.
    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Read<T>) -> Read<T> {
        let Some(left) = self.depth_left.checked_sub(1) else {
            let reason = format!("expressions are nested deeper than {}", self.depth);
            return Err(Refusal { at: self.tokens.place(), reason });
        };
        self.depth_left = left;
        let read = read(self);
        self.depth_left = left + 1;
        read
    }

    fn expression(&mut self) -> Read<Expr> {
        self.joined("or", Self::all_of, Node::Any)
    }

    fn all_of(&mut self) -> Read<Expr> {
        self.joined("and", Self::negated, Node::All)
    }

    fn joined(
        &mut self,
        word: &str,
        next: impl Fn(&mut Self) -> Read<Expr>,
        node: impl Fn(Vec<Expr>) -> Node,
    ) -> Read<Expr> {
        let first = next(self)?;
        if !self.tokens.is_word(word) {
            return Ok(first);
        }
        wanted(&first, Kind::Bool)?;
        let start = first.span;
        let mut list = vec![first];
        while self.tokens.take_word(word) {
            let one = next(self)?;
            wanted(&one, Kind::Bool)?;
            list.push(one);
        }
        Ok(Expr { node: node(list), span: start.until(self.tokens.span_before()) })
    }

    fn negated(&mut self) -> Read<Expr> {
        let start = self.tokens.span();
        if !self.tokens.take_word("not") {
            return self.comparison();
        }
        let of = self.deeper(Self::negated)?;
        wanted(&of, Kind::Bool)?;
        let span = start.until(of.span);
        Ok(Expr { node: Node::Not(Box::new(of)), span })
    }

    fn comparison(&mut self) -> Read<Expr> {
        let left = self.sum()?;
        let start = left.span;
        let how = match self.tokens.peek() {
            Some(Token::Eq) => Comparison::Equal,
            Some(Token::Neq) => Comparison::NotEqual,
            Some(Token::Lt) => Comparison::Less,
            Some(Token::LtEq) => Comparison::LessOrEqual,
            Some(Token::Gt) => Comparison::Greater,
            Some(Token::GtEq) => Comparison::GreaterOrEqual,
            _ => return self.test(left),
        };
        let operator = self.tokens.span();
        self.tokens.take();
        let mut sides = [left, self.sum()?];
        comparable(&mut sides)?;
        let is_ordered = !matches!(how, Comparison::Equal | Comparison::NotEqual);
        if is_ordered && sides.iter().any(|side| side.kind() == Kind::Bool) {
            return Err(Refusal { at: operator.place(), reason: "conditions have no order".to_owned() });
        }
        let span = start.until(self.tokens.span_before());
        Ok(Expr { node: Node::Compare(how, Box::new(sides)), span })
    }

    /// `IS [NOT] NULL`, `[NOT] IN`, `[NOT] LIKE`, `[NOT] BETWEEN`, or nothing.
    fn test(&mut self, of: Expr) -> Read<Expr> {
        let start = of.span;
        let node = if self.tokens.take_word("is") {
            let negated = self.tokens.take_word("not");
            if !self.tokens.take_word("null") {
                return self.tokens.refuse(if negated { "NULL" } else { "NULL or NOT NULL" });
            }
            Node::IsNull { negated, of: Box::new(of) }
        } else {
            let negated = self.tokens.take_word("not");
            if self.tokens.take_word("in") {
                self.one_of(of, negated)?
            } else if self.tokens.take_word("like") {
                self.like(of, negated)?
            } else if self.tokens.take_word("between") {
                self.between(of, negated)?
            } else if negated {
                return self.tokens.refuse("IN, LIKE or BETWEEN");
            } else {
                return Ok(of);
            }
        };
        Ok(Expr { node, span: start.until(self.tokens.span_before()) })
    }

    fn one_of(&mut self, mut of: Expr, negated: bool) -> Read<Node> {
        self.token(&Token::LParen, "`(`")?;
        let mut list = Vec::new();
        loop {
            let mut sides = [of, self.sum()?];
            comparable(&mut sides)?;
            let [left, one] = sides;
            of = left;
            list.push(one);
            if !self.tokens.take_if(&Token::Comma) {
                break;
            }
        }
        self.token(&Token::RParen, "`,` or `)`")?;
        list.iter().try_for_each(|one| never_equal(&of, one))?;
        Ok(Node::In { negated, of: Box::new(of), list })
    }

    fn like(&mut self, mut of: Expr, negated: bool) -> Read<Node> {
        as_text(&mut of);
        wanted(&of, Kind::Text)?;
        let at = self.tokens.place();
        let text = self.text("a pattern in single quotes")?;
        if text.chars().count() > PATTERN {
            return Err(Refusal { at, reason: format!("a pattern has at most {PATTERN} characters") });
        }
        let escape = if self.tokens.take_word("escape") {
            let at = self.tokens.place();
            let escape = self.text("one character in single quotes")?;
            let mut chars = escape.chars();
            match (chars.next(), chars.next()) {
                (Some(c), None) => Some(c),
                _ => return Err(Refusal { at, reason: "behind ESCAPE stands one character".to_owned() }),
            }
        } else {
            None
        };
        let pattern = Pattern::read(&text, escape).map_err(|reason| Refusal { at, reason: reason.to_owned() })?;
        Ok(Node::Like { negated, of: Box::new(of), pattern })
    }

    fn between(&mut self, of: Expr, negated: bool) -> Read<Node> {
        let mut sides = [of, self.sum()?];
        comparable(&mut sides)?;
        if !self.tokens.take_word("and") {
            return self.tokens.refuse("AND");
        }
        let [of, low] = sides;
        let mut sides = [of, self.sum()?];
        comparable(&mut sides)?;
        let [of, high] = sides;
        never_equal(&of, &low)?;
        let parts = Box::new([of, low, high]);
        if let Some(part) = parts.iter().find(|part| part.kind() == Kind::Bool) {
            return Err(Refusal { at: part.span.place(), reason: "conditions have no order".to_owned() });
        }
        Ok(Node::Between { negated, parts })
    }

    fn sum(&mut self) -> Read<Expr> {
        self.chain(Self::product, |token| match token {
            Token::Plus => Some(Arithmetic::Add),
            Token::Minus => Some(Arithmetic::Subtract),
            _ => None,
        })
    }

    fn product(&mut self) -> Read<Expr> {
        self.chain(Self::signed, |token| match token {
            Token::Mul => Some(Arithmetic::Multiply),
            Token::Div => Some(Arithmetic::Divide),
            Token::Mod => Some(Arithmetic::Remainder),
            _ => None,
        })
    }

    fn chain(
        &mut self,
        next: impl Fn(&mut Self) -> Read<Expr>,
        operator: impl Fn(&Token) -> Option<Arithmetic>,
    ) -> Read<Expr> {
        let first = next(self)?;
        let mut rest = Vec::new();
        while let Some(operator) = self.tokens.peek().and_then(&operator) {
            wanted(&first, Kind::Number)?;
            self.tokens.take();
            let one = next(self)?;
            wanted(&one, Kind::Number)?;
            rest.push((operator, one));
        }
        if rest.is_empty() {
            return Ok(first);
        }
        let span = first.span.until(self.tokens.span_before());
        Ok(Expr { node: Node::Chain(Box::new(first), rest), span })
    }

    fn signed(&mut self) -> Read<Expr> {
        let start = self.tokens.span();
        if self.tokens.take_if(&Token::Plus) {
            let of = self.deeper(Self::signed)?;
            wanted(&of, Kind::Number)?;
            return Ok(Expr { span: start.until(of.span), ..of });
        }
        if !self.tokens.take_if(&Token::Minus) {
            return self.primary();
        }
        let of = self.deeper(Self::signed)?;
        wanted(&of, Kind::Number)?;
        let span = start.until(of.span);
        let node = match of.node {
            Node::Int(n) => Node::Int(-n),
            Node::Number(text) => match text.strip_prefix('-') {
                Some(positive) => Node::Number(positive.into()),
                None => Node::Number(format!("-{text}").into()),
            },
            node => Node::Negative(Box::new(Expr { node, span: of.span })),
        };
        Ok(Expr { node, span })
    }

    fn primary(&mut self) -> Read<Expr> {
        const WANTED: &str = "a path, constant or function";
        let start = self.tokens.span();
        let node = match self.tokens.peek() {
            Some(Token::LParen) => {
                self.tokens.take();
                let inside = self.deeper(Self::expression)?;
                self.token(&Token::RParen, "an operator or `)`")?;
                inside.node
            }
            Some(Token::SingleQuotedString(_)) => Node::Text(self.text(WANTED)?.into()),
            Some(Token::Number(digits, false)) => {
                let node = constant(digits);
                let Some(node) = node else {
                    let reason = "a number is written like 12, 12.5 or 1e3".to_owned();
                    return Err(Refusal { at: start.place(), reason });
                };
                self.tokens.take();
                node
            }
            Some(Token::Word(word)) => {
                let is_call = self.tokens.peek_second() == Some(&Token::LParen);
                match reserved(word) {
                    Some("true") => {
                        self.tokens.take();
                        Node::Bool(true)
                    }
                    Some("false") => {
                        self.tokens.take();
                        Node::Bool(false)
                    }
                    Some("case") => self.deeper(Self::case)?,
                    Some("null") => {
                        return self.tokens.refuse(&format!("{WANTED} (nothing equals NULL; there is IS NULL)"));
                    }
                    Some(_) => return self.tokens.refuse(WANTED),
                    None if is_call => self.call()?,
                    None => self.path()?,
                }
            }
            _ => return self.tokens.refuse(WANTED),
        };
        Ok(Expr { node, span: start.until(self.tokens.span_before()) })
    }

    /// `CASE [of] WHEN … THEN … [ELSE …] END`
    fn case(&mut self) -> Read<Node> {
        self.tokens.take();
        let mut of = if self.tokens.is_word("when") { None } else { Some(self.expression()?) };
        let mut branches = Vec::new();
        while self.tokens.take_word("when") {
            let when = self.expression()?;
            let when = match of.take() {
                None => {
                    wanted(&when, Kind::Bool)?;
                    when
                }
                Some(one) => {
                    let mut sides = [one, when];
                    comparable(&mut sides)?;
                    let [one, when] = sides;
                    of = Some(one);
                    when
                }
            };
            self.word("then", "an operator or THEN")?;
            branches.push((when, self.expression()?));
        }
        if branches.is_empty() {
            return self.tokens.refuse("an operator or WHEN");
        }
        let otherwise = if self.tokens.take_word("else") { Some(Box::new(self.expression()?)) } else { None };
        self.word("end", if otherwise.is_some() { "an operator or END" } else { "an operator, WHEN, ELSE or END" })?;
        Ok(Node::Case { of: of.map(Box::new), branches, otherwise })
    }

    fn call(&mut self) -> Read<Node> {
        let at = self.tokens.place();
        let found = Function::ALL.iter().find(|(name, _)| self.tokens.take_word(name));
        let Some((name, function)) = found.copied() else {
            let names: Vec<_> = Function::ALL.iter().map(|(name, _)| *name).collect();
            return self.tokens.refuse(&format!("one of the functions {}", names.join(", ")));
        };
        if function.is_of_reports() && self.subject != Subject::PROPERTY_REPORT {
            let reason = format!("`{name}` is for reports of properties only (device.property:report)");
            return Err(Refusal { at, reason });
        }
        self.token(&Token::LParen, "`(`")?;
        let key = self.text("a text in single quotes")?.into();
        let property = if function.takes_property() {
            self.token(&Token::Comma, "`,` and the name of a property")?;
            self.text("the name of a property in single quotes")?.into()
        } else {
            "".into()
        };
        self.token(&Token::RParen, "`)`")?;
        Ok(Node::Call(Call { function, key, property, as_text: false }))
    }

    /// `name[.name|[index]]…`
    fn path(&mut self) -> Read<Node> {
        let start = self.tokens.place();
        let first = self.name()?;
        if first.contains('.') {
            // No notification has such a member.
            let reason = "each name has its own double quotes: a.\"b-c\", not \"a.b-c\"".to_owned();
            return Err(Refusal { at: start, reason });
        }
        let mut steps = vec![Step::Name(first.into())];
        loop {
            if self.tokens.take_if(&Token::Period) {
                steps.push(Step::Name(self.name()?.into()));
            } else if self.tokens.take_if(&Token::LBracket) {
                let index = match self.tokens.peek() {
                    Some(Token::Number(digits, false)) => digits.parse().ok(),
                    _ => None,
                };
                let Some(index) = index else { return self.tokens.refuse("the index of an element, from 0,") };
                self.tokens.take();
                steps.push(Step::Index(index));
                self.token(&Token::RBracket, "`]`")?;
            } else if matches!(self.tokens.peek(), Some(Token::Number(digits, _)) if digits.starts_with('.')) {
                let reason = "a name that begins with a digit stands in double quotes".to_owned();
                return Err(Refusal { at: self.tokens.place() + 1, reason });
            } else {
                return Ok(Node::Path(Path::of(steps)));
            }
        }
    }

    fn name(&mut self) -> Read<String> {
        let Some(name) = self.tokens.peek().and_then(name) else {
            return self.tokens.refuse("a name, in double quotes when it holds more than letters, digits and `_`,");
        };
        let name = name.to_owned();
        self.tokens.take();
        Ok(name)
    }

    /// The text of a constant.
    fn text(&mut self, wanted: &str) -> Read<String> {
        let Some(Token::SingleQuotedString(text)) = self.tokens.peek() else { return self.tokens.refuse(wanted) };
        let text = text.clone();
        self.tokens.take();
        Ok(text)
    }

    fn token(&mut self, token: &Token, wanted: &str) -> Read<()> {
        if self.tokens.take_if(token) { Ok(()) } else { self.end(wanted).and_then(|()| self.tokens.refuse(wanted)) }
    }

    fn word(&mut self, word: &str, wanted: &str) -> Read<()> {
        if self.tokens.take_word(word) { Ok(()) } else { self.end(wanted).and_then(|()| self.tokens.refuse(wanted)) }
    }
}

/// A name, with or without double quotes.
fn name(token: &Token) -> Option<&str> {
    match token {
        Token::Word(Word { value, quote_style: None | Some('"'), .. }) => Some(value),
        _ => None,
    }
}

/// The reserved word that a word is.
fn reserved(word: &Word) -> Option<&'static str> {
    let token = Token::Word(word.clone());
    RESERVED.iter().copied().find(|reserved| is_word(&token, reserved))
}

/// A number as JSON has it.
fn constant(digits: &str) -> Option<Node> {
    serde_json::from_str::<&RawValue>(digits).ok()?;
    match Number::of_json(digits)? {
        Number::Int(n) => Some(Node::Int(n)),
        _ => Some(Node::Number(digits.into())),
    }
}

/// Refuses an expression that can never be of a kind.
fn wanted(expr: &Expr, kind: Kind) -> Read<()> {
    let is = expr.kind();
    if is == kind || is == Kind::Unknown {
        return Ok(());
    }
    let reason = format!("{} is expected, but this is {}", kind.as_str(), is.as_str());
    Err(Refusal { at: expr.span.place(), reason })
}

/// Refuses a comparison that can never hold. A property that is compared with a text is compared as text, which is what
/// the guide says that its function returns.
fn comparable(sides: &mut [Expr; 2]) -> Read<()> {
    let kinds = [sides[0].kind(), sides[1].kind()];
    for (side, kind) in sides.iter().zip(kinds) {
        if kind == Kind::Json {
            let reason = "an object or array cannot be compared".to_owned();
            return Err(Refusal { at: side.span.place(), reason });
        }
    }
    match kinds {
        [Kind::Text, Kind::Unknown] => as_text(&mut sides[1]),
        [Kind::Unknown, Kind::Text] => as_text(&mut sides[0]),
        _ => {}
    }
    never_equal(&sides[0], &sides[1])
}

/// Refuses values of two kinds.
fn never_equal(left: &Expr, right: &Expr) -> Read<()> {
    let (is, of) = (right.kind(), left.kind());
    if is == of || is == Kind::Unknown || of == Kind::Unknown {
        return Ok(());
    }
    let reason = format!("{} cannot be compared with {}", is.as_str(), of.as_str());
    Err(Refusal { at: right.span.place(), reason })
}

fn as_text(expr: &mut Expr) {
    if let Node::Call(call) = &mut expr.node {
        call.as_text = call.function == Function::GetServiceProperty;
    }
}
