//! Deliveries to applications: who wants what, and what a notification looks like. The delivery crate drains the rows.

mod address;
pub(crate) mod notification;
mod port;
mod targets;

pub(crate) use address::PushHost;
pub use address::is_public;
pub use port::*;
