//! Device shadows: reading, desiring, and sending desired values until the device shows them (002 §3.6).

mod desire;
mod open;
mod port;

pub(crate) use open::OpenDesired;
pub use port::*;
