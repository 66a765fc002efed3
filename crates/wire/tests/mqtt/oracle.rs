//! Compares with an independent implementation: it must take every packet that this codec encodes or accepts and write
//! it in the same bytes. It does not know 3.1.

use std::sync::Arc;

use causeway_wire::mqtt::*;
use mqtt_protocol_core::mqtt::packet::{v3_1_1, v5_0};
use mqtt_protocol_core::mqtt::result_code::MqttError;
use proptest::prelude::*;
use proptest::sample::select;

use super::packets::{connect, damaged, packet};

/// Reads a packet with the other implementation and writes it again.
fn oracle(version: Version, frame: Frame<'_>) -> Result<Vec<u8>, MqttError> {
    macro_rules! again {
        ($packet:ty, $($arg:expr),*) => {{
            let (packet, len) = <$packet>::parse($($arg),*)?;
            if len != frame.body.len() {
                return Err(MqttError::MalformedPacket);
            }
            Ok(packet.to_continuous_buffer())
        }};
    }
    macro_rules! by_type {
        ($of:ident $(, $more:pat => $auth:ident)?) => {
            match frame.packet_type().expect("not the reserved type") {
                PacketType::Connect => again!($of::Connect, frame.body),
                PacketType::Connack => again!($of::Connack, frame.body),
                PacketType::Publish => again!($of::Publish, frame.flags(), Arc::from(frame.body)),
                PacketType::Puback => again!($of::Puback, frame.body),
                PacketType::Pubrec => again!($of::Pubrec, frame.body),
                PacketType::Pubrel => again!($of::Pubrel, frame.body),
                PacketType::Pubcomp => again!($of::Pubcomp, frame.body),
                PacketType::Subscribe => again!($of::Subscribe, frame.body),
                PacketType::Suback => again!($of::Suback, frame.body),
                PacketType::Unsubscribe => again!($of::Unsubscribe, frame.body),
                PacketType::Unsuback => again!($of::Unsuback, frame.body),
                PacketType::Pingreq => again!($of::Pingreq, frame.body),
                PacketType::Pingresp => again!($of::Pingresp, frame.body),
                PacketType::Disconnect => again!($of::Disconnect, frame.body),
                $($more => again!($of::$auth, frame.body),)?
                #[allow(unreachable_patterns)]
                other => panic!("{other:?} does not exist in this version"),
            }
        };
    }
    match version {
        Version::V31 => panic!("the other implementation does not know 3.1"),
        Version::V311 => by_type!(v3_1_1),
        Version::V5 => by_type!(v5_0, PacketType::Auth => Auth),
    }
}

/// Where the other implementation refuses what 5.0 allows: a password without user name (v5 §3.1.2.9) and DISCONNECT with
/// Bad authentication method (v5 §2.4).
fn refused_wrongly(version: Version, frame: Frame<'_>) -> bool {
    if version != Version::V5 {
        return false;
    }
    match decode(version, frame) {
        Ok(Packet::Disconnect(disconnect)) => disconnect.reason == ReasonCode::BAD_AUTHENTICATION_METHOD,
        _ => decode_connect(frame).is_ok_and(|connect| connect.password.is_some() && connect.user_name.is_none()),
    }
}

fn frame(bytes: &[u8]) -> Frame<'_> {
    split_frame(bytes, u32::MAX).expect("legal").expect("complete")
}

fn version() -> impl Strategy<Value = Version> {
    select(vec![Version::V311, Version::V5])
}

fn encoded(version: Version) -> impl Strategy<Value = Vec<u8>> {
    let connect = connect(version).prop_map(|connect| {
        let mut buf = Vec::new();
        encode_connect(&mut buf, &connect).expect("legal packets can be encoded");
        buf
    });
    let packet = packet(version).prop_map(move |packet| {
        let mut buf = Vec::new();
        packet.encode(&mut buf, version).expect("legal packets can be encoded");
        buf
    });
    prop_oneof![1 => connect, 6 => packet]
}

/// This codec's reading of a packet, encoded again.
fn ours(version: Version, frame: Frame<'_>) -> Option<Vec<u8>> {
    let mut again = Vec::new();
    if frame.packet_type() == Some(PacketType::Connect) {
        let connect = decode_connect(frame).ok().filter(|connect| connect.version == version)?;
        encode_connect(&mut again, &connect).expect("a decoded CONNECT can be encoded");
    } else {
        decode(version, frame).ok()?.encode(&mut again, version).expect("a decoded packet can be encoded");
    }
    Some(again)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn encoded_packets_are_understood((version, bytes) in version().prop_flat_map(|v| (Just(v), encoded(v)))) {
        if refused_wrongly(version, frame(&bytes)) {
            return Ok(());
        }
        prop_assert_eq!(oracle(version, frame(&bytes)), Ok(bytes.clone()));
    }

    #[test]
    fn accepted_packets_are_accepted(
        (version, bytes) in version().prop_flat_map(|v| (Just(v), damaged(encoded(v))))
    ) {
        let Ok(Some(frame)) = split_frame(&bytes, u32::MAX) else { return Ok(()) };
        if refused_wrongly(version, frame) {
            return Ok(());
        }
        if let Some(again) = ours(version, frame) {
            let theirs = oracle(version, frame);
            prop_assert!(theirs.is_ok(), "{theirs:?} for {bytes:02x?}");
            // Both forms of an acknowledgement may come back, with and without the trailing defaults.
            let theirs = theirs.expect("asserted above");
            prop_assert_eq!(ours(version, split_frame(&theirs, u32::MAX).expect("legal").expect("complete")), Some(again));
        }
    }
}
