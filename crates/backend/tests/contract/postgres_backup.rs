//! Logical backups of PostgreSQL.

use std::sync::Arc;

use causeway_backend::postgres::{dump, load};
use causeway_model::Kind;

use crate::cluster;
use crate::fixture::{add_device, commit, report};
use crate::instance::{fill, picture};
use crate::place::{Kind as Backend, Place, run};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dump_carries_everything() {
    run(Backend::Postgres, dump_and_load).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_dumps_leave_nothing_behind() {
    run(Backend::Postgres, damaged).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dump_is_one_instant() {
    run(Backend::Postgres, one_instant).await;
}

async fn dump_and_load(place: Arc<Place>) {
    let store = place.open().await;
    fill(&*store).await;
    let before = picture(&*store).await;
    let mut backup = Vec::new();
    let rows = dump(place.url(), &mut backup).await.expect("a dump");

    // Every table is in it.
    let client = cluster::connect(place.url()).await;
    let sql = "SELECT table_name::text FROM information_schema.tables
        WHERE table_schema = current_schema() AND table_name <> 'schema_version'";
    for row in client.query(sql, &[]).await.expect("tables") {
        let head = format!("table {} ", row.get::<_, &str>(0));
        assert!(backup.windows(head.len()).any(|w| w == head.as_bytes()), "{head} is missing");
    }

    let copy = Place::beside(&place).await;
    assert_eq!(load(copy.url(), &mut backup.as_slice()).await.expect("restored"), rows);
    let restored = copy.open().await;
    assert_eq!(picture(&*restored).await, before);
    // Numbers go on where they were, and reports are taken.
    let old = store.device(&causeway_model::DeviceId::trusted("child")).await.expect("an answer").expect("a device");
    let product = restored.product(old.product_no).await.expect("an answer").expect("the product");
    let new = add_device(&*restored, &product, "new").await;
    assert!(new.no > old.no);
    commit(&*restored, vec![report(new.no, "s", r#"{"a":1}"#, 0)]).await;

    let again = load(copy.url(), &mut backup.as_slice()).await.expect_err("not into a used database");
    assert_eq!(again.kind(), Kind::Invalid);
    drop(restored);
    cluster::drop_database(copy.url()).await;
}

async fn damaged(place: Arc<Place>) {
    let store = place.open().await;
    fill(&*store).await;
    let mut backup = Vec::new();
    dump(place.url(), &mut backup).await.expect("a dump");
    let copy = Place::beside(&place).await;
    let cut: Vec<usize> = (0..backup.len()).step_by(backup.len() / 40 + 1).chain([backup.len() - 1]).collect();
    for length in cut {
        let error = load(copy.url(), &mut &backup[..length]).await.expect_err("a part is not enough");
        assert!(matches!(error.kind(), Kind::Invalid | Kind::Unavailable), "{length}: {error:?}");
    }
    for (old, new) in [
        ("causeway-postgres", "causeway-something"),
        ("causeway-postgres 1 schema ", "causeway-postgres 1 schema 9999"),
        ("end\n", "DROP\n"),
    ] {
        let at = backup.windows(old.len()).rposition(|w| w == old.as_bytes()).expect(old);
        let mut changed = backup.clone();
        changed.splice(at..at + old.len(), new.bytes());
        let error = load(copy.url(), &mut changed.as_slice()).await.expect_err(new);
        assert_eq!(error.kind(), Kind::Invalid, "{new}: {error:?}");
    }
    // After all these the database is as good as new.
    load(copy.url(), &mut backup.as_slice()).await.expect("restored");
    cluster::drop_database(copy.url()).await;
}

/// Reports go on during the dump; each of them is in the history and the shadow or in neither.
async fn one_instant(place: Arc<Place>) {
    let store = place.open().await;
    fill(&*store).await;
    let no = store.device(&causeway_model::DeviceId::trusted("d1")).await.expect("an answer").expect("a device").no;
    let (stop, mut stopped) = tokio::sync::oneshot::channel::<()>();
    let writer = {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let mut i = 0;
            while stopped.try_recv().is_err() {
                commit(&*store, vec![report(no, "counter", &format!(r#"{{"i":{i}}}"#), i)]).await;
                i += 1;
            }
        })
    };
    let mut backups = Vec::new();
    for _ in 0..3 {
        let mut backup = Vec::new();
        dump(place.url(), &mut backup).await.expect("a dump");
        backups.push(backup);
    }
    stop.send(()).expect("the writer listens");
    writer.await.expect("the writer ends");
    for backup in backups {
        let copy = Place::beside(&place).await;
        load(copy.url(), &mut backup.as_slice()).await.expect("restored");
        let client = cluster::connect(copy.url()).await;
        let sql = "SELECT (SELECT reported FROM shadow WHERE service = 'counter'),
            (SELECT properties FROM history WHERE service = 'counter' ORDER BY seq DESC LIMIT 1)";
        let row = client.query_one(sql, &[]).await.expect("an answer");
        assert_eq!(row.get::<_, Option<String>>(0), row.get::<_, Option<String>>(1));
        cluster::drop_database(copy.url()).await;
    }
}
