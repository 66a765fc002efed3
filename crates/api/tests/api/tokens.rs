//! Tokens in the manner of IAM, and signatures of requests to real operations.

use axum::http::Method;
use hmac::{Hmac, Mac as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::rig::{AK, Answer, PASSWORD, Rig, SK, USER};

fn request(user: &str, password: &str, scope: Value) -> Value {
    json!({ "auth": {
        "identity": { "methods": ["password"], "password": { "user": {
            "name": user, "password": password, "domain": { "name": "any" } } } },
        "scope": scope,
    } })
}

async fn ask(rig: &Rig, body: &Value) -> Answer {
    let json = [("content-type", "application/json"), ("x-auth-token", "")];
    rig.call_with(Method::POST, "//v3/auth/tokens", &json, body.to_string().into_bytes()).await
}

#[tokio::test]
async fn a_token_opens_the_interface() {
    let rig = Rig::new().await;
    for scope in
        [json!({ "project": { "id": rig.project_id } }), json!({ "project": { "name": "cn-north-4" } }), Value::Null]
    {
        let answer = ask(&rig, &request(USER, PASSWORD, scope)).await;
        let token = answer.must_be(201)["token"].clone();
        assert_eq!(token["project"]["id"], rig.project_id);
        assert_eq!(token["user"]["name"], USER);
        assert!(token["expires_at"].as_str().expect("a time").ends_with("000Z"));
        let subject = answer.headers["x-subject-token"].to_str().expect("text");
        rig.call_with(Method::GET, "/apps", &[("x-auth-token", subject)], Vec::new()).await.must_be(200);
    }
    let answer = ask(&rig, &request(USER, PASSWORD, json!({ "domain": { "name": "any" } }))).await;
    let token = answer.must_be(201)["token"].clone();
    assert_eq!((token.get("project"), token["domain"]["name"].as_str()), (None, Some("default")));
}

#[tokio::test]
async fn wrong_credentials_and_malformed_requests() {
    let rig = Rig::new().await;
    for (user, password, scope) in [
        (USER, "wrong", Value::Null),
        ("nobody", PASSWORD, Value::Null),
        (USER, PASSWORD, json!({ "project": { "id": "0123456789abcdef0123456789abcdef" } })),
    ] {
        let answer = ask(&rig, &request(user, password, scope)).await;
        answer.must_fail(401, "IOTDA.000002");
        assert!(!answer.headers.contains_key("x-subject-token"));
    }
    for body in [
        json!({}),
        json!([]),
        json!({ "auth": {} }),
        json!({ "auth": { "identity": { "methods": ["password"] } } }),
        json!({ "auth": { "identity": { "methods": ["magic"], "password": { "user": { "name": "a", "password": "b" } } } } }),
    ] {
        ask(&rig, &body).await.must_fail(400, "IOTDA.000006");
    }
    for token in ["made-up", "a.b", &"x".repeat(5000)] {
        rig.call_with(Method::GET, "/apps", &[("x-auth-token", token)], Vec::new())
            .await
            .must_fail(401, "IOTDA.000002");
    }
}

/// Signs in the manner of `SDK-HMAC-SHA256`; the unit tests have the published vectors.
fn sign(sk: &str, method: &str, path: &str, query: &str, date: &str, body: &[u8]) -> String {
    let hash = hex::encode(Sha256::digest(body));
    let canonical = format!("{method}\n{path}/\n{query}\nhost:h:1\nx-sdk-date:{date}\n\nhost;x-sdk-date\n{hash}");
    let text = format!("SDK-HMAC-SHA256\n{date}\n{}", hex::encode(Sha256::digest(canonical)));
    let mut mac = Hmac::<Sha256>::new_from_slice(sk.as_bytes()).expect("any key");
    mac.update(text.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

#[tokio::test]
async fn signed_requests() {
    let rig = Rig::new().await;
    let (ak, sk) = (AK, SK);
    let path = format!("/v5/iot/{}/apps", rig.project_id);
    let send = async |sk: &str, ak: &str, advance_ms: i64, body: &'static [u8]| {
        let date = rig.platform.clock.now().plus_ms(advance_ms).compact();
        let signature = sign(sk, "POST", &path, "", &date, br#"{"app_name":"signed"}"#);
        let authorization =
            format!("SDK-HMAC-SHA256 Access={ak}, SignedHeaders=host;x-sdk-date, Signature={signature}");
        let headers =
            [("authorization", authorization.as_str()), ("host", "h:1"), ("x-sdk-date", &date), ("x-auth-token", "")];
        rig.call_with(Method::POST, "/apps", &headers, body.to_vec()).await
    };
    let body = br#"{"app_name":"signed"}"#;
    send("wrong", ak, 0, body).await.must_fail(401, "IOTDA.000002");
    send(sk, "UNKNOWN", 0, body).await.must_fail(401, "IOTDA.000002");
    send(sk, ak, 20 * 60_000, body).await.must_fail(401, "IOTDA.000002");
    send(sk, ak, -20 * 60_000, body).await.must_fail(401, "IOTDA.000002");
    send(sk, ak, 0, br#"{"app_name":"forged"}"#).await.must_fail(401, "IOTDA.000002");
    send(sk, ak, 10 * 60_000, body).await.must_be(201);
}

#[tokio::test]
async fn an_sdk_without_project_id_finds_the_project() {
    let rig = Rig::new().await;
    let projects = rig.get("//v3/projects?name=cn-north-4").await.must_be(200);
    assert_eq!(projects["projects"].as_array().map(Vec::len), Some(1));
    assert_eq!(projects["projects"][0]["id"], rig.project_id);
}
