//! Property reports: what the common reader refuses, in the words of this door.

use causeway_model::event::Services;
pub(super) use causeway_wire::report::Text;
use causeway_wire::report::{self, ReportError, SubDevices};

use super::Malformed;

impl From<ReportError> for Malformed {
    fn from(error: ReportError) -> Self {
        match error {
            ReportError::Text | ReportError::Json(_) => Self::Json,
            ReportError::TooManyDevices => Self::TooManyDevices,
        }
    }
}

/// `{"services":[…]}`.
///
/// # Errors
/// [`Malformed::Json`].
pub(crate) fn report(payload: &[u8]) -> Result<Services<'_>, Malformed> {
    Ok(report::report(payload)?)
}

/// `{"devices":[{"device_id","services":[…]}]}`.
///
/// # Errors
/// [`Malformed::Json`]; [`Malformed::TooManyDevices`] beyond `limit`.
pub(crate) fn sub_device_report(payload: &[u8], limit: usize) -> Result<SubDevices<'_>, Malformed> {
    Ok(report::sub_device_report(payload, limit)?)
}
