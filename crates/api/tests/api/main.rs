//! The application interface over a real store, without sockets; and its sockets, without a platform.

mod alarms;
mod devices;
mod downlink;
mod form;
mod operations;
mod registry;
mod rig;
mod sockets;
mod tokens;
