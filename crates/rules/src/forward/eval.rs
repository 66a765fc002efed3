//! Evaluation. A comparison that cannot be made is false, so every condition is true or false: `NOT` turns that too.

use super::expr::{Call, Comparison, Expr, Function, Node};
use super::json;
use super::number::Number;
use super::path::View;
use super::text::Text;
use super::value::Value;

impl Expr {
    /// Its value.
    pub(super) fn value<'a>(&'a self, view: View<'a>) -> Value<'a> {
        match &self.node {
            Node::Path(path) => path.value(view),
            Node::Int(n) => Value::Number(Number::Int(*n)),
            Node::Number(text) => Value::Number(Number::Raw(text)),
            Node::Text(text) => Value::Text(Text::Plain(text)),
            Node::Call(call) => call.value(view),
            Node::Negative(of) => number(of.value(view)).and_then(Number::negated).map_or(Value::Null, Value::Number),
            Node::Chain(first, rest) => {
                let result = number(first.value(view)).and_then(|first| {
                    rest.iter()
                        .try_fold(first, |so_far, (what, next)| so_far.calculated(*what, number(next.value(view))?))
                });
                result.map_or(Value::Null, Value::Number)
            }
            Node::Case { of, branches, otherwise } => {
                let of = of.as_ref().map(|of| of.value(view));
                let chosen = branches.iter().find(|(when, _)| match &of {
                    Some(of) => of.compare(Comparison::Equal, &when.value(view)),
                    None => when.holds(view),
                });
                let then = chosen.map(|(_, then)| then).or(otherwise.as_deref());
                then.map_or(Value::Null, |then| then.value(view))
            }
            _ => Value::Bool(self.holds(view)),
        }
    }

    /// Whether it is true.
    pub(super) fn holds(&self, view: View<'_>) -> bool {
        match &self.node {
            Node::Bool(known) => *known,
            Node::Compare(how, sides) => sides[0].value(view).compare(*how, &sides[1].value(view)),
            Node::All(list) => list.iter().all(|one| one.holds(view)),
            Node::Any(list) => list.iter().any(|one| one.holds(view)),
            Node::Not(of) => !of.holds(view),
            Node::IsNull { negated, of } => of.value(view).is_null() != *negated,
            Node::Between { negated, parts } => {
                let [of, low, high] = parts.each_ref().map(|part| part.value(view));
                if *negated {
                    of.compare(Comparison::Less, &low) || of.compare(Comparison::Greater, &high)
                } else {
                    of.compare(Comparison::GreaterOrEqual, &low) && of.compare(Comparison::LessOrEqual, &high)
                }
            }
            Node::In { negated, of, list } => {
                let of = of.value(view);
                let is_there = || list.iter().any(|one| of.compare(Comparison::Equal, &one.value(view)));
                of.is_scalar() && is_there() != *negated
            }
            Node::Like { negated, of, pattern } => match of.value(view) {
                Value::Text(text) => pattern.matches(&text) != *negated,
                other => *negated && other.is_scalar(),
            },
            _ => self.value(view).is_true(),
        }
    }
}

fn number(value: Value<'_>) -> Option<Number<'_>> {
    if let Value::Number(number) = value { Some(number) } else { None }
}

impl Call {
    fn value<'a>(&'a self, view: View<'a>) -> Value<'a> {
        let key = &*self.key;
        match self.function {
            Function::GetTag => view.tag(key).unwrap_or(Value::Null),
            Function::ContainsTag => Value::Bool(view.tag(key).is_some()),
            Function::GetService => view.service(key).map_or(Value::Null, |service| service.value()),
            Function::GetServices => view.services_of(key),
            Function::ContainsServices => Value::Bool(view.service(key).is_some()),
            Function::GetServiceProperties => {
                Value::of_json(view.service(key).and_then(|service| service.properties()))
            }
            Function::GetServiceProperty => {
                let properties = view.service(key).and_then(|service| service.properties());
                let value = properties.and_then(|properties| json::member(properties, &self.property));
                if self.as_text { Value::of_json_as_text(value) } else { Value::of_json(value) }
            }
        }
    }
}
