//! The report that `bench ingest` sends: one PUBLISH per connection, encoded once and patched in place for each message.

use std::ops::Range;

use anyhow::ensure;
use causeway_wire::mqtt::{self, PacketId, Publish, QoS, Version};
use serde_json::{Value, json};

/// Product that `bench` creates on a platform.
pub(crate) const PRODUCT_ID: &str = "bench";
/// The one service of that product.
pub(crate) const SERVICE_ID: &str = "bench";
/// The command of that service.
pub(crate) const COMMAND: &str = "ping";

/// First value of the counter: ten digits, so that it keeps its length for nine thousand million messages (JSON knows
/// no leading zeros).
const COUNTER: &[u8] = b"1000000000";
const TIME: &[u8] = b"20260101T000000Z";

/// Body of create_product (without the id) whose model every bench report fits.
pub(crate) fn product_model() -> Value {
    json!({
        "name": "bench",
        "device_type": "LoadGenerator",
        "protocol_type": "MQTT",
        "data_format": "json",
        "description": "made by causeway bench, may be deleted",
        "service_capabilities": [{
            "service_id": SERVICE_ID,
            "service_type": SERVICE_ID,
            "description": "load",
            "properties": [
                { "property_name": "counter", "data_type": "long", "required": false,
                  "min": "0", "max": "99999999999", "method": "R" },
                { "property_name": "temperature", "data_type": "decimal", "required": false,
                  "min": "-50", "max": "150", "step": 0.1, "unit": "C", "method": "R" },
                { "property_name": "active", "data_type": "boolean", "required": false, "method": "R" },
                { "property_name": "pad", "data_type": "string", "required": false, "max_length": 1_048_576,
                  "method": "R" },
            ],
            "commands": [{
                "command_name": COMMAND,
                "paras": [{ "para_name": "number", "data_type": "long", "required": true,
                            "min": "0", "max": "99999999999" }],
                "responses": [{ "response_name": "pong", "paras": [
                    { "para_name": "number", "data_type": "long", "required": true,
                      "min": "0", "max": "99999999999" }] }],
            }],
        }],
    })
}

/// Payload of exactly `size` bytes: a `properties/report` (002 §2.1.2.8.1) whose text property `pad` fills the rest.
/// Sizes too small for all fields lose `pad`, then the lesser properties and the time, and end in JSON white space.
///
/// # Errors
/// When not even the counter has room.
pub(crate) fn report(size: usize) -> anyhow::Result<Vec<u8>> {
    let head = format!(r#"{{"services":[{{"service_id":"{SERVICE_ID}","properties":{{"counter":"#).into_bytes();
    let whole: (&[u8], &[u8]) = (br#","temperature":21.5,"active":true"#, br#"},"event_time":"20260101T000000Z"}]}"#);
    let bare: (&[u8], &[u8]) = (b"", b"}}]}");
    let pad: (&[u8], &[u8]) = (br#","pad":""#, b"\"");
    let fixed = |form: (&[u8], &[u8])| head.len() + COUNTER.len() + form.0.len() + form.1.len();
    let padding = pad.0.len() + pad.1.len();

    let mut body = head.clone();
    body.extend_from_slice(COUNTER);
    let form = if size >= fixed(whole) { whole } else { bare };
    ensure!(size >= fixed(form), "a report needs at least {} bytes of payload, not {size}", fixed(bare));
    body.extend_from_slice(form.0);
    if size >= fixed(form) + padding {
        body.extend_from_slice(pad.0);
        // Digits and letters, so that no part of the way (escaping, compression) meets an unusual text.
        body.extend((0..size - fixed(form) - padding).map(|i| b"0123456789abcdefghijklmnopqrstuvwxyz"[i % 36]));
        body.extend_from_slice(pad.1);
    }
    body.extend_from_slice(form.1);
    body.resize(size, b' ');
    Ok(body)
}

/// One PUBLISH with QoS 1 whose packet id, counter and time can be overwritten in place.
#[derive(Clone)]
pub(crate) struct Template {
    bytes: Vec<u8>,
    packet_id: usize,
    counter: Range<usize>,
    time: Option<usize>,
}

/// Length of the text that [`Template::stamp`] writes as time.
pub(crate) const TIME_LEN: usize = TIME.len();

impl Template {
    /// A report of `size` payload bytes to `topic`.
    ///
    /// # Errors
    /// When `size` is too small or too large for a PUBLISH.
    pub(crate) fn new(topic: &str, size: usize) -> anyhow::Result<Self> {
        let payload = report(size)?;
        let find = |what: &[u8]| payload.windows(what.len()).position(|window| window == what);
        let counter = find(COUNTER).expect("every form has the counter");
        let time = find(TIME);
        let publish = Publish {
            qos: QoS::AtLeastOnce,
            packet_id: PacketId::new(1),
            topic,
            payload: &payload,
            ..Publish::default()
        };
        let mut bytes = Vec::new();
        mqtt::encode_publish(&mut bytes, Version::V311, &publish)?;
        let start = bytes.len() - size;
        Ok(Self {
            // The packet id stands right before the payload in 3.1.1 (§3.3.2).
            packet_id: start - 2,
            counter: start + counter..start + counter + COUNTER.len(),
            time: time.map(|at| start + at),
            bytes,
        })
    }

    /// The whole packet.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Length of the packet in bytes.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Counts the counter of this template up by one.
    pub(crate) fn advance(&mut self) {
        for digit in self.bytes[self.counter.clone()].iter_mut().rev() {
            if *digit < b'9' {
                *digit += 1;
                return;
            }
            *digit = b'0';
        }
        // All nines have become all zeros, which JSON would not accept as a number.
        self.bytes[self.counter.start] = b'1';
    }

    /// Writes this template's counter, `packet_id` and `time` into `slot`, a copy of the packet.
    pub(crate) fn stamp(&self, slot: &mut [u8], packet_id: u16, time: &[u8; TIME_LEN]) {
        slot[self.packet_id..self.packet_id + 2].copy_from_slice(&packet_id.to_be_bytes());
        slot[self.counter.clone()].copy_from_slice(&self.bytes[self.counter.clone()]);
        if let Some(at) = self.time {
            slot[at..at + TIME_LEN].copy_from_slice(time);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_is_exact_and_a_legal_report() {
        for size in (73..700).chain([4096, 65_536, 1_048_576]) {
            let body = report(size).expect("large enough");
            assert_eq!(body.len(), size);
            let json: Value = serde_json::from_slice(&body).expect("legal JSON");
            let properties = &json["services"][0]["properties"];
            assert_eq!(properties["counter"], 1_000_000_000, "size {size}");
            assert_eq!(size >= 138, json["services"][0]["event_time"].is_string());
        }
        let error = report(10).expect_err("too small");
        assert!(error.to_string().contains("at least 73 bytes"), "{error}");
    }

    #[test]
    fn patched_packets_decode_to_what_was_patched() {
        let mut template = Template::new("$oc/devices/d/sys/properties/report", 200).expect("large enough");
        let mut slot = template.bytes().to_vec();
        for _ in 0..1_234 {
            template.advance();
        }
        template.stamp(&mut slot, 0xabcd, b"20260203T040506Z");
        let frame = mqtt::split_frame(&slot, 1 << 20).expect("legal").expect("whole");
        let packet = mqtt::decode_from(mqtt::Sender::Client, Version::V311, frame).expect("legal");
        let mqtt::Packet::Publish(publish) = packet else { panic!("not a PUBLISH") };
        assert_eq!(publish.packet_id.map(PacketId::get), Some(0xabcd));
        assert_eq!((publish.topic, publish.payload.len()), ("$oc/devices/d/sys/properties/report", 200));
        let json: Value = serde_json::from_slice(publish.payload).expect("legal JSON");
        assert_eq!(json["services"][0]["properties"]["counter"], 1_000_001_234);
        assert_eq!(json["services"][0]["event_time"], "20260203T040506Z");
    }

    #[test]
    fn the_counter_wraps_to_a_legal_number() {
        let mut template = Template::new("t", 100).expect("large enough");
        let range = template.counter.clone();
        template.bytes[range.clone()].copy_from_slice(b"9999999999");
        template.advance();
        assert_eq!(&template.bytes[range], b"1000000000");
    }

    /// The model and the report are two texts: a property in one and not in the other would make every message invalid.
    #[test]
    fn the_report_holds_exactly_the_properties_of_the_model() {
        let model = product_model();
        let names = model["service_capabilities"][0]["properties"].as_array().expect("a list");
        let mut modelled: Vec<&str> = names.iter().filter_map(|p| p["property_name"].as_str()).collect();
        let body: Value = serde_json::from_slice(&report(300).expect("large enough")).expect("legal JSON");
        let sent = body["services"][0]["properties"].as_object().expect("an object");
        let mut sent: Vec<&str> = sent.keys().map(String::as_str).collect();
        modelled.sort_unstable();
        sent.sort_unstable();
        assert_eq!(modelled, sent);
    }
}
