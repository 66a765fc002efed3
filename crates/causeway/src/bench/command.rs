//! `causeway bench command`: an application calls, a device answers, the application has the answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use causeway_wire::mqtt::{PacketId, QoS};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::args::CommandArgs;
use super::payload::{COMMAND, SERVICE_ID};
use super::process::Memory;
use super::report::{CpuCost, Errors, Report, grouped, seconds};
use super::target::Target;
use crate::load::histogram::{Histogram, LatencySummary};
use crate::load::identity::Device;
use crate::load::mqtt::{self, Connection, Incoming};
use crate::load::progress::Progress;
use crate::load::rest::{Api, encode};

/// Commands begun and not finished, at most: more are counted as errors instead of held in memory.
const MAX_UNDER_WAY: usize = 20_000;

/// How often a device without commands pings.
const PING_INTERVAL: Duration = Duration::from_secs(300);

#[derive(Serialize)]
struct Outcome {
    seconds: f64,
    /// Commands begun in the window.
    begun: u64,
    /// Of these, answered rightly by their device.
    answered: u64,
    answered_per_second: f64,
    /// Of these, refused, timed out, or answered wrongly.
    failed: u64,
    /// From the beginning of a call, the wait for a free HTTP connection included, to its answer.
    latency: LatencySummary,
    target_cpu: Option<CpuCost>,
    /// HTTP client and devices together.
    generator_cpu: CpuCost,
    /// Largest lag of the generator behind its own timetable in the window, in milliseconds.
    generator_lag_ms: f64,
    target_memory_after: Option<Memory>,
}

#[derive(Default)]
struct Tally {
    answered: u64,
    failed: u64,
    errors: Errors,
}

struct Results {
    latency: Histogram,
    window: Tally,
    /// Errors before and after the window count for the exit code, too.
    outside: Tally,
}

/// Runs the mode.
///
/// # Errors
/// When it cannot begin, and after the report when the run had errors.
pub(super) async fn run(args: CommandArgs) -> anyhow::Result<()> {
    anyhow::ensure!(args.rate > 0.0, "bench command needs a --rate above 0");
    let target = Target::find(&args.target, args.http_connections as usize).await?;
    let platform = target.platform.as_ref().context("bench command needs a platform: give --ready-file FILE")?;
    let api = platform.api.clone();
    let devices = target.devices(args.devices as usize).await?;
    let mut connections = target.connect_all(&devices, 64).await?;
    if args.subscribe {
        for (device, connection) in devices.iter().zip(&mut connections) {
            let filter = device.system_topic("commands/#");
            (connection.subscribe(&filter, QoS::AtLeastOnce).await)
                .with_context(|| format!("device {} cannot subscribe", device.id))?;
        }
    }
    let mut report = Report::new(
        "command",
        target.facts(),
        json!({ "devices": args.devices, "rate": args.rate, "http_connections": args.http_connections,
                "subscribe": args.subscribe,
                "warmup_s": args.warmup.as_secs_f64(), "duration_s": args.duration.as_secs_f64(),
                "tls": args.target.tls.tls, "rest": api.authority() }),
    )?;

    let over = CancellationToken::new();
    let mut answering = JoinSet::new();
    for (device, connection) in devices.iter().zip(connections) {
        answering.spawn(answer_commands(device.clone(), connection, over.clone()));
    }
    let results = Arc::new(Mutex::new(Results {
        latency: Histogram::new(),
        window: Tally::default(),
        outside: Tally::default(),
    }));
    let run = call_evenly(&args, &target, &api, &devices, &results).await;
    over.cancel();
    let mut errors = Errors::default();
    while let Some(ended) = answering.join_next().await {
        if let Err(error) = ended.context("a device panicked")? {
            errors.add(error);
        }
    }
    let run = run?;
    let mut results = results.lock();
    let length = (run.after.at - run.before.at).as_secs_f64();
    let target_cpu = run.before.target.zip(run.after.target);
    let answered = results.window.answered;
    let outcome = Outcome {
        seconds: length,
        begun: run.begun,
        answered,
        answered_per_second: answered as f64 / length,
        failed: results.window.failed,
        latency: results.latency.summary(),
        target_cpu: target_cpu.map(|(before, after)| CpuCost::new(after.since(before), length, answered)),
        generator_cpu: CpuCost::new(run.after.generator.since(run.before.generator), length, answered),
        generator_lag_ms: run.lag.as_secs_f64() * 1e3,
        target_memory_after: target.memory(),
    };
    errors.merge(std::mem::take(&mut results.window.errors));
    errors.merge(std::mem::take(&mut results.outside.errors));
    if target.stop.is_cancelled() {
        errors.add("stopped by a signal before the end of the measured window");
    }
    if answered == 0 {
        errors.add("no command was answered");
    }
    describe(&mut report, &args, &outcome);
    report.others(run.after.others_since(&run.before));
    report.result(&outcome)?;
    report.errors(errors);
    report.deliver(args.target.json.as_deref())
}

struct Run {
    before: super::target::CpuTimes,
    after: super::target::CpuTimes,
    begun: u64,
    lag: Duration,
}

/// Begins commands by the clock, whether or not earlier ones were answered, so that a slow target cannot slow its own
/// measurement down.
async fn call_evenly(
    args: &CommandArgs,
    target: &Target,
    api: &Api,
    devices: &[Device],
    results: &Arc<Mutex<Results>>,
) -> anyhow::Result<Run> {
    let places = Arc::new(Semaphore::new(MAX_UNDER_WAY));
    let mut calls = JoinSet::new();
    let mut progress = Progress::new();
    let started = Instant::now();
    let (mut before, mut begun, mut lag) = (None, 0, Duration::ZERO);
    let end = args.warmup + args.duration;
    let mut number = 0_u64;
    loop {
        let due = Duration::from_secs_f64(number as f64 / args.rate);
        if due >= end || target.stop.is_cancelled() {
            break;
        }
        if let Some(wait) = due.checked_sub(started.elapsed())
            && !wait.is_zero()
        {
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = target.stop.cancelled() => break,
            }
        }
        let measured = due >= args.warmup;
        if measured {
            if before.is_none() {
                before = Some(target.cpu()?);
            }
            begun += 1;
            lag = lag.max(started.elapsed().saturating_sub(due));
        }
        let device = &devices[(number % devices.len() as u64) as usize];
        match Arc::clone(&places).try_acquire_owned() {
            Ok(place) => {
                let (api, id, results) = (api.clone(), device.id.clone(), Arc::clone(results));
                calls.spawn(async move {
                    let begin = Instant::now();
                    let outcome = call(&api, &id, number).await;
                    settle(&results, measured, begin.elapsed(), outcome);
                    drop(place);
                });
            }
            Err(_) => {
                let text = format!("more than {MAX_UNDER_WAY} commands under way");
                settle(results, measured, Duration::ZERO, Err(text));
            }
        }
        number += 1;
        while calls.try_join_next().is_some() {}
        progress.update(|| {
            let results = results.lock();
            format!(
                "{}: {} of {}, {} answered, {} failed",
                if measured { "measuring" } else { "warming up" },
                seconds(started.elapsed()),
                seconds(end),
                grouped(results.window.answered),
                results.window.failed + results.outside.failed
            )
        });
    }
    if let Some(rest) = end.checked_sub(started.elapsed())
        && !target.stop.is_cancelled()
    {
        tokio::time::sleep(rest).await;
    }
    let after = target.final_cpu(&mut results.lock().outside.errors)?;
    progress.clear();
    // Each call ends by its own time limit.
    while calls.join_next().await.is_some() {}
    Ok(Run { before: before.unwrap_or(after), after, begun, lag })
}

fn settle(results: &Mutex<Results>, measured: bool, latency: Duration, outcome: Result<(), String>) {
    let mut results = results.lock();
    if measured && outcome.is_ok() {
        results.latency.record(latency);
    }
    let tally = if measured { &mut results.window } else { &mut results.outside };
    match outcome {
        Ok(()) => tally.answered += 1,
        Err(text) => {
            tally.failed += 1;
            tally.errors.add(text);
        }
    }
}

/// Sends one command and checks that its own answer came back.
async fn call(api: &Api, device_id: &str, number: u64) -> Result<(), String> {
    #[derive(Deserialize)]
    struct Answer {
        response: Option<Value>,
    }
    let body = json!({ "service_id": SERVICE_ID, "command_name": COMMAND, "paras": { "number": number } });
    let path = format!("/devices/{}/commands", encode(device_id));
    let answer: Answer =
        api.call("POST", &path, Some(&body)).await.map_err(|error| format!("{:#}", anyhow::Error::from(error)))?;
    // The device's JSON comes back as it was sent (`iotda-device-access.md` §5).
    let echoed = answer.response.as_ref().map(|response| &response["paras"]["number"]);
    if echoed == Some(&Value::from(number)) {
        Ok(())
    } else {
        Err(format!("{device_id} was asked {number}, the answer is {:?}", answer.response))
    }
}

/// Plays a device until `over`: answers each command with its number.
pub(super) async fn answer_commands(
    device: Device,
    mut connection: Connection,
    over: CancellationToken,
) -> Result<(), String> {
    let lost = |error: std::io::Error| format!("device {} lost its connection: {error}", device.id);
    let mut next_id = PacketId::MIN;
    let mut out = Vec::with_capacity(256);
    loop {
        out.clear();
        tokio::select! {
            () = over.cancelled() => {
                drop(connection.close().await);
                return Ok(());
            }
            () = tokio::time::sleep(PING_INTERVAL) => out.extend_from_slice(&[0xc0, 0]), // PINGREQ, §3.12
            incoming = connection.receive() => {
                let Incoming::Publish { topic, packet_id, payload, .. } = incoming.map_err(lost)? else { continue };
                if let Some(id) = packet_id {
                    mqtt::puback(&mut out, id);
                }
                if let Some((_, request)) = topic.split_once("/sys/commands/request_id=") {
                    let command: Value = serde_json::from_slice(&payload).unwrap_or(Value::Null);
                    let answer = json!({
                        "result_code": 0, "response_name": "pong",
                        "paras": { "number": command["paras"]["number"] },
                    });
                    let topic = device.system_topic(&format!("commands/response/request_id={request}"));
                    mqtt::publish(&mut out, &topic, Some(next_id), answer.to_string().as_bytes())
                        .map_err(|error| error.to_string())?;
                    next_id = next_id.checked_add(1).unwrap_or(PacketId::MIN);
                }
            }
        }
        connection.send(&out).await.map_err(lost)?;
    }
}

fn describe(report: &mut Report, args: &CommandArgs, outcome: &Outcome) {
    report.row(
        "load",
        format!(
            "{} commands/s to {} devices over at most {} HTTP connections",
            args.rate, args.devices, args.http_connections
        ),
    );
    report.row("window", format!("{:.1} s after {} of warm-up", outcome.seconds, seconds(args.warmup)));
    report.row(
        "throughput",
        format!(
            "{:.1} commands/s answered ({} of {}, {} failed)",
            outcome.answered_per_second,
            grouped(outcome.answered),
            grouped(outcome.begun),
            outcome.failed
        ),
    );
    report.latency_rows("HTTP call", &outcome.latency);
    if let Some(cost) = &outcome.target_cpu {
        report.cpu_row("target", cost, "command");
    }
    report.cpu_row("generator", &outcome.generator_cpu, "command");
    if let Some(memory) = &outcome.target_memory_after {
        report.memory_row("memory of the target at the end", memory);
    }
    if outcome.generator_lag_ms > 50.0 {
        report.note(format!(
            "the generator was up to {:.0} ms behind its timetable: this machine has no CPU to spare",
            outcome.generator_lag_ms
        ));
    }
}
