//! `causeway bench connect`: CONNECT, CONNACK, DISCONNECT, again and again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::json;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::args::ConnectArgs;
use super::process::Memory;
use super::report::{CpuCost, Errors, Report, grouped, seconds};
use super::target::Target;
use crate::load::histogram::{Histogram, LatencySummary};
use crate::load::identity::{Device, now};
use crate::load::mqtt::{ConnectTimes, Connection, Door, LONGEST_KEEP_ALIVE};
use crate::load::open_files::{allow_connections, loopback};
use crate::load::platform::REST_CONNECTIONS;
use crate::load::progress::Progress;

/// Loopback source addresses in use: a closed connection keeps its port for a minute (TIME_WAIT), and one address has
/// too few ports for that.
const SOURCE_ADDRESSES: usize = 64;

#[derive(Serialize)]
struct Outcome {
    seconds: f64,
    /// Connects whose CONNACK came in the window.
    connects: u64,
    connects_per_second: f64,
    /// From the first SYN (and TLS handshake) to CONNACK.
    connect_latency: LatencySummary,
    /// From CONNECT to CONNACK.
    connack_latency: LatencySummary,
    target_cpu: Option<CpuCost>,
    generator_cpu: CpuCost,
    target_memory_after: Option<Memory>,
}

/// Figures since they were last cleared.
struct Figures {
    whole: Histogram,
    connack: Histogram,
    errors: Errors,
}

struct Lines {
    door: Door,
    devices: Vec<Device>,
    turn: AtomicUsize,
    figures: Mutex<Figures>,
    stop: CancellationToken,
}

/// Runs the mode.
///
/// # Errors
/// When it cannot begin, and after the report when the run had errors.
pub(super) async fn run(args: ConnectArgs) -> anyhow::Result<()> {
    let target = Target::find(&args.target, REST_CONNECTIONS).await?;
    allow_connections(args.concurrency as usize * 2)?;
    // Two turns of a device must never be on two lines at once.
    let devices = target.devices(args.devices.max(args.concurrency * 2) as usize).await?;
    let mut report = Report::new(
        "connect",
        target.facts(),
        json!({ "concurrency": args.concurrency, "devices": devices.len(), "warmup_s": args.warmup.as_secs_f64(),
                "duration_s": args.duration.as_secs_f64(), "tls": args.target.tls.tls }),
    )?;
    let lines = Arc::new(Lines {
        door: target.door.clone(),
        devices,
        turn: AtomicUsize::new(0),
        figures: Mutex::new(Figures { whole: Histogram::new(), connack: Histogram::new(), errors: Errors::default() }),
        stop: target.stop.child_token(),
    });
    let mut tasks = JoinSet::new();
    for _ in 0..args.concurrency {
        tasks.spawn(line(Arc::clone(&lines)));
    }
    let mut progress = Progress::new();
    wait(args.warmup, &target, &lines, &mut progress, "warming up").await;
    {
        let mut figures = lines.figures.lock();
        figures.whole.clear();
        figures.connack.clear();
    }
    let before = target.cpu()?;
    wait(args.duration, &target, &lines, &mut progress, "measuring").await;
    let mut ended = Errors::default();
    let after = target.final_cpu(&mut ended)?;
    let (whole, connack) = {
        let figures = lines.figures.lock();
        (figures.whole.clone(), figures.connack.clone())
    };
    progress.clear();
    let interrupted = target.stop.is_cancelled();
    lines.stop.cancel();
    while let Some(ended) = tasks.join_next().await {
        ended.context("a line panicked")?;
    }

    let length = (after.at - before.at).as_secs_f64();
    let connects = whole.count();
    let target_cpu = before.target.zip(after.target);
    let outcome = Outcome {
        seconds: length,
        connects,
        connects_per_second: connects as f64 / length,
        connect_latency: whole.summary(),
        connack_latency: connack.summary(),
        target_cpu: target_cpu.map(|(before, after)| CpuCost::new(after.since(before), length, connects)),
        generator_cpu: CpuCost::new(after.generator.since(before.generator), length, connects),
        target_memory_after: target.memory(),
    };
    let mut errors = std::mem::take(&mut lines.figures.lock().errors);
    errors.merge(ended);
    if interrupted {
        errors.add("stopped by a signal before the end of the measured window");
    }
    if connects == 0 {
        errors.add("no connect succeeded in the measured window");
    }
    describe(&mut report, &args, &outcome);
    report.others(after.others_since(&before));
    report.result(&outcome)?;
    report.errors(errors);
    report.deliver(args.target.json.as_deref())
}

impl Lines {
    fn record(&self, times: &ConnectTimes) {
        let mut figures = self.figures.lock();
        figures.whole.record(times.whole);
        figures.connack.record(times.connack);
    }
}

async fn line(lines: Arc<Lines>) {
    while !lines.stop.is_cancelled() {
        let turn = lines.turn.fetch_add(1, Ordering::Relaxed);
        let device = &lines.devices[turn % lines.devices.len()];
        let spread = lines.door.address.is_ipv4() && lines.door.address.ip().is_loopback();
        let source = spread.then(|| loopback(1 + turn % SOURCE_ADDRESSES));
        let opened = Connection::open(&lines.door, &device.login(now()), LONGEST_KEEP_ALIVE, source).await;
        let failed = match opened {
            Ok((connection, times)) => {
                lines.record(&times);
                // A target may close as soon as it has read DISCONNECT, which is no failure of the connect.
                drop(connection.close().await);
                false
            }
            Err(error) => {
                let text = format!("{:#}", anyhow::Error::from(error));
                lines.figures.lock().errors.add(text);
                true
            }
        };
        if failed {
            // A target that refuses at once must not be hammered.
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(100)) => {}
                () = lines.stop.cancelled() => {}
            }
        }
    }
}

async fn wait(length: Duration, target: &Target, lines: &Lines, progress: &mut Progress, what: &str) {
    let started = Instant::now();
    while started.elapsed() < length {
        let rest = (length - started.elapsed()).min(Duration::from_millis(200));
        tokio::select! {
            () = tokio::time::sleep(rest) => {}
            () = target.stop.cancelled() => return,
        }
        progress.update(|| {
            let connects = lines.figures.lock().whole.count();
            format!("{what}: {} of {}, {} connects", seconds(started.elapsed()), seconds(length), grouped(connects))
        });
    }
}

fn describe(report: &mut Report, args: &ConnectArgs, outcome: &Outcome) {
    report.row(
        "load",
        format!("{} lines{}", args.concurrency, if args.target.tls.tls { " with TLS, full handshakes" } else { "" }),
    );
    report.row("window", format!("{:.1} s after {} of warm-up", outcome.seconds, seconds(args.warmup)));
    report.row(
        "throughput",
        format!("{} connects/s ({} connects)", grouped(outcome.connects_per_second as u64), grouped(outcome.connects)),
    );
    report.latency_rows("SYN to CONNACK", &outcome.connect_latency);
    report.latency_rows("CONNECT to CONNACK", &outcome.connack_latency);
    if let Some(cost) = &outcome.target_cpu {
        report.cpu_row("target", cost, "connect");
    }
    report.cpu_row("generator", &outcome.generator_cpu, "connect");
    if let Some(memory) = &outcome.target_memory_after {
        report.memory_row("memory of the target at the end", memory);
    }
}
