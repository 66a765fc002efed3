//! Text as clients may send it. PostgreSQL cannot keep U+0000, so a store may refuse it as invalid input; it must
//! neither fail as if the platform were at fault nor hurt anybody else.

use std::sync::Arc;

use causeway_model::message::MessageTopic;
use causeway_model::registry::{CustomTopic, DeviceFilter, PageRequest, ProductFilter, TopicRight};
use causeway_model::{Kind, RecordNo, Result};
use causeway_platform::iam::{GrantScope, UserChange};
use causeway_platform::session::{RetainedMessage, StoredSession, StoredSubscription};

use crate::fixture::{T0, app, commit, device, message, product, report, reported, seed, seed_device, try_commit};
use crate::iam;
use crate::place::Place;

const NUL: &str = "a\0b";

/// Kept (then true), or refused as invalid.
#[track_caller]
fn kept<T>(outcome: Result<T>) -> bool {
    match outcome {
        Ok(_) => true,
        Err(e) => {
            assert_eq!(e.kind(), Kind::Invalid, "{e:?}");
            false
        }
    }
}

pub(crate) async fn nul_is_kept_or_refused(place: Arc<Place>) {
    let store = place.open().await;
    let (app_1, product_1) = seed(&*store).await;
    let named = |mut app: causeway_model::registry::App| {
        app.name = NUL.to_owned();
        app
    };
    kept(store.insert_app(named(app("a")), 10).await);
    kept(store.rename_app(&app_1.id, NUL).await);
    let mut nul_product = product(&app_1, "p");
    nul_product.description = Some(NUL.to_owned());
    nul_product.services[0].service_id = NUL.to_owned();
    kept(store.insert_product(nul_product).await);
    kept(store.update_product(&causeway_model::registry::Product { name: NUL.to_owned(), ..product_1.clone() }).await);
    let topic = CustomTopic { id: "t".to_owned(), topic: NUL.to_owned(), right: TopicRight::All, description: None };
    kept(store.insert_topic(product_1.no, &topic, 10).await);
    kept(store.delete_topic(product_1.no, NUL).await);
    let page = PageRequest { marker: RecordNo::LAST, offset: 0, limit: 10 };
    let name = Some(NUL.to_owned());
    kept(store.list_products(&ProductFilter { name: name.clone(), ..ProductFilter::default() }, page).await);
    kept(
        store
            .list_devices(&DeviceFilter { name: name.clone(), node_id: name.clone(), ..DeviceFilter::default() }, page)
            .await,
    );
    let mut nul_device = device(&product_1, "d1");
    nul_device.name = name.clone();
    kept(store.insert_device(nul_device, Vec::new()).await);
    let d2 = store.insert_device(device(&product_1, "d2"), Vec::new()).await.expect("a device");
    kept(store.update_device(&causeway_model::registry::Device { description: name.clone(), ..d2.clone() }).await);
    let mut nul_message = message(d2.no, NUL);
    nul_message.topic = MessageTopic::Full(NUL.to_owned());
    if kept(store.insert_message(nul_message.clone(), 20, Vec::new()).await) {
        let read = store.message(d2.no, NUL).await.expect("an answer").expect("the message");
        assert_eq!(read.topic, nul_message.topic);
    }
    kept(store.message(d2.no, NUL).await);
    kept(store.delete_message(d2.no, NUL).await);
    kept(store.set_push_target(&app_1.id, NUL, T0).await);
    let subscription = StoredSubscription { filter: NUL.to_owned(), options: 0, identifier: None };
    let session = StoredSession { client: NUL.to_owned(), subscriptions: vec![subscription], expires_at: None };
    if kept(store.put_session(d2.no, &session).await) {
        assert_eq!(store.session(d2.no, T0).await.expect("an answer"), Some(session));
    }
    let retained = RetainedMessage { topic: NUL.to_owned(), payload: vec![0], qos: 0, properties: vec![], at: T0 };
    kept(store.put_retained(d2.no, &retained, 10).await);
    kept(store.delete_retained(d2.no, NUL).await);
    kept(store.insert_user(iam::user(NUL), 10).await);
    let someone = store.insert_user(iam::user("u"), 10).await.expect("a user").no;
    let change = UserChange { description: Some(NUL.to_owned()), ..UserChange::default() };
    kept(store.change_user(someone, change).await);
    kept(store.user_by_id(NUL).await);
    kept(store.insert_user_group(iam::group(NUL), 10).await);
    let group = store.insert_user_group(iam::group("g"), 10).await.expect("a group").no;
    kept(store.change_user_group(group, None, name.clone()).await);
    kept(store.user_group(NUL).await);
    kept(store.insert_custom_policy(iam::policy(NUL), 10).await);
    kept(store.custom_policy(NUL).await);
    kept(store.grant(group, NUL, false, GrantScope::Domain).await);
    kept(store.revoke(group, NUL, GrantScope::Domain).await);
    kept(store.grant_count(NUL).await);
    kept(store.insert_access_key(&iam::key(NUL, someone), 2).await);
    kept(store.change_access_key(NUL, None, name.clone()).await);
    kept(store.delete_access_key(NUL).await);
    kept(store.user(NUL).await);
    kept(store.access_key(NUL).await);
    // Names longer than an index entry can be.
    let long: String =
        (0..20_000_u32).map(|i| char::from(b'a' + (i.wrapping_mul(2_654_435_761) >> 24) as u8 % 26)).collect();
    kept(store.rename_app(&app_1.id, &long).await);
    kept(store.user(&long).await);
    store.ping().await.expect("the store serves as before");
}

pub(crate) async fn nul_in_a_unit_harms_no_other(place: Arc<Place>) {
    // All of these wait together and go into one transaction.
    let store = place.open_with_queue(300, 10_000).await;
    let no = seed_device(&*store).await.no;
    let mut tickets = Vec::new();
    for i in 0..20 {
        let service = if i % 7 == 3 { NUL.to_owned() } else { format!("s{i}") };
        tickets.push((i, store.submit(vec![report(no, &service, r#"{"v":1}"#, i)]).await));
    }
    let mut refused = Vec::new();
    for (i, ticket) in tickets {
        if !kept(ticket.await.expect("an answer")) {
            refused.push(i);
        }
    }
    assert!(refused.is_empty() || refused == [3, 10, 17], "{refused:?}");
    for i in (0..20).filter(|i| i % 7 != 3) {
        assert_eq!(reported(&*store, no, &format!("s{i}")).await, r#"{"v":1}"#);
    }
    // The units of a refused call share its fate: all or none.
    let both = try_commit(&*store, vec![report(no, "x", r#"{"v":1}"#, 0), report(no, NUL, r#"{"v":1}"#, 0)]).await;
    let there = store.shadow(no).await.expect("a shadow").iter().any(|s| s.service_id == "x");
    assert_eq!(kept(both), there);
}

pub(crate) async fn any_other_text_is_kept(place: Arc<Place>) {
    let store = place.open().await;
    let (_, product) = seed(&*store).await;
    for (i, text) in
        ["", "'; DROP TABLE device; --", r"\N", "\\x00", "\u{1}\u{7f}\t\r\n", "\u{feff}😀\u{10ffff}", "%s $1 {}"]
            .into_iter()
            .enumerate()
    {
        let mut new = device(&product, &format!("d{i}"));
        new.name = Some(text.to_owned());
        let stored = store.insert_device(new, Vec::new()).await.expect("a device");
        let read = store.device_by_no(stored.no).await.expect("an answer").expect("the device");
        assert_eq!(read.name.as_deref(), Some(text));
        commit(&*store, vec![report(stored.no, text, r#"{"v":1}"#, 0)]).await;
        assert_eq!(reported(&*store, stored.no, text).await, r#"{"v":1}"#);
    }
}
