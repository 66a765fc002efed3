//! The history of reports.

mod port;
mod read;

pub use port::*;
pub use read::HistoryRange;
