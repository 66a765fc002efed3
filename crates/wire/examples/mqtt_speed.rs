//! Prints what decoding and encoding one packet costs: `cargo run --release -p causeway-wire --example mqtt_speed`.

use std::hint::black_box;
use std::time::Instant;

use causeway_wire::mqtt::*;

const ROUNDS: u32 = 2_000_000;

/// Median of seven runs, so that a busy machine does not spoil the number.
fn measure(name: &str, mut step: impl FnMut()) {
    let mut runs: Vec<f64> = (0..7)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..ROUNDS {
                step();
            }
            start.elapsed().as_nanos() as f64 / f64::from(ROUNDS)
        })
        .collect();
    runs.sort_by(f64::total_cmp);
    println!("{name:<44} {:6.1} ns (least {:.1})", runs[3], runs[0]);
}

fn main() -> Result<(), EncodeError> {
    let topic = "$oc/devices/5e25d39a3b7c24fa3638804b_pump-0001/sys/properties/report";
    let properties = [
        Property::ContentType("application/json"),
        Property::CorrelationData(b"0123456789"),
        Property::UserProperty("region", "north"),
        Property::UserProperty("line", "7"),
    ];
    let packet_id = PacketId::new(4711);
    let mut publish = Publish { qos: QoS::AtLeastOnce, packet_id, topic, payload: &[b'1'; 128], ..Publish::default() };

    for version in [Version::V311, Version::V5] {
        if version == Version::V5 {
            publish.properties = Properties::from(&properties);
        }
        let mut buf = Vec::new();
        encode_publish(&mut buf, version, &publish)?;
        measure(&format!("decode PUBLISH QoS 1 {version:?}, {} bytes", buf.len()), || {
            let frame = split_frame(black_box(&buf), 1 << 20).expect("legal").expect("complete");
            black_box(decode_from(Sender::Client, version, frame).expect("legal"));
        });
        let mut out = Vec::with_capacity(1024);
        measure(&format!("encode PUBLISH QoS 1 {version:?}, {} bytes", buf.len()), || {
            out.clear();
            encode_publish(&mut out, version, black_box(&publish)).expect("legal");
            black_box(&out);
        });
    }
    let ack = Ack::success(packet_id.expect("not zero"));
    let mut out = Vec::with_capacity(64);
    measure("encode PUBACK V311", || {
        out.clear();
        encode_puback(&mut out, Version::V311, black_box(&ack)).expect("legal");
        black_box(&out);
    });
    measure("decode PUBACK V311", || {
        let frame = split_frame(black_box(&out), 1 << 20).expect("legal").expect("complete");
        black_box(decode_from(Sender::Client, Version::V311, frame).expect("legal"));
    });
    measure("match filter with two wildcards", || {
        black_box(topic::matches(black_box("$oc/devices/+/sys/properties/#"), black_box(topic)));
    });
    Ok(())
}
