//! The words of the platform: ids, times, limits, states, errors, device events, and product models with their
//! compiled validator.
//!
//! This crate does no I/O, knows no async runtime, no wire format and no storage. Every other crate speaks its types.
//! Start reading at [`event`] (what a device can say) and [`product`] (what a product allows it to say).

#[macro_use]
mod words;

pub mod alarm;
pub mod audit;
pub mod batch;
pub mod certificate;
pub mod error;
pub mod event;
pub mod file;
pub mod forwarding;
pub mod group;
pub mod history;
pub mod ids;
pub mod linkage;
pub mod message;
pub mod ota;
pub mod permission;
pub mod policy;
pub mod product;
pub mod properties;
pub mod registry;
pub mod search;
pub mod service_event;
pub mod settings;
pub mod shadow;
pub mod spaces;
pub mod status;
pub mod tag;
pub mod time;

pub use error::{Code, Error, Fault, Kind, Result};
pub use ids::{AppId, DeviceId, DeviceNo, FileId, GroupId, InstanceId, NodeId, ProductId, ProjectId, RecordNo};
pub use spaces::Spaces;
pub use time::Timestamp;
