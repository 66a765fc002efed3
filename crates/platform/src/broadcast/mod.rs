//! Broadcasts: one message to all connected devices of a space that subscribed to its topic.

mod send;

pub(crate) use send::Broadcasts;
pub use send::{Broadcast, NewBroadcast};
