//! Checks a model document before it is stored: names, types, ranges, sizes.

use std::collections::HashSet;

use super::document::{DataType, ServiceCapability, ServiceCommandPara};
use crate::error::{Code, Error, Fault};

/// Most services a product may have, and most properties, commands or events a service may have.
const MAX_ITEMS: usize = 500;

/// What was found so far.
#[derive(Default)]
struct Faults(Vec<Fault>);

impl Faults {
    fn add(&mut self, place: &str, rule: impl Into<String>) {
        // One more than an error shows, so that a hostile model costs no more memory than an honest one.
        if self.0.len() <= Error::MAX_FAULTS {
            self.0.push(Fault::at(place, rule));
        }
    }
}

/// The vendor's name charset `T`: letters of any script, digits and `_?'#().,&%@!-` (`iotda-v5-api.md` §1.6); spaces
/// are let through because the vendor's own sample models hold them.
fn is_name(text: &str, max: usize) -> bool {
    let count = text.chars().count();
    (1..=max).contains(&count) && text.chars().all(|c| c.is_alphanumeric() || "_?'#().,&%@!- $/:".contains(c))
}

struct ValueRule<'a> {
    data_type: &'a str,
    min: Option<&'a str>,
    max: Option<&'a str>,
    max_length: Option<i64>,
    enum_list: Option<&'a [String]>,
}

fn check_value(place: &str, rule: &ValueRule<'_>, faults: &mut Faults) {
    let Some(data_type) = DataType::parse(rule.data_type) else {
        let rule = format!(
            "has the data_type '{}'; it must be int, long, decimal, string, DateTime, jsonObject, enum, boolean or string list.",
            shown(rule.data_type)
        );
        return faults.add(place, rule);
    };
    let mut bound = |name: &str, text: Option<&str>| -> Option<f64> {
        let text = text.filter(|t| !t.is_empty())?;
        let number = text.trim().parse::<f64>().ok().filter(|n| n.is_finite() && text.len() <= 32);
        if number.is_none() {
            faults.add(place, format!("has the {name} '{}', which is not a number.", shown(text)));
        }
        number
    };
    if matches!(data_type, DataType::Int | DataType::Long | DataType::Decimal) {
        let (min, max) = (bound("min", rule.min), bound("max", rule.max));
        if let (Some(min), Some(max)) = (min, max)
            && min > max
        {
            faults.add(place, "has a min that is larger than its max.");
        }
    }
    if rule.max_length.is_some_and(|n| n < 0) {
        faults.add(place, "has a negative max_length.");
    }
    if data_type == DataType::Enum && rule.enum_list.is_none_or(<[String]>::is_empty) {
        faults.add(place, "is an enum and needs an enum_list.");
    }
}

fn check_paras(place: &str, paras: &[ServiceCommandPara], faults: &mut Faults) {
    let mut seen = HashSet::new();
    for para in paras {
        let place = format!("{place}, parameter '{}'", shown(&para.para_name));
        if !is_name(&para.para_name, 64) {
            faults.add(&place, "needs a para_name of 1 to 64 characters.");
        }
        if !seen.insert(para.para_name.as_str()) {
            faults.add(&place, "stands twice in its list.");
        }
        check_value(
            &place,
            &ValueRule {
                data_type: &para.data_type,
                min: para.min.as_deref(),
                max: para.max.as_deref(),
                max_length: para.max_length,
                enum_list: para.enum_list.as_deref(),
            },
            faults,
        );
    }
}

fn check_service(service: &ServiceCapability, faults: &mut Faults) {
    let place = format!("Service '{}'", shown(&service.service_id));
    if !is_name(&service.service_id, 64) || service.service_id.contains('.') {
        faults.add(&place, "needs a service_id of 1 to 64 letters, digits or _?'#(),&%@!- characters.");
    }
    for (what, count) in [
        ("properties", service.properties.len()),
        ("commands", service.commands.len()),
        ("events", service.events.len()),
    ] {
        if count > MAX_ITEMS {
            return faults.add(&place, format!("has more than {MAX_ITEMS} {what}."));
        }
    }
    let mut seen = HashSet::new();
    for property in &service.properties {
        let place = format!("{place}, property '{}'", shown(&property.property_name));
        if !is_name(&property.property_name, 64) || !crate::shadow::is_shadow_key(&property.property_name) {
            faults.add(&place, "needs a property_name of 1 to 64 characters without '.' and '$'.");
        }
        if !seen.insert(property.property_name.as_str()) {
            faults.add(&place, "stands twice in the service.");
        }
        let method = &property.method;
        if method.is_empty() || method.len() > 3 || !method.chars().all(|c| "RWE".contains(c)) {
            faults.add(&place, "needs a method: R, W, E, RW, RE, WE or RWE.");
        }
        check_value(
            &place,
            &ValueRule {
                data_type: &property.data_type,
                min: property.min.as_deref(),
                max: property.max.as_deref(),
                max_length: property.max_length,
                enum_list: property.enum_list.as_deref(),
            },
            faults,
        );
    }
    let mut seen = HashSet::new();
    for command in &service.commands {
        let place = format!("{place}, command '{}'", shown(&command.command_name));
        if !is_name(&command.command_name, 64) {
            faults.add(&place, "needs a command_name of 1 to 64 characters.");
        }
        if !seen.insert(command.command_name.as_str()) {
            faults.add(&place, "stands twice in the service.");
        }
        check_paras(&place, &command.paras, faults);
        for response in &command.responses {
            check_paras(&format!("{place}, response '{}'", shown(&response.response_name)), &response.paras, faults);
        }
    }
    for event in &service.events {
        let place = format!("{place}, event '{}'", shown(&event.event_type));
        if !is_name(&event.event_type, 64) {
            faults.add(&place, "needs an event_type of 1 to 64 characters.");
        }
        check_paras(&place, &event.paras, faults);
    }
}

/// Everything that is wrong with a model, with its place; empty for a sound one.
#[must_use]
pub fn model_faults(services: &[ServiceCapability]) -> Vec<Fault> {
    let mut faults = Faults::default();
    if services.len() > MAX_ITEMS {
        faults.add("The product", format!("has more than {MAX_ITEMS} services."));
        return faults.0;
    }
    let mut seen = HashSet::new();
    for service in services {
        check_service(service, &mut faults);
        if !seen.insert(service.service_id.as_str()) {
            faults.add(&format!("Service '{}'", shown(&service.service_id)), "stands twice in the product.");
        }
    }
    faults.0
}

/// Checks a whole model.
///
/// # Errors
/// [`Code::InvalidModel`] with every fault and its place.
pub fn check_model(services: &[ServiceCapability]) -> Result<(), Error> {
    let faults = model_faults(services);
    if faults.is_empty() { Ok(()) } else { Err(Error::of_faults(Code::InvalidModel, "Invalid product model.", faults)) }
}

/// As much of a foreign text as an error repeats.
fn shown(text: &str) -> String {
    text.chars().take(64).collect()
}
