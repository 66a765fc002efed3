//! OTA: the registry of modules and packages (002 §3.7, §3.8). What a package consists of is a file that an application
//! has uploaded (`file`).

mod manage;
mod port;

pub use manage::{NewModule, NewPackage};
pub use port::*;
