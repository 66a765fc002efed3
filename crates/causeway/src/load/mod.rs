//! What `bench` and `sim` share: devices' MQTT connections, the signed REST client, provisioning of products and
//! devices, latency histograms, and progress on stderr.
//!
//! Everything here stands outside the platform and speaks only its public wires, so that the same code can drive any
//! broker or any other platform with these interfaces. It knows neither the store nor a door. Start at
//! [`platform::PlatformArgs`] (where the target is) and [`provision`] (how the devices come to be).

pub(crate) mod histogram;
pub(crate) mod identity;
pub(crate) mod mqtt;
pub(crate) mod open_files;
pub(crate) mod platform;
pub(crate) mod progress;
pub(crate) mod provision;
pub(crate) mod rest;
#[cfg(test)]
pub(crate) mod scripted_server;
pub(crate) mod stop;
pub(crate) mod tls;
