//! Files: devices upload and download them through URLs that are signed and end (002 §2.1.2.5, §3.9), applications put
//! files there for devices and read what devices sent.
//!
//! `object` is the port to where contents lie, `port` the one to their records. A foreign object store is given signed
//! URLs of its own; for the local folder the devices' HTTPS door serves them with `transfer`. What a deleted record
//! leaves behind is removed by `upkeep`.

mod address;
mod application;
mod device;
mod object;
mod port;
mod transfer;
mod upkeep;

pub(crate) use address::Files;
pub use address::{FileAccess, FileDoors, SignedPath};
pub use application::NewFile;
pub use device::{FileAsk, FileUrl};
#[cfg(test)]
pub(crate) use object::NoObjects;
pub use object::{Access, ObjectReader, ObjectWriter, Objects};
pub use port::*;
pub use transfer::{Download, Upload};
