//! Round trips, vectors of clients, and bytes of nobody.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

/// An open of python-qpid-proton: container id, host name and limits.
const OPEN: &[u8] = &[
    0x00, 0x53, 0x10, 0xc0, 0x1a, 0x05, 0xa1, 0x03, b'a', b'b', b'c', 0xa1, 0x07, b'd', b'e', b'f', b'a', b'u', b'l',
    b't', 0x70, 0x00, 0x00, 0x80, 0x00, 0x60, 0x7f, 0xff,
];

fn body(frame: &[u8]) -> &[u8] {
    let found = split_frame(frame, u32::MAX).expect("sound").expect("complete");
    assert_eq!(found.size, frame.len());
    &frame[found.body..]
}

#[test]
fn an_open_is_read_with_its_defaults() {
    let mut bytes = OPEN.to_vec();
    // Four fields are written.
    bytes[4] = u8::try_from(bytes.len() - 5).expect("short");
    bytes[5] = 4;
    let Performative::Open(open) = Performative::decode(&bytes).expect("reads") else { panic!("not an open") };
    assert_eq!((open.container_id, open.hostname), ("abc", Some("default")));
    assert_eq!((open.max_frame_size, open.idle_time_out), (0x8000, 0));
}

#[test]
fn descriptors_may_be_symbols() {
    let mut bytes = vec![0x00, 0xa3, 14];
    bytes.extend_from_slice(b"amqp:flow:list");
    bytes.extend_from_slice(&[0xc0, 8, 6, 0x43, 0x52, 5, 0x43, 0x43, 0x43, 0x43]);
    let expected = Flow {
        next_incoming_id: Some(0),
        incoming_window: 5,
        handle: Some(0),
        delivery_count: Some(0),
        link_credit: None,
        drain: false,
        echo: false,
    };
    assert_eq!(Performative::decode(&bytes), Ok(Performative::Flow(expected)));
}

#[test]
fn dispositions_tell_ranges_and_outcomes() {
    let read = |state: &[u8]| {
        let mut bytes = vec![0x00, 0x53, 0x15, 0xc0, 0, 5, 0x41, 0x52, 3, 0x52, 9, 0x41];
        bytes.extend_from_slice(state);
        bytes[4] = u8::try_from(bytes.len() - 5).expect("short");
        let Ok(Performative::Disposition(found)) = Performative::decode(&bytes) else { panic!("not a disposition") };
        assert_eq!((found.first, found.last, found.settled, found.from_receiver), (3, 9, true, true));
        found.outcome
    };
    assert_eq!(read(&[0x00, 0x53, 0x24, 0x45]), Some(Outcome::Accepted));
    assert_eq!(read(&[0x00, 0x53, 0x25, 0x45]), Some(Outcome::Rejected));
    assert_eq!(read(&[0x00, 0x53, 0x26, 0xc0, 1, 0]), Some(Outcome::Released));
    let modified = Outcome::Modified { failed: true, not_here: false };
    assert_eq!(read(&[0x00, 0x53, 0x27, 0xc0, 2, 1, 0x41]), Some(modified));
    assert_eq!(read(&[0x00, 0x53, 0x23, 0xc0, 3, 2, 0x43, 0x44]), None);
    assert_eq!(read(&[0x40]), None);
}

#[test]
fn frames_are_judged_before_they_are_complete() {
    assert_eq!(split_frame(b"\0\0\0\x10\x02\0", 512), Ok(None));
    assert_eq!(split_frame(b"\0\0\0\x07\x02\0\0\0", 512), Err(Fault::Length));
    assert_eq!(split_frame(b"\0\0\x02\x01\x02\0\0\0", 512), Err(Fault::Length));
    assert_eq!(split_frame(b"\0\0\0\x10\x01\0\0\0", 512), Err(Fault::Length));
    assert_eq!(split_frame(b"\0\0\0\x10\x05\0\0\0", 512), Err(Fault::Length));
    assert_eq!(split_frame(b"\0\0\0\x10\x02\x02\0\0", 512), Err(Fault::FrameType));
    assert_eq!(split_frame(b"GET / HTTP/1.1\r\n", 65536), Err(Fault::Length));
    let complete = split_frame(b"\0\0\0\x08\x02\x01\0\x07rest", 512);
    assert_eq!(complete, Ok(Some(Frame { kind: FrameKind::Sasl, channel: 7, body: 8, size: 8 })));
}

#[test]
fn an_attach_keeps_the_bytes_of_its_target() {
    let mut out = Vec::new();
    let target = [0x00, 0x53, 0x29, 0xc0, 4, 1, 0xa1, 1, b't'];
    let said = write::Attach {
        name: "link",
        handle: 300,
        is_sender: false,
        settled: true,
        settles_second: true,
        source: Some("queue-01"),
        raw_target: &target,
    };
    write::attach(&mut out, 4, &said);
    let Ok(Performative::Attach(found)) = Performative::decode(body(&out)) else { panic!("not an attach") };
    assert_eq!((found.name, found.handle, found.is_receiver), ("link", 300, true));
    assert_eq!((found.settle_mode, found.settles_second), (SettleMode::Settled, true));
    assert_eq!(found.source, Some(Source { address: Some("queue-01"), dynamic: false }));
    assert_eq!(found.raw_target, target);
}

fn delivery(body: &str) -> write::Delivery<'_> {
    write::Delivery {
        channel: 1,
        handle: 0,
        id: 70_000,
        tag: 5,
        settled: false,
        delivery_count: 2,
        message_id: "7-1",
        created_ms: 1_700_000_000_000,
        body,
    }
}

/// The payloads of a delivery's frames, joined.
fn payload(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut joined = Vec::new();
    for (at, frame) in frames.iter().enumerate() {
        let mut reader = Reader::new(body(frame));
        let Ok(Value::Described(Some(0x14), inside)) = reader.value() else { panic!("not a transfer") };
        let Ok(Value::List(mut fields)) = Reader::new(inside).value() else { panic!("not a list") };
        assert_eq!(fields.number(), Ok(Some(0)));
        assert_eq!(fields.number(), Ok((at == 0).then_some(70_000)));
        fields.skip(3).expect("tag, format, settled");
        assert_eq!(fields.flag(), Ok(at + 1 < frames.len()), "more in frame {at}");
        joined.extend_from_slice(reader.rest());
    }
    joined
}

#[test]
fn a_large_delivery_is_cut_into_frames() {
    let text = "é".repeat(5000);
    let (mut whole, mut first) = (Vec::new(), Vec::new());
    let mut rest = VecDeque::new();
    write::deliver(&mut whole, u32::MAX, &delivery(&text), &mut rest);
    assert!(rest.is_empty());
    write::deliver(&mut first, 512, &delivery(&text), &mut rest);
    let frames: Vec<Vec<u8>> = [first].into_iter().chain(rest).collect();
    assert!(frames.len() > 20 && frames.iter().all(|f| f.len() <= 512));
    assert_eq!(payload(&frames), payload(&[whole]));
}

#[test]
fn a_message_has_header_properties_and_a_string() {
    let mut out = Vec::new();
    write::deliver(&mut out, u32::MAX, &delivery(r#"{"a":1}"#), &mut VecDeque::new());
    let payload = payload(&[out]);
    let mut reader = Reader::new(&payload);
    let mut section = || {
        let Ok(Value::Described(Some(code), inside)) = reader.value() else { panic!("not a section") };
        (code, Reader::new(inside).value().expect("a value"))
    };
    let (0x70, Value::List(mut header)) = section() else { panic!("not a header") };
    assert_eq!(header.flag(), Ok(true));
    header.skip(3).expect("fields");
    assert_eq!(header.number(), Ok(Some(2)));
    let (0x73, Value::List(mut properties)) = section() else { panic!("no properties") };
    assert_eq!(properties.text(), Ok(Some("7-1")));
    properties.skip(5).expect("fields");
    assert_eq!(properties.text(), Ok(Some("application/json")));
    properties.skip(2).expect("fields");
    assert_eq!(properties.value(), Ok(Value::Signed(1_700_000_000_000)));
    assert_eq!(section(), (0x77, Value::Text(r#"{"a":1}"#)));
    assert!(reader.rest().is_empty());
}

#[test]
fn nesting_costs_nothing() {
    // A described value in a descriptor in a descriptor, and lists in lists.
    assert_eq!(Performative::decode(&[0; 60_000]), Err(Fault::Type));
    let mut nested = vec![0x45];
    for _ in 0..2000 {
        let size = u32::try_from(nested.len() + 4).expect("short").to_be_bytes();
        nested = [&[0xd0][..], &size, &1_u32.to_be_bytes(), &nested].concat();
    }
    assert!(Reader::new(&nested).value().is_ok());
}

proptest! {
    #[test]
    fn foreign_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), code in 0x0f_u8..0x46) {
        let _ = split_frame(&bytes, 65_536);
        let _ = Performative::decode(&bytes);
        let framed = [&[0x00, 0x53, code, 0xc0, u8::try_from(bytes.len() + 1).unwrap_or(255), 9][..], &bytes].concat();
        let _ = Performative::decode(&framed);
    }
}
