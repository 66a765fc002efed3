//! `causeway bench rules`: what forwarding adds to a report, stage by stage, with the same devices in one run.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde::Serialize;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::amqp::{Fill, QUEUE, Queue, Rule, Rules, fill, find_queue, into_queue};
use super::args::RulesArgs;
use super::payload::PRODUCT_ID;
use super::process::Memory;
use super::report::{CpuCost, Errors, Report, grouped, mebibytes};
use super::target::Target;
use crate::load::platform::REST_CONNECTIONS;
use crate::load::progress::Progress;
use crate::load::rest::Api;

/// Rules of this mode begin so.
const PREFIX: &str = "bench_rules_";

/// What one stage cost.
#[derive(Serialize)]
struct Stage {
    name: String,
    seconds: f64,
    messages: u64,
    messages_per_second: f64,
    target_cpu: Option<CpuCost>,
    memory_after: Option<Memory>,
}

/// Runs the mode.
///
/// # Errors
/// When it cannot begin, and after the report when the run had errors.
pub(super) async fn run(args: RulesArgs) -> anyhow::Result<()> {
    let target = Target::find(&args.target, REST_CONNECTIONS).await?;
    let platform = target.platform.as_ref().context("rules are a platform's: give --ready-file FILE")?;
    clean(&platform.api).await?;
    let queue = find_queue(None, &args.target, &target).await?;
    let rule = Rule::named(QUEUE, &platform.api).await?;
    let mut report = Report::new(
        "rules",
        target.facts(),
        json!({ "messages": args.messages, "payload_bytes": args.size, "devices": args.devices, "rules": args.rules }),
    )?;
    let outcome = stages(&args, &target, &platform.api, &queue, &rule).await;
    clean(&platform.api).await?;
    let stages = outcome?;
    report.row("load", format!("{} reports in each stage", grouped(u64::from(args.messages))));
    for stage in &stages {
        let cpu = stage.target_cpu.as_ref().and_then(|cost| cost.us_per_operation);
        let cpu = cpu.map_or_else(String::new, |us| format!(" · {us:.2} µs of the target's CPU each"));
        let memory = stage
            .memory_after
            .as_ref()
            .map_or_else(String::new, |memory| format!(" · RSS {}", mebibytes(memory.rss_bytes)));
        report.row(&stage.name, format!("{} messages/s{cpu}{memory}", grouped(stage.messages_per_second as u64)));
    }
    report.result(&stages)?;
    report.errors(Errors::default());
    report.deliver(args.target.json.as_deref())
}

async fn stages(
    args: &RulesArgs,
    target: &Target,
    api: &Api,
    queue: &Queue,
    rule: &Rule,
) -> anyhow::Result<Vec<Stage>> {
    let mut stages = Vec::new();
    rule.activate(api, false).await?;
    // The first reports of a fresh platform meet cold caches: they are for nobody.
    report(args, target, "warm-up").await?;
    stages.push(report(args, target, "door, model, shadow, history, commit").await?);
    rule.activate(api, true).await?;
    stages.push(report(args, target, "the same and one rule into a queue").await?);
    stages.push(drain(args, target, queue, args.messages).await?);
    others(api, args.rules.saturating_sub(1)).await?;
    stages.push(report(args, target, &format!("{} rules, one of which matches", args.rules)).await?);
    drain(args, target, queue, args.messages).await?;
    clean(api).await?;
    let again = Rule::create(api, &format!("{PREFIX}again"), PRODUCT_ID, into_queue()).await?;
    again.activate(api, true).await?;
    stages.push(report(args, target, "two rules into the queue").await?);
    drain(args, target, queue, args.messages.saturating_mul(2)).await?;
    clean(api).await?;
    let (address, hanging) = hanging_listener().await?;
    let to = json!({ "rule_id": "", "channel": "HTTP_FORWARDING", "channel_detail":
        { "http_forwarding": { "url": format!("http://{address}/never") } } });
    let hung = Rule::create(api, &format!("{PREFIX}hanging"), PRODUCT_ID, to)
        .await
        .context("a rule to a target of this machine (start the platform with --set push.allow_private=true)")?;
    hung.activate(api, true).await?;
    // The target takes the first connections and holds them: it hangs while everything below goes on.
    stages.push(report(args, target, "one rule into a queue and one to a target that hangs").await?);
    drain(args, target, queue, args.messages).await?;
    stages.push(report(args, target, "the same again, the target still hangs").await?);
    hanging.abort();
    Ok(stages)
}

/// Reports of all devices, as fast as they are acknowledged.
async fn report(args: &RulesArgs, target: &Target, name: &str) -> anyhow::Result<Stage> {
    let devices = target.devices(args.devices as usize).await?;
    let connections = target.connect_all(&devices, 64).await?;
    let work = Fill { messages: args.messages, size: args.size, queue: None };
    measure(target, name, args.messages, fill(work, devices, connections)).await
}

async fn drain(args: &RulesArgs, target: &Target, queue: &Queue, messages: u32) -> anyhow::Result<Stage> {
    let mut link = queue.open(true).await?;
    let work = async {
        link.credit(args.credit).await?;
        let mut received = 0;
        while received < messages {
            received += link.receive(args.credit).await?;
        }
        Ok(())
    };
    measure(target, "delivery from the queue to one AMQP receiver", messages, work).await
}

async fn measure(
    target: &Target,
    name: &str,
    messages: u32,
    work: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<Stage> {
    Progress::new().finish(name);
    let before = target.cpu()?;
    let began = Instant::now();
    tokio::select! {
        done = work => done?,
        () = target.stop.cancelled() => anyhow::bail!("stopped"),
    }
    let seconds = began.elapsed().as_secs_f64();
    // What the platform put off belongs to the stage: checkpoints, tables written from memory.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let after = target.cpu()?;
    let messages = u64::from(messages);
    Ok(Stage {
        name: name.to_owned(),
        seconds,
        messages,
        messages_per_second: messages as f64 / seconds,
        target_cpu: before.target.zip(after.target).map(|(b, a)| CpuCost::new(a.since(b), seconds, messages)),
        memory_after: target.memory(),
    })
}

/// Active rules about the same events that match none of them.
async fn others(api: &Api, count: u32) -> anyhow::Result<()> {
    for number in 0..count {
        let name = format!("{PREFIX}{number}");
        let rule = Rule::create(api, &name, &format!("other-{number}"), into_queue()).await?;
        rule.activate(api, true).await?;
    }
    Ok(())
}

/// Deletes the rules of this mode.
async fn clean(api: &Api) -> anyhow::Result<()> {
    loop {
        let found: Rules = api.call("GET", &format!("/routing-rule/rules?rule_name={PREFIX}&limit=50"), None).await?;
        if found.rules.is_empty() {
            return Ok(());
        }
        for rule in found.rules {
            let () = api.call("DELETE", &format!("/routing-rule/rules/{}", rule.id), None).await?;
        }
    }
}

/// A target that takes every connection and never answers.
async fn hanging_listener() -> anyhow::Result<(std::net::SocketAddr, JoinHandle<()>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let holding = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((socket, _)) = listener.accept().await {
            held.push(socket);
        }
    });
    Ok((address, holding))
}
