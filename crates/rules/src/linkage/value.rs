//! Comparisons of a reported value with what a rule names.

use std::cmp::Ordering;

use causeway_model::linkage::Test;
use causeway_model::shadow::same_value;

use crate::forward::number::Number;

/// A comparison, ready.
#[derive(Clone, Debug)]
pub struct Comparison(Ready);

#[derive(Clone, Debug)]
enum Ready {
    /// The value is a number, and so is the operand; greater, equal or less, as listed.
    Order(Box<str>, &'static [Ordering]),
    Between(Box<str>, Box<str>),
    OneOf(Vec<Operand>),
    /// An operand of a comparison of numbers is none.
    Never,
}

#[derive(Clone, Debug)]
struct Operand {
    text: Box<str>,
    is_number: bool,
}

/// Whether the whole text is a JSON number.
#[must_use]
pub fn is_number(text: &str) -> bool {
    Number::of_json(text).is_some() && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

impl Operand {
    fn of(text: &str) -> Self {
        let text = text.trim();
        Self { text: text.into(), is_number: is_number(text) }
    }

    /// Whether the raw JSON value `raw` is this.
    fn is(&self, raw: &str) -> bool {
        match raw.as_bytes().first() {
            Some(b'"') => {
                let inner = &raw[1..raw.len().saturating_sub(1).max(1)];
                if inner.contains('\\') {
                    serde_json::from_str::<String>(raw).is_ok_and(|text| *text == *self.text)
                } else {
                    *inner == *self.text
                }
            }
            Some(b'{' | b'[') => same_value(raw, &self.text),
            Some(b'-' | b'0'..=b'9') => self.is_number && order(raw, &self.text) == Some(Ordering::Equal),
            _ => *raw == *self.text,
        }
    }
}

fn order(raw: &str, operand: &str) -> Option<Ordering> {
    Some(Number::of_json(raw)?.order(Number::of_json(operand)?))
}

impl Comparison {
    /// Prepares a comparison.
    #[must_use]
    pub fn of(test: &Test) -> Self {
        use Ordering::{Equal, Greater, Less};
        let ordered = |text: &str, orders: &'static [Ordering]| {
            let text = text.trim();
            if is_number(text) { Ready::Order(text.into(), orders) } else { Ready::Never }
        };
        Self(match test {
            Test::Greater(text) => ordered(text, &[Greater]),
            Test::Less(text) => ordered(text, &[Less]),
            Test::AtLeast(text) => ordered(text, &[Greater, Equal]),
            Test::AtMost(text) => ordered(text, &[Less, Equal]),
            Test::Equal(text) => Ready::OneOf(vec![Operand::of(text)]),
            Test::Between(from, below) => {
                let (from, below) = (from.trim(), below.trim());
                if is_number(from) && is_number(below) {
                    Ready::Between(from.into(), below.into())
                } else {
                    Ready::Never
                }
            }
            Test::OneOf(texts) => Ready::OneOf(texts.iter().map(|t| Operand::of(t)).collect()),
        })
    }

    /// Whether the raw JSON value fulfils it.
    #[must_use]
    pub fn holds(&self, raw: &str) -> bool {
        match &self.0 {
            Ready::Order(operand, orders) => order(raw, operand).is_some_and(|o| orders.contains(&o)),
            Ready::Between(from, below) => {
                order(raw, from).is_some_and(Ordering::is_ge) && order(raw, below).is_some_and(Ordering::is_lt)
            }
            Ready::OneOf(operands) => operands.iter().any(|o| o.is(raw)),
            Ready::Never => false,
        }
    }
}
