//! Checks a model document before it is stored: names, types, ranges, sizes.

use std::collections::HashSet;

use super::document::{DataType, ServiceCapability, ServiceCommandPara};
use crate::error::{Code, Error};

/// Most services a product may have, and most properties, commands or events a service may have.
const MAX_ITEMS: usize = 500;

fn refuse(place: &str, rule: &str) -> Error {
    Error::new(Code::InvalidModel, format!("Invalid product model. {place} {rule}"))
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

fn check_value(place: &str, rule: &ValueRule<'_>) -> Result<(), Error> {
    let Some(data_type) = DataType::parse(rule.data_type) else {
        return Err(refuse(
            place,
            &format!(
                "has the data_type '{}'; it must be int, long, decimal, string, DateTime, jsonObject, enum, boolean or string list.",
                rule.data_type
            ),
        ));
    };
    let bound = |name: &str, text: Option<&str>| -> Result<Option<f64>, Error> {
        match text.filter(|t| !t.is_empty()) {
            None => Ok(None),
            Some(t) => t
                .trim()
                .parse::<f64>()
                .ok()
                .filter(|n| n.is_finite() && t.len() <= 32)
                .map(Some)
                .ok_or_else(|| refuse(place, &format!("has the {name} '{t}', which is not a number."))),
        }
    };
    if matches!(data_type, DataType::Int | DataType::Long | DataType::Decimal) {
        let (min, max) = (bound("min", rule.min)?, bound("max", rule.max)?);
        if let (Some(min), Some(max)) = (min, max)
            && min > max
        {
            return Err(refuse(place, "has a min that is larger than its max."));
        }
    }
    if rule.max_length.is_some_and(|n| n < 0) {
        return Err(refuse(place, "has a negative max_length."));
    }
    if data_type == DataType::Enum && rule.enum_list.is_none_or(<[String]>::is_empty) {
        return Err(refuse(place, "is an enum and needs an enum_list."));
    }
    Ok(())
}

fn check_paras(place: &str, paras: &[ServiceCommandPara]) -> Result<(), Error> {
    let mut seen = HashSet::new();
    for para in paras {
        let place = format!("{place}, parameter '{}'", para.para_name);
        if !is_name(&para.para_name, 64) {
            return Err(refuse(&place, "needs a para_name of 1 to 64 characters."));
        }
        if !seen.insert(para.para_name.as_str()) {
            return Err(refuse(&place, "stands twice in its list."));
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
        )?;
    }
    Ok(())
}

fn check_service(service: &ServiceCapability) -> Result<(), Error> {
    let place = format!("Service '{}'", service.service_id);
    if !is_name(&service.service_id, 64) || service.service_id.contains('.') {
        return Err(refuse(&place, "needs a service_id of 1 to 64 letters, digits or _?'#(),&%@!- characters."));
    }
    for (what, count) in [
        ("properties", service.properties.len()),
        ("commands", service.commands.len()),
        ("events", service.events.len()),
    ] {
        if count > MAX_ITEMS {
            return Err(refuse(&place, &format!("has more than {MAX_ITEMS} {what}.")));
        }
    }
    let mut seen = HashSet::new();
    for property in &service.properties {
        let place = format!("{place}, property '{}'", property.property_name);
        if !is_name(&property.property_name, 64) || !crate::shadow::is_shadow_key(&property.property_name) {
            return Err(refuse(&place, "needs a property_name of 1 to 64 characters without '.' and '$'."));
        }
        if !seen.insert(property.property_name.as_str()) {
            return Err(refuse(&place, "stands twice in the service."));
        }
        let method = &property.method;
        if method.is_empty() || method.len() > 3 || !method.chars().all(|c| "RWE".contains(c)) {
            return Err(refuse(&place, "needs a method: R, W, E, RW, RE, WE or RWE."));
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
        )?;
    }
    let mut seen = HashSet::new();
    for command in &service.commands {
        let place = format!("{place}, command '{}'", command.command_name);
        if !is_name(&command.command_name, 64) {
            return Err(refuse(&place, "needs a command_name of 1 to 64 characters."));
        }
        if !seen.insert(command.command_name.as_str()) {
            return Err(refuse(&place, "stands twice in the service."));
        }
        check_paras(&place, &command.paras)?;
        for response in &command.responses {
            check_paras(&format!("{place}, response '{}'", response.response_name), &response.paras)?;
        }
    }
    for event in &service.events {
        let place = format!("{place}, event '{}'", event.event_type);
        if !is_name(&event.event_type, 64) {
            return Err(refuse(&place, "needs an event_type of 1 to 64 characters."));
        }
        check_paras(&place, &event.paras)?;
    }
    Ok(())
}

/// Checks a whole model.
///
/// # Errors
/// [`Code::InvalidModel`] with the place and the rule.
pub fn check_model(services: &[ServiceCapability]) -> Result<(), Error> {
    if services.len() > MAX_ITEMS {
        return Err(refuse("The product", &format!("has more than {MAX_ITEMS} services.")));
    }
    let mut seen = HashSet::new();
    for service in services {
        check_service(service)?;
        if !seen.insert(service.service_id.as_str()) {
            return Err(refuse(&format!("Service '{}'", service.service_id), "stands twice in the product."));
        }
    }
    Ok(())
}
