//! Persistent sessions and retained messages.

use std::sync::Arc;

use causeway_model::{Code, DeviceNo};
use causeway_platform::session::{RetainedMessage, StoredSession, StoredSubscription};

use crate::fixture::{T0, add_device, at, refused, seed, seed_device};
use crate::place::Place;

fn subscription(filter: &str, options: u8, identifier: Option<u32>) -> StoredSubscription {
    StoredSubscription { filter: filter.to_owned(), options, identifier }
}

pub(crate) async fn a_session_is_kept_whole(place: Arc<Place>) {
    let store = place.open().await;
    let (_, product) = seed(&*store).await;
    let (first, second) = (add_device(&*store, &product, "d1").await.no, add_device(&*store, &product, "d2").await.no);
    assert_eq!(store.session(first, T0).await.expect("an answer"), None);
    let session = StoredSession {
        client: "d1_0_1".to_owned(),
        subscriptions: vec![
            subscription("$oc/devices/d1/#", 0b10_1110, Some(268_435_455)),
            subscription("with \"quotes\" and 主题/+", 255, None),
        ],
        expires_at: None,
    };
    store.put_session(first, &session).await.expect("kept");
    assert_eq!(store.session(first, at(i64::from(u32::MAX))).await.expect("an answer"), Some(session));
    let other = StoredSession { client: "x".to_owned(), subscriptions: vec![], expires_at: Some(at(100)) };
    store.put_session(first, &other).await.expect("replaced whole");
    assert_eq!(store.session(first, T0).await.expect("an answer"), Some(other));
    assert_eq!(store.session(second, T0).await.expect("an answer"), None);
    refused(store.put_session(DeviceNo(second.0 + 1), &StoredSession::default()).await, Code::DeviceNotFound);
    store.delete_session(first).await.expect("dropped");
    store.delete_session(first).await.expect("nothing to drop");
    assert_eq!(store.session(first, T0).await.expect("an answer"), None);
}

pub(crate) async fn sessions_expire(place: Arc<Place>) {
    let store = place.open().await;
    let no = seed_device(&*store).await.no;
    let session = StoredSession { client: "c".to_owned(), subscriptions: vec![], expires_at: Some(at(100)) };
    store.put_session(no, &session).await.expect("kept");
    assert!(store.session(no, at(99)).await.expect("an answer").is_some());
    assert_eq!(store.session(no, at(101)).await.expect("an answer"), None);
    // It is replaced, not continued.
    let anew = StoredSession { expires_at: None, ..session };
    store.put_session(no, &anew).await.expect("kept");
    assert_eq!(store.session(no, at(101)).await.expect("an answer"), Some(anew));
}

pub(crate) async fn retained_messages(place: Arc<Place>) {
    let store = place.open().await;
    let (_, product) = seed(&*store).await;
    let (first, second) = (add_device(&*store, &product, "d1").await.no, add_device(&*store, &product, "d2").await.no);
    // As long as a topic can be on the wire.
    let longest: String =
        (0..65_535_u32).map(|i| char::from(b'a' + (i.wrapping_mul(2_654_435_761) >> 24) as u8 % 26)).collect();
    let retained = |topic: &str, byte| RetainedMessage {
        topic: topic.to_owned(),
        payload: vec![byte, 0, 255],
        qos: 1,
        properties: vec![0, byte],
        at: at(i64::from(byte)),
    };
    let put = async |no, message: &RetainedMessage| store.put_retained(no, message, 3).await.expect("an answer");
    assert!(put(first, &retained("b", 1)).await);
    assert!(put(first, &retained(&longest, 2)).await);
    assert!(put(first, &retained("a", 3)).await);
    assert!(!put(first, &retained("d", 4)).await, "three others are there");
    assert!(put(first, &retained("b", 5)).await, "a known topic is replaced");
    assert!(put(second, &retained("d", 6)).await, "each device has its own limit");
    let mut expected = vec![retained("a", 3), retained("b", 5), retained(&longest, 2)];
    expected.sort_by(|a, b| a.topic.cmp(&b.topic));
    assert_eq!(store.retained(first).await.expect("messages"), expected);
    store.delete_retained(first, "b").await.expect("dropped");
    store.delete_retained(first, "b").await.expect("nothing to drop");
    assert!(put(first, &retained("d", 7)).await);
    assert_eq!(store.retained(second).await.expect("messages"), [retained("d", 6)]);
    refused(store.put_retained(DeviceNo(second.0 + 1), &retained("a", 1), 3).await, Code::DeviceNotFound);
}
