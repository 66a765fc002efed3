//! The language of data forwarding rules (002 §5.4; `docs/rule-sql.md`).
//!
//! ```text
//! [SELECT] * | path [AS name] | function(…) [AS name] | expression AS name, …   [WHERE] condition
//! ```
//!
//! A rule is compiled once into a tree over [`Event`], which is asked for each event: nothing is parsed and, but for the
//! output, no text is made. What is not in the grammar is refused with its place.
//!
//! Start reading at [`Query`]; the grammar is in `grammar.rs`, what comparisons mean in `value.rs` and `eval.rs`.

mod debug;
mod eval;
mod expr;
mod grammar;
mod json;
pub(crate) mod number;
mod path;
mod select;
#[cfg(test)]
mod tests;
mod text;
mod value;

use std::fmt;

use causeway_model::forwarding::Subject;
use causeway_model::{Code, Error};

pub use debug::{Debugged, Step, StepKind, debug};
pub use path::Path;

use crate::Refusal;
use crate::event::Event;
use crate::tokens::{Span, Tokens};
use expr::{Comparison, Expr, Node};
use grammar::Grammar;
use path::View;
use select::{Item, Select};

/// How long and how complex a rule may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Characters of each text, its keyword too.
    pub characters: usize,
    /// Parentheses, `CASE`, `NOT` and signs within each other.
    pub depth: usize,
}

impl Default for Limits {
    /// The vendor's length (`iotda-v5-api.md` §5).
    fn default() -> Self {
        Self { characters: 2500, depth: 32 }
    }
}

/// One of the texts that a caller hands over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clause {
    /// What is made of an event.
    Select,
    /// Which events.
    Where,
    /// The sample that a rule is tried with.
    Message,
}

impl Clause {
    /// Its field in the API.
    #[must_use]
    pub fn field(self) -> &'static str {
        match self {
            Self::Select => "select",
            Self::Where => "where",
            Self::Message => "message",
        }
    }
}

/// Which text is refused, where and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The text.
    pub clause: Clause,
    /// Where and why.
    pub refusal: Refusal,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.clause.field(), self.refusal)
    }
}

impl std::error::Error for Refused {}

impl Refused {
    /// The error of a request that carries the text.
    #[must_use]
    pub fn error(&self) -> Error {
        let field = self.clause.field();
        Error::new(Code::InvalidInput, format!("Invalid input. '{field}' cannot be read {}.", self.refusal))
    }
}

/// A compiled rule.
#[derive(Debug)]
pub struct Query {
    subject: Subject,
    select: Select,
    filter: Option<Expr>,
    equalities: Vec<(Path, String)>,
    texts: (String, Option<String>),
}

impl Query {
    /// Compiles a rule for events of `subject`. Each clause may begin with its keyword; an empty SELECT clause is `*`, an
    /// empty WHERE clause takes every event. `select` may hold both clauses, then there is no other.
    ///
    /// # Errors
    /// The first place that does not fit.
    pub fn compile(subject: Subject, select: &str, filter: Option<&str>, limits: Limits) -> Result<Self, Refused> {
        let in_select = |refusal| Refused { clause: Clause::Select, refusal };
        let in_where = |refusal| Refused { clause: Clause::Where, refusal };
        let grammar = |text, subject| Ok(Grammar::new(Tokens::of(text, limits.characters)?, subject, limits.depth));

        let mut first = grammar(select, subject).map_err(in_select)?;
        let (items, place) = if first.is_empty() {
            (vec![Item { key: None, expr: None }], None)
        } else {
            let (items, place) = first.select().map_err(in_select)?;
            (items, Some(place))
        };
        let word = first.where_word();
        let mut condition = None;
        if word.is_some() {
            let expr = first.condition().map_err(in_select)?;
            condition = Some((expr, select));
        } else {
            first.end("an operator, `,`, AS, WHERE or the end").map_err(in_select)?;
        }

        if let Some(text) = filter {
            let mut second = grammar(text, subject).map_err(in_where)?;
            if !second.is_empty() {
                if let Some(word) = word {
                    let reason = "the condition stands in `where` already".to_owned();
                    return Err(in_select(Refusal { at: word.place(), reason }));
                }
                second.where_word();
                let expr = second.condition().map_err(in_where)?;
                condition = Some((expr, text));
            }
        }

        let written = |place: Option<Span>| place.map_or("*", |place| place.of(select)).to_owned();
        let filter_text = condition.as_ref().map(|(expr, text)| expr.span.of(text).to_owned());
        let filter = condition.map(|(expr, _)| expr);
        Ok(Self {
            subject,
            select: Select::of(items),
            equalities: filter.as_ref().map(equalities).unwrap_or_default(),
            filter,
            texts: (written(place), filter_text),
        })
    }

    /// Whose events it takes.
    #[must_use]
    pub fn subject(&self) -> Subject {
        self.subject
    }

    /// The two clauses as they are written, without their keywords; `*` when nothing was selected.
    #[must_use]
    pub fn clauses(&self) -> (&str, Option<&str>) {
        (&self.texts.0, self.texts.1.as_deref())
    }

    /// Whether an event of the subject is taken.
    #[must_use]
    pub fn matches(&self, event: &Event<'_>) -> bool {
        self.holds(View::Event(event))
    }

    fn holds(&self, view: View<'_>) -> bool {
        self.filter.as_ref().is_none_or(|filter| filter.holds(view))
    }

    /// Appends what is made of an event: a JSON object.
    pub fn select(&self, event: &Event<'_>, out: &mut String) {
        self.select.write(View::Event(event), out);
    }

    /// Whether that is the notification as it is, which [`Event::write`] writes.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.select.is_whole()
    }

    /// Texts that must stand at paths for an event to be taken, so that rules can be looked up by them. An event has the
    /// text when [`Path::text`] gives it.
    #[must_use]
    pub fn equalities(&self) -> &[(Path, String)] {
        &self.equalities
    }
}

/// The equalities that a condition cannot hold without.
fn equalities(filter: &Expr) -> Vec<(Path, String)> {
    let conjuncts = match &filter.node {
        Node::All(list) => list.as_slice(),
        _ => std::slice::from_ref(filter),
    };
    let pair = |path: &Expr, text: &Expr| match (&path.node, &text.node) {
        (Node::Path(path), Node::Text(text)) => Some((path.clone(), text.to_string())),
        _ => None,
    };
    let of = |conjunct: &Expr| match &conjunct.node {
        Node::Compare(Comparison::Equal, sides) => pair(&sides[0], &sides[1]).or_else(|| pair(&sides[1], &sides[0])),
        Node::In { negated: false, of, list } if list.len() == 1 => pair(of, &list[0]),
        _ => None,
    };
    conjuncts.iter().filter_map(of).collect()
}
