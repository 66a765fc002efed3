//! Runs `vectors/mqtt.json`: packets as bytes, named by the clause they show, with what must come out.
//!
//! An entry has `version` (`first` = the version is not known yet), optionally `sender` and `max_packet_size`, `bytes`, and
//! one of: `packet` (these fields must come out, and encoding must give the same bytes or those of `encodes_as`), `error`
//! (reason code; the clause must be that of the entry), `unsupported` (answer to a CONNECT of another version).

use serde_json::{Map, Value, json};

use super::error::{self, ConnectError, DecodeError};
use super::*;

const VECTORS: &str = include_str!("../../vectors/mqtt.json");

/// Rules that no packet on the wire can break: lengths beyond two bytes and a packet identifier that has no place.
const ENCODER_ONLY: [DecodeError; 4] =
    [error::TOPIC_TOO_LONG, error::FILTER_TOO_LONG, error::PACKET_ID_MISSING, error::PACKET_ID_IN_QOS_0];

#[test]
fn every_vector_comes_out_as_written() {
    let vectors: Vec<Value> = serde_json::from_str(VECTORS).expect("vectors are JSON");
    let failures: Vec<String> = vectors.iter().filter_map(|vector| check(vector).err()).collect();
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), vectors.len(), failures.join("\n"));
}

#[test]
fn every_rule_has_a_vector() {
    let vectors: Vec<Value> = serde_json::from_str(VECTORS).expect("vectors are JSON");
    let broken: Vec<DecodeError> = vectors.iter().filter_map(|vector| outcome(vector).err()?.violation()).collect();
    let silent: Vec<&DecodeError> =
        error::ALL.iter().filter(|rule| !ENCODER_ONLY.contains(rule) && !broken.contains(rule)).collect();
    assert!(silent.is_empty(), "rules without a vector: {silent:#?}");
}

#[test]
fn every_reason_can_be_sent() {
    for rule in error::ALL.iter().filter(|&&rule| rule != error::PROTOCOL_NAME) {
        let disconnect = Disconnect { reason: rule.reason(), properties: Properties::default() };
        encode_disconnect(&mut Vec::new(), Version::V5, &disconnect).expect("a reason of DISCONNECT");
    }
    let vectors: Vec<Value> = serde_json::from_str(VECTORS).expect("vectors are JSON");
    let answers: Vec<(Version, u8)> = vectors
        .iter()
        .filter_map(|vector| match outcome(vector) {
            Err(Outcome::Connect(error)) => error.connack(),
            _ => None,
        })
        .collect();
    assert!(answers.len() > 20, "{answers:?}");
    for (version, code) in answers {
        let connack = Connack { code, ..Connack::default() };
        encode_connack(&mut Vec::new(), version, &connack).expect("a code of CONNACK");
    }
}

enum Outcome {
    Decode(DecodeError),
    Connect(ConnectError),
}

impl Outcome {
    fn violation(&self) -> Option<DecodeError> {
        match *self {
            Outcome::Decode(error) | Outcome::Connect(ConnectError::NotMqtt(error)) => Some(error),
            Outcome::Connect(ConnectError::Invalid { error, .. }) => Some(error),
            Outcome::Connect(ConnectError::UnsupportedVersion { .. }) => None,
        }
    }
}

/// Decodes a vector to the JSON of its packet and to the bytes it encodes to.
fn outcome(vector: &Value) -> Result<(Value, Vec<u8>), Outcome> {
    let bytes = unhex(text(vector, "bytes"));
    let limit = vector["max_packet_size"].as_u64().unwrap_or(1 << 20) as u32;
    let frame = split_frame(&bytes, limit).map_err(Outcome::Decode)?.expect("a vector holds a whole packet");
    assert_eq!(frame.len, bytes.len(), "a vector holds one packet");
    let mut encoded = Vec::new();
    let version = match text(vector, "version") {
        "3.1" => Some(Version::V31),
        "3.1.1" => Some(Version::V311),
        "5.0" => Some(Version::V5),
        "first" => None,
        other => panic!("version {other}"),
    };
    let sender = vector.get("sender").map(|sender| match sender.as_str() {
        Some("client") => Sender::Client,
        Some("server") => Sender::Server,
        _ => panic!("sender {sender}"),
    });
    let packet = match (version, sender) {
        // A CONNECT with a sender is one that comes where other packets are expected.
        (Some(version), Some(sender)) => decode_from(sender, version, frame).map_err(Outcome::Decode)?,
        (Some(version), None) if frame.packet_type() != Some(PacketType::Connect) => {
            decode(version, frame).map_err(Outcome::Decode)?
        }
        _ => {
            let connect = decode_connect(frame).map_err(Outcome::Connect)?;
            assert_eq!(Some(connect.version), version);
            encode_connect(&mut encoded, &connect).expect("a decoded CONNECT can be encoded");
            return Ok((connect_json(&connect), encoded));
        }
    };
    let version = version.expect("only a CONNECT comes before the version");
    packet.encode(&mut encoded, version).expect("a decoded packet can be encoded");
    Ok((packet_json(&packet), encoded))
}

fn check(vector: &Value) -> Result<(), String> {
    let fail = |what: String| Err(format!("{} ({}): {what}", text(vector, "name"), text(vector, "version")));
    match outcome(vector) {
        Ok((packet, encoded)) => {
            let Some(expected) = vector.get("packet") else {
                return fail(format!("accepted as {packet}"));
            };
            if let Some(difference) = difference(expected, &packet) {
                return fail(difference);
            }
            let canonical = unhex(vector.get("encodes_as").unwrap_or(&vector["bytes"]).as_str().expect("hex"));
            if encoded != canonical {
                return fail(format!("encodes as {encoded:02x?}"));
            }
        }
        Err(Outcome::Connect(ConnectError::UnsupportedVersion { level, answer })) => {
            let found = json!({ "level": level, "answer": version_name(answer) });
            if vector.get("unsupported") != Some(&found) {
                return fail(format!("unsupported: {found}"));
            }
        }
        Err(refusal) => {
            let error = refusal.violation().expect("the other variant stands above");
            let expected = vector["error"].as_str();
            if expected != Some(&format!("0x{:02X}", error.reason().0))
                || !error.clause().contains(text(vector, "clause"))
            {
                return fail(format!("refused with {error:?}"));
            }
        }
    }
    Ok(())
}

/// First field of `expected` that `found` does not have equally.
fn difference(expected: &Value, found: &Value) -> Option<String> {
    let expected = expected.as_object().expect("packet is an object");
    expected.iter().find_map(|(key, value)| {
        let found = found.get(key);
        (found != Some(value)).then(|| format!("{key} is {found:?} instead of {value}"))
    })
}

fn text<'a>(vector: &'a Value, key: &str) -> &'a str {
    vector[key].as_str().unwrap_or_else(|| panic!("{key} is missing in {vector}"))
}

fn unhex(text: &str) -> Vec<u8> {
    text.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).expect("hex byte")).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn version_name(version: Version) -> &'static str {
    match version {
        Version::V31 => "3.1",
        Version::V311 => "3.1.1",
        Version::V5 => "5.0",
    }
}

fn connect_json(connect: &Connect<'_>) -> Value {
    let will = connect.will.map(|will| {
        json!({
            "qos": will.qos.bits(),
            "retain": will.retain,
            "topic": will.topic,
            "payload": hex(will.payload),
            "properties": properties_json(&will.properties),
        })
    });
    json!({
        "type": "connect",
        "version": version_name(connect.version),
        "clean_start": connect.clean_start,
        "keep_alive": connect.keep_alive,
        "client_id": connect.client_id,
        "lacks_client_id": connect.lacks_client_id(),
        "will": will,
        "user_name": connect.user_name,
        "password": connect.password.map(hex),
        "properties": properties_json(&connect.properties),
    })
}

fn packet_json(packet: &Packet<'_>) -> Value {
    let name = format!("{:?}", packet.packet_type()).to_lowercase();
    let mut fields = match packet {
        Packet::Connack(connack) => json!({
            "session_present": connack.session_present,
            "code": connack.code,
            "properties": properties_json(&connack.properties),
        }),
        Packet::Publish(publish) => json!({
            "dup": publish.dup,
            "qos": publish.qos.bits(),
            "retain": publish.retain,
            "topic": publish.topic,
            "packet_id": publish.packet_id,
            "properties": properties_json(&publish.properties),
            "payload": hex(publish.payload),
        }),
        Packet::Puback(ack) | Packet::Pubrec(ack) | Packet::Pubrel(ack) | Packet::Pubcomp(ack) => {
            json!({
                "packet_id": ack.packet_id,
                "reason": ack.reason.0,
                "properties": properties_json(&ack.properties),
            })
        }
        Packet::Subscribe(subscribe) => {
            let subscriptions: Vec<Value> = subscribe.subscriptions.iter().map(subscription_json).collect();
            json!({
                "packet_id": subscribe.packet_id,
                "properties": properties_json(&subscribe.properties),
                "subscriptions": subscriptions,
            })
        }
        Packet::Suback(suback) => json!({
            "packet_id": suback.packet_id,
            "properties": properties_json(&suback.properties),
            "codes": hex(suback.codes),
        }),
        Packet::Unsubscribe(unsubscribe) => json!({
            "packet_id": unsubscribe.packet_id,
            "properties": properties_json(&unsubscribe.properties),
            "filters": unsubscribe.filters.iter().collect::<Vec<_>>(),
        }),
        Packet::Unsuback(unsuback) => json!({
            "packet_id": unsuback.packet_id,
            "properties": properties_json(&unsuback.properties),
            "codes": hex(unsuback.codes),
        }),
        Packet::Pingreq | Packet::Pingresp => Value::Object(Map::new()),
        Packet::Disconnect(Disconnect { reason, properties }) | Packet::Auth(Auth { reason, properties }) => {
            json!({ "reason": reason.0, "properties": properties_json(properties) })
        }
    };
    fields["type"] = name.into();
    fields
}

fn subscription_json(subscription: Subscription<'_>) -> Value {
    json!({
        "filter": subscription.filter,
        "qos": subscription.qos.bits(),
        "no_local": subscription.no_local,
        "retain_as_published": subscription.retain_as_published,
        "retain_handling": subscription.retain_handling as u8,
    })
}

/// `[["0x23", 3], ["0x26", "name", "value"]]`
fn properties_json(properties: &Properties<'_>) -> Value {
    let of = |property: Property<'_>| {
        let value = match property {
            Property::PayloadFormatIndicator(value)
            | Property::RequestProblemInformation(value)
            | Property::RequestResponseInformation(value)
            | Property::RetainAvailable(value)
            | Property::WildcardSubscriptionAvailable(value)
            | Property::SubscriptionIdentifierAvailable(value)
            | Property::SharedSubscriptionAvailable(value) => json!(value),
            Property::MaximumQos(qos) => json!(qos.bits()),
            Property::ServerKeepAlive(value) | Property::TopicAliasMaximum(value) => json!(value),
            Property::ReceiveMaximum(value) | Property::TopicAlias(value) => json!(value),
            Property::MessageExpiryInterval(value)
            | Property::SessionExpiryInterval(value)
            | Property::WillDelayInterval(value) => json!(value),
            Property::SubscriptionIdentifier(value) | Property::MaximumPacketSize(value) => {
                json!(value)
            }
            Property::ContentType(text)
            | Property::ResponseTopic(text)
            | Property::AssignedClientIdentifier(text)
            | Property::AuthenticationMethod(text)
            | Property::ResponseInformation(text)
            | Property::ServerReference(text)
            | Property::ReasonString(text) => json!(text),
            Property::CorrelationData(bytes) | Property::AuthenticationData(bytes) => {
                json!(hex(bytes))
            }
            Property::UserProperty(name, value) => return json!(["0x26", name, value]),
        };
        json!([format!("0x{:02X}", property.id()), value])
    };
    properties.iter().map(of).collect()
}
