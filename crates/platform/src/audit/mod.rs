//! The audit log (002 §6.4): one record for each call that changes something, refused ones included. There is no use case
//! that changes or removes a record; what is older than `audit.retention` goes.

mod log;
mod port;
mod query;

pub(crate) use log::AuditLog;
pub use port::*;
pub use query::AuditQuery;
