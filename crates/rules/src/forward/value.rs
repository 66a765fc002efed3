//! What an expression gives.

use std::cmp::Ordering;

use super::expr::Comparison;
use super::json::{self, Step};
use super::number::Number;
use super::text::Text;
use crate::event::{Body, Event, Header, Service};

/// A value, borrowed from the event and from the rule.
#[derive(Clone, Debug)]
pub(super) enum Value<'a> {
    /// Nothing is there, or `null`.
    Null,
    Bool(bool),
    Number(Number<'a>),
    Text(Text<'a>),
    /// The text of an object or array.
    Json(&'a str),
    /// An object or array that is not there as text.
    Part(Part<'a>),
}

/// A part of an event that its types hold.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part<'a> {
    Data(&'a Event<'a>),
    Header(&'a Header<'a>),
    /// The elements of the array.
    Tags(&'a str),
    Body(&'a Body<'a>),
    Services(&'a [Service<'a>]),
    Service(&'a Service<'a>),
    /// The services with this id.
    ServicesOf(Services<'a>, &'a str),
}

/// The services of a report.
#[derive(Clone, Copy, Debug)]
pub(super) enum Services<'a> {
    Typed(&'a [Service<'a>]),
    /// The elements of the array.
    Json(&'a str),
}

/// One of them.
#[derive(Clone, Copy, Debug)]
pub(super) enum OneService<'a> {
    Typed(&'a Service<'a>),
    Json(&'a str),
}

impl<'a> Value<'a> {
    /// The value of a JSON text.
    pub(super) fn of_json(text: Option<&'a str>) -> Self {
        let Some(text) = text else { return Self::Null };
        match text.as_bytes() {
            [b'"', .., b'"'] => Self::Text(Text::of_json(&text[1..text.len() - 1])),
            [b'{' | b'[', ..] => Self::Json(text),
            b"true" => Self::Bool(true),
            b"false" => Self::Bool(false),
            _ => Number::of_json(text).map_or(Self::Null, Self::Number),
        }
    }

    /// The value as text, when it is a text, number or boolean.
    pub(super) fn of_json_as_text(text: Option<&'a str>) -> Self {
        match (Self::of_json(text), text) {
            (Self::Number(_) | Self::Bool(_), Some(text)) => Self::Text(Text::Plain(text)),
            (value, _) => value,
        }
    }

    /// `IS NULL`: nothing is there, or an empty array (002 §5.4, WHERE).
    pub(super) fn is_null(&self) -> bool {
        let is_empty = |list: &str| json::trim(list).is_empty();
        match self {
            Self::Null => true,
            Self::Json(text) => json::inside(text).is_some_and(is_empty),
            Self::Part(Part::Tags(list)) => is_empty(list),
            Self::Part(Part::Services(list)) => list.is_empty(),
            Self::Part(Part::ServicesOf(services, id)) => services.find(id).is_none(),
            _ => false,
        }
    }

    pub(super) fn is_true(&self) -> bool {
        matches!(self, Self::Bool(true))
    }

    /// Whether it can be compared: a text, number or boolean.
    pub(super) fn is_scalar(&self) -> bool {
        matches!(self, Self::Text(_) | Self::Number(_) | Self::Bool(_))
    }

    /// Compares. What is no scalar is not even unequal to anything; scalars of two kinds are only unequal.
    pub(super) fn compare(&self, how: Comparison, other: &Self) -> bool {
        let order = match (self, other) {
            (Self::Number(a), Self::Number(b)) => a.order(*b),
            (Self::Text(a), Self::Text(b)) if matches!(how, Comparison::Equal) => return a.is(b),
            (Self::Text(a), Self::Text(b)) => a.order(b),
            (Self::Bool(a), Self::Bool(b)) if matches!(how, Comparison::Equal | Comparison::NotEqual) => a.cmp(b),
            _ => return matches!(how, Comparison::NotEqual) && self.is_scalar() && other.is_scalar(),
        };
        match how {
            Comparison::Equal => order == Ordering::Equal,
            Comparison::NotEqual => order != Ordering::Equal,
            Comparison::Less => order == Ordering::Less,
            Comparison::LessOrEqual => order != Ordering::Greater,
            Comparison::Greater => order == Ordering::Greater,
            Comparison::GreaterOrEqual => order != Ordering::Less,
        }
    }

    /// Appends it as JSON.
    pub(super) fn write(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(true) => out.push_str("true"),
            Self::Bool(false) => out.push_str("false"),
            Self::Number(number) => number.write(out),
            Self::Text(text) => text.write(out),
            Self::Json(text) => out.push_str(text),
            Self::Part(part) => part.write(out),
        }
    }
}

impl Part<'_> {
    fn write(&self, out: &mut String) {
        match self {
            Self::Data(event) => event.write_data(out),
            Self::Header(header) => header.write(out),
            Self::Body(body) => body.write(out),
            Self::Service(service) => service.write(out),
            Self::Tags(list) => {
                out.push('[');
                out.push_str(list);
                out.push(']');
            }
            Self::Services(list) => write_list(out, list.iter().map(OneService::Typed)),
            Self::ServicesOf(services, id) => match services {
                Services::Typed(list) => {
                    write_list(out, list.iter().filter(|s| s.service_id == *id).map(OneService::Typed));
                }
                Services::Json(list) => {
                    let of_id = json::elements(list).filter(|service| has(service, "service_id", id));
                    write_list(out, of_id.map(OneService::Json));
                }
            },
        }
    }
}

fn write_list<'a>(out: &mut String, list: impl Iterator<Item = OneService<'a>>) {
    out.push('[');
    for (i, service) in list.enumerate() {
        if i > 0 {
            out.push(',');
        }
        service.value().write(out);
    }
    out.push(']');
}

/// Whether a member of an object is this text.
pub(super) fn has(object: &str, name: &str, wanted: &str) -> bool {
    match Value::of_json(json::member(object, name)) {
        Value::Text(text) => text.is(&Text::Plain(wanted)),
        _ => false,
    }
}

impl<'a> Services<'a> {
    /// The first with this id.
    pub(super) fn find(&self, id: &str) -> Option<OneService<'a>> {
        match self {
            Self::Typed(list) => list.iter().find(|s| s.service_id == id).map(OneService::Typed),
            Self::Json(list) => {
                json::elements(list).find(|service| has(service, "service_id", id)).map(OneService::Json)
            }
        }
    }
}

impl<'a> OneService<'a> {
    pub(super) fn value(self) -> Value<'a> {
        match self {
            Self::Typed(service) => Value::Part(Part::Service(service)),
            Self::Json(text) => Value::of_json(Some(text)),
        }
    }

    /// The text of its properties.
    pub(super) fn properties(self) -> Option<&'a str> {
        match self {
            Self::Typed(service) => Some(service.properties),
            Self::Json(text) => json::member(text, "properties"),
        }
    }
}

/// Where steps lead from an array of services.
pub(super) fn in_services<'a>(list: &'a [Service<'a>], steps: &[Step]) -> Value<'a> {
    let (index, steps) = match steps {
        [] => return Value::Part(Part::Services(list)),
        [Step::Index(index), steps @ ..] => (*index, steps),
        [Step::Name(_), ..] => return Value::Null,
    };
    let Some(service) = list.get(index) else { return Value::Null };
    match steps {
        [] => Value::Part(Part::Service(service)),
        [Step::Name(name), rest @ ..] => match (&**name, rest) {
            ("properties", rest) => Value::of_json(json::locate(service.properties, rest)),
            ("service_id", []) => Value::Text(Text::Plain(service.service_id)),
            ("event_time", []) => Value::Text(Text::Made(service.event_time.compact().into())),
            _ => Value::Null,
        },
        [Step::Index(_), ..] => Value::Null,
    }
}
