//! Units: gathered, committed in order, acknowledged afterwards.

use std::collections::HashMap;
use std::sync::Arc;

use causeway_model::history::HistoryQuery;
use causeway_model::message::MessageStatus;
use causeway_model::status::DeviceStatus;
use causeway_model::{DeviceNo, Kind, Timestamp};
use causeway_platform::Store;
use causeway_platform::message::MessageOutcome;
use causeway_platform::uplink::{Change, ReportRow, Unit};

use crate::fixture::{
    T0, add_device, at, commit, delivery, message, object, report, reported, seed, seed_device, status, try_commit,
    unit,
};
use crate::place::Place;

/// The values of `v` of all reports of a device, in order of arrival.
async fn arrived(store: &dyn Store, device: DeviceNo) -> Vec<i64> {
    let query = HistoryQuery {
        device,
        service_id: None,
        from: Timestamp(0),
        to: Timestamp(i64::MAX),
        descending: false,
        after: None,
        limit: 100_000,
    };
    let mut rows = store.history(&query).await.expect("history");
    rows.sort_by_key(|r| r.seq);
    rows.iter().map(|r| r.properties.get("v").and_then(|v| v.parse().ok()).expect("a value")).collect()
}

fn v(device: DeviceNo, value: i64) -> Unit {
    report(device, "s", &format!(r#"{{"v":{value}}}"#), value)
}

pub(crate) async fn a_report_is_visible_after_its_ticket(place: Arc<Place>) {
    let store = place.open().await;
    let no = seed_device(&*store).await.no;
    for i in 0..50 {
        commit(&*store, vec![v(no, i)]).await;
        assert_eq!(reported(&*store, no, "s").await, format!(r#"{{"v":{i}}}"#));
        assert_eq!(arrived(&*store, no).await.last(), Some(&i));
    }
}

pub(crate) async fn a_report_of_several_services_is_one_unit(place: Arc<Place>) {
    let store = place.open().await;
    let no = seed_device(&*store).await.no;
    let row = |service: &str, text, ms| ReportRow {
        service_id: service.into(),
        properties: object(text),
        event_time: at(ms),
    };
    let rows =
        smallvec::smallvec![row("a", r#"{"v":1}"#, 3), row("b", r#"{"v":2}"#, 2), row("a", r#"{"v":3,"w":4}"#, 1)];
    commit(&*store, vec![unit(no, Change::Report(rows))]).await;
    assert_eq!(reported(&*store, no, "a").await, r#"{"v":3,"w":4}"#);
    assert_eq!(reported(&*store, no, "b").await, r#"{"v":2}"#);
    assert_eq!(arrived(&*store, no).await, [1, 2, 3]);
}

pub(crate) async fn units_of_one_call_commit_in_order(place: Arc<Place>) {
    let store = place.open().await;
    let no = seed_device(&*store).await.no;
    commit(&*store, (0..500).map(|i| v(no, i)).collect()).await;
    assert_eq!(arrived(&*store, no).await, (0..500).collect::<Vec<_>>());
    assert_eq!(reported(&*store, no, "s").await, r#"{"v":499}"#);
}

pub(crate) async fn calls_commit_in_order(place: Arc<Place>) {
    let store = place.open().await;
    let no = seed_device(&*store).await.no;
    let mut tickets = Vec::new();
    for i in 0..300 {
        let ticket = if i % 3 == 0 {
            store.try_submit(vec![v(no, i)]).expect("the queue has room")
        } else {
            store.submit(vec![v(no, i)]).await
        };
        tickets.push(ticket);
        if i % 100 == 99 {
            tokio::task::yield_now().await;
        }
    }
    for ticket in tickets {
        ticket.await.expect("an answer").expect("committed");
    }
    assert_eq!(arrived(&*store, no).await, (0..300).collect::<Vec<_>>());
}

pub(crate) async fn units_of_deleted_devices_are_void(place: Arc<Place>) {
    let store = place.open().await;
    let (app, product) = seed(&*store).await;
    let target = store.set_push_target(&app.id, "https://example.com", T0).await.expect("a target").no;
    let (stays, gone) = (add_device(&*store, &product, "d1").await.no, add_device(&*store, &product, "d2").await.no);
    commit(&*store, vec![v(gone, 0)]).await;
    let message = store.insert_message(message(gone, "m"), 20, Vec::new()).await.expect("a message");
    assert!(store.delete_device(gone).await.expect("an answer"));
    let told = |unit: Unit, body: &str| Unit { deliveries: vec![delivery(target, Some(unit.device), body)], ..unit };
    let outcome = MessageOutcome { no: message.no, status: MessageStatus::Delivered, error: None, at: T0 };
    commit(
        &*store,
        vec![
            told(v(stays, 1), "1"),
            told(v(gone, 2), "void"),
            told(status(gone, DeviceStatus::Online, 1), "void"),
            told(unit(gone, Change::Message(outcome)), "void"),
            told(unit(gone, Change::None), "void"),
            told(unit(DeviceNo(i64::MAX), Change::None), "void"),
            told(v(stays, 3), "3"),
        ],
    )
    .await;
    assert_eq!(arrived(&*store, stays).await, [1, 3]);
    assert_eq!(arrived(&*store, gone).await, [0; 0]);
    assert_eq!(store.shadow(gone).await.expect("a shadow"), []);
    let bodies: Vec<_> =
        store.deliveries(target, 0, 10).await.expect("deliveries").into_iter().map(|d| d.body).collect();
    assert_eq!(bodies.iter().map(|b| &**b).collect::<Vec<_>>(), ["1", "3"]);
    // A whole call of void units is committed too.
    commit(&*store, vec![v(gone, 4)]).await;
}

pub(crate) async fn nothing_but_deliveries(place: Arc<Place>) {
    let store = place.open().await;
    let (app, product) = seed(&*store).await;
    let no = add_device(&*store, &product, "d1").await.no;
    let target = store.set_push_target(&app.id, "https://example.com", T0).await.expect("a target").no;
    let deliveries = vec![delivery(target, Some(no), "a"), delivery(target, None, "b")];
    commit(&*store, vec![Unit { deliveries, ..unit(no, Change::None) }]).await;
    let found = store.deliveries(target, 0, 10).await.expect("deliveries");
    let found: Vec<_> = found.iter().map(|d| (d.device, &*d.body)).collect();
    assert_eq!(found, [(Some(no), "a"), (None, "b")]);
    assert_eq!(store.shadow(no).await.expect("a shadow"), []);
}

pub(crate) async fn an_empty_call_is_answered(place: Arc<Place>) {
    let store = place.open().await;
    commit(&*store, Vec::new()).await;
    store.try_submit(Vec::new()).expect("room").await.expect("an answer").expect("committed");
}

pub(crate) async fn ten_thousand_units_of_five_hundred_devices(place: Arc<Place>) {
    let store = place.open().await;
    let (_, product) = seed(&*store).await;
    let mut devices = Vec::new();
    for i in 0..500 {
        devices.push(add_device(&*store, &product, &format!("d{i}")).await.no);
    }
    let mut tickets = Vec::new();
    for round in 0..20 {
        for part in devices.chunks(25) {
            tickets.push(store.submit(part.iter().map(|no| v(*no, round)).collect()).await);
        }
    }
    for ticket in tickets {
        ticket.await.expect("an answer").expect("committed");
    }
    let expected: Vec<i64> = (0..20).collect();
    for no in devices {
        assert_eq!(arrived(&*store, no).await, expected);
        assert_eq!(reported(&*store, no, "s").await, r#"{"v":19}"#);
    }
}

pub(crate) async fn many_tasks_submit_at_once(place: Arc<Place>) {
    let store = place.open().await;
    let (_, product) = seed(&*store).await;
    let mut tasks = Vec::new();
    for i in 0..64 {
        let no = add_device(&*store, &product, &format!("d{i}")).await.no;
        let store = Arc::clone(&store);
        tasks.push(tokio::spawn(async move {
            for n in 0..20 {
                commit(&*store, vec![v(no, n)]).await;
                assert_eq!(reported(&*store, no, "s").await, format!(r#"{{"v":{n}}}"#));
            }
            assert_eq!(arrived(&*store, no).await, (0..20).collect::<Vec<_>>());
        }));
    }
    for task in tasks {
        task.await.expect("every task finds its reports");
    }
}

pub(crate) async fn many_tasks_report_for_one_device(place: Arc<Place>) {
    let store = place.open().await;
    let no = seed_device(&*store).await.no;
    let tasks: Vec<_> = (0..40)
        .map(|i| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                for n in 0..5 {
                    commit(&*store, vec![report(no, "s", &format!(r#"{{"k{i}":{n}}}"#), n)]).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("every task commits");
    }
    let merged = object(&reported(&*store, no, "s").await);
    let mut seen = HashMap::new();
    merged.for_each(|name, value| {
        seen.insert(name.to_owned(), value.to_owned());
    });
    assert_eq!(seen.len(), 40);
    assert!(seen.values().all(|v| v == "4"), "{merged:?}");
}

pub(crate) async fn a_full_queue_pushes_back(place: Arc<Place>) {
    // Long enough gathered that the first units still wait when the others come.
    let store = place.open_with_queue(400, 4).await;
    let no = seed_device(&*store).await.no;
    let first = store.try_submit(vec![v(no, 0), v(no, 1), v(no, 2)]).expect("room for three");
    let back = store.try_submit(vec![v(no, 8), v(no, 9)]).expect_err("no room for two more");
    assert_eq!(back.len(), 2);
    let fourth = store.try_submit(vec![v(no, 3)]).expect("room for one");
    assert!(store.try_submit(vec![v(no, 9)]).is_err());
    // This one waits for its place.
    let last = store.submit(vec![v(no, 4)]).await;
    for ticket in [first, fourth, last] {
        ticket.await.expect("an answer").expect("committed");
    }
    assert_eq!(arrived(&*store, no).await, [0, 1, 2, 3, 4]);
    commit(&*store, (5..9).map(|i| v(no, i)).collect()).await;
    assert_eq!(arrived(&*store, no).await.len(), 9);
}

pub(crate) async fn a_call_larger_than_the_queue_goes_through(place: Arc<Place>) {
    let store = place.open_with_queue(1, 8).await;
    let no = seed_device(&*store).await.no;
    commit(&*store, (0..100).map(|i| v(no, i)).collect()).await;
    commit(&*store, (100..150).map(|i| v(no, i)).collect()).await;
    assert_eq!(arrived(&*store, no).await, (0..150).collect::<Vec<_>>());
}

pub(crate) async fn closing_commits_what_is_gathered(place: Arc<Place>) {
    let store = place.open_with_queue(100, 1000).await;
    let no = seed_device(&*store).await.no;
    let ticket = store.submit((0..10).map(|i| v(no, i)).collect()).await;
    store.close().await;
    ticket.await.expect("an answer").expect("committed");
    let late = try_commit(&*store, vec![v(no, 10)]).await.expect_err("closed");
    assert_eq!(late.kind(), Kind::Unavailable);
    if let Ok(ticket) = store.try_submit(vec![v(no, 11)]) {
        let late = ticket.await.expect("an answer").expect_err("closed");
        assert_eq!(late.kind(), Kind::Unavailable);
    }
    drop(store);
    let store = place.open().await;
    assert_eq!(arrived(&*store, no).await, (0..10).collect::<Vec<_>>());
}
