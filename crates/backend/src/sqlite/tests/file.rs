//! The file: versions, lock, log, copies, full disks.

use causeway_model::{Code, Timestamp};
use causeway_platform::app::AppStore;
use causeway_platform::device::DeviceStore;
use causeway_platform::history::HistoryStore;
use causeway_platform::instance::InstanceStore;
use causeway_platform::message::MessageStore;
use causeway_platform::shadow::ShadowStore;
use causeway_platform::uplink::UplinkStore;
use rusqlite::Connection;

use super::super::{backup_file, migrations};
use super::*;

#[tokio::test]
async fn data_of_version_1_is_read() {
    let dir = tempfile::tempdir().expect("folder");
    let path = dir.path().join("causeway.db");
    let conn = Connection::open(&path).expect("file");
    conn.execute_batch(migrations::MIGRATIONS[0]).expect("version 1");
    conn.execute_batch(include_str!("version_1.sql")).expect("data of version 1");
    conn.pragma_update(None, "user_version", 1).expect("version");
    drop(conn);
    let store = open(dir.path(), &small()).await;
    let device = store.device(&DeviceId::trusted("p_n")).await.expect("read").expect("device");
    assert_eq!((device.app_name.as_str(), device.product_name.as_str()), ("default", "product"));
    assert_eq!(device.activated_at, Some(Timestamp(5)));
    let rows = store.history(&everything(device.no)).await.expect("history");
    assert_eq!(rows.len(), 1);
    assert_eq!((rows[0].seq, rows[0].service_id.as_str(), rows[0].properties.as_str()), (1, "s", r#"{"a":1}"#));
    assert_eq!((rows[0].event_time, rows[0].arrival), (Timestamp(1000), Timestamp(1001)));
    let shadow = store.shadow(device.no).await.expect("shadow");
    assert_eq!(shadow[0].reported.as_ref().map(|r| r.properties.as_str()), Some(r#"{"a":1}"#));
    assert_eq!(store.messages(device.no).await.expect("messages")[0].content, r#""hello""#);
    store.close().await;
}

#[tokio::test]
async fn a_newer_database_is_refused() {
    let dir = tempfile::tempdir().expect("folder");
    let path = dir.path().join("causeway.db");
    let conn = Connection::open(&path).expect("file");
    conn.pragma_update(None, "user_version", 4711).expect("version");
    drop(conn);
    let error = SqliteStore::open(&path, &small()).await.err().expect("refused");
    assert_eq!(error.code(), Code::Unavailable);
    assert!(error.detail().is_some_and(|d| d.contains("4711") && d.contains("newer")), "{error:?}");
}

#[tokio::test]
async fn a_second_process_is_refused() {
    let dir = tempfile::tempdir().expect("folder");
    let store = open(dir.path(), &small()).await;
    let error = SqliteStore::open(store.path(), &small()).await.err().expect("refused");
    assert!(error.detail().is_some_and(|d| d.contains("in use")), "{error:?}");
    store.close().await;
    open(dir.path(), &small()).await.close().await;
}

#[tokio::test]
async fn a_copy_made_while_serving_is_whole() {
    let dir = tempfile::tempdir().expect("folder");
    let store = open(dir.path(), &StoreSettings { unindexed: ByteSize(1 << 20), ..small() }).await;
    let device = populate(&store, 1).await[0].no;
    for n in 0..20 {
        commit(&store, vec![report(device, "s", &format!(r#"{{"a":{n}}}"#), n)]).await;
    }
    let copy = dir.path().join("copy");
    std::fs::create_dir(&copy).expect("folder");
    let out = copy.join("causeway.db");
    store.backup(&out).await.expect("copied");
    assert!(backup_file(store.path(), &out).is_err(), "an existing file is not overwritten");
    assert!(backup_file(&dir.path().join("causeway.db.lock"), &copy.join("x")).is_err(), "not a database of ours");
    commit(&store, vec![report(device, "s", r#"{"a":99}"#, 99)]).await;
    let restored = open(&copy, &small()).await;
    // Reports that were only in memory's index are in the copy as well.
    assert_eq!(restored.history(&everything(device)).await.expect("history").len(), 20);
    let shadow = restored.shadow(device).await.expect("shadow");
    assert_eq!(shadow[0].reported.as_ref().map(|r| r.properties.as_str()), Some(r#"{"a":19}"#));
    restored.close().await;
    store.close().await;
}

#[tokio::test]
async fn the_log_stays_bounded() {
    let dir = tempfile::tempdir().expect("folder");
    let settings = StoreSettings { wal: ByteSize(256 << 10), unindexed: ByteSize(64 << 10), ..small() };
    let store = open(dir.path(), &settings).await;
    let devices = populate(&store, 50).await;
    let text = format!(r#"{{"a":"{}"}}"#, "x".repeat(1000));
    let log = dir.path().join("causeway.db-wal");
    let mut greatest = 0;
    for n in 0..300 {
        let units = devices.iter().map(|d| report(d.no, "s", &text, n)).collect();
        commit(&store, units).await;
        greatest = greatest.max(std::fs::metadata(&log).expect("log").len());
    }
    // 15 MB were reported; the log holds a few times its limit at most.
    assert!(greatest < 8 << 20, "the log grew to {greatest} bytes");
    store.close().await;
    let left = std::fs::metadata(&log).map_or(0, |m| m.len());
    assert_eq!(left, 0, "the end empties the log");
}

#[tokio::test]
async fn a_full_disk_fails_the_batch_and_nothing_else() {
    let dir = tempfile::tempdir().expect("folder");
    let (store, mut writer, _ended) =
        SqliteStore::prepare(dir.path().join("causeway.db"), &small()).expect("the store opens");
    let (device, mut writer) = {
        let filled = async { populate(&store, 1).await[0].no };
        tokio::pin!(filled);
        // The writer is driven by hand until the fixture is there.
        let device = loop {
            tokio::select! {
                biased;
                device = &mut filled => break device,
                () = async {} => { writer.turn(); }
            }
        };
        (device, writer)
    };
    let pages: i64 = writer.conn.pragma_query_value(None, "page_count", |row| row.get(0)).expect("pages");
    writer.conn.pragma_update_and_check(None, "max_page_count", pages + 3, |_| Ok(())).expect("limit");
    let text = format!(r#"{{"a":"{}"}}"#, "x".repeat(100_000));
    let full = store.submit(vec![report(device, "s", &text, 1)]).await;
    assert!(writer.turn());
    let error = full.await.expect("the writer answers").expect_err("no room");
    assert_eq!(error.code(), Code::Unavailable);
    let fits = store.submit(vec![report(device, "s", r#"{"a":1}"#, 2)]).await;
    assert!(writer.turn());
    fits.await.expect("the writer answers").expect("committed");
    writer.conn.pragma_update_and_check(None, "max_page_count", 1_000_000, |_| Ok(())).expect("limit");
    let again = store.submit(vec![report(device, "s", &text, 3)]).await;
    assert!(writer.turn());
    again.await.expect("the writer answers").expect("committed");
    let rows = store.history(&everything(device)).await.expect("history");
    assert_eq!(rows.iter().map(|r| (r.seq, r.event_time.0)).collect::<Vec<_>>(), [(1, 2), (2, 3)]);
}

#[tokio::test]
async fn unreadable_data_is_an_internal_error() {
    let dir = tempfile::tempdir().expect("folder");
    let store = open(dir.path(), &small()).await;
    let device = populate(&store, 1).await[0].no;
    commit(&store, vec![report(device, "s", r#"{"a":1}"#, 1)]).await;
    store.close().await;
    let conn = Connection::open(store.path()).expect("file");
    conn.execute("UPDATE shadow SET reported = '{\"a\":'", []).expect("bent");
    conn.execute("UPDATE block SET body = x'05000000'", []).expect("bent");
    conn.execute("UPDATE device SET connection = 'DANCING'", []).expect("bent");
    drop(conn);
    let store = open(dir.path(), &small()).await;
    let code = |error: causeway_model::Error| {
        assert!(error.detail().is_some(), "{error:?}");
        error.code()
    };
    assert_eq!(code(store.shadow(device).await.expect_err("shadow")), Code::Internal);
    assert_eq!(code(store.history(&everything(device)).await.expect_err("history")), Code::Internal);
    assert_eq!(code(store.device_by_no(device).await.expect_err("device")), Code::Internal);
    assert!(store.apps().await.is_ok());
    // A new report heals the shadow.
    commit(&store, vec![report(device, "s", r#"{"b":1}"#, 1)]).await;
    store.close().await;
    let store = open(dir.path(), &small()).await;
    let shadow = store.shadow(device).await.expect("shadow");
    assert_eq!(shadow[0].reported.as_ref().map(|r| r.properties.as_str()), Some(r#"{"b":1}"#));
    store.close().await;
}
