//! What is encoded decodes to the same value, and no bytes whatever upset the decoder.

use super::packets::{connect, damaged, packet};
use causeway_wire::mqtt::*;
use proptest::prelude::*;
use proptest::sample::select;

const VERSIONS: [Version; 3] = [Version::V31, Version::V311, Version::V5];

fn version() -> impl Strategy<Value = Version> {
    select(&VERSIONS[..])
}

/// The one packet in the buffer; no beginning of it is taken for a packet.
fn whole(buf: &[u8]) -> Frame<'_> {
    for len in (0..buf.len().min(8)).chain(buf.len().saturating_sub(2)..buf.len()) {
        assert_eq!(split_frame(&buf[..len], u32::MAX), Ok(None), "{len} of {} bytes", buf.len());
    }
    let frame = split_frame(buf, buf.len() as u32).expect("legal").expect("complete");
    assert_eq!(frame.len, buf.len());
    frame
}

/// Decodes what it can and, for everything accepted, encodes and decodes again to the same value.
fn survive(version: Version, bytes: &[u8]) -> Result<(), TestCaseError> {
    let mut rest = bytes;
    while let Ok(Some(frame)) = split_frame(rest, 1 << 20) {
        prop_assert_eq!(frame.header, rest[0]);
        prop_assert!(frame.body.len() < frame.len && frame.len <= rest.len());
        rest = &rest[frame.len..];
        let mut again = Vec::new();
        if let Ok(connect) = decode_connect(frame) {
            encode_connect(&mut again, &connect).expect("a decoded CONNECT can be encoded");
            prop_assert_eq!(decode_connect(whole(&again)), Ok(connect));
            again.clear();
        }
        if let Ok(packet) = decode(version, frame) {
            packet.encode(&mut again, version).expect("a decoded packet can be encoded");
            prop_assert_eq!(decode(version, whole(&again)), Ok(packet));
        }
        for sender in [Sender::Client, Sender::Server] {
            if let Ok(packet) = decode_from(sender, version, frame) {
                prop_assert_eq!(decode(version, frame), Ok(packet));
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn packets_come_back((version, packet) in version().prop_flat_map(|v| (Just(v), packet(v)))) {
        let mut buf = b"earlier".to_vec();
        packet.encode(&mut buf, version).expect("legal packets can be encoded");
        prop_assert!(buf.starts_with(b"earlier"));
        let frame = whole(&buf[7..]);
        prop_assert_eq!(frame.packet_type(), Some(packet.packet_type()));
        prop_assert_eq!(decode(version, frame), Ok(packet));
    }

    #[test]
    fn connects_come_back(connect in version().prop_flat_map(connect)) {
        let mut buf = Vec::new();
        encode_connect(&mut buf, &connect).expect("legal packets can be encoded");
        prop_assert_eq!(decode_connect(whole(&buf)), Ok(connect));
    }

    #[test]
    fn arbitrary_bytes_are_survived(version in version(), bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        survive(version, &bytes)?;
    }

    #[test]
    fn damaged_packets_are_survived((version, bytes) in version().prop_flat_map(|version| {
        let bytes = packet(version).prop_map(move |packet| {
            let mut buf = Vec::new();
            packet.encode(&mut buf, version).expect("legal packets can be encoded");
            buf
        });
        (Just(version), damaged(bytes))
    })) {
        survive(version, &bytes)?;
    }

    #[test]
    fn damaged_connects_are_survived(bytes in damaged(version().prop_flat_map(connect).prop_map(|connect| {
        let mut buf = Vec::new();
        encode_connect(&mut buf, &connect).expect("legal packets can be encoded");
        buf
    }))) {
        survive(Version::V5, &bytes)?;
    }
}
