//! Tests of what only this store has: its memory, its slices, its file. What both stores promise is in `tests/contract`.

use std::path::Path;
use std::time::Duration;

use causeway_model::history::HistoryQuery;
use causeway_model::properties::PropertyObject;
use causeway_model::registry::{App, AuthType, Device, DeviceAuth, Product};
use causeway_model::settings::{ByteSize, Span};
use causeway_model::status::DeviceStatus;
use causeway_model::{AppId, DeviceId, DeviceNo, NodeId, ProductId, RecordNo, Timestamp};
use causeway_platform::app::AppStore;
use causeway_platform::device::DeviceStore;
use causeway_platform::product::ProductStore;
use causeway_platform::uplink::{Change, ReportRow, Unit, UplinkStore};

use super::SqliteStore;
use crate::StoreSettings;

mod crash;
mod file;
mod running;

/// Settings that carry over early and often.
fn small() -> StoreSettings {
    StoreSettings {
        gather: Span::millis(0),
        unindexed: ByteSize(3000),
        unindexed_age: Span::secs(3600),
        cache: ByteSize(1 << 20),
        ..StoreSettings::default()
    }
}

async fn open(dir: &Path, settings: &StoreSettings) -> SqliteStore {
    SqliteStore::open(&dir.join("causeway.db"), settings).await.expect("the store opens")
}

pub(super) fn device_named(product: &Product, name: &str) -> Device {
    Device {
        no: DeviceNo(0),
        app_id: product.app_id.clone(),
        app_name: String::new(),
        id: DeviceId::trusted(name),
        node_id: NodeId::trusted(name),
        name: None,
        description: None,
        product_no: product.no,
        product_id: product.id.clone(),
        product_name: String::new(),
        gateway_id: None,
        fw_version: None,
        sw_version: None,
        sdk_version: None,
        auth: DeviceAuth {
            auth_type: AuthType::Secret,
            secret: None,
            secondary_secret: None,
            fingerprint: None,
            secondary_fingerprint: None,
            secure_access: false,
            timeout_s: 0,
        },
        connection: DeviceStatus::Inactive,
        frozen: false,
        created_at: Timestamp(1),
        status_changed_at: None,
        activated_at: None,
        last_online_at: None,
        extension_info: None,
        tags: Vec::new(),
    }
}

pub(super) fn app_named(name: &str) -> App {
    App { no: RecordNo(0), id: AppId::trusted(name), name: name.into(), created_at: Timestamp(1), is_default: false }
}

pub(super) fn product_named(app: &App, name: &str) -> Product {
    Product {
        no: RecordNo(0),
        app_id: app.id.clone(),
        app_name: String::new(),
        id: ProductId::trusted(name),
        name: name.into(),
        device_type: "t".into(),
        protocol_type: "MQTT".into(),
        data_format: "json".into(),
        manufacturer_name: None,
        industry: None,
        description: None,
        services: Vec::new(),
        topics: Vec::new(),
        created_at: Timestamp(1),
    }
}

/// A space with a product and `count` devices.
async fn populate(store: &SqliteStore, count: usize) -> Vec<Device> {
    let app = store.insert_app(app_named("app"), 10).await.expect("app");
    let product = store.insert_product(product_named(&app, "product")).await.expect("product");
    let mut devices = Vec::new();
    for n in 0..count {
        let device = device_named(&product, &format!("device-{n}"));
        devices.push(store.insert_device(device, Vec::new()).await.expect("device"));
    }
    devices
}

fn report(device: DeviceNo, service: &str, properties: &str, at: i64) -> Unit {
    let row = ReportRow {
        service_id: service.into(),
        properties: PropertyObject::parse(properties).expect("test object"),
        event_time: Timestamp(at),
    };
    Unit {
        device,
        arrival: Timestamp(at + 1),
        change: Change::Report(std::iter::once(row).collect()),
        deliveries: Vec::new(),
    }
}

async fn commit(store: &SqliteStore, units: Vec<Unit>) {
    store.submit(units).await.await.expect("the writer answers").expect("committed");
}

fn everything(device: DeviceNo) -> HistoryQuery {
    HistoryQuery {
        device,
        service_id: None,
        from: Timestamp(i64::MIN),
        to: Timestamp(i64::MAX),
        descending: false,
        after: None,
        limit: 100_000,
    }
}

/// Waits for a condition that the writer brings about in the background.
async fn eventually<F: Future<Output = bool>>(what: &str, condition: impl Fn() -> F) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while !condition().await {
        assert!(tokio::time::Instant::now() < deadline, "{what} did not come about");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
