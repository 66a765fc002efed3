//! Spaces.

use std::sync::Arc;

use causeway_model::history::HistoryQuery;
use causeway_model::registry::{DeviceFilter, PageRequest, ProductFilter};
use causeway_model::{Code, RecordNo, Timestamp};
use causeway_platform::device::DeviceToken;
use causeway_platform::session::{RetainedMessage, StoredSession};
use causeway_platform::uplink::Unit;

use crate::fixture::{T0, add_device, app, at, commit, delivery, message, product, refused, report, seed};
use crate::place::Place;

pub(crate) async fn spaces_are_kept(place: Arc<Place>) {
    let store = place.open().await;
    assert_eq!(store.apps().await.expect("no spaces"), []);
    let mut first = app("a1");
    first.is_default = true;
    let first = store.insert_app(first, 10).await.expect("a first space");
    let second = store.insert_app(app("a2"), 10).await.expect("a second space");
    assert!(first.is_default && !second.is_default && first.no < second.no);
    assert_eq!(store.app(&first.id).await.expect("an answer"), Some(first.clone()));
    assert_eq!(store.app(&app("a3").id).await.expect("an answer"), None);
    assert_eq!(store.apps().await.expect("two spaces"), [first, second]);
}

pub(crate) async fn limit_and_names_are_checked(place: Arc<Place>) {
    let store = place.open().await;
    store.insert_app(app("a1"), 2).await.expect("a first space");
    let mut same_name = app("a2");
    same_name.name = app("a1").name;
    refused(store.insert_app(same_name, 2).await, Code::InvalidApp);
    store.insert_app(app("a2"), 2).await.expect("a second space");
    refused(store.insert_app(app("a3"), 2).await, Code::TooManyApps);
    assert_eq!(store.apps().await.expect("spaces").len(), 2);
}

pub(crate) async fn the_limit_holds_against_concurrent_callers(place: Arc<Place>) {
    let store = place.open().await;
    let callers: Vec<_> = (0..12)
        .map(|i| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.insert_app(app(&format!("a{i}")), 5).await })
        })
        .collect();
    let mut made = 0;
    for caller in callers {
        match caller.await.expect("no panic") {
            Ok(_) => made += 1,
            Err(e) => assert_eq!(e.code(), Code::TooManyApps, "{e:?}"),
        }
    }
    assert_eq!((made, store.apps().await.expect("spaces").len()), (5, 5));
}

pub(crate) async fn renaming(place: Arc<Place>) {
    let store = place.open().await;
    let a1 = store.insert_app(app("a1"), 10).await.expect("a space");
    store.insert_app(app("a2"), 10).await.expect("another space");
    let renamed = store.rename_app(&a1.id, "new").await.expect("an answer").expect("the space");
    assert_eq!((renamed.name.as_str(), renamed.no, &renamed.id), ("new", a1.no, &a1.id));
    assert_eq!(store.app(&a1.id).await.expect("an answer"), Some(renamed));
    refused(store.rename_app(&a1.id, &app("a2").name).await, Code::InvalidApp);
    store.rename_app(&a1.id, "new").await.expect("its own name is not taken");
    assert_eq!(store.rename_app(&app("a3").id, "x").await.expect("an answer"), None);
}

pub(crate) async fn deleting_takes_everything_along(place: Arc<Place>) {
    let store = place.open().await;
    let (app_1, product_1) = seed(&*store).await;
    let app_2 = store.insert_app(app("app-2"), 10).await.expect("another space");
    let product_2 = store.insert_product(product(&app_2, "product-2")).await.expect("another product");
    let gone = add_device(&*store, &product_1, "gone").await;
    let stays = add_device(&*store, &product_2, "stays").await;
    let mut targets = Vec::new();
    for (app, device) in [(&app_1, &gone), (&app_2, &stays)] {
        let target = store.set_push_target(&app.id, "https://example.com", T0).await.expect("a target").no;
        let deliveries = vec![delivery(target, Some(device.no), "{}")];
        commit(&*store, vec![Unit { deliveries, ..report(device.no, "s", r#"{"a":1}"#, 0) }]).await;
        store.insert_message(message(device.no, "m"), 20, Vec::new()).await.expect("a message");
        let session = StoredSession { client: "c".to_owned(), ..StoredSession::default() };
        store.put_session(device.no, &session).await.expect("a session");
        let retained = RetainedMessage { topic: "t".to_owned(), payload: vec![1], qos: 0, properties: vec![], at: T0 };
        assert!(store.put_retained(device.no, &retained, 5).await.expect("an answer"));
        let hash = [device.no.0 as u8; 32];
        let token = DeviceToken { hash, device: device.no, expires_at: at(1000) };
        store.put_device_token(&token, at(1000), T0).await.expect("a token");
        targets.push(target);
    }

    assert!(store.delete_app(&app_1.id).await.expect("an answer"));
    assert!(!store.delete_app(&app_1.id).await.expect("an answer"));

    assert_eq!(store.app(&app_1.id).await.expect("an answer"), None);
    assert_eq!(store.device(&gone.id).await.expect("an answer"), None);
    assert_eq!(store.product(product_1.no).await.expect("an answer"), None);
    let page = PageRequest { marker: RecordNo::LAST, offset: 0, limit: 10 };
    assert_eq!(store.list_devices(&DeviceFilter::default(), page).await.expect("devices").count, 1);
    assert_eq!(store.list_products(&ProductFilter::default(), page).await.expect("products").count, 1);
    let all = store.push_targets().await.expect("targets");
    assert_eq!(all.iter().map(|t| t.no).collect::<Vec<_>>(), targets[1..]);
    for (device, target, there) in [(&gone, targets[0], 0), (&stays, targets[1], 1)] {
        let no = device.no;
        let query = HistoryQuery {
            device: no,
            service_id: None,
            from: Timestamp(0),
            to: Timestamp(i64::MAX),
            descending: false,
            after: None,
            limit: 10,
        };
        assert_eq!(store.history(&query).await.expect("history").len(), there, "history");
        assert_eq!(store.shadow(no).await.expect("shadow").len(), there, "shadow");
        assert_eq!(store.messages(no).await.expect("messages").len(), there, "messages");
        assert_eq!(store.session(no, T0).await.expect("session").iter().count(), there, "session");
        assert_eq!(store.retained(no).await.expect("retained").len(), there, "retained");
        let token = store.device_token(&[no.0 as u8; 32]).await.expect("token");
        assert_eq!(token.iter().count(), there, "token");
        assert_eq!(store.deliveries(target, 0, 10).await.expect("deliveries").len(), there, "deliveries");
    }
}
