//! Commands, properties and messages: what the device answers comes back as it was sent.

use causeway_platform::downlink::Downlink;
use serde_json::json;

use crate::rig::Rig;

#[tokio::test]
async fn commands_bring_the_answer_verbatim() {
    let rig = Rig::new().await;
    rig.product("p1").await;
    let id = rig.device("n1").await;
    let path = format!("/devices/{id}/commands");
    let command = json!({ "service_id": "Temperature", "command_name": "ON_OFF", "paras": { "value": "ON" } });
    rig.post(&path, &command).await.must_fail(403, "IOTDA.014016");
    let (device, mut downlinks) = rig.connect(&id).await;
    for (sent, shown) in [
        (r#"{"result_code": 0, "n": 1.10}"#, r#""response":{"result_code": 0, "n": 1.10}"#),
        ("done", r#""response":"done""#),
    ] {
        let respond = async {
            let Some(Downlink::Command { request_id, paras, .. }) = downlinks.recv().await else {
                panic!("no command")
            };
            assert_eq!(paras, r#"{"value":"ON"}"#);
            rig.answer(&device, &request_id, sent.as_bytes()).await;
            request_id
        };
        let (answer, request_id) = tokio::join!(rig.post(&path, &command), respond);
        assert_eq!(answer.must_be(200)["command_id"], *request_id);
        assert!(String::from_utf8_lossy(&answer.body).contains(shown));
    }
    // Answered with bytes that are no text: as good as unanswered.
    let respond = async {
        let Some(Downlink::Command { request_id, .. }) = downlinks.recv().await else { panic!("no command") };
        rig.answer(&device, &request_id, b"\xff\xfe").await;
    };
    let (answer, ()) = tokio::join!(rig.post(&path, &command), respond);
    answer.must_fail(200, "IOTDA.014111");
    // Unanswered: 200 with the error in the fields that the SDK's answer has for it.
    let answer = rig.post(&path, &command).await;
    answer.must_fail(200, "IOTDA.014111");
    for (body, code) in [
        (json!({ "service_id": "Temperature", "command_name": "EXPLODE", "paras": {} }), "IOTDA.014108"),
        (json!({ "service_id": "Unknown", "command_name": "ON_OFF", "paras": {} }), "IOTDA.009002"),
        (json!({ "service_id": "Temperature", "command_name": "ON_OFF", "paras": [] }), "IOTDA.000006"),
        (json!({ "service_id": "Temperature", "command_name": "ON_OFF" }), "IOTDA.000006"),
    ] {
        rig.post(&path, &body).await.must_fail(400, code);
    }
    rig.post("/devices/nobody/commands", &command).await.must_fail(404, "IOTDA.014000");
}

#[tokio::test]
async fn properties_are_set_and_asked_for() {
    let rig = Rig::new().await;
    rig.product("p1").await;
    let id = rig.device("n1").await;
    let path = format!("/devices/{id}/properties");
    let (device, mut downlinks) = rig.connect(&id).await;
    let body = json!({ "services": [{ "service_id": "Temperature", "properties": { "value": 57 } }] });
    let respond = async {
        let Some(Downlink::PropertySet { request_id, services, .. }) = downlinks.recv().await else { panic!("no set") };
        assert_eq!(services[0].1.as_str(), r#"{"value":57}"#);
        rig.answer(&device, &request_id, br#"{"result_code":0}"#).await;
    };
    let (answer, ()) = tokio::join!(rig.put(&path, &body), respond);
    let answer = answer.must_be(200);
    assert!(answer["request_id"].is_string());
    assert_eq!(answer["response"], json!({ "result_code": 0 }));
    let respond = async {
        let Some(Downlink::PropertyGet { request_id, service_id, .. }) = downlinks.recv().await else {
            panic!("no get")
        };
        assert_eq!(service_id.as_deref(), Some("Temperature"));
        rig.answer(&device, &request_id, br#"{"services":[]}"#).await;
    };
    let asked = format!("{path}?service_id=Temperature");
    let (answer, ()) = tokio::join!(rig.get(&asked), respond);
    assert_eq!(answer.must_be(200)["response"], json!({ "services": [] }));
    rig.get(&path).await.must_fail(400, "IOTDA.000006");
    rig.put(&path, &json!({ "services": [] })).await.must_fail(400, "IOTDA.000006");
    rig.put(&path, &json!({ "services": [{ "service_id": "Temperature", "properties": 7 }] }))
        .await
        .must_fail(400, "IOTDA.000006");
    let read_only = json!({ "services": [{ "service_id": "Temperature", "properties": { "serial": "x" } }] });
    rig.put(&path, &read_only).await.must_fail(400, "IOTDA.013002");
}

#[tokio::test]
async fn messages_are_kept_shown_and_deleted() {
    let rig = Rig::new().await;
    rig.product("p1").await;
    let id = rig.device("n1").await;
    let path = format!("/devices/{id}/messages");
    let made = rig.post(&path, &json!({ "message": { "a": 1 }, "message_id": "m1", "name": "n" })).await.must_be(201);
    assert_eq!((made["message_id"].as_str(), made["result"]["status"].as_str()), (Some("m1"), Some("PENDING")));
    let shown = rig.get(&format!("{path}/m1")).await.must_be(200);
    assert_eq!((&shown["message"], shown["encoding"].as_str()), (&json!({ "a": 1 }), Some("none")));
    assert_eq!(shown["topic"], format!("$oc/devices/{id}/sys/messages/down"));
    assert_eq!(rig.get(&path).await.must_be(200), json!({ "device_id": id, "messages": [shown] }));
    rig.post(&path, &json!({ "message": "x", "message_id": "m1" })).await.must_fail(400, "IOTDA.014121");
    rig.post(&path, &json!({ "message": "x", "topic": "not/declared" })).await.must_fail(404, "IOTDA.013008");
    let unkept = rig.post(&path, &json!({ "message": "x", "ttl": 0, "message_id": "m2" })).await.must_be(201);
    assert_eq!(unkept["result"]["status"], "FAILED");
    let shown = rig.get(&format!("{path}/m2")).await.must_be(200);
    assert_eq!(shown["error_info"]["error_code"], "IOTDA.014016");
    let (_device, mut downlinks) = rig.connect(&id).await;
    let Some(Downlink::Message { done, .. }) = downlinks.recv().await else { panic!("no message") };
    done.delivered().await;
    let shown = rig.get(&format!("{path}/m1")).await.must_be(200);
    assert_eq!((shown["status"].as_str(), shown["finished_time"].is_string()), (Some("DELIVERED"), true));
    rig.delete(&format!("{path}/m1")).await.must_be(204);
    rig.delete(&format!("{path}/m1")).await.must_fail(404, "IOTDA.014120");
    rig.get(&format!("{path}/m1")).await.must_fail(404, "IOTDA.014120");
    rig.get("/devices/nobody/messages").await.must_fail(404, "IOTDA.014000");
}
