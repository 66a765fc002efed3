//! The way from an older schema to this one.

use std::sync::Arc;

use causeway_model::registry::{Product, TopicRight};
use causeway_model::{DeviceId, Kind};

use crate::cluster;
use crate::fixture::{commit, object, report, reported, shadow_of};
use crate::place::{Kind as Backend, Place};

/// The schema of version 1 and rows as a program of that version wrote them. Published migrations never change.
const POSTGRES_1: [&str; 2] =
    [include_str!("../../src/postgres/migrations/0001.sql"), include_str!("version_1/postgres.sql")];
const SQLITE_1: [&str; 2] =
    [include_str!("../../src/sqlite/migrations/0001.sql"), include_str!("version_1/sqlite.sql")];

fn sqlite_file(place: &Place) -> rusqlite::Connection {
    let file = place.folder().join(causeway_backend::SQLITE_FILE);
    rusqlite::Connection::open(file).expect("the database file")
}

pub(crate) async fn data_of_version_1_loads(place: Arc<Place>) {
    match place.kind {
        Backend::Sqlite => {
            let file = sqlite_file(&place);
            for sql in SQLITE_1 {
                file.execute_batch(sql).expect("version 1");
            }
        }
        Backend::Postgres => {
            for sql in POSTGRES_1 {
                cluster::execute(place.url(), sql).await;
            }
        }
    }
    let store = place.open().await;
    let device = store.device(&DeviceId::trusted("old")).await.expect("an answer").expect("the old device");
    assert_eq!((device.name.as_deref(), device.app_name.as_str()), (Some("Altgerät"), "old space"));
    let product: Product = store.product(device.product_no).await.expect("an answer").expect("the old product");
    assert_eq!(product.services[0].service_id, "s");
    assert_eq!(product.topics[0].right, TopicRight::Subscribe);
    let shadow = shadow_of(&*store, device.no, "s").await;
    assert_eq!(shadow.desired.map(|d| d.properties), Some(object(r#"{"a":1.0}"#)));
    assert_eq!((shadow.version, reported(&*store, device.no, "s").await.as_str()), (3, r#"{"n":23.10}"#));
    assert_eq!(store.message(device.no, "m").await.expect("an answer").expect("the old message").content, r#""hi""#);
    commit(&*store, vec![report(device.no, "s", r#"{"x":1}"#, 0)]).await;
    assert_eq!(reported(&*store, device.no, "s").await, r#"{"n":23.10,"x":1}"#);
}

pub(crate) async fn a_newer_schema_is_refused(place: Arc<Place>) {
    let store = place.open().await;
    store.close().await;
    drop(store);
    match place.kind {
        Backend::Sqlite => sqlite_file(&place).pragma_update(None, "user_version", 9999).expect("a version"),
        Backend::Postgres => cluster::execute(place.url(), "UPDATE schema_version SET version = 9999").await,
    }
    let error = place.try_open().await.err().expect("a newer schema is not opened");
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(error.detail().is_some_and(|d| d.contains("9999") && d.contains("newer")), "{error:?}");
}
