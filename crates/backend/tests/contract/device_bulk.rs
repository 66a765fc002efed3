//! Many new devices at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use causeway_model::registry::{Device, DeviceFilter, PageRequest};
use causeway_model::{AppId, Code, DeviceId, NodeId, RecordNo};
use causeway_platform::Store;
use causeway_platform::device::InitialDesired;

use crate::fixture::{add_device, app, commit, device, object, product, refused, report, seed, shadow_of};
use crate::place::Place;

fn plain(devices: Vec<Device>) -> Vec<(Device, InitialDesired)> {
    devices.into_iter().map(|d| (d, Vec::new())).collect()
}

async fn count(store: &dyn Store) -> u64 {
    let page = PageRequest { marker: RecordNo(i64::MAX), offset: 0, limit: 1 };
    store.list_devices(&DeviceFilter::default(), page).await.expect("a page").count
}

pub(crate) async fn each_device_has_its_outcome(place: Arc<Place>) {
    let store = place.open().await;
    let (space, product_1) = seed(&*store).await;
    let app_2 = store.insert_app(app("app-2"), 10).await.expect("another space");
    let product_2 = store.insert_product(product(&app_2, "product-2")).await.expect("another product");
    let old = add_device(&*store, &product_1, "old").await;
    let desired = vec![("s".to_owned(), object(r#"{"level":1.50}"#)), ("t".to_owned(), object(r#"{"x":"y"}"#))];
    let gateway = |id: &str| Some(DeviceId::trusted(id));
    let outcomes = store
        .insert_devices(vec![
            (device(&product_1, "a"), desired),
            (device(&product_1, "old"), Vec::new()),
            (Device { node_id: old.node_id.clone(), ..device(&product_1, "b") }, Vec::new()),
            (Device { node_id: old.node_id.clone(), ..device(&product_2, "c") }, Vec::new()),
            (Device { node_id: NodeId::trusted("other"), ..device(&product_2, "a") }, Vec::new()),
            (Device { gateway_id: gateway("none"), ..device(&product_1, "d") }, Vec::new()),
            (Device { gateway_id: gateway("old"), ..device(&product_1, "e") }, Vec::new()),
            (Device { product_no: RecordNo(product_2.no.0 + 100), ..device(&product_1, "f") }, Vec::new()),
            (Device { app_id: AppId::trusted("app-2"), ..device(&product_1, "g") }, Vec::new()),
            (Device { node_id: NodeId::trusted("node-a"), ..device(&product_1, "h") }, Vec::new()),
        ])
        .await;
    let refusals: Vec<Option<Code>> =
        outcomes.iter().map(|o| o.as_ref().err().map(causeway_model::Error::code)).collect();
    let exists = Some(Code::DeviceExists);
    let no_product = Some(Code::ProductNotFound);
    assert_eq!(
        refusals,
        [None, exists, exists, None, exists, Some(Code::InvalidGateway), None, no_product, no_product, exists]
    );
    let a = outcomes[0].as_ref().expect("a device");
    let expected = Device {
        no: a.no,
        app_name: space.name.clone(),
        product_name: product_1.name.clone(),
        ..device(&product_1, "a")
    };
    assert_eq!(*a, expected);
    for outcome in outcomes.iter().flatten() {
        assert_eq!(store.device(&outcome.id).await.expect("an answer").as_ref(), Some(outcome));
    }
    assert_eq!(outcomes[6].as_ref().expect("a device").gateway_id, Some(old.id));
    let s = shadow_of(&*store, a.no, "s").await;
    assert_eq!((s.version, s.desired.expect("desired").properties.as_str()), (0, r#"{"level":1.50}"#));
    assert!(shadow_of(&*store, a.no, "t").await.reported.is_none());
    assert_eq!(count(&*store).await, 4);
    assert!(store.insert_devices(Vec::new()).await.is_empty());
}

pub(crate) async fn a_device_may_be_behind_one_before_it(place: Arc<Place>) {
    let store = place.open().await;
    let (_, product) = seed(&*store).await;
    let child =
        |id: &str, gateway: &str| Device { gateway_id: Some(DeviceId::trusted(gateway)), ..device(&product, id) };
    let devices =
        plain(vec![child("early", "gw"), device(&product, "gw"), child("child", "gw"), child("grandchild", "child")]);
    let mut outcomes = store.insert_devices(devices).await;
    let grandchild = outcomes.pop().expect("an outcome").expect("a device");
    assert_eq!(grandchild.gateway_id, Some(DeviceId::trusted("child")));
    refused(outcomes.swap_remove(0), Code::InvalidGateway);
    assert_eq!(count(&*store).await, 3);
}

pub(crate) async fn more_than_a_transaction_takes(place: Arc<Place>) {
    let store = place.open().await;
    let (_, product) = seed(&*store).await;
    let devices: Vec<Device> = (0..3_000).map(|n| device(&product, &format!("d{}", n % 2_900))).collect();
    let outcomes = store.insert_devices(plain(devices)).await;
    let inserted: Vec<&Device> = outcomes.iter().flatten().collect();
    assert_eq!((outcomes.len(), inserted.len()), (3_000, 2_900));
    assert!(inserted.is_sorted_by_key(|d| d.no), "numbers follow the order of the call");
    assert!(outcomes[2_900..].iter().all(|o| o.as_ref().is_err_and(|e| e.code() == Code::DeviceExists)));
    assert_eq!(count(&*store).await, 2_900);
    store.close().await;
    drop(store);
    assert_eq!(count(&*place.open().await).await, 2_900);
}

pub(crate) async fn reports_are_not_held_up(place: Arc<Place>) {
    let store = place.open().await;
    let (_, product) = seed(&*store).await;
    let reporter = add_device(&*store, &product, "reporter").await;
    let devices: Vec<Device> = (0..10_000).map(|n| device(&product, &format!("d{n}"))).collect();
    let loading = {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.insert_devices(plain(devices)).await })
    };
    let (mut reports, mut longest) = (0, Duration::ZERO);
    while !loading.is_finished() {
        let asked = Instant::now();
        commit(&*store, vec![report(reporter.no, "s", r#"{"a":1}"#, reports)]).await;
        longest = longest.max(asked.elapsed());
        reports += 1;
    }
    assert!(loading.await.expect("no panic").iter().all(Result::is_ok));
    // The whole load takes a second and more; were it one transaction, there would have been one report.
    assert!(reports >= 5, "{reports} reports were committed meanwhile, one took {longest:?}");
}

pub(crate) async fn two_calls_share_no_device(place: Arc<Place>) {
    let store = place.open().await;
    let (_, product) = seed(&*store).await;
    let ids = || (0..2_000).map(|n| format!("d{n}"));
    let forth: Vec<Device> = ids().map(|id| device(&product, &id)).collect();
    let back: Vec<Device> = ids().rev().map(|id| device(&product, &id)).collect();
    let (first, second) = tokio::join!(store.insert_devices(plain(forth)), store.insert_devices(plain(back)));
    let inserted = |outcomes: &[causeway_model::Result<Device>]| outcomes.iter().flatten().count();
    assert_eq!(inserted(&first) + inserted(&second), 2_000);
    let refusals = first.into_iter().chain(second).filter_map(Result::err);
    assert!(refusals.into_iter().all(|e| e.code() == Code::DeviceExists));
    assert_eq!(count(&*store).await, 2_000);
}

pub(crate) async fn a_text_that_cannot_be_stored_harms_no_other(place: Arc<Place>) {
    let store = place.open().await;
    let (_, product) = seed(&*store).await;
    let named = |id: &str, name: &str| Device { name: Some(name.to_owned()), ..device(&product, id) };
    let devices = plain(vec![named("a", "good"), named("b", "with \u{0} inside"), named("c", "good")]);
    let outcomes = store.insert_devices(devices).await;
    assert!(outcomes[0].is_ok() && outcomes[2].is_ok(), "{outcomes:?}");
    match &outcomes[1] {
        Ok(device) => assert_eq!(device.name.as_deref(), Some("with \u{0} inside")),
        Err(error) => assert_eq!(error.code(), Code::InvalidInput),
    }
    assert_eq!(count(&*store).await, outcomes.iter().flatten().count() as u64);
}
