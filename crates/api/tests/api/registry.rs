//! Resource spaces, products, topics, pushes.

use serde_json::{Value, json};

use crate::rig::{Rig, model};

#[tokio::test]
async fn life_of_a_space() {
    let rig = Rig::new().await;
    let apps = rig.get("/apps").await.must_be(200);
    let default = apps["applications"][0].clone();
    assert_eq!((apps["applications"].as_array().map(Vec::len), &default["default_app"]), (Some(1), &json!(true)));
    let made = rig.post("/apps", &json!({ "app_name": "温室" })).await.must_be(201);
    let id = made["app_id"].as_str().expect("an id");
    assert_eq!((made["app_name"].as_str(), &made["default_app"], id.len()), (Some("温室"), &json!(false), 32));
    assert_eq!(rig.get(&format!("/apps/{id}")).await.must_be(200), made);
    let renamed = rig.put(&format!("/apps/{id}"), &json!({ "app_name": "b" })).await.must_be(200);
    assert_eq!(renamed["app_name"], "b");
    let others = rig.get("/apps?default_app=false").await.must_be(200);
    assert_eq!(others["applications"], json!([renamed]));
    rig.get("/apps?default_app=maybe").await.must_fail(400, "IOTDA.000006");
    rig.post("/apps", &json!({ "app_name": "b" })).await.must_fail(400, "IOTDA.001001");
    for name in [json!(""), json!("x".repeat(65)), json!(7), Value::Null] {
        rig.post("/apps", &json!({ "app_name": name })).await.must_fail(400, "IOTDA.000006");
    }
    assert_eq!(rig.delete(&format!("/apps/{id}")).await.must_be(204), Value::Null);
    rig.get(&format!("/apps/{id}")).await.must_fail(403, "IOTDA.001000");
    let default_id = default["app_id"].as_str().expect("an id");
    rig.delete(&format!("/apps/{default_id}")).await.must_fail(403, "IOTDA.001003");
}

fn product(change: Value) -> Value {
    let mut body = json!({
        "name": "Thermometer", "device_type": "T", "protocol_type": "MQTT", "data_format": "json",
        "service_capabilities": model(),
    });
    for (name, value) in change.as_object().expect("an object") {
        body[name] = value.clone();
    }
    body
}

#[tokio::test]
async fn life_of_a_product() {
    let rig = Rig::new().await;
    let made = rig
        .post("/products", &product(json!({ "product_id": "p-1", "manufacturer_name": "ACME", "description": "Feels the air: it's 20 °C." })))
        .await
        .must_be(201);
    assert_eq!((made["product_id"].as_str(), made["manufacturer_name"].as_str()), (Some("p-1"), Some("ACME")));
    assert_eq!(made["service_capabilities"][0]["service_type"], "Temperature");
    assert_eq!(rig.get("/products/p-1").await.must_be(200), made);
    rig.post("/products", &product(json!({ "product_id": "p-1" }))).await.must_fail(400, "IOTDA.013004");
    let changed = rig.put("/products/p-1", &json!({ "name": "n", "industry": "i" })).await.must_be(200);
    assert_eq!((changed["name"].as_str(), changed["industry"].as_str()), (Some("n"), Some("i")));
    assert_eq!(
        (&changed["description"], &changed["service_capabilities"]),
        (&made["description"], &made["service_capabilities"])
    );
    let listed = rig.get("/products?product_name=n").await.must_be(200);
    assert_eq!(
        (listed["products"][0]["product_id"].as_str(), listed["page"]["count"].as_u64()),
        (Some("p-1"), Some(1))
    );
    assert_eq!(listed["products"][0].get("service_capabilities"), None);
    rig.delete("/products/p-1").await.must_be(204);
    rig.get("/products/p-1").await.must_fail(404, "IOTDA.013003");
    rig.get(&format!("/products/p-1?app_id={}", "0".repeat(32))).await.must_fail(403, "IOTDA.001000");
    rig.get(&format!("/products?app_id={}", "0".repeat(32))).await.must_fail(403, "IOTDA.001000");
}

#[tokio::test]
async fn bad_products_are_refused_and_the_field_is_named() {
    let rig = Rig::new().await;
    for (field, value) in [
        ("name", json!("x".repeat(65))),
        ("name", json!("")),
        ("name", json!("a<b")),
        ("name", json!(7)),
        ("name", Value::Null),
        ("device_type", json!("x".repeat(33))),
        ("protocol_type", json!("mqtt")),
        ("data_format", json!("xml")),
        ("manufacturer_name", json!("x".repeat(33))),
        ("industry", json!("x".repeat(65))),
        ("description", json!("x".repeat(129))),
        ("product_id", json!("a/b")),
        ("product_id", json!("x".repeat(37))),
        ("service_capabilities", json!({})),
        ("service_capabilities", json!([7])),
        ("service_capabilities", json!([{ "service_type": "S" }])),
        ("service_capabilities", json!([{ "service_id": "S", "option": "Sometimes" }])),
        (
            "service_capabilities",
            json!([{ "service_id": "S", "properties": [{ "property_name": "p", "max_length": "x" }] }]),
        ),
    ] {
        let answer = rig.post("/products", &product(json!({ field: value }))).await;
        let message = answer.must_fail(400, "IOTDA.000006");
        assert!(message.contains(&format!("'{field}")), "{message}");
    }
    let message = rig.post("/products", &json!({ "name": "n" })).await.must_fail(400, "IOTDA.000006");
    assert!(message.contains("mandatory field 'device_type'"), "{message}");
    let large = product(json!({ "service_capabilities": [{ "service_id": "S", "description": "x".repeat(600_000) }] }));
    rig.post("/products", &large).await.must_fail(400, "IOTDA.013006");
}

#[tokio::test]
async fn lists_are_paged() {
    let rig = Rig::new().await;
    for n in 0..12 {
        rig.product(&format!("p{n}")).await;
    }
    let first = rig.get("/products").await.must_be(200);
    let ids = |page: &Value| -> Vec<String> {
        page["products"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|p| p["product_id"].as_str().expect("id").to_owned())
            .collect()
    };
    assert_eq!((ids(&first)[0].as_str(), ids(&first).len(), first["page"]["count"].as_u64()), ("p11", 10, Some(12)));
    let marker = first["page"]["marker"].as_str().expect("a marker");
    let second = rig.get(&format!("/products?marker={marker}")).await.must_be(200);
    assert_eq!(ids(&second), ["p1", "p0"]);
    let skipped = rig.get("/products?limit=2&offset=1").await.must_be(200);
    assert_eq!(ids(&skipped), ["p10", "p9"]);
    for (query, code) in [
        ("limit=0", "IOTDA.000017"),
        ("limit=51", "IOTDA.000017"),
        ("limit=x", "IOTDA.000017"),
        ("limit=", "IOTDA.000017"),
        ("marker=short", "IOTDA.000018"),
        ("marker=gggggggggggggggggggggggg", "IOTDA.000018"),
        ("offset=-1", "IOTDA.000019"),
        ("offset=501", "IOTDA.000019"),
    ] {
        rig.get(&format!("/products?{query}")).await.must_fail(400, code);
        rig.get(&format!("/devices?{query}")).await.must_fail(400, code);
    }
}

#[tokio::test]
async fn custom_topics() {
    let rig = Rig::new().await;
    rig.product("p1").await;
    let made = rig.post("/products/p1/topics", &json!({ "topic": "a/b_1", "operation": "PUBLISH" })).await.must_be(201);
    let listed = rig.get("/products/p1/topics").await.must_be(200);
    assert_eq!(listed, json!({ "topics": [made] }));
    rig.post("/products/p1/topics", &json!({ "topic": "a//b", "operation": "ALL" }))
        .await
        .must_fail(400, "IOTDA.000006");
    rig.post("/products/p1/topics", &json!({ "topic": "a", "operation": "X" })).await.must_fail(400, "IOTDA.000006");
    let id = made["topic_id"].as_str().expect("an id");
    rig.delete(&format!("/products/p1/topics/{id}")).await.must_be(204);
    rig.delete(&format!("/products/p1/topics/{id}")).await.must_fail(404, "IOTDA.013008");
    rig.get("/products/p2/topics").await.must_fail(404, "IOTDA.013003");
}

#[tokio::test]
async fn push_addresses() {
    let rig = Rig::new().await;
    let app = rig.get("/apps").await.must_be(200)["applications"][0]["app_id"].as_str().expect("an id").to_owned();
    let path = format!("/apps/{app}/push");
    rig.get(&path).await.must_be(404);
    let set = rig.put(&path, &json!({ "url": "https://example.org/events" })).await.must_be(200);
    assert_eq!((set["app_id"].as_str(), set["url"].as_str()), (Some(app.as_str()), Some("https://example.org/events")));
    assert_eq!(rig.get(&path).await.must_be(200), set);
    rig.put(&path, &json!({ "url": "ftp://example.org" })).await.must_fail(400, "IOTDA.000006");
    rig.delete(&path).await.must_be(204);
    rig.delete(&path).await.must_be(404);
    rig.get(&format!("/apps/{}/push", "0".repeat(32))).await.must_fail(403, "IOTDA.001000");
}
