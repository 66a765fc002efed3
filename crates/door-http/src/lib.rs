//! The devices' HTTPS door: sign in for a token, then report messages and properties with it (001, 002 §2.1.3).
//!
//! HTTP/1.0 and 1.1 over TLS; without TLS there are only files, where that is wanted ([`serve_files`]). The crate speaks the wire and hands events to the road; it
//! knows no storage and no other door, and decides nothing about devices. An operation is answered with 200 after its
//! commit. Start reading at [`serve`] for connections and in `operation` for what a request does.
//!
//! Numbers of error codes and limits are those of 001 unless another document is named.

mod authentication;
mod body;
mod connection;
mod error;
mod file;
mod operation;
mod rate;
mod report;
mod settings;

pub use connection::{serve, serve_files};
pub use settings::HttpDoorSettings;
