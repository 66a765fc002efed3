//! AMQP queues and access codes (002 §4.6.3): their registry. The server that consumers connect to comes later.

mod manage;
mod port;

pub use manage::NewAccessCode;
pub use port::*;
