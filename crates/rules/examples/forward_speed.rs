//! Prints what asking a rule and making its output cost: `cargo run --release -p causeway-rules --example forward_speed`.

use std::hint::black_box;
use std::time::Instant;

use causeway_model::Timestamp;
use causeway_model::forwarding::Subject;
use causeway_rules::event::{Body, Content, Event, Header, Service};
use causeway_rules::forward::{Limits, Query, Refused};

const ROUNDS: u32 = 500_000;

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
    println!("{name:<60} {:7.1} ns (least {:.1})", runs[3], runs[0]);
}

fn main() -> Result<(), Refused> {
    let at = Timestamp(1_449_922_332_000);
    let header = Header {
        app_id: "d4922d8a-6c8e-4396-852c-164aefa6638f",
        device_id: "d4922d8a-6c8e-4396-852c-164aefa6638f",
        node_id: "ABC123456789",
        product_id: "ABC123456789",
        gateway_id: "d4922d8a-6c8e-4396-852c-164aefa6638f",
        tags: r#"{"tag_value":"testTagValue","tag_key":"testTagName"}"#,
    };
    let content = Content::Json(r#"{"temperature":40,"humidty":24}"#);
    let message = Event {
        subject: Subject::MESSAGE_REPORT,
        at,
        request_id: "5e25d39a-3b7c-24fa-3638-804b00000001",
        header: Some(header),
        body: Body::Message { topic: "topic", content },
    };
    let properties = r#"{"level":23.1,"voltage":3.71,"charging":false,"firmware":"1.4.2","cycles":1204}"#;
    let services = [Service { service_id: "Battery", properties, event_time: at }];
    let report = Event { subject: Subject::PROPERTY_REPORT, body: Body::Services(&services), ..message };

    // 002 §5.4: the guide's example.
    let guide = "SELECT notify_data.header.device_id AS device_id, notify_data.body.content WHERE \
                 notify_data.body.content.temperature > 38";
    let compile = |event: &Event<'_>, sql: &str| Query::compile(event.subject, sql, None, Limits::default());
    measure("guide's example: compile", || {
        black_box(compile(&message, black_box(guide)).is_ok());
    });
    let mut out = String::with_capacity(1024);
    for (name, event, sql) in [
        ("guide's example", &message, guide),
        ("everything", &message, "SELECT *"),
        ("one product", &message, "* WHERE notify_data.header.product_id = 'ABC123456789'"),
        ("a property", &report, "* WHERE GET_SERVICE_PROPERTY('Battery','cycles') > 1000"),
        (
            "a property and a tag, three values",
            &report,
            "notify_data.header.device_id AS d, GET_SERVICE_PROPERTY('Battery','level') AS l, GET_TAG('testTagName') AS t \
             WHERE notify_data.body.services[0].properties.level * 1.8 + 32 > 70 AND CONTAINS_TAG('testTagName')",
        ),
    ] {
        let query = compile(event, sql)?;
        assert!(query.matches(event), "{sql}");
        measure(&format!("{name}: match"), || {
            black_box(query.matches(black_box(event)));
        });
        measure(&format!("{name}: select"), || {
            out.clear();
            query.select(black_box(event), &mut out);
            black_box(&out);
        });
    }
    Ok(())
}
