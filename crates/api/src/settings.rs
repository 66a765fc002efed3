//! Configuration keys of the application interface.

use causeway_model::settings;
use causeway_model::settings::{ByteSize, Span};

settings! {
    /// The doors for applications.
    pub struct ApiSettings in "api" {
        /// Largest body of a request; a larger one is answered with 413.
        max_body: ByteSize = ByteSize(1 << 20),
        /// Largest body of an operation that takes a file as `multipart/form-data`, or a batch task with its list of
        /// targets; a larger one is answered with 413.
        max_upload: ByteSize = ByteSize(16 << 20),
        /// Bodies of requests under way may take so much memory together; further ones wait, for `api.body_timeout` at
        /// most. At least `api.max_body`
        /// and `api.max_upload`.
        body_memory: ByteSize = ByteSize(64 << 20),
        /// A body must have arrived within this time.
        body_timeout: Span = Span::secs(30),
        /// A request that takes longer is answered with 503. Calls that wait for a device get `command.timeout` and five
        /// seconds on top when that is longer.
        request_timeout: Span = Span::secs(60),
        /// A connection without a request under way is closed after this time; the head of a request must arrive within
        /// it.
        idle_timeout: Span = Span::secs(30),
        /// A TLS handshake must be finished within this time.
        handshake_timeout: Span = Span::secs(10),
        /// Most connections of one door; further ones wait until another one ends.
        max_connections: u32 = 2048,
        /// When the platform stops, requests under way have so long to finish.
        drain: Span = Span::secs(8),
    }
}
