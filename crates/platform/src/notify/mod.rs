//! Notification topics with subscribers, in the manner of the vendor's SMN: rules say something to a topic, and everybody
//! who subscribed to it is told by mail, over HTTP or by a short message. Topics belong to the whole instance.

mod manage;
mod port;
mod publish;
mod subscribe;

pub use port::*;
