//! Configuration keys of the AMQP server.

use causeway_model::settings;
use causeway_model::settings::{ByteSize, Span};

settings! {
    /// The AMQP 1.0 server that consumers of queues connect to (002 §4.6.3).
    pub struct AmqpSettings in "amqp" {
        /// Accepted difference between the time in a consumer's user name and the platform's.
        timestamp_tolerance: Span = Span::secs(300),
        /// Most connections that are signed in with one access key.
        max_connections: u32 = 32,
        /// Most receiver links of a connection.
        max_links: u32 = 10,
        /// Most sessions of a connection.
        max_sessions: u16 = 32,
        /// Time from accepting a connection to the end of its sign-in, and from there to its first receiver link.
        link_timeout: Span = Span::secs(15),
        /// Connections that are not signed in yet; further ones are closed at once.
        max_handshakes: u32 = 256,
        /// A connection from which nothing came for so long is closed. Consumers are asked to show that they live in half
        /// of this.
        idle_timeout: Span = Span::secs(60),
        /// Largest frame taken from a consumer. Consumers send no messages, so frames are small.
        max_frame_size: ByteSize = ByteSize(64 << 10),
        /// Messages that a link may have without outcome, whatever credit its consumer gives.
        max_unsettled: u32 = 10_000,
        /// Memory for messages that are read ahead or wait for their outcome, of all queues together. Each queue with
        /// consumers may hold a little more, so that none waits for the others.
        memory: ByteSize = ByteSize(64 << 20),
    }
}
