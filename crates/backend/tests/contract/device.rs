//! Devices and their tokens.

use std::sync::Arc;

use causeway_model::history::HistoryQuery;
use causeway_model::registry::{AuthType, Device, DeviceAuth, Sealed};
use causeway_model::service_event::DeviceVersions;
use causeway_model::status::DeviceStatus;
use causeway_model::{Code, DeviceId, DeviceNo, NodeId, RecordNo, Timestamp};
use causeway_platform::Store;
use causeway_platform::device::{CredentialSlot, DeviceToken};
use causeway_platform::session::{RetainedMessage, StoredSession};
use causeway_platform::uplink::Unit;

use crate::fixture::{
    T0, add_child, add_device, app, at, commit, delivery, device, message, product, refused, report, seed, seed_device,
    status,
};
use crate::place::Place;

pub(crate) async fn a_device_is_kept_whole(place: Arc<Place>) {
    let store = place.open().await;
    let (app, product) = seed(&*store).await;
    let gateway = add_device(&*store, &product, "gw").await;
    let new = Device {
        name: Some("näme".to_owned()),
        description: Some("d".to_owned()),
        gateway_id: Some(gateway.id.clone()),
        fw_version: Some("f".to_owned()),
        sw_version: Some("s".to_owned()),
        sdk_version: Some("k".to_owned()),
        auth: DeviceAuth {
            auth_type: AuthType::Certificates,
            secret: Some(Sealed(vec![0; 40].into())),
            secondary_secret: Some(Sealed(vec![9].into())),
            fingerprint: Some("ab".to_owned()),
            secondary_fingerprint: Some("cd".to_owned()),
            secure_access: false,
            timeout_s: 180,
        },
        extension_info: Some(r#"{"a": 1.10}"#.to_owned()),
        ..device(&product, "d1")
    };
    let stored = store.insert_device(new.clone(), Vec::new()).await.expect("a device");
    let expected =
        Device { no: stored.no, app_name: app.name.clone(), product_name: product.name.clone(), ..new.clone() };
    assert_eq!(stored, expected);
    assert!(stored.no > gateway.no);
    assert_eq!(store.device(&stored.id).await.expect("an answer"), Some(stored.clone()));
    assert_eq!(store.device_by_no(stored.no).await.expect("an answer"), Some(stored.clone()));
    assert_eq!(store.device(&DeviceId::trusted("none")).await.expect("an answer"), None);
    assert_eq!(store.device_by_no(DeviceNo(stored.no.0 + 1)).await.expect("an answer"), None);
    assert_eq!(store.shadow(stored.no).await.expect("no shadow"), []);
}

pub(crate) async fn ids_are_unique(place: Arc<Place>) {
    let store = place.open().await;
    let (_, product_1) = seed(&*store).await;
    let app_2 = store.insert_app(app("app-2"), 10).await.expect("another space");
    let product_2 = store.insert_product(product(&app_2, "product-2")).await.expect("another product");
    let d1 = add_device(&*store, &product_1, "d1").await;
    // The device id in the whole instance, the node id in the product.
    let same_id = Device { node_id: NodeId::trusted("other"), ..device(&product_2, "d1") };
    refused(store.insert_device(same_id, Vec::new()).await, Code::DeviceExists);
    let same_node = |product| Device { node_id: d1.node_id.clone(), ..device(product, "d2") };
    refused(store.insert_device(same_node(&product_1), Vec::new()).await, Code::DeviceExists);
    store.insert_device(same_node(&product_2), Vec::new()).await.expect("the node id in another product");
}

pub(crate) async fn a_product_must_be_there(place: Arc<Place>) {
    let store = place.open().await;
    let (_, mut product) = seed(&*store).await;
    product.no = RecordNo(product.no.0 + 100);
    refused(store.insert_device(device(&product, "d1"), Vec::new()).await, Code::ProductNotFound);
}

pub(crate) async fn updating_sets_what_it_may(place: Arc<Place>) {
    let store = place.open().await;
    let old = seed_device(&*store).await;
    let mut change = old.clone();
    change.name = None;
    change.description = Some("new".to_owned());
    change.extension_info = Some("[1]".to_owned());
    change.auth.secure_access = !old.auth.secure_access;
    change.auth.timeout_s = 60;
    let expected = change.clone();
    // These are not for this call.
    change.fw_version = Some("1".to_owned());
    change.auth.secret = None;
    change.connection = DeviceStatus::Online;
    change.frozen = true;
    change.activated_at = Some(T0);
    assert!(store.update_device(&change).await.expect("an answer"));
    assert_eq!(store.device_by_no(old.no).await.expect("an answer"), Some(expected));
    change.no = DeviceNo(old.no.0 + 1);
    assert!(!store.update_device(&change).await.expect("an answer"));
}

pub(crate) async fn versions_that_are_not_told_stay(place: Arc<Place>) {
    let store = place.open().await;
    let device = seed_device(&*store).await;
    let told = DeviceVersions { software: Some("s2".into()), ..DeviceVersions::default() };
    assert!(store.set_versions(device.no, &told).await.expect("an answer"));
    let told = DeviceVersions { sdk: Some("C_v1".into()), firmware: Some("f2".into()), ..DeviceVersions::default() };
    assert!(store.set_versions(device.no, &told).await.expect("an answer"));
    let read = store.device_by_no(device.no).await.expect("an answer").expect("the device");
    let versions = (read.sdk_version.as_deref(), read.sw_version.as_deref(), read.fw_version.as_deref());
    assert_eq!(versions, (Some("C_v1"), Some("s2"), Some("f2")));
    assert!(!store.set_versions(DeviceNo(device.no.0 + 1), &told).await.expect("an answer"));
}

pub(crate) async fn secrets_and_freezing(place: Arc<Place>) {
    let store = place.open().await;
    let device = seed_device(&*store).await;
    let gone = DeviceNo(device.no.0 + 1);
    let sealed = |byte| Sealed(vec![byte; 3].into());
    assert!(store.set_secret(device.no, CredentialSlot::Primary, &sealed(7)).await.expect("an answer"));
    assert!(store.set_secret(device.no, CredentialSlot::Secondary, &sealed(8)).await.expect("an answer"));
    assert!(!store.set_secret(gone, CredentialSlot::Primary, &sealed(7)).await.expect("an answer"));
    assert!(store.set_frozen(device.no, true).await.expect("an answer"));
    assert!(!store.set_frozen(gone, true).await.expect("an answer"));
    let read = store.device_by_no(device.no).await.expect("an answer").expect("the device");
    assert_eq!((read.auth.secret, read.auth.secondary_secret), (Some(sealed(7)), Some(sealed(8))));
    assert!(read.frozen && read.connection == DeviceStatus::Inactive);
    assert!(store.set_frozen(device.no, false).await.expect("an answer"));
    assert!(!store.device_by_no(device.no).await.expect("an answer").expect("the device").frozen);
}

pub(crate) async fn deleting_takes_everything_along(place: Arc<Place>) {
    let store = place.open().await;
    let (app, product) = seed(&*store).await;
    let target = store.set_push_target(&app.id, "https://example.com", T0).await.expect("a target").no;
    let gone = add_device(&*store, &product, "gone").await;
    let stays = add_device(&*store, &product, "stays").await;
    for device in [&gone, &stays] {
        let deliveries = vec![delivery(target, Some(device.no), "{}")];
        commit(&*store, vec![Unit { deliveries, ..report(device.no, "s", r#"{"a":1}"#, 0) }]).await;
        store.insert_message(message(device.no, "m"), 20, Vec::new()).await.expect("a message");
        store.put_session(device.no, &StoredSession::default()).await.expect("a session");
        let retained = RetainedMessage { topic: "t".to_owned(), payload: vec![], qos: 1, properties: vec![], at: T0 };
        assert!(store.put_retained(device.no, &retained, 5).await.expect("an answer"));
        put_token(&*store, device, device.no.0 as u8, 1000, 1000, 0).await;
    }
    assert!(store.delete_device(gone.no).await.expect("an answer"));
    assert!(!store.delete_device(gone.no).await.expect("an answer"));
    for (device, there) in [(&gone, 0), (&stays, 1)] {
        let no = device.no;
        assert_eq!(store.device(&device.id).await.expect("an answer").iter().count(), there, "device");
        assert_eq!(store.device_by_no(no).await.expect("an answer").iter().count(), there, "device by number");
        assert_eq!(store.history(&whole_history(no)).await.expect("history").len(), there, "history");
        assert_eq!(store.shadow(no).await.expect("shadow").len(), there, "shadow");
        assert_eq!(store.messages(no).await.expect("messages").len(), there, "messages");
        assert_eq!(store.session(no, T0).await.expect("session").iter().count(), there, "session");
        assert_eq!(store.retained(no).await.expect("retained").len(), there, "retained");
        let token = store.device_token(&[no.0 as u8; 32]).await.expect("an answer");
        assert_eq!(token.iter().count(), there, "token");
    }
    // What was to be told of the device is told.
    assert_eq!(store.deliveries(target, 0, 10).await.expect("deliveries").len(), 2);
}

fn whole_history(device: DeviceNo) -> HistoryQuery {
    HistoryQuery {
        device,
        service_id: None,
        from: Timestamp(0),
        to: Timestamp(i64::MAX),
        descending: false,
        after: None,
        limit: 1000,
    }
}

pub(crate) async fn a_long_history_is_gone_at_once(place: Arc<Place>) {
    let store = place.open().await;
    let device = seed_device(&*store).await;
    for part in 0..20 {
        commit(&*store, (0..1000).map(|i| report(device.no, "s", r#"{"a":1}"#, part * 1000 + i)).collect()).await;
    }
    let newest = HistoryQuery { descending: true, limit: 1, ..whole_history(device.no) };
    assert_eq!(store.history(&newest).await.expect("history").len(), 1);
    assert!(store.delete_device(device.no).await.expect("an answer"));
    assert_eq!(store.history(&newest).await.expect("history"), []);
}

pub(crate) async fn a_gateway_with_children_stays(place: Arc<Place>) {
    let store = place.open().await;
    let (_, product) = seed(&*store).await;
    let gateway = add_device(&*store, &product, "gw").await;
    let child = add_child(&*store, &product, &gateway, "child").await;
    assert_eq!(child.gateway_id, Some(gateway.id.clone()));
    commit(&*store, vec![report(gateway.no, "s", r#"{"a":1}"#, 0)]).await;
    refused(store.delete_device(gateway.no).await, Code::DeviceHasChildren);
    assert_eq!(store.history(&whole_history(gateway.no)).await.expect("history").len(), 1);
    assert!(store.delete_device(child.no).await.expect("an answer"));
    assert!(store.delete_device(gateway.no).await.expect("an answer"));
}

pub(crate) async fn numbers_are_never_used_again(place: Arc<Place>) {
    let store = place.open().await;
    let (_, product) = seed(&*store).await;
    let first = add_device(&*store, &product, "d1").await;
    commit(&*store, vec![report(first.no, "s", r#"{"a":1}"#, 0)]).await;
    assert!(store.delete_device(first.no).await.expect("an answer"));
    let second = add_device(&*store, &product, "d1").await;
    assert!(second.no > first.no);
    assert_eq!(store.history(&whole_history(second.no)).await.expect("history"), []);
    store.delete_device(second.no).await.expect("an answer");
    store.close().await;
    drop(store);
    let store = place.open().await;
    assert!(add_device(&*store, &product, "d1").await.no > second.no, "not after reopening either");
}

pub(crate) async fn overdue_devices(place: Arc<Place>) {
    let store = place.open().await;
    let (_, product) = seed(&*store).await;
    let with_timeout = |id: &str, timeout_s, created_ms| {
        let mut device = device(&product, id);
        device.auth.timeout_s = timeout_s;
        device.created_at = at(created_ms);
        device
    };
    let add = async |device| store.insert_device(device, Vec::new()).await.expect("a device");
    let early = add(with_timeout("early", 10, 0)).await;
    let late = add(with_timeout("late", 10, 50_000)).await;
    add(with_timeout("no limit", 0, 0)).await;
    let active = add(with_timeout("active", 10, 0)).await;
    add(Device { gateway_id: Some(active.id.clone()), ..with_timeout("child", 10, 0) }).await;
    commit(&*store, vec![status(active.no, DeviceStatus::Online, 5), status(active.no, DeviceStatus::Offline, 6)])
        .await;
    // One with devices behind it stays, and does not take the place of others.
    let gateway = add(with_timeout("gateway", 5, 0)).await;
    add(Device { gateway_id: Some(gateway.id.clone()), ..with_timeout("behind", 0, 0) }).await;
    let overdue = async |ms, limit| {
        let found = store.overdue_devices(at(ms), limit).await.expect("devices");
        let mut nos: Vec<_> = found.iter().map(|d| d.no).collect();
        nos.sort_unstable();
        nos
    };
    assert_eq!(overdue(9_000, 10).await, []);
    assert_eq!(overdue(11_000, 10).await, [early.no]);
    assert_eq!(overdue(61_000, 10).await, [early.no, late.no]);
    assert_eq!(overdue(61_000, 1).await.len(), 1);
}

async fn put_token(store: &dyn Store, device: &Device, byte: u8, expires: i64, others_end: i64, now: i64) {
    let token = DeviceToken { hash: [byte; 32], device: device.no, expires_at: at(expires) };
    store.put_device_token(&token, at(others_end), at(now)).await.expect("a token");
}

pub(crate) async fn tokens_overlap_and_end(place: Arc<Place>) {
    let store = place.open().await;
    let (_, product) = seed(&*store).await;
    let (device, other) = (add_device(&*store, &product, "d1").await, add_device(&*store, &product, "d2").await);
    let ends = async |byte: u8| {
        let token = store.device_token(&[byte; 32]).await.expect("an answer")?;
        Some((token.device, token.expires_at))
    };
    assert_eq!(ends(1).await, None);
    put_token(&*store, &device, 1, 1000, 500, 0).await;
    put_token(&*store, &other, 2, 2000, 500, 0).await;
    assert_eq!(ends(1).await, Some((device.no, at(1000))));
    // A new token shortens the device's others, and never lengthens them; other devices keep theirs.
    put_token(&*store, &device, 3, 3000, 600, 100).await;
    assert_eq!(ends(1).await, Some((device.no, at(600))));
    put_token(&*store, &device, 4, 4000, 900, 200).await;
    assert_eq!(ends(1).await, Some((device.no, at(600))));
    assert_eq!(ends(3).await, Some((device.no, at(900))));
    assert_eq!(ends(2).await, Some((other.no, at(2000))));
    // Ended ones are shown until somebody cleans up.
    put_token(&*store, &device, 5, 5000, 5000, 700).await;
    assert_eq!(ends(1).await, None);
    assert_eq!(ends(3).await, Some((device.no, at(900))));
    // A token of a device that is not there.
    let stray = DeviceToken { hash: [9; 32], device: DeviceNo(other.no.0 + 100), expires_at: at(1) };
    refused(store.put_device_token(&stray, at(0), at(0)).await, Code::DeviceNotFound);
}
