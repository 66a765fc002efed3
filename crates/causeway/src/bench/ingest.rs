//! `causeway bench ingest`: property reports with QoS 1, counted by their PUBACKs.

mod publisher;
mod subscriber;
mod worker;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use causeway_wire::mqtt::QoS;
use serde::Serialize;
use serde_json::json;

use self::publisher::Publisher;
use self::subscriber::Subscriber;
use self::worker::{Findings, Phase, Plan, Shared, Worker};
use super::args::{IngestArgs, SubscribeQos};
use super::payload::Template;
use super::process::Memory;
use super::report::{CpuCost, Errors, Report, grouped, mebibytes, seconds};
use super::target::{CpuTimes, Target};
use crate::load::histogram::{Histogram, LatencySummary};
use crate::load::identity::{Device, now};
use crate::load::mqtt::{Connection, LONGEST_KEEP_ALIVE};
use crate::load::open_files::allow_connections;
use crate::load::platform::REST_CONNECTIONS;
use crate::load::progress::Progress;

/// Longest wait for the PUBACKs and deliveries that are under way when sending ends.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);

/// Filter of the subscriber. A leading `#` or `+` would not match a topic that begins with `$` [MQTT-4.7.2-1].
const ALL_REPORTS: &str = "$oc/devices/+/sys/properties/report";

/// Figures of the measured window.
#[derive(Serialize)]
struct Outcome {
    /// Length of the window.
    seconds: f64,
    /// Reports acknowledged in the window.
    messages: u64,
    messages_per_second: f64,
    /// Bytes of payload acknowledged per second.
    payload_bytes_per_second: f64,
    /// From the write of a report to its PUBACK.
    latency: LatencySummary,
    target_cpu: Option<CpuCost>,
    generator_cpu: CpuCost,
    /// At the beginning and at the end of the window, and the largest seen in it.
    target_memory_before: Option<Memory>,
    target_memory_after: Option<Memory>,
    target_rss_max_bytes: Option<u64>,
    /// Reports that the subscriber received in the window.
    subscriber_messages: Option<u64>,
    /// Of the whole run, warm-up and drain included.
    whole_run: WholeRun,
}

#[derive(Serialize)]
struct WholeRun {
    sent: u64,
    acknowledged: u64,
    /// Sent and never acknowledged.
    unacknowledged: u64,
    /// PUBACKs out of order.
    out_of_order: u64,
    subscriber_received: Option<u64>,
    /// From the first report until the target had been quiet for half a second after the last: work that it put off
    /// is in here.
    target_cpu: Option<CpuCost>,
}

/// Counters and clocks at one end of the window.
struct Mark {
    cpu: CpuTimes,
    acknowledged: u64,
    received: u64,
    memory: Option<Memory>,
}

/// Runs the mode.
///
/// # Errors
/// When it cannot begin, and after the report when the run had errors.
pub(super) async fn run(args: IngestArgs) -> anyhow::Result<()> {
    anyhow::ensure!(!args.target.tls.tls, "bench ingest has no TLS: measure TLS with bench connect and bench idle");
    allow_connections(args.connections as usize)?;
    let target = Target::find(&args.target, REST_CONNECTIONS).await?;
    anyhow::ensure!(
        args.subscribe == SubscribeQos::None || target.platform.is_none(),
        "--subscribe is for plain brokers: a platform lets no device subscribe to another's reports"
    );
    // Before anything is created: is the size possible?
    Template::new("t", args.size)?;
    let devices = target.devices(args.connections as usize).await?;
    let connections = target.connect_all(&devices, 64).await?;
    let subscriber = subscribe(&target, args.subscribe).await?;

    let shared = Arc::new(Shared::default());
    let begin = target.cpu()?;
    let threads = start(&args, &devices, connections, subscriber, &shared)?;
    let mut report = Report::new("ingest", target.facts(), parameters(&args))?;
    let mut errors = Errors::default();
    let measured = measure(&args, &target, &shared, &mut errors).await;
    drain(&shared, args.subscribe).await;
    let settled = settle(&target).await;
    shared.enter(Phase::Stop);
    let mut latency = Histogram::new();
    let (mut out_of_order, mut outstanding) = (0, 0);
    for thread in threads {
        let findings: Findings = tokio::task::spawn_blocking(move || thread.join())
            .await?
            .map_err(|_| anyhow::anyhow!("a sending thread panicked"))?;
        latency.merge(&findings.latency);
        out_of_order += findings.out_of_order;
        outstanding += findings.outstanding;
        errors.merge(findings.errors);
    }
    let (before, after, rss_max) = measured?;
    let received = shared.received.load(Ordering::Relaxed);
    let acknowledged = shared.acknowledged.load(Ordering::Relaxed);
    let settled_cpu = settled.and_then(|settled| Some((settled.at - begin.at, settled.target?.since(begin.target?))));
    let whole_run = WholeRun {
        target_cpu: settled_cpu.map(|(length, used)| CpuCost::new(used, length.as_secs_f64(), acknowledged)),
        sent: shared.sent.load(Ordering::Relaxed),
        acknowledged,
        unacknowledged: outstanding + shared.lost.load(Ordering::Relaxed),
        out_of_order,
        subscriber_received: (args.subscribe != SubscribeQos::None).then_some(received),
    };
    judge(&whole_run, &mut errors);
    let outcome = outcome(&args, &before, &after, rss_max, latency.summary(), whole_run);
    describe(&mut report, &args, &outcome);
    report.others(after.cpu.others_since(&before.cpu));
    report.result(&outcome)?;
    report.errors(errors);
    report.deliver(args.target.json.as_deref())
}

fn parameters(args: &IngestArgs) -> serde_json::Value {
    json!({
        "connections": args.connections, "payload_bytes": args.size, "qos": 1, "inflight_per_connection": args.inflight,
        "batch": batch(args), "rate": args.rate, "subscribe": args.subscribe, "warmup_s": args.warmup.as_secs_f64(),
        "duration_s": args.duration.as_secs_f64(), "latency_sample": args.sample, "threads": args.threads,
    })
}

fn batch(args: &IngestArgs) -> u32 {
    args.batch.unwrap_or(args.inflight / 2).clamp(1, args.inflight)
}

async fn subscribe(target: &Target, qos: SubscribeQos) -> anyhow::Result<Option<Subscriber>> {
    let qos = match qos {
        SubscribeQos::None => return Ok(None),
        SubscribeQos::Qos0 => QoS::AtMostOnce,
        SubscribeQos::Qos1 => QoS::AtLeastOnce,
    };
    // Named like a device, so that the same user name and password serve.
    let device = Device { id: "bench_subscriber".into(), ..target.devices(1).await?.remove(0) };
    let (mut connection, _) = Connection::open(&target.door, &device.login(now()), LONGEST_KEEP_ALIVE, None)
        .await
        .context("the subscriber cannot connect")?;
    connection.subscribe(ALL_REPORTS, qos).await.context("the subscriber cannot subscribe")?;
    let (stream, inbox) = plain(connection)?;
    Ok(Some(Subscriber::new(stream, inbox)))
}

/// Moves a connection from this runtime to a thread's own poller.
fn plain(connection: Connection) -> anyhow::Result<(mio::net::TcpStream, Vec<u8>)> {
    let (socket, inbox) = connection.into_parts();
    let stream = socket.into_plain().context("bench ingest has no TLS")?.into_std()?;
    Ok((mio::net::TcpStream::from_std(stream), inbox.to_vec()))
}

fn start(
    args: &IngestArgs,
    devices: &[Device],
    connections: Vec<Connection>,
    mut subscriber: Option<Subscriber>,
    shared: &Arc<Shared>,
) -> anyhow::Result<Vec<std::thread::JoinHandle<Findings>>> {
    let threads = usize::from(args.threads).min(devices.len());
    let mut shares: Vec<Vec<Publisher>> = Vec::new();
    shares.resize_with(threads, Vec::new);
    for (number, (device, connection)) in devices.iter().zip(connections).enumerate() {
        let template = Template::new(&device.system_topic("properties/report"), args.size)?;
        let (stream, inbox) = plain(connection)?;
        let publisher = Publisher::new(device.id.clone(), stream, inbox, template, args.inflight as usize);
        shares[number % threads].push(publisher);
    }
    let mut handles = Vec::new();
    for share in shares {
        let plan = Plan {
            batch: batch(args) as usize,
            rate: (args.rate > 0.0).then(|| args.rate * share.len() as f64 / devices.len() as f64),
            sample: u64::from(args.sample),
        };
        let worker = Worker::new(Arc::clone(shared), plan, share, subscriber.take())?;
        handles.push(std::thread::Builder::new().name("bench-send".into()).spawn(move || worker.run())?);
    }
    Ok(handles)
}

/// Warms up, then measures; returns both ends of the window and the largest RSS seen in it.
async fn measure(
    args: &IngestArgs,
    target: &Target,
    shared: &Shared,
    errors: &mut Errors,
) -> anyhow::Result<(Mark, Mark, Option<u64>)> {
    let mut progress = Progress::new();
    wait(args.warmup, target, shared, &mut progress, "warming up", |_| ()).await?;
    let mark = || -> anyhow::Result<Mark> {
        // First, because reading the memory map of a large process takes a while.
        let memory = target.memory();
        Ok(Mark {
            cpu: target.cpu()?,
            acknowledged: shared.acknowledged.load(Ordering::Relaxed),
            received: shared.received.load(Ordering::Relaxed),
            memory,
        })
    };
    let before = mark()?;
    shared.enter(Phase::Measure);
    let mut rss_max = before.memory.map(|memory| memory.rss_bytes);
    wait(args.duration, target, shared, &mut progress, "measuring", |first| {
        if first && let Some(Ok(memory)) = target.process.map(super::process::Process::rss) {
            rss_max = rss_max.max(Some(memory));
        }
    })
    .await?;
    // The clock of the window stops before the memory is read.
    let cpu = target.final_cpu(errors)?;
    let (acknowledged, received) =
        (shared.acknowledged.load(Ordering::Relaxed), shared.received.load(Ordering::Relaxed));
    shared.enter(Phase::Drain);
    let memory = target.memory();
    rss_max = rss_max.max(memory.map(|memory| memory.rss_bytes));
    progress.clear();
    if target.stop.is_cancelled() {
        errors.add("stopped by a signal before the end of the measured window");
    }
    Ok((before, Mark { cpu, acknowledged, received, memory }, rss_max))
}

/// Lets `length` pass with progress, or less when the run is stopped or every connection is lost. `tick` is called
/// five times a second, with `true` once in a second.
async fn wait(
    length: Duration,
    target: &Target,
    shared: &Shared,
    progress: &mut Progress,
    what: &str,
    mut tick: impl FnMut(bool),
) -> anyhow::Result<()> {
    let started = Instant::now();
    let mut before = (started, shared.acknowledged.load(Ordering::Relaxed));
    let mut round = 0_u32;
    while started.elapsed() < length && shared.alive.load(Ordering::Relaxed) > 0 {
        let rest = length.saturating_sub(started.elapsed()).min(Duration::from_millis(200));
        tokio::select! {
            () = tokio::time::sleep(rest) => {}
            () = target.stop.cancelled() => break,
        }
        tick(round.is_multiple_of(5));
        round += 1;
        progress.update(|| {
            let acknowledged = shared.acknowledged.load(Ordering::Relaxed);
            let rate = (acknowledged - before.1) as f64 / before.0.elapsed().as_secs_f64();
            before = (Instant::now(), acknowledged);
            format!("{what}: {} of {}, {} reports/s", seconds(started.elapsed()), seconds(length), grouped(rate as u64))
        });
    }
    Ok(())
}

/// Waits for what is under way.
async fn drain(shared: &Shared, subscribe: SubscribeQos) {
    shared.enter(Phase::Drain);
    let deadline = Instant::now() + DRAIN_TIMEOUT;
    let mut quiet_since = (Instant::now(), 0);
    while Instant::now() < deadline && shared.alive.load(Ordering::Relaxed) > 0 {
        let (sent, acknowledged) = (shared.sent.load(Ordering::Relaxed), shared.acknowledged.load(Ordering::Relaxed));
        let received = shared.received.load(Ordering::Relaxed);
        // A broker may drop what its queue for the subscriber does not hold: silence ends the wait as well.
        if quiet_since.1 != acknowledged + received {
            quiet_since = (Instant::now(), acknowledged + received);
        }
        let delivered =
            subscribe == SubscribeQos::None || received >= sent || quiet_since.0.elapsed() > Duration::from_secs(3);
        if sent == acknowledged + shared.lost.load(Ordering::Relaxed) && delivered {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Waits until the target uses less than a twenty-fifth of a core, because it may have put work off: a broker that
/// handles its subscriber's acknowledgements late, a platform that still writes. `None` when it has ended.
async fn settle(target: &Target) -> Option<CpuTimes> {
    let deadline = Instant::now() + DRAIN_TIMEOUT;
    loop {
        let before = target.cpu().ok()?;
        if before.target.is_none() || target.stop.is_cancelled() {
            return Some(before);
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        let after = target.cpu().ok()?;
        let used = after.target?.since(before.target?).total();
        if used <= Duration::from_millis(20) || Instant::now() > deadline {
            return Some(after);
        }
    }
}

fn judge(run: &WholeRun, errors: &mut Errors) {
    if run.acknowledged == 0 {
        errors.add("no report was acknowledged");
    }
    if run.unacknowledged > 0 {
        errors.add(format!("{} reports were never acknowledged", run.unacknowledged));
    }
    if run.out_of_order > 0 {
        errors.add(format!("{} PUBACKs came out of order [MQTT-4.6.0-2]", run.out_of_order));
    }
    if let Some(received) = run.subscriber_received
        && received < run.acknowledged
    {
        errors.add(format!("the subscriber missed {} of {} reports", run.acknowledged - received, run.acknowledged));
    }
}

fn outcome(
    args: &IngestArgs,
    before: &Mark,
    after: &Mark,
    rss_max: Option<u64>,
    latency: LatencySummary,
    whole_run: WholeRun,
) -> Outcome {
    let seconds = (after.cpu.at - before.cpu.at).as_secs_f64();
    let messages = after.acknowledged - before.acknowledged;
    let target_cpu = before.cpu.target.zip(after.cpu.target);
    Outcome {
        seconds,
        messages,
        messages_per_second: messages as f64 / seconds,
        payload_bytes_per_second: messages as f64 * args.size as f64 / seconds,
        latency,
        target_cpu: target_cpu.map(|(before, after)| CpuCost::new(after.since(before), seconds, messages)),
        generator_cpu: CpuCost::new(after.cpu.generator.since(before.cpu.generator), seconds, messages),
        target_memory_before: before.memory,
        target_memory_after: after.memory,
        target_rss_max_bytes: rss_max,
        subscriber_messages: whole_run.subscriber_received.map(|_| after.received - before.received),
        whole_run,
    }
}

fn describe(report: &mut Report, args: &IngestArgs, outcome: &Outcome) {
    report.row(
        "load",
        format!(
            "{} connections · QoS 1 · {} bytes payload · {} under way each · {}{}",
            args.connections,
            args.size,
            args.inflight,
            if args.rate > 0.0 { format!("{} reports/s", args.rate) } else { "as fast as acknowledged".into() },
            match args.subscribe {
                SubscribeQos::None => "",
                SubscribeQos::Qos0 => " · one subscriber with QoS 0",
                SubscribeQos::Qos1 => " · one subscriber with QoS 1",
            }
        ),
    );
    report.row("window", format!("{:.1} s after {} of warm-up", outcome.seconds, seconds(args.warmup)));
    report.row(
        "throughput",
        format!(
            "{} reports/s ({} acknowledged)",
            grouped(outcome.messages_per_second as u64),
            grouped(outcome.messages)
        ),
    );
    if let Some(received) = outcome.subscriber_messages {
        report.row("subscriber", format!("{} reports in the window", grouped(received)));
    }
    report.latency_rows("publish to PUBACK", &outcome.latency);
    if let Some(cost) = &outcome.target_cpu {
        report.cpu_row("target", cost, "report");
    }
    if let Some(cost) = &outcome.whole_run.target_cpu {
        report.cpu_row("target, whole run until quiet", cost, "report");
    }
    report.cpu_row("generator", &outcome.generator_cpu, "report");
    if let Some(memory) = &outcome.target_memory_after {
        report.memory_row("memory of the target at the end", memory);
    }
    if let Some(max) = outcome.target_rss_max_bytes {
        report.row("largest RSS in the window", mebibytes(max));
    }
    if args.rate == 0.0 {
        report.note(format!(
            "latency at full speed is mostly waiting behind the {} reports under way; use --rate for the latency of a \
             target with time to spare",
            grouped(u64::from(args.connections) * u64::from(args.inflight))
        ));
    } else if outcome.messages_per_second < args.rate * 0.98 {
        report.note(format!(
            "the asked rate of {} reports/s was not reached: reports waited for a free place, and that wait is not in \
             the latency",
            args.rate
        ));
    }
    if outcome.target_cpu.is_none() {
        report.note("no --target-pid: CPU and memory of the target were not measured");
    }
}
