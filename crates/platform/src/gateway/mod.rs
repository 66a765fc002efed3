//! Gateways and the devices behind them (002 §2.1.2.7, §3.10).

mod connect;
mod event;
mod list;
mod notice;
mod port;
mod request;
mod scan;
mod status;
mod sub_device;

pub(crate) use list::Told;
pub use notice::{GatewayNotice, Scan};
pub use port::*;
pub use sub_device::SubDevice;
