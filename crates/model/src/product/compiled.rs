//! The compiled validator of a product model.

use std::collections::HashMap;

use super::document::{DataType, ServiceCapability, ServiceCommandPara, ServiceProperty};
use crate::error::{Code, Error};
use crate::properties::{MAX_DEPTH, PropertyObject, each_entry, is_text, nests_deeper_than, write_json_string};
use crate::shadow::is_shadow_key;
use crate::time::Timestamp;

/// How closely reports must follow the product model (key `model.strictness`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Strictness {
    /// Only declared services and properties of the declared type and range pass.
    #[default]
    Strict,
    /// Undeclared services and properties pass unchecked; declared ones must match.
    Lenient,
    /// Everything passes that a shadow can hold.
    Off,
}

impl crate::settings::SettingValue for Strictness {
    fn read(text: &str) -> Result<Self, String> {
        match text.trim() {
            "strict" => Ok(Self::Strict),
            "lenient" => Ok(Self::Lenient),
            "off" => Ok(Self::Off),
            other => Err(format!("'{other}' is not strict, lenient or off")),
        }
    }
    fn write(&self) -> String {
        match self {
            Self::Strict => "strict",
            Self::Lenient => "lenient",
            Self::Off => "off",
        }
        .to_owned()
    }
}

/// Why a value did not pass the product model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MismatchReason {
    /// The product has no such service.
    UnknownService,
    /// The service has no such property.
    UnknownProperty,
    /// The name holds a character that a shadow refuses.
    ForbiddenName,
    /// The value is not of the declared type.
    WrongType,
    /// The number is outside min and max.
    OutOfRange,
    /// The text is longer than declared.
    TooLong,
    /// The value is not in the list of allowed ones.
    NotInList,
    /// The value nests deeper than the platform keeps.
    TooDeep,
}

impl MismatchReason {
    /// The word used in metrics and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UnknownService => "unknown_service",
            Self::UnknownProperty => "unknown_property",
            Self::ForbiddenName => "forbidden_name",
            Self::WrongType => "wrong_type",
            Self::OutOfRange => "out_of_range",
            Self::TooLong => "too_long",
            Self::NotInList => "not_in_list",
            Self::TooDeep => "too_deep",
        }
    }
}

/// One value that did not pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The service named in the report.
    pub service_id: String,
    /// The property; `None` when the whole service was refused.
    pub property: Option<String>,
    /// Why.
    pub reason: MismatchReason,
}

#[derive(Clone, Debug)]
enum Rule {
    Whole { min: i64, max: i64 },
    Number { min: f64, max: f64 },
    Text { max_chars: usize, one_of: Box<[Box<str>]> },
    Time,
    Structure,
    Bool,
    Texts { max_chars: usize },
}

#[derive(Clone, Debug)]
struct CompiledValue {
    rule: Rule,
    writable: bool,
    required: bool,
}

#[derive(Clone, Debug)]
struct CompiledCommand {
    paras: HashMap<Box<str>, CompiledValue>,
}

/// The rules of one service.
#[derive(Clone, Debug)]
pub struct CompiledService {
    properties: HashMap<Box<str>, CompiledValue>,
    commands: HashMap<Box<str>, CompiledCommand>,
}

/// The rules of one product version.
#[derive(Clone, Debug, Default)]
pub struct CompiledModel {
    services: HashMap<Box<str>, CompiledService>,
    strictness: Strictness,
}

fn whole_bound(text: Option<&String>, default: i64, round: fn(f64) -> f64) -> i64 {
    match text.filter(|t| !t.is_empty()) {
        None => default,
        // `as` saturates, which is what a bound beyond i64 means.
        Some(t) => {
            t.trim().parse::<i64>().unwrap_or_else(|_| t.trim().parse::<f64>().map_or(default, |n| round(n) as i64))
        }
    }
}

fn number_bound(text: Option<&String>, default: f64) -> f64 {
    text.and_then(|t| t.trim().parse().ok()).unwrap_or(default)
}

fn rule_of(
    data_type: &str,
    min: Option<&String>,
    max: Option<&String>,
    max_length: Option<i64>,
    enum_list: Option<&Vec<String>>,
) -> Rule {
    let max_chars = max_length.filter(|n| *n > 0).and_then(|n| usize::try_from(n).ok()).unwrap_or(usize::MAX);
    let one_of = || enum_list.map(|l| l.iter().map(|s| s.as_str().into()).collect()).unwrap_or_default();
    match DataType::parse(data_type).unwrap_or(DataType::String) {
        DataType::Int => Rule::Whole {
            min: whole_bound(min, i64::from(i32::MIN), f64::ceil).max(i64::from(i32::MIN)),
            max: whole_bound(max, i64::from(i32::MAX), f64::floor).min(i64::from(i32::MAX)),
        },
        DataType::Long => {
            Rule::Whole { min: whole_bound(min, i64::MIN, f64::ceil), max: whole_bound(max, i64::MAX, f64::floor) }
        }
        DataType::Decimal => {
            Rule::Number { min: number_bound(min, f64::NEG_INFINITY), max: number_bound(max, f64::INFINITY) }
        }
        DataType::String => Rule::Text { max_chars, one_of: one_of() },
        DataType::Enum => Rule::Text { max_chars: usize::MAX, one_of: one_of() },
        DataType::DateTime => Rule::Time,
        DataType::JsonObject => Rule::Structure,
        DataType::Boolean => Rule::Bool,
        DataType::StringList => Rule::Texts { max_chars },
    }
}

impl CompiledValue {
    fn of_property(p: &ServiceProperty) -> Self {
        Self {
            rule: rule_of(&p.data_type, p.min.as_ref(), p.max.as_ref(), p.max_length, p.enum_list.as_ref()),
            writable: p.method.contains('W'),
            required: false,
        }
    }

    fn of_para(p: &ServiceCommandPara) -> Self {
        Self {
            rule: rule_of(&p.data_type, p.min.as_ref(), p.max.as_ref(), p.max_length, p.enum_list.as_ref()),
            writable: true,
            required: p.required.unwrap_or(false),
        }
    }

    /// Judges one raw JSON value (valid JSON by the caller's parser).
    fn judge(&self, raw: &str) -> Result<(), MismatchReason> {
        use MismatchReason::{NotInList, OutOfRange, TooDeep, TooLong, WrongType};
        let first = raw.as_bytes().first().copied().unwrap_or(b'n');
        match &self.rule {
            Rule::Whole { min, max } => {
                if !is_number_start(first) || raw.contains(['.', 'e', 'E']) {
                    return Err(WrongType);
                }
                let value = raw.parse::<i64>().map_err(|_| OutOfRange)?;
                if (*min..=*max).contains(&value) { Ok(()) } else { Err(OutOfRange) }
            }
            Rule::Number { min, max } => {
                if !is_number_start(first) {
                    return Err(WrongType);
                }
                let value = raw.parse::<f64>().map_err(|_| WrongType)?;
                if value.is_finite() && value >= *min && value <= *max { Ok(()) } else { Err(OutOfRange) }
            }
            Rule::Text { max_chars, one_of } => {
                if first != b'"' {
                    return Err(WrongType);
                }
                if *max_chars == usize::MAX && one_of.is_empty() {
                    return Ok(());
                }
                let text = text_of(raw);
                if text.chars().count() > *max_chars {
                    return Err(TooLong);
                }
                if one_of.is_empty() || one_of.iter().any(|o| **o == *text) { Ok(()) } else { Err(NotInList) }
            }
            Rule::Time => {
                if first != b'"' || Timestamp::parse(&text_of(raw)).is_none() {
                    return Err(WrongType);
                }
                Ok(())
            }
            Rule::Structure => match first {
                b'{' | b'[' if nests_deeper_than(raw, MAX_DEPTH) => Err(TooDeep),
                b'{' | b'[' => Ok(()),
                _ => Err(WrongType),
            },
            Rule::Bool => {
                if raw == "true" || raw == "false" {
                    Ok(())
                } else {
                    Err(WrongType)
                }
            }
            Rule::Texts { max_chars } => {
                let list: Vec<String> = serde_json::from_str(raw).map_err(|_| WrongType)?;
                if list.iter().any(|t| t.chars().count() > *max_chars) { Err(TooLong) } else { Ok(()) }
            }
        }
    }
}

fn is_number_start(first: u8) -> bool {
    first == b'-' || first.is_ascii_digit()
}

/// The text of a raw JSON string, borrowed when it holds no escapes.
fn text_of(raw: &str) -> std::borrow::Cow<'_, str> {
    let inner = raw.get(1..raw.len().saturating_sub(1)).unwrap_or_default();
    if inner.contains('\\') { serde_json::from_str::<String>(raw).unwrap_or_default().into() } else { inner.into() }
}

impl CompiledModel {
    /// Compiles a checked model.
    #[must_use]
    pub fn compile(services: &[ServiceCapability], strictness: Strictness) -> Self {
        let services = services
            .iter()
            .map(|s| {
                let properties = s
                    .properties
                    .iter()
                    .map(|p| (p.property_name.as_str().into(), CompiledValue::of_property(p)))
                    .collect();
                let commands = s
                    .commands
                    .iter()
                    .map(|c| {
                        let paras =
                            c.paras.iter().map(|p| (p.para_name.as_str().into(), CompiledValue::of_para(p))).collect();
                        (c.command_name.as_str().into(), CompiledCommand { paras })
                    })
                    .collect();
                (s.service_id.as_str().into(), CompiledService { properties, commands })
            })
            .collect();
        Self { services, strictness }
    }

    /// Judges one service of a report and keeps what passes.
    ///
    /// `properties` is the raw JSON object of the report. Returns the passing rest (possibly empty); each refused value
    /// goes to `refused`.
    ///
    /// # Errors
    /// [`Code::InvalidInput`] when `properties` is not a JSON object.
    pub fn admit(
        &self,
        service_id: &str,
        properties: &str,
        mut refused: impl FnMut(Mismatch),
    ) -> Result<PropertyObject, Error> {
        let service = self.services.get(service_id);
        let mismatch = |property: Option<&str>, reason| Mismatch {
            service_id: service_id.to_owned(),
            property: property.map(str::to_owned),
            reason,
        };
        if service.is_none() && self.strictness == Strictness::Strict {
            refused(mismatch(None, MismatchReason::UnknownService));
            // The object is still read, so that malformed input is told apart from a foreign service.
            each_entry(properties, |_, _| Ok(()))?;
            return Ok(PropertyObject::empty());
        }
        let mut kept = String::with_capacity(properties.len());
        kept.push('{');
        let mut names: smallvec::SmallVec<[std::borrow::Cow<'_, str>; 16]> = smallvec::SmallVec::new();
        let mut repeated = false;
        each_entry(properties, |name, raw| {
            let declared = service.and_then(|s| s.properties.get(&*name));
            let verdict = match declared {
                _ if !is_text(raw) => Err(MismatchReason::WrongType),
                Some(value) if self.strictness != Strictness::Off => value.judge(raw),
                None if self.strictness == Strictness::Strict => Err(MismatchReason::UnknownProperty),
                _ if !is_shadow_key(&name) => Err(MismatchReason::ForbiddenName),
                _ if nests_deeper_than(raw, MAX_DEPTH) => Err(MismatchReason::TooDeep),
                _ => Ok(()),
            };
            match verdict {
                Ok(()) => {
                    if kept.len() > 1 {
                        kept.push(',');
                    }
                    write_json_string(&mut kept, &name);
                    kept.push(':');
                    kept.push_str(raw);
                    repeated |= names.len() >= 64 || names.contains(&name);
                    names.push(name);
                }
                Err(reason) => refused(mismatch(Some(&name), reason)),
            }
            Ok(())
        })?;
        kept.push('}');
        if repeated {
            // Rare: a name stands twice (or there are too many to compare one by one); the last value wins.
            return PropertyObject::parse(&kept);
        }
        Ok(PropertyObject::trusted(kept))
    }

    /// Checks properties that an application wants to write.
    ///
    /// # Errors
    /// [`Code::NoSuchModel`] for an unknown service, [`Code::PropertyNotWritable`] for an unknown or read-only property,
    /// [`Code::InvalidInput`] for a value of the wrong type or range. A `null` (removal) passes.
    pub fn check_writable(&self, service_id: &str, properties: &PropertyObject) -> Result<(), Error> {
        let service = match self.services.get(service_id) {
            Some(service) => service,
            None if self.strictness == Strictness::Strict => return Err(no_such_service(service_id)),
            None => return Ok(()),
        };
        let mut outcome = Ok(());
        properties.for_each(|name, raw| {
            if outcome.is_err() {
                return;
            }
            outcome = match service.properties.get(name) {
                None if self.strictness != Strictness::Strict => Ok(()),
                None => Err(Error::new(
                    Code::PropertyNotWritable,
                    format!("The product model has no property '{name}' in service '{service_id}'."),
                )),
                Some(value) if !value.writable => Err(Error::new(
                    Code::PropertyNotWritable,
                    format!("Property '{name}' of service '{service_id}' is not writable; its method lacks W."),
                )),
                Some(_) if raw == "null" || self.strictness == Strictness::Off => Ok(()),
                Some(value) => value.judge(raw).map_err(|reason| {
                    Error::invalid(format!(
                        "Invalid input. Property '{name}' of service '{service_id}' does not match the product model: {}.",
                        reason.as_str()
                    ))
                }),
            };
        });
        outcome
    }

    /// Checks that the product has the service.
    ///
    /// # Errors
    /// [`Code::NoSuchModel`].
    pub fn check_service(&self, service_id: &str) -> Result<(), Error> {
        if self.strictness == Strictness::Strict && !self.services.contains_key(service_id) {
            return Err(no_such_service(service_id));
        }
        Ok(())
    }

    /// Checks a command and its parameters. A product without any declared command of the service takes all.
    ///
    /// # Errors
    /// [`Code::NoSuchModel`] for an unknown service, [`Code::InvalidCommand`] for an unknown command, a missing or a
    /// mismatching parameter.
    pub fn check_command(&self, service_id: &str, command: &str, paras: &PropertyObject) -> Result<(), Error> {
        if self.strictness == Strictness::Off {
            return Ok(());
        }
        let Some(service) = self.services.get(service_id) else {
            return self.check_service(service_id);
        };
        let Some(declared) = service.commands.get(command) else {
            if self.strictness == Strictness::Lenient {
                return Ok(());
            }
            return Err(Error::new(
                Code::InvalidCommand,
                format!(
                    "Invalid parameter 'commandName'. Service '{service_id}' of the product model has no command '{command}'."
                ),
            ));
        };
        let mut outcome = Ok(());
        let mut given: Vec<String> = Vec::new();
        paras.for_each(|name, raw| {
            given.push(name.to_owned());
            if outcome.is_err() {
                return;
            }
            if let Some(value) = declared.paras.get(name)
                && let Err(reason) = value.judge(raw)
            {
                outcome = Err(Error::new(
                    Code::InvalidCommand,
                    format!("Invalid parameter '{name}'. It does not match the product model: {}.", reason.as_str()),
                ));
            }
        });
        outcome?;
        if let Some((missing, _)) =
            declared.paras.iter().find(|(n, v)| v.required && !given.iter().any(|g| **g == ***n))
        {
            return Err(Error::new(
                Code::InvalidCommand,
                format!("Invalid parameter '{missing}'. The command requires it."),
            ));
        }
        Ok(())
    }
}

fn no_such_service(service_id: &str) -> Error {
    Error::new(Code::NoSuchModel, format!("The product model has no service '{service_id}'."))
}

#[cfg(test)]
#[path = "compiled_tests.rs"]
mod tests;
