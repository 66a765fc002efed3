//! Devices, their shadows and their history.

use serde_json::{Value, json};

use crate::rig::Rig;

#[tokio::test]
async fn a_secret_is_shown_once() {
    let rig = Rig::new().await;
    rig.product("p1").await;
    let body = json!({
        "node_id": "n1", "product_id": "p1", "device_name": "Kitchen", "description": "by the window",
        "extension_info": { "floor": 2, "n": 1.10 }, "auth_info": { "timeout": 60, "secure_access": true },
    });
    let made = rig.post("/devices", &body).await.must_be(201);
    assert_eq!((made["device_id"].as_str(), made["gateway_id"].as_str()), (Some("p1_n1"), Some("p1_n1")));
    assert_eq!((made["node_type"].as_str(), made["status"].as_str()), (Some("GATEWAY"), Some("INACTIVE")));
    assert_eq!((&made["extension_info"], &made["tags"]), (&json!({ "floor": 2, "n": 1.10 }), &json!([])));
    assert_eq!((&made["auth_info"]["timeout"], &made["auth_info"]["secure_access"]), (&json!(60), &json!(true)));
    assert_eq!(made["auth_info"]["secret"].as_str().map(str::len), Some(32));
    let mut shown = rig.get("/devices/p1_n1").await.must_be(200);
    assert_eq!(shown["auth_info"], json!({ "auth_type": "SECRET", "secure_access": true }));
    shown["auth_info"] = made["auth_info"].clone();
    assert_eq!(shown, made);
    let listed = rig.get("/devices?node_id=n1").await.must_be(200);
    assert_eq!((listed["devices"][0].get("auth_info"), listed["page"]["count"].as_u64()), (None, Some(1)));
    let changed =
        rig.put("/devices/p1_n1", &json!({ "device_name": "Hall", "auth_info": { "timeout": 0 } })).await.must_be(200);
    assert_eq!((changed["device_name"].as_str(), &changed["auth_info"]["timeout"]), (Some("Hall"), &json!(0)));
    assert_eq!((changed["description"].as_str(), changed["auth_info"].get("secret")), (Some("by the window"), None));
    rig.post("/devices", &body).await.must_fail(400, "IOTDA.014031");
    rig.delete("/devices/p1_n1").await.must_be(204);
    rig.get("/devices/p1_n1").await.must_fail(404, "IOTDA.014000");
}

#[tokio::test]
async fn bad_devices_are_refused() {
    let rig = Rig::new().await;
    rig.product("p1").await;
    for change in [
        json!({ "node_id": "" }),
        json!({ "node_id": "a b" }),
        json!({ "node_id": "x".repeat(65) }),
        json!({ "node_id": null }),
        json!({ "device_id": "" }),
        json!({ "device_id": "x".repeat(129) }),
        json!({ "device_name": "x".repeat(257) }),
        json!({ "description": "x".repeat(2049) }),
        json!({ "extension_info": { "a": "x".repeat(1025) } }),
        json!({ "auth_info": 7 }),
        json!({ "auth_info": ["SECRET"] }),
        json!({ "auth_info": { "auth_type": "MAGIC" } }),
        json!({ "auth_info": { "secret": "short" } }),
        json!({ "auth_info": { "secret": "with blank inside" } }),
        json!({ "auth_info": { "fingerprint": "12" } }),
        json!({ "auth_info": { "timeout": -1 } }),
        json!({ "shadow": {} }),
        json!({ "shadow": [{ "desired": {} }] }),
        json!({ "shadow": [{ "service_id": "Temperature", "desired": 7 }] }),
    ] {
        let mut body = json!({ "node_id": "n", "product_id": "p1" });
        for (name, value) in change.as_object().expect("an object") {
            body[name] = value.clone();
        }
        rig.post("/devices", &body).await.must_fail(400, "IOTDA.000006");
    }
    let key = json!({ "node_id": "n", "product_id": "p1", "shadow": [{ "service_id": "Temperature", "desired": { "a.b": 1 } }] });
    rig.post("/devices", &key).await.must_fail(400, "IOTDA.014041");
    rig.post("/devices", &json!({ "node_id": "n", "product_id": "p2" })).await.must_fail(404, "IOTDA.013003");
    let app = json!({ "node_id": "n", "product_id": "p1", "app_id": "0".repeat(32) });
    rig.post("/devices", &app).await.must_fail(403, "IOTDA.001000");
    rig.get("/devices?start_time=yesterday").await.must_fail(400, "IOTDA.000009");
    rig.get("/devices?start_time=20200102T000000Z&end_time=20200101T000000Z").await.must_fail(400, "IOTDA.000010");
    rig.get("/devices?is_cascade_query=maybe").await.must_fail(400, "IOTDA.000006");
    rig.get("/devices?device_name=a%20%3Cb%3E%2B").await.must_be(200);
}

#[tokio::test]
async fn freezing_and_new_secrets() {
    let rig = Rig::new().await;
    rig.product("p1").await;
    let id = rig.device("n1").await;
    rig.post(&format!("/devices/{id}/freeze"), &json!({})).await.must_be(204);
    assert_eq!(rig.get(&format!("/devices/{id}")).await.must_be(200)["status"], "FROZEN");
    rig.post(&format!("/devices/{id}/unfreeze"), &json!({})).await.must_be(204);
    let action = format!("/devices/{id}/action?action_id=resetSecret");
    let reset = rig.post(&action, &json!({ "secret": "abcd_EFG-123", "secret_type": "SECONDARY" })).await.must_be(200);
    assert_eq!(reset, json!({ "device_id": id, "secret": "abcd_EFG-123", "secret_type": "SECONDARY" }));
    assert_eq!(rig.post(&action, &json!({})).await.must_be(200)["secret_type"], "PRIMARY");
    for body in
        [json!({ "secret": "short" }), json!({ "secret_type": "THIRD" }), json!({ "force_disconnect": "maybe" })]
    {
        rig.post(&action, &body).await.must_fail(400, "IOTDA.000006");
    }
    rig.post(&format!("/devices/{id}/action?action_id=explode"), &json!({})).await.must_fail(400, "IOTDA.000006");
    rig.post(&format!("/devices/{id}/action"), &json!({})).await.must_fail(400, "IOTDA.000006");
}

#[tokio::test]
async fn shadows() {
    let rig = Rig::new().await;
    rig.product("p1").await;
    let id = rig.device("n1").await;
    let path = format!("/devices/{id}/shadow");
    assert_eq!(rig.get(&path).await.must_be(200), json!({ "device_id": id, "shadow": [] }));
    let desire = |desired: Value, version: Value| json!({ "shadow": [{ "service_id": "Temperature", "desired": desired, "version": version }] });
    let answer = rig.put(&path, &desire(json!({ "value": 20 }), json!(0))).await.must_be(200);
    let entry = &answer["shadow"][0];
    assert_eq!((&entry["desired"]["properties"], &entry["version"]), (&json!({ "value": 20 }), &json!(1)));
    assert_eq!((entry.get("reported"), entry["desired"]["event_time"].as_str().map(str::len)), (None, Some(16)));
    rig.put(&path, &desire(json!({ "value": 21 }), json!(0))).await.must_fail(400, "IOTDA.014040");
    rig.put(&path, &desire(json!({ "a.b": 21 }), Value::Null)).await.must_fail(400, "IOTDA.014041");
    rig.put(&path, &desire(json!({ "serial": "x" }), Value::Null)).await.must_fail(400, "IOTDA.013002");
    rig.put(&path, &desire(json!([]), Value::Null)).await.must_fail(400, "IOTDA.000006");
    rig.put(&path, &json!({ "shadow": [] })).await.must_fail(400, "IOTDA.000006");
    rig.put(&path, &json!({})).await.must_fail(400, "IOTDA.000006");
    rig.delete(&path).await.must_be(204);
    assert_eq!(rig.get(&path).await.must_be(200)["shadow"], json!([]));
}

#[tokio::test]
async fn history_is_paged_and_verbatim() {
    let rig = Rig::new().await;
    rig.product("p1").await;
    let id = rig.device("n1").await;
    let (device, _downlinks) = rig.connect(&id).await;
    for minute in 0..5 {
        rig.report(&device, &format!(r#"{{"value":{minute}.10}}"#), &format!("20200101T000{minute}00Z")).await;
    }
    let path = format!("/devices/{id}/history");
    let mut seen = Vec::new();
    let mut marker = String::new();
    loop {
        let answer = rig.get(&format!("{path}?order=asc&limit=2&marker={marker}")).await;
        let page = answer.must_be(200);
        assert!(String::from_utf8_lossy(&answer.body).contains(".10}"));
        seen.extend(
            page["history"]
                .as_array()
                .expect("rows")
                .iter()
                .map(|r| r["event_time"].as_str().expect("time").to_owned()),
        );
        match page["page"]["marker"].as_str() {
            Some(next) => marker = next.to_owned(),
            None => break,
        }
    }
    let expected: Vec<_> = (0..5).map(|m| format!("2020-01-01T00:0{m}:00.000Z")).collect();
    assert_eq!(seen, expected);
    let newest =
        rig.get(&format!("{path}?limit=1&service_id=Temperature&end_time=20200101T000400Z")).await.must_be(200);
    assert_eq!(newest["history"][0]["event_time"], expected[3]);
    let shadow = rig.get(&format!("/devices/{id}/shadow")).await;
    assert!(String::from_utf8_lossy(&shadow.body).contains(r#""properties":{"value":4.10}"#));
    for (query, code) in [
        ("limit=0", "IOTDA.000017"),
        ("limit=1001", "IOTDA.000017"),
        ("order=sideways", "IOTDA.000006"),
        ("start_time=yesterday", "IOTDA.000009"),
        ("marker=x", "IOTDA.000018"),
        ("start_time=20200102T000000Z&end_time=20200101T000000Z", "IOTDA.000010"),
    ] {
        rig.get(&format!("{path}?{query}")).await.must_fail(400, code);
    }
    rig.get("/devices/nobody/history").await.must_fail(404, "IOTDA.014000");
}

#[tokio::test]
async fn pages_of_large_rows_end_early() {
    let rig = Rig::new().await;
    let services = json!([{ "service_id": "Temperature", "properties": [
        { "property_name": "note", "data_type": "string", "method": "R" },
    ] }]);
    let product = json!({
        "product_id": "p1", "name": "p1", "device_type": "T", "protocol_type": "MQTT", "data_format": "json",
        "service_capabilities": services,
    });
    rig.post("/products", &product).await.must_be(201);
    let id = rig.device("n1").await;
    let (device, _downlinks) = rig.connect(&id).await;
    let note = format!(r#"{{"note":"{}"}}"#, "x".repeat(20_000));
    for n in 0..250 {
        rig.report(&device, &note, &format!("2020-01-01T00:00:00.{n:03}Z")).await;
    }
    let path = format!("/devices/{id}/history?order=asc&limit=1000");
    let first = rig.get(&path).await.must_be(200);
    let marker = first["page"]["marker"].as_str().expect("there is more");
    let rest = rig.get(&format!("{path}&marker={marker}")).await.must_be(200);
    let rows = |page: &Value| page["history"].as_array().map_or(0, Vec::len);
    assert_eq!((rows(&first), rows(&rest), rest["page"].get("marker")), (210, 40, None));
}
