//! Shadows.

use std::sync::Arc;

use causeway_model::shadow::{ServiceShadow, ShadowSide};
use causeway_model::{Code, DeviceNo};
use causeway_platform::shadow::DesiredPatch;

use crate::fixture::{T0, at, commit, device, object, refused, report, reported, seed, seed_device, shadow_of};
use crate::place::Place;

fn patch(service: &str, text: &str, expected_version: Option<i64>) -> DesiredPatch {
    DesiredPatch { service_id: service.to_owned(), patch: object(text), expected_version }
}

fn side(text: &str, ms: i64) -> Option<ShadowSide> {
    Some(ShadowSide { properties: object(text), event_time: at(ms) })
}

pub(crate) async fn initial_desired_values(place: Arc<Place>) {
    let store = place.open().await;
    let (_, product) = seed(&*store).await;
    let desired = vec![("b".to_owned(), object(r#"{"x":1.50}"#)), ("a".to_owned(), object(r#"{"y":"z"}"#))];
    let device = store.insert_device(device(&product, "d1"), desired).await.expect("a device");
    let shadow = store.shadow(device.no).await.expect("a shadow");
    let sides: Vec<_> = shadow.into_iter().map(|s| (s.service_id, s.reported, s.desired)).collect();
    assert_eq!(
        sides,
        [("a".to_owned(), None, side(r#"{"y":"z"}"#, 0)), ("b".to_owned(), None, side(r#"{"x":1.50}"#, 0))]
    );
    // The version it has now can be named in the next change.
    let version = shadow_of(&*store, device.no, "a").await.version;
    let changed = store.desire(device.no, vec![patch("a", r#"{"y":1}"#, Some(version))], T0).await.expect("a change");
    assert_eq!(changed[0].version, version + 1);
}

pub(crate) async fn reports_are_laid_over_each_other(place: Arc<Place>) {
    let store = place.open().await;
    let no = seed_device(&*store).await.no;
    commit(&*store, vec![report(no, "s", r#"{"a":1,"b":"x"}"#, 10)]).await;
    commit(&*store, vec![report(no, "s", r#"{"b":null,"c":[1]}"#, 20)]).await;
    // An older time does not keep a report out: arrival counts.
    commit(&*store, vec![report(no, "s", r#"{"a":2}"#, 5), report(no, "t", r#"{"a":3}"#, 6)]).await;
    let shadow = store.shadow(no).await.expect("a shadow");
    let expected = |service: &str, text, ms| ServiceShadow { reported: side(text, ms), ..ServiceShadow::new(service) };
    assert_eq!(shadow, [expected("s", r#"{"a":2,"b":null,"c":[1]}"#, 5), expected("t", r#"{"a":3}"#, 6)]);
}

pub(crate) async fn values_stay_verbatim(place: Arc<Place>) {
    let store = place.open().await;
    let no = seed_device(&*store).await.no;
    let text = r#"{"n":23.10,"long":12345678901234567890123,"e":1E+2,"s":"\u0000\u00e9 é 😀","o":{"z": 1, "a":[ 2 ]}}"#;
    commit(&*store, vec![report(no, "s", text, 0)]).await;
    assert_eq!(reported(&*store, no, "s").await, text);
    let changed = store.desire(no, vec![patch("s", text, None)], T0).await.expect("a change");
    assert_eq!(changed[0].desired, side(text, 0));
    assert_eq!(shadow_of(&*store, no, "s").await.desired, side(text, 0));
}

pub(crate) async fn desired_values_change_by_patches(place: Arc<Place>) {
    let store = place.open().await;
    let no = seed_device(&*store).await.no;
    let desire = async |text, version, ms| {
        let mut changed = store.desire(no, vec![patch("s", text, version)], at(ms)).await.expect("a change");
        assert_eq!(changed.len(), 1);
        changed.remove(0)
    };
    let first = desire(r#"{"a":1,"b":2}"#, Some(0), 1).await;
    assert_eq!((first.desired, first.version), (side(r#"{"a":1,"b":2}"#, 1), 1));
    let second = desire(r#"{"a":null,"c":3}"#, Some(1), 2).await;
    assert_eq!((second.desired.clone(), second.version), (side(r#"{"b":2,"c":3}"#, 2), 2));
    refused(store.desire(no, vec![patch("s", r#"{"a":9}"#, Some(1))], at(3)).await, Code::ShadowVersion);
    assert_eq!(shadow_of(&*store, no, "s").await, second);
    let third = desire(r#"{"c":4}"#, None, 4).await;
    assert_eq!((third.desired, third.version), (side(r#"{"b":2,"c":4}"#, 4), 3));
    let cleared = desire("{}", None, 5).await;
    assert_eq!((cleared.desired, cleared.version), (None, 4));
}

pub(crate) async fn patches_apply_all_or_none(place: Arc<Place>) {
    let store = place.open().await;
    let no = seed_device(&*store).await.no;
    let patches = vec![patch("a", r#"{"x":1}"#, Some(0)), patch("b", r#"{"x":1}"#, Some(3))];
    refused(store.desire(no, patches, T0).await, Code::ShadowVersion);
    assert_eq!(store.shadow(no).await.expect("a shadow"), []);
    // The same service twice: one after the other.
    let patches =
        vec![patch("b", r#"{"x":1}"#, Some(0)), patch("a", r#"{"x":1}"#, None), patch("b", r#"{"y":2}"#, Some(1))];
    let mut changed = store.desire(no, patches, T0).await.expect("changes");
    changed.sort_by(|a, b| a.service_id.cmp(&b.service_id));
    assert_eq!(changed, store.shadow(no).await.expect("a shadow"));
    assert_eq!((changed.len(), changed[1].version), (2, 2));
    assert_eq!(changed[1].desired, side(r#"{"x":1,"y":2}"#, 0));
}

pub(crate) async fn versions_survive_an_empty_shadow_and_end_with_its_deletion(place: Arc<Place>) {
    let store = place.open().await;
    let no = seed_device(&*store).await.no;
    store.desire(no, vec![patch("s", r#"{"a":1}"#, None)], T0).await.expect("a change");
    store.desire(no, vec![patch("s", r#"{"a":null}"#, None)], T0).await.expect("a change");
    assert_eq!(store.shadow(no).await.expect("no data"), []);
    let third = store.desire(no, vec![patch("s", r#"{"a":1}"#, Some(2))], T0).await.expect("a change");
    assert_eq!(third[0].version, 3);
    commit(&*store, vec![report(no, "s", r#"{"a":1}"#, 0)]).await;
    store.delete_shadow(no).await.expect("deleted");
    store.delete_shadow(no).await.expect("nothing to delete");
    assert_eq!(store.shadow(no).await.expect("no data"), []);
    // The store may hold what it wrote last in memory; the deletion must reach that too.
    commit(&*store, vec![report(no, "s", r#"{"b":2}"#, 0)]).await;
    assert_eq!(reported(&*store, no, "s").await, r#"{"b":2}"#);
    let anew = store.desire(no, vec![patch("s", r#"{"a":1}"#, Some(0))], T0).await.expect("a change");
    assert_eq!(anew[0].version, 1);
}

pub(crate) async fn services_come_in_order(place: Arc<Place>) {
    let store = place.open().await;
    let no = seed_device(&*store).await.no;
    let names = ["b", "a", "B", "10", "9", "ä", "_", "服务"];
    commit(&*store, names.iter().map(|name| report(no, name, r#"{"x":1}"#, 0)).collect()).await;
    let mut expected = names.to_vec();
    expected.sort_unstable();
    let found: Vec<_> = store.shadow(no).await.expect("a shadow").into_iter().map(|s| s.service_id).collect();
    assert_eq!(found, expected);
    // Mixed with services that are there already.
    commit(&*store, ["a", "c", "B", "Z", "服务", "x"].map(|name| report(no, name, r#"{"y":2}"#, 0)).to_vec()).await;
    assert_eq!(reported(&*store, no, "B").await, r#"{"x":1,"y":2}"#);
    assert_eq!(reported(&*store, no, "服务").await, r#"{"x":1,"y":2}"#);
    assert_eq!(store.shadow(no).await.expect("a shadow").len(), 11);
}

pub(crate) async fn concurrent_patches_are_all_counted(place: Arc<Place>) {
    let store = place.open().await;
    let no = seed_device(&*store).await.no;
    let callers: Vec<_> = (0..20)
        .map(|i| {
            let store = Arc::clone(&store);
            let text = format!(r#"{{"k{i}":{i}}}"#);
            tokio::spawn(async move { store.desire(no, vec![patch("s", &text, None)], T0).await })
        })
        .collect();
    for caller in callers {
        caller.await.expect("no panic").expect("a change");
    }
    let shadow = shadow_of(&*store, no, "s").await;
    assert_eq!(shadow.version, 20);
    let desired = shadow.desired.expect("a desired side").properties;
    assert!((0..20).all(|i| desired.get(&format!("k{i}")) == Some(i.to_string())), "{desired:?}");
}

pub(crate) async fn reports_and_patches_do_not_disturb_each_other(place: Arc<Place>) {
    let store = place.open().await;
    let no = seed_device(&*store).await.no;
    let patches = {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for i in 0..30 {
                store.desire(no, vec![patch("s", &format!(r#"{{"d{i}":1}}"#), None)], T0).await.expect("a change");
            }
        })
    };
    for i in 0..30 {
        commit(&*store, vec![report(no, "s", &format!(r#"{{"r{i}":1}}"#), i)]).await;
    }
    patches.await.expect("all patches");
    let shadow = shadow_of(&*store, no, "s").await;
    let (reported, desired) =
        (shadow.reported.expect("reported").properties, shadow.desired.expect("desired").properties);
    assert_eq!(shadow.version, 30);
    assert!((0..30).all(|i| reported.get(&format!("r{i}")).is_some() && desired.get(&format!("d{i}")).is_some()));
}

pub(crate) async fn a_device_must_be_there(place: Arc<Place>) {
    let store = place.open().await;
    let gone = DeviceNo(4711);
    assert_eq!(store.shadow(gone).await.expect("no data"), []);
    store.delete_shadow(gone).await.expect("nothing to delete");
    refused(store.desire(gone, vec![patch("s", r#"{"a":1}"#, None)], T0).await, Code::DeviceNotFound);
}
