//! x

mod port;

pub use port::*;
