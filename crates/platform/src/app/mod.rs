//! Resource spaces (002 §8).

mod manage;
mod port;

pub use port::*;
