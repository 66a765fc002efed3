use proptest::prelude::*;

use super::*;

#[track_caller]
fn services(text: &str) -> Vec<(String, String, Option<i64>)> {
    let services = report(text.as_bytes()).expect(text);
    services.iter().map(|s| (s.service_id.to_string(), s.properties.to_owned(), s.event_time.map(|t| t.0))).collect()
}

#[test]
fn the_documented_example_and_every_event_time() {
    let text = r#"{"services":[{"service_id":"Temperature","properties":{"value":57,"value2":60},"event_time":"20151212T121212Z"},
        {"service_id":"Battery","properties":{"level":80}}]}"#;
    assert_eq!(
        services(text),
        [
            ("Temperature".to_owned(), r#"{"value":57,"value2":60}"#.to_owned(), Some(1_449_922_332_000)),
            ("Battery".to_owned(), r#"{"level":80}"#.to_owned(), None)
        ]
    );
    for time in ["null", "7", "\"\"", "\"2026-11-22T00:43\"", "{\"a\":[1]}", "true", r#""20\u0031""#] {
        let text = format!(r#"{{"services":[{{"event_time":{time},"service_id":"s","properties":{{}}}}]}}"#);
        assert_eq!(services(&text), [("s".to_owned(), "{}".to_owned(), None)], "{time}");
    }
}

#[test]
fn other_keys_escapes_repetitions_and_white_space() {
    assert_eq!(
        services(
            "\t{ \"x\" : [1,{}] , \"services\" : [ { \"service_id\" : \"a\\u0062\" , \"properties\" : { \"p\" : 1.10 } , \"y\" : null } ] }\n"
        ),
        [("ab".to_owned(), r#"{ "p" : 1.10 }"#.to_owned(), None)]
    );
    assert_eq!(services(r#"{"services":[]}"#), []);
    assert_eq!(
        services(r#"{"services":[],"services":[{"service_id":"a","service_id":"b","properties":1,"properties":{}}]}"#),
        [("b".to_owned(), "{}".to_owned(), None)]
    );
}

#[test]
fn malformed_reports() {
    for text in [
        "",
        "x",
        "{}",
        "[]",
        "null",
        r#"{"services":null}"#,
        r#"{"services":{}}"#,
        r#"{"services":[1]}"#,
        r#"{"services":[{"service_id":"s"}]}"#,
        r#"{"services":[{"properties":{}}]}"#,
        r#"{"services":[{"service_id":7,"properties":{}}]}"#,
        r#"{"services":[{"service_id":"s","properties":{}}]"#,
        r#"{"services":[{"service_id":"s","properties":{}}]}}"#,
        r#"{"services":[{"service_id":"s","properties":{"a":}}]}"#,
    ] {
        assert!(matches!(report(text.as_bytes()), Err(ReportError::Json(_))), "{text}");
    }
    assert!(matches!(report(b"{\"services\":[{\"service_id\":\"\xff\",\"properties\":{}}]}"), Err(ReportError::Text)));
}

#[test]
fn gateways_report_up_to_the_limit() {
    let device =
        |n: usize| format!(r#"{{"device_id":"d{n}","services":[{{"service_id":"s","properties":{{"a":{n}}}}}]}}"#);
    let text = |n: usize| format!(r#"{{"devices":[{}]}}"#, (0..n).map(device).collect::<Vec<_>>().join(","));
    let three = text(3);
    let read = sub_device_report(three.as_bytes(), 3).expect("three");
    assert_eq!(
        read.iter().map(|(id, s)| (id.as_ref(), s.len())).collect::<Vec<_>>(),
        [("d0", 1), ("d1", 1), ("d2", 1)]
    );
    assert!(matches!(sub_device_report(text(4).as_bytes(), 3), Err(ReportError::TooManyDevices)));
    assert!(matches!(sub_device_report(text(400).as_bytes(), 3), Err(ReportError::TooManyDevices)));
    assert!(matches!(sub_device_report(br#"{"devices":[{"device_id":"d"}]}"#, 3), Err(ReportError::Json(_))));
    assert!(matches!(sub_device_report(br#"{"services":[]}"#, 3), Err(ReportError::Json(_))));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = report(&bytes);
        let _ = sub_device_report(&bytes, 2);
    }

    /// What serde_json takes as a report of the documented types, this reader takes too, with the same values.
    #[test]
    fn agrees_with_a_plain_reader(ids in prop::collection::vec("[ -~]{0,12}", 0..5), number in any::<i64>(), text in ".{0,12}") {
        let value = serde_json::json!({
            "extra": {"services": 1},
            "services": ids.iter().map(|id| serde_json::json!({"service_id": id, "properties": {"n": number, "t": text}})).collect::<Vec<_>>(),
        });
        let encoded = value.to_string();
        let read = report(encoded.as_bytes()).expect("well formed");
        prop_assert_eq!(read.len(), ids.len());
        for (service, id) in read.iter().zip(&ids) {
            prop_assert_eq!(&*service.service_id, id.as_str());
            let properties: serde_json::Value = serde_json::from_str(service.properties).expect("raw JSON");
            prop_assert_eq!(&properties["n"], &serde_json::json!(number));
            prop_assert_eq!(&properties["t"], &serde_json::json!(text));
        }
    }
}
