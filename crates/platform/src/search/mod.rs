//! Searching devices with the vendor's SQL (`iotda-v5-api.md`, `search_devices`).

mod find;
mod port;
mod rate;

pub use find::{Answer, FoundDevice};
pub use port::SearchStore;
pub(crate) use rate::SearchRate;
