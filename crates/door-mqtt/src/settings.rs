//! Configuration keys of the MQTT door.

use causeway_model::settings;
use causeway_model::settings::{ByteSize, Span};

settings! {
    /// The MQTT door (002 §2.1.2).
    pub struct MqttSettings in "mqtt" {
        /// Largest packet taken from a device: 1 MB of payload and 4 KB for its head. A larger one closes the connection.
        max_packet_size: ByteSize = ByteSize((1 << 20) + 4096),
        /// Largest CONNECT; it is read before the device is known.
        max_connect_size: ByteSize = ByteSize(128 << 10),
        /// Most connections of one listening address; further ones are closed at once.
        max_connections: u32 = 100_000,
        /// Shortest keep-alive a device may ask for; a shorter one, and none, is refused.
        keepalive_min: Span = Span::secs(30),
        /// Longest keep-alive a device may ask for; a longer one is refused.
        keepalive_max: Span = Span::secs(1200),
        /// Time for the TLS and WebSocket handshake and the CONNECT together.
        connect_timeout: Span = Span::secs(10),
        /// A device that takes no bytes for so long while some wait for it is disconnected.
        write_timeout: Span = Span::secs(30),
        /// Bytes waiting for a device from which on QoS 0 messages are dropped and nothing more is read from it.
        write_backlog: ByteSize = ByteSize(256 << 10),
        /// QoS 1 and 2 messages a device may have unacknowledged. Told to MQTT 5 devices, which are disconnected beyond
        /// it; from others nothing more is read until acknowledgements are out.
        receive_maximum: u16 = 4096,
        /// QoS 1 and 2 messages on their way to a device at once; fewer when an MQTT 5 device says so.
        max_inflight: u16 = 100,
        /// Topic aliases an MQTT 5 device may set, and most that the platform sets.
        topic_alias_maximum: u16 = 16,
        /// Subscriptions of a device.
        max_subscriptions: u32 = 50,
        /// Longest custom topic or filter, in bytes.
        max_topic: u32 = 128,
        /// Devices in one report of a gateway (002 §2.1.2.8.2).
        max_sub_devices: u32 = 100,
        /// Events in one envelope of a device.
        max_events: u32 = 100,
        /// Largest payload after `?encoding=gzip`.
        max_inflated: ByteSize = ByteSize(1 << 20),
        /// Downlinks waiting for a connection; beyond them callers are told that the device is busy.
        mailbox: u32 = 128,
        /// How long after the CONNACK a message for a topic that the device has not subscribed waits for its SUBSCRIBE.
        subscribe_grace: Span = Span::secs(10),
        /// Longest life of a session after its connection. MQTT 3 sessions without clean session live so long.
        session_expiry_max: Span = Span::secs(7 * 86_400),
        /// QoS 1 and 2 messages kept for a device that is away or slow, between its own subscriptions.
        max_queued: u32 = 1000,
        /// Memory for all such messages of all devices, and for commands and messages on their way with QoS 1. A quarter
        /// is for the latter alone.
        session_memory: ByteSize = ByteSize(64 << 20),
        /// Most of it that one device may use for what it causes itself; one message is kept whatever its size.
        session_share: ByteSize = ByteSize(1 << 20),
        /// Retained messages of a device.
        retained_max: u32 = 100,
        /// Largest retained message.
        retained_max_size: ByteSize = ByteSize(64 << 10),
    }
}
