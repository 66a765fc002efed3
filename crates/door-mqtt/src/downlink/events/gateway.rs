//! `$sub_device_manager` and `$sub_device_discovery` (002 §2.1.2.7). Both lists of a response are always there: the Python
//! SDK goes through both (`iotda-device-access.md` §8).

use causeway_model::Error;
use causeway_model::product::ServiceCapability;
use causeway_model::registry::Product;
use causeway_platform::gateway::{GatewayNotice, Scan, SubDevice};
use serde::Serialize;
use serde_json::value::RawValue;

use super::Written;

const MANAGER: &str = "$sub_device_manager";

/// The table DeviceInfo.
#[derive(Serialize)]
struct DeviceInfo<'a> {
    parent_device_id: &'a str,
    node_id: &'a str,
    device_id: &'a str,
    name: Option<&'a str>,
    description: Option<&'a str>,
    manufacturer_id: Option<&'a str>,
    model: Option<&'a str>,
    product_id: &'a str,
    fw_version: Option<&'a str>,
    sw_version: Option<&'a str>,
    status: &'static str,
    extension_info: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct Gone<'a> {
    parent_device_id: &'a str,
    node_id: &'a str,
    device_id: &'a str,
}

#[derive(Serialize)]
struct Devices<T> {
    devices: Vec<T>,
    version: i64,
}

#[derive(Serialize)]
struct Outcome<S, F> {
    successful_devices: Vec<S>,
    failed_devices: Vec<F>,
}

#[derive(Serialize)]
struct NotAdded<'a> {
    node_id: &'a str,
    product_id: &'a str,
    error_code: &'static str,
    error_msg: &'a str,
}

#[derive(Serialize)]
struct Failed<'a> {
    device_id: &'a str,
    error_code: &'static str,
    error_msg: &'a str,
}

#[derive(Serialize)]
struct Status<'a> {
    device_id: &'a str,
    status: &'a str,
}

#[derive(Serialize)]
struct Products<'a> {
    products: Vec<ProductInfo<'a>>,
}

/// The members of a product that the API shows.
#[derive(Serialize)]
struct ProductInfo<'a> {
    app_id: &'a str,
    app_name: &'a str,
    product_id: &'a str,
    name: &'a str,
    device_type: &'a str,
    protocol_type: &'a str,
    data_format: &'a str,
    manufacturer_name: Option<&'a str>,
    industry: Option<&'a str>,
    description: Option<&'a str>,
    service_capabilities: &'a [ServiceCapability],
    create_time: String,
}

#[derive(Serialize)]
struct StartScan<'a> {
    protocol: &'a str,
    channel: &'a str,
    parent_device_id: &'a str,
    scan_settings: Option<&'a RawValue>,
}

fn raw(text: Option<&str>) -> Option<&RawValue> {
    text.and_then(|text| serde_json::from_str(text).ok())
}

fn info(device: &SubDevice) -> DeviceInfo<'_> {
    DeviceInfo {
        parent_device_id: device.parent_id.as_str(),
        node_id: device.node_id.as_str(),
        device_id: device.device_id.as_str(),
        name: device.name.as_deref(),
        description: device.description.as_deref(),
        manufacturer_id: device.manufacturer.as_deref(),
        model: device.model.as_deref(),
        product_id: device.product_id.as_str(),
        fw_version: device.fw_version.as_deref(),
        sw_version: device.sw_version.as_deref(),
        status: device.status.as_str(),
        extension_info: raw(device.extension_info.as_deref()),
    }
}

fn failed((id, error): &(String, Error)) -> Failed<'_> {
    Failed { device_id: id, error_code: error.code().as_str(), error_msg: error.message() }
}

fn product(product: &Product) -> ProductInfo<'_> {
    ProductInfo {
        app_id: product.app_id.as_str(),
        app_name: &product.app_name,
        product_id: product.id.as_str(),
        name: &product.name,
        device_type: &product.device_type,
        protocol_type: &product.protocol_type,
        data_format: &product.data_format,
        manufacturer_name: product.manufacturer_name.as_deref(),
        industry: product.industry.as_deref(),
        description: product.description.as_deref(),
        service_capabilities: &product.services,
        create_time: product.created_at.compact(),
    }
}

fn start_scan(scan: &Scan) -> StartScan<'_> {
    StartScan {
        // The Java SDK reads `protocol`, and `scan_settings` as an object (`iotda-device-access.md` §1).
        protocol: scan.protocol.as_deref().unwrap_or_default(),
        channel: scan.channel.as_deref().unwrap_or_default(),
        parent_device_id: scan.parent_device_id.as_ref().map_or("", |id| id.as_str()),
        scan_settings: raw(Some(scan.settings.as_deref().unwrap_or("{}"))),
    }
}

fn json(value: &impl Serialize) -> String {
    let text = serde_json::to_string(value);
    debug_assert!(text.is_ok(), "texts, numbers and raw JSON can be written");
    text.unwrap_or_else(|_| "{}".to_owned())
}

pub(super) fn write(notice: &GatewayNotice) -> Written {
    let (event_type, paras) = match notice {
        GatewayNotice::Added { devices, version } => {
            let devices = devices.iter().map(info).collect();
            ("add_sub_device_notify", json(&Devices { devices, version: *version }))
        }
        GatewayNotice::Deleted { devices, version } => {
            let devices = devices.iter().map(|(parent, node, id)| Gone {
                parent_device_id: parent.as_str(),
                node_id: node.as_str(),
                device_id: id.as_str(),
            });
            ("delete_sub_device_notify", json(&Devices { devices: devices.collect(), version: *version }))
        }
        GatewayNotice::AddResponse { successful, failed } => {
            let failed_devices = failed.iter().map(|(node_id, product_id, error)| NotAdded {
                node_id,
                product_id,
                error_code: error.code().as_str(),
                error_msg: error.message(),
            });
            let successful_devices = successful.iter().map(info).collect();
            ("add_sub_device_response", json(&Outcome { successful_devices, failed_devices: failed_devices.collect() }))
        }
        GatewayNotice::DeleteResponse { successful, failed: list } => {
            let successful_devices = successful.iter().map(|id| id.as_str()).collect::<Vec<_>>();
            let failed_devices = list.iter().map(failed).collect();
            ("delete_sub_device_response", json(&Outcome { successful_devices, failed_devices }))
        }
        GatewayNotice::UpdateResponse { successful, failed: list } => {
            let successful_devices = successful.iter().map(info).collect();
            let failed_devices = list.iter().map(failed).collect();
            ("update_sub_device_response", json(&Outcome { successful_devices, failed_devices }))
        }
        GatewayNotice::StatusResponse { successful, failed: list } => {
            let successful_devices =
                successful.iter().map(|(device_id, status)| Status { device_id, status }).collect();
            let failed_devices = list.iter().map(failed).collect();
            ("sub_device_update_status_response", json(&Outcome { successful_devices, failed_devices }))
        }
        GatewayNotice::Products(products) => {
            ("get_products_response", json(&Products { products: products.iter().map(product).collect() }))
        }
        GatewayNotice::StartScan(scan) => {
            let paras = json(&start_scan(scan));
            return Written { service_id: "$sub_device_discovery", event_type: "start_scan", paras };
        }
    };
    Written { service_id: MANAGER, event_type, paras }
}

#[cfg(test)]
mod tests {
    use causeway_model::Code;
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(notice: &GatewayNotice, event_type: &str, paras: serde_json::Value) {
        let written = write(notice);
        assert_eq!(written.event_type, event_type);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&written.paras).expect("JSON"), paras);
    }

    #[test]
    fn both_lists_are_always_there() {
        let notice = GatewayNotice::AddResponse { successful: Vec::new(), failed: Vec::new() };
        check(&notice, "add_sub_device_response", json!({"successful_devices": [], "failed_devices": []}));
        let error = Error::new(Code::NotASubDevice, "no");
        let notice = GatewayNotice::DeleteResponse { successful: Vec::new(), failed: vec![("d".to_owned(), error)] };
        let failed = json!([{"device_id": "d", "error_code": "IOTDA.021104", "error_msg": "no"}]);
        check(&notice, "delete_sub_device_response", json!({"successful_devices": [], "failed_devices": failed}));
    }

    #[test]
    fn the_settings_of_a_scan_are_an_object() {
        let empty = json!({"protocol": "", "channel": "", "parent_device_id": "", "scan_settings": {}});
        check(&GatewayNotice::StartScan(Scan::default()), "start_scan", empty);
    }
}
