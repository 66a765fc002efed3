//! Push targets and the outbox.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use causeway_model::{Code, DeviceNo};
use causeway_platform::Store;
use causeway_platform::outbox::{Delivery, NewDelivery, PushTarget};
use causeway_platform::uplink::{Change, Unit};

use crate::fixture::{T0, add_device, app, at, commit, delivery, message, refused, report, seed, unit};
use crate::place::Place;

/// A space with a target and a device.
async fn seed_target(store: &dyn Store) -> (PushTarget, DeviceNo) {
    let (app, product) = seed(store).await;
    let target = store.set_push_target(&app.id, "https://example.com/a", T0).await.expect("a target");
    (target, add_device(store, &product, "d1").await.no)
}

async fn read(store: &dyn Store, target: i64, after: i64, limit: u32) -> Vec<Delivery> {
    store.deliveries(target, after, limit).await.expect("deliveries")
}

fn bodies(deliveries: &[Delivery]) -> Vec<&str> {
    deliveries.iter().map(|d| &*d.body).collect()
}

fn told(device: DeviceNo, deliveries: Vec<NewDelivery>) -> Unit {
    Unit { deliveries, ..unit(device, Change::None) }
}

pub(crate) async fn targets_are_set_and_removed(place: Arc<Place>) {
    let store = place.open().await;
    let (target, device) = seed_target(&*store).await;
    let app_2 = store.insert_app(app("app-2"), 10).await.expect("another space");
    assert_eq!((target.url.as_str(), target.created_at), ("https://example.com/a", T0));
    let second = store.set_push_target(&app_2.id, "https://example.com/b", at(1)).await.expect("a target");
    assert_eq!(store.push_targets().await.expect("targets"), [target.clone(), second.clone()]);
    refused(store.set_push_target(&app("app-3").id, "https://example.com", T0).await, Code::AppNotFound);

    // Another URL: the same target, whose deliveries stay.
    commit(&*store, vec![told(device, vec![delivery(target.no, None, "1"), delivery(second.no, None, "2")])]).await;
    let moved = store.set_push_target(&target.app_id, "https://example.com/c", at(2)).await.expect("a target");
    assert_eq!((moved.no, moved.url.as_str()), (target.no, "https://example.com/c"));
    assert_eq!(bodies(&read(&*store, target.no, 0, 10).await), ["1"]);

    assert!(store.delete_push_target(&target.app_id).await.expect("an answer"));
    assert!(!store.delete_push_target(&target.app_id).await.expect("an answer"));
    assert_eq!(store.push_targets().await.expect("targets"), std::slice::from_ref(&second));
    assert_eq!(bodies(&read(&*store, target.no, 0, 10).await), Vec::<&str>::new());
    assert_eq!(bodies(&read(&*store, second.no, 0, 10).await), ["2"]);
    let anew = store.set_push_target(&target.app_id, "https://example.com/a", at(3)).await.expect("a target");
    assert!(anew.no > second.no, "numbers are not used again");
}

pub(crate) async fn deliveries_come_in_order(place: Arc<Place>) {
    let store = place.open().await;
    let (target, device) = seed_target(&*store).await;
    let app_2 = store.insert_app(app("app-2"), 10).await.expect("another space");
    let other = store.set_push_target(&app_2.id, "https://example.com", T0).await.expect("a target").no;
    let target = target.no;
    for call in 0..5 {
        let units = (0..10).map(|i| {
            let body = format!("{}", call * 10 + i);
            let mine = NewDelivery { at: at(i), ..delivery(target, Some(device), &body) };
            told(device, vec![mine, delivery(other, None, "x")])
        });
        commit(&*store, units.collect()).await;
    }
    let all = read(&*store, target, 0, 1000).await;
    let expected: Vec<String> = (0..50).map(|i| i.to_string()).collect();
    assert_eq!(bodies(&all), expected);
    assert!(all.windows(2).all(|w| w[0].seq < w[1].seq));
    let third = &all[3];
    assert_eq!((third.target, third.device, third.at), (target, Some(device), at(3)));
    let page = read(&*store, target, all[9].seq, 3).await;
    assert_eq!(page, all[10..13]);
    assert_eq!(read(&*store, target, all[49].seq, 3).await, []);
    assert_eq!(read(&*store, other, 0, 1000).await.len(), 50);
}

pub(crate) async fn messages_write_deliveries_too(place: Arc<Place>) {
    let store = place.open().await;
    let (target, device) = seed_target(&*store).await;
    let deliveries = vec![delivery(target.no, Some(device), "1"), delivery(target.no, Some(device), "2")];
    store.insert_message(message(device, "m"), 20, deliveries).await.expect("a message");
    assert_eq!(bodies(&read(&*store, target.no, 0, 10).await), ["1", "2"]);
    let refused_too = vec![delivery(target.no, Some(device), "3")];
    refused(store.insert_message(message(device, "m"), 20, refused_too).await, Code::MessageExists);
    assert_eq!(bodies(&read(&*store, target.no, 0, 10).await), ["1", "2"]);
}

pub(crate) async fn deliveries_of_a_gone_target_are_dropped(place: Arc<Place>) {
    let store = place.open().await;
    let (target, device) = seed_target(&*store).await;
    assert!(store.delete_push_target(&target.app_id).await.expect("an answer"));
    let mut late = report(device, "s", r#"{"a":1}"#, 0);
    late.deliveries = vec![delivery(target.no, Some(device), "late")];
    commit(&*store, vec![late]).await;
    assert_eq!(store.shadow(device).await.expect("a shadow").len(), 1);
    assert_eq!(read(&*store, target.no, 0, 10).await, []);
}

pub(crate) async fn finishing_and_expiring(place: Arc<Place>) {
    let store = place.open().await;
    let (target, device) = seed_target(&*store).await;
    let deliveries =
        (0..6).map(|i| NewDelivery { at: at(i * 10), ..delivery(target.no, Some(device), &i.to_string()) }).collect();
    commit(&*store, vec![told(device, deliveries)]).await;
    let all = read(&*store, target.no, 0, 10).await;
    store.finish_deliveries(vec![all[1].seq, all[3].seq, all[3].seq + 1_000_000]).await.expect("finished");
    store.finish_deliveries(vec![all[1].seq]).await.expect("finished already");
    store.finish_deliveries(Vec::new()).await.expect("nothing");
    assert_eq!(bodies(&read(&*store, target.no, 0, 10).await), ["0", "2", "4", "5"]);
    assert_eq!(store.expire_deliveries(at(0)).await.expect("expired"), 0);
    assert_eq!(store.expire_deliveries(at(40)).await.expect("expired"), 2);
    assert_eq!(bodies(&read(&*store, target.no, 0, 10).await), ["4", "5"]);
}

pub(crate) async fn the_signal_changes_after_the_commit(place: Arc<Place>) {
    let store = place.open().await;
    let (target, device) = seed_target(&*store).await;
    let mut signal = store.outbox_signal();
    let before = *signal.borrow_and_update();
    commit(&*store, vec![told(device, vec![delivery(target.no, None, "1")])]).await;
    let changed = tokio::time::timeout(Duration::from_secs(10), signal.changed());
    changed.await.expect("the signal comes").expect("the store lives");
    let after = *signal.borrow_and_update();
    assert_ne!(before, after);
    assert_eq!(read(&*store, target.no, 0, 10).await.len(), 1);
    store.insert_message(message(device, "m"), 20, vec![delivery(target.no, None, "2")]).await.expect("a message");
    let changed = tokio::time::timeout(Duration::from_secs(10), signal.changed());
    changed.await.expect("the signal comes").expect("the store lives");
}

/// A reader that goes on after the last number it saw must see every delivery, also while several nodes write.
pub(crate) async fn a_reader_skips_nothing(place: Arc<Place>) {
    // A second node is a thing of PostgreSQL only.
    let nodes = match place.kind {
        crate::place::Kind::Sqlite => vec![place.open().await],
        crate::place::Kind::Postgres => vec![place.open().await, place.open().await],
    };
    let (target, device) = seed_target(&*nodes[0]).await;
    let (target, writers_done) = (target.no, Arc::new(AtomicBool::new(false)));
    let mut writers = Vec::new();
    for writer in 0..6 {
        let store = Arc::clone(&nodes[writer % nodes.len()]);
        writers.push(tokio::spawn(async move {
            for i in 0..60 {
                let new = vec![delivery(target, Some(device), &format!("{writer}-{i}"))];
                if i % 6 == 5 {
                    let message = message(device, &format!("{writer}-{i}"));
                    store.insert_message(message, 20, new).await.expect("a message");
                } else {
                    commit(&*store, vec![told(device, new)]).await;
                }
            }
        }));
    }
    let reader = {
        let (store, writers_done) = (Arc::clone(&nodes[0]), Arc::clone(&writers_done));
        tokio::spawn(async move {
            let mut seen = Vec::new();
            let mut after = 0;
            loop {
                let finished = writers_done.load(Ordering::SeqCst);
                let page = read(&*store, target, after, 50).await;
                after = page.last().map_or(after, |d| d.seq);
                if page.is_empty() && finished {
                    return seen;
                }
                seen.extend(page.into_iter().map(|d| String::from(d.body)));
            }
        })
    };
    for writer in writers {
        writer.await.expect("every writer commits");
    }
    writers_done.store(true, Ordering::SeqCst);
    let seen = reader.await.expect("the reader ends");
    assert_eq!(seen.len(), 360);
    for writer in 0..6 {
        let own: Vec<_> = seen.iter().filter(|b| b.starts_with(&format!("{writer}-"))).cloned().collect();
        assert_eq!(own, (0..60).map(|i| format!("{writer}-{i}")).collect::<Vec<_>>());
    }
}
