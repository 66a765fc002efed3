//! Deliveries to applications: who wants what, and what a notification looks like. The delivery crate drains the rows.

pub(crate) mod notification;
mod port;
mod targets;

pub use port::*;
pub(crate) use targets::TargetsByApp;
