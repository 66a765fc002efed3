//! `causeway sim`: devices of a product that live on a platform.
//!
//! [`model`] is what they can do, [`value`] how their values wander, [`behaviour`] what they say (without I/O), and
//! [`device`] their life on the wire.

mod args;
mod behaviour;
mod device;
mod model;
mod sample;
mod value;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub(crate) use self::args::SimArgs;
use self::device::{Counters, Simulation};
use self::model::Model;
use crate::load::identity::now;
use crate::load::mqtt::{ConnectError, Connection, Door};
use crate::load::open_files::allow_connections;
use crate::load::platform::REST_CONNECTIONS;
use crate::load::progress::Progress;
use crate::load::{provision, stop, tls};

/// Connects under way at once.
const CONNECTING: usize = 64;

/// Simulates until Ctrl-C, SIGTERM or the end of `--duration`, then prints a summary to stdout.
///
/// # Errors
/// When the platform cannot be reached or refuses the product or the devices, and when not one device could connect.
pub(crate) async fn run(args: SimArgs) -> anyhow::Result<()> {
    let stop = stop::on_signal()?;
    run_until(args, stop).await
}

/// The same, until `stop` is cancelled.
///
/// # Errors
/// As [`run`].
pub(crate) async fn run_until(args: SimArgs, stop: CancellationToken) -> anyhow::Result<()> {
    let platform = args.platform.platform(args.tls.ca.as_deref(), REST_CONNECTIONS).await?;
    let host_port = match &args.server {
        Some(server) => server.as_str(),
        None => platform.device_door(args.tls.tls)?,
    };
    let door =
        Door { address: tls::resolve(host_port).await?, tls: args.tls.for_server(host_port, platform.ca.as_deref())? };
    allow_connections(args.devices as usize)?;
    let (product, created) = provision::product(&platform.api, &args.product_id, &sample::smart_meter()).await?;
    if created {
        eprintln!("product {} created as a sample smart meter", args.product_id);
    }
    let model =
        Model::of_product(&product).with_context(|| format!("product {} cannot be simulated", args.product_id))?;
    let fleet = provision::devices(&platform.api, &args.product_id, &args.prefix, args.devices as usize, &stop).await?;
    if let Some(number) = fleet.reused {
        let login = fleet.devices[number].login(now());
        match Connection::open(&door, &login, args.keep_alive, None).await {
            Err(ConnectError::Refused { code: 4 | 5 }) => {
                provision::reset_secrets(&platform.api, &fleet, &stop).await?;
            }
            Ok((connection, _)) => drop(connection.close().await),
            // The device itself will say so, and try again.
            Err(_) => {}
        }
    }
    let simulation = Arc::new(Simulation {
        door,
        model,
        interval: args.report_interval(),
        acknowledged: args.qos == 1,
        keep_alive: args.keep_alive,
        ping_after: Duration::from_secs(u64::from(args.keep_alive)) / 2,
        retry: device::RETRY,
        connecting: Semaphore::new(CONNECTING),
        stop: stop.child_token(),
        counters: Counters::default(),
    });
    let started = Instant::now();
    let mut devices = JoinSet::new();
    for (number, device) in fleet.devices.into_iter().enumerate() {
        devices.spawn(device::live(Arc::clone(&simulation), device, number));
    }
    watch(&simulation.counters, args.devices, args.duration, &stop).await;
    let elapsed = started.elapsed();
    let reports = simulation.counters.reports.load(Ordering::Relaxed);
    simulation.stop.cancel();
    while let Some(ended) = devices.join_next().await {
        ended.context("a device panicked")?;
    }
    print!("{}", summary(&simulation.counters, args.devices, elapsed, reports));
    anyhow::ensure!(
        simulation.counters.connects.load(Ordering::Relaxed) > 0,
        "no device could connect: {}",
        simulation.counters.last_failure.lock().as_deref().unwrap_or("stopped before the first one had")
    );
    Ok(())
}

/// Shows what goes on until it is time to end.
async fn watch(counters: &Counters, devices: u32, duration: Option<Duration>, stop: &CancellationToken) {
    let started = Instant::now();
    let mut progress = Progress::new();
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    let mut before = (Instant::now(), 0);
    let end = async {
        match duration {
            Some(duration) => tokio::time::sleep(duration).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(end);
    loop {
        tokio::select! {
            _ = tick.tick() => progress.update(|| {
                let get = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
                let reports = get(&counters.reports);
                let rate = (reports - before.1) as f64 / before.0.elapsed().as_secs_f64().max(0.001);
                before = (Instant::now(), reports);
                let failure = counters.last_failure.lock().clone();
                format!(
                    "{:.0} s: {}/{devices} connected, {rate:.1} reports/s, {} commands, {} sets, {} gets, {} \
                     messages, {} lost, {} refused{}",
                    started.elapsed().as_secs_f64(), get(&counters.connected), get(&counters.commands),
                    get(&counters.sets), get(&counters.gets), get(&counters.messages), get(&counters.lost),
                    get(&counters.refused), failure.map_or_else(String::new, |text| format!(" (last failure: {text})")),
                )
            }),
            () = &mut end => break,
            () = stop.cancelled() => break,
        }
    }
    progress.clear();
}

/// What all devices did in `elapsed`, in which they sent `reports`.
fn summary(counters: &Counters, devices: u32, elapsed: Duration, reports: u64) -> String {
    let get = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    let latency = counters.latency.lock();
    let latency = latency.as_ref().map_or_else(String::new, |histogram| {
        let summary = histogram.summary();
        format!(
            ", PUBACK after p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms",
            summary.p50_ms, summary.p99_ms, summary.max_ms
        )
    });
    let seconds = elapsed.as_secs_f64();
    format!(
        "{devices} devices, {seconds:.1} s\n  connects  {} ({} connections lost, {} connects failed)\n  reports   {reports} \
         ({:.1}/s), {} left out\n  acked     {} messages{latency}\n  answered  {} commands, {} property settings, {} \
         property queries\n  received  {} messages and events\n",
        get(&counters.connects),
        get(&counters.lost),
        get(&counters.refused),
        reports as f64 / seconds.max(0.001),
        get(&counters.left_out),
        get(&counters.acknowledged),
        get(&counters.commands),
        get(&counters.sets),
        get(&counters.gets),
        get(&counters.messages),
    )
}
