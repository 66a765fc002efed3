//! Alarms: raised and cleared by use cases of the platform, seen over REST.

use causeway_model::alarm::{Dimension, Severity};
use causeway_model::{AppId, DeviceId, Timestamp};
use causeway_platform::alarm::{AlarmEnd, NewAlarm};
use serde_json::json;

use crate::rig::Rig;

async fn default_space(rig: &Rig) -> AppId {
    let apps = rig.get("/apps?default_app=true").await.must_be(200);
    AppId::parse(apps["applications"][0]["app_id"].as_str().expect("an id")).expect("an id")
}

fn new(app: &AppId, device: &str, at: i64) -> NewAlarm {
    NewAlarm {
        name: "too warm".to_owned(),
        severity: Severity::Major,
        dimension: Dimension::Device,
        app: app.clone(),
        device: Some(DeviceId::parse(device).expect("an id")),
        description: Some("above 8 °C".to_owned()),
        source: "rule-1".to_owned(),
        at: Timestamp(at),
    }
}

#[tokio::test]
async fn an_alarm_repeats_until_it_is_cleared() {
    let rig = Rig::new().await;
    rig.product("p1").await;
    let (device, app) = (rig.device("n1").await, default_space(&rig).await);
    let first = rig.platform.raise_alarm(new(&app, &device, 1000)).await.expect("raised");
    // The same cause told twice counts once; another one repeats.
    rig.platform.raise_alarm(new(&app, &device, 1000)).await.expect("raised");
    let worse = NewAlarm { severity: Severity::Critical, ..new(&app, &device, 2000) };
    let repeated = rig.platform.raise_alarm(worse).await.expect("raised");
    assert_eq!((repeated.id.as_str(), repeated.count), (first.id.as_str(), 2));
    let page = rig.get("/alarms").await.must_be(200);
    let shown = json!({
        "alarm_id": first.id, "app_id": app.as_str(), "device_id": device, "name": "too warm", "severity": "critical",
        "dimension": "device", "status": "ACTIVE", "description": "above 8 °C", "source": "rule-1", "count": 2,
        "first_time": "1970-01-01T00:00:01.000Z", "last_time": "1970-01-01T00:00:02.000Z", "acknowledged": false,
    });
    assert_eq!(page["alarms"], json!([shown]));
    assert_eq!(page["page"]["count"], 1);

    let path = format!("/alarms/{}", first.id);
    let seen = rig.post(&format!("{path}/acknowledge"), &json!({})).await.must_be(200);
    assert_eq!((&seen["acknowledged"], &seen["acknowledged_by"]), (&json!(true), &json!(crate::rig::USER)));
    assert_eq!(rig.post(&format!("{path}/acknowledge"), &json!({})).await.must_be(200), seen);

    let end = AlarmEnd {
        name: "too warm".to_owned(),
        dimension: Dimension::Device,
        app: app.clone(),
        device: Some(DeviceId::parse(&device).expect("an id")),
        source: "rule-2".to_owned(),
        at: Timestamp(3000),
    };
    let cleared = rig.platform.clear_alarm(end.clone()).await.expect("an answer").expect("it was active");
    assert_eq!(cleared.id, first.id);
    assert_eq!(rig.platform.clear_alarm(end).await.expect("an answer"), None);
    let shown = rig.get(&path).await.must_be(200);
    assert_eq!((&shown["status"], &shown["cleared_by"]), (&json!("CLEARED"), &json!("rule-2")));
    assert_eq!(shown["clear_time"], "1970-01-01T00:00:03.000Z");

    let second = rig.platform.raise_alarm(new(&app, &device, 4000)).await.expect("raised");
    assert_ne!(second.id, first.id);
    let by_hand = rig.post(&format!("/alarms/{}/clear", second.id), &json!({})).await.must_be(200);
    assert_eq!((&by_hand["status"], &by_hand["cleared_by"]), (&json!("CLEARED"), &json!(crate::rig::USER)));
    assert_eq!(rig.get("/alarms?status=CLEARED&acknowledged=false").await.must_be(200)["page"]["count"], 1);
}

#[tokio::test]
async fn dimensions_tell_alarms_apart() {
    let rig = Rig::new().await;
    rig.product("p1").await;
    let (one, two) = (rig.device("n1").await, rig.device("n2").await);
    let app = default_space(&rig).await;
    for (dimension, counts) in [(Dimension::Device, [1, 1]), (Dimension::App, [1, 2]), (Dimension::User, [1, 2])] {
        for ((device, at), count) in [(&one, 1), (&two, 2)].into_iter().zip(counts) {
            let alarm = NewAlarm { dimension, ..new(&app, device, at) };
            assert_eq!(rig.platform.raise_alarm(alarm).await.expect("raised").count, count, "{dimension:?}");
        }
    }
    let nobody = NewAlarm { device: None, ..new(&app, &one, 1) };
    assert!(rig.platform.raise_alarm(nobody).await.is_err());
    assert_eq!(rig.get(&format!("/alarms?device_id={one}")).await.must_be(200)["page"]["count"], 1);
}

#[tokio::test]
async fn bad_requests_are_refused() {
    let rig = Rig::new().await;
    rig.get("/alarms/nothing").await.must_fail(404, "IOTDA.025000");
    rig.post("/alarms/nothing/clear", &json!({})).await.must_fail(404, "IOTDA.025000");
    rig.post("/alarms/nothing/acknowledge", &json!({})).await.must_fail(404, "IOTDA.025000");
    rig.get("/alarms?severity=loud").await.must_fail(400, "IOTDA.000006");
    rig.get("/alarms?status=on").await.must_fail(400, "IOTDA.000006");
    rig.get("/alarms?start_time=yesterday").await.must_fail(400, "IOTDA.000009");
    rig.get("/alarms?start_time=20200102T000000Z&end_time=20200101T000000Z").await.must_fail(400, "IOTDA.000010");
    rig.get("/alarms?app_id=nowhere").await.must_be(200);
}
