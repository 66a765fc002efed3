//! Connection status.

use std::sync::Arc;

use causeway_model::Timestamp;
use causeway_model::status::DeviceStatus::{self, Abnormal, Inactive, Offline, Online};
use causeway_model::{DeviceNo, registry::Device};
use causeway_platform::Store;

use crate::fixture::{add_child, add_device, at, commit, seed, seed_device, status};
use crate::place::Place;

async fn read(store: &dyn Store, no: DeviceNo) -> Device {
    store.device_by_no(no).await.expect("an answer").expect("the device")
}

/// Status, time of its change, activation, last time online.
async fn check(store: &dyn Store, no: DeviceNo, expected: (DeviceStatus, i64, Option<i64>, Option<i64>)) {
    let device = read(store, no).await;
    let ms = |t: Option<Timestamp>| t.map(|t| t.0 - at(0).0);
    let found = (device.connection, ms(device.status_changed_at), ms(device.activated_at), ms(device.last_online_at));
    assert_eq!(found, (expected.0, Some(expected.1), expected.2, expected.3));
}

pub(crate) async fn changes_set_their_times(place: Arc<Place>) {
    let store = place.open().await;
    let no = seed_device(&*store).await.no;
    let fresh = read(&*store, no).await;
    assert_eq!((fresh.connection, fresh.status_changed_at, fresh.activated_at), (Inactive, None, None));
    commit(&*store, vec![status(no, Online, 10)]).await;
    check(&*store, no, (Online, 10, Some(10), Some(10))).await;
    // It was online until it left.
    commit(&*store, vec![status(no, Offline, 20)]).await;
    check(&*store, no, (Offline, 20, Some(10), Some(20))).await;
    commit(&*store, vec![status(no, Abnormal, 30)]).await;
    check(&*store, no, (Abnormal, 30, Some(10), Some(20))).await;
    commit(&*store, vec![status(no, Online, 40)]).await;
    check(&*store, no, (Online, 40, Some(10), Some(40))).await;
}

pub(crate) async fn changes_of_one_batch_apply_in_order(place: Arc<Place>) {
    let store = place.open().await;
    let (_, product) = seed(&*store).await;
    let (first, second) = (add_device(&*store, &product, "d1").await.no, add_device(&*store, &product, "d2").await.no);
    commit(
        &*store,
        vec![
            status(first, Online, 1),
            status(second, Online, 2),
            status(first, Offline, 3),
            status(first, Online, 4),
            status(second, Offline, 5),
            status(DeviceNo(second.0 + 100), Online, 6),
        ],
    )
    .await;
    check(&*store, first, (Online, 4, Some(1), Some(4))).await;
    check(&*store, second, (Offline, 5, Some(2), Some(5))).await;
}

pub(crate) async fn devices_by_status(place: Arc<Place>) {
    let store = place.open().await;
    let (_, product) = seed(&*store).await;
    let mut devices = Vec::new();
    for i in 0..4 {
        devices.push(add_device(&*store, &product, &format!("d{i}")).await);
    }
    commit(&*store, vec![status(devices[0].no, Online, 1), status(devices[2].no, Online, 1)]).await;
    commit(&*store, vec![status(devices[2].no, Offline, 2)]).await;
    // Freezing does not change the stored status of the connection.
    assert!(store.set_frozen(devices[0].no, true).await.expect("an answer"));
    let with = async |status| {
        let mut found = store.devices_with_status(status).await.expect("devices");
        found.sort();
        found
    };
    let expected =
        |places: &[usize]| places.iter().map(|i| (devices[*i].no, devices[*i].id.clone())).collect::<Vec<_>>();
    assert_eq!(with(Online).await, expected(&[0]));
    assert_eq!(with(Offline).await, expected(&[2]));
    assert_eq!(with(Inactive).await, expected(&[1, 3]));
    assert_eq!(with(Abnormal).await, []);
    // The status of a device behind a gateway is not for the start of the platform to judge.
    let child = add_child(&*store, &product, &devices[1], "child").await;
    commit(&*store, vec![status(child.no, Online, 3)]).await;
    assert_eq!(with(Online).await, expected(&[0]));
}
