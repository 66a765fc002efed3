//! `causeway bench registry`: a large registry over REST. Registers devices in bulk, then reads single devices and
//! every kind of list.

mod server;

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::args::{RegistryArgs, Via};
use super::process::Memory;
use super::report::{CpuCost, Errors, Report, grouped, seconds};
use super::target::{CpuTimes, Target};
use crate::load::histogram::{Histogram, LatencySummary};
use crate::load::progress::Progress;
use crate::load::provision;
use crate::load::rest::{Api, encode};
use server::Server;

/// Requests under way at once while devices are created one at a time.
const CREATING: usize = 64;
/// How often a task is asked how far it is.
const POLL: Duration = Duration::from_millis(50);
/// A batch task that makes no progress for so long has failed.
const STALLED: Duration = Duration::from_secs(60);
/// Memory is looked at so often while devices are registered.
const LOOK: Duration = Duration::from_millis(500);
/// Rest before the memory at rest is read: what was freed goes back to the system meanwhile.
const REST: Duration = Duration::from_secs(5);

/// What was found.
#[derive(Serialize)]
struct Outcome {
    registered: u64,
    registration_seconds: f64,
    devices_per_second: f64,
    registration_cpu: Option<CpuCost>,
    registration_generator_cpu: CpuCost,
    memory_peak_rss_bytes: Option<u64>,
    memory_at_rest: Option<Memory>,
    reads: Vec<Read>,
    reads_cpu: Option<CpuCost>,
    memory_after_reads: Option<Memory>,
    restart: Option<Restart>,
}

/// One kind of read.
#[derive(Serialize)]
struct Read {
    what: &'static str,
    /// `page.count` of the last answer.
    count: Option<u64>,
    latency: LatencySummary,
}

/// Start on the data that are there.
#[derive(Serialize)]
struct Restart {
    stop_seconds: f64,
    start_seconds: f64,
    first_list_ms: f64,
    memory_at_rest: Option<Memory>,
}

fn product_id(number: u64) -> String {
    format!("registry-{number}")
}

/// Node ids in no order, each once, as serial numbers of a real fleet are.
fn node_id(number: u64) -> String {
    format!("{:016x}", number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// Mostly in the order of products, as files are; one in ten in none.
fn product_of(number: u64, args: &RegistryArgs) -> u64 {
    let products = u64::from(args.products);
    if number.is_multiple_of(10) { (number / 10) % products } else { number * products / u64::from(args.devices) }
}

fn device_name(number: u64) -> String {
    format!("meter_{number}_street_{}", number % 5000)
}

/// Runs the mode.
///
/// # Errors
/// When it cannot begin, and after the report when the run had errors.
pub(super) async fn run(args: RegistryArgs) -> anyhow::Result<()> {
    let own = !args.target.platform.is_given();
    let mut target_args = args.target.clone();
    let mut server = None;
    if own {
        let mut own = Server::new(args.data.as_deref(), &args.set)?;
        let took = own.start().await?;
        target_args.platform.ready_file = Some(own.ready_file());
        eprintln!("the platform started in {:.3} s", took.as_secs_f64());
        server = Some(own);
    }
    let target = Target::find(&target_args, CREATING).await?;
    let api = &target.platform.as_ref().context("a platform is needed: give --ready-file FILE, or nothing")?.api;
    let mut report = Report::new(
        "registry",
        target.facts(),
        json!({ "devices": args.devices, "products": args.products, "via": args.via, "reads": args.reads,
                "concurrency": args.concurrency, "set": args.set }),
    )?;
    let mut errors = Errors::default();

    let model = json!({ "name": "registry", "device_type": "meter", "protocol_type": "MQTT", "data_format": "json",
                        "service_capabilities": [] });
    for number in 0..u64::from(args.products) {
        provision::product(api, &product_id(number), &model).await?;
    }
    let there = count(api, "").await?;
    let before = target.cpu()?;
    let peak = register(&target, api, &args, there, &mut errors).await?;
    let after = target.final_cpu(&mut errors)?;
    let registered = count(api, "").await?.saturating_sub(there);
    let length = (after.at - before.at).as_secs_f64();
    tokio::time::sleep(REST).await;
    let memory_at_rest = target.memory();

    let reading = target.cpu()?;
    let reads = read_all(&target, api, &args, &mut errors).await?;
    let read = target.final_cpu(&mut errors)?;
    let requests: u64 = reads.iter().map(|r| r.latency.samples).sum();
    let memory_after_reads = target.memory();

    let restart = match &mut server {
        Some(server) if !target.stop.is_cancelled() => Some(restart(server, &target_args).await?),
        _ => None,
    };
    if target.stop.is_cancelled() {
        errors.add("stopped by a signal before the end");
    }
    let cost = |from: &CpuTimes, to: &CpuTimes, operations| {
        let seconds = (to.at - from.at).as_secs_f64();
        from.target.zip(to.target).map(|(before, after)| CpuCost::new(after.since(before), seconds, operations))
    };
    let outcome = Outcome {
        registered,
        registration_seconds: length,
        devices_per_second: registered as f64 / length,
        registration_cpu: cost(&before, &after, registered),
        registration_generator_cpu: CpuCost::new(after.generator.since(before.generator), length, registered),
        memory_peak_rss_bytes: peak,
        memory_at_rest,
        reads,
        reads_cpu: cost(&reading, &read, requests),
        memory_after_reads,
        restart,
    };
    describe(&mut report, &args, &outcome);
    report.others(read.others_since(&before));
    report.result(&outcome)?;
    report.errors(errors);
    if let Some(mut server) = server {
        server.stop().await?;
    }
    report.deliver(args.target.json.as_deref())
}

/// `page.count` of a list of devices.
async fn count(api: &Api, query: &str) -> anyhow::Result<u64> {
    let answer: Value = api.call("GET", &format!("/devices?limit=1{query}"), None).await?;
    answer["page"]["count"].as_u64().context("a list has a count")
}

/// Registers the devices from number `there` on; the largest resident set seen meanwhile.
async fn register(
    target: &Target,
    api: &Api,
    args: &RegistryArgs,
    there: u64,
    errors: &mut Errors,
) -> anyhow::Result<Option<u64>> {
    let devices = u64::from(args.devices);
    let done = Arc::new(AtomicU64::new(there));
    let (mut progress, mut tasks) = (Progress::new(), JoinSet::new());
    let mut next = there.min(devices);
    let mut peak = target.memory().map(|m| m.rss_bytes);
    let at_once = if args.via == Via::Files { args.files_at_once as usize } else { CREATING };
    let rows = if args.via == Via::Files { u64::from(args.file_rows) } else { 1 };
    let mut look = tokio::time::interval(LOOK);
    loop {
        while next < devices && tasks.len() < at_once && !target.stop.is_cancelled() {
            let (first, end) = (next, devices.min(next + rows));
            let (api, args, done) = (api.clone(), args.clone(), Arc::clone(&done));
            tasks.spawn(async move {
                let outcome = match args.via {
                    Via::Files => by_file(&api, &args, first, end, &done).await,
                    Via::Requests => by_request(&api, &args, first).await,
                };
                if args.via == Via::Requests {
                    done.fetch_add(1, Ordering::Relaxed);
                }
                outcome
            });
            next = end;
        }
        tokio::select! {
            ended = tasks.join_next() => match ended {
                None => break,
                Some(outcome) => {
                    if let Err(error) = outcome.context("a task panicked")? {
                        errors.add(format!("{error:#}"));
                    }
                }
            },
            _ = look.tick() => {
                peak = peak.max(target.memory().map(|m| m.rss_bytes));
                progress.update(|| format!("registered: {} of {}", grouped(done.load(Ordering::Relaxed)), grouped(devices)));
            }
        }
    }
    progress.finish(&format!("registered: {}", grouped(done.load(Ordering::Relaxed))));
    Ok(peak.max(target.memory().map(|m| m.rss_bytes)))
}

async fn by_request(api: &Api, args: &RegistryArgs, number: u64) -> anyhow::Result<()> {
    let body = json!({ "product_id": product_id(product_of(number, args)), "node_id": node_id(number),
                       "device_name": device_name(number) });
    api.call::<Value>("POST", "/devices", Some(&body)).await?;
    Ok(())
}

/// One file and the batch task that creates its devices.
async fn by_file(api: &Api, args: &RegistryArgs, first: u64, end: u64, done: &AtomicU64) -> anyhow::Result<()> {
    let mut table = String::from("product_id,node_id,device_name\n");
    for number in first..end {
        writeln!(table, "{},{},{}", product_id(product_of(number, args)), node_id(number), device_name(number))?;
    }
    let file: Value = api.upload("/batchtask-files", &format!("devices-{first}.csv"), table.as_bytes()).await?;
    let id = file["file_id"].as_str().context("an uploaded file has an id")?;
    let body = json!({ "task_name": format!("devices_{first}"), "task_type": "createDevices", "document_source": id });
    let task: Value = api.call("POST", "/batchtasks", Some(&body)).await?;
    let task_id = task["task_id"].as_str().context("a task has an id")?.to_owned();
    let (mut known, mut moved) = (0, Instant::now());
    loop {
        tokio::time::sleep(POLL).await;
        let shown: Value = api.call("GET", &format!("/batchtasks/{}?limit=1", encode(&task_id)), None).await?;
        let task = &shown["batchtask"];
        let success = task["task_progress"]["success"].as_u64().unwrap_or(0);
        if success > known {
            done.fetch_add(success - known, Ordering::Relaxed);
            (known, moved) = (success, Instant::now());
        }
        match task["status"].as_str().unwrap_or_default() {
            "Success" => break,
            status @ ("Fail" | "PartialSuccess" | "Stopped") => {
                anyhow::bail!("task {task_id} of {} devices ended as {status}: {}", end - first, task["task_progress"])
            }
            _ => anyhow::ensure!(moved.elapsed() < STALLED, "task {task_id} does not go on"),
        }
    }
    // Files are few; tasks may stay.
    api.call::<Value>("DELETE", &format!("/batchtask-files/{}", encode(id)), None).await?;
    Ok(())
}

/// Every kind of read: what it is, and the path of the request with this number.
type Kind = (&'static str, Box<dyn Fn(u64) -> String + Send + Sync>);

fn kinds(args: &RegistryArgs, app_id: &str, times: &[String; 2]) -> Vec<Kind> {
    let devices = u64::from(args.devices);
    let products = u64::from(args.products);
    let any = move |turn: u64| turn.wrapping_mul(0x9e37_79b9_7f4a_7c15) % devices;
    let some = args.clone();
    let (app, [from, to]) = (encode(app_id), times.clone());
    let list =
        |what: &'static str, query: String| -> Kind { (what, Box::new(move |_| format!("/devices?limit=50{query}"))) };
    vec![
        (
            "get by id",
            Box::new(move |turn| {
                let number = any(turn);
                format!("/devices/{}_{}", product_id(product_of(number, &some)), node_id(number))
            }),
        ),
        list("list, first page", String::new()),
        list("list, offset 500", "&offset=500".into()),
        ("list, any marker", Box::new(move |turn| format!("/devices?limit=50&marker={:024x}", 1 + any(turn)))),
        (
            "list, any marker, offset 500",
            Box::new(move |turn| format!("/devices?limit=50&offset=500&marker={:024x}", 1 + any(turn))),
        ),
        list("space", format!("&app_id={app}")),
        ("product", Box::new(move |turn| format!("/devices?limit=50&product_id={}", product_id(turn % products)))),
        ("node id", Box::new(move |turn| format!("/devices?limit=50&node_id={}", node_id(any(turn))))),
        ("name, one device", Box::new(move |turn| format!("/devices?limit=50&device_name=meter_{}_", any(turn)))),
        (
            "name, one in 5000",
            Box::new(move |turn| format!("/devices?limit=50&device_name=street_{}", 1000 + turn % 4000)),
        ),
        list("name, all", "&device_name=meter".into()),
        ("name, one digit", Box::new(move |turn| format!("/devices?limit=50&device_name={}", turn % 10))),
        list("name, none", "&device_name=thermostat".into()),
        list("time", format!("&start_time={from}&end_time={to}")),
        (
            "product, name, space",
            Box::new(move |turn| {
                format!(
                    "/devices?limit=50&app_id={app}&product_id={}&device_name={}",
                    product_id(turn % products),
                    turn % 100
                )
            }),
        ),
    ]
}

async fn read_all(target: &Target, api: &Api, args: &RegistryArgs, errors: &mut Errors) -> anyhow::Result<Vec<Read>> {
    let newest: Value = api.call("GET", "/devices?limit=1", None).await?;
    let app_id = newest["devices"][0]["app_id"].as_str().context("there is a device")?.to_owned();
    let oldest: Value = api.call("GET", &format!("/devices?limit=1&marker={:024x}", 2), None).await?;
    let time = |page: &Value| page["devices"][0]["create_time"].as_str().unwrap_or_default().to_owned();
    let (from, to) = (time(&oldest), time(&newest));
    let times = if from < to { [from, to] } else { ["20200101T000000Z".into(), "20990101T000000Z".into()] };
    let mut progress = Progress::new();
    let mut reads = Vec::new();
    for (what, path) in kinds(args, &app_id, &times) {
        if target.stop.is_cancelled() {
            break;
        }
        progress.update(|| format!("reading: {what}"));
        let (path, turn) = (Arc::new(path), Arc::new(AtomicU64::new(0)));
        let found = Arc::new(Mutex::new((Histogram::new(), None, Errors::default())));
        let mut tasks = JoinSet::new();
        for _ in 0..args.concurrency {
            let (api, path, turn, found) = (api.clone(), Arc::clone(&path), Arc::clone(&turn), Arc::clone(&found));
            let reads = u64::from(args.reads);
            tasks.spawn(async move {
                loop {
                    let at = turn.fetch_add(1, Ordering::Relaxed);
                    if at >= reads {
                        return;
                    }
                    let path = path(at);
                    let asked = Instant::now();
                    let answer = api.call::<Value>("GET", &path, None).await;
                    let took = asked.elapsed();
                    let mut found = found.lock();
                    match answer {
                        Ok(answer) => {
                            found.0.record(took);
                            found.1 = answer["page"]["count"].as_u64().or(found.1);
                        }
                        Err(error) => found.2.add(format!("{error:#}")),
                    }
                }
            });
        }
        while let Some(ended) = tasks.join_next().await {
            ended.context("a reader panicked")?;
        }
        let (latency, count, failed) =
            std::mem::replace(&mut *found.lock(), (Histogram::new(), None, Errors::default()));
        errors.merge(failed);
        reads.push(Read { what, count, latency: latency.summary() });
    }
    progress.clear();
    Ok(reads)
}

async fn restart(server: &mut Server, args: &super::args::TargetArgs) -> anyhow::Result<Restart> {
    let stopped = server.stop().await?;
    let started = server.start().await?;
    let target = Target::find(args, 1).await?;
    let api = &target.platform.as_ref().context("the platform is there")?.api;
    let asked = Instant::now();
    count(api, "&device_name=meter").await?;
    let first_list_ms = asked.elapsed().as_secs_f64() * 1e3;
    tokio::time::sleep(REST).await;
    Ok(Restart {
        stop_seconds: stopped.as_secs_f64(),
        start_seconds: started.as_secs_f64(),
        first_list_ms,
        memory_at_rest: target.memory(),
    })
}

fn describe(report: &mut Report, args: &RegistryArgs, outcome: &Outcome) {
    let via = match args.via {
        Via::Files => format!("files of {} rows, {} at once", grouped(args.file_rows.into()), args.files_at_once),
        Via::Requests => format!("{CREATING} requests at once"),
    };
    report.row("load", format!("{} devices of {} products, {via}", grouped(args.devices.into()), args.products));
    if outcome.registered > 0 {
        report.row(
            "registration",
            format!(
                "{} devices/s ({} in {})",
                grouped(outcome.devices_per_second as u64),
                grouped(outcome.registered),
                seconds(Duration::from_secs_f64(outcome.registration_seconds))
            ),
        );
        if let Some(cost) = &outcome.registration_cpu {
            report.cpu_row("target, registering", cost, "device");
        }
        report.cpu_row("generator, registering", &outcome.registration_generator_cpu, "device");
        if let Some(peak) = outcome.memory_peak_rss_bytes {
            report.row("largest memory while registering", format!("RSS {}", super::report::mebibytes(peak)));
        }
    }
    if let Some(memory) = &outcome.memory_at_rest {
        report.memory_row("memory of the target at rest", memory);
    }
    for read in &outcome.reads {
        let what = read.count.map_or_else(|| read.what.to_owned(), |n| format!("{} → {}", read.what, grouped(n)));
        report.latency_rows(&what, &read.latency);
    }
    if let Some(cost) = &outcome.reads_cpu {
        report.cpu_row("target, reading", cost, "request");
    }
    if let Some(memory) = &outcome.memory_after_reads {
        report.memory_row("memory of the target after reading", memory);
    }
    if let Some(restart) = &outcome.restart {
        report.row(
            "restart",
            format!(
                "ended in {:.2} s, ready in {:.3} s, first list by name {:.0} ms",
                restart.stop_seconds, restart.start_seconds, restart.first_list_ms
            ),
        );
        if let Some(memory) = &restart.memory_at_rest {
            report.memory_row("memory after the restart", memory);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_distinct_and_every_product_has_some() {
        let args = RegistryArgs { devices: 1000, products: 10, ..RegistryArgs::default() };
        let nodes: std::collections::HashSet<String> = (0..1000).map(node_id).collect();
        assert_eq!(nodes.len(), 1000);
        let mut each = [0; 10];
        (0..1000).for_each(|n| each[product_of(n, &args) as usize] += 1);
        assert!(each.iter().all(|n| *n > 50), "{each:?}");
        let times = ["20200101T000000Z".to_owned(), "20990101T000000Z".to_owned()];
        for (what, path) in kinds(&args, "app", &times) {
            assert!(path(7).starts_with("/devices"), "{what}");
        }
    }
}
