//! Notification topics and their subscriptions.

use std::sync::Arc;

use causeway_model::registry::PageRequest;
use causeway_model::{Code, RecordNo};
use causeway_platform::Store;
use causeway_platform::notify::{NotificationTopic, Protocol, Subscription};
use causeway_platform::outbox::TargetKind;

use crate::fixture::{T0, at, delivery, refused};
use crate::place::Place;

const ALL: PageRequest = PageRequest { marker: RecordNo::LAST, offset: 0, limit: 50 };

fn topic(name: &str) -> NotificationTopic {
    NotificationTopic {
        no: RecordNo(0),
        id: format!("id of {name}"),
        name: name.to_owned(),
        display_name: Some("Cold room".to_owned()),
        created_at: T0,
        updated_at: at(1),
    }
}

fn subscription(topic: &NotificationTopic, id: &str) -> Subscription {
    let mut token = [7; 32];
    for (byte, letter) in token.iter_mut().zip(id.bytes()) {
        *byte = letter;
    }
    Subscription {
        no: RecordNo(0),
        id: id.to_owned(),
        topic: topic.no,
        protocol: Protocol::Email,
        endpoint: format!("{id}@example.com"),
        remark: None,
        token,
        confirmed_at: None,
        target: 0,
        created_at: T0,
    }
}

async fn add(store: &dyn Store, topic: &NotificationTopic, id: &str) -> Subscription {
    store.insert_subscription(subscription(topic, id), 10).await.expect("a subscription")
}

pub(crate) async fn topics_are_kept_listed_and_limited(place: Arc<Place>) {
    let store = place.open().await;
    let one = store.insert_notification_topic(topic("one"), 2).await.expect("a topic");
    assert_eq!(one, NotificationTopic { no: one.no, ..topic("one") });
    let same = NotificationTopic { id: "x".to_owned(), ..topic("one") };
    refused(store.insert_notification_topic(same, 2).await, Code::NotificationTopicExists);
    store.insert_notification_topic(topic("two"), 2).await.expect("a topic");
    refused(store.insert_notification_topic(topic("three"), 2).await, Code::TooManyNotificationTopics);
    assert_eq!(store.notification_topic(&one.id).await.expect("an answer"), Some(one.clone()));
    assert_eq!(store.notification_topic_by_name("one").await.expect("an answer"), Some(one.clone()));
    let changed = NotificationTopic { display_name: None, updated_at: at(5), ..one.clone() };
    assert!(store.update_notification_topic(&changed).await.expect("an answer"));
    assert_eq!(store.notification_topic(&one.id).await.expect("an answer"), Some(changed));
    let page = store.list_notification_topics(None, PageRequest { limit: 1, ..ALL }).await.expect("a page");
    assert_eq!((page.items[0].name.as_str(), page.count), ("two", 2));
    let page = store.list_notification_topics(Some("ne"), ALL).await.expect("a page");
    assert_eq!((page.items[0].name.as_str(), page.count), ("one", 1));
    assert!(store.delete_notification_topic(&one.id).await.expect("an answer"));
    assert!(!store.delete_notification_topic(&one.id).await.expect("an answer"));
}

pub(crate) async fn subscriptions_are_kept_and_confirmed(place: Arc<Place>) {
    let store = place.open().await;
    let one = store.insert_notification_topic(topic("one"), 9).await.expect("a topic");
    let made = add(&*store, &one, "anna").await;
    assert_eq!(made, Subscription { no: made.no, target: made.target, ..subscription(&one, "anna") });
    let same = Subscription { id: "x".to_owned(), ..subscription(&one, "anna") };
    refused(store.insert_subscription(same, 10).await, Code::SubscriptionExists);
    refused(store.insert_subscription(subscription(&one, "bert"), 1).await, Code::TooManySubscriptions);
    let nowhere = NotificationTopic { no: RecordNo(999), ..topic("x") };
    refused(store.insert_subscription(subscription(&nowhere, "carl"), 9).await, Code::NotificationTopicNotFound);
    assert_eq!(store.subscription("anna").await.expect("an answer"), Some(made.clone()));
    assert_eq!(store.subscription_by_token(made.token).await.expect("an answer"), Some(made.clone()));
    assert_eq!(store.subscription_by_token([0; 32]).await.expect("an answer"), None);
    for ms in [5, 6] {
        assert!(store.confirm_subscription("anna", at(ms)).await.expect("an answer"));
    }
    assert!(!store.confirm_subscription("nobody", at(5)).await.expect("an answer"));
    let confirmed = Subscription { confirmed_at: Some(at(5)), ..made };
    assert_eq!(store.subscriptions(Some(one.no)).await.expect("subscriptions"), vec![confirmed.clone()]);
    let page = store.list_subscriptions(one.no, ALL).await.expect("a page");
    assert_eq!((page.items, page.count), (vec![confirmed], 1));
    let two = store.insert_notification_topic(topic("two"), 9).await.expect("a topic");
    add(&*store, &two, "dora").await;
    assert_eq!(store.subscriptions(None).await.expect("subscriptions").len(), 2);
    assert_eq!(store.subscriptions(Some(two.no)).await.expect("subscriptions").len(), 1);
}

pub(crate) async fn what_waits_goes_with_its_subscription(place: Arc<Place>) {
    let store = place.open().await;
    let one = store.insert_notification_topic(topic("one"), 9).await.expect("a topic");
    let (anna, bert) = (add(&*store, &one, "anna").await, add(&*store, &one, "bert").await);
    assert_ne!(anna.target, bert.target);
    let told = [anna.target, bert.target].map(|target| delivery(target, None, "{}")).to_vec();
    store.put_deliveries(told).await.expect("written");
    let kinds: Vec<_> = store.target_states().await.expect("targets").into_iter().map(|t| t.kind).collect();
    assert_eq!(kinds, [TargetKind::Subscription; 2]);
    assert!(store.delete_subscription("anna").await.expect("an answer"));
    assert!(!store.delete_subscription("anna").await.expect("an answer"));
    assert!(store.deliveries(anna.target, 0, 10).await.expect("deliveries").is_empty());
    assert_eq!(store.deliveries(bert.target, 0, 10).await.expect("deliveries").len(), 1);
    assert!(store.delete_notification_topic(&one.id).await.expect("an answer"));
    assert!(store.target_states().await.expect("targets").is_empty());
    assert_eq!(store.subscription("bert").await.expect("an answer"), None);
}
