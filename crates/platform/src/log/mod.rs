//! Logs of devices: switched on by an application, told by the device, kept for a while (002 §2.1.2.2).

mod config;
mod port;
mod record;

pub use config::{LogConfig, LogState};
pub use port::*;
