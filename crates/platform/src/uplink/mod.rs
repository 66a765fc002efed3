//! The way in: what devices say becomes units, and units are committed before anything is acknowledged.

mod children;
mod context;
pub(crate) mod events;
mod port;
mod road;

pub(crate) use children::Children;
pub use context::DeviceContext;
pub(crate) use context::tags_text;
pub(crate) use events::Speaker;
pub use port::*;
pub use road::Taken;
