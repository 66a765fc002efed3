//! What applications speak: the v5 REST interface with the vendor's paths and the platform's own operations beside
//! them, tokens in the manner of IAM, health, metrics, and the OpenAPI document of all of it.
//!
//! A handler parses, calls one use case of `causeway-platform` and writes the answer; it decides nothing. This crate
//! knows no device wire and no SQL. Start reading at [`router`] and `v5::operations`: one table holds every operation,
//! and routes, metrics and the document are made from it.

mod audit;
mod auth;
mod bounded;
mod call;
mod decode;
mod dispatch;
mod error;
mod iam;
mod multipart;
mod openapi;
mod operation;
mod ops;
mod serve;
mod settings;
mod shape;
mod state;
mod v5;

pub use dispatch::router;
pub use error::status_of;
pub use serve::serve;
pub use settings::ApiSettings;
pub use state::ApiState;
