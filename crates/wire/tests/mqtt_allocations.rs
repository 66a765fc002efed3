//! The report path must not allocate: decoding a PUBLISH and encoding its PUBACK into a buffer with room.
//!
//! Its own test program, because the counting allocator is global.

#![allow(unsafe_code)] // `GlobalAlloc` cannot be implemented without it

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use causeway_wire::mqtt::*;

struct Counting;

thread_local! {
    /// Calls of this thread only; the test harness has its own threads.
    static CALLS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: hands every call on to the system allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.set(CALLS.get() + 1);
        // SAFETY: the caller keeps the promises of `GlobalAlloc::alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the promises of `GlobalAlloc::dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(work: impl FnOnce()) -> usize {
    let before = CALLS.get();
    work();
    CALLS.get() - before
}

#[test]
fn the_counter_counts() {
    assert!(allocations(|| drop(std::hint::black_box(vec![1u8; 10]))) > 0);
}

#[test]
fn report_path_does_not_allocate() {
    let properties = [Property::ContentType("application/json"), Property::UserProperty("a", "b")];
    for version in [Version::V31, Version::V311, Version::V5] {
        let publish = Publish {
            qos: QoS::AtLeastOnce,
            packet_id: PacketId::new(1),
            topic: "$oc/devices/d1/sys/properties/report",
            payload: &[b'1'; 150],
            properties: Properties::from(&properties),
            ..Publish::default()
        };
        let mut packet = Vec::new();
        encode_publish(&mut packet, version, &publish).expect("legal");
        let mut answer = Vec::with_capacity(64);
        let count = allocations(|| {
            let frame = split_frame(&packet, 1 << 20).expect("legal").expect("complete");
            let Ok(Packet::Publish(read)) = decode_from(Sender::Client, version, frame) else {
                panic!("is a PUBLISH");
            };
            assert_eq!(read.properties.user_properties().count(), usize::from(version == Version::V5));
            let ack = Ack::success(read.packet_id.expect("QoS 1"));
            encode_puback(&mut answer, version, &ack).expect("legal");
        });
        assert_eq!(count, 0, "{version:?}");
        assert_eq!(answer, [0x40, 2, 0, 1]);
    }
}
