//! AMQP queues and access codes (002 §4.6.3): their registry, and how consumers sign in. The delivery crate serves them.

mod manage;
mod port;
mod sign_in;

pub use manage::NewAccessCode;
pub use port::*;
pub use sign_in::{QueueAccess, SignInRefused, SignedIn};
