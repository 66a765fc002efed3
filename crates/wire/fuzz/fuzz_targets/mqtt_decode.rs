//! Any byte stream, read as each version of MQTT: nothing panics, frames lie inside the stream, and what is accepted
//! encodes to a packet that decodes to the same value.

#![no_main]

use causeway_wire::mqtt::*;
use libfuzzer_sys::fuzz_target;

const MAX_PACKET_SIZE: u32 = 1 << 16;

fuzz_target!(|stream: &[u8]| {
    for version in [Version::V31, Version::V311, Version::V5] {
        read(version, stream);
    }
});

fn read(version: Version, stream: &[u8]) {
    let mut rest = stream;
    while let Ok(Some(frame)) = split_frame(rest, MAX_PACKET_SIZE) {
        assert_eq!(frame_len(rest, MAX_PACKET_SIZE), Ok(Some(frame.len)));
        assert_eq!(frame.header, rest[0]);
        assert!((2..=5).contains(&(frame.len - frame.body.len())));
        assert!(frame.len <= rest.len() && frame.len <= MAX_PACKET_SIZE as usize);
        rest = &rest[frame.len..];

        match decode_connect(frame) {
            Ok(connect) => {
                let mut again = Vec::new();
                encode_connect(&mut again, &connect).expect("a decoded CONNECT can be encoded");
                assert_eq!(decode_connect(whole(&again)), Ok(connect));
            }
            Err(error) => {
                let _ = error.connack();
            }
        }
        let packet = match decode(version, frame) {
            Ok(packet) => packet,
            Err(error) => {
                assert!(error.reason().is_failure() && !error.text().is_empty());
                for sender in [Sender::Client, Sender::Server] {
                    assert_eq!(decode_from(sender, version, frame), Err(error));
                }
                continue;
            }
        };
        let mut again = Vec::new();
        packet.encode(&mut again, version).expect("a decoded packet can be encoded");
        assert_eq!(decode(version, whole(&again)), Ok(packet));
        for sender in [Sender::Client, Sender::Server] {
            if let Ok(same) = decode_from(sender, version, frame) {
                assert_eq!(same, packet);
            }
        }
    }
}

fn whole(buf: &[u8]) -> Frame<'_> {
    let frame = split_frame(buf, u32::MAX).expect("encoded packets are legal").expect("and complete");
    assert_eq!(frame.len, buf.len());
    frame
}
