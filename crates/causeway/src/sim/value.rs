//! Values that wander: every data type of a product model (`iotda-v5-api.md`, ServiceProperty), within its range.

use anyhow::bail;
use causeway_model::Timestamp;
use serde_json::{Number, Value, json};

use super::model::Field;

/// Range of a number that the model leaves open.
const DEFAULT_RANGE: (f64, f64) = (0.0, 100.0);

/// Texts of a string property without an enumeration.
const WORDS: [&str; 6] = ["ok", "idle", "busy", "standby", "charging", "maintenance"];

/// Units of meter readings, which only rise.
const METERED: [&str; 6] = ["Wh", "kWh", "m3", "m³", "L", "km"];

/// A small random number generator (SplitMix64): statistics of simulated values need no more, and each device has its
/// own, so that a run can be repeated.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    /// A sequence of its own for each `text`.
    pub(super) fn of(text: &str) -> Self {
        // FNV-1a
        Self(
            text.bytes()
                .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)),
        )
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Evenly from 0 up to but not including 1.
    pub(super) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Evenly from 0 up to but not including `end`, which is not 0.
    fn below(&mut self, end: usize) -> usize {
        (self.unit() * end as f64) as usize % end
    }
}

/// What values a property or parameter can have.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    /// `int` and `long`.
    Integer {
        /// Smallest.
        min: i64,
        /// Largest.
        max: i64,
        /// Distance of neighbours, from `min` on.
        step: i64,
        /// A meter reading.
        rising: bool,
    },
    /// `decimal`.
    Decimal {
        /// Smallest.
        min: f64,
        /// Largest.
        max: f64,
        /// Digits after the point.
        digits: i32,
        /// A meter reading.
        rising: bool,
    },
    /// `string` and a text list's elements, at most so many characters.
    Text {
        /// Longest.
        max_length: usize,
    },
    /// `enum`, or a string with an enumeration.
    Choice(Vec<String>),
    /// `boolean`.
    Boolean,
    /// `DateTime`: now.
    Time,
    /// `jsonObject`.
    Object,
    /// `string list`.
    TextList {
        /// Longest element.
        max_length: usize,
    },
}

/// Where a value stands; what it means depends on its [`Kind`].
#[derive(Clone, Debug, PartialEq)]
pub(super) enum State {
    /// Of numbers: the exact position, of which the value is the rounding.
    Position(f64),
    /// Of choices, texts, and flags.
    Index(usize),
    /// Set by the platform, as it was sent.
    Set(Value),
}

fn number(value: Option<&Value>) -> Option<f64> {
    let number = match value? {
        Value::String(text) => text.trim().parse().ok()?,
        other => other.as_f64()?,
    };
    number.is_finite().then_some(number)
}

impl Kind {
    /// The kind that a field of a model describes.
    ///
    /// # Errors
    /// For an unknown data type.
    pub(super) fn of_field(field: &Field) -> anyhow::Result<Self> {
        let min = number(field.min.as_ref()).unwrap_or(DEFAULT_RANGE.0);
        let max = number(field.max.as_ref()).unwrap_or(DEFAULT_RANGE.1.max(min)).max(min);
        let max_length = field.max_length.unwrap_or(64);
        let rising = METERED.contains(&field.unit.as_str());
        Ok(match field.data_type.to_ascii_lowercase().as_str() {
            "int" | "long" | "integer" => {
                let (min, max) = (min.ceil() as i64, max.floor() as i64);
                let step = field.step.filter(|step| *step >= 1.0).map_or(1, |step| step as i64);
                Self::Integer { min, max: max.max(min), step, rising }
            }
            "decimal" => {
                // As many digits as the step has, otherwise enough for ten thousand different values.
                let step = field.step.filter(|step| *step > 0.0).unwrap_or((max - min).max(1e-9) / 10_000.0);
                Self::Decimal { min, max, digits: (-step.log10()).ceil().clamp(0.0, 9.0) as i32, rising }
            }
            "string" | "enum" if !field.enum_list.is_empty() => Self::Choice(field.enum_list.clone()),
            "string" | "enum" => Self::Text { max_length },
            "boolean" => Self::Boolean,
            "datetime" => Self::Time,
            "jsonobject" => Self::Object,
            "string list" => Self::TextList { max_length },
            other => bail!("the data type {other:?} is not known"),
        })
    }

    /// A first value: numbers near the middle of their range, the first choice, false.
    pub(super) fn start(&self, random: &mut Random) -> State {
        match *self {
            Self::Integer { min, max, .. } => State::Position(between(min as f64, max as f64, random)),
            Self::Decimal { min, max, .. } => State::Position(between(min, max, random)),
            _ => State::Index(0),
        }
    }

    /// Lets `state` wander: numbers by at most 2 % of their range and back towards the middle, meter readings upwards,
    /// choices now and then.
    pub(super) fn wander(&self, state: &mut State, random: &mut Random) {
        let step = |at: &mut f64, min: f64, max: f64, rising: bool, random: &mut Random| {
            let (span, middle) = (max - min, (max + min) / 2.0);
            if rising {
                // A hundred thousand reports to the end, then from the beginning, as a meter's counter does.
                *at += random.unit() * 2e-5 * span;
                if *at > max {
                    *at = min;
                }
            } else {
                *at += (random.unit() - 0.5) * 0.04 * span + (middle - *at) * 0.01;
            }
            *at = at.clamp(min, max);
        };
        match (self, state) {
            (_, State::Set(_)) => {}
            (Self::Integer { min, max, rising, .. }, State::Position(at)) => {
                step(at, *min as f64, *max as f64, *rising, random);
            }
            (Self::Decimal { min, max, rising, .. }, State::Position(at)) => step(at, *min, *max, *rising, random),
            (Self::Choice(choices), State::Index(at)) if random.unit() < 0.05 => *at = random.below(choices.len()),
            (Self::Boolean, State::Index(at)) if random.unit() < 0.05 => *at ^= 1,
            (Self::Text { .. } | Self::TextList { .. }, State::Index(at)) if random.unit() < 0.1 => {
                *at = random.below(WORDS.len());
            }
            (Self::Object, State::Index(at)) => *at = at.wrapping_add(1),
            _ => {}
        }
    }

    /// The value that `state` is at `now`.
    pub(super) fn value(&self, state: &State, now: Timestamp) -> Value {
        let (position, index) = match state {
            State::Set(value) => return value.clone(),
            State::Position(at) => (*at, 0),
            State::Index(at) => (0.0, *at),
        };
        let word = |max_length: usize| WORDS[index % WORDS.len()].chars().take(max_length).collect::<String>();
        match self {
            Self::Integer { min, max, step, .. } => {
                let steps = ((position - *min as f64) / *step as f64).round() as i64;
                let value = min.saturating_add(steps.saturating_mul(*step));
                Value::from(if value > *max { value.saturating_sub(*step) } else { value }.max(*min))
            }
            Self::Decimal { min, max, digits, .. } => {
                let scale = 10_f64.powi(*digits);
                let rounded = ((position * scale).round() / scale).clamp(*min, *max);
                Number::from_f64(rounded).map_or(Value::from(0), Value::Number)
            }
            Self::Text { max_length } => Value::from(word(*max_length)),
            Self::Choice(choices) => Value::from(choices[index % choices.len()].as_str()),
            Self::Boolean => Value::from(index % 2 == 1),
            Self::Time => Value::from(now.compact()),
            Self::Object => json!({ "sequence": index, "state": WORDS[index / 10 % WORDS.len()] }),
            Self::TextList { max_length } => {
                json!((0..=index % 3).map(|_| word(*max_length)).collect::<Vec<_>>())
            }
        }
    }

    /// Whether the platform may set this value: right type, within its range.
    pub(super) fn accepts(&self, value: &Value) -> bool {
        match self {
            Self::Integer { min, max, .. } => value.as_i64().is_some_and(|n| (*min..=*max).contains(&n)),
            Self::Decimal { min, max, .. } => value.as_f64().is_some_and(|n| (*min..=*max).contains(&n)),
            Self::Text { max_length } => value.as_str().is_some_and(|text| text.chars().count() <= *max_length),
            Self::Choice(choices) => value.as_str().is_some_and(|text| choices.iter().any(|choice| choice == text)),
            Self::Boolean => value.is_boolean(),
            Self::Time => value.as_str().is_some_and(|text| Timestamp::parse(text).is_some()),
            Self::Object => value.is_object(),
            Self::TextList { max_length } => value.as_array().is_some_and(|list| {
                list.iter().all(|item| item.as_str().is_some_and(|text| text.chars().count() <= *max_length))
            }),
        }
    }
}

/// Within the middle half of a range.
fn between(min: f64, max: f64, random: &mut Random) -> f64 {
    min + (max - min) * (0.25 + 0.5 * random.unit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(data_type: &str, more: Value) -> Field {
        let mut text = json!({ "property_name": "p", "data_type": data_type });
        text.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
        serde_json::from_value(text).expect("a legal field")
    }

    /// Lets a property of this description wander for a long time; every value must be one that the model accepts.
    #[track_caller]
    fn check(data_type: &str, more: Value) -> Vec<Value> {
        let kind = Kind::of_field(&field(data_type, more)).expect("a known type");
        let mut random = Random::of("device");
        let mut state = kind.start(&mut random);
        let mut values = Vec::new();
        for second in 0..2_000 {
            kind.wander(&mut state, &mut random);
            let value = kind.value(&state, Timestamp(second * 1000));
            assert!(kind.accepts(&value), "{value} does not fit {kind:?}");
            values.push(value);
        }
        values
    }

    #[test]
    fn every_data_type_wanders_within_its_model() {
        let distinct =
            |values: &[Value]| values.iter().map(ToString::to_string).collect::<std::collections::HashSet<_>>().len();
        assert!(distinct(&check("int", json!({"min": "-40", "max": "85"}))) > 20);
        assert!(distinct(&check("long", json!({"min": "0", "max": "99999999999", "step": 5}))) > 1000);
        assert!(distinct(&check("decimal", json!({"min": "210", "max": "240", "step": 0.1}))) > 50);
        assert_eq!(distinct(&check("enum", json!({"enum_list": ["ON", "OFF"]}))), 2);
        assert_eq!(distinct(&check("boolean", json!({}))), 2);
        assert!(distinct(&check("string", json!({"max_length": 4}))) > 3);
        assert!(distinct(&check("string list", json!({"max_length": 4}))) > 3);
        assert_eq!(distinct(&check("jsonObject", json!({}))), 2_000);
        assert_eq!(distinct(&check("DateTime", json!({}))), 2_000);
    }

    #[test]
    fn odd_models_do_not_leave_their_range() {
        check("int", json!({"min": "5", "max": "5"}));
        check("int", json!({"min": "0", "max": "7", "step": 5}));
        check("decimal", json!({"min": "0", "max": "0"}));
        check("decimal", json!({"min": 1.5}));
        check("int", json!({"min": "not a number", "max": null}));
        check("string", json!({"max_length": 0}));
    }

    #[test]
    fn meter_readings_only_rise() {
        let readings = check("long", json!({"min": "0", "max": "9999999", "unit": "Wh"}));
        assert!(readings.windows(2).all(|pair| pair[0].as_i64() <= pair[1].as_i64()), "{readings:?}");
        assert_ne!(readings.first(), readings.last());
    }

    #[test]
    fn decimals_have_the_digits_of_their_step() {
        for value in check("decimal", json!({"min": "0", "max": "10", "step": 0.25})) {
            assert!(value.to_string().len() <= 4, "{value}");
        }
    }

    #[test]
    fn what_was_set_stays() {
        let kind = Kind::Integer { min: 0, max: 10, step: 1, rising: false };
        assert!(kind.accepts(&json!(7)) && !kind.accepts(&json!(11)) && !kind.accepts(&json!("7")));
        let mut state = State::Set(json!(7));
        kind.wander(&mut state, &mut Random::of("x"));
        assert_eq!(kind.value(&state, Timestamp(0)), json!(7));
    }
}
