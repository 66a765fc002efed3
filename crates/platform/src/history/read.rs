//! Reading a device's history.

use causeway_model::history::{HistoryPosition, HistoryQuery, HistoryRow};
use causeway_model::{Code, DeviceId, Error, Result, Timestamp};

use crate::Platform;

/// Which part of a device's history to read.
#[derive(Clone, Debug)]
pub struct HistoryRange {
    /// Only this service.
    pub service_id: Option<String>,
    /// Event times from here, inclusive; everything when absent.
    pub from: Option<Timestamp>,
    /// Event times up to here, exclusive; everything when absent.
    pub to: Option<Timestamp>,
    /// Newest first when true.
    pub descending: bool,
    /// Continue after this position.
    pub after: Option<HistoryPosition>,
    /// At most so many rows.
    pub limit: usize,
}

impl Platform {
    /// A page of a device's history.
    ///
    /// # Errors
    /// [`Code::DeviceNotFound`]; [`Code::TimeOrder`] when the range is empty.
    pub async fn history(&self, id: &DeviceId, range: HistoryRange) -> Result<Vec<HistoryRow>> {
        let device = self.device(id).await?;
        let from = range.from.unwrap_or(Timestamp(i64::MIN));
        let to = range.to.unwrap_or(Timestamp(i64::MAX));
        if from >= to {
            return Err(Error::new(
                Code::TimeOrder,
                "Invalid input. The start time must be earlier than the end time.",
            ));
        }
        self.store
            .history(&HistoryQuery {
                device: device.no,
                service_id: range.service_id,
                from,
                to,
                descending: range.descending,
                after: range.after,
                limit: range.limit,
            })
            .await
    }
}
