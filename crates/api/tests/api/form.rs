//! Bodies, media types, sizes and times of requests.

use axum::body::Body;
use axum::http::{Method, Request};
use causeway_api::ApiSettings;
use causeway_model::settings::{ByteSize, Span};
use serde_json::json;

use crate::rig::Rig;

#[tokio::test]
async fn bodies_must_be_json_objects_and_errors_say_where() {
    let rig = Rig::new().await;
    let json = [("content-type", "application/json;charset=UTF-8")];
    for (body, code) in [
        (&b""[..], "IOTDA.000008"),
        (b"{", "IOTDA.000008"),
        (b"\xff\xfe", "IOTDA.000008"),
        (b"[]", "IOTDA.000006"),
        (b"null", "IOTDA.000006"),
        (b"{}", "IOTDA.000006"),
    ] {
        rig.call_with(Method::POST, "/products", &json, body.to_vec()).await.must_fail(400, code);
    }
    let wrong = br#"{"app_name":7}"#.to_vec();
    let message = rig.call_with(Method::POST, "/apps", &json, wrong).await.must_fail(400, "IOTDA.000006");
    assert!(message.contains("'app_name'"), "{message}");
    let plain = [("content-type", "text/plain")];
    let message = rig.call_with(Method::POST, "/apps", &plain, b"{}".to_vec()).await.must_fail(400, "IOTDA.000008");
    assert!(message.contains("application/json"), "{message}");
    let made = rig.call_with(Method::POST, "/apps", &[], br#"{"app_name":"a","more":[{}]}"#.to_vec()).await;
    assert_eq!(made.must_be(201)["app_name"], "a");
}

#[tokio::test]
async fn large_bodies_are_refused() {
    let rig = Rig::with(ApiSettings { max_body: ByteSize(1000), ..ApiSettings::default() }, true).await;
    let body = |n: usize| format!(r#"{{"app_name":"a","x":"{}"}}"#, "y".repeat(n)).into_bytes();
    rig.call_with(Method::POST, "/apps", &[], body(2000)).await.must_fail(413, "IOTDA.000027");
    rig.call_with(Method::POST, "/apps", &[], body(900)).await.must_be(201);
    // The same without a length announced.
    let chunks = futures_util::stream::iter((0..20).map(|_| Ok::<_, std::io::Error>(vec![b' '; 100])));
    let request = Request::post(format!("/v5/iot/{}/apps", rig.project_id))
        .header("x-auth-token", &rig.token)
        .body(Body::from_stream(chunks))
        .expect("a request");
    rig.send(request).await.must_fail(413, "IOTDA.000027");
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let rig = Rig::with(ApiSettings { body_timeout: Span::millis(50), ..ApiSettings::default() }, true).await;
    let never = futures_util::stream::pending::<std::io::Result<Vec<u8>>>();
    let request = Request::post(format!("/v5/iot/{}/apps", rig.project_id))
        .header("x-auth-token", &rig.token)
        .body(Body::from_stream(never))
        .expect("a request");
    rig.send(request).await.must_fail(400, "IOTDA.000008");
}

#[tokio::test]
async fn bodies_together_have_bounded_memory() {
    let settings = ApiSettings {
        max_body: ByteSize(1024),
        body_memory: ByteSize(2048),
        body_timeout: Span::millis(300),
        ..ApiSettings::default()
    };
    let rig = Rig::with(settings, true).await;
    let request = |body: Body| {
        Request::post(format!("/v5/iot/{}/apps", rig.project_id))
            .header("x-auth-token", &rig.token)
            .body(body)
            .expect("a request")
    };
    let never = || Body::from_stream(futures_util::stream::pending::<std::io::Result<Vec<u8>>>());
    let other = async {
        // Both permits of 1 KB are taken by the bodies that never come: nothing but a request without a body passes.
        rig.get("/apps").await.must_be(200);
        rig.post("/apps", &json!({ "app_name": "a" })).await
    };
    let (first, second, third) = tokio::join!(rig.send(request(never())), rig.send(request(never())), other);
    first.must_fail(400, "IOTDA.000008");
    second.must_fail(400, "IOTDA.000008");
    // It got its turn when the others gave up, or gave up itself at the same moment.
    assert!([201, 503].contains(&third.status.as_u16()));
    rig.post("/apps", &json!({ "app_name": "b" })).await.must_be(201);
}

#[tokio::test]
async fn strangers_send_little() {
    let rig = Rig::new().await;
    let body = format!(r#"{{"auth":"{}"}}"#, "x".repeat(20_000)).into_bytes();
    let headers = [("x-auth-token", "")];
    rig.call_with(Method::POST, "//v3/auth/tokens", &headers, body).await.must_fail(413, "IOTDA.000027");
}

#[tokio::test]
async fn headers_that_name_another_tenant_are_refused() {
    let rig = Rig::new().await;
    let instance = rig.platform.instance.id.to_string();
    let own: [(&str, &str); 2] = [("x-project-id", &rig.project_id), ("instance-id", &instance)];
    rig.call_with(Method::GET, "/apps", &own, Vec::new()).await.must_be(200);
    let other = "0123456789abcdef0123456789abcdef";
    rig.call_with(Method::GET, "/apps", &[("x-project-id", other)], Vec::new()).await.must_fail(403, "IOTDA.000026");
    rig.call_with(Method::GET, "/apps", &[("instance-id", other)], Vec::new()).await.must_fail(403, "IOTDA.000026");
    rig.get(&format!("//v5/iot/{other}/apps")).await.must_fail(403, "IOTDA.000026");
}

#[tokio::test]
async fn the_clock_moves_where_it_may() {
    let rig = Rig::new().await;
    let before = rig.platform.clock.now();
    let now = rig.post("//debug/clock", &json!({ "advance_ms": 3_600_000 })).await.must_be(200);
    let now = causeway_model::Timestamp::parse(now["now"].as_str().expect("a time")).expect("a time");
    assert!(now.0 - before.0 >= 3_600_000);
    rig.post("//debug/clock", &json!({ "advance_ms": -1 })).await.must_fail(400, "IOTDA.000006");
    let fixed = Rig::with(ApiSettings::default(), false).await;
    fixed.post("//debug/clock", &json!({ "advance_ms": 1 })).await.must_fail(404, "IOTDA.000022");
}
