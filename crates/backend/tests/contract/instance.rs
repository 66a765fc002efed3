//! The instance's record, and what is left after the end.

use std::sync::Arc;

use causeway_model::registry::{CustomTopic, Sealed, TopicRight};
use causeway_model::status::DeviceStatus;
use causeway_model::{InstanceId, ProjectId, Timestamp};
use causeway_platform::Store;
use causeway_platform::device::DeviceToken;
use causeway_platform::iam::{AccessKey, GrantScope};
use causeway_platform::instance::Instance;
use causeway_platform::session::{RetainedMessage, StoredSession};
use causeway_platform::shadow::DesiredPatch;
use causeway_platform::uplink::Unit;

use crate::fixture::{T0, add_child, add_device, at, commit, delivery, message, object, report, seed, status};
use crate::iam;
use crate::place::Place;

fn instance() -> Instance {
    Instance {
        id: InstanceId::trusted("6f1c54e5-8f6a-4f3e-9a55-0f6d6a1f8a11"),
        project_id: ProjectId::trusted("0123456789abcdef0123456789abcdef"),
        created_at: T0,
    }
}

pub(crate) async fn the_first_start(place: Arc<Place>) {
    let store = place.open().await;
    store.ping().await.expect("the store serves");
    assert_eq!(store.instance().await.expect("an answer"), None);
    store.insert_instance(&instance()).await.expect("recorded");
    assert_eq!(store.instance().await.expect("an answer"), Some(instance()));
    assert!(store.insert_instance(&instance()).await.is_err(), "there is one instance");
}

/// Fills the store with one of everything.
pub(crate) async fn fill(store: &dyn Store) {
    store.insert_instance(&instance()).await.expect("an instance");
    let (app, product) = seed(store).await;
    let topic =
        CustomTopic { id: "t1".to_owned(), topic: "a/b".to_owned(), right: TopicRight::Publish, description: None };
    store.insert_topic(product.no, &topic, 10).await.expect("a topic");
    let target = store.set_push_target(&app.id, "https://example.com", T0).await.expect("a target").no;
    let device = add_device(store, &product, "d1").await;
    add_child(store, &product, &device, "child").await;
    let no = device.no;
    let text = r#"{"n":23.10,"tab":"a\tb\\","u":"\u0000 主"}"#;
    let deliveries = vec![delivery(target, Some(no), r#"{"body":"line\nline\\N"}"#)];
    commit(store, vec![status(no, DeviceStatus::Online, 1), Unit { deliveries, ..report(no, "s", text, 7) }]).await;
    let patch = DesiredPatch { service_id: "s".to_owned(), patch: object(r#"{"a":1.0}"#), expected_version: None };
    store.desire(no, vec![patch], at(1)).await.expect("a desired value");
    store.insert_message(message(no, "m"), 20, Vec::new()).await.expect("a message");
    store
        .put_session(no, &StoredSession { client: "c".to_owned(), ..StoredSession::default() })
        .await
        .expect("a session");
    let retained =
        RetainedMessage { topic: "t".to_owned(), payload: (0..=255).collect(), qos: 1, properties: vec![0], at: T0 };
    assert!(store.put_retained(no, &retained, 5).await.expect("an answer"));
    let token = DeviceToken { hash: [7; 32], device: no, expires_at: at(1000) };
    store.put_device_token(&token, at(1000), T0).await.expect("a token");
    let group = iam::group("admin");
    assert!(store.ensure_admin_group(&group).await.expect("an answer"));
    let group = store.user_group(&group.id).await.expect("an answer").expect("the group");
    let key = AccessKey { sk: Sealed(vec![0, 255].into()), ..iam::key("AK", 0) };
    assert!(store.insert_first_user(iam::user("admin"), group.no, key).await.expect("an answer"));
    store.insert_custom_policy(iam::policy("p"), 10).await.expect("a policy");
    assert!(store.grant(group.no, &iam::policy("p").id, true, GrantScope::Project).await.expect("an answer"));
}

/// Everything that [`fill`] made, as text.
pub(crate) async fn picture(store: &dyn Store) -> String {
    let device = store.device(&causeway_model::DeviceId::trusted("d1")).await.expect("an answer").expect("the device");
    let child = store.device(&causeway_model::DeviceId::trusted("child")).await.expect("an answer").expect("the child");
    let no = device.no;
    let history = causeway_model::history::HistoryQuery {
        device: no,
        service_id: None,
        from: Timestamp(0),
        to: Timestamp(i64::MAX),
        descending: false,
        after: None,
        limit: 10,
    };
    let targets = store.push_targets().await.expect("targets");
    let secret = device.auth.secret.as_ref().map(|s| s.0.clone());
    let key = store.access_key("AK").await.expect("an answer").expect("the key");
    format!(
        "{:#?}",
        (
            (
                store.instance().await.expect("an answer").expect("the instance"),
                store.apps().await.expect("spaces"),
                store.product(device.product_no).await.expect("an answer").expect("the product"),
                (secret, device, child),
                store.shadow(no).await.expect("a shadow"),
                store.history(&history).await.expect("history"),
            ),
            (
                store.messages(no).await.expect("messages"),
                store.deliveries(targets[0].no, 0, 10).await.expect("deliveries"),
                targets,
                store.session(no, T0).await.expect("an answer").expect("the session"),
                store.retained(no).await.expect("messages"),
                store.device_token(&[7; 32]).await.expect("an answer").expect("the token"),
            ),
            (store.standing(key.user).await.expect("an answer").expect("the user"), key.sk.0.clone(), key),
            (store.user_groups().await.expect("groups"), store.custom_policies().await.expect("policies")),
        )
    )
}

pub(crate) async fn everything_survives_reopening(place: Arc<Place>) {
    let store = place.open().await;
    fill(&*store).await;
    let before = picture(&*store).await;
    store.close().await;
    drop(store);
    let store = place.open().await;
    assert_eq!(picture(&*store).await, before);
    // And it goes on working.
    let device = store.device(&causeway_model::DeviceId::trusted("d1")).await.expect("an answer").expect("the device");
    commit(&*store, vec![report(device.no, "s", r#"{"n":1}"#, 8)]).await;
}
