//! Messages to devices.

use std::sync::Arc;

use causeway_model::message::{DeviceMessage, Encoding, MessageStatus, MessageTopic, PayloadFormat};
use causeway_model::{Code, DeviceNo};
use causeway_platform::Store;
use causeway_platform::message::MessageOutcome;
use causeway_platform::uplink::{Change, Unit};

use crate::fixture::{T0, add_device, at, commit, message, refused, seed, seed_device, unit};
use crate::place::Place;

async fn add(store: &dyn Store, new: DeviceMessage) -> DeviceMessage {
    store.insert_message(new, 20, Vec::new()).await.expect("a message")
}

fn outcome(message: &DeviceMessage, status: MessageStatus, error: Option<(&str, &str)>, ms: i64) -> Unit {
    let error = error.map(|(code, text)| (code.to_owned(), text.to_owned()));
    unit(message.device, Change::Message(MessageOutcome { no: message.no, status, error, at: at(ms) }))
}

async fn ids(store: &dyn Store, device: DeviceNo) -> Vec<String> {
    store.messages(device).await.expect("messages").into_iter().map(|m| m.id).collect()
}

pub(crate) async fn a_message_is_kept_whole(place: Arc<Place>) {
    let store = place.open().await;
    let no = seed_device(&*store).await.no;
    let plain = add(&*store, message(no, "m1")).await;
    assert_eq!(plain, DeviceMessage { no: plain.no, ..message(no, "m1") });
    let rich = DeviceMessage {
        name: Some("n".to_owned()),
        content: r#"{"a": 1.10, "b":"\u0000"}"#.to_owned(),
        encoding: Encoding::Base64,
        format: PayloadFormat::Raw,
        topic: MessageTopic::Custom("a/b".to_owned()),
        properties: Some(r#"{"content_type":"x"}"#.to_owned()),
        ..message(no, "m2")
    };
    let rich = add(&*store, rich).await;
    let failed = DeviceMessage {
        topic: MessageTopic::Full("/any/topic".to_owned()),
        status: MessageStatus::Failed,
        error: Some(("IOTDA.014016".to_owned(), "offline".to_owned())),
        finished_at: Some(at(3)),
        ..message(no, "m3")
    };
    let failed = add(&*store, failed).await;
    assert!(plain.no < rich.no && rich.no < failed.no);
    assert_eq!(store.message(no, "m2").await.expect("an answer"), Some(rich.clone()));
    assert_eq!(store.messages(no).await.expect("messages"), [failed, rich, plain]);
    assert_eq!(store.message(no, "m4").await.expect("an answer"), None);
    assert_eq!(store.message(DeviceNo(no.0 + 1), "m1").await.expect("an answer"), None);
}

pub(crate) async fn ids_are_unique_at_the_device(place: Arc<Place>) {
    let store = place.open().await;
    let (_, product) = seed(&*store).await;
    let (first, second) = (add_device(&*store, &product, "d1").await.no, add_device(&*store, &product, "d2").await.no);
    add(&*store, message(first, "m")).await;
    refused(store.insert_message(message(first, "m"), 20, Vec::new()).await, Code::MessageExists);
    add(&*store, message(second, "m")).await;
    // Also when the queue is full, and nothing goes for a message that does not come.
    for i in 1..20 {
        add(&*store, message(first, &format!("m{i}"))).await;
    }
    refused(store.insert_message(message(first, "m"), 20, Vec::new()).await, Code::MessageExists);
    assert_eq!(ids(&*store, first).await.len(), 20);
}

pub(crate) async fn the_oldest_go_final_ones_first(place: Arc<Place>) {
    let store = place.open().await;
    let no = seed_device(&*store).await.no;
    let mut sent = Vec::new();
    for i in 0..20 {
        sent.push(add(&*store, message(no, &format!("m{i}"))).await);
    }
    let (fifth, ninth) = (&sent[5], &sent[9]);
    commit(
        &*store,
        vec![outcome(ninth, MessageStatus::Delivered, None, 1), outcome(fifth, MessageStatus::Timeout, None, 2)],
    )
    .await;
    for (new, gone) in [("n0", "m5"), ("n1", "m9"), ("n2", "m0"), ("n3", "m1")] {
        add(&*store, message(no, new)).await;
        let left = ids(&*store, no).await;
        assert!(left.len() == 20 && left[0] == new && !left.iter().any(|id| id == gone), "{new}: {left:?}");
    }
    // A smaller limit takes more at once.
    store.insert_message(message(no, "last"), 3, Vec::new()).await.expect("a message");
    assert_eq!(ids(&*store, no).await, ["last", "n3", "n2"]);
}

pub(crate) async fn pending_and_expired(place: Arc<Place>) {
    let store = place.open().await;
    let (_, product) = seed(&*store).await;
    let (first, second) = (add_device(&*store, &product, "d1").await, add_device(&*store, &product, "d2").await);
    let until = |device: DeviceNo, id: &str, ms| DeviceMessage { expires_at: at(ms), ..message(device, id) };
    let short = add(&*store, until(first.no, "short", 100)).await;
    let long = add(&*store, until(first.no, "long", 1000)).await;
    let done = add(&*store, until(first.no, "done", 1000)).await;
    let other = add(&*store, until(second.no, "other", 200)).await;
    commit(&*store, vec![outcome(&done, MessageStatus::Delivered, None, 1)]).await;
    let pending = async |ms| store.pending_messages(first.no, at(ms)).await.expect("messages");
    assert_eq!(pending(0).await, [short.clone(), long.clone()]);
    assert_eq!(pending(150).await, std::slice::from_ref(&long));
    assert_eq!(pending(2000).await, []);

    let expired = async |ms, limit| {
        let mut found = store.expired_messages(at(ms), limit).await.expect("messages");
        found.sort_by_key(|(_, m)| m.no);
        found
    };
    assert_eq!(expired(50, 10).await, []);
    assert_eq!(expired(150, 10).await, [(first.id.clone(), short.clone())]);
    assert_eq!(expired(250, 10).await, [(first.id.clone(), short.clone()), (second.id.clone(), other)]);
    assert_eq!(expired(250, 1).await.len(), 1);
    // They stay pending until their outcome is committed.
    assert_eq!(store.message(first.no, "short").await.expect("an answer"), Some(short.clone()));
    commit(&*store, vec![outcome(&short, MessageStatus::Timeout, None, 160)]).await;
    assert_eq!(expired(150, 10).await, []);
    let read = store.message(first.no, "short").await.expect("an answer").expect("the message");
    assert_eq!((read.status, read.finished_at, read.error), (MessageStatus::Timeout, Some(at(160)), None));
}

pub(crate) async fn outcomes_are_final(place: Arc<Place>) {
    let store = place.open().await;
    let no = seed_device(&*store).await.no;
    let new = add(&*store, message(no, "m")).await;
    let error = Some(("IOTDA.014112", "not subscribed"));
    // Two of one batch, and one later: the first stands.
    let failed = outcome(&new, MessageStatus::Failed, error, 1);
    commit(&*store, vec![failed, outcome(&new, MessageStatus::Delivered, None, 2)]).await;
    commit(&*store, vec![outcome(&new, MessageStatus::Timeout, None, 3)]).await;
    let read = store.message(no, "m").await.expect("an answer").expect("the message");
    let expected = DeviceMessage {
        status: MessageStatus::Failed,
        error: error.map(|(code, text)| (code.to_owned(), text.to_owned())),
        finished_at: Some(at(1)),
        ..new.clone()
    };
    assert_eq!(read, expected);
    // Of a message that is gone.
    assert!(store.delete_message(no, "m").await.expect("an answer"));
    commit(&*store, vec![outcome(&new, MessageStatus::Delivered, None, 4)]).await;
    assert_eq!(ids(&*store, no).await, Vec::<String>::new());
}

pub(crate) async fn deleting(place: Arc<Place>) {
    let store = place.open().await;
    let no = seed_device(&*store).await.no;
    let first = add(&*store, message(no, "m1")).await;
    add(&*store, message(no, "m2")).await;
    assert!(store.delete_message(no, "m1").await.expect("an answer"));
    assert!(!store.delete_message(no, "m1").await.expect("an answer"));
    assert!(!store.delete_message(DeviceNo(no.0 + 1), "m2").await.expect("an answer"));
    assert_eq!(ids(&*store, no).await, ["m2"]);
    // The id is free again; the number is not.
    let again = add(&*store, message(no, "m1")).await;
    assert!(again.no > first.no);
}

pub(crate) async fn a_device_must_be_there(place: Arc<Place>) {
    let store = place.open().await;
    refused(store.insert_message(message(DeviceNo(4711), "m"), 20, Vec::new()).await, Code::DeviceNotFound);
    assert_eq!(store.messages(DeviceNo(4711)).await.expect("no messages"), []);
    assert_eq!(store.pending_messages(DeviceNo(4711), T0).await.expect("no messages"), []);
}
