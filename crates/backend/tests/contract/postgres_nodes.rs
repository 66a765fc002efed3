//! What only PostgreSQL has: several nodes on one database, and connections that break.

use std::sync::Arc;
use std::time::Duration;

use causeway_backend::{StoreSettings, open};
use causeway_model::{Code, Kind, RecordNo};
use causeway_platform::Store;
use causeway_platform::linkage::LinkageTimer;
use causeway_platform::outbox::{NewDelivery, TargetKind};
use causeway_platform::uplink::{Change, Unit};

use crate::cluster;
use crate::fixture::{
    T0, add_device, at, commit, delivery, object, report, reported, seed, seed_device, try_commit, unit,
};
use crate::linkage;
use crate::place::{Kind as Backend, Place, run};

macro_rules! postgres_tests {
    ($($test:ident,)*) => {
        mod postgres {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::run(super::Backend::Postgres, super::$test).await;
            }
        )*}
    };
}

postgres_tests! {
    nodes_may_start_at_once,
    nodes_report_for_the_same_devices,
    nodes_make_the_same_services_at_once,
    another_node_sees_new_deliveries,
    one_node_claims_a_timer,
    deleting_beside_another_nodes_reports,
    the_history_of_deleted_devices_is_removed,
    a_lost_connection_fails_the_tickets_and_is_made_anew,
    a_server_that_is_away_is_unavailable,
    tls_is_refused_clearly,
}

async fn nodes_may_start_at_once(place: Arc<Place>) {
    let starts: Vec<_> = (0..4)
        .map(|_| {
            let place = Arc::clone(&place);
            tokio::spawn(async move { place.open().await })
        })
        .collect();
    for start in starts {
        start.await.expect("the node starts").ping().await.expect("the node serves");
    }
}

async fn one_node_claims_a_timer(place: Arc<Place>) {
    let nodes = [place.open().await, place.open().await];
    let device = seed_device(&*nodes[0]).await;
    let target = nodes[0].instance_target(TargetKind::Linkage).await.expect("a target");
    let first = LinkageTimer { rule: RecordNo(0), condition: 1, device: None, at: at(0) };
    let rule = linkage::rule(&device.app_id, "r");
    let rule = nodes[0].insert_linkage_rule(rule, vec![first.clone()], Vec::new(), 9).await.expect("a rule");
    for round in 0..50 {
        let timer = LinkageTimer { rule: rule.no, at: at(round), ..first.clone() };
        let claims = nodes.iter().map(|node| {
            let acts = vec![NewDelivery { target, device: None, body: "{}".into(), at: T0 }];
            node.claim_linkage_timer(&timer, Some(at(round + 1)), acts)
        });
        let claims = futures_util::future::join_all(claims).await;
        let won = claims.into_iter().filter(|claim| *claim.as_ref().expect("an answer")).count();
        assert_eq!(won, 1, "round {round}");
    }
    assert_eq!(nodes[1].deliveries(target, 0, 99).await.expect("deliveries").len(), 50);
}

async fn nodes_report_for_the_same_devices(place: Arc<Place>) {
    let nodes = [place.open().await, place.open().await, place.open().await];
    let (_, product) = seed(&*nodes[0]).await;
    let mut devices = Vec::new();
    for i in 0..20 {
        devices.push(add_device(&*nodes[0], &product, &format!("d{i}")).await.no);
    }
    let mut tasks = Vec::new();
    for (n, node) in nodes.iter().enumerate() {
        for part in 0..4 {
            let (node, mut devices) = (Arc::clone(node), devices.clone());
            // Each in another order.
            devices.rotate_left(n * 5 + part * 3);
            tasks.push(tokio::spawn(async move {
                for round in 0..10 {
                    let text = format!(r#"{{"k{n}_{part}":{round}}}"#);
                    commit(&*node, devices.iter().map(|no| report(*no, "s", &text, round)).collect()).await;
                }
            }));
        }
    }
    for task in tasks {
        task.await.expect("every task commits");
    }
    for no in devices {
        let merged = object(&reported(&*nodes[0], no, "s").await);
        let expected = (0..3).flat_map(|n| (0..4).map(move |part| format!("k{n}_{part}")));
        for name in expected {
            assert_eq!(merged.get(&name).as_deref(), Some("9"), "{name} in {merged:?}");
        }
    }
}

async fn nodes_make_the_same_services_at_once(place: Arc<Place>) {
    let nodes = [place.open().await, place.open().await];
    let no = seed_device(&*nodes[0]).await.no;
    for round in 0..20 {
        let service = format!("s{round}");
        let (a, b) = tokio::join!(
            try_commit(&*nodes[0], vec![report(no, &service, r#"{"a":1}"#, 0)]),
            try_commit(&*nodes[1], vec![report(no, &service, r#"{"b":2}"#, 0)]),
        );
        a.and(b).expect("both nodes commit");
        let merged = object(&reported(&*nodes[0], no, &service).await);
        assert_eq!((merged.get("a").as_deref(), merged.get("b").as_deref()), (Some("1"), Some("2")), "round {round}");
    }
}

async fn another_node_sees_new_deliveries(place: Arc<Place>) {
    let (writer, reader) = (place.open().await, place.open().await);
    let (app, product) = seed(&*writer).await;
    let no = add_device(&*writer, &product, "d1").await.no;
    let target = writer.set_push_target(&app.id, "https://example.com", T0).await.expect("a target").no;
    let mut signal = reader.outbox_signals().subscribe(target);
    signal.borrow_and_update();
    // The reader may not have looked for the first time yet; it tells of what comes after that.
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    loop {
        assert!(tokio::time::Instant::now() < deadline, "the other node was never told");
        let deliveries = vec![delivery(target, None, "x")];
        commit(&*writer, vec![Unit { deliveries, ..unit(no, Change::None) }]).await;
        if tokio::time::timeout(Duration::from_secs(2), signal.changed()).await.is_ok() {
            break;
        }
    }
    assert!(!reader.deliveries(target, 0, 10).await.expect("deliveries").is_empty());
}

async fn deleting_beside_another_nodes_reports(place: Arc<Place>) {
    let (node, other) = (place.open().await, place.open().await);
    let (_, product) = seed(&*node).await;
    for round in 0..10 {
        let no = add_device(&*node, &product, &format!("d{round}")).await.no;
        let reports = {
            let other = Arc::clone(&other);
            tokio::spawn(async move {
                for i in 0..30 {
                    commit(&*other, vec![report(no, &format!("s{}", i % 3), r#"{"a":1}"#, i)]).await;
                }
            })
        };
        assert!(node.delete_device(no).await.expect("an answer"));
        reports.await.expect("reports of a deleted device are void, not errors");
        assert_eq!(other.shadow(no).await.expect("a shadow"), []);
    }
}

async fn the_history_of_deleted_devices_is_removed(place: Arc<Place>) {
    let store = place.open().await;
    let (_, product) = seed(&*store).await;
    let stays = add_device(&*store, &product, "stays").await.no;
    commit(&*store, vec![report(stays, "s", r#"{"a":1}"#, 0)]).await;
    // Left behind by a node that stopped after deleting.
    let orphans = "INSERT INTO history_purge (device, instance, app) VALUES (4711, 1, 1);
        INSERT INTO history (device, event_time, arrival, app, instance, service, properties)
        SELECT 4711, i, i, 1, 1, 's', '{}' FROM generate_series(1, 12000) i";
    cluster::execute(place.url(), orphans).await;
    let node = place.open().await;
    // And deleted now.
    let gone = add_device(&*node, &product, "gone").await.no;
    commit(&*node, vec![report(gone, "s", r#"{"a":1}"#, 0)]).await;
    assert!(node.delete_device(gone).await.expect("an answer"));
    let client = cluster::connect(place.url()).await;
    let left = "SELECT (SELECT count(*) FROM history), (SELECT count(*) FROM history_purge)";
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    loop {
        let row = client.query_one(left, &[]).await.expect("an answer");
        let left: (i64, i64) = (row.get(0), row.get(1));
        if left == (1, 0) {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "{left:?} rows are left");
    }
}

/// Ends every connection to the database of the given kind but the caller's.
const TERMINATE: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name = 'causeway'";

async fn a_lost_connection_fails_the_tickets_and_is_made_anew(place: Arc<Place>) {
    let store = place.open().await;
    let no = seed_device(&*store).await.no;
    commit(&*store, vec![report(no, "s", r#"{"a":1}"#, 0)]).await;

    // A commit that cannot go on, because somebody holds the table.
    let mut holder = cluster::connect(place.url()).await;
    let held = holder.transaction().await.expect("a transaction");
    held.batch_execute("LOCK TABLE history IN ACCESS EXCLUSIVE MODE").await.expect("the table");
    let ticket = store.submit(vec![report(no, "s", r#"{"a":2}"#, 0)]).await;
    let waiting =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    loop {
        assert!(tokio::time::Instant::now() < deadline, "the commit never waited for the table");
        let row = held.query_one(waiting, &[]).await.expect("an answer");
        if row.get::<_, i64>(0) > 0 {
            break;
        }
        tokio::task::yield_now().await;
    }
    held.execute(TERMINATE, &[]).await.expect("an answer");
    let error = ticket.await.expect("an answer").expect_err("the connection is gone");
    assert_eq!(error.kind(), Kind::Unavailable, "{error:?}");
    held.rollback().await.expect("the table is free");

    // The next ones go over a new connection.
    commit(&*store, vec![report(no, "s", r#"{"b":3}"#, 0)]).await;
    assert_eq!(reported(&*store, no, "s").await, r#"{"a":1,"b":3}"#);
    // And while nothing happens, connections may go unnoticed.
    cluster::execute(place.url(), TERMINATE).await;
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while let Err(e) = try_commit(&*store, vec![report(no, "s", r#"{"c":4}"#, 0)]).await {
        assert_eq!(e.kind(), Kind::Unavailable, "{e:?}");
        assert!(tokio::time::Instant::now() < deadline, "the store never came back: {e:?}");
    }
    let mut answer = store.device_by_no(no).await;
    while let Err(e) = &answer {
        assert_eq!(e.kind(), Kind::Unavailable, "{e:?}");
        assert!(tokio::time::Instant::now() < deadline, "the pool never came back: {e:?}");
        answer = store.device_by_no(no).await;
    }
    assert_eq!(reported(&*store, no, "s").await, r#"{"a":1,"b":3,"c":4}"#);
}

async fn a_server_that_is_away_is_unavailable(place: Arc<Place>) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let host = folder.path().to_str().expect("a plain name").replace('/', "%2F");
    let url = Some(format!("postgres://causeway:secret@{host}/none"));
    let error = open(&StoreSettings { url, ..StoreSettings::default() }, folder.path()).await.err().expect("no server");
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(!format!("{error:?}").contains("secret"), "{error:?}");

    // Or goes away while it is used: the database cannot be connected to any more.
    let store = place.open().await;
    let no = seed_device(&*store).await.no;
    let gone = format!("ALTER DATABASE {} ALLOW_CONNECTIONS false", database(&place));
    cluster::execute(&admin(&place), &gone).await;
    cluster::execute(&admin(&place), &TERMINATE.replace("current_database()", &format!("'{}'", database(&place))))
        .await;
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    loop {
        let outcome = try_commit(&*store, vec![report(no, "s", r#"{"a":1}"#, 0)]).await;
        assert!(tokio::time::Instant::now() < deadline, "the commit did not fail: {outcome:?}");
        if let Err(error) = outcome {
            assert_eq!(error.kind(), Kind::Unavailable, "{error:?}");
            break;
        }
    }
    loop {
        let outcome = store.ping().await;
        assert!(tokio::time::Instant::now() < deadline, "the ping did not fail: {outcome:?}");
        if let Err(error) = outcome {
            assert_eq!(error.kind(), Kind::Unavailable, "{error:?}");
            break;
        }
    }
}

fn database(place: &Place) -> &str {
    place.url().rsplit('/').next().and_then(|rest| rest.split('?').next()).expect("a database name")
}

fn admin(place: &Place) -> String {
    place.url().replace(database(place), "postgres")
}

async fn tls_is_refused_clearly(place: Arc<Place>) {
    let join = if place.url().contains('?') { '&' } else { '?' };
    let url = Some(format!("{}{join}sslmode=require", place.url()));
    let settings = StoreSettings { url, ..place.settings.clone() };
    let error = open(&settings, place.folder()).await.err().expect("TLS is not built");
    assert_eq!(error.code(), Code::NotBuilt);
    assert!(error.message().contains("sslmode"), "{error:?}");
    // The time of a message shows that the rest of this place works.
    let store: Arc<dyn Store> = place.open().await;
    assert_eq!(store.expired_messages(at(0), 1).await.expect("no messages").len(), 0);
}
