//! Configuration keys of the door.

use causeway_model::settings;
use causeway_model::settings::{ByteSize, Span};

settings! {
    /// The devices' HTTPS door.
    pub struct HttpDoorSettings in "device_http" {
        /// Largest body of a report or message (001).
        max_body: ByteSize = ByteSize(1 << 20),
        /// Most devices in one report of a gateway (001).
        max_sub_devices: usize = 50,
        /// Connections at the same time; further ones wait to be accepted.
        max_connections: usize = 20_000,
        /// Bodies that are being taken may use so much memory together; further ones wait to be read.
        body_memory: ByteSize = ByteSize(128 << 20),
        /// How long a TLS handshake may take.
        handshake_timeout: Span = Span::secs(10),
        /// How long a connection may be without a complete request head, from its start and between requests.
        header_timeout: Span = Span::secs(30),
        /// How long a body may take to arrive.
        body_timeout: Span = Span::secs(30),
        /// A file's upload ends when nothing of it has come for this time, a download when nothing of it was taken.
        file_pause: Span = Span::secs(30),
        /// Requests a second of one device; more are refused with IOTDA.021101. `0`: no limit.
        device_rate: u32 = 0,
        /// Requests a second of all devices together; more are refused with IOTDA.021102. `0`: no limit.
        tenant_rate: u32 = 0,
    }
}
