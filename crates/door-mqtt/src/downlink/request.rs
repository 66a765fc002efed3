//! Commands and property calls: topic and payload (002 §2.1.2.8.3, §2.1.2.8.4, §2.1.2.10.1).

use causeway_model::properties::{PropertyObject, write_json_string};

/// `$oc/devices/{own}/sys/{path}/request_id={id}`.
pub(crate) fn topic(own_id: &str, path: &str, request_id: &str) -> String {
    ["$oc/devices/", own_id, "/sys/", path, "/request_id=", request_id].concat()
}

fn object(object_device_id: &str, room: usize) -> String {
    let mut out = String::with_capacity(64 + object_device_id.len() + room);
    out.push_str(r#"{"object_device_id":"#);
    write_json_string(&mut out, object_device_id);
    out
}

/// The payload of a command: all four members, because the C SDK reads "-1" for a missing one.
pub(crate) fn command(object_device_id: &str, service_id: &str, command_name: &str, paras: &str) -> String {
    let mut out = object(object_device_id, service_id.len() + command_name.len() + paras.len());
    out.push_str(r#","service_id":"#);
    write_json_string(&mut out, service_id);
    out.push_str(r#","command_name":"#);
    write_json_string(&mut out, command_name);
    out.push_str(r#","paras":"#);
    out.push_str(paras);
    out.push('}');
    out
}

/// The payload of a property set.
pub(crate) fn property_set(object_device_id: &str, services: &[(String, PropertyObject)]) -> String {
    let mut out = object(object_device_id, services.iter().map(|(id, p)| id.len() + p.as_str().len() + 36).sum());
    out.push_str(r#","services":["#);
    for (i, (service_id, properties)) in services.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        out.push_str(r#"{"service_id":"#);
        write_json_string(&mut out, service_id);
        out.push_str(r#","properties":"#);
        out.push_str(properties.as_str());
        out.push('}');
    }
    out.push_str("]}");
    out
}

/// The payload of a property get; without a service the member is left out, because the Python SDK takes null for the
/// name of a service.
pub(crate) fn property_get(object_device_id: &str, service_id: Option<&str>) -> String {
    let mut out = object(object_device_id, service_id.map_or(0, str::len));
    if let Some(service_id) = service_id.filter(|id| !id.is_empty()) {
        out.push_str(r#","service_id":"#);
        write_json_string(&mut out, service_id);
    }
    out.push('}');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_as_the_guide_shows_them() {
        assert_eq!(topic("d", "commands", "r"), "$oc/devices/d/sys/commands/request_id=r");
        assert_eq!(
            command("d", "WaterMeter", "ON\"OFF", r#"{"value":"1"}"#),
            r#"{"object_device_id":"d","service_id":"WaterMeter","command_name":"ON\"OFF","paras":{"value":"1"}}"#
        );
        let properties = |text| PropertyObject::parse(text).expect("object");
        assert_eq!(
            property_set("d", &[("a".to_owned(), properties(r#"{"v":57}"#)), ("b".to_owned(), properties("{}"))]),
            r#"{"object_device_id":"d","services":[{"service_id":"a","properties":{"v":57}},{"service_id":"b","properties":{}}]}"#
        );
        assert_eq!(property_get("d", None), r#"{"object_device_id":"d"}"#);
        assert_eq!(property_get("d", Some("")), r#"{"object_device_id":"d"}"#);
        assert_eq!(property_get("d", Some("s")), r#"{"object_device_id":"d","service_id":"s"}"#);
    }
}
