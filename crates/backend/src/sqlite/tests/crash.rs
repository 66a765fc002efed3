//! A crash after every single transaction, simulated by opening a copy of the files.

use std::collections::BTreeMap;
use std::path::Path;

use causeway_model::DeviceNo;
use causeway_model::Timestamp;
use causeway_model::shadow::ServiceShadow;
use causeway_platform::app::AppStore;
use causeway_platform::device::DeviceStore;
use causeway_platform::history::HistoryStore;
use causeway_platform::instance::InstanceStore;
use causeway_platform::product::ProductStore;
use causeway_platform::shadow::{DesiredPatch, ShadowStore};
use causeway_platform::uplink::UplinkStore;

use super::super::writer::Writer;
use super::*;

/// What the store must answer.
#[derive(Clone, Default)]
struct Expected {
    /// By device: event time, seq, service, properties.
    history: BTreeMap<i64, Vec<(i64, i64, String, String)>>,
    shadows: BTreeMap<i64, BTreeMap<String, ServiceShadow>>,
    last_seq: i64,
}

impl Expected {
    fn report(&mut self, device: DeviceNo, service: &str, properties: &str, at: i64) {
        self.last_seq += 1;
        let rows = self.history.entry(device.0).or_default();
        rows.push((at, self.last_seq, service.into(), properties.into()));
        rows.sort();
        let shadow = self.shadow(device, service);
        shadow.report(&PropertyObject::parse(properties).expect("test object"), Timestamp(at));
    }

    fn shadow(&mut self, device: DeviceNo, service: &str) -> &mut ServiceShadow {
        let services = self.shadows.entry(device.0).or_default();
        services.entry(service.into()).or_insert_with(|| ServiceShadow::new(service))
    }

    async fn check(&self, store: &SqliteStore, devices: &[DeviceNo], context: &str) {
        for device in devices {
            let rows = store.history(&everything(*device)).await.expect("history");
            let found: Vec<_> = rows
                .into_iter()
                .map(|r| (r.event_time.0, r.seq, r.service_id, r.properties.as_str().to_owned()))
                .collect();
            assert_eq!(found, self.history.get(&device.0).cloned().unwrap_or_default(), "history {context}");
            let found = store.shadow(*device).await.expect("shadow");
            let expected: Vec<_> = self
                .shadows
                .get(&device.0)
                .into_iter()
                .flat_map(|s| s.values())
                .filter(|s| s.reported.is_some() || s.desired.is_some())
                .cloned()
                .collect();
            assert_eq!(found, expected, "shadow {context}");
        }
    }
}

fn copy(from: &Path, to: &Path) {
    for suffix in ["", "-wal"] {
        let name = format!("causeway.db{suffix}");
        std::fs::copy(from.join(&name), to.join(&name)).expect("copy");
    }
}

/// Opens a copy as after `kill -9`, checks it, closes it in order, and checks that once more.
async fn crash_and_check(from: &Path, expected: &Expected, devices: &[DeviceNo], context: &str) {
    let dir = tempfile::tempdir().expect("folder");
    copy(from, dir.path());
    let store = open(dir.path(), &small()).await;
    expected.check(&store, devices, &format!("{context}, after the crash")).await;
    // A second crash right after the start, and a proper end.
    store.close().await;
    let store = open(dir.path(), &small()).await;
    expected.check(&store, devices, &format!("{context}, after the end")).await;
    store.close().await;
}

async fn step<T>(writer: &mut Writer, work: impl Future<Output = T>) -> T {
    let (done, ()) = tokio::join!(biased; work, async { assert!(writer.turn()) });
    done
}

/// A fixed sequence of numbers that looks random.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

#[tokio::test]
async fn a_crash_after_any_transaction_loses_and_invents_nothing() {
    let dir = tempfile::tempdir().expect("folder");
    let (store, mut writer, _ended) =
        SqliteStore::prepare(dir.path().join("causeway.db"), &small()).expect("the store opens");
    // One row a slice: as many points to crash at as possible.
    writer.slice = 1;
    let app = step(&mut writer, store.insert_app(app_named("app"), 10)).await.expect("app");
    let product = step(&mut writer, store.insert_product(product_named(&app, "product"))).await.expect("product");
    let mut devices = Vec::new();
    for n in 0..4 {
        let device = device_named(&product, &format!("device-{n}"));
        devices.push(step(&mut writer, store.insert_device(device, Vec::new())).await.expect("device").no);
    }
    let mut expected = Expected::default();
    let mut dice = Dice(0x1234_5678_9abc_def1);
    let (mut crashes_while_folding, mut deleted) = (0, 0);
    for turn in 0..160_i64 {
        let device = devices[dice.below(4) as usize];
        let kind = dice.below(40);
        if kind == 0 {
            step(&mut writer, store.delete_shadow(device)).await.expect("deleted");
            expected.shadows.remove(&device.0);
            deleted += 1;
        } else if kind <= 2 {
            let patch = PropertyObject::parse(&format!(r#"{{"a":{turn}}}"#)).expect("test object");
            let change = DesiredPatch { service_id: "s0".into(), patch: patch.clone(), expected_version: None };
            step(&mut writer, store.desire(device, vec![change], Timestamp(turn))).await.expect("desired");
            expected.shadow(device, "s0").desire(&patch, None, Timestamp(turn)).expect("no version asked");
        } else {
            let mut units = Vec::new();
            for n in 0..=dice.below(8) as i64 {
                let device = devices[dice.below(4) as usize];
                let service = format!("s{}", dice.below(2));
                let at = 1000 + dice.below(500) as i64;
                let properties = match dice.below(3) {
                    0 => format!(r#"{{"a":{turn},"b":{n}}}"#),
                    1 => format!(r#"{{"b":{turn}}}"#),
                    _ => format!(r#"{{"c":"{turn}/{n}"}}"#),
                };
                expected.report(device, &service, &properties, at);
                units.push(super::report(device, &service, &properties, at));
            }
            let ticket = store.submit(units).await;
            assert!(writer.turn());
            ticket.await.expect("the writer answers").expect("committed");
        }
        let folding = writer.memory.read().frozen.is_some();
        expected.check(&store, &devices, &format!("turn {turn}, running")).await;
        if folding || turn % 8 == 0 {
            crashes_while_folding += usize::from(folding);
            crash_and_check(dir.path(), &expected, &devices, &format!("turn {turn}")).await;
        }
    }
    assert!(crashes_while_folding > 50, "only {crashes_while_folding} crashes while carrying over");
    assert!(deleted > 1, "the sequence deletes shadows");
}

#[tokio::test]
async fn numbers_go_on_after_everything_is_trimmed() {
    let dir = tempfile::tempdir().expect("folder");
    let store = open(dir.path(), &small()).await;
    let device = populate(&store, 1).await[0].no;
    commit(&store, vec![report(device, "s", r#"{"a":1}"#, 10), report(device, "s", r#"{"a":2}"#, 20)]).await;
    assert_eq!(store.trim_history(Timestamp(100)).await.expect("trimmed"), 2);
    store.close().await;
    let store = open(dir.path(), &small()).await;
    commit(&store, vec![report(device, "s", r#"{"a":3}"#, 5)]).await;
    let rows = store.history(&everything(device)).await.expect("history");
    assert_eq!(rows.iter().map(|r| (r.seq, r.event_time.0)).collect::<Vec<_>>(), [(3, 5)]);
    store.close().await;
}
