//! `causeway bench batch`: one batch task sends a command to many connected devices while others report.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use causeway_wire::mqtt::PacketId;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::args::BatchArgs;
use super::command::answer_commands;
use super::payload::{COMMAND, SERVICE_ID, report as payload_of};
use super::process::Memory;
use super::report::{CpuCost, Errors, Report, grouped, seconds};
use super::target::Target;
use crate::load::identity::Device;
use crate::load::mqtt::{self, Connection, Incoming};
use crate::load::platform::REST_CONNECTIONS;
use crate::load::progress::Progress;
use crate::load::rest::Api;

/// The task is asked for its progress so often.
const POLL: Duration = Duration::from_millis(200);

/// A task that takes longer is given up.
const PATIENCE: Duration = Duration::from_secs(600);

#[derive(Serialize)]
struct Outcome {
    /// From the request that makes the task to the poll that sees its end.
    seconds: f64,
    /// Targets that answered.
    success: u64,
    /// Targets that did not.
    fail: u64,
    commands_per_second: f64,
    /// Reports acknowledged each second before the task …
    reports_per_second_before: f64,
    /// … and while it ran.
    reports_per_second_meanwhile: f64,
    target_cpu: Option<CpuCost>,
    generator_cpu: CpuCost,
    target_memory_after: Option<Memory>,
}

#[derive(Deserialize)]
struct Shown {
    batchtask: Task,
}

#[derive(Deserialize)]
struct Task {
    task_id: String,
    status: String,
    task_progress: Option<Counts>,
}

#[derive(Deserialize)]
struct Counts {
    total: u64,
    success: u64,
    fail: u64,
}

/// Runs the mode.
///
/// # Errors
/// When it cannot begin, and after the report when the run had errors.
pub(super) async fn run(args: BatchArgs) -> anyhow::Result<()> {
    let target = Target::find(&args.target, REST_CONNECTIONS).await?;
    let api = target.platform.as_ref().context("bench batch needs a platform: give --ready-file FILE")?.api.clone();
    let devices = target.devices((args.devices + args.reporters) as usize).await?;
    let mut connections = target.connect_all(&devices, 64).await?;
    let reporting = connections.split_off(args.devices as usize);
    let (asked, reporters) = devices.split_at(args.devices as usize);
    let mut report = Report::new(
        "batch",
        target.facts(),
        json!({ "devices": args.devices, "reporters": args.reporters, "report_rate": args.report_rate,
                "payload_bytes": args.size, "warmup_s": args.warmup.as_secs_f64(), "rest": api.authority() }),
    )?;
    let over = CancellationToken::new();
    let acknowledged = Arc::new(AtomicU64::new(0));
    let mut playing = JoinSet::new();
    for (device, connection) in asked.iter().zip(connections) {
        playing.spawn(answer_commands(device.clone(), connection, over.clone()));
    }
    let pace = Duration::from_secs_f64(f64::from(args.reporters.max(1)) / args.report_rate.max(0.001));
    for (device, connection) in reporters.iter().zip(reporting) {
        let body = payload_of(args.size)?;
        playing.spawn(report_evenly(device.clone(), connection, body, pace, acknowledged.clone(), over.clone()));
    }
    let measured = measure(&args, &target, &api, asked, &acknowledged).await;
    over.cancel();
    let mut errors = Errors::default();
    while let Some(ended) = playing.join_next().await {
        if let Err(error) = ended.context("a device panicked")? {
            errors.add(error);
        }
    }
    let outcome = measured?;
    if outcome.fail > 0 || outcome.success != u64::from(args.devices) {
        errors.add(format!("{} of {} targets failed", outcome.fail, args.devices));
    }
    describe(&mut report, &args, &outcome);
    report.result(&outcome)?;
    report.errors(errors);
    report.deliver(args.target.json.as_deref())
}

async fn measure(
    args: &BatchArgs,
    target: &Target,
    api: &Api,
    asked: &[Device],
    acknowledged: &AtomicU64,
) -> anyhow::Result<Outcome> {
    let warm = (Instant::now(), acknowledged.load(Ordering::Relaxed));
    tokio::select! {
        () = tokio::time::sleep(args.warmup) => {}
        () = target.stop.cancelled() => bail!("stopped"),
    }
    let before = target.cpu()?;
    let reports = acknowledged.load(Ordering::Relaxed);
    let rate_before = (reports - warm.1) as f64 / warm.0.elapsed().as_secs_f64();
    let began = Instant::now();
    let body = json!({
        "task_name": "bench", "task_type": "createCommands",
        "targets": asked.iter().map(|d| d.id.as_str()).collect::<Vec<_>>(),
        "document": { "service_id": SERVICE_ID, "command_name": COMMAND, "paras": { "number": 1 } },
    });
    let task: Task = api.call("POST", "/batchtasks", Some(&body)).await?;
    let path = format!("/batchtasks/{}?limit=1", task.task_id);
    let mut progress = Progress::new();
    let counts = loop {
        tokio::select! {
            () = tokio::time::sleep(POLL) => {}
            () = target.stop.cancelled() => bail!("stopped"),
        }
        let shown: Shown = api.call("GET", &path, None).await?;
        let counts = shown.batchtask.task_progress.context("the task shows no progress")?;
        if matches!(shown.batchtask.status.as_str(), "Success" | "Fail" | "PartialSuccess" | "Stopped") {
            break counts;
        }
        anyhow::ensure!(began.elapsed() < PATIENCE, "the task did not end within {}", seconds(PATIENCE));
        progress.update(|| format!("batch task: {} of {} answered", grouped(counts.success), grouped(counts.total)));
    };
    let length = began.elapsed().as_secs_f64();
    let meanwhile = (acknowledged.load(Ordering::Relaxed) - reports) as f64 / length;
    let after = target.cpu()?;
    progress.clear();
    // It has served; the next run begins without it.
    let () = api.call("DELETE", &format!("/batchtasks/{}", task.task_id), None).await?;
    let cpu = before.target.zip(after.target);
    Ok(Outcome {
        seconds: length,
        success: counts.success,
        fail: counts.fail,
        commands_per_second: counts.success as f64 / length,
        reports_per_second_before: rate_before,
        reports_per_second_meanwhile: meanwhile,
        target_cpu: cpu.map(|(before, after)| CpuCost::new(after.since(before), length, counts.success)),
        generator_cpu: CpuCost::new(after.generator.since(before.generator), length, counts.success),
        target_memory_after: target.memory(),
    })
}

/// Plays a device that reports by the clock until `over`, one report at a time under way.
async fn report_evenly(
    device: Device,
    mut connection: Connection,
    body: Vec<u8>,
    pace: Duration,
    acknowledged: Arc<AtomicU64>,
    over: CancellationToken,
) -> Result<(), String> {
    let lost = |error: std::io::Error| format!("device {} lost its connection: {error}", device.id);
    let topic = device.system_topic("properties/report");
    let mut out = Vec::with_capacity(body.len() + 128);
    let mut tick = tokio::time::interval(pace);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut id = PacketId::MIN;
    loop {
        tokio::select! {
            () = over.cancelled() => {
                drop(connection.close().await);
                return Ok(());
            }
            _ = tick.tick() => {}
        }
        out.clear();
        mqtt::publish(&mut out, &topic, Some(id), &body).map_err(|error| error.to_string())?;
        connection.send(&out).await.map_err(lost)?;
        loop {
            if matches!(connection.receive().await.map_err(lost)?, Incoming::Puback(got) if got == id) {
                break;
            }
        }
        acknowledged.fetch_add(1, Ordering::Relaxed);
        id = id.checked_add(1).unwrap_or(PacketId::MIN);
    }
}

fn describe(report: &mut Report, args: &BatchArgs, outcome: &Outcome) {
    report.row(
        "load",
        format!(
            "one command to {} connected devices · {} reports/s of {} others",
            grouped(u64::from(args.devices)),
            args.report_rate,
            args.reporters
        ),
    );
    report.row(
        "batch task",
        format!(
            "{:.2} s, {} commands/s ({} answered, {} failed)",
            outcome.seconds,
            grouped(outcome.commands_per_second as u64),
            grouped(outcome.success),
            grouped(outcome.fail)
        ),
    );
    report.row(
        "reports meanwhile",
        format!(
            "{:.0} a second, {:.0} before",
            outcome.reports_per_second_meanwhile, outcome.reports_per_second_before
        ),
    );
    if let Some(cost) = &outcome.target_cpu {
        report.cpu_row("target", cost, "command");
    }
    report.cpu_row("generator", &outcome.generator_cpu, "command");
    if let Some(memory) = &outcome.target_memory_after {
        report.memory_row("memory of the target at the end", memory);
    }
}
