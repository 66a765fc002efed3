//! Products and custom topics.

use std::sync::Arc;

use causeway_model::registry::{CustomTopic, Page, PageRequest, Product, ProductFilter, TopicRight};
use causeway_model::{Code, RecordNo, Spaces};

use crate::fixture::{add_device, app, at, product, refused, seed};
use crate::place::Place;

fn topic(id: &str, name: &str) -> CustomTopic {
    CustomTopic { id: id.to_owned(), topic: name.to_owned(), right: TopicRight::All, description: None }
}

pub(crate) async fn a_product_is_kept_whole(place: Arc<Place>) {
    let store = place.open().await;
    let app = store.insert_app(app("a1"), 10).await.expect("a space");
    let new = product(&app, "p1");
    let stored = store.insert_product(new.clone()).await.expect("a product");
    assert_eq!(stored, Product { no: stored.no, app_name: app.name.clone(), ..new });
    assert_eq!(store.product(stored.no).await.expect("an answer"), Some(stored.clone()));
    assert_eq!(store.products_by_id(None, &stored.id).await.expect("an answer"), std::slice::from_ref(&stored));
    let topics = [
        CustomTopic { right: TopicRight::Publish, description: Some("d".to_owned()), ..topic("t1", "b/c") },
        CustomTopic { right: TopicRight::Subscribe, ..topic("t0", "a") },
        topic("t2", "c"),
    ];
    for topic in &topics {
        store.insert_topic(stored.no, topic, 10).await.expect("a topic");
    }
    let read = store.product(stored.no).await.expect("an answer").expect("the product");
    assert_eq!(read.topics, topics);
    assert_eq!(store.product(RecordNo(stored.no.0 + 1)).await.expect("an answer"), None);
}

pub(crate) async fn ids_are_unique_in_the_space(place: Arc<Place>) {
    let store = place.open().await;
    let (app_1, first) = seed(&*store).await;
    refused(store.insert_product(product(&app_1, "product-1")).await, Code::ProductExists);
    let app_2 = store.insert_app(app("app-2"), 10).await.expect("another space");
    let second = store.insert_product(product(&app_2, "product-1")).await.expect("the same id in another space");
    let of_app_2 = store.products_by_id(Some(&app_2.id), &second.id).await.expect("an answer");
    assert_eq!(of_app_2, std::slice::from_ref(&second));
    let mut both = store.products_by_id(None, &second.id).await.expect("an answer");
    both.sort_by_key(|p| p.no);
    assert_eq!(both, [first, second]);
    refused(store.insert_product(product(&app("app-3"), "x")).await, Code::AppNotFound);
}

pub(crate) async fn updating_replaces_what_it_may(place: Arc<Place>) {
    let store = place.open().await;
    let (app, old) = seed(&*store).await;
    store.insert_topic(old.no, &topic("t1", "a"), 10).await.expect("a topic");
    let mut services = old.services.clone();
    services[0].service_id = "other".to_owned();
    let change = Product {
        no: old.no,
        app_id: app.id.clone(),
        app_name: "ignored".to_owned(),
        id: old.id.clone(),
        name: "n".to_owned(),
        device_type: "t".to_owned(),
        protocol_type: "HTTP".to_owned(),
        data_format: "binary".to_owned(),
        manufacturer_name: None,
        industry: Some("i".to_owned()),
        description: None,
        services,
        topics: Vec::new(),
        created_at: at(77),
    };
    assert!(store.update_product(&change).await.expect("an answer"));
    let read = store.product(old.no).await.expect("an answer").expect("the product");
    let expected =
        Product { app_name: app.name, topics: vec![topic("t1", "a")], created_at: old.created_at, ..change.clone() };
    assert_eq!(read, expected);
    assert!(store.delete_product(old.no).await.expect("an answer"));
    assert!(!store.update_product(&change).await.expect("an answer"));
}

pub(crate) async fn deleting_asks_for_no_devices(place: Arc<Place>) {
    let store = place.open().await;
    let (_, product) = seed(&*store).await;
    store.insert_topic(product.no, &topic("t1", "a"), 10).await.expect("a topic");
    let device = add_device(&*store, &product, "d1").await;
    refused(store.delete_product(product.no).await, Code::ProductInUse);
    assert!(store.delete_device(device.no).await.expect("an answer"));
    assert!(store.delete_product(product.no).await.expect("an answer"));
    assert!(!store.delete_product(product.no).await.expect("an answer"));
    assert_eq!(store.product(product.no).await.expect("an answer"), None);
}

pub(crate) async fn lists_are_filtered_and_paged(place: Arc<Place>) {
    let store = place.open().await;
    let (app_1, _) = seed(&*store).await;
    let app_2 = store.insert_app(app("app-2"), 10).await.expect("another space");
    for (app, id, name) in
        [(&app_1, "p2", "100%_a"), (&app_1, "p3", "100xya"), (&app_2, "p4", "Pump"), (&app_2, "p5", "pump")]
    {
        let new = Product { name: name.to_owned(), ..product(app, id) };
        store.insert_product(new).await.expect("a product");
    }
    let ids = |page: &Page<Product>| page.items.iter().map(|p| p.id.as_str().to_owned()).collect::<Vec<_>>();
    let list = async |filter: ProductFilter, marker, offset, limit| {
        store.list_products(&filter, PageRequest { marker, offset, limit }).await.expect("a page")
    };
    let all = list(ProductFilter::default(), RecordNo::LAST, 0, 50).await;
    assert_eq!((ids(&all), all.count), (["p5", "p4", "p3", "p2", "product-1"].map(str::to_owned).to_vec(), 5));
    assert_eq!(all.marker, all.items[4].no);

    let page = list(ProductFilter::default(), RecordNo::LAST, 1, 2).await;
    assert_eq!((ids(&page), page.count), (vec!["p4".to_owned(), "p3".to_owned()], 5));
    let next = list(ProductFilter::default(), page.marker, 0, 2).await;
    assert_eq!(ids(&next), ["p2", "product-1"]);
    let empty = list(ProductFilter::default(), next.marker, 0, 2).await;
    assert_eq!((ids(&empty), empty.count, empty.marker), (vec![], 5, next.marker));

    let of = |app: Option<causeway_model::AppId>, name: Option<&str>| ProductFilter {
        spaces: app.map_or(Spaces::All, Spaces::one),
        name: name.map(str::to_owned),
    };
    let of_2 = list(of(Some(app_2.id.clone()), None), RecordNo::LAST, 0, 50).await;
    assert_eq!((ids(&of_2), of_2.count), (vec!["p5".to_owned(), "p4".to_owned()], 2));
    // `%` and `_` mean themselves; letters count as they are written.
    for (name, expected) in [("%_", vec!["p2"]), ("100", vec!["p3", "p2"]), ("pump", vec!["p5"]), ("PUMP", vec![])] {
        let found = list(of(None, Some(name)), RecordNo::LAST, 0, 50).await;
        assert_eq!(
            (ids(&found), found.count),
            (expected.iter().map(|s| (*s).to_owned()).collect(), expected.len() as u64)
        );
    }
}

pub(crate) async fn topics_have_a_limit_and_are_unique(place: Arc<Place>) {
    let store = place.open().await;
    let (app, product_1) = seed(&*store).await;
    let product_2 = store.insert_product(product(&app, "product-2")).await.expect("another product");
    store.insert_topic(product_1.no, &topic("t1", "a"), 2).await.expect("a topic");
    refused(store.insert_topic(product_1.no, &topic("t2", "a"), 2).await, Code::CustomTopicLimit);
    store.insert_topic(product_1.no, &topic("t2", "b"), 2).await.expect("a second topic");
    refused(store.insert_topic(product_1.no, &topic("t3", "c"), 2).await, Code::CustomTopicLimit);
    store.insert_topic(product_2.no, &topic("t3", "a"), 2).await.expect("the same topic of another product");
    assert!(!store.delete_topic(product_2.no, "t1").await.expect("an answer"));
    assert!(store.delete_topic(product_1.no, "t1").await.expect("an answer"));
    assert!(!store.delete_topic(product_1.no, "t1").await.expect("an answer"));
    store.insert_topic(product_1.no, &topic("t4", "a"), 2).await.expect("there is room again");
    let read = store.product(product_1.no).await.expect("an answer").expect("the product");
    assert_eq!(read.topics, [topic("t2", "b"), topic("t4", "a")]);
}

pub(crate) async fn the_topic_limit_holds_against_concurrent_callers(place: Arc<Place>) {
    let store = place.open().await;
    let (_, product) = seed(&*store).await;
    let callers: Vec<_> = (0..10)
        .map(|i| {
            let (store, no) = (Arc::clone(&store), product.no);
            tokio::spawn(async move { store.insert_topic(no, &topic(&format!("t{i}"), &format!("n{i}")), 4).await })
        })
        .collect();
    let mut made = 0;
    for caller in callers {
        match caller.await.expect("no panic") {
            Ok(()) => made += 1,
            Err(e) => assert_eq!(e.code(), Code::CustomTopicLimit, "{e:?}"),
        }
    }
    let read = store.product(product.no).await.expect("an answer").expect("the product");
    assert_eq!((made, read.topics.len()), (4, 4));
}
