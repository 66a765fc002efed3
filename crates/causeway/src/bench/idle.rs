//! `causeway bench idle`: what an open connection costs that says nothing.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde::Serialize;
use serde_json::json;
use tokio::task::JoinSet;

use super::args::IdleArgs;
use super::process::Memory;
use super::report::{CpuCost, Errors, Report, grouped, seconds};
use super::target::Target;
use crate::load::mqtt::{Connection, Incoming};
use crate::load::open_files::allow_connections;
use crate::load::platform::REST_CONNECTIONS;
use crate::load::progress::Progress;

/// How often held connections ping: well within the keep-alive of 1200 s, seldom enough to be silence.
const PING_INTERVAL: Duration = Duration::from_secs(600);
/// Longest wait for a PINGRESP.
const PING_TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Serialize)]
struct Outcome {
    connections: usize,
    /// From the first connect to the last CONNACK.
    connect_seconds: f64,
    connects_per_second: f64,
    /// Before the first connect, devices created.
    target_memory_before: Option<Memory>,
    /// When all are connected.
    target_memory_connected: Option<Memory>,
    /// At the end of the silence.
    target_memory_held: Option<Memory>,
    /// Growth of RSS from before to the end of the silence, for each connection.
    rss_bytes_per_connection: Option<f64>,
    /// The same of PSS.
    pss_bytes_per_connection: Option<f64>,
    /// CPU of connecting, per connection.
    target_cpu_connecting: Option<CpuCost>,
    /// CPU in the silence.
    target_cpu_silent: Option<CpuCost>,
    /// Connections that answered a PINGREQ after the silence.
    alive_at_end: usize,
}

/// Runs the mode.
///
/// # Errors
/// When it cannot begin, and after the report when the run had errors.
pub(super) async fn run(args: IdleArgs) -> anyhow::Result<()> {
    allow_connections(args.connections as usize)?;
    let target = Target::find(&args.target, REST_CONNECTIONS).await?;
    let devices = target.devices(args.connections as usize).await?;
    let mut report = Report::new(
        "idle",
        target.facts(),
        json!({ "connections": args.connections, "hold_s": args.hold.as_secs_f64(), "tls": args.target.tls.tls }),
    )?;
    let mut errors = Errors::default();

    let before = target.memory();
    let start = target.cpu()?;
    let mut connections = target.connect_all(&devices, args.concurrency as usize).await?;
    let connected_cpu = target.cpu()?;
    let connected = target.memory();
    let begin = target.cpu()?;
    hold(&args, &target, &mut connections, &mut errors).await?;
    let end = target.final_cpu(&mut errors)?;
    let held = target.memory();
    let count = devices.len();
    ping_all(&mut connections, &mut errors).await?;

    let connect_seconds = (connected_cpu.at - start.at).as_secs_f64();
    let silent_seconds = (end.at - begin.at).as_secs_f64();
    let growth = |of: fn(&Memory) -> Option<u64>| {
        let (before, held) = (before.as_ref().and_then(of)?, held.as_ref().and_then(of)?);
        Some((held as f64 - before as f64) / count as f64)
    };
    let cost = |from: &super::target::CpuTimes, to: &super::target::CpuTimes, length: f64, operations: u64| {
        from.target.zip(to.target).map(|(from, to)| CpuCost::new(to.since(from), length, operations))
    };
    let outcome = Outcome {
        connections: count,
        connect_seconds,
        connects_per_second: count as f64 / connect_seconds,
        rss_bytes_per_connection: growth(|memory| Some(memory.rss_bytes)),
        pss_bytes_per_connection: growth(|memory| memory.pss_bytes),
        target_cpu_connecting: cost(&start, &connected_cpu, connect_seconds, count as u64),
        target_cpu_silent: cost(&begin, &end, silent_seconds, 0),
        target_memory_before: before,
        target_memory_connected: connected,
        target_memory_held: held,
        alive_at_end: connections.len(),
    };
    describe(&mut report, &args, &outcome);
    report.others(end.others_since(&begin));
    report.result(&outcome)?;
    report.errors(errors);
    report.deliver(args.target.json.as_deref())
}

async fn hold(
    args: &IdleArgs,
    target: &Target,
    connections: &mut Vec<Connection>,
    errors: &mut Errors,
) -> anyhow::Result<()> {
    let started = Instant::now();
    let mut pinged = started;
    let mut progress = Progress::new();
    while started.elapsed() < args.hold {
        let rest = (args.hold - started.elapsed()).min(Duration::from_secs(1));
        tokio::select! {
            () = tokio::time::sleep(rest) => {}
            () = target.stop.cancelled() => {
                errors.add("stopped by a signal before the end of the silence");
                break;
            }
        }
        if pinged.elapsed() >= PING_INTERVAL {
            ping_all(connections, errors).await?;
            pinged = Instant::now();
        }
        progress.update(|| format!("holding: {} of {}", seconds(started.elapsed()), seconds(args.hold)));
    }
    progress.clear();
    Ok(())
}

/// Asks every connection for a sign of life; those that give none are dropped and counted as errors.
async fn ping_all(connections: &mut Vec<Connection>, errors: &mut Errors) -> anyhow::Result<()> {
    let mut tasks = JoinSet::new();
    for mut connection in connections.drain(..) {
        tasks.spawn(async move {
            let answer = async {
                connection.send(&[0xc0, 0]).await?; // PINGREQ, §3.12
                while !matches!(connection.receive().await?, Incoming::Pingresp) {}
                Ok::<(), std::io::Error>(())
            };
            match tokio::time::timeout(PING_TIMEOUT, answer).await {
                Ok(Ok(())) => Ok(connection),
                Ok(Err(error)) => Err(format!("a connection was lost: {error}")),
                Err(_) => Err(format!("a connection gave no PINGRESP within {}", seconds(PING_TIMEOUT))),
            }
        });
    }
    while let Some(result) = tasks.join_next().await {
        match result.context("a ping panicked")? {
            Ok(connection) => connections.push(connection),
            Err(error) => errors.add(error),
        }
    }
    Ok(())
}

fn describe(report: &mut Report, args: &IdleArgs, outcome: &Outcome) {
    report.row(
        "connections",
        format!(
            "{}{} in {:.1} s ({} connects/s), silent for {}",
            grouped(outcome.connections as u64),
            if args.target.tls.tls { " with TLS" } else { "" },
            outcome.connect_seconds,
            grouped(outcome.connects_per_second as u64),
            seconds(args.hold)
        ),
    );
    report.row("alive at the end", grouped(outcome.alive_at_end as u64));
    for (label, memory) in [
        ("memory before", &outcome.target_memory_before),
        ("memory connected", &outcome.target_memory_connected),
        ("memory at the end", &outcome.target_memory_held),
    ] {
        if let Some(memory) = memory {
            report.memory_row(label, memory);
        }
    }
    if let Some(rss) = outcome.rss_bytes_per_connection {
        let pss = outcome.pss_bytes_per_connection.map_or_else(String::new, |pss| format!(" · PSS {pss:.0} bytes"));
        report.row("growth per connection", format!("RSS {rss:.0} bytes{pss}"));
    } else {
        report.note("no --target-pid: memory of the target was not measured");
    }
    if let Some(cost) = &outcome.target_cpu_connecting {
        report.cpu_row("target, connecting", cost, "connection");
    }
    if let Some(cost) = &outcome.target_cpu_silent {
        report.row("CPU of the target, silent", format!("{:.2} % of one core", cost.cores * 100.0));
    }
    report.note("memory of the kernel (socket buffers) is not in RSS, and the same for every target");
}
