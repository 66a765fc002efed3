//! Files of devices and applications.

use std::sync::Arc;

use causeway_model::file::{
    File, FileAttributes, FileFilter, FileSource, FileState, ObjectKey, Transfer, TransferResult,
};
use causeway_model::registry::{App, Device, PageRequest, Product};
use causeway_model::{Code, FileId, RecordNo, Spaces};
use causeway_platform::Store;
use causeway_platform::file::{FileContent, FileLimits};

use crate::fixture::{add_device, app, at, product, refused, seed};
use crate::place::Place;

const MANY: FileLimits = FileLimits { files: 100, waiting: 100 };
const ALL: PageRequest = PageRequest { marker: RecordNo::LAST, offset: 0, limit: 50 };

fn file_of(device: &Device, id: &str) -> File {
    let id = FileId::trusted(id);
    File {
        no: RecordNo(0),
        app_id: device.app_id.clone(),
        source: FileSource::Device,
        device_id: Some(device.id.clone()),
        product_id: None,
        name: format!("名 {id}"),
        key: ObjectKey::of_device(&device.id, &id, "n"),
        announced: FileAttributes { hash_code: Some("h".to_owned()), size: Some(5_368_709_120) },
        size: None,
        sha256: None,
        state: FileState::Waiting,
        created_at: at(0),
        expires_at: at(1000),
        stored_at: None,
        upload: None,
        download: None,
        id,
    }
}

pub(crate) fn file_for(app: &App, id: &str, name: &str) -> File {
    let id = FileId::trusted(id);
    File {
        no: RecordNo(0),
        app_id: app.id.clone(),
        source: FileSource::Application,
        device_id: None,
        product_id: None,
        name: name.to_owned(),
        key: ObjectKey::of_app(&app.id, &id, name),
        announced: FileAttributes::default(),
        size: None,
        sha256: None,
        state: FileState::Waiting,
        created_at: at(0),
        expires_at: at(1000),
        stored_at: None,
        upload: None,
        download: None,
        id,
    }
}

fn content(state: FileState) -> FileContent {
    let is_stored = state == FileState::Stored;
    FileContent { state, size: is_stored.then_some(7), sha256: is_stored.then(|| "ab".repeat(32)), at: at(9) }
}

async fn stored(store: &dyn Store, file: File, device: Option<&Device>, product: Option<&Product>) -> File {
    let file = store.insert_file(file, device.map(|d| d.no), product.map(|p| p.no), MANY).await.expect("a file");
    assert!(store.settle_file(file.no, &content(FileState::Stored)).await.expect("an answer"));
    store.file(&file.id).await.expect("an answer").expect("the file")
}

async fn ids(store: &dyn Store, filter: FileFilter) -> (Vec<String>, u64) {
    let page = store.list_files(&filter, ALL).await.expect("a page");
    (page.items.iter().map(|f| f.id.to_string()).collect(), page.count)
}

async fn garbage(store: &dyn Store) -> Vec<String> {
    store.garbage_objects(100).await.expect("an answer").into_iter().map(|(_, key)| key).collect()
}

pub(crate) async fn a_file_is_kept_whole(place: Arc<Place>) {
    let store = place.open().await;
    let (app, product) = seed(&*store).await;
    let device = add_device(&*store, &product, "d1").await;
    let new = file_of(&device, "f1");
    let made = store.insert_file(new.clone(), Some(device.no), None, MANY).await.expect("a file");
    assert_eq!(made, File { no: made.no, ..new });
    assert_eq!(store.file(&made.id).await.expect("an answer"), Some(made.clone()));
    assert_eq!(store.file_at(&made.key).await.expect("an answer"), Some(made.clone()));
    assert!(store.settle_file(made.no, &content(FileState::Stored)).await.expect("an answer"));
    let result =
        |n| TransferResult { result_code: n, status_code: Some(200), description: Some("好".to_owned()), at: at(n) };
    // A word of the device changes the state of a file that waits, and of no other.
    for (transfer, n, state) in
        [(Transfer::Upload, 0, Some(FileState::Failed)), (Transfer::Download, 1, None), (Transfer::Download, 2, None)]
    {
        assert!(store.report_transfer(made.no, transfer, &result(n), state).await.expect("an answer"));
    }
    let expected = File {
        size: Some(7),
        sha256: Some("ab".repeat(32)),
        state: FileState::Stored,
        stored_at: Some(at(9)),
        upload: Some(result(0)),
        download: Some(result(2)),
        ..made
    };
    assert_eq!(store.file(&expected.id).await.expect("an answer"), Some(expected.clone()));
    store.close().await;
    drop(store);
    let store = place.open().await;
    assert_eq!(store.file(&expected.id).await.expect("an answer"), Some(expected));

    let for_product = File { product_id: Some(product.id.clone()), ..file_for(&app, "f2", "a.bin") };
    let made = store.insert_file(for_product.clone(), None, Some(product.no), MANY).await.expect("a file");
    assert!(
        store.report_transfer(made.no, Transfer::Upload, &result(1), Some(FileState::Failed)).await.expect("an answer")
    );
    let read = store.file(&made.id).await.expect("an answer").expect("the file");
    assert_eq!(read, File { no: made.no, state: FileState::Failed, upload: Some(result(1)), ..for_product });
}

pub(crate) async fn owners_must_be_there(place: Arc<Place>) {
    let store = place.open().await;
    let (_, product) = seed(&*store).await;
    let device = add_device(&*store, &product, "d1").await;
    let new = file_of(&device, "f1");
    assert!(store.delete_device(device.no).await.expect("an answer"));
    refused(store.insert_file(new, Some(device.no), None, MANY).await, Code::DeviceNotFound);
    refused(store.insert_file(file_for(&app("nowhere"), "f2", "n"), None, None, MANY).await, Code::AppNotFound);
    assert!(!store.settle_file(RecordNo(77), &content(FileState::Stored)).await.expect("an answer"));
    assert!(!store.delete_file(RecordNo(77)).await.expect("an answer"));
}

pub(crate) async fn lists_are_filtered_and_paged(place: Arc<Place>) {
    let store = place.open().await;
    let (_, product_1) = seed(&*store).await;
    let app_2 = store.insert_app(app("app-2"), 10).await.expect("another space");
    let product_2 = store.insert_product(product(&app_2, "product-2")).await.expect("a product");
    let (d1, d2) = (add_device(&*store, &product_1, "d1").await, add_device(&*store, &product_2, "d2").await);
    for n in 0..5 {
        let new = File { created_at: at(n), ..file_of(&d1, &format!("a{n}")) };
        store.insert_file(new, Some(d1.no), None, MANY).await.expect("a file");
    }
    stored(&*store, file_of(&d2, "b"), Some(&d2), None).await;
    let for_2 = File { product_id: Some(product_2.id.clone()), ..file_for(&app_2, "c", "100%") };
    store.insert_file(for_2, None, Some(product_2.no), MANY).await.expect("a file");

    let filter = FileFilter::default;
    let list = |ids: &[&str]| (ids.iter().map(|i| (*i).to_owned()).collect::<Vec<_>>(), ids.len() as u64);
    assert_eq!(ids(&*store, filter()).await, list(&["c", "b", "a4", "a3", "a2", "a1", "a0"]));
    let of_2 = || Spaces::one(app_2.id.clone());
    assert_eq!(ids(&*store, FileFilter { spaces: of_2(), ..filter() }).await, list(&["c", "b"]));
    let none = Spaces::Only(Arc::from([]));
    assert_eq!(ids(&*store, FileFilter { spaces: none, ..filter() }).await, list(&[]));
    assert_eq!(ids(&*store, FileFilter { device_id: Some(d2.id.clone()), ..filter() }).await, list(&["b"]));
    let foreign = FileFilter { device_id: Some(d1.id.clone()), spaces: of_2(), ..filter() };
    assert_eq!(ids(&*store, foreign).await, list(&[]));
    assert_eq!(ids(&*store, FileFilter { product_id: Some(product_2.id), ..filter() }).await, list(&["c"]));
    assert_eq!(ids(&*store, FileFilter { source: Some(FileSource::Application), ..filter() }).await, list(&["c"]));
    assert_eq!(ids(&*store, FileFilter { state: Some(FileState::Stored), ..filter() }).await, list(&["b"]));
    assert_eq!(ids(&*store, FileFilter { name: Some("%".to_owned()), ..filter() }).await, list(&["c"]));
    let times = FileFilter { from: Some(at(1)), to: Some(at(3)), ..filter() };
    assert_eq!(ids(&*store, times).await, list(&["a2", "a1"]));

    let page = |marker, offset, limit| PageRequest { marker, offset, limit };
    let first = store.list_files(&filter(), page(RecordNo::LAST, 1, 2)).await.expect("a page");
    assert_eq!((first.count, first.items[0].id.as_str(), first.items[1].id.as_str()), (7, "b", "a4"));
    let second = store.list_files(&filter(), page(first.marker, 0, 2)).await.expect("a page");
    assert_eq!((second.items[0].id.as_str(), second.items[1].id.as_str()), ("a3", "a2"));
}

pub(crate) async fn a_device_finds_what_is_for_it(place: Arc<Place>) {
    let store = place.open().await;
    let (space, product_1) = seed(&*store).await;
    let product_2 = store.insert_product(product(&space, "product-2")).await.expect("a product");
    let elsewhere = store.insert_app(app("app-2"), 10).await.expect("another space");
    let (d1, d2) = (add_device(&*store, &product_1, "d1").await, add_device(&*store, &product_2, "d2").await);
    let found = async |device: &Device| {
        let found = store.file_for_device(device.no, "n").await.expect("an answer");
        found.map(|f| f.id.to_string())
    };
    assert_eq!(found(&d1).await, None);
    let waiting = file_for(&space, "waiting", "n");
    store.insert_file(waiting, None, None, MANY).await.expect("a file");
    let foreign = stored(&*store, file_for(&elsewhere, "foreign", "n"), None, None).await;
    let other_name = stored(&*store, file_for(&space, "other", "m"), None, None).await;
    assert_eq!(found(&d1).await, None);
    let own = stored(&*store, File { name: "n".to_owned(), ..file_of(&d1, "own") }, Some(&d1), None).await;
    assert_eq!((found(&d1).await.as_deref(), found(&d2).await), (Some("own"), None));
    let uploading = File { name: "n".to_owned(), ..file_of(&d1, "later") };
    store.insert_file(uploading, Some(d1.no), None, MANY).await.expect("a file");
    let newest = store.file_of_device(d1.no, "n").await.expect("an answer");
    assert_eq!(newest.map(|f| f.id.to_string()).as_deref(), Some("later"), "in whatever state");
    assert_eq!(store.file_of_device(d2.no, "n").await.expect("an answer"), None);
    assert_eq!(store.file_of_device(d1.no, "m").await.expect("an answer"), None, "of applications");
    stored(&*store, file_for(&space, "old", "n"), None, None).await;
    let of_space = stored(&*store, file_for(&space, "space", "n"), None, None).await;
    assert_eq!((found(&d1).await.as_deref(), found(&d2).await.as_deref()), (Some("space"), Some("space")));
    let of_product = File { product_id: Some(product_1.id.clone()), ..file_for(&space, "product", "n") };
    let of_product = stored(&*store, of_product, None, Some(&product_1)).await;
    assert_eq!((found(&d1).await.as_deref(), found(&d2).await.as_deref()), (Some("product"), Some("space")));
    let of_device = File { device_id: Some(d1.id.clone()), ..file_for(&space, "device", "n") };
    let of_device = stored(&*store, of_device, Some(&d1), None).await;
    assert_eq!((found(&d1).await.as_deref(), found(&d2).await.as_deref()), (Some("device"), Some("space")));

    for (file, by_1, by_2) in [
        (&foreign, false, false),
        (&other_name, true, true),
        (&own, true, false),
        (&of_space, true, true),
        (&of_product, true, false),
        (&of_device, true, false),
    ] {
        let may = [store.may_download(d1.no, file.no).await, store.may_download(d2.no, file.no).await];
        assert_eq!(may.map(|m| m.expect("an answer")), [by_1, by_2], "{}", file.id);
    }
}

pub(crate) async fn limits_count_for_each_owner(place: Arc<Place>) {
    let store = place.open().await;
    let (space, product) = seed(&*store).await;
    let (d1, d2) = (add_device(&*store, &product, "d1").await, add_device(&*store, &product, "d2").await);
    let limits = FileLimits { files: 2, waiting: 2 };
    let insert =
        async |device: &Device, id: &str| store.insert_file(file_of(device, id), Some(device.no), None, limits).await;
    for id in ["w1", "w2", "w3"] {
        insert(&d1, id).await.expect("a file");
    }
    insert(&d2, "x1").await.expect("a file");
    // The oldest that waits makes room.
    assert_eq!(ids(&*store, FileFilter::default()).await.0, ["x1", "w3", "w2"]);
    assert_eq!(garbage(&*store).await, ["device_file/d1/w1_n"]);
    for id in ["w2", "w3"] {
        let file = store.file(&FileId::trusted(id)).await.expect("an answer").expect("the file");
        store.settle_file(file.no, &content(FileState::Stored)).await.expect("an answer");
    }
    refused(insert(&d1, "w4").await, Code::TooManyFiles);
    insert(&d2, "x2").await.expect("another device has its own limit");
    for (id, fits) in [("s1", true), ("s2", true), ("s3", false)] {
        let outcome = store.insert_file(file_for(&space, id, "n"), None, None, limits).await;
        assert_eq!(outcome.is_ok(), fits, "{id}");
        if let Ok(file) = outcome {
            store.settle_file(file.no, &content(FileState::Stored)).await.expect("an answer");
        }
    }
}

pub(crate) async fn what_is_due_is_found(place: Arc<Place>) {
    let store = place.open().await;
    let (_, product) = seed(&*store).await;
    let device = add_device(&*store, &product, "d1").await;
    let due = async |ms| {
        let due = store.due_files(at(ms), 10).await.expect("an answer");
        due.into_iter().map(|f| f.id.to_string()).collect::<Vec<_>>()
    };
    let early = store.insert_file(file_of(&device, "early"), Some(device.no), None, MANY).await.expect("a file");
    let late = File { expires_at: at(5000), ..file_of(&device, "late") };
    let late = store.insert_file(late, Some(device.no), None, MANY).await.expect("a file");
    assert_eq!(due(1000).await, Vec::<String>::new());
    assert_eq!(due(1001).await, ["early"]);
    let result = TransferResult { result_code: 0, status_code: None, description: None, at: at(1) };
    store.report_transfer(late.no, Transfer::Upload, &result, Some(FileState::Checking)).await.expect("an answer");
    assert_eq!(due(0).await, ["late"]);
    store.settle_file(early.no, &content(FileState::Failed)).await.expect("an answer");
    store.settle_file(late.no, &content(FileState::Stored)).await.expect("an answer");
    assert_eq!(due(9999).await, Vec::<String>::new());
}

pub(crate) async fn whatever_goes_leaves_its_key(place: Arc<Place>) {
    let store = place.open().await;
    let (_, product_1) = seed(&*store).await;
    let space = store.insert_app(app("app-2"), 10).await.expect("another space");
    let product_2 = store.insert_product(product(&space, "product-2")).await.expect("a product");
    let (d1, d2) = (add_device(&*store, &product_1, "d1").await, add_device(&*store, &product_2, "d2").await);
    stored(&*store, file_of(&d1, "by-device"), Some(&d1), None).await;
    let alone = stored(&*store, file_of(&d1, "alone"), Some(&d1), None).await;
    stored(&*store, file_of(&d2, "by-space"), Some(&d2), None).await;
    stored(&*store, file_for(&space, "of-space", "n"), None, None).await;
    assert!(store.delete_file(alone.no).await.expect("an answer"));
    assert!(!store.delete_file(alone.no).await.expect("an answer"));
    assert_eq!(garbage(&*store).await, ["device_file/d1/alone_n"]);
    assert!(store.delete_device(d1.no).await.expect("an answer"));
    let mut expected = vec!["device_file/d1/alone_n", "device_file/d1/by-device_n"];
    assert_eq!(garbage(&*store).await, expected);
    assert!(store.delete_app(&space.id).await.expect("an answer"));
    expected.extend(["device_file/d2/by-space_n", "app_file/app-2/of-space_n"]);
    let mut found = garbage(&*store).await;
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
    for (no, _) in store.garbage_objects(100).await.expect("an answer") {
        store.forget_garbage(no).await.expect("an answer");
    }
    assert_eq!(garbage(&*store).await, Vec::<String>::new());
}
