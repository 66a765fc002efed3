//! `causeway bench amqp`: fills a queue and drains it with one receiver, or does both at the same time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use causeway_wire::mqtt::PacketId;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::amqp_client::Link;
use super::args::{AmqpArgs, TargetArgs};
use super::payload::{PRODUCT_ID, report as payload_of};
use super::process::Memory;
use super::report::{CpuCost, Errors, Report, grouped, seconds};
use super::target::Target;
use crate::load::identity::{Device, now};
use crate::load::mqtt::{self, Connection, Incoming};
use crate::load::platform::{AmqpAccess, REST_CONNECTIONS};
use crate::load::rest::Api;
use crate::load::tls;

/// Reports of one device that wait for their PUBACK.
const INFLIGHT: u32 = 64;
/// The queue and the rule on a platform.
pub(super) const QUEUE: &str = "bench_queue";

#[derive(Serialize)]
struct Outcome {
    messages: u64,
    /// Until the target had all messages; with `--together` this is part of what was measured.
    fill_seconds: f64,
    /// From the first credit to the last message.
    drain_seconds: f64,
    messages_per_second: f64,
    target_cpu: Option<CpuCost>,
    generator_cpu: CpuCost,
    target_memory_after: Option<Memory>,
}

/// Something that the platform made or has.
#[derive(Deserialize)]
pub(super) struct Made {
    /// Its id.
    #[serde(alias = "rule_id", alias = "queue_id")]
    pub(super) id: String,
}

/// A page of rules.
#[derive(Deserialize)]
pub(super) struct Rules {
    /// Them.
    pub(super) rules: Vec<Made>,
}

/// Where the queue is.
#[derive(Clone)]
pub(super) struct Queue {
    address: SocketAddr,
    access: AmqpAccess,
    host: &'static str,
    name: String,
}

impl Queue {
    /// A link to receive from it, or to send to it.
    ///
    /// # Errors
    /// When the target refuses.
    pub(super) async fn open(&self, is_receiver: bool) -> anyhow::Result<Link> {
        let key = &self.access.access_key;
        // A platform wants the time in the user name, another broker the name as it is.
        let user = if self.host == "default" { format!("accessKey={key}|timestamp={}", now().0) } else { key.clone() };
        Link::open(self.address, (&user, &self.access.access_code), self.host, &self.name, is_receiver).await
    }
}

/// Runs the mode.
///
/// # Errors
/// When it cannot begin, and after the report when the run had errors.
pub(super) async fn run(args: AmqpArgs) -> anyhow::Result<()> {
    let target = Target::find(&args.target, REST_CONNECTIONS).await?;
    let queue = find_queue(Some(&args.queue), &args.target, &target).await?;
    let mut report = Report::new(
        "amqp",
        target.facts(),
        json!({ "messages": args.messages, "payload_bytes": args.size, "credit": args.credit, "devices": args.devices,
                "together": args.together, "queue": queue.name, "amqp": queue.address.to_string() }),
    )?;
    let outcome = measure(&args, &target, &queue).await?;
    report.row(
        "load",
        format!("{} messages, credit {}, one receiver", grouped(outcome.messages), grouped(u64::from(args.credit))),
    );
    report.row("filled in", seconds(Duration::from_secs_f64(outcome.fill_seconds)));
    report.row(
        if args.together { "end to end" } else { "drained" },
        format!("{} messages/s ({:.2} s)", grouped(outcome.messages_per_second as u64), outcome.drain_seconds),
    );
    if let Some(cost) = &outcome.target_cpu {
        report.cpu_row("target", cost, "message");
    }
    report.cpu_row("generator", &outcome.generator_cpu, "message");
    if let Some(memory) = &outcome.target_memory_after {
        report.memory_row("memory of the target at the end", memory);
    }
    report.result(&outcome)?;
    report.errors(Errors::default());
    report.deliver(args.target.json.as_deref())
}

/// Where the queue is; on a platform it is made anew, with its rule. `name` is that on a broker.
///
/// # Errors
/// When the target has none.
pub(super) async fn find_queue(name: Option<&str>, args: &TargetArgs, target: &Target) -> anyhow::Result<Queue> {
    match &target.platform {
        Some(platform) => {
            let address = platform.amqp.as_deref().context(
                "the platform has no plain AMQP door: start it with --set listen.amqp=127.0.0.1:0 for this measurement",
            )?;
            let access = platform.amqp_access.clone().context("the ready file has no AMQP access code")?;
            prepare(&platform.api).await?;
            let address = tls::resolve(address).await?;
            Ok(Queue { address, access, host: "default", name: QUEUE.to_owned() })
        }
        None => {
            let access = AmqpAccess {
                access_key: args.user.clone().context("a broker wants --user")?,
                access_code: args.password.clone().context("a broker wants --password")?,
            };
            Ok(Queue { address: target.door.address, access, host: "bench", name: name.unwrap_or(QUEUE).to_owned() })
        }
    }
}

/// A forwarding rule of the bench.
pub(super) struct Rule {
    id: String,
}

impl Rule {
    /// A new, inactive rule for the property reports of a product, with the action `to` (its `rule_id` is filled in).
    ///
    /// # Errors
    /// What the platform refuses.
    pub(super) async fn create(api: &Api, name: &str, product: &str, mut to: Value) -> anyhow::Result<Self> {
        let rule = json!({
            "rule_name": name, "subject": { "resource": "device.property", "event": "report" }, "app_type": "GLOBAL",
            "select": "*", "where": format!("notify_data.header.product_id = '{product}'"),
        });
        let rule: Made = api.call("POST", "/routing-rule/rules", Some(&rule)).await?;
        to["rule_id"] = rule.id.clone().into();
        let _: Value = api.call("POST", "/routing-rule/actions", Some(&to)).await?;
        Ok(Self { id: rule.id })
    }

    /// The rule with this name.
    ///
    /// # Errors
    /// When there is none.
    pub(super) async fn named(name: &str, api: &Api) -> anyhow::Result<Self> {
        let found: Rules = api.call("GET", &format!("/routing-rule/rules?rule_name={name}"), None).await?;
        Ok(Self { id: found.rules.into_iter().next().context("the rule of the bench has gone")?.id })
    }

    /// Switches it on or off.
    ///
    /// # Errors
    /// What the platform refuses.
    pub(super) async fn activate(&self, api: &Api, active: bool) -> anyhow::Result<()> {
        let path = format!("/routing-rule/rules/{}", self.id);
        let _: Value = api.call("PUT", &path, Some(&json!({ "active": active }))).await?;
        Ok(())
    }
}

/// The action of a rule that feeds the queue.
pub(super) fn into_queue() -> Value {
    json!({ "rule_id": "", "channel": "AMQP_FORWARDING", "channel_detail": { "amqp_forwarding": { "queue_name": QUEUE } } })
}

/// A queue with a rule that feeds it every property report of the bench product, made anew.
async fn prepare(api: &Api) -> anyhow::Result<()> {
    let found: Rules = api.call("GET", &format!("/routing-rule/rules?rule_name={QUEUE}"), None).await?;
    for rule in found.rules {
        let () = api.call("DELETE", &format!("/routing-rule/rules/{}", rule.id), None).await?;
    }
    let found: Value = api.call("GET", &format!("/amqp-queues?queue_name={QUEUE}"), None).await?;
    for queue in found["queues"].as_array().into_iter().flatten() {
        let id = queue["queue_id"].as_str().context("a queue without id")?;
        let () = api.call("DELETE", &format!("/amqp-queues/{id}"), None).await?;
    }
    let _: Made = api.call("POST", "/amqp-queues", Some(&json!({ "queue_name": QUEUE }))).await?;
    Rule::create(api, QUEUE, PRODUCT_ID, into_queue()).await?.activate(api, true).await
}

async fn measure(args: &AmqpArgs, target: &Target, queue: &Queue) -> anyhow::Result<Outcome> {
    let devices = match target.platform {
        Some(_) => target.devices(args.devices as usize).await?,
        None => Vec::new(),
    };
    let connections = target.connect_all(&devices, 64).await?;
    let mut before = target.cpu()?;
    let mut began = Instant::now();
    let to_broker = devices.is_empty().then(|| queue.clone());
    let work = Fill { messages: args.messages, size: args.size, queue: to_broker };
    let filling = tokio::spawn(fill(work, devices, connections));
    let mut fill_seconds = 0.0;
    let mut receiver = None;
    if args.together {
        receiver = Some((queue.open(true).await?, Some(filling)));
    } else {
        filling.await.context("the filling panicked")??;
        fill_seconds = began.elapsed().as_secs_f64();
        before = target.cpu()?;
        began = Instant::now();
    }
    let (mut link, filling) = match receiver {
        Some(found) => found,
        None => (queue.open(true).await?, None),
    };
    link.credit(args.credit).await?;
    let mut received = 0;
    while received < args.messages {
        tokio::select! {
            count = link.receive(args.credit) => received += count?,
            () = target.stop.cancelled() => anyhow::bail!("stopped"),
        }
    }
    let length = began.elapsed().as_secs_f64();
    let after = target.cpu()?;
    if let Some(filling) = filling {
        filling.await.context("the filling panicked")??;
        fill_seconds = length;
    }
    let messages = u64::from(received);
    let cpu = before.target.zip(after.target);
    Ok(Outcome {
        messages,
        fill_seconds,
        drain_seconds: length,
        messages_per_second: messages as f64 / length,
        target_cpu: cpu.map(|(before, after)| CpuCost::new(after.since(before), length, messages)),
        generator_cpu: CpuCost::new(after.generator.since(before.generator), length, messages),
        target_memory_after: target.memory(),
    })
}

/// What to fill.
pub(super) struct Fill {
    /// Messages in all.
    pub(super) messages: u32,
    /// Bytes of payload of each.
    pub(super) size: usize,
    /// The queue of a broker; none when devices report.
    pub(super) queue: Option<Queue>,
}

/// Fills the queue: a platform by reports of devices, a broker by a sender.
///
/// # Errors
/// When the target refuses or loses something.
pub(super) async fn fill(work: Fill, devices: Vec<Device>, connections: Vec<Connection>) -> anyhow::Result<()> {
    let body = payload_of(work.size)?;
    if let Some(queue) = work.queue {
        let text = String::from_utf8(body).context("the payload is text")?;
        return queue.open(false).await?.send(work.messages, &text).await;
    }
    let count = u32::try_from(devices.len()).unwrap_or(u32::MAX).max(1);
    let share = work.messages / count;
    let failed = Arc::new(AtomicBool::new(false));
    let mut reporting = JoinSet::new();
    for (number, (device, connection)) in devices.into_iter().zip(connections).enumerate() {
        let extra = if number == 0 { work.messages - share * count } else { 0 };
        reporting.spawn(report(device, connection, body.clone(), share + extra, failed.clone()));
    }
    while let Some(ended) = reporting.join_next().await {
        ended.context("a device panicked")??;
    }
    Ok(())
}

/// Reports `count` times, some at once.
async fn report(
    device: Device,
    mut connection: Connection,
    body: Vec<u8>,
    count: u32,
    failed: Arc<AtomicBool>,
) -> anyhow::Result<()> {
    let topic = device.system_topic("properties/report");
    let (mut sent, mut acknowledged) = (0, 0);
    let mut id = PacketId::MIN;
    let mut out = Vec::new();
    while acknowledged < count && !failed.load(Ordering::Relaxed) {
        // What is free is sent in one write, half of the places at least.
        if sent < count && sent - acknowledged <= INFLIGHT / 2 {
            out.clear();
            while sent < count && sent - acknowledged < INFLIGHT {
                mqtt::publish(&mut out, &topic, Some(id), &body)?;
                id = id.checked_add(1).unwrap_or(PacketId::MIN);
                sent += 1;
            }
            connection.send(&out).await?;
        }
        if matches!(
            connection.receive().await.inspect_err(|_| failed.store(true, Ordering::Relaxed))?,
            Incoming::Puback(_)
        ) {
            acknowledged += 1;
        }
    }
    Ok(())
}
