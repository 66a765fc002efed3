//! What a report costs in PostgreSQL, from `submit` to its ticket.
//!
//! ```sh
//! cargo bench -p causeway-backend --bench postgres -- postgres://user@host/new-database [devices] [reports]
//! ```
//!
//! Prints reports a second, and processor time (user and kernel) a report of this process and, when the server runs on
//! this machine, of the server. `calls of 500` hands over 500 reports at once; `calls of 1` one at a time with 2,000
//! waiting, as connections do. The database should be new; what was written stays in it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use causeway_backend::StoreSettings;
use causeway_backend::postgres::PostgresStore;
use causeway_model::properties::PropertyObject;
use causeway_model::registry::{App, AuthType, Device, DeviceAuth, Product};
use causeway_model::status::DeviceStatus;
use causeway_model::{AppId, DeviceId, DeviceNo, NodeId, ProductId, RecordNo, Timestamp};
use causeway_platform::app::AppStore;
use causeway_platform::device::DeviceStore;
use causeway_platform::instance::InstanceStore;
use causeway_platform::product::ProductStore;
use causeway_platform::uplink::{Change, ReportRow, Unit, UplinkStore};
use tokio_postgres::NoTls;

/// User and kernel time of a process, in ticks of 10 ms; zero when it is not on this machine or has ended.
fn cpu(process: &str) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|f| f.parse::<u64>().ok()).unwrap_or(0);
    Duration::from_millis((ticks(11) + ticks(12)) * 10)
}

/// The server's processes, those that write behind the connections among them.
async fn server_cpu(url: &str) -> Duration {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("the server answers");
    tokio::spawn(connection);
    let rows = client.query("SELECT pid FROM pg_stat_activity", &[]).await.expect("processes");
    rows.iter().map(|row| cpu(&row.get::<_, i32>(0).to_string())).sum()
}

/// About 250 bytes of properties.
fn unit(device: DeviceNo, n: usize) -> Unit {
    let text = format!(
        r#"{{"temperature":{}.{},"humidity":{},"pressure":{},"voltage":3.{},"state":"running","signal":-{},"counter":{n},"position":{{"lat":52.520008,"lon":13.404954}},"note":"abcdefghijklmnopqrstuvwxyz abcdefghijklmnopqrstuvwxyz abcdefgh"}}"#,
        n % 40,
        n % 10,
        n % 100,
        900 + n % 200,
        n % 10,
        n % 90,
    );
    let row = ReportRow {
        service_id: "Environment".into(),
        properties: PropertyObject::trusted(text),
        event_time: Timestamp(1_700_000_000_000 + n as i64),
    };
    Unit {
        device,
        arrival: Timestamp(1_700_000_000_003 + n as i64),
        change: Change::Report(std::iter::once(row).collect()),
        deliveries: Vec::new(),
    }
}

async fn populate(store: &PostgresStore, count: usize) -> Vec<DeviceNo> {
    let app = App {
        no: RecordNo(0),
        id: AppId::trusted("app"),
        name: "app".into(),
        created_at: Timestamp(1),
        is_default: false,
    };
    let app = store.insert_app(app, 1).await.expect("a space");
    let product = Product {
        no: RecordNo(0),
        app_id: app.id.clone(),
        app_name: String::new(),
        id: ProductId::trusted("product"),
        name: "product".into(),
        device_type: "t".into(),
        protocol_type: "MQTT".into(),
        data_format: "json".into(),
        manufacturer_name: None,
        industry: None,
        description: None,
        services: Vec::new(),
        topics: Vec::new(),
        created_at: Timestamp(1),
    };
    let product = store.insert_product(product).await.expect("a product");
    let mut numbers = Vec::with_capacity(count);
    for i in 0..count {
        let device = Device {
            no: DeviceNo(0),
            app_id: app.id.clone(),
            app_name: String::new(),
            id: DeviceId::trusted(format!("product_device{i:06}")),
            node_id: NodeId::trusted(format!("device{i:06}")),
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
        };
        numbers.push(store.insert_device(device, Vec::new()).await.expect("a device").no);
    }
    numbers
}

/// Submits `reports` in calls of `size` with `waiting` reports under way; returns the latencies of the calls.
async fn drive(
    store: &Arc<PostgresStore>,
    devices: &[DeviceNo],
    reports: usize,
    size: usize,
    waiting: usize,
) -> Vec<Duration> {
    let workers = (waiting / size).max(1);
    let tasks: Vec<_> = (0..workers)
        .map(|worker| {
            let (store, devices) = (Arc::clone(store), devices.to_vec());
            tokio::spawn(async move {
                let calls = reports / size / workers;
                let mut latencies = Vec::with_capacity(calls);
                for call in 0..calls {
                    let first = (call * workers + worker) * size;
                    let units = (first..first + size).map(|n| unit(devices[n % devices.len()], n)).collect();
                    let started = Instant::now();
                    store.submit(units).await.await.expect("an answer").expect("committed");
                    latencies.push(started.elapsed());
                }
                latencies
            })
        })
        .collect();
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(task.await.expect("no panic"));
    }
    latencies.sort();
    latencies
}

#[tokio::main]
async fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let Some(url) = words.first() else {
        println!("no URL of a new database given; nothing measured");
        return;
    };
    let number = |at: usize, default| words.get(at).and_then(|w| w.parse().ok()).unwrap_or(default);
    let (count, reports) = (number(1, 1000), number(2, 200_000));
    let store = Arc::new(PostgresStore::open(url, &StoreSettings::default()).await.expect("the store opens"));
    let devices = populate(&store, count).await;
    drive(&store, &devices, count * 4, 500, 2000).await;
    for (size, waiting) in [(500, 2000), (1, 2000), (1, 100)] {
        let (client, server, started) = (cpu("self"), server_cpu(url).await, Instant::now());
        let latencies = drive(&store, &devices, reports, size, waiting).await;
        let wall = started.elapsed();
        let (client, server) = (cpu("self") - client, server_cpu(url).await.saturating_sub(server));
        let done = (latencies.len() * size) as f64;
        let per_report = |time: Duration| time.as_secs_f64() * 1e6 / done;
        println!(
            "calls of {size:3}, {waiting:4} waiting: {:7.0} reports/s, µs a report: client {:5.1} server {:5.1}; \
             latency p50 {:?} p99 {:?}",
            done / wall.as_secs_f64(),
            per_report(client),
            per_report(server),
            latencies[latencies.len() / 2],
            latencies[latencies.len() * 99 / 100],
        );
    }
    store.close().await;
}
