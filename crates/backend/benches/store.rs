//! What a report costs in the embedded store, and what it would cost the plain way.
//!
//! ```sh
//! cargo bench -p causeway-backend --bench store -- [reports] [devices …]
//! ```
//!
//! Prints processor time (user and kernel) a report, with the time that the generator of the reports takes subtracted,
//! until everything is in its tables. `calls of 500` hands over 500 reports at once; `calls of 1` one at a time with
//! 2,000 waiting, as connections do; `40,000/s` one at a time at that pace. `plain` inserts a row, its index entry and
//! the merged shadow in the commit.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use causeway_backend::StoreSettings;
use causeway_backend::sqlite::SqliteStore;
use causeway_model::history::HistoryQuery;
use causeway_model::properties::PropertyObject;
use causeway_model::registry::{App, AuthType, Device, DeviceAuth, DeviceFilter, PageRequest, Product};
use causeway_model::status::DeviceStatus;
use causeway_model::{AppId, DeviceId, DeviceNo, NodeId, ProductId, RecordNo, Spaces, Timestamp};
use causeway_platform::app::AppStore;
use causeway_platform::device::DeviceStore;
use causeway_platform::history::HistoryStore;
use causeway_platform::instance::InstanceStore;
use causeway_platform::product::ProductStore;
use causeway_platform::shadow::ShadowStore;
use causeway_platform::uplink::{Change, ReportRow, Unit, UplinkStore};

const BATCH: usize = 500;

/// User and kernel time of the process. In ticks of 10 ms.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("fields").split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().expect("utime") + fields[12].parse::<u64>().expect("stime");
    Duration::from_millis(ticks * 10)
}

/// User and kernel time of the store's own threads so far.
fn cpu_of(thread: &str) -> Duration {
    let mut ticks = 0;
    for task in std::fs::read_dir("/proc/self/task").expect("Linux").flatten() {
        let stat = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
        if stat.contains(&format!("({thread})")) {
            let fields: Vec<&str> = stat.rsplit(')').next().expect("fields").split_whitespace().collect();
            ticks += fields[11].parse::<u64>().expect("utime") + fields[12].parse::<u64>().expect("stime");
        }
    }
    Duration::from_millis(ticks * 10)
}

fn rss_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|l| l.starts_with("VmRSS")).expect("VmRSS");
    line.split_whitespace().nth(1).and_then(|kb| kb.parse::<u64>().ok()).unwrap_or(0) / 1024
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

async fn populate(store: &SqliteStore, count: usize) -> Vec<DeviceNo> {
    let app = App {
        no: RecordNo(0),
        id: AppId::trusted("app"),
        name: "app".into(),
        created_at: Timestamp(1),
        is_default: false,
    };
    let app = store.insert_app(app, 1).await.expect("app");
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
    let product = store.insert_product(product).await.expect("product");
    let device = |n: usize| Device {
        no: DeviceNo(0),
        app_id: app.id.clone(),
        app_name: String::new(),
        id: DeviceId::trusted(format!("product_device-{n:08}")),
        node_id: NodeId::trusted(format!("device-{n:08}")),
        name: Some(format!("Device {n}")),
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
    let mut numbers = Vec::with_capacity(count);
    for chunk in (0..count).collect::<Vec<_>>().chunks(500) {
        let added = futures_util::future::join_all(chunk.iter().map(|n| store.insert_device(device(*n), Vec::new())));
        numbers.extend(added.await.into_iter().map(|d| d.expect("device").no));
    }
    numbers
}

fn tell(name: &str, devices: usize, reports: usize, used: Duration, wall: Duration) {
    println!(
        "{name:<14} {devices:>7} devices  {:>6.2} µs CPU a report  {:>8.0} reports/s  RSS {} MB",
        used.as_secs_f64() * 1e6 / reports as f64,
        reports as f64 / wall.as_secs_f64(),
        rss_mb(),
    );
}

/// The generator alone, per report.
fn generator(reports: usize, devices: usize) -> Duration {
    let before = cpu();
    let mut sum = 0;
    for n in 0..reports {
        let unit = std::hint::black_box(unit(DeviceNo((n % devices) as i64), n));
        sum += unit.device.0;
    }
    std::hint::black_box(sum);
    cpu() - before
}

/// How reports are handed over.
#[derive(Clone, Copy)]
enum Pace {
    /// So many a call, 2,000 waiting.
    Calls(usize),
    /// So many calls of one report a millisecond.
    PerMillisecond(usize),
}

/// Devices report in no order.
fn device_of(n: usize, devices: usize) -> usize {
    (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20) % devices
}

async fn through_store(dir: &Path, devices: usize, reports: usize, pace: Pace, idle: Duration) {
    let store = Arc::new(SqliteStore::open(&dir.join("causeway.db"), &StoreSettings::default()).await.expect("open"));
    let started = Instant::now();
    let numbers = populate(&store, devices).await;
    println!("{devices} devices registered, {:?} each, 500 at once", started.elapsed() / devices as u32);
    let threads = ["store-writer", "store-checkpoin"];
    let threads_before = threads.map(cpu_of);
    let (before, started) = (cpu(), Instant::now());
    let (call, burst) = match pace {
        Pace::Calls(call) => (call, usize::MAX),
        Pace::PerMillisecond(burst) => (1, burst),
    };
    let (tickets, mut arriving) = tokio::sync::mpsc::channel(if burst == usize::MAX { 2000 / call } else { 20_000 });
    let collector = tokio::spawn(async move {
        let mut latencies = Vec::new();
        while let Some((since, ticket)) = arriving.recv().await {
            let ticket: causeway_platform::uplink::CommitTicket = ticket;
            ticket.await.expect("the writer answers").expect("committed");
            let since: Instant = since;
            latencies.push(since.elapsed());
        }
        latencies
    });
    let mut ticks = tokio::time::interval(Duration::from_millis(1));
    for (calls, n) in (0..reports).step_by(call).enumerate() {
        if calls.is_multiple_of(burst) && calls > 0 {
            ticks.tick().await;
        }
        let units = (n..n + call).map(|n| unit(numbers[device_of(n, devices)], n)).collect();
        let since = Instant::now();
        tickets.send((since, store.submit(units).await)).await.expect("the collector listens");
    }
    drop(tickets);
    let mut latencies = collector.await.expect("the collector ends");
    let wall = started.elapsed();
    // Until everything is in its tables.
    store.trim_history(Timestamp(0)).await.expect("flushed");
    let name = match pace {
        Pace::Calls(call) => format!("calls of {call}"),
        Pace::PerMillisecond(burst) => format!("{burst},000/s"),
    };
    tell(&name, devices, reports, (cpu() - before).saturating_sub(idle), wall);
    let shares = [0, 1].map(|at| (cpu_of(threads[at]) - threads_before[at]).as_secs_f64() * 1e6 / reports as f64);
    println!("{:15}of that the writer {:.2} µs, the checkpointer {:.2} µs", "", shares[0], shares[1]);
    latencies.sort();
    println!(
        "{:15}commit latency p50 {:?} p99 {:?}",
        "",
        latencies[latencies.len() / 2],
        latencies[latencies.len() * 99 / 100]
    );
    read(&store, &numbers).await;
    registry(&store, &numbers).await;
    store.close().await;
    // In a process of its own, to see its memory.
    let program = std::env::current_exe().expect("this program");
    std::process::Command::new(program).arg("--open").arg(dir).status().expect("it runs");
}

async fn at_rest(dir: &Path) {
    let started = Instant::now();
    let store = SqliteStore::open(&dir.join("causeway.db"), &StoreSettings::default()).await.expect("open");
    store.ping().await.expect("ready");
    let size = std::fs::metadata(store.path()).map_or(0, |m| m.len()) >> 20;
    println!("{:15}start {:?}, RSS {} MB, file {size} MB", "", started.elapsed(), rss_mb());
    let started = Instant::now();
    store.delete_app(&AppId::trusted("app")).await.expect("deleted");
    println!("{:15}space deleted in {:?}", "", started.elapsed());
    store.close().await;
}

async fn read(store: &SqliteStore, numbers: &[DeviceNo]) {
    let sample: Vec<DeviceNo> = numbers.iter().step_by(numbers.len().div_ceil(500)).copied().collect();
    let started = Instant::now();
    for device in &sample {
        store.shadow(*device).await.expect("shadow");
    }
    let shadow = started.elapsed() / sample.len() as u32;
    let started = Instant::now();
    let mut rows = 0;
    for device in &sample {
        let query = HistoryQuery {
            device: *device,
            service_id: None,
            from: Timestamp(0),
            to: Timestamp(i64::MAX),
            descending: true,
            after: None,
            limit: 50,
        };
        rows += store.history(&query).await.expect("history").len();
    }
    println!(
        "{:15}shadow {shadow:?}, newest {} reports {:?}",
        "",
        rows / sample.len(),
        started.elapsed() / sample.len() as u32
    );
}

async fn registry(store: &SqliteStore, numbers: &[DeviceNo]) {
    let started = Instant::now();
    for n in 0..200 {
        let id = DeviceId::trusted(format!("product_device-{:08}", device_of(n, numbers.len())));
        store.device(&id).await.expect("read").expect("device");
    }
    let one = started.elapsed() / 200;
    let page = PageRequest { marker: RecordNo::LAST, offset: 0, limit: 50 };
    let started = Instant::now();
    let filter = DeviceFilter { spaces: Spaces::one(AppId::trusted("app")), ..DeviceFilter::default() };
    let count = store.list_devices(&filter, page).await.expect("page").count;
    let of_app = started.elapsed();
    let started = Instant::now();
    let filter = DeviceFilter { name: Some("99".into()), ..DeviceFilter::default() };
    store.list_devices(&filter, page).await.expect("page");
    println!("{:15}device {one:?}, page of {count} {of_app:?}, page by part of a name {:?}", "", started.elapsed());
}

/// Everything in the commit: row, index entry, shadow.
fn plain(dir: &Path, devices: usize, reports: usize, idle: Duration) {
    let mut conn = rusqlite::Connection::open(dir.join("plain.db")).expect("file");
    conn.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(())).expect("WAL");
    conn.pragma_update(None, "synchronous", "FULL").expect("FULL");
    conn.pragma_update(None, "cache_size", -16384).expect("cache");
    conn.pragma_update(None, "wal_autocheckpoint", 8192).expect("checkpoints");
    conn.execute_batch(
        "CREATE TABLE history (seq INTEGER PRIMARY KEY, device INTEGER NOT NULL, event_time INTEGER NOT NULL,
             arrival INTEGER NOT NULL, service_id TEXT NOT NULL, properties TEXT NOT NULL) STRICT;
         CREATE INDEX history_by_device ON history (device, event_time);
         CREATE TABLE shadow (device INTEGER NOT NULL, service_id TEXT NOT NULL, reported TEXT, reported_at INTEGER,
             PRIMARY KEY (device, service_id)) STRICT, WITHOUT ROWID;",
    )
    .expect("schema");
    let (before, started) = (cpu(), Instant::now());
    for start in (0..reports).step_by(BATCH) {
        let units: Vec<Unit> =
            (start..start + BATCH).map(|n| unit(DeviceNo(device_of(n, devices) as i64), n)).collect();
        let tx = conn.transaction().expect("begin");
        {
            let mut append = tx
                .prepare_cached("INSERT INTO history (device, event_time, arrival, service_id, properties) VALUES (?1, ?2, ?3, ?4, ?5)")
                .expect("statement");
            // The new report has all names of the one before: the best case, nothing is read and merged.
            let mut lay = tx
                .prepare_cached(
                    "INSERT INTO shadow (device, service_id, reported, reported_at) VALUES (?1, ?2, ?3, ?4) \
                     ON CONFLICT DO UPDATE SET reported = excluded.reported, reported_at = excluded.reported_at",
                )
                .expect("statement");
            for unit in units {
                let Change::Report(rows) = unit.change else { unreachable!("only reports are made") };
                for row in rows {
                    let (device, text) = (unit.device.0, row.properties.as_str());
                    append
                        .execute(rusqlite::params![device, row.event_time.0, unit.arrival.0, &*row.service_id, text])
                        .expect("append");
                    lay.execute(rusqlite::params![device, &*row.service_id, text, row.event_time.0]).expect("lay");
                }
            }
        }
        tx.commit().expect("commit");
    }
    tell("plain", devices, reports, (cpu() - before).saturating_sub(idle), started.elapsed());
}

fn main() {
    // `cargo test --benches` runs this with an argument of its own: nothing is measured then.
    let numbers: Vec<usize> = std::env::args().skip(1).filter_map(|a| a.parse().ok()).collect();
    if std::env::args().any(|a| a == "--test") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().expect("runtime");
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some("--open") {
        let dir = arguments.next().expect("a folder");
        return runtime.block_on(at_rest(Path::new(&dir)));
    }
    let reports = numbers.first().copied().unwrap_or(500_000) / BATCH * BATCH;
    let devices = if numbers.len() > 1 { numbers[1..].to_vec() } else { vec![100, 1000, 10_000] };
    for devices in devices {
        let idle = generator(reports, devices);
        let all = [Pace::Calls(BATCH), Pace::Calls(1), Pace::PerMillisecond(40)];
        // For a profiler: one way only.
        let only = std::env::var("STORE_BENCH_WAY").ok().and_then(|way| way.parse::<usize>().ok());
        for (at, pace) in all.into_iter().enumerate() {
            if only.is_some_and(|only| only != at) {
                continue;
            }
            let folder = tempfile::tempdir().expect("folder");
            runtime.block_on(through_store(folder.path(), devices, reports, pace, idle));
        }
        if only.is_some() {
            continue;
        }
        let folder = tempfile::tempdir().expect("folder");
        plain(folder.path(), devices, reports, idle);
    }
}
