//! The time-ordered history of reports.

use crate::ids::DeviceNo;
use crate::properties::PropertyObject;
use crate::time::Timestamp;

/// One service of one report, as it stands in the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryRow {
    /// Rises with arrival over all devices; with `event_time` it is the paging position.
    pub seq: i64,
    /// The device that reported.
    pub device: DeviceNo,
    /// The service of the product model.
    pub service_id: String,
    /// The properties that passed the product model.
    pub properties: PropertyObject,
    /// When the device says it measured; arrival when it did not say.
    pub event_time: Timestamp,
    /// When the platform took the report.
    pub arrival: Timestamp,
}

/// Which rows of one device to read.
#[derive(Clone, Debug)]
pub struct HistoryQuery {
    /// The device.
    pub device: DeviceNo,
    /// Only this service.
    pub service_id: Option<String>,
    /// Event times from here, inclusive.
    pub from: Timestamp,
    /// Event times up to here, exclusive.
    pub to: Timestamp,
    /// Newest first when true.
    pub descending: bool,
    /// Continue after this position of the previous page.
    pub after: Option<HistoryPosition>,
    /// At most so many rows.
    pub limit: usize,
}

/// A place in a device's history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HistoryPosition {
    /// Event time of the last row read.
    pub event_time: Timestamp,
    /// Sequence number of the last row read.
    pub seq: i64,
}
