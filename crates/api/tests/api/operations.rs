//! Every documented operation has a route, every route asks who calls, and what is not built says so.

use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::Value;

use crate::rig::Rig;

/// Operations that everybody may use.
const OPEN: [&str; 7] =
    ["confirm_subscription_by_link", "create_token", "health", "readiness", "metrics", "openapi", "openapi_v5"];

fn operations(document: &Value) -> Vec<(String, Method, Value)> {
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("a path item") {
            all.push((path.clone(), method.to_uppercase().parse().expect("a method"), operation.clone()));
        }
    }
    all
}

#[tokio::test]
async fn every_documented_operation_answers() {
    let rig = Rig::new().await;
    let document = rig.get("//v5/openapi.json").await.must_be(200);
    assert_eq!(rig.get("//openapi.json").await.must_be(200), document);
    let operations = operations(&document);
    assert!(operations.len() > 178);
    for (path, method, operation) in operations {
        let id = operation["operationId"].as_str().expect("an id");
        let path = path.replace("{project_id}", &rig.project_id).replace(['{', '}'], "");
        let request = Request::builder().method(method.clone()).uri(&path).body(Body::empty()).expect("a request");
        let stranger = rig.send(request).await;
        if OPEN.contains(&id) {
            assert_ne!(stranger.status.as_u16(), 401, "{id}");
            assert!(!stranger.status.is_server_error(), "{id}");
            assert_eq!(operation["security"], serde_json::json!([]), "{id}");
        } else {
            stranger.must_fail(401, "IOTDA.000002");
        }
        let answer = rig.call_with(method, &format!("/{path}"), &[], b"{}".to_vec()).await;
        if operation["x-built"] == false {
            let message = answer.must_fail(501, "IOTDA.000024");
            assert!(message.contains(id), "{message}");
        } else {
            let status = answer.status.as_u16();
            assert!(status < 500 && status != 405 && status != 413, "{id}: {status}");
            if status == 404 {
                assert_ne!(
                    answer.json()["error_msg"],
                    "There is no such path. GET /v5/openapi.json lists all operations."
                );
            }
            assert!(operation["responses"].get(status.to_string()).is_some(), "{id} answers {status}, not documented");
        }
        assert!(answer.headers.contains_key("x-request-id"), "{id}");
    }
}

#[tokio::test]
async fn other_addresses_are_clean_errors() {
    let rig = Rig::new().await;
    rig.get("/unheard-of").await.must_fail(404, "IOTDA.000022");
    rig.get("//").await.must_fail(404, "IOTDA.000022");
    rig.get("//v5/iot").await.must_fail(404, "IOTDA.000022");
    let answer = rig.call_with(Method::PATCH, "/devices/x", &[], Vec::new()).await;
    answer.must_fail(405, "IOTDA.000023");
    let mut allowed: Vec<_> = answer.headers["allow"].to_str().expect("text").split(", ").collect();
    allowed.sort_unstable();
    assert_eq!(allowed, ["DELETE", "GET", "PUT"]);
    rig.call_with(Method::GET, "/devices/%ff", &[], Vec::new()).await.must_fail(400, "IOTDA.000008");
    rig.get("/devices/a%2Fb").await.must_fail(400, "IOTDA.000006");
    rig.get("/devices?limit=1&limit=2").await.must_fail(400, "IOTDA.000006");
    rig.get("/devices?device_name=%ff").await.must_fail(400, "IOTDA.000008");
}

#[tokio::test]
async fn health_and_metrics_are_open() {
    let rig = Rig::new().await;
    let stranger = [("x-auth-token", "")];
    for path in ["//healthz", "//readyz"] {
        let answer = rig.call_with(Method::GET, path, &stranger, Vec::new()).await;
        assert_eq!(answer.must_be(200), serde_json::json!({ "status": "ok" }));
    }
    let answer = rig.call_with(Method::GET, "//metrics", &stranger, Vec::new()).await;
    assert_eq!((answer.status.as_u16(), &answer.body[..]), (200, &b"# no metrics\n"[..]));
    assert_eq!(answer.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let answer = rig.call_with(Method::HEAD, "//healthz", &stranger, Vec::new()).await;
    assert_eq!(answer.status.as_u16(), 200);
}
