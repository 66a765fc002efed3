//! Online debugging (002 §5.4, debugging of SQL statements): a rule is tried with a sample notification, and every step
//! tells its value.

use causeway_model::forwarding::Subject;
use serde_json::value::RawValue;

use super::expr::{Expr, Node};
use super::path::View;
use super::text::Text;
use super::value::Value;
use super::{Clause, Limits, Query, Refused, json};
use crate::Refusal;

/// What became of the sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Debugged {
    /// Whether the sample says that it is of the rule's subject. Rules are asked only for events that are.
    pub is_of_subject: bool,
    /// Each path, function and operation: those of the condition, then those of the selection, each behind its parts.
    /// All of them, though an evaluation stops as soon as the result is known.
    pub steps: Vec<Step>,
    /// Whether the condition holds.
    pub is_match: bool,
    /// What would be forwarded, a JSON object; `None` when the condition does not hold.
    pub output: Option<String>,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The clause that it is a part of.
    pub clause: Clause,
    /// Where it begins in the text that holds the clause, in characters from 1.
    pub at: usize,
    /// How it is written.
    pub text: String,
    /// What it is.
    pub kind: StepKind,
    /// Its value as JSON; `null` where nothing is.
    pub value: String,
}

/// Kinds of steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepKind {
    /// A path into the notification.
    Path,
    /// A function.
    Function,
    /// Arithmetic.
    Arithmetic,
    /// A comparison, `IS NULL`, `IN`, `LIKE`, `BETWEEN`.
    Comparison,
    /// `AND`, `OR`, `NOT`.
    Logic,
    /// `CASE`.
    Case,
}

impl StepKind {
    /// Its word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Function => "function",
            Self::Arithmetic => "arithmetic",
            Self::Comparison => "comparison",
            Self::Logic => "logic",
            Self::Case => "case",
        }
    }

    fn of(expr: &Expr) -> Option<Self> {
        match expr.node {
            Node::Path(_) => Some(Self::Path),
            Node::Call(_) => Some(Self::Function),
            Node::Negative(_) | Node::Chain(..) => Some(Self::Arithmetic),
            Node::Compare(..) | Node::Between { .. } | Node::In { .. } | Node::Like { .. } | Node::IsNull { .. } => {
                Some(Self::Comparison)
            }
            Node::Not(_) | Node::All(_) | Node::Any(_) => Some(Self::Logic),
            Node::Case { .. } => Some(Self::Case),
            Node::Bool(_) | Node::Int(_) | Node::Number(_) | Node::Text(_) => None,
        }
    }
}

/// Tries a rule with a sample: any JSON object, looked at as it is.
///
/// # Errors
/// The first place of a clause or of the sample that does not fit.
pub fn debug(
    subject: Subject,
    select: &str,
    filter: Option<&str>,
    message: &str,
    limits: Limits,
) -> Result<Debugged, Refused> {
    let query = Query::compile(subject, select, filter, limits)?;
    let refuse = |at, reason| Err(Refused { clause: Clause::Message, refusal: Refusal { at, reason } });
    if let Err(error) = serde_json::from_str::<&RawValue>(message) {
        return refuse(place(message, error.line(), error.column()), format!("this is no JSON: {error}"));
    }
    let message = json::trim(message);
    if !message.starts_with('{') {
        return refuse(1, "a notification is a JSON object".to_owned());
    }

    let view = View::Json(message);
    let mut steps = Vec::new();
    let mut note = |clause: Clause, text: &str, whole: &Expr| {
        whole.each(&mut |expr| {
            let Some(kind) = StepKind::of(expr) else { return };
            let mut value = String::new();
            expr.value(view).write(&mut value);
            let text = expr.span.of(text).to_owned();
            steps.push(Step { clause, at: expr.span.place(), text, kind, value });
        });
    };
    if let Some(condition) = &query.filter {
        let is_in_where = filter.is_some_and(|text| !json::trim(text).is_empty());
        note(Clause::Where, filter.filter(|_| is_in_where).unwrap_or(select), condition);
    }
    for expr in query.select.exprs() {
        note(Clause::Select, select, expr);
    }
    let is_match = query.holds(view);
    let output = is_match.then(|| {
        let mut output = String::new();
        query.select.write(view, &mut output);
        output
    });
    Ok(Debugged { is_of_subject: is_of(subject, message), steps, is_match, output })
}

fn is_of(subject: Subject, message: &str) -> bool {
    let says = |name, wanted| match Value::of_json(json::member(message, name)) {
        Value::Text(text) => text.is(&Text::Plain(wanted)),
        _ => false,
    };
    says("resource", subject.resource()) && says("event", subject.event())
}

/// The character at a line and a column of bytes, counted from 1.
fn place(text: &str, line: usize, column: usize) -> usize {
    let start: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let byte = (start + column.saturating_sub(1)).min(text.len());
    text.char_indices().take_while(|(at, _)| *at < byte).count() + 1
}
