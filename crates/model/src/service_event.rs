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
