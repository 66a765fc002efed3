//! Lists of devices.

use std::sync::Arc;

use causeway_model::registry::{Device, DeviceFilter, Page, PageRequest};
use causeway_model::{RecordNo, Spaces};
use causeway_platform::Store;

use crate::fixture::{add_child, add_device, app, at, device, product, seed};
use crate::place::Place;

async fn page(store: &dyn Store, filter: &DeviceFilter, marker: RecordNo, offset: u32, limit: u32) -> Page<Device> {
    store.list_devices(filter, PageRequest { marker, offset, limit }).await.expect("a page")
}

fn ids(page: &Page<Device>) -> Vec<&str> {
    page.items.iter().map(|d| d.id.as_str()).collect()
}

async fn check(store: &dyn Store, filter: DeviceFilter, expected: &[&str]) {
    let found = page(store, &filter, RecordNo::LAST, 0, 50).await;
    assert_eq!((ids(&found), found.count), (expected.to_vec(), expected.len() as u64), "{filter:?}");
}

pub(crate) async fn filters(place: Arc<Place>) {
    let store = place.open().await;
    let store = &*store;
    let (app_1, product_1) = seed(store).await;
    let app_2 = store.insert_app(app("app-2"), 10).await.expect("another space");
    let product_2 = store.insert_product(product(&app_2, "product-2")).await.expect("another product");
    let named = |product, id, name: Option<&str>, created_ms| Device {
        name: name.map(str::to_owned),
        created_at: at(created_ms),
        ..device(product, id)
    };
    for new in [
        named(&product_1, "d1", Some("Hall 100%_1"), 10),
        named(&product_1, "d2", Some("hall 100xy1"), 20),
        named(&product_2, "d3", None, 30),
        named(&product_2, "d4", Some(r"back\slash'quote"), 40),
    ] {
        store.insert_device(new, Vec::new()).await.expect("a device");
    }
    let none = DeviceFilter::default;
    check(store, none(), &["d4", "d3", "d2", "d1"]).await;
    check(store, DeviceFilter { spaces: Spaces::one(app_1.id.clone()), ..none() }, &["d2", "d1"]).await;
    check(store, DeviceFilter { product_id: Some(product_2.id.clone()), ..none() }, &["d4", "d3"]).await;
    let both = DeviceFilter { spaces: Spaces::one(app_1.id), product_id: Some(product_2.id), ..none() };
    check(store, both, &[]).await;
    check(store, DeviceFilter { node_id: Some("node-d3".to_owned()), ..none() }, &["d3"]).await;
    check(store, DeviceFilter { node_id: Some("node-d".to_owned()), ..none() }, &[]).await;
    for (text, expected) in [
        ("%_", &["d1"][..]),
        ("100", &["d2", "d1"]),
        ("hall", &["d2"]),
        (r"k\s", &["d4"]),
        ("h'q", &["d4"]),
        ("h''q", &[]),
    ] {
        check(store, DeviceFilter { name: Some(text.to_owned()), ..none() }, expected).await;
    }
    check(store, DeviceFilter { from: Some(at(20)), to: Some(at(40)), ..none() }, &["d3", "d2"]).await;
    check(store, DeviceFilter { from: Some(at(41)), ..none() }, &[]).await;
    check(store, DeviceFilter { to: Some(at(20)), ..none() }, &["d1"]).await;
}

pub(crate) async fn cascades_over_gateways(place: Arc<Place>) {
    let store = place.open().await;
    let store = &*store;
    let (_, product) = seed(store).await;
    let gateway = add_device(store, &product, "gw").await;
    let child = add_child(store, &product, &gateway, "child").await;
    let grandchild = add_child(store, &product, &child, "grandchild").await;
    add_child(store, &product, &grandchild, "last").await;
    let other = add_device(store, &product, "other").await;
    add_child(store, &product, &other, "others").await;
    let of = |gateway: &Device, cascade| DeviceFilter {
        gateway_id: Some(gateway.id.clone()),
        cascade,
        ..DeviceFilter::default()
    };
    check(store, of(&gateway, false), &["child"]).await;
    check(store, of(&gateway, true), &["last", "grandchild", "child"]).await;
    check(store, of(&child, true), &["last", "grandchild"]).await;
    check(store, of(&other, true), &["others"]).await;
    let leaf = store.device(&causeway_model::DeviceId::trusted("last")).await.expect("an answer").expect("the device");
    check(store, of(&leaf, true), &[]).await;
}

pub(crate) async fn pages(place: Arc<Place>) {
    let store = place.open().await;
    let store = &*store;
    let (_, product) = seed(store).await;
    for i in 0..10 {
        add_device(store, &product, &format!("d{i}")).await;
    }
    let all = DeviceFilter::default();
    let first = page(store, &all, RecordNo::LAST, 0, 4).await;
    assert_eq!((ids(&first), first.count), (vec!["d9", "d8", "d7", "d6"], 10));
    assert_eq!(first.marker, first.items[3].no.into());
    let skipping = page(store, &all, first.marker, 3, 4).await;
    assert_eq!((ids(&skipping), skipping.count), (vec!["d2", "d1", "d0"], 10));
    let beyond = page(store, &all, first.marker, 6, 4).await;
    assert_eq!((ids(&beyond), beyond.count, beyond.marker), (vec![], 10, first.marker));
    let nothing = page(store, &all, RecordNo(0), 0, 4).await;
    assert_eq!((ids(&nothing), nothing.count, nothing.marker), (vec![], 10, RecordNo(0)));
}
