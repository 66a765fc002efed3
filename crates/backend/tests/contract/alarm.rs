//! Alarms.

use std::sync::Arc;

use causeway_model::alarm::{Alarm, AlarmFilter, AlarmStatus, Dimension, Severity};
use causeway_model::registry::PageRequest;
use causeway_model::{AppId, Code, DeviceId, RecordNo, Spaces};
use causeway_platform::Store;

use crate::fixture::{T0, app, at, delivery, refused, seed};
use crate::place::Place;

const ALL: PageRequest = PageRequest { marker: RecordNo::LAST, offset: 0, limit: 50 };

fn alarm(id: &str, device: Option<&str>) -> Alarm {
    Alarm {
        no: RecordNo(0),
        id: id.to_owned(),
        app_id: AppId::trusted("app-1"),
        name: "too warm".to_owned(),
        severity: Severity::Major,
        dimension: if device.is_some() { Dimension::Device } else { Dimension::App },
        device_id: device.map(DeviceId::trusted),
        description: Some("8 °C".to_owned()),
        source: "rule-1".to_owned(),
        status: AlarmStatus::Active,
        count: 1,
        first_at: T0,
        last_at: at(5),
        acknowledged: None,
        cleared: None,
        revision: 1,
    }
}

async fn add(store: &dyn Store, alarm: Alarm) -> Alarm {
    store.insert_alarm(alarm, 100, Vec::new()).await.expect("an answer").expect("none of its key is active")
}

async fn found(store: &dyn Store, filter: AlarmFilter) -> Vec<String> {
    let page = store.list_alarms(&filter, ALL).await.expect("alarms");
    assert_eq!(page.count, page.items.len() as u64);
    page.items.into_iter().map(|a| a.id).collect()
}

pub(crate) async fn an_alarm_is_kept_whole(place: Arc<Place>) {
    let store = place.open().await;
    seed(&*store).await;
    let made = add(&*store, alarm("a1", Some("d1"))).await;
    assert_eq!(made, Alarm { no: made.no, ..alarm("a1", Some("d1")) });
    assert_eq!(store.alarm("a1").await.expect("an answer"), Some(made.clone()));
    assert_eq!(store.active_alarm(&made.key()).await.expect("an answer"), Some(made.clone()));
    let changed = Alarm {
        severity: Severity::Critical,
        description: None,
        source: "rule-2".to_owned(),
        count: 3,
        last_at: at(9),
        acknowledged: Some(("anna".to_owned(), at(10))),
        cleared: Some(("rule-3".to_owned(), at(11))),
        status: AlarmStatus::Cleared,
        revision: 2,
        ..made
    };
    assert!(store.update_alarm(&changed, Vec::new()).await.expect("an answer"));
    assert_eq!(store.alarm("a1").await.expect("an answer"), Some(changed.clone()));
    assert_eq!(store.active_alarm(&changed.key()).await.expect("an answer"), None);
    let elsewhere = Alarm { app_id: AppId::trusted("nowhere"), ..alarm("a2", None) };
    refused(store.insert_alarm(elsewhere, 100, Vec::new()).await, Code::AppNotFound);
}

pub(crate) async fn one_alarm_of_a_key_is_active(place: Arc<Place>) {
    let store = place.open().await;
    seed(&*store).await;
    let first = add(&*store, alarm("a1", Some("d1"))).await;
    let again = store.insert_alarm(alarm("a2", Some("d1")), 100, Vec::new()).await;
    assert_eq!(again.expect("an answer"), None);
    add(&*store, alarm("a3", Some("d2"))).await;
    add(&*store, alarm("a4", None)).await;
    add(&*store, Alarm { name: "too cold".to_owned(), ..alarm("a5", Some("d1")) }).await;
    let cleared = Alarm { status: AlarmStatus::Cleared, cleared: Some(("r".to_owned(), at(9))), revision: 2, ..first };
    assert!(store.update_alarm(&cleared, Vec::new()).await.expect("an answer"));
    add(&*store, alarm("a6", Some("d1"))).await;
    // Somebody who read the alarm before the change comes too late.
    assert!(!store.update_alarm(&cleared, Vec::new()).await.expect("an answer"));
    assert_eq!(found(&*store, AlarmFilter::default()).await, ["a6", "a5", "a4", "a3", "a1"]);
}

pub(crate) async fn notifications_are_written_with_their_alarm_or_not_at_all(place: Arc<Place>) {
    let store = place.open().await;
    let (space, _) = seed(&*store).await;
    let target = store.set_push_target(&space.id, "http://x/", T0).await.expect("a target").no;
    let told = |body: &str| vec![delivery(target, None, body)];
    let made = store.insert_alarm(alarm("a1", None), 100, told("1")).await.expect("an answer").expect("made");
    assert_eq!(store.insert_alarm(alarm("a2", None), 100, told("2")).await.expect("an answer"), None);
    let changed = Alarm { count: 2, revision: 2, ..made };
    assert!(store.update_alarm(&changed, told("3")).await.expect("an answer"));
    assert!(!store.update_alarm(&changed, told("4")).await.expect("an answer"));
    let waiting = store.deliveries(target, 0, 10).await.expect("deliveries");
    assert_eq!(waiting.iter().map(|d| &*d.body).collect::<Vec<_>>(), ["1", "3"]);
}

pub(crate) async fn alarms_are_filtered_and_paged(place: Arc<Place>) {
    let store = place.open().await;
    seed(&*store).await;
    let other = store.insert_app(app("app-2"), 10).await.expect("a space");
    add(&*store, alarm("d1", Some("d1"))).await;
    add(&*store, Alarm { severity: Severity::Minor, last_at: at(100), ..alarm("minor", Some("d2")) }).await;
    add(&*store, Alarm { name: "100% _ odd".to_owned(), ..alarm("odd", None) }).await;
    add(&*store, Alarm { app_id: other.id.clone(), ..alarm("other", None) }).await;
    let seen = add(&*store, Alarm { dimension: Dimension::User, ..alarm("seen", None) }).await;
    let seen = Alarm { acknowledged: Some(("anna".to_owned(), at(7))), revision: 2, ..seen };
    assert!(store.update_alarm(&seen, Vec::new()).await.expect("an answer"));
    let gone = Alarm { status: AlarmStatus::Cleared, revision: 3, ..seen };
    let all = AlarmFilter::default();
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(found(&*store, AlarmFilter { acknowledged: Some(true), ..all.clone() }).await, ["seen"]);
    assert_eq!(found(&*store, AlarmFilter { acknowledged: Some(false), ..all.clone() }).await.len(), 4);
    assert!(store.update_alarm(&gone, Vec::new()).await.expect("an answer"));
    assert_eq!(found(&*store, AlarmFilter { status: Some(AlarmStatus::Cleared), ..all.clone() }).await, ["seen"]);
    assert_eq!(found(&*store, AlarmFilter { severity: Some(Severity::Minor), ..all.clone() }).await, ["minor"]);
    assert_eq!(found(&*store, AlarmFilter { device_id: some("d1"), ..all.clone() }).await, ["d1"]);
    assert_eq!(found(&*store, AlarmFilter { name: some("%"), ..all.clone() }).await, ["odd"]);
    assert_eq!(found(&*store, AlarmFilter { from: Some(at(100)), ..all.clone() }).await, ["minor"]);
    assert_eq!(found(&*store, AlarmFilter { to: Some(at(100)), ..all.clone() }).await.len(), 4);
    assert_eq!(found(&*store, AlarmFilter { spaces: Spaces::one(other.id), ..all.clone() }).await, ["other"]);
    let none = AlarmFilter { spaces: Spaces::Only(Arc::from([])), ..all.clone() };
    assert_eq!(found(&*store, none).await.len(), 0);
    let first = store.list_alarms(&all, PageRequest { limit: 2, ..ALL }).await.expect("a page");
    assert_eq!((first.count, first.items.len()), (5, 2));
    let next = PageRequest { marker: first.marker, limit: 2, ..ALL };
    let ids: Vec<_> = store.list_alarms(&all, next).await.expect("a page").items.into_iter().map(|a| a.id).collect();
    assert_eq!(ids, ["odd", "minor"]);
}

pub(crate) async fn old_ones_go(place: Arc<Place>) {
    let store = place.open().await;
    let (space, _) = seed(&*store).await;
    for n in 0..4 {
        let device = format!("d{n}");
        let made = add(&*store, Alarm { last_at: at(n), ..alarm(&device, Some(&device)) }).await;
        if n == 2 {
            let cleared = Alarm { status: AlarmStatus::Cleared, revision: 2, ..made };
            assert!(store.update_alarm(&cleared, Vec::new()).await.expect("an answer"));
        }
    }
    // A full table: cleared ones make room before active ones, older ones before newer ones.
    store.insert_alarm(Alarm { last_at: at(9), ..alarm("d4", Some("d4")) }, 3, Vec::new()).await.expect("made");
    assert_eq!(found(&*store, AlarmFilter::default()).await, ["d4", "d3", "d1"]);
    assert_eq!(store.trim_alarms(at(9), 1).await.expect("trimmed"), 1);
    assert_eq!(found(&*store, AlarmFilter::default()).await, ["d4", "d3"]);
    assert_eq!(store.trim_alarms(at(9), 10).await.expect("trimmed"), 1);
    assert!(store.delete_app(&space.id).await.expect("deleted"));
    assert_eq!(store.alarm("d4").await.expect("an answer"), None);
}
