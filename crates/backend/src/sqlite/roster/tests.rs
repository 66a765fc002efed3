//! The roster answers what the tables answer, whatever happens.

use std::path::Path;

use causeway_model::registry::{Device, DeviceFilter, PageRequest};
use causeway_model::settings::ByteSize;
use causeway_model::{AppId, DeviceId, DeviceNo, NodeId, ProductId, RecordNo, Spaces, Timestamp};
use causeway_platform::app::AppStore;
use causeway_platform::device::DeviceStore;
use causeway_platform::instance::InstanceStore;
use causeway_platform::product::ProductStore;

use super::super::SqliteStore;
use super::super::device::list_from_tables;
use super::super::tests::{app_named, device_named, product_named};
use super::{Entry, State};
use crate::StoreSettings;

async fn open(folder: &Path, settings: &StoreSettings) -> SqliteStore {
    SqliteStore::open(&folder.join("causeway.db"), settings).await.expect("the store opens")
}

/// A source of choices that is the same every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }

    fn maybe<T>(&mut self, value: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (self.roll(2) == 0).then(|| value(self))
    }
}

const WORDS: [&str; 6] = ["a", "meter", "er 1", "街", "\u{0}", "x%_'"];

fn filter(dice: &mut Dice, ids: &[DeviceId]) -> DeviceFilter {
    let spaces = match dice.roll(4) {
        0 => Spaces::one(AppId::trusted("app-0")),
        1 => Spaces::Only([AppId::trusted("app-1"), AppId::trusted("app-0"), AppId::trusted("none")].into()),
        _ => Spaces::All,
    };
    DeviceFilter {
        spaces,
        product_id: dice.maybe(|d| ProductId::trusted(format!("product-{}", d.roll(4)))),
        gateway_id: dice.maybe(|d| ids[d.roll(ids.len())].clone()).filter(|_| dice.roll(2) == 0),
        cascade: dice.roll(2) == 0,
        node_id: None,
        name: dice.maybe(|d| WORDS[d.roll(WORDS.len())].to_owned()),
        from: dice.maybe(|d| Timestamp(d.roll(500) as i64)),
        to: dice.maybe(|d| Timestamp(d.roll(500) as i64)),
    }
}

async fn agree(store: &SqliteStore, filter: &DeviceFilter, page: PageRequest) -> u64 {
    let (asked, roster) = (filter.clone(), std::sync::Arc::clone(&store.roster));
    let by_roster = store.read(move |conn| roster.find(conn, &asked, page)).await.expect("an answer");
    let by_roster = by_roster.expect("the roster is ready");
    let asked = filter.clone();
    let by_tables = store.read(move |conn| list_from_tables(conn, &asked, page)).await.expect("a page");
    let numbers: Vec<i64> = by_tables.items.iter().map(|d| d.no.0).collect();
    assert_eq!((&by_roster.page, by_roster.count), (&numbers, by_tables.count), "{filter:?} {page:?}");
    let listed = store.list_devices(filter, page).await.expect("a page");
    assert_eq!((listed.items, listed.count, listed.marker), (by_tables.items, by_tables.count, by_tables.marker));
    by_roster.count
}

async fn step(store: &SqliteStore, dice: &mut Dice, products: &[causeway_model::registry::Product], turn: usize) {
    let page = PageRequest { marker: RecordNo::LAST, offset: 0, limit: 500 };
    let known = store.list_devices(&DeviceFilter::default(), page).await.expect("a page").items;
    match dice.roll(10) {
        0..=5 => {
            let new = (0..1 + dice.roll(40)).map(|n| {
                let product = &products[dice.roll(products.len())];
                let behind = dice.maybe(|d| known.get(d.roll(known.len() + 1)).map(|d| d.id.clone())).flatten();
                let device = Device {
                    name: dice.maybe(|d| format!("{}meter {n}{}", WORDS[d.roll(6)], WORDS[d.roll(6)])),
                    created_at: Timestamp(dice.roll(500) as i64),
                    gateway_id: behind,
                    ..device_named(product, &format!("d{turn}-{n}"))
                };
                (device, Vec::new())
            });
            let new: Vec<_> = new.collect();
            assert!(store.insert_devices(new).await.iter().all(Result::is_ok));
        }
        6 | 7 => {
            for _ in 0..1 + dice.roll(20) {
                let Some(device) = known.get(dice.roll(known.len() + 1)) else { continue };
                // Refused when devices are behind it.
                let _ = store.delete_device(device.no).await;
            }
        }
        8 => {
            let Some(device) = known.get(dice.roll(known.len() + 1)) else { return };
            let name = dice.maybe(|d| format!("renamed {}", WORDS[d.roll(6)].repeat(d.roll(4))));
            store.update_device(&Device { name, ..device.clone() }).await.expect("an answer");
        }
        _ => {
            let (Some(device), gateway) = (known.first(), known.last().map(|d| d.no.0)) else { return };
            let no = device.no.0;
            let moved = store.write(move |tx| {
                let sql = "UPDATE device SET gateway = ?2 WHERE no = ?1 AND no <> ?2";
                Ok(tx.conn.prepare_cached(sql)?.execute([Some(no), gateway])?)
            });
            moved.await.expect("moved");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_answers_as_the_tables_do() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let settings = StoreSettings::default();
    let mut store = open(folder.path(), &settings).await;
    let mut products = Vec::new();
    for space in ["app-0", "app-1", "app-2"] {
        let app = store.insert_app(app_named(space), 10).await.expect("a space");
        for id in ["product-0", "product-1", "product-2"] {
            products.push(store.insert_product(product_named(&app, id)).await.expect("a product"));
        }
    }
    let mut dice = Dice(7);
    let mut found = 0;
    for turn in 0..120 {
        step(&store, &mut dice, &products, turn).await;
        if turn == 40 {
            store.delete_app(&AppId::trusted("app-2")).await.expect("deleted");
            products.truncate(6);
        }
        if turn % 37 == 0 {
            store.close().await;
            drop(store);
            store = open(folder.path(), &settings).await;
        }
        let all = PageRequest { marker: RecordNo::LAST, offset: 0, limit: 1_000 };
        let ids = store.list_devices(&DeviceFilter::default(), all).await.expect("a page").items;
        let mut ids: Vec<DeviceId> = ids.into_iter().map(|d| d.id).collect();
        ids.push(DeviceId::trusted("none"));
        for _ in 0..6 {
            let page = PageRequest {
                marker: dice.maybe(|d| RecordNo(d.roll(1_500) as i64)).unwrap_or(RecordNo::LAST),
                offset: dice.roll(3) as u32 * 10,
                limit: 1 + dice.roll(50) as u32,
            };
            found += agree(&store, &filter(&mut dice, &ids), page).await;
        }
    }
    assert!(found > 1_000, "the filters find something: {found}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_devices_are_read_in_the_background_while_they_change() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let settings = StoreSettings::default();
    let store = open(folder.path(), &settings).await;
    let app = store.insert_app(app_named("app"), 10).await.expect("a space");
    let product = store.insert_product(product_named(&app, "product")).await.expect("a product");
    let new = (0..super::READ_AT_ONCE + 5_000).map(|n| {
        let device = device_named(&product, &format!("d{n}"));
        (Device { name: Some(format!("meter d{n}")), ..device }, Vec::new())
    });
    assert!(store.insert_devices(new.collect()).await.iter().all(Result::is_ok));
    store.close().await;
    drop(store);
    let store = open(folder.path(), &settings).await;
    for no in 1..100 {
        store.delete_device(DeviceNo(no)).await.expect("deleted");
        // The tables answer until the roster does, and nobody can tell.
        let page = PageRequest { marker: RecordNo(200), offset: 0, limit: 1 };
        let count = store.list_devices(&DeviceFilter::default(), page).await.expect("a page").count;
        assert_eq!(count, (super::READ_AT_ONCE + 5_000 - no) as u64);
    }
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while matches!(*store.roster.state.lock(), State::Loading(_)) {
        assert!(std::time::Instant::now() < deadline, "the roster is never ready");
        std::thread::yield_now();
    }
    let page = PageRequest { marker: RecordNo::LAST, offset: 7, limit: 50 };
    let named = DeviceFilter { name: Some("d19".to_owned()), ..DeviceFilter::default() };
    assert!(agree(&store, &named, page).await > 50);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_devices_than_it_may_hold_are_listed_all_the_same() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let settings = StoreSettings { list_memory: ByteSize(2_000), ..StoreSettings::default() };
    for turn in 0..2 {
        let store = open(folder.path(), &settings).await;
        let app = store.insert_app(app_named(&format!("app-{turn}")), 10).await.expect("a space");
        let product = store.insert_product(product_named(&app, "product")).await.expect("a product");
        let new = (0..200).map(|n| {
            let device = device_named(&product, &format!("d{turn}-{n}"));
            (Device { node_id: NodeId::trusted(format!("n{n}")), ..device }, Vec::new())
        });
        assert!(store.insert_devices(new.collect()).await.iter().all(Result::is_ok));
        assert!(matches!(*store.roster.state.lock(), State::Off));
        let page = PageRequest { marker: RecordNo::LAST, offset: 0, limit: 50 };
        let found = store.list_devices(&DeviceFilter::default(), page).await.expect("a page");
        assert_eq!((found.items.len(), found.count), (50, 200 * (turn + 1)));
        store.close().await;
    }
}

#[test]
fn a_bucket_forgets_what_it_had() {
    let entry = |no, gateway, name: &str| Entry { no, app: 1, product: 1, gateway, created_at: 0, name: name.into() };
    let mut table = super::Table::default();
    for no in 1..=3 {
        table.put(&entry(no, 0, "n"));
    }
    table.put(&entry(5_000, 2, "far"));
    table.put(&entry(3, 2, "longer"));
    assert_eq!((table.gateway_of(3), table.gateways_below(1), table.behind.get(&2)), (Some(2), vec![1], Some(&2)));
    table.put(&entry(2, 1, ""));
    assert_eq!(table.gateways_below(1), [1, 2]);
    for no in [5_000, 3, 2, 1, 1, 9_999] {
        table.remove(no);
    }
    assert_eq!((table.bytes, table.buckets.len(), table.behind.len()), (0, 0, 0));
}
