//! Messages of applications to devices: delivered now or kept until the device comes (002 §4.5.3).

mod deliver;
mod manage;
mod port;

pub(crate) use deliver::MessageWaits;
pub use deliver::{MessageDone, MessageRefused};
pub use manage::NewMessage;
pub use port::*;
