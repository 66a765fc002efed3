//! The history.

use std::sync::Arc;

use causeway_model::history::{HistoryPosition, HistoryQuery, HistoryRow};
use causeway_model::{DeviceNo, Timestamp};
use causeway_platform::Store;

use crate::fixture::{add_device, at, commit, object, report, seed, seed_device};
use crate::place::Place;

fn query(device: DeviceNo) -> HistoryQuery {
    HistoryQuery {
        device,
        service_id: None,
        from: Timestamp(i64::MIN),
        to: Timestamp(i64::MAX),
        descending: false,
        after: None,
        limit: 1000,
    }
}

async fn read(store: &dyn Store, query: &HistoryQuery) -> Vec<HistoryRow> {
    store.history(query).await.expect("history")
}

/// The values of `v`.
fn values(rows: &[HistoryRow]) -> Vec<i64> {
    rows.iter().map(|r| r.properties.get("v").and_then(|v| v.parse().ok()).expect("a value")).collect()
}

fn v(device: DeviceNo, service: &str, value: i64, ms: i64) -> causeway_platform::uplink::Unit {
    report(device, service, &format!(r#"{{"v":{value}}}"#), ms)
}

pub(crate) async fn ranges_are_half_open(place: Arc<Place>) {
    let store = place.open().await;
    let (_, product) = seed(&*store).await;
    let (device, other) = (add_device(&*store, &product, "d1").await.no, add_device(&*store, &product, "d2").await.no);
    let text = r#"{"v":1,"n":23.10,"s":"\u0000"}"#;
    commit(&*store, vec![report(device, "s", text, 10), v(other, "s", 9, 10), v(device, "s", 2, 20)]).await;
    commit(&*store, vec![v(device, "s", 3, 30)]).await;
    let rows = read(&*store, &HistoryQuery { from: at(10), to: at(30), ..query(device) }).await;
    assert_eq!(values(&rows), [1, 2]);
    let expected = HistoryRow {
        seq: rows[0].seq,
        device,
        service_id: "s".to_owned(),
        properties: object(text),
        event_time: at(10),
        arrival: at(5),
    };
    assert_eq!(rows[0], expected);
    assert_eq!(rows[0].properties.as_str(), text);
    assert_eq!(values(&read(&*store, &HistoryQuery { from: at(11), ..query(device) }).await), [2, 3]);
    assert_eq!(values(&read(&*store, &HistoryQuery { to: at(11), ..query(device) }).await), [1]);
    assert_eq!(values(&read(&*store, &HistoryQuery { from: at(30), to: at(10), ..query(device) }).await), [0; 0]);
    assert_eq!(values(&read(&*store, &query(DeviceNo(other.0 + 1))).await), [0; 0]);
    assert_eq!(values(&read(&*store, &query(other)).await), [9]);
}

pub(crate) async fn both_directions_and_equal_times(place: Arc<Place>) {
    let store = place.open().await;
    let device = seed_device(&*store).await.no;
    // Late ones, early ones, and three of the same time in two commits.
    commit(&*store, vec![v(device, "s", 1, 50), v(device, "s", 2, 20), v(device, "s", 3, 20)]).await;
    commit(&*store, vec![v(device, "s", 4, 20), v(device, "s", 5, -10)]).await;
    assert_eq!(values(&read(&*store, &query(device)).await), [5, 2, 3, 4, 1]);
    assert_eq!(values(&read(&*store, &HistoryQuery { descending: true, ..query(device) }).await), [1, 4, 3, 2, 5]);
    assert_eq!(values(&read(&*store, &HistoryQuery { limit: 2, ..query(device) }).await), [5, 2]);
}

pub(crate) async fn pages_cover_everything_once(place: Arc<Place>) {
    let store = place.open().await;
    let device = seed_device(&*store).await.no;
    // Groups of equal times, arriving out of order, over several commits.
    let units: Vec<_> =
        (0..100).map(|i| v(device, if i % 2 == 0 { "a" } else { "b" }, i, (i * 37 % 100) / 9)).collect();
    for part in units.chunks(30) {
        commit(&*store, part.to_vec()).await;
    }
    for descending in [false, true] {
        let whole = read(&*store, &HistoryQuery { descending, ..query(device) }).await;
        assert_eq!(whole.len(), 100);
        let order = |rows: &[HistoryRow]| rows.iter().map(|r| (r.event_time, r.seq)).collect::<Vec<_>>();
        let mut sorted = order(&whole);
        sorted.sort_unstable();
        if descending {
            sorted.reverse();
        }
        assert_eq!(order(&whole), sorted);
        for service in [None, Some("b".to_owned())] {
            let expected: Vec<_> =
                whole.iter().filter(|r| service.as_ref().is_none_or(|s| *s == r.service_id)).cloned().collect();
            let mut paged = Vec::new();
            let mut after = None;
            loop {
                let query = HistoryQuery { descending, after, service_id: service.clone(), limit: 7, ..query(device) };
                let page = read(&*store, &query).await;
                assert!(page.len() <= 7);
                let Some(last) = page.last() else { break };
                after = Some(HistoryPosition { event_time: last.event_time, seq: last.seq });
                paged.extend(page);
                assert!(paged.len() <= expected.len(), "rows come twice");
            }
            assert_eq!(paged, expected);
        }
    }
    // A position does not lead out of the range.
    let after = Some(HistoryPosition { event_time: at(-5), seq: 0 });
    let rows = read(&*store, &HistoryQuery { after, from: at(3), to: at(4), ..query(device) }).await;
    assert!(!rows.is_empty() && rows.iter().all(|r| r.event_time == at(3)));
}

pub(crate) async fn only_one_service(place: Arc<Place>) {
    let store = place.open().await;
    let device = seed_device(&*store).await.no;
    commit(&*store, vec![v(device, "a", 1, 1), v(device, "b", 2, 2), v(device, "a", 3, 3)]).await;
    let of = |service: &str| HistoryQuery { service_id: Some(service.to_owned()), ..query(device) };
    assert_eq!(values(&read(&*store, &of("a")).await), [1, 3]);
    assert_eq!(values(&read(&*store, &of("b")).await), [2]);
    assert_eq!(values(&read(&*store, &of("c")).await), [0; 0]);
    assert_eq!(values(&read(&*store, &HistoryQuery { limit: 1, ..of("a") }).await), [1]);
}

pub(crate) async fn trimming(place: Arc<Place>) {
    let store = place.open().await;
    let (_, product) = seed(&*store).await;
    let (first, second) = (add_device(&*store, &product, "d1").await.no, add_device(&*store, &product, "d2").await.no);
    for part in 0..6 {
        commit(&*store, (0..1000).map(|i| v(first, "s", i, part * 1000 + i)).collect()).await;
    }
    commit(&*store, vec![v(second, "s", 1, 0), v(second, "s", 2, 5900)]).await;
    assert_eq!(store.trim_history(at(0)).await.expect("nothing to trim"), 0);
    assert_eq!(store.trim_history(at(5500)).await.expect("trimmed"), 5501);
    let rest = read(&*store, &query(first)).await;
    assert_eq!((rest.len(), rest[0].event_time), (500, at(5500)));
    assert_eq!(values(&read(&*store, &query(second)).await), [2]);
    assert_eq!(store.trim_history(at(5500)).await.expect("trimmed already"), 0);
    // The shadow is not history.
    assert_eq!(store.shadow(first).await.expect("a shadow").len(), 1);
}

pub(crate) async fn sequence_follows_arrival(place: Arc<Place>) {
    let store = place.open().await;
    let (_, product) = seed(&*store).await;
    let (first, second) = (add_device(&*store, &product, "d1").await.no, add_device(&*store, &product, "d2").await.no);
    for i in 0..20 {
        commit(&*store, vec![v(first, "s", 2 * i, 100 - i), v(second, "s", 2 * i + 1, 100 - i)]).await;
    }
    let mut rows = read(&*store, &query(first)).await;
    rows.extend(read(&*store, &query(second)).await);
    rows.sort_by_key(|r| r.seq);
    assert_eq!(values(&rows), (0..40).collect::<Vec<_>>());
    assert!(rows.windows(2).all(|w| w[0].seq < w[1].seq));
}
