//! From the vendor's zip to a model.

use std::collections::{BTreeMap, HashSet};
use std::io::{Cursor, Read as _};

use causeway_model::Error;
use causeway_model::product::{
    ServiceCapability, ServiceCommand, ServiceCommandPara, ServiceCommandResponse, ServiceEvent, ServiceProperty,
};
use serde_json::Value;

use super::fields::{Faults, Fields};
use crate::{MAX_UNPACKED, ModelFile, ProductHead, sound, unreadable};

/// Entries of a zip that are looked at: 500 services and what may lie beside them.
const MAX_ENTRIES: usize = 4000;

const DEVICE_FILE: &str = "devicetype-capability.json";
const SERVICE_FILE: &str = "servicetype-capability.json";

/// Reads a zip.
///
/// # Errors
/// [`Code::InvalidModel`](causeway_model::Code::InvalidModel) with every fault and its place.
pub fn read(bytes: &[u8]) -> Result<ModelFile, Error> {
    let mut faults = Faults::default();
    let files = unpack(bytes, &mut faults)?;
    let mut devices = files.iter().filter(|(name, _)| has_name(name, DEVICE_FILE));
    let Some((name, device_file)) = devices.next() else {
        return Err(unreadable(&format!("The zip has no file profile/{DEVICE_FILE}.")));
    };
    if let Some((second, _)) = devices.next() {
        faults.add(second, format!("stands beside {name}; a zip holds one {DEVICE_FILE}."));
    }
    let Some(root) = Fields::of(device_file, name.clone(), &mut faults) else {
        return sound(ProductHead::default(), Vec::new(), faults.0);
    };
    let heads = root.objects("devices", &mut faults, read_head);
    let types = service_types(&files, &mut faults);
    let Some((product, listed)) = heads.into_iter().next() else {
        faults.add(&format!("{name}.devices"), "must hold one device.");
        return sound(ProductHead::default(), Vec::new(), faults.0);
    };
    let mut used = HashSet::new();
    let mut services = Vec::with_capacity(listed.len());
    for entry in listed {
        match types.get(&entry.service_type) {
            Some((_, found)) => {
                used.insert(entry.service_type.clone());
                services.push(ServiceCapability {
                    service_id: entry.service_id,
                    service_type: entry.service_type,
                    option: entry.option,
                    ..found.clone()
                });
            }
            None => faults.add(
                &entry.place,
                format!("names the service type '{}', for which the zip has no {SERVICE_FILE}.", entry.service_type),
            ),
        }
    }
    for (service_type, (place, _)) in &types {
        if !used.contains(service_type) {
            faults.add(place, format!("describes the service type '{service_type}', which {name} does not list."));
        }
    }
    sound(product, services, faults.0)
}

/// Whether the last part of an entry's name is this file, in any spelling.
fn has_name(entry: &str, file: &str) -> bool {
    entry.rsplit('/').next().is_some_and(|last| last.eq_ignore_ascii_case(file))
}

/// The JSON files of the zip that count, parsed.
fn unpack(bytes: &[u8], faults: &mut Faults) -> Result<BTreeMap<String, Value>, Error> {
    let damaged = |e: &dyn std::fmt::Display| unreadable(&format!("The zip is damaged: {e}."));
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(|e| damaged(&e))?;
    if archive.len() > MAX_ENTRIES {
        return Err(unreadable(&format!("The zip holds more than {MAX_ENTRIES} files.")));
    }
    let mut files = BTreeMap::new();
    let mut room = MAX_UNPACKED;
    for i in 0..archive.len() {
        let mut entry = archive.by_index(i).map_err(|e| damaged(&e))?;
        let name = entry.name().replace('\\', "/");
        if !has_name(&name, DEVICE_FILE) && !has_name(&name, SERVICE_FILE) {
            continue;
        }
        let mut text = Vec::new();
        // What the zip says of its sizes is not believed.
        entry.by_ref().take(room + 1).read_to_end(&mut text).map_err(|e| damaged(&e))?;
        room = room.checked_sub(text.len() as u64).ok_or_else(|| unreadable("The zip unpacks to too much."))?;
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&text);
        match serde_json::from_slice(text) {
            Ok(value) => drop(files.insert(name, value)),
            Err(e) => {
                faults.add(&format!("{name}, line {}, column {}", e.line(), e.column()), format!("is not JSON: {e}."))
            }
        }
    }
    Ok(files)
}

/// A service as the device lists it.
struct Listed {
    place: String,
    service_id: String,
    service_type: String,
    option: Option<String>,
}

fn read_head(device: Fields<'_>, faults: &mut Faults) -> (ProductHead, Vec<Listed>) {
    let listed = device.objects("serviceTypeCapabilities", faults, |entry, faults| {
        let service_id = entry.needed("serviceId", faults);
        let service_type =
            entry.text("serviceType", faults).filter(|t| !t.is_empty()).unwrap_or_else(|| service_id.clone());
        Listed { service_id, service_type, option: entry.text("option", faults), place: entry.place }
    });
    let manufacturer = device.text("manufacturerName", faults).or_else(|| device.text("manufacturerId", faults));
    let head = ProductHead {
        device_type: device.text("deviceType", faults),
        protocol_type: device.text("protocolType", faults),
        manufacturer_name: manufacturer,
    };
    (head, listed)
}

/// The service types of the zip, with the place of each.
fn service_types(
    files: &BTreeMap<String, Value>,
    faults: &mut Faults,
) -> BTreeMap<String, (String, ServiceCapability)> {
    let mut types = BTreeMap::new();
    for (name, value) in files.iter().filter(|(name, _)| has_name(name, SERVICE_FILE)) {
        let Some(root) = Fields::of(value, name.clone(), faults) else { continue };
        for (place, service) in
            root.objects("services", faults, |s, faults| (s.place.clone(), read_service(&s, faults)))
        {
            let service_type = service.service_type.clone();
            if let Some((first, _)) = types.get(&service_type) {
                faults.add(&place, format!("describes the service type '{service_type}' again, after {first}."));
            } else {
                types.insert(service_type, (place, service));
            }
        }
    }
    types
}

fn read_service(service: &Fields<'_>, faults: &mut Faults) -> ServiceCapability {
    ServiceCapability {
        service_id: String::new(),
        service_type: service.needed("serviceType", faults),
        properties: service.objects("properties", faults, |p, faults| read_property(&p, faults)),
        commands: service.objects("commands", faults, |c, faults| ServiceCommand {
            command_name: c.needed("commandName", faults),
            paras: read_paras(&c, faults),
            responses: c.objects("responses", faults, |r, faults| ServiceCommandResponse {
                response_name: r.needed("responseName", faults),
                paras: read_paras(&r, faults),
            }),
        }),
        events: service.objects("events", faults, |e, faults| ServiceEvent {
            event_type: e.needed("eventType", faults),
            paras: read_paras(&e, faults),
        }),
        description: service.text("description", faults),
        option: None,
    }
}

fn read_property(p: &Fields<'_>, faults: &mut Faults) -> ServiceProperty {
    ServiceProperty {
        property_name: p.needed("propertyName", faults),
        data_type: p.needed("dataType", faults),
        required: p.flag("required", faults),
        enum_list: p.texts("enumList", faults),
        min: p.text("min", faults),
        max: p.text("max", faults),
        max_length: p.whole("maxLength", faults),
        step: p.number("step", faults),
        unit: p.text("unit", faults),
        method: p.needed("method", faults),
        description: p.text("description", faults),
        default_value: p.any("defaultValue"),
    }
}

fn read_paras(list: &Fields<'_>, faults: &mut Faults) -> Vec<ServiceCommandPara> {
    list.objects("paras", faults, |p, faults| ServiceCommandPara {
        para_name: p.needed("paraName", faults),
        data_type: p.needed("dataType", faults),
        required: p.flag("required", faults),
        enum_list: p.texts("enumList", faults),
        min: p.text("min", faults),
        max: p.text("max", faults),
        max_length: p.whole("maxLength", faults),
        step: p.number("step", faults),
        unit: p.text("unit", faults),
        description: p.text("description", faults),
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn zipped(files: &[(&str, &str)]) -> Vec<u8> {
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, text) in files {
            zip.start_file(*name, zip::write::SimpleFileOptions::default()).expect("a file");
            zip.write_all(text.as_bytes()).expect("its text");
        }
        zip.finish().expect("a zip").into_inner()
    }

    const DEVICE: &str = r#"{"devices":[{"manufacturerId":"TestUtf8ManuId","manufacturerName":"HZYB","protocolType":"CoAP",
        "deviceType":"WaterMeter","omCapability":{"upgradeCapability":{"supportUpgrade":true}},
        "serviceTypeCapabilities":[{"serviceId":"Basic","serviceType":"WaterMeterBasic","option":"Mandatory"}]}]}"#;
    const SERVICE: &str = r#"{"services":[{"serviceType":"WaterMeterBasic","description":"meter","commands":[{
        "commandName":"SET_PERIOD","paras":[{"paraName":"value","dataType":"int","required":true,"min":1,"max":24,
        "step":1,"maxLength":10,"unit":"hour","enumList":null}],"responses":[{"responseName":"SET_PERIOD_RSP","paras":[
        {"paraName":"result","dataType":"int","required":true,"min":-1000000,"max":1000000,"step":1,"maxLength":10,
        "unit":null,"enumList":null}]}]}],"properties":[{"propertyName":"registerFlow","dataType":"dateTime",
        "required":true,"min":"0","max":0,"step":1,"maxLength":0,"method":"R","unit":null,"enumList":null}]}]}"#;

    #[test]
    fn the_vendors_sample_is_read() {
        let bytes = zipped(&[
            ("WaterMeter_HZYB/profile/devicetype-capability.json", DEVICE),
            ("WaterMeter_HZYB/service/WaterMeterBasic/profile/serviceType-capability.json", SERVICE),
            ("WaterMeter_HZYB/codec/plugin.jar", "…"),
        ]);
        let file = read(&bytes).expect("sound");
        assert_eq!(file.product.manufacturer_name.as_deref(), Some("HZYB"));
        assert_eq!(file.product.protocol_type.as_deref(), Some("CoAP"));
        let service = &file.services[0];
        assert_eq!((service.service_id.as_str(), service.service_type.as_str()), ("Basic", "WaterMeterBasic"));
        assert_eq!(service.option.as_deref(), Some("Mandatory"));
        assert_eq!(service.properties[0].data_type, "DateTime");
        assert_eq!(service.properties[0].min.as_deref(), Some("0"));
        assert_eq!(service.commands[0].paras[0].max.as_deref(), Some("24"));
        assert_eq!(service.commands[0].responses[0].response_name, "SET_PERIOD_RSP");
    }

    #[test]
    fn every_fault_is_told_with_its_place() {
        let service = r#"{"services":[{"serviceType":"S","properties":[
            {"dataType":"int","method":"R"},{"propertyName":"b","dataType":"float","method":"Q","maxLength":"x"},7]}]}"#;
        let device = r#"{"devices":[{"serviceTypeCapabilities":[{"serviceId":"S"},{"serviceId":"T"}]}]}"#;
        let bytes = zipped(&[
            ("profile/devicetype-capability.json", device),
            ("service/S/profile/servicetype-capability.json", service),
            ("service/U/profile/servicetype-capability.json", "{\"services\": [,]}"),
        ]);
        let error = read(&bytes).expect_err("full of faults");
        let places: Vec<&str> = error.faults().iter().map(|f| f.place.as_str()).collect();
        let s = "service/S/profile/servicetype-capability.json.services[0].properties";
        for expected in [
            "service/U/profile/servicetype-capability.json, line 1, column 15".to_owned(),
            format!("{s}[0].propertyName"),
            format!("{s}[1].maxLength"),
            format!("{s}[2]"),
            "profile/devicetype-capability.json.devices[0].serviceTypeCapabilities[1]".to_owned(),
            "Service 'S', property 'b'".to_owned(),
        ] {
            assert!(places.contains(&expected.as_str()), "{expected} in {places:?}");
        }
    }

    #[test]
    fn a_bomb_is_not_unpacked() {
        let huge = " ".repeat(17 << 20);
        let bytes = zipped(&[("profile/devicetype-capability.json", &huge)]);
        assert!(bytes.len() < 100_000);
        assert!(read(&bytes).expect_err("a bomb").message().contains("unpacks to too much"));
    }
}
