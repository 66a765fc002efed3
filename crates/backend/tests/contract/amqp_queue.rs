//! AMQP queues and access codes.

use std::sync::Arc;

use causeway_model::registry::{PageRequest, Sealed};
use causeway_model::{Code, RecordNo};
use causeway_platform::queue::{AccessCode, AccessCodeKind, Queue};

use crate::fixture::{T0, at, refused};
use crate::place::Place;

fn queue(name: &str) -> Queue {
    Queue {
        no: RecordNo(0),
        id: format!("id of {name}"),
        name: name.to_owned(),
        created_at: T0,
        updated_at: at(1),
        target: 0,
    }
}

pub(crate) async fn queues_are_kept_and_counted(place: Arc<Place>) {
    let store = place.open().await;
    let made = store.insert_queue(queue("orders-1"), 2).await.expect("a queue");
    assert_eq!(made, Queue { no: made.no, target: made.target, ..queue("orders-1") });
    refused(store.insert_queue(Queue { id: "x".to_owned(), ..queue("orders-1") }, 2).await, Code::QueueExists);
    store.insert_queue(queue("orders-2"), 2).await.expect("a queue");
    refused(store.insert_queue(queue("orders-3"), 2).await, Code::TooManyQueues);
    assert_eq!(store.queue(&made.id).await.expect("an answer"), Some(made.clone()));
    assert_eq!(store.queue_by_name("orders-1").await.expect("an answer"), Some(made.clone()));
    assert_eq!(store.queue("nothing").await.expect("an answer"), None);
    assert!(store.delete_queue(&made.id).await.expect("an answer"));
    assert!(!store.delete_queue(&made.id).await.expect("an answer"));
    assert_eq!(store.queue_by_name("orders-1").await.expect("an answer"), None);
}

pub(crate) async fn lists_are_filtered_and_paged(place: Arc<Place>) {
    let store = place.open().await;
    for name in ["a-1", "b-1", "a-2", "a-3"] {
        store.insert_queue(queue(name), 10).await.expect("a queue");
    }
    let first = PageRequest { marker: RecordNo::LAST, offset: 0, limit: 2 };
    let page = store.list_queues(Some("a-"), first).await.expect("a page");
    let names = |items: &[Queue]| items.iter().map(|q| q.name.clone()).collect::<Vec<_>>();
    assert_eq!((names(&page.items), page.count), (vec!["a-3".to_owned(), "a-2".to_owned()], 3));
    let next = PageRequest { marker: page.marker, ..first };
    assert_eq!(names(&store.list_queues(Some("a-"), next).await.expect("a page").items), ["a-1"]);
    assert_eq!(store.list_queues(None, first).await.expect("a page").count, 4);
    assert_eq!(store.list_queues(Some("_"), first).await.expect("a page").count, 0);
}

pub(crate) async fn an_access_code_replaces_the_one_before(place: Arc<Place>) {
    let store = place.open().await;
    let code = |kind, key: &str| AccessCode {
        kind,
        access_key: key.to_owned(),
        code: Sealed(vec![1, 0, 255].into()),
        created_at: T0,
    };
    assert_eq!(store.access_code(AccessCodeKind::Amqp).await.expect("an answer"), None);
    for key in ["one", "two"] {
        store.put_access_code(&code(AccessCodeKind::Amqp, key)).await.expect("kept");
    }
    store.put_access_code(&code(AccessCodeKind::Mqtt, "three")).await.expect("kept");
    let kept = store.access_code(AccessCodeKind::Amqp).await.expect("an answer");
    assert_eq!(kept, Some(code(AccessCodeKind::Amqp, "two")));
    let kept = store.access_code(AccessCodeKind::Mqtt).await.expect("an answer");
    assert_eq!(kept, Some(code(AccessCodeKind::Mqtt, "three")));
}
