//! Tags of devices (002 §3.5).

mod manage;
mod port;

pub use port::TagStore;
