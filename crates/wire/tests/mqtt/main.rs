//! Properties of the MQTT codec over generated packets.

mod oracle;
mod packets;
mod refusals;
mod round_trip;
