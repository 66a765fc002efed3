//! The writer at work: back-pressure, registry work, deletion, the end.

use causeway_model::{Code, Error, Timestamp};
use causeway_platform::app::AppStore;
use causeway_platform::device::DeviceStore;
use causeway_platform::history::HistoryStore;
use causeway_platform::instance::InstanceStore;
use causeway_platform::shadow::ShadowStore;
use causeway_platform::uplink::UplinkStore;

use super::super::transaction::{RegistryWork, Tx};
use super::super::writer::{END_TIME, Writer};
use super::*;

#[tokio::test]
async fn a_full_queue_waits_or_gives_the_units_back() {
    let dir = tempfile::tempdir().expect("folder");
    let settings = StoreSettings { queue_units: 3, ..small() };
    let (store, mut writer, _ended) =
        SqliteStore::prepare(dir.path().join("causeway.db"), &settings).expect("the store opens");
    let unit = |n| report(DeviceNo(1), "s", "{}", n);
    let first = store.try_submit(vec![unit(1), unit(2)]).expect("room");
    let back = store.try_submit(vec![unit(3), unit(4)]).expect_err("no room");
    assert_eq!(back.len(), 2);
    {
        let waiting = store.submit(back);
        tokio::pin!(waiting);
        tokio::select! {
            biased;
            _ = &mut waiting => panic!("there is no room yet"),
            () = async {} => {}
        }
        assert!(writer.turn());
        // The device does not exist: the units are void, which is no error.
        first.await.expect("the writer answers").expect("void");
        let second = waiting.await;
        assert!(writer.turn());
        second.await.expect("the writer answers").expect("void");
    }
    // A call larger than the queue is taken when the queue is empty.
    let large = store.submit((0..10).map(unit).collect()).await;
    assert!(store.try_submit(vec![unit(1)]).is_err());
    assert!(writer.turn());
    large.await.expect("the writer answers").expect("void");
}

#[tokio::test]
async fn long_texts_take_more_of_the_queue_and_of_a_transaction() {
    let dir = tempfile::tempdir().expect("folder");
    let settings = StoreSettings { queue_units: 4096, ..small() };
    let (store, mut writer, _ended) =
        SqliteStore::prepare(dir.path().join("causeway.db"), &settings).expect("the store opens");
    // 6 MB take 1,465 permits: the queue holds two such units, and a transaction would too.
    let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(6_000_000));
    let mut delivery = report(DeviceNo(1), "s", "{}", 1);
    delivery.deliveries.push(causeway_platform::outbox::NewDelivery {
        target: 1,
        device: None,
        at: Timestamp(1),
        body: long.as_str().into(),
    });
    let first = store.try_submit(vec![report(DeviceNo(1), "s", &long, 1)]).expect("room");
    let second = store.try_submit(vec![delivery]).expect("room");
    let back = store.try_submit(vec![report(DeviceNo(1), "s", &long, 2)]).expect_err("no room");
    store.try_submit(vec![report(DeviceNo(1), "s", "{}", 3)]).expect("room for a short one");
    assert!(writer.turn());
    first.await.expect("the writer answers").expect("void");
    second.await.expect("the writer answers").expect("void");
    drop(store.try_submit(back).expect("room again"));
    writer.queue.close();
    drop(writer);

    let (store, mut writer, _ended) =
        SqliteStore::prepare(dir.path().join("other.db"), &StoreSettings { queue_units: 65_536, ..small() })
            .expect("the store opens");
    let mut tickets: Vec<_> =
        (0..3).map(|n| store.try_submit(vec![report(DeviceNo(1), "s", &long, n)]).expect("room")).collect();
    assert!(writer.turn());
    assert!(tickets[1].try_recv().is_ok(), "12 MB go into one transaction");
    assert!(tickets[2].try_recv().is_err(), "18 MB do not");
    assert!(writer.turn());
    assert!(tickets[2].try_recv().is_ok());
}

/// Ends the writer in the middle of a transaction, as a fault of the writer's own would.
struct Fault;

impl RegistryWork for Fault {
    fn run(&mut self, _: &mut Tx<'_>) -> bool {
        panic!("on purpose")
    }

    fn finish(self: Box<Self>, _: Result<(), Error>) {}
}

#[tokio::test]
async fn nobody_waits_for_a_writer_that_is_gone() {
    let dir = tempfile::tempdir().expect("folder");
    let settings = StoreSettings { queue_units: 1, ..small() };
    let (store, writer, _ended) =
        SqliteStore::prepare(dir.path().join("causeway.db"), &settings).expect("the store opens");
    let unit = || vec![report(DeviceNo(1), "s", "{}", 1)];
    let lost = store.try_submit(unit()).expect("room");
    store.queue.push_registry(Box::new(Fault));
    let in_time = tokio::time::timeout(Duration::from_secs(20), async {
        let (waiting, ()) = tokio::join!(biased; store.submit(unit()), async {
            std::thread::spawn(move || writer.run()).join().expect_err("the writer panics");
        });
        assert!(lost.await.is_err(), "its transaction did not end");
        assert_eq!(waiting.await.expect("answered").expect_err("closed").code(), Code::Unavailable);
        let late = store.submit(unit()).await;
        assert_eq!(late.await.expect("answered").expect_err("closed").code(), Code::Unavailable);
        let late = store.try_submit(unit()).expect("not to be tried again");
        assert_eq!(late.await.expect("answered").expect_err("closed").code(), Code::Unavailable);
        assert_eq!(store.ping().await.expect_err("not ready").code(), Code::Unavailable);
        assert!(store.flush().await.is_err());
    });
    in_time.await.expect("nothing waits for ever");
}

#[tokio::test]
async fn the_end_has_a_time_limit_and_the_next_start_does_the_rest() {
    let dir = tempfile::tempdir().expect("folder");
    let settings = StoreSettings { unindexed: ByteSize(1 << 20), ..small() };
    let store = open(dir.path(), &settings).await;
    let device = populate(&store, 1).await[0].no;
    store.close().await;
    let indexed = |writer: &Writer| -> i64 {
        writer.conn.query_row("SELECT count(*) FROM history", [], |row| row.get(0)).expect("count")
    };
    for (n, time, expected) in [(1, Duration::ZERO, 0), (2, END_TIME, 200)] {
        let (store, mut writer, _ended) =
            SqliteStore::prepare(dir.path().join("causeway.db"), &settings).expect("the store opens");
        let units = (0..100).map(|at| report(device, "s", r#"{"a":1}"#, n * 1000 + at)).collect();
        let ticket = store.submit(units).await;
        assert!(writer.turn());
        ticket.await.expect("the writer answers").expect("committed");
        writer.end(time);
        assert_eq!(indexed(&writer), expected);
        assert_eq!(store.history(&everything(device)).await.expect("history").len() as i64, n * 100);
    }
}

#[tokio::test]
async fn refused_and_broken_work_leaves_the_rest_of_the_transaction() {
    let dir = tempfile::tempdir().expect("folder");
    let (store, mut writer, _ended) =
        SqliteStore::prepare(dir.path().join("causeway.db"), &small()).expect("the store opens");
    let insert = |name: &'static str, end: fn() -> super::super::error::Outcome<()>| {
        let store = &store;
        store.write(move |tx| {
            tx.conn.execute(
                "INSERT INTO app (instance, id, name, created_at, is_default) VALUES (1, ?1, ?1, 0, 0)",
                [name],
            )?;
            end()
        })
    };
    let (kept, refused, broken, failed, last, ()) = tokio::join!(
        biased;
        insert("kept", || Ok(())),
        insert("refused", || Err(Error::invalid("no").into())),
        insert("broken", || panic!("on purpose")),
        insert("kept", || Ok(())),
        insert("last", || Ok(())),
        async { assert!(writer.turn()) }
    );
    kept.expect("kept");
    assert_eq!(refused.expect_err("refused").code(), Code::InvalidInput);
    assert_eq!(broken.expect_err("broken").code(), Code::Internal);
    assert_eq!(failed.expect_err("the name is taken").code(), Code::Internal);
    last.expect("last");
    let names: Vec<_> = store.apps().await.expect("apps").into_iter().map(|a| a.name).collect();
    assert_eq!(names, ["kept", "last"]);
}

#[tokio::test]
async fn deleting_leaves_nothing_behind_for_readers_or_on_disk() {
    let dir = tempfile::tempdir().expect("folder");
    let store = open(dir.path(), &small()).await;
    let devices = populate(&store, 3).await;
    for n in 0..200 {
        commit(&store, devices.iter().map(|d| report(d.no, "s", r#"{"a":1}"#, n)).collect()).await;
    }
    assert!(store.delete_device(devices[0].no).await.expect("deleted"));
    // Rows of the device are still in memory, so that they would come back if it were not for the look-up.
    assert!(store.history(&everything(devices[0].no)).await.expect("history").is_empty());
    assert!(store.shadow(devices[0].no).await.expect("shadow").is_empty());
    commit(&store, vec![report(devices[0].no, "s", r#"{"a":1}"#, 1), report(devices[1].no, "s", r#"{"a":2}"#, 1)])
        .await;
    assert!(store.history(&everything(devices[0].no)).await.expect("history").is_empty());
    assert_eq!(store.history(&everything(devices[1].no)).await.expect("history").len(), 201);
    assert!(store.delete_app(&AppId::trusted("app")).await.expect("deleted"));
    for device in &devices {
        assert!(store.history(&everything(device.no)).await.expect("history").is_empty());
        assert!(store.shadow(device.no).await.expect("shadow").is_empty());
        assert!(store.device_by_no(device.no).await.expect("read").is_none());
    }
    eventually("the purge", || async {
        let left = store.read(|conn| {
            let sql = "SELECT (SELECT count(*) FROM history) + (SELECT count(*) FROM purge)";
            Ok(conn.query_row(sql, [], |row| row.get::<_, i64>(0))?)
        });
        left.await.expect("read") == 0
    })
    .await;
    store.flush().await.expect("flush");
    store.close().await;
    let conn = rusqlite::Connection::open(store.path()).expect("file");
    for table in ["history", "shadow", "shadow_reset", "device", "product", "purge"] {
        let rows: i64 = conn.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).expect("count");
        assert_eq!(rows, 0, "{table}");
    }
}

#[tokio::test]
async fn old_reports_are_carried_over_without_traffic() {
    let dir = tempfile::tempdir().expect("folder");
    let settings = StoreSettings { unindexed: ByteSize(1 << 20), unindexed_age: Span::millis(20), ..small() };
    let store = open(dir.path(), &settings).await;
    let device = populate(&store, 1).await[0].no;
    commit(&store, vec![report(device, "s", r#"{"a":1}"#, 1)]).await;
    eventually("carrying over", || async {
        let memory = store.memory.read();
        memory.frozen.is_none() && memory.active.is_empty()
    })
    .await;
    assert_eq!(store.history(&everything(device)).await.expect("history").len(), 1);
    store.close().await;
}

#[tokio::test]
async fn after_the_end_everything_is_refused() {
    let dir = tempfile::tempdir().expect("folder");
    let store = open(dir.path(), &small()).await;
    let device = populate(&store, 1).await[0].no;
    let waiting = store.submit(vec![report(device, "s", r#"{"a":1}"#, 1)]).await;
    store.close().await;
    store.close().await;
    waiting.await.expect("the writer answers").expect("what waits is committed");
    let late = store.submit(vec![report(device, "s", r#"{"a":1}"#, 1)]).await;
    assert_eq!(late.await.expect("answered").expect_err("closed").code(), Code::Unavailable);
    assert_eq!(store.ping().await.expect_err("closed").code(), Code::Unavailable);
    assert_eq!(store.apps().await.expect_err("closed").code(), Code::Unavailable);
    assert_eq!(store.trim_history(Timestamp(0)).await.expect_err("closed").code(), Code::Unavailable);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_see_every_committed_report_while_tables_change() {
    let dir = tempfile::tempdir().expect("folder");
    let store = std::sync::Arc::new(open(dir.path(), &small()).await);
    let devices = populate(&store, 3).await;
    let device = devices[0].no;
    let reader = {
        let store = std::sync::Arc::clone(&store);
        tokio::spawn(async move {
            let mut seen = 0;
            while seen < 600 {
                let rows = store.history(&everything(device)).await.expect("history");
                let times: Vec<_> = rows.iter().map(|r| r.event_time.0).collect();
                assert_eq!(times, (0..times.len() as i64).collect::<Vec<_>>(), "no gap, nothing twice");
                assert!(times.len() >= seen, "nothing is lost");
                seen = times.len();
                let shadow = store.shadow(device).await.expect("shadow");
                let value =
                    shadow.first().and_then(|s| s.reported.as_ref()?.properties.get("n")?.parse::<usize>().ok());
                assert!(value.map_or(0, |v| v + 1) >= seen, "the shadow is as new as the history");
            }
        })
    };
    for n in 0..600 {
        let text = format!(r#"{{"n":{n}}}"#);
        commit(&store, devices.iter().map(|d| report(d.no, "s", &text, n)).collect()).await;
    }
    reader.await.expect("the reader ends");
    store.close().await;
}
