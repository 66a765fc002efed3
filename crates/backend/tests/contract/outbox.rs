//! Push targets and the outbox.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use causeway_model::{Code, DeviceNo};
use causeway_platform::Store;
use causeway_platform::outbox::{Delivery, Finish, NewDelivery, PushTarget, TargetCounters, TargetKind, Trimmed};
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
    let finish = |seqs, outcome| store.finish_deliveries(target.no, seqs, outcome);
    finish(vec![all[1].seq, all[3].seq, all[3].seq + 1_000_000], Finish::Delivered).await.expect("finished");
    finish(vec![all[1].seq], Finish::Delivered).await.expect("finished already");
    finish(Vec::new(), Finish::Delivered).await.expect("nothing");
    assert_eq!(bodies(&read(&*store, target.no, 0, 10).await), ["0", "2", "4", "5"]);
    let trim = |before, most| store.trim_target(target.no, before, most);
    assert_eq!(trim(at(0), 1000).await.expect("trimmed"), Trimmed::default());
    assert_eq!(trim(at(40), 1000).await.expect("trimmed"), Trimmed { expired: 2, overflowed: 0 });
    assert_eq!(bodies(&read(&*store, target.no, 0, 10).await), ["4", "5"]);
    assert_eq!(trim(at(0), 1).await.expect("trimmed"), Trimmed { expired: 0, overflowed: 1 });
    finish(vec![all[5].seq], Finish::Rejected).await.expect("finished");
    assert_eq!(read(&*store, target.no, 0, 10).await, []);
}

pub(crate) async fn counters_balance(place: Arc<Place>) {
    let store = place.open().await;
    let (target, device) = seed_target(&*store).await;
    let state = async || store.target_states().await.expect("states").into_iter().find(|s| s.no == target.no);
    let bodies = ["a", "bb", "ccc", "dddd", "\u{e9}"];
    let deliveries = bodies.map(|body| NewDelivery { at: at(5), ..delivery(target.no, Some(device), body) });
    commit(&*store, vec![told(device, deliveries.to_vec())]).await;
    store.put_deliveries(vec![delivery(target.no, None, "put")]).await.expect("written");
    refused(
        store.insert_message(message(DeviceNo(9_999_999), "m"), 20, deliveries.to_vec()).await,
        Code::DeviceNotFound,
    );
    let found = state().await.expect("a state");
    assert_eq!((found.kind, found.app_id.as_ref()), (TargetKind::Push, Some(&target.app_id)));
    assert_eq!((found.counters.taken, found.counters.waiting(), found.counters.waiting_bytes), (6, 6, 15));
    let all = read(&*store, target.no, 0, 10).await;
    for (place, outcome) in
        [(0, Finish::Delivered), (1, Finish::Rejected), (4, Finish::Expired), (5, Finish::Delivered)]
    {
        store.finish_deliveries(target.no, vec![all[place].seq], outcome).await.expect("finished");
    }
    store.trim_target(target.no, at(0), 4).await.expect("trimmed");
    let counters = state().await.expect("a state").counters;
    let expected = TargetCounters { taken: 6, delivered: 2, expired: 1, overflowed: 1, rejected: 1, waiting_bytes: 4 };
    assert_eq!(counters, expected);
    assert_eq!(counters.waiting(), 1);
    // Numbers and counters go on after a restart.
    store.close().await;
    drop(store);
    let store = place.open().await;
    store.put_deliveries(vec![delivery(target.no, None, "after")]).await.expect("written");
    let left = read(&*store, target.no, 0, 10).await;
    assert_eq!(self::bodies(&left), ["dddd", "after"]);
    assert!(left[1].seq > all[5].seq);
    let states = store.target_states().await.expect("states");
    assert_eq!(states.iter().find(|s| s.no == target.no).map(|s| s.counters.taken), Some(7));
}

pub(crate) async fn an_instance_has_one_target_of_a_kind(place: Arc<Place>) {
    let store = place.open().await;
    let no = store.instance_target(TargetKind::Linkage).await.expect("a target");
    assert_eq!(store.instance_target(TargetKind::Linkage).await.expect("a target"), no);
    store.put_deliveries(vec![delivery(no, None, "x"), delivery(no + 77, None, "gone")]).await.expect("written");
    assert_eq!(bodies(&read(&*store, no, 0, 10).await), ["x"]);
}

pub(crate) async fn the_signal_changes_after_the_commit(place: Arc<Place>) {
    let store = place.open().await;
    let (target, device) = seed_target(&*store).await;
    let mut signal = store.outbox_signals().subscribe(target.no);
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
