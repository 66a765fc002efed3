//! Reading the fields of a JSON object so that every fault is told, not the first.

use causeway_model::{Error, Fault};
use serde_json::{Map, Value};

/// What is wrong with the files so far. Bounded: a hostile file tells no more faults than an error shows.
#[derive(Default)]
pub(super) struct Faults(pub(super) Vec<Fault>);

impl Faults {
    pub(super) fn add(&mut self, place: &str, reason: impl Into<String>) {
        if self.0.len() <= Error::MAX_FAULTS {
            self.0.push(Fault::at(place, reason));
        }
    }
}

/// One JSON object of a file.
pub(super) struct Fields<'a> {
    object: &'a Map<String, Value>,
    /// File and path, like `profile/x.json: devices[0]`.
    pub(super) place: String,
}

impl<'a> Fields<'a> {
    /// The object at `place`.
    pub(super) fn of(value: &'a Value, place: String, faults: &mut Faults) -> Option<Self> {
        match value.as_object() {
            Some(object) => Some(Self { object, place }),
            None => {
                faults.add(&place, "must be a JSON object.");
                None
            }
        }
    }

    fn at(&self, name: &str) -> String {
        format!("{}.{name}", self.place)
    }

    fn value(&self, name: &str) -> Option<&'a Value> {
        self.object.get(name).filter(|v| !v.is_null())
    }

    /// The value as it stands.
    pub(super) fn any(&self, name: &str) -> Option<Value> {
        self.value(name).cloned()
    }

    /// A text; a number is read as its text.
    pub(super) fn text(&self, name: &str, faults: &mut Faults) -> Option<String> {
        match self.value(name)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => {
                faults.add(&self.at(name), "must be a text.");
                None
            }
        }
    }

    /// A text that must be there.
    pub(super) fn needed(&self, name: &str, faults: &mut Faults) -> String {
        if self.value(name).is_none() {
            faults.add(&self.at(name), "is missing.");
        }
        self.text(name, faults).unwrap_or_default()
    }

    /// `true` or `false`.
    pub(super) fn flag(&self, name: &str, faults: &mut Faults) -> Option<bool> {
        match self.value(name)? {
            Value::Bool(flag) => Some(*flag),
            Value::String(text) if text.eq_ignore_ascii_case("true") => Some(true),
            Value::String(text) if text.eq_ignore_ascii_case("false") => Some(false),
            _ => {
                faults.add(&self.at(name), "must be true or false.");
                None
            }
        }
    }

    /// A number, also one written as a text; an empty text is no number.
    pub(super) fn number(&self, name: &str, faults: &mut Faults) -> Option<f64> {
        let number = match self.value(name)? {
            Value::Number(number) => number.as_f64(),
            Value::String(text) if text.trim().is_empty() => return None,
            Value::String(text) => text.trim().parse().ok().filter(|n: &f64| n.is_finite()),
            _ => None,
        };
        if number.is_none() {
            faults.add(&self.at(name), "must be a number.");
        }
        number
    }

    /// A whole number.
    pub(super) fn whole(&self, name: &str, faults: &mut Faults) -> Option<i64> {
        let number = self.number(name, faults)?;
        if number.fract() == 0.0 && number.abs() <= 9e15 {
            return Some(number as i64);
        }
        faults.add(&self.at(name), "must be a whole number.");
        None
    }

    /// A list of texts.
    pub(super) fn texts(&self, name: &str, faults: &mut Faults) -> Option<Vec<String>> {
        let texts = self.value(name)?.as_array().and_then(|list| {
            let text = |v: &Value| match v {
                Value::String(text) => Some(text.clone()),
                Value::Number(number) => Some(number.to_string()),
                _ => None,
            };
            list.iter().map(text).collect::<Option<Vec<_>>>()
        });
        if texts.is_none() {
            faults.add(&self.at(name), "must be a list of texts.");
        }
        texts
    }

    /// The objects of a list, each made into something by `make`.
    pub(super) fn objects<T>(
        &self,
        name: &str,
        faults: &mut Faults,
        mut make: impl FnMut(Fields<'a>, &mut Faults) -> T,
    ) -> Vec<T> {
        let Some(value) = self.value(name) else { return Vec::new() };
        let Some(list) = value.as_array() else {
            faults.add(&self.at(name), "must be a list.");
            return Vec::new();
        };
        let mut made = Vec::with_capacity(list.len().min(1000));
        for (i, value) in list.iter().enumerate() {
            if let Some(fields) = Fields::of(value, format!("{}.{name}[{i}]", self.place), faults) {
                made.push(make(fields, faults));
            }
        }
        made
    }
}
