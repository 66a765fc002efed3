//! Connections of devices: the directory, waiting for answers, coming and going, persistent sessions.

mod attach;
mod directory;
mod port;
mod status;
mod waiter;

pub use attach::Attachment;
pub use directory::{Directory, Entry};
pub use port::*;
pub(crate) use status::Departures;
pub use waiter::{Place, Waiters};
