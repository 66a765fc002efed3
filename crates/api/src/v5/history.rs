//! The history of a device's reports; the vendor's API has no operation for it.

use causeway_model::history::{HistoryPosition, HistoryRow};
use causeway_model::{Code, DeviceId, Error, Result, Timestamp};
use causeway_platform::history::HistoryRange;
use serde_json::value::RawValue;

use crate::bounded::{Any, Int, Text, Word, words};
use crate::call::{Call, Reply};
use crate::operation::{Built, Param, json};
use crate::shape::{Millis, reply};

const DEFAULT_LIMIT: i64 = 100;

/// Rows read at once.
const SLICE: usize = 50;

/// A page ends early, with a marker, once it has so many bytes of properties: a row may be as large as a report.
const PAGE_BYTES: usize = 4 << 20;

words! {
    /// Direction of time.
    Order: "asc" | "desc";
}

reply! {
    /// One service of one report.
    pub(crate) struct HistoryEntry {
        /// The service.
        service_id: String,
        /// The properties that passed the product model.
        properties: Box<RawValue>,
        /// When the device says it measured; arrival when it did not say.
        event_time: Millis,
        /// When the platform took the report.
        arrival_time: Millis,
    }
}

reply! {
    /// Where a page of history stands.
    pub(crate) struct HistoryPage {
        /// Send it as `marker` to get the next page; absent on the last one.
        marker: Option<String>,
    }
}

reply! {
    /// A page of a device's history.
    pub(crate) struct History {
        /// The device.
        device_id: String,
        /// The entries, ordered by event time.
        history: Vec<HistoryEntry>,
        /// The page.
        page: HistoryPage,
    }
}

/// 16 hexadecimal digits of the event time and 16 of the sequence number.
fn write_marker(row: &HistoryRow) -> String {
    format!("{:016x}{:016x}", row.event_time.0, row.seq)
}

fn read_marker(text: &str) -> Result<HistoryPosition> {
    let refused =
        || Error::new(Code::MarkerOutOfRange, "Invalid input. 'marker' must be taken from the previous page.");
    if text.len() != 32 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(refused());
    }
    let number = |digits: &str| u64::from_str_radix(digits, 16).map(u64::cast_signed).map_err(|_| refused());
    Ok(HistoryPosition { event_time: Timestamp(number(&text[..16])?), seq: number(&text[16..])? })
}

/// The rows of a page, and the marker of the next page if there is one.
async fn read_page(call: &Call, id: &DeviceId, range: HistoryRange) -> Result<(Vec<HistoryRow>, Option<String>)> {
    let mut rows: Vec<HistoryRow> = Vec::new();
    let mut bytes = 0;
    let mut after = range.after;
    loop {
        // One more than the page holds tells whether there is a next page.
        let wanted = (range.limit + 1 - rows.len()).min(SLICE);
        let slice = call.platform().history(id, HistoryRange { after, limit: wanted, ..range.clone() }).await?;
        let is_last = slice.len() < wanted;
        for row in slice {
            if rows.len() == range.limit || bytes >= PAGE_BYTES {
                let marker = rows.last().map(write_marker);
                return Ok((rows, marker));
            }
            bytes += row.properties.as_str().len();
            after = Some(HistoryPosition { event_time: row.event_time, seq: row.seq });
            rows.push(row);
        }
        if is_last {
            return Ok((rows, None));
        }
    }
}

pub(super) static SHOW: Built =
    Built::new("Shows the history of a device's reports.", json::<History>(200), |c| Box::pin(show(c)))
        .query(&[
            Param::optional::<Text<Any, 0, 64>>("service_id", "Only of this service."),
            Param::optional::<Text<Any, 0, 64>>(
                "start_time",
                "Event times from here on, like 2015-12-12T12:12:12.000Z.",
            ),
            Param::optional::<Text<Any, 0, 64>>("end_time", "Event times before, like 2015-12-12T12:12:12.000Z."),
            Param::optional::<Word<Order>>("order", "Oldest or newest first; newest unless said otherwise."),
            Param::optional::<Int<1, 1000>>("limit", "Entries of a page; 100 unless said otherwise."),
            Param::optional::<Text<Any, 0, 32>>("marker", "From the previous page."),
        ])
        .errors(&[
            Code::DeviceNotFound,
            Code::InvalidTime,
            Code::TimeOrder,
            Code::LimitOutOfRange,
            Code::MarkerOutOfRange,
        ]);

async fn show(call: Call) -> Result<Reply> {
    let id = call.device_id()?;
    let limit = call.number::<1, 1000>("limit", Code::LimitOutOfRange)?.unwrap_or(DEFAULT_LIMIT);
    let limit = usize::try_from(limit).expect("checked to be at most 1000");
    let range = HistoryRange {
        service_id: call.query::<Text<Any, 0, 64>>("service_id")?.map(Text::into_string),
        from: call.time("start_time")?,
        to: call.time("end_time")?,
        descending: call.query::<Word<Order>>("order")?.is_none_or(|o| o.as_str() == "desc"),
        after: call.text("marker")?.filter(|m| !m.is_empty()).map(read_marker).transpose()?,
        limit,
    };
    let (rows, marker) = read_page(&call, &id, range).await?;
    let history = rows
        .into_iter()
        .map(|row| {
            Ok(HistoryEntry {
                service_id: row.service_id,
                properties: RawValue::from_string(row.properties.as_str().to_owned()).map_err(Error::internal)?,
                event_time: Millis(row.event_time),
                arrival_time: Millis(row.arrival),
            })
        })
        .collect::<Result<_>>()?;
    Reply::ok(&History { device_id: id.to_string(), history, page: HistoryPage { marker } })
}

#[cfg(test)]
mod tests {
    use causeway_model::DeviceNo;
    use causeway_model::properties::PropertyObject;

    use super::*;

    #[test]
    fn markers_round_trip() {
        for (time, seq) in [(1_449_922_332_000, 7), (-1, i64::MAX), (i64::MIN, 0)] {
            let row = HistoryRow {
                seq,
                device: DeviceNo(1),
                service_id: String::new(),
                properties: PropertyObject::empty(),
                event_time: Timestamp(time),
                arrival: Timestamp(0),
            };
            let position = HistoryPosition { event_time: Timestamp(time), seq };
            assert_eq!(read_marker(&write_marker(&row)).expect("own marker"), position);
        }
        for bad in ["x", "", &"g".repeat(32), &"+".repeat(32), &"0".repeat(31)] {
            assert_eq!(read_marker(bad).err().map(|e| e.code()), Some(Code::MarkerOutOfRange));
        }
    }
}
