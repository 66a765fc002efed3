//! What a large registry costs in a store: registering, reading one device, and every kind of list.
//!
//! ```sh
//! cargo bench -p causeway-backend --bench registry -- [devices] [folder | postgres://user@host/database]
//! ```
//!
//! Registers devices of ten products in two spaces (default 1,000,000) while one device reports all the time, opens the
//! store anew, and prints the latency of reads. With a folder or a database the devices stay there, and those that are there
//! already are only read.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use causeway_backend::StoreSettings;
use causeway_model::properties::PropertyObject;
use causeway_model::registry::{
    App, AuthType, Device, DeviceAuth, DeviceFilter, PageRequest, Product, ProductFilter, Sealed,
};
use causeway_model::status::DeviceStatus;
use causeway_model::{AppId, DeviceId, DeviceNo, NodeId, ProductId, RecordNo, Spaces, Timestamp};
use causeway_platform::Store;
use causeway_platform::uplink::{Change, ReportRow, Unit};

const CALL: usize = 10_000;

fn status_mb(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|l| l.starts_with(field)).expect("a known field");
    line.split_whitespace().nth(1).and_then(|kb| kb.parse::<u64>().ok()).unwrap_or(0) / 1024
}

fn app(id: &str) -> App {
    App { no: RecordNo(0), id: AppId::trusted(id), name: id.into(), created_at: Timestamp(1), is_default: false }
}

fn product(app: &App, id: String) -> Product {
    Product {
        no: RecordNo(0),
        app_id: app.id.clone(),
        app_name: String::new(),
        name: format!("product {id}"),
        id: ProductId::trusted(id),
        device_type: "sensor".into(),
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

/// Numbers in no order, each once.
fn shuffled(n: usize) -> u64 {
    (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn device(product: &Product, n: usize, gateway: Option<DeviceId>) -> Device {
    let node_id = format!("{:016x}", shuffled(n));
    Device {
        no: DeviceNo(0),
        app_id: product.app_id.clone(),
        app_name: String::new(),
        id: DeviceId::trusted(format!("{}_{node_id}", product.id)),
        node_id: NodeId::trusted(node_id),
        name: Some(format!("meter {} of street {}", n, n % 5_000)),
        description: Some("made by the bench".into()),
        product_no: product.no,
        product_id: product.id.clone(),
        product_name: String::new(),
        gateway_id: gateway,
        fw_version: None,
        sw_version: None,
        sdk_version: None,
        auth: DeviceAuth {
            auth_type: AuthType::Secret,
            secret: Some(Sealed(vec![n as u8; 60].into())),
            secondary_secret: None,
            fingerprint: None,
            secondary_fingerprint: None,
            secure_access: false,
            timeout_s: 0,
        },
        connection: DeviceStatus::Inactive,
        frozen: false,
        created_at: Timestamp(1_700_000_000_000 + n as i64 * 10),
        status_changed_at: None,
        activated_at: None,
        last_online_at: None,
        extension_info: None,
        tags: Vec::new(),
    }
}

fn percentiles(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    format!("p50 {:>7.2} ms  p99 {:>7.2} ms  max {:>7.2} ms", at(0.5), at(0.99), at(1.0))
}

async fn fill(store: &Arc<dyn Store>, devices: usize) {
    let (a, b) = (store.insert_app(app("a"), 10).await.expect("a"), store.insert_app(app("b"), 10).await.expect("b"));
    let mut products = Vec::new();
    for n in 0..10 {
        let space = if n < 7 { &a } else { &b };
        products.push(store.insert_product(product(space, format!("product-{n}"))).await.expect("product"));
    }
    let gateway = store.insert_device(device(&products[0], usize::MAX, None), Vec::new()).await.expect("a gateway");
    let reporter = gateway.no;
    let (stop, mut stopped) = tokio::sync::watch::channel(());
    let reporting = {
        let store = Arc::clone(store);
        tokio::spawn(async move {
            let mut latencies = Vec::new();
            let mut pace = tokio::time::interval(Duration::from_millis(5));
            pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
            loop {
                tokio::select! { _ = pace.tick() => {} _ = stopped.changed() => return latencies }
                let since = Instant::now();
                let row = ReportRow {
                    service_id: "s".into(),
                    properties: PropertyObject::trusted(r#"{"a":1}"#),
                    event_time: Timestamp(1_700_000_000_000),
                };
                let change = Change::Report(std::iter::once(row).collect());
                let unit = Unit { device: reporter, arrival: Timestamp(1), change, deliveries: Vec::new() };
                store.submit(vec![unit]).await.await.expect("the writer answers").expect("committed");
                latencies.push(since.elapsed());
            }
        })
    };
    let (started, mut slowest) = (Instant::now(), f64::MAX);
    for from in (0..devices).step_by(CALL) {
        let since = Instant::now();
        let call = (from..devices.min(from + CALL))
            .map(|n| {
                let behind = (n % 100 == 7).then(|| gateway.id.clone());
                // Mostly in the order of products, as files are; a tenth in none.
                let product = if n % 10 == 0 { shuffled(n) as usize % 10 } else { n * 10 / devices };
                (device(&products[if behind.is_some() { 0 } else { product }], n, behind), Vec::new())
            })
            .collect();
        for outcome in store.insert_devices(call).await {
            outcome.expect("a new device");
        }
        slowest = slowest.min(CALL as f64 / since.elapsed().as_secs_f64());
    }
    let took = started.elapsed().as_secs_f64();
    drop(stop);
    let latencies = reporting.await.expect("the reporter ends");
    println!("registered {devices} in {took:.1} s: {:.0}/s, slowest call {slowest:.0}/s", devices as f64 / took);
    println!("reports meanwhile: {} {}", latencies.len(), percentiles(latencies));
    println!("RSS {} MB, at most {} MB", status_mb("VmRSS"), status_mb("VmHWM"));
}

async fn read(store: &dyn Store, devices: usize) {
    let newest = PageRequest { marker: RecordNo(i64::MAX), offset: 0, limit: 50 };
    let far = PageRequest { offset: 500, ..newest };
    let old = PageRequest { marker: RecordNo(1000), ..newest };
    let mut times = Vec::new();
    for n in 0..2_000 {
        let n = shuffled(n) as usize % devices;
        let product = if n.is_multiple_of(10) { shuffled(n) as usize % 10 } else { n * 10 / devices };
        let id = if n % 100 == 7 { 0 } else { product };
        let id = DeviceId::trusted(format!("product-{id}_{:016x}", shuffled(n)));
        let since = Instant::now();
        assert!(store.device(&id).await.expect("an answer").is_some(), "{id}");
        times.push(since.elapsed());
    }
    println!("get by id               {}", percentiles(times));
    let all = DeviceFilter::default;
    let space = |id: &str| Spaces::one(AppId::trusted(id));
    let name = |text: &str| Some(text.to_owned());
    let at = |share: usize| Some(Timestamp(1_700_000_000_000 + (devices / 100 * share) as i64 * 10));
    let gateway = Some(DeviceId::trusted(format!("product-0_{:016x}", shuffled(usize::MAX))));
    let product = Some(ProductId::trusted("product-3"));
    let filters = [
        ("all", all()),
        ("space", DeviceFilter { spaces: space("a"), ..all() }),
        ("product", DeviceFilter { product_id: product.clone(), ..all() }),
        ("gateway", DeviceFilter { gateway_id: gateway.clone(), ..all() }),
        ("gateway, cascade", DeviceFilter { gateway_id: gateway.clone(), cascade: true, ..all() }),
        ("node id", DeviceFilter { node_id: Some(format!("{:016x}", shuffled(77))), ..all() }),
        ("name, one", DeviceFilter { name: name("meter 123456 "), ..all() }),
        ("name, 200", DeviceFilter { name: name("street 4321"), ..all() }),
        ("name, all", DeviceFilter { name: name("meter"), ..all() }),
        ("name, one letter", DeviceFilter { name: name("7"), ..all() }),
        ("name, none", DeviceFilter { name: name("thermostat"), ..all() }),
        ("time, middle", DeviceFilter { from: at(40), to: at(60), ..all() }),
        ("time, oldest", DeviceFilter { to: at(1), ..all() }),
        ("space, time", DeviceFilter { spaces: space("b"), from: at(5), to: at(95), ..all() }),
        ("product, name, time", DeviceFilter { product_id: product, name: name("9"), from: at(5), ..all() }),
        ("gateway, name", DeviceFilter { gateway_id: gateway, name: name("99"), ..all() }),
    ];
    for (what, filter) in filters {
        let mut times = Vec::new();
        let mut count = 0;
        for turn in 0..30 {
            let page = [newest, far, old][turn % 3];
            let since = Instant::now();
            count = store.list_devices(&filter, page).await.expect("a page").count;
            times.push(since.elapsed());
        }
        println!("list {what:<20}{} count {count}", percentiles(times));
    }
    let since = Instant::now();
    let count = store.list_products(&ProductFilter::default(), newest).await.expect("a page").count;
    println!("list products {:?} count {count}", since.elapsed());
    println!("RSS {} MB, at most {} MB", status_mb("VmRSS"), status_mb("VmHWM"));
}

async fn open(url: Option<&str>, folder: &Path) -> Arc<dyn Store> {
    let since = Instant::now();
    let settings = StoreSettings { url: url.map(str::to_owned), ..StoreSettings::default() };
    let store = causeway_backend::open(&settings, folder).await.expect("open");
    println!("opened in {:?}, RSS {} MB", since.elapsed(), status_mb("VmRSS"));
    store
}

#[tokio::main]
async fn main() {
    let mut args = std::env::args().skip(1).filter(|a| !a.starts_with("--"));
    let devices = args.next().map_or(1_000_000, |n| n.parse().expect("a number of devices"));
    let place = args.next();
    let url = place.as_deref().filter(|p| p.starts_with("postgres"));
    let temporary = tempfile::tempdir().expect("a temporary folder");
    let folder = place.as_ref().filter(|_| url.is_none()).map_or_else(|| temporary.path().to_owned(), Into::into);
    std::fs::create_dir_all(&folder).expect("the folder");
    let store = open(url, &folder).await;
    if store.apps().await.expect("spaces").is_empty() {
        fill(&store, devices).await;
    }
    store.close().await;
    drop(store);
    let store = open(url, &folder).await;
    read(&*store, devices).await;
    store.close().await;
}
