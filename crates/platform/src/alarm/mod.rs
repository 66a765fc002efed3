//! Alarms (002 §6.3): rules raise and clear them, people acknowledge and clear them. An alarm that is raised again while it
//! is active repeats. Every raise and every change is told like any event of a device, in the transaction that writes it.

mod manage;
mod port;
mod raise;

pub use port::*;
pub use raise::{AlarmEnd, NewAlarm};
