//! The MQTT door: devices that speak MQTT 3.1, 3.1.1 or 5.0 over TCP, TLS, WebSocket or WebSocket over TLS
//! (002 §2.1.2, `iotda-device-access.md`).
//!
//! It translates: packets to typed device events for the road, typed downlinks to topics and payloads. It decides nothing
//! about devices, products or shadows, knows no SQL and no other door. What is MQTT's own affair is here: sessions,
//! subscriptions, acknowledgement, flow control, retained messages and wills. There every device has, so to say, a broker
//! of its own: what it publishes on custom topics reaches its own subscriptions and the applications, never another device.
//!
//! Start reading at [`Door`] and [`serve`], then `connection` (one task a connection, a hand-written poll loop without
//! buffers while idle), `uplink/publication.rs` (what a PUBLISH causes) and `topics`.

mod client_id;
mod connection;
mod door;
mod downlink;
mod error;
#[doc(hidden)]
pub mod fuzzing;
mod listener;
mod session;
mod settings;
mod topics;
mod transport;
mod uplink;

pub use door::Door;
pub use listener::{Listener, serve};
pub use settings::MqttSettings;
