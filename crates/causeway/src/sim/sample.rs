//! The product that `sim` creates when the one asked for does not exist.

use serde_json::{Value, json};

/// Body of create_product (without the id): a smart meter that shows every data type, a writable property, and commands
/// with answers.
pub(super) fn smart_meter() -> Value {
    let property = |name: &str, data_type: &str, method: &str, more: Value| {
        let mut text = json!({
            "property_name": name, "data_type": data_type, "required": false, "method": method,
        });
        if let (Some(text), Value::Object(more)) = (text.as_object_mut(), more) {
            text.extend(more);
        }
        text
    };
    json!({
        "name": "Smart meter",
        "device_type": "SmartMeter",
        "protocol_type": "MQTT",
        "data_format": "json",
        "manufacturer_name": "Causeway",
        "industry": "Energy",
        "description": "sample made by causeway sim",
        "service_capabilities": [
            {
                "service_id": "Meter",
                "service_type": "Meter",
                "description": "what is measured",
                "properties": [
                    property("voltage", "decimal", "R", json!({ "min": "210", "max": "245", "step": 0.1, "unit": "V" })),
                    property("current", "decimal", "R", json!({ "min": "0", "max": "63", "step": 0.01, "unit": "A" })),
                    property("power", "int", "R", json!({ "min": "0", "max": "14000", "unit": "W" })),
                    property("energy", "long", "R", json!({ "min": "0", "max": "9999999", "unit": "Wh" })),
                    property("relay", "enum", "RW", json!({ "enum_list": ["ON", "OFF"], "max_length": 3 })),
                    property("overload", "boolean", "R", json!({})),
                ],
                "commands": [{
                    "command_name": "SwitchRelay",
                    "paras": [{ "para_name": "relay", "data_type": "enum", "required": true,
                                "enum_list": ["ON", "OFF"], "max_length": 3 }],
                    "responses": [{ "response_name": "SwitchRelayResponse", "paras": [
                        { "para_name": "relay", "data_type": "enum", "required": true,
                          "enum_list": ["ON", "OFF"], "max_length": 3 },
                        { "para_name": "power", "data_type": "int", "required": false,
                          "min": "0", "max": "14000", "unit": "W" }] }],
                }],
            },
            {
                "service_id": "Module",
                "service_type": "Module",
                "description": "the meter's radio module",
                "properties": [
                    property("signal", "int", "R", json!({ "min": "-120", "max": "-40", "unit": "dBm" })),
                    property("state", "string", "R", json!({ "max_length": 16 })),
                    property("clock", "DateTime", "R", json!({ "max_length": 24 })),
                    property("diagnostics", "jsonObject", "R", json!({ "max_length": 512 })),
                    property("alerts", "string list", "R", json!({ "max_length": 64 })),
                    property("reportInterval", "int", "RW", json!({ "min": "1", "max": "86400", "unit": "s" })),
                ],
                "commands": [{
                    "command_name": "Ping",
                    "paras": [{ "para_name": "number", "data_type": "int", "required": false,
                                "min": "0", "max": "2147483647" }],
                    "responses": [{ "response_name": "PingResponse", "paras": [
                        { "para_name": "number", "data_type": "int", "required": false,
                          "min": "0", "max": "2147483647" }] }],
                }],
            },
        ],
    })
}
