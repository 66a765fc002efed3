//! The compiled form of an expression.

use super::number::Arithmetic;
use super::path::Path;
use super::text::Pattern;
use crate::tokens::Span;

/// An expression and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Expr {
    pub(super) node: Node,
    pub(super) span: Span,
}

/// What it is. Chains of one operator are flat, so that the depth of the tree is that of the parentheses.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Path(Path),
    Bool(bool),
    Int(i64),
    /// The text of a JSON number that is no small integer.
    Number(Box<str>),
    Text(Box<str>),
    Call(Call),
    Negative(Box<Expr>),
    Chain(Box<Expr>, Vec<(Arithmetic, Expr)>),
    Compare(Comparison, Box<[Expr; 2]>),
    Between {
        negated: bool,
        parts: Box<[Expr; 3]>,
    },
    In {
        negated: bool,
        of: Box<Expr>,
        list: Vec<Expr>,
    },
    Like {
        negated: bool,
        of: Box<Expr>,
        pattern: Pattern,
    },
    IsNull {
        negated: bool,
        of: Box<Expr>,
    },
    Not(Box<Expr>),
    All(Vec<Expr>),
    Any(Vec<Expr>),
    Case {
        of: Option<Box<Expr>>,
        branches: Vec<(Expr, Expr)>,
        otherwise: Option<Box<Expr>>,
    },
}

/// A call of a function.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) function: Function,
    /// The tag or service.
    pub(super) key: Box<str>,
    /// The property, where one is asked for.
    pub(super) property: Box<str>,
    /// A number is given as text: it is compared with one.
    pub(super) as_text: bool,
}

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// The functions (002 §5.4, list of functions).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    GetTag,
    ContainsTag,
    GetService,
    GetServices,
    ContainsServices,
    GetServiceProperties,
    GetServiceProperty,
}

impl Function {
    pub(super) const ALL: [(&'static str, Self); 7] = [
        ("GET_TAG", Self::GetTag),
        ("CONTAINS_TAG", Self::ContainsTag),
        ("GET_SERVICE", Self::GetService),
        ("GET_SERVICES", Self::GetServices),
        ("CONTAINS_SERVICES", Self::ContainsServices),
        ("GET_SERVICE_PROPERTIES", Self::GetServiceProperties),
        ("GET_SERVICE_PROPERTY", Self::GetServiceProperty),
    ];

    /// Whether it is for property reports only.
    pub(super) fn is_of_reports(self) -> bool {
        !matches!(self, Self::GetTag | Self::ContainsTag)
    }

    /// What it takes beside the tag or service: nothing, or the name of a property.
    pub(super) fn takes_property(self) -> bool {
        matches!(self, Self::GetServiceProperty)
    }
}

/// What is known of a value before there is an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Unknown,
    Bool,
    Number,
    Text,
    Json,
}

impl Kind {
    /// For sentences.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "a value",
            Self::Bool => "a condition",
            Self::Number => "a number",
            Self::Text => "a text",
            Self::Json => "an object or array",
        }
    }
}

impl Expr {
    pub(super) fn kind(&self) -> Kind {
        match &self.node {
            Node::Path(_) => Kind::Unknown,
            Node::Int(_) | Node::Number(_) | Node::Negative(_) | Node::Chain(..) => Kind::Number,
            Node::Text(_) => Kind::Text,
            Node::Call(call) => match call.function {
                Function::GetTag => Kind::Text,
                Function::GetServiceProperty if call.as_text => Kind::Text,
                Function::GetServiceProperty => Kind::Unknown,
                Function::ContainsTag | Function::ContainsServices => Kind::Bool,
                Function::GetService | Function::GetServices | Function::GetServiceProperties => Kind::Json,
            },
            Node::Case { branches, otherwise, .. } => {
                let mut kinds = branches.iter().map(|(_, then)| then).chain(otherwise.as_deref()).map(Self::kind);
                let first = kinds.next().unwrap_or(Kind::Unknown);
                if kinds.all(|kind| kind == first) { first } else { Kind::Unknown }
            }
            _ => Kind::Bool,
        }
    }

    /// Calls `visit` with every expression inside of this one and then with this one.
    pub(super) fn each<'a>(&'a self, visit: &mut dyn FnMut(&'a Self)) {
        match &self.node {
            Node::Path(_) | Node::Bool(_) | Node::Int(_) | Node::Number(_) | Node::Text(_) | Node::Call(_) => {}
            Node::Negative(of) | Node::Not(of) | Node::Like { of, .. } | Node::IsNull { of, .. } => of.each(visit),
            Node::Chain(first, rest) => {
                first.each(visit);
                rest.iter().for_each(|(_, next)| next.each(visit));
            }
            Node::Compare(_, sides) => sides.iter().for_each(|side| side.each(visit)),
            Node::Between { parts, .. } => parts.iter().for_each(|part| part.each(visit)),
            Node::In { of, list, .. } => {
                of.each(visit);
                list.iter().for_each(|one| one.each(visit));
            }
            Node::All(list) | Node::Any(list) => list.iter().for_each(|one| one.each(visit)),
            Node::Case { of, branches, otherwise } => {
                of.iter().for_each(|of| of.each(visit));
                for (when, then) in branches {
                    when.each(visit);
                    then.each(visit);
                }
                otherwise.iter().for_each(|otherwise| otherwise.each(visit));
            }
        }
        visit(self);
    }
}
