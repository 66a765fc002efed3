//! Lists of devices behind gateways, scans, and what waits for devices.

use std::sync::Arc;

use causeway_model::registry::{Device, PageRequest};
use causeway_model::service_event::FoundDevice;
use causeway_model::{DeviceNo, RecordNo};
use causeway_platform::Store;
use causeway_platform::gateway::{ChildList, Waiting};
use causeway_platform::log::LogConfig;

use crate::fixture::{T0, add_child, add_device, at, message, seed};
use crate::place::Place;

/// Id and version of each change, deletions with a minus before the id.
async fn changes(store: &dyn Store, gateway: &Device, after: i64) -> Vec<(String, i64)> {
    let found = store.child_changes(gateway.no, after, 100).await.expect("changes");
    let shown = |c: &causeway_platform::gateway::ChildChange| match &c.device {
        Some(device) => {
            assert_eq!(device.id, c.device_id);
            (c.device_id.to_string(), c.version)
        }
        None => (format!("-{}", c.device_id), c.version),
    };
    found.iter().map(shown).collect()
}

fn listed(expected: &[(&str, i64)]) -> Vec<(String, i64)> {
    expected.iter().map(|(id, version)| ((*id).to_owned(), *version)).collect()
}

pub(crate) async fn a_list_rises_with_every_change(place: Arc<Place>) {
    let store = place.open().await;
    let (_, product) = seed(&*store).await;
    let gateway = add_device(&*store, &product, "g").await;
    assert_eq!(store.child_list(gateway.no).await.expect("a list"), ChildList::default());
    let first = add_child(&*store, &product, &gateway, "c1").await;
    let second = add_child(&*store, &product, &first, "c2").await;
    assert_eq!(changes(&*store, &gateway, 0).await, listed(&[("c1", 1), ("c2", 2)]));
    assert_eq!(changes(&*store, &first, 0).await, [], "a gateway behind another one has no list");
    let found = store.child_changes(gateway.no, 1, 100).await.expect("changes");
    assert_eq!((found[0].parent_id.as_str(), found[0].node_id.as_str()), ("c1", "node-c2"));
    assert!(store.delete_device(second.no).await.expect("an answer"));
    assert_eq!(changes(&*store, &gateway, 0).await, listed(&[("c1", 1), ("-c2", 3)]));
    add_child(&*store, &product, &gateway, "c2").await;
    assert_eq!(changes(&*store, &gateway, 0).await, listed(&[("c1", 1), ("c2", 4)]));
    assert_eq!(store.child_list(gateway.no).await.expect("a list"), ChildList { version: 4, floor: 0 });
    let ids = [first.id.clone(), second.id.clone(), gateway.id.clone()];
    assert_eq!(store.list_versions_of(&ids).await.expect("lists"), [(gateway.id.clone(), 1)]);
}

pub(crate) async fn many_devices_at_once_have_a_version_each(place: Arc<Place>) {
    let store = place.open().await;
    let (_, product) = seed(&*store).await;
    let gateway = add_device(&*store, &product, "g").await;
    let new = |n: usize| {
        let id = format!("c{n:03}");
        (Device { gateway_id: Some(gateway.id.clone()), ..crate::fixture::device(&product, &id) }, Vec::new())
    };
    let outcomes = store.insert_devices((0..150).map(new).collect()).await;
    assert!(outcomes.iter().all(Result::is_ok));
    let first = store.child_changes(gateway.no, 0, 100).await.expect("changes");
    let second = store.child_changes(gateway.no, first[99].version, 100).await.expect("changes");
    let versions: Vec<i64> = first.iter().chain(&second).map(|c| c.version).collect();
    assert_eq!(versions, (1..=150).collect::<Vec<_>>());
}

pub(crate) async fn old_deletions_are_forgotten(place: Arc<Place>) {
    let store = place.open().await;
    let (_, product) = seed(&*store).await;
    let gateway = add_device(&*store, &product, "g").await;
    for n in 0..4 {
        let child = add_child(&*store, &product, &gateway, &format!("c{n}")).await;
        assert!(store.delete_device(child.no).await.expect("an answer"));
    }
    store.forget_deletions(&gateway.id, 4).await.expect("an answer");
    assert_eq!(changes(&*store, &gateway, 0).await.len(), 4);
    store.forget_deletions(&gateway.id, 2).await.expect("an answer");
    assert_eq!(changes(&*store, &gateway, 0).await, listed(&[("-c2", 6), ("-c3", 8)]));
    assert_eq!(store.child_list(gateway.no).await.expect("a list"), ChildList { version: 8, floor: 4 });
}

pub(crate) async fn a_list_can_be_numbered_anew(place: Arc<Place>) {
    let store = place.open().await;
    let (_, product) = seed(&*store).await;
    let gateway = add_device(&*store, &product, "g").await;
    for id in ["a", "b", "c"] {
        add_child(&*store, &product, &gateway, id).await;
    }
    let gone = add_child(&*store, &product, &gateway, "d").await;
    assert!(store.delete_device(gone.no).await.expect("an answer"));
    store.raise_child_list(gateway.no, 1000).await.expect("an answer");
    assert_eq!(changes(&*store, &gateway, 0).await, listed(&[("a", 1001), ("b", 1002), ("c", 1003)]));
    assert_eq!(store.child_list(gateway.no).await.expect("a list"), ChildList { version: 1003, floor: 1000 });
    add_child(&*store, &product, &gateway, "e").await;
    assert_eq!(changes(&*store, &gateway, 1003).await, listed(&[("e", 1004)]));
}

pub(crate) async fn a_gateway_takes_its_list_along(place: Arc<Place>) {
    let store = place.open().await;
    let (_, product) = seed(&*store).await;
    let gateway = add_device(&*store, &product, "g").await;
    let child = add_child(&*store, &product, &gateway, "c").await;
    assert!(store.delete_device(child.no).await.expect("an answer"));
    assert!(store.delete_device(gateway.no).await.expect("an answer"));
    assert_eq!(changes(&*store, &gateway, 0).await, []);
    assert_eq!(store.list_versions_of(&[child.id]).await.expect("lists"), []);
}

pub(crate) async fn what_waits_is_found(place: Arc<Place>) {
    let store = place.open().await;
    let (_, product) = seed(&*store).await;
    let gateway = add_device(&*store, &product, "g").await;
    assert_eq!(store.waiting(gateway.no).await.expect("an answer"), Waiting::default());
    let mut children = Vec::new();
    for n in 0..4 {
        children.push(add_child(&*store, &product, &gateway, &format!("c{n}")).await);
    }
    let config = LogConfig { is_on: true, end_time: at(1000) };
    store.insert_message(message(children[1].no, "m"), 20, Vec::new()).await.expect("a message");
    store.put_log_config(children[3].no, config, T0).await.expect("an answer");
    store.put_log_config(gateway.no, config, T0).await.expect("an answer");
    let waiting = store.waiting(gateway.no).await.expect("an answer");
    assert_eq!(waiting, Waiting { has_children: true, has_log_config: true, has_commands: false });
    let found = async |after, limit| {
        let page = store.children_awaiting(gateway.no, after, limit).await.expect("a page");
        page.iter().map(|d| d.id.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(found(DeviceNo(0), 10).await, ["c1", "c3"]);
    assert_eq!(found(DeviceNo(0), 1).await, ["c1"]);
    assert_eq!(found(children[1].no, 1).await, ["c3"]);
    store.log_config_sent(children[3].no, T0).await.expect("an answer");
    assert_eq!(found(DeviceNo(0), 10).await, ["c1"]);
}

pub(crate) async fn scans(place: Arc<Place>) {
    let store = place.open().await;
    let (_, product) = seed(&*store).await;
    let gateway = add_device(&*store, &product, "g").await;
    let found =
        |node: &str, text: &str| FoundDevice { node_id: node.to_owned(), fields: format!(r#"{{"n":"{text}"}}"#) };
    let page = PageRequest { limit: 10, marker: RecordNo::LAST, offset: 0 };
    store.put_found(gateway.no, vec![found("a", "1"), found("b", "1")], T0, 3).await.expect("an answer");
    store
        .put_found(gateway.no, vec![found("a", "2"), found("c", "1"), found("d", "1")], at(1), 3)
        .await
        .expect("an answer");
    let kept = store.found(gateway.no, page).await.expect("a page");
    let shown: Vec<_> = kept.items.iter().map(|f| (f.fields.as_str(), f.at)).collect();
    assert_eq!(kept.count, 3);
    assert_eq!(shown, [(r#"{"n":"1"}"#, at(1)), (r#"{"n":"1"}"#, at(1)), (r#"{"n":"2"}"#, at(1))]);
    store.forget_found(gateway.no).await.expect("an answer");
    assert_eq!(store.found(gateway.no, page).await.expect("a page").count, 0);
}
