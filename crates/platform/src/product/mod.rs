//! Products: registration, models, custom topics.

mod cache;
mod manage;
mod notice;
mod port;

pub(crate) use cache::ProductCache;
pub use cache::{ProductHandle, ProductVersion};
pub use manage::{NewProduct, ProductChange};
pub use port::*;
