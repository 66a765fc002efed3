//! Events of devices, typed (002 §2.1.2.2–2.1.2.7): a door reads the envelope, the platform serves what is in it.
//!
//! A service has one variant of [`EventBody`] here, one file in the door's `uplink/events` and `downlink/events`, and its
//! use case in the platform.

use std::borrow::Cow;

use crate::file::{FileAttributes, Transfer};
use crate::time::Timestamp;

/// What one envelope holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Events<'a> {
    /// The device the events are about, when not the one that speaks; never empty.
    pub object_device_id: Option<Cow<'a, str>>,
    /// The events, in order.
    pub list: Vec<ServiceEvent<'a>>,
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceEvent<'a> {
    /// The id that the device gave it, to be echoed by the answer; never empty.
    pub event_id: Option<Cow<'a, str>>,
    /// When it happened; `None` when the device did not say or said it badly.
    pub event_time: Option<Timestamp>,
    /// What it says.
    pub body: EventBody<'a>,
}

/// What an event says, by service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventBody<'a> {
    /// `$time_sync`: the device asks for the time.
    TimeSync {
        /// The device's own time in milliseconds, if it said one.
        device_send_time: Option<i64>,
    },
    /// `$sdk_info`, `$device_info`: versions of the device.
    DeviceInfo(DeviceVersions<'a>),
    /// `$ota`, `version_report`: versions of firmware and software.
    VersionReport(DeviceVersions<'a>),
    /// `$file_manager`: the device asks for a URL.
    FileUrl {
        /// To upload to or to download from.
        transfer: Transfer,
        /// What it calls the file.
        name: Cow<'a, str>,
        /// What it says of the content.
        attributes: FileAttributes,
    },
    /// `$file_manager`: what became of a transfer.
    FileResult(FileResult<'a>),
    /// `$sub_device_manager`, `$sub_device_discovery`: a gateway speaks of the devices behind it.
    Gateway(GatewayEvent),
    /// `$log`, `log_report`: a line of the device's log.
    Log(LogReport<'a>),
    /// A system service whose event the platform does not serve. It is counted.
    Unserved,
    /// A service of the product model, or one that nobody knows.
    Model {
        /// The service.
        service_id: Cow<'a, str>,
        /// The event of the service.
        event_type: Cow<'a, str>,
        /// Its parameters: a JSON object, verbatim.
        paras: &'a str,
    },
}

/// What a device says of a transfer (002 §2.1.2.5.3, §2.1.2.5.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileResult<'a> {
    /// Which way.
    pub transfer: Transfer,
    /// Which object.
    pub object_name: Cow<'a, str>,
    /// 0: done; 1: not.
    pub result_code: i64,
    /// HTTP status that the device saw.
    pub status_code: Option<i64>,
    /// Free text.
    pub description: Option<Cow<'a, str>>,
}

/// Versions that a device tells; `None` leaves what is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceVersions<'a> {
    /// Version of the device SDK, `C_v0.5.0`.
    pub sdk: Option<Cow<'a, str>>,
    /// Software version.
    pub software: Option<Cow<'a, str>>,
    /// Firmware version.
    pub firmware: Option<Cow<'a, str>>,
}

/// What a gateway says of the devices behind it (002 §2.1.2.7). Ids and texts are as the gateway sent them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GatewayEvent {
    /// `sub_device_sync_request`: it asks for changes after a version of its list.
    Sync {
        /// The version it knows, if it knows one.
        version: Option<i64>,
    },
    /// `sub_device_update_status`: device id and status.
    UpdateStatus(Vec<(String, String)>),
    /// `add_sub_device_request`.
    Add(Vec<NewSubDevice>),
    /// `delete_sub_device_request`: device ids.
    Delete(Vec<String>),
    /// `update_sub_device_request`.
    Update(Vec<SubDeviceChange>),
    /// `get_products`: product ids.
    Products(Vec<String>),
    /// `scan_result`: devices found.
    ScanResult(Vec<FoundDevice>),
}

/// A device that a gateway registers; what it left empty is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewSubDevice {
    /// The device right above it; the gateway when absent.
    pub parent_device_id: Option<String>,
    /// What the device calls itself.
    pub node_id: String,
    /// The id to have.
    pub device_id: Option<String>,
    /// Display name.
    pub name: Option<String>,
    /// Free text.
    pub description: Option<String>,
    /// Its product.
    pub product_id: String,
    /// The gateway's own JSON.
    pub extension_info: Option<String>,
}

/// Fields of a device that a gateway changes; `None` leaves what is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubDeviceChange {
    /// The device.
    pub device_id: String,
    /// Display name.
    pub name: Option<String>,
    /// Free text.
    pub description: Option<String>,
    /// The gateway's own JSON.
    pub extension_info: Option<String>,
}

/// A device that a scan found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoundDevice {
    /// What the device calls itself.
    pub node_id: String,
    /// Everything that the gateway told of it: a JSON object with the documented fields as far as they are texts.
    pub fields: String,
}

/// A line of a device's log (002 §2.1.2.2.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogReport<'a> {
    /// When it was written, if the device said so.
    pub at: Option<Timestamp>,
    /// `DEVICE_STATUS`, `DEVICE_PROPERTY`, `DEVICE_MESSAGE`, `DEVICE_COMMAND`, or another word.
    pub kind: String,
    /// The line.
    pub content: Cow<'a, str>,
}
