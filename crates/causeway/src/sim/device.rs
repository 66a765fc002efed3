//! One simulated device on the wire: connects, reports, answers, and comes back when the connection is lost.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use causeway_wire::mqtt::{PacketId, QoS};
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::behaviour::{Behaviour, Outgoing, Received};
use super::model::Model;
use crate::load::histogram::Histogram;
use crate::load::identity::{Device, now};
use crate::load::mqtt::{self, Connection, Door, Incoming};
use crate::load::open_files::source_address;

/// First and longest delay before a new attempt, as the vendor's SDKs have them (`iotda-device-access.md` §2).
pub(super) const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// Messages with QoS 1 that may wait for their PUBACK; a report that finds no place is left out and counted.
const MAX_UNACKNOWLEDGED: usize = 32;

/// System topics that the platform sends to (002 §2.1.2.12), below `$oc/devices/{id}/sys/`.
const DOWNLINK: [&str; 5] = ["commands/#", "messages/down", "properties/set/#", "properties/get/#", "events/down"];

/// What all devices share.
pub(super) struct Simulation {
    /// Where they connect.
    pub(super) door: Door,
    /// What they can do.
    pub(super) model: Model,
    /// Time between two reports.
    pub(super) interval: Option<Duration>,
    /// Publish with QoS 1.
    pub(super) acknowledged: bool,
    /// Keep-alive in seconds.
    pub(super) keep_alive: u16,
    /// Silence after which a device pings, and then waits as long for the answer.
    pub(super) ping_after: Duration,
    /// First and longest delay before a new attempt.
    pub(super) retry: (Duration, Duration),
    /// Connects under way at once.
    pub(super) connecting: Semaphore,
    /// Ends all.
    pub(super) stop: CancellationToken,
    /// What happened.
    pub(super) counters: Counters,
}

/// What all devices together have done.
#[derive(Default)]
pub(super) struct Counters {
    /// Connected now.
    pub(super) connected: AtomicU64,
    /// Successful connects.
    pub(super) connects: AtomicU64,
    /// Connections lost.
    pub(super) lost: AtomicU64,
    /// Connects that failed.
    pub(super) refused: AtomicU64,
    /// Reports written.
    pub(super) reports: AtomicU64,
    /// Messages acknowledged, with QoS 1.
    pub(super) acknowledged: AtomicU64,
    /// Reports left out because too many wait for their PUBACK.
    pub(super) left_out: AtomicU64,
    /// Commands answered.
    pub(super) commands: AtomicU64,
    /// Property settings answered.
    pub(super) sets: AtomicU64,
    /// Property queries answered.
    pub(super) gets: AtomicU64,
    /// Messages and events received.
    pub(super) messages: AtomicU64,
    /// The last failure in words.
    pub(super) last_failure: Mutex<Option<String>>,
    /// From the write of a message to its PUBACK; boxed because a histogram is large.
    pub(super) latency: Mutex<Option<Box<Histogram>>>,
}

impl Counters {
    fn failed(&self, device: &Device, error: impl Into<anyhow::Error>) {
        *self.last_failure.lock() = Some(format!("{}: {:#}", device.id, error.into()));
    }

    fn count(&self, received: Received) {
        let counter = match received {
            Received::Command => &self.commands,
            Received::Set => &self.sets,
            Received::Get => &self.gets,
            Received::Message => &self.messages,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// Lives until the simulation is stopped.
pub(super) async fn live(simulation: Arc<Simulation>, device: Device, number: usize) {
    let mut behaviour = Behaviour::new(&simulation.model, &device);
    let counters = &simulation.counters;
    let mut delay = simulation.retry.0;
    loop {
        match connect(&simulation, &device, number).await {
            None => return,
            Some(Ok(connection)) => {
                delay = simulation.retry.0;
                counters.connects.fetch_add(1, Ordering::Relaxed);
                counters.connected.fetch_add(1, Ordering::Relaxed);
                let ended = session(&simulation, &device, &mut behaviour, connection).await;
                counters.connected.fetch_sub(1, Ordering::Relaxed);
                match ended {
                    Ok(()) => return,
                    Err(error) => {
                        counters.lost.fetch_add(1, Ordering::Relaxed);
                        counters.failed(&device, error);
                    }
                }
            }
            Some(Err(error)) => {
                counters.refused.fetch_add(1, Ordering::Relaxed);
                counters.failed(&device, error);
            }
        }
        // Spread over half the delay, so that devices that were lost together do not come back together.
        let pause = delay.mul_f64(0.75 + 0.5 * behaviour.random().unit());
        delay = (delay * 2).min(simulation.retry.1);
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = simulation.stop.cancelled() => return,
        }
    }
}

/// One attempt to connect; `None` when the simulation is stopped meanwhile.
async fn connect(
    simulation: &Simulation,
    device: &Device,
    number: usize,
) -> Option<Result<Connection, mqtt::ConnectError>> {
    let attempt = async {
        let _turn = simulation.connecting.acquire().await.ok()?;
        let source = source_address(simulation.door.address, number);
        let opened = Connection::open(&simulation.door, &device.login(now()), simulation.keep_alive, source).await;
        Some(opened.map(|(connection, _)| connection))
    };
    tokio::select! {
        result = attempt => result,
        () = simulation.stop.cancelled() => None,
    }
}

/// Messages with QoS 1 under way on one connection.
struct Unacknowledged {
    next_id: PacketId,
    waiting: VecDeque<(PacketId, Instant)>,
}

impl Unacknowledged {
    fn next(&mut self) -> PacketId {
        let id = self.next_id;
        self.next_id = id.checked_add(1).unwrap_or(PacketId::MIN);
        id
    }

    fn add(&mut self) -> PacketId {
        let id = self.next();
        self.waiting.push_back((id, Instant::now()));
        id
    }

    /// How long `id` has waited; `None` when it did not.
    fn remove(&mut self, id: PacketId) -> Option<Duration> {
        let at = self.waiting.iter().position(|(waiting, _)| *waiting == id)?;
        self.waiting.remove(at).map(|(_, since)| since.elapsed())
    }
}

/// Lives on one connection; `Ok` when the simulation is stopped.
async fn session(
    simulation: &Simulation,
    device: &Device,
    behaviour: &mut Behaviour,
    mut connection: Connection,
) -> io::Result<()> {
    let counters = &simulation.counters;
    let ping_after = simulation.ping_after;
    let mut under_way = Unacknowledged { next_id: PacketId::MIN, waiting: VecDeque::new() };
    // The first report at a time of its own, so that devices that connect together do not report together.
    let mut next_report =
        simulation.interval.map(|interval| Instant::now() + interval.mul_f64(behaviour.random().unit()));
    let mut next_ping = Instant::now() + ping_after;
    let mut ping_sent: Option<Instant> = None;
    let mut out = Vec::with_capacity(512);
    if simulation.acknowledged {
        // One packet, and its answer is taken in the loop: commands may come before it.
        let topics = DOWNLINK.map(|suffix| device.system_topic(suffix));
        let filters = topics.each_ref().map(String::as_str);
        mqtt::subscribe(&mut out, under_way.next(), &filters, QoS::AtLeastOnce).map_err(io::Error::other)?;
        connection.send(&out).await?;
    }
    loop {
        out.clear();
        let due = next_report.unwrap_or(next_ping).min(next_ping);
        tokio::select! {
            () = simulation.stop.cancelled() => {
                drop(connection.close().await);
                return Ok(());
            }
            incoming = connection.receive() => match incoming? {
                Incoming::Publish { topic, packet_id, payload } => {
                    if let Some(id) = packet_id {
                        mqtt::puback(&mut out, id);
                    }
                    let (received, answers) =
                        behaviour.receive(&simulation.model, device, &topic, &payload, now());
                    counters.count(received);
                    for answer in &answers {
                        publish(simulation, &mut out, &mut under_way, answer)?;
                    }
                }
                Incoming::Puback(id) => {
                    if let Some(latency) = under_way.remove(id) {
                        counters.acknowledged.fetch_add(1, Ordering::Relaxed);
                        let mut histogram = counters.latency.lock();
                        histogram.get_or_insert_with(|| Box::new(Histogram::new())).record(latency);
                    }
                }
                Incoming::Pingresp => ping_sent = None,
                Incoming::Suback { granted: true } => {}
                Incoming::Suback { granted: false } => {
                    return Err(io::Error::other("SUBSCRIBE to the device's own downlink topics was refused"));
                }
            },
            () = sleep_until(due) => {
                let time = Instant::now();
                if let (Some(at), Some(interval)) = (next_report, simulation.interval)
                    && at <= time
                {
                    // Reports that a busy machine missed are not made up for.
                    next_report = Some((at + interval).max(time));
                    if under_way.waiting.len() >= MAX_UNACKNOWLEDGED {
                        counters.left_out.fetch_add(1, Ordering::Relaxed);
                    } else if let Some(report) = behaviour.report(&simulation.model, device, now()) {
                        publish(simulation, &mut out, &mut under_way, &report)?;
                        counters.reports.fetch_add(1, Ordering::Relaxed);
                    }
                }
                if next_ping <= time {
                    if ping_sent.is_some() {
                        return Err(io::Error::new(io::ErrorKind::TimedOut, "no PINGRESP"));
                    }
                    ping_sent = Some(time);
                    out.extend_from_slice(&[0xc0, 0]); // PINGREQ, §3.12
                }
            }
        }
        if !out.is_empty() {
            connection.send(&out).await?;
            // Keep-alive counts from the last packet of the client [MQTT-3.1.2-24]; an unanswered ping stays watched.
            next_ping = Instant::now() + ping_after;
        }
    }
}

fn publish(
    simulation: &Simulation,
    out: &mut Vec<u8>,
    under_way: &mut Unacknowledged,
    message: &Outgoing,
) -> io::Result<()> {
    // Answers go out even when reports have to wait, but what waits stays bounded: the oldest is forgotten, and its
    // PUBACK, should it come, counts for nothing.
    if under_way.waiting.len() >= 2 * MAX_UNACKNOWLEDGED {
        under_way.waiting.pop_front();
    }
    let id = simulation.acknowledged.then(|| under_way.add());
    mqtt::publish(out, &message.topic, id, message.payload.as_bytes()).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::load::identity::Proof;
    use crate::load::scripted_server::{Got, Server, Session, soon};

    fn simulation(server: &Server, interval: Option<Duration>, acknowledged: bool) -> Arc<Simulation> {
        Arc::new(Simulation {
            door: server.door(),
            model: Model::of_product(&super::super::sample::smart_meter()).expect("our own model"),
            interval,
            acknowledged,
            keep_alive: 120,
            ping_after: Duration::from_millis(100),
            retry: (Duration::from_millis(10), Duration::from_millis(40)),
            connecting: Semaphore::new(1),
            stop: CancellationToken::new(),
            counters: Counters::default(),
        })
    }

    fn start(simulation: &Arc<Simulation>) -> tokio::task::JoinHandle<()> {
        let device = Device { id: "m_1".into(), proof: Proof::Secret("12345678".into()) };
        tokio::spawn(live(Arc::clone(simulation), device, 0))
    }

    async fn publish_of(session: &mut Session) -> (String, Option<u16>, Value) {
        loop {
            match session.next().await {
                Got::Publish(topic, id, payload) => {
                    return (topic, id, serde_json::from_slice(&payload).expect("JSON"));
                }
                Got::Closed => panic!("closed"),
                _ => {}
            }
        }
    }

    #[tokio::test]
    async fn a_device_reports_answers_and_stops() {
        let server = Server::start().await;
        let simulation = simulation(&server, Some(Duration::from_millis(20)), true);
        let device = start(&simulation);
        let mut session = server.accept(0).await;
        let Got::Subscribe(1, filters) = session.next().await else { panic!("no SUBSCRIBE") };
        assert_eq!(filters.len(), DOWNLINK.len());
        session.send(&[0x90, 7, 0, 1, 1, 1, 1, 1, 1]).await;
        let (topic, id, report) = publish_of(&mut session).await;
        assert_eq!(topic, "$oc/devices/m_1/sys/properties/report");
        assert_eq!(report["services"][0]["service_id"], "Meter");
        let [high, low] = id.expect("QoS 1").to_be_bytes();
        session.send(&[0x40, 2, high, low]).await;

        let command = json!({ "service_id": "Module", "command_name": "Ping", "paras": { "number": 5 } });
        let topic = "$oc/devices/m_1/sys/commands/request_id=r";
        session.publish(topic, Some(9), command.to_string().as_bytes()).await;
        let (mut acknowledged, mut answered) = (false, false);
        while !(acknowledged && answered) {
            match session.next().await {
                Got::Puback(id) => acknowledged = id == 9,
                Got::Publish(topic, _, payload) if topic.ends_with("commands/response/request_id=r") => {
                    let answer: Value = serde_json::from_slice(&payload).expect("JSON");
                    answered = answer["paras"]["number"] == 5;
                }
                Got::Closed => panic!("closed"),
                _ => {}
            }
        }
        simulation.stop.cancel();
        while session.next().await != Got::Closed {}
        soon(device).await.expect("it ends by itself");
        let counters = &simulation.counters;
        assert_eq!(counters.commands.load(Ordering::Relaxed), 1);
        assert_eq!(counters.acknowledged.load(Ordering::Relaxed), 1);
        assert_eq!(counters.connected.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn a_device_that_is_refused_or_lost_comes_back() {
        let server = Server::start().await;
        let simulation = simulation(&server, None, false);
        let device = start(&simulation);
        drop(server.accept(5).await);
        drop(server.accept(0).await);
        let mut session = server.accept(0).await;
        // Without reports it still gives a sign of life before its keep-alive ends.
        assert_eq!(session.next().await, Got::Other("Pingreq".into()));
        let counters = &simulation.counters;
        assert_eq!(counters.refused.load(Ordering::Relaxed), 1);
        assert_eq!((counters.connects.load(Ordering::Relaxed), counters.lost.load(Ordering::Relaxed)), (2, 1));
        assert!(counters.last_failure.lock().as_deref().is_some_and(|text| text.starts_with("m_1: ")));
        // And takes a platform that does not answer for dead.
        while session.next().await != Got::Closed {}
        assert_eq!(counters.lost.load(Ordering::Relaxed), 2);
        simulation.stop.cancel();
        soon(device).await.expect("it ends by itself");
    }
}
