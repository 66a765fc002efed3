//! Data forwarding: rules that say which events go where (002 §5.2). `table` is asked for every event.

mod port;
mod table;

pub use port::*;
pub(crate) use table::RouteTable;
