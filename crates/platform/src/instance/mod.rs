//! The instance: made at the first start with its project, default space and administrator.

mod bootstrap;
mod port;

pub use bootstrap::{AdminCredentials, bootstrap};
pub use port::*;
