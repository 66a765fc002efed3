//! `$sub_device_manager` and `$sub_device_discovery` (002 §2.1.2.7). Fields that are null or "" count as absent: the
//! Python SDK sends "" for what is not set.

use causeway_model::service_event::{EventBody, FoundDevice, GatewayEvent, NewSubDevice, SubDeviceChange};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::{Event, filled};

/// A text that is there and not empty.
fn text<'de, D: Deserializer<'de>>(d: D) -> Result<Option<String>, D::Error> {
    Ok(filled(Option::<String>::deserialize(d)?))
}

/// A text; null is "".
fn required<'de, D: Deserializer<'de>>(d: D) -> Result<String, D::Error> {
    Ok(Option::<String>::deserialize(d)?.unwrap_or_default())
}

/// JSON that is there: neither null nor "".
fn json<'de, D: Deserializer<'de>>(d: D) -> Result<Option<String>, D::Error> {
    let raw = Option::<Box<RawValue>>::deserialize(d)?;
    Ok(raw.map(|raw| raw.get().to_owned()).filter(|text| !matches!(text.as_str(), "null" | "\"\"")))
}

#[derive(Deserialize)]
struct New {
    #[serde(default, deserialize_with = "text")]
    parent_device_id: Option<String>,
    #[serde(default, deserialize_with = "required")]
    node_id: String,
    #[serde(default, deserialize_with = "text")]
    device_id: Option<String>,
    #[serde(default, deserialize_with = "text")]
    name: Option<String>,
    #[serde(default, deserialize_with = "text")]
    description: Option<String>,
    #[serde(default, deserialize_with = "required")]
    product_id: String,
    #[serde(default, deserialize_with = "json")]
    extension_info: Option<String>,
}

#[derive(Deserialize)]
struct Changed {
    #[serde(default, deserialize_with = "required")]
    device_id: String,
    #[serde(default, deserialize_with = "text")]
    name: Option<String>,
    #[serde(default, deserialize_with = "text")]
    description: Option<String>,
    #[serde(default, deserialize_with = "json")]
    extension_info: Option<String>,
}

#[derive(Deserialize)]
struct Status {
    #[serde(default, deserialize_with = "required")]
    device_id: String,
    #[serde(default, deserialize_with = "required")]
    status: String,
}

#[derive(Deserialize)]
struct Devices<T> {
    devices: Vec<T>,
}

#[derive(Deserialize)]
struct Statuses {
    device_statuses: Vec<Status>,
}

#[derive(Deserialize)]
struct ProductIds {
    product_ids: Vec<String>,
}

#[derive(Default, Deserialize)]
struct Sync {
    #[serde(default)]
    version: Value,
}

/// What `$sub_device_manager` says.
pub(super) fn read<'a>(event: &Event<'a>) -> Option<EventBody<'a>> {
    let said = match event.kind() {
        "sub_device_sync_request" => GatewayEvent::Sync { version: version(&event.read::<Sync>()?.version) },
        "sub_device_update_status" => {
            let statuses = event.read::<Statuses>()?.device_statuses;
            GatewayEvent::UpdateStatus(statuses.into_iter().map(|s| (s.device_id, s.status)).collect())
        }
        "add_sub_device_request" => {
            GatewayEvent::Add(event.read::<Devices<New>>()?.devices.into_iter().map(NewSubDevice::from).collect())
        }
        "delete_sub_device_request" => GatewayEvent::Delete(event.read::<Devices<String>>()?.devices),
        "update_sub_device_request" => {
            let devices = event.read::<Devices<Changed>>()?.devices;
            GatewayEvent::Update(devices.into_iter().map(SubDeviceChange::from).collect())
        }
        // The guide names the request without its end, and its answer `get_products_response`.
        "get_products" | "get_products_request" => GatewayEvent::Products(event.read::<ProductIds>()?.product_ids),
        _ => return None,
    };
    Some(EventBody::Gateway(said))
}

/// What `$sub_device_discovery` says.
pub(super) fn read_discovery<'a>(event: &Event<'a>) -> Option<EventBody<'a>> {
    if event.kind() != "scan_result" {
        return None;
    }
    let devices = event.read::<Devices<Map<String, Value>>>()?.devices;
    Some(EventBody::Gateway(GatewayEvent::ScanResult(devices.iter().filter_map(found).collect())))
}

/// A version as a number or a text.
fn version(value: &Value) -> Option<i64> {
    match value {
        Value::String(text) => text.trim().parse().ok(),
        other => other.as_i64(),
    }
}

/// Fields of a device that was found, as the guide lists them. Other ones, and those that are too long, are left out.
const FOUND: &[&str] = &[
    "parent_device_id",
    "node_id",
    "device_id",
    "name",
    "description",
    "manufacturer_id",
    "model",
    "product_id",
    "fw_version",
    "sw_version",
    "status",
];
const LONGEST: usize = 2048;

/// A device without a node id cannot be told from others and is left out.
fn found(device: &Map<String, Value>) -> Option<FoundDevice> {
    let mut fields = Map::new();
    for name in FOUND {
        if let Some(Value::String(text)) = device.get(*name)
            && !text.is_empty()
            && text.len() <= LONGEST
        {
            fields.insert((*name).to_owned(), Value::String(text.clone()));
        }
    }
    let node_id = fields.get("node_id")?.as_str()?.to_owned();
    Some(FoundDevice { node_id, fields: Value::Object(fields).to_string() })
}

impl From<New> for NewSubDevice {
    fn from(new: New) -> Self {
        let New { parent_device_id, node_id, device_id, name, description, product_id, extension_info } = new;
        Self { parent_device_id, node_id, device_id, name, description, product_id, extension_info }
    }
}

impl From<Changed> for SubDeviceChange {
    fn from(changed: Changed) -> Self {
        let Changed { device_id, name, description, extension_info } = changed;
        Self { device_id, name, description, extension_info }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::uplink::events::envelope;

    #[track_caller]
    fn check(service: &str, event: &str, paras: &str, expected: Option<GatewayEvent>) {
        let text = format!(r#"{{"services":[{{"service_id":"{service}","event_type":"{event}","paras":{paras}}}]}}"#);
        let events = envelope(text.as_bytes(), 1).expect("an envelope");
        let expected = expected.map_or(EventBody::Unserved, EventBody::Gateway);
        assert_eq!(events.list[0].body, expected, "{text}");
    }

    #[test]
    fn a_sync_with_and_without_a_version() {
        let sync = |version| Some(GatewayEvent::Sync { version });
        for service in ["$sub_device_manager", "sub_device_manager"] {
            check(service, "sub_device_sync_request", r#"{"version":7}"#, sync(Some(7)));
        }
        check("$sub_device_manager", "sub_device_sync_request", r#"{"version":"7"}"#, sync(Some(7)));
        check("$sub_device_manager", "sub_device_sync_request", r#"{"version":-1}"#, sync(Some(-1)));
        for paras in ["{}", r#"{"version":null}"#, r#"{"version":{}}"#, "null"] {
            check("$sub_device_manager", "sub_device_sync_request", paras, sync(None));
        }
    }

    #[test]
    fn empty_fields_of_the_python_sdk_are_absent() {
        let paras = r#"{"devices":[{"parent_device_id":"","node_id":"n1","device_id":"","name":"a","description":null,
            "product_id":"p1","extension_info":""},{"node_id":"n2","product_id":"p1","extension_info":{"a": 1.0}}]}"#;
        let new = |node: &str| NewSubDevice {
            node_id: node.to_owned(),
            product_id: "p1".to_owned(),
            ..NewSubDevice::default()
        };
        let expected = vec![
            NewSubDevice { name: Some("a".to_owned()), ..new("n1") },
            NewSubDevice { extension_info: Some(r#"{"a": 1.0}"#.to_owned()), ..new("n2") },
        ];
        check("$sub_device_manager", "add_sub_device_request", paras, Some(GatewayEvent::Add(expected)));
    }

    #[test]
    fn requests_of_another_form_are_not_served() {
        for event in
            ["add_sub_device_request", "delete_sub_device_request", "update_sub_device_request", "get_products"]
        {
            for paras in ["{}", r#"{"devices":7}"#, r#"{"devices":[7]}"#, r#"{"product_ids":"x"}"#] {
                check("$sub_device_manager", event, paras, None);
            }
        }
        check("$sub_device_manager", "sub_device_update_status", r#"{"device_statuses":[7]}"#, None);
        check("$sub_device_manager", "nothing", "{}", None);
        check("$sub_device_discovery", "nothing", "{}", None);
    }

    #[test]
    fn found_devices_keep_what_the_guide_lists() {
        let paras =
            r#"{"devices":[{"node_id":"n1","product_id":"p","secret":"s","status":"ONLINE","name":7},{"name":"x"}]}"#;
        let fields = r#"{"node_id":"n1","product_id":"p","status":"ONLINE"}"#.to_owned();
        let expected = vec![FoundDevice { node_id: "n1".to_owned(), fields }];
        check("sub_device_discovery", "scan_result", paras, Some(GatewayEvent::ScanResult(expected)));
    }
}
