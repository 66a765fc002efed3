//! From a model to the vendor's zip.

use std::collections::HashMap;
use std::io::{Cursor, Write as _};

use causeway_model::Error;
use causeway_model::product::{ServiceCapability, ServiceCommandPara, ServiceProperty};
use serde_json::{Value, json};

use crate::ModelFile;

/// Writes a zip. Two services of one type that differ become two types, named after the services: the format has one
/// file a type.
///
/// # Errors
/// Internal, when the zip cannot be written.
pub fn write(file: &ModelFile) -> Result<Vec<u8>, Error> {
    let mut first: HashMap<&str, &ServiceCapability> = HashMap::new();
    let mut types: Vec<(String, &ServiceCapability)> = Vec::new();
    let mut listed = Vec::new();
    for service in &file.services {
        let own_type = service.service_type.as_str();
        let service_type = match first.get(own_type) {
            None => {
                first.insert(own_type, service);
                types.push((own_type.to_owned(), service));
                own_type.to_owned()
            }
            Some(known) if same_type(known, service) => own_type.to_owned(),
            Some(_) => {
                types.push((service.service_id.clone(), service));
                service.service_id.clone()
            }
        };
        listed.push(without_nulls(json!({
            "serviceId": service.service_id, "serviceType": service_type, "option": service.option,
        })));
    }
    let device = without_nulls(json!({
        "manufacturerId": file.product.manufacturer_name,
        "manufacturerName": file.product.manufacturer_name,
        "protocolType": file.product.protocol_type,
        "deviceType": file.product.device_type,
        "serviceTypeCapabilities": listed,
    }));
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let mut add = |name: &str, value: &Value| -> Result<(), Error> {
        let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
        zip.start_file(name, options).map_err(Error::internal)?;
        zip.write_all(&serde_json::to_vec_pretty(value).map_err(Error::internal)?).map_err(Error::internal)
    };
    add("profile/devicetype-capability.json", &json!({ "devices": [device] }))?;
    for (service_type, service) in &types {
        let value = json!({ "services": [service_json(service_type, service)] });
        add(&format!("service/{}/profile/servicetype-capability.json", folder(service_type)), &value)?;
    }
    Ok(zip.finish().map_err(Error::internal)?.into_inner())
}

/// Whether one description serves both services.
fn same_type(a: &ServiceCapability, b: &ServiceCapability) -> bool {
    (&a.properties, &a.commands, &a.events, &a.description) == (&b.properties, &b.commands, &b.events, &b.description)
}

/// A name that is a folder's on every system; the type itself stands in the file.
fn folder(service_type: &str) -> String {
    service_type.chars().map(|c| if c.is_alphanumeric() || "_-".contains(c) { c } else { '_' }).collect()
}

fn service_json(service_type: &str, service: &ServiceCapability) -> Value {
    let commands: Vec<Value> = service
        .commands
        .iter()
        .map(|c| {
            let responses = c.responses.iter().map(|r| json!({ "responseName": r.response_name, "paras": paras(&r.paras) }));
            json!({ "commandName": c.command_name, "paras": paras(&c.paras), "responses": responses.collect::<Vec<_>>() })
        })
        .collect();
    let events: Vec<Value> =
        service.events.iter().map(|e| json!({ "eventType": e.event_type, "paras": paras(&e.paras) })).collect();
    let mut made = without_nulls(json!({
        "serviceType": service_type,
        "description": service.description,
        "commands": commands,
        "properties": service.properties.iter().map(property).collect::<Vec<_>>(),
    }));
    // The vendor's format has no events; other readers pass over a list that is there only when it is needed.
    if !events.is_empty() {
        made["events"] = Value::from(events);
    }
    made
}

fn property(p: &ServiceProperty) -> Value {
    without_nulls(json!({
        "propertyName": p.property_name, "dataType": p.data_type, "required": p.required, "enumList": p.enum_list,
        "min": p.min, "max": p.max, "maxLength": p.max_length, "step": p.step, "unit": p.unit, "method": p.method,
        "description": p.description, "defaultValue": p.default_value,
    }))
}

fn paras(paras: &[ServiceCommandPara]) -> Vec<Value> {
    let para = |p: &ServiceCommandPara| {
        without_nulls(json!({
            "paraName": p.para_name, "dataType": p.data_type, "required": p.required, "enumList": p.enum_list,
            "min": p.min, "max": p.max, "maxLength": p.max_length, "step": p.step, "unit": p.unit,
            "description": p.description,
        }))
    };
    paras.iter().map(para).collect()
}

fn without_nulls(mut value: Value) -> Value {
    if let Some(object) = value.as_object_mut() {
        object.retain(|_, v| !v.is_null());
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ProductHead;

    #[test]
    fn services_of_one_type_share_a_file_only_when_they_are_the_same() {
        let service = |id: &str, description: &str| ServiceCapability {
            service_id: id.to_owned(),
            service_type: "T".to_owned(),
            description: Some(description.to_owned()),
            ..ServiceCapability::default()
        };
        let services = vec![service("a", "x"), service("b", "x"), service("c", "y")];
        let zip = write(&ModelFile { product: ProductHead::default(), services }).expect("a zip");
        let back = super::super::read(&zip).expect("reads back").services;
        let told: Vec<_> = back.iter().map(|s| (s.service_id.as_str(), s.service_type.as_str())).collect();
        assert_eq!(told, [("a", "T"), ("b", "T"), ("c", "c")]);
        assert_eq!(back[2].description.as_deref(), Some("y"));
    }
}
