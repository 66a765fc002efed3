//! Kafka: `DMS_KAFKA_FORWARDING`, `MRS_KAFKA_FORWARDING`, `ROMA_FORWARDING`.
//!
//! An own producer, because every connection must keep out of the platform's own network, also those that the metadata of a
//! cluster lead to. The key of a record is the device's id, which chooses the partition as Kafka's own clients do, so that a
//! device keeps its order; an event of no device goes to partition 0. Written is what all replicas in sync have.

mod connection;
mod sasl;
mod wire;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::Duration;

use async_trait::async_trait;
use causeway_channels::{DmsKafkaForwarding, MrsKafkaForwarding, NetAddress, RomaForwarding};
use tokio::sync::Mutex;

use super::Workshop;
use crate::names::Names;
use crate::net::{self, Net};
use crate::stream::failure;
use crate::target::{Failure, Feeding, Item, Sent, Target};
use connection::{Connection, Login, Security};
use sasl::Mechanism;
use wire::{Api, Metadata, Record};

/// Port of an address that names none.
const PORT: u16 = 9092;
/// Where partitions are is asked anew after so long.
const METADATA_LIFE: Duration = Duration::from_secs(300);
/// Records and bytes of a batch. Brokers take about 1 MB at once unless told otherwise.
const ROWS: usize = 500;
const BYTES: usize = 512 << 10;
const LINGER: Duration = Duration::from_millis(20);
/// Errors after which the leader is asked for anew and the batch is sent once more.
const MOVED: [i16; 4] = [3, 5, 6, 7];
/// Errors that a record meets again whenever it is sent: too large, or refused by the topic's policy.
const NEVER: [i16; 4] = [10, 18, 44, 87];

/// See the module text.
pub(crate) struct KafkaTarget {
    net: Net,
    names: Names,
    bootstrap: Vec<(String, u16)>,
    topic: String,
    security: Security,
    cluster: Mutex<Cluster>,
}

#[derive(Default)]
struct Cluster {
    metadata: Metadata,
    /// When it was asked for; `None`: ask.
    asked: Option<tokio::time::Instant>,
    connections: HashMap<i32, Connection>,
}

impl KafkaTarget {
    pub(crate) fn dms(workshop: &Workshop, to: &DmsKafkaForwarding) -> Result<Self, String> {
        let login = to.username.clone().zip(to.password.clone()).map(|(user, password)| {
            let is_scram = to.mechanism.as_deref() == Some("SCRAM-SHA-512");
            Login { mechanism: if is_scram { Mechanism::ScramSha512 } else { Mechanism::Plain }, user, password }
        });
        // Without credentials TLS is spoken where authorities are named.
        let is_secured = match &login {
            Some(_) => to.security_protocol.as_deref() != Some("SASL_PLAINTEXT"),
            None => to.ca_certificate.is_some(),
        };
        let tls = is_secured.then(|| net::tls(to.ca_certificate.as_deref())).transpose()?;
        Self::new(workshop, &to.addresses, &to.topic, Security { tls, login })
    }

    pub(crate) fn mrs(workshop: &Workshop, to: &MrsKafkaForwarding) -> Result<Self, String> {
        Self::new(workshop, &to.addresses, &to.topic, Security { tls: None, login: None })
    }

    pub(crate) fn roma(workshop: &Workshop, to: &RomaForwarding) -> Result<Self, String> {
        let login = Login { mechanism: Mechanism::Plain, user: to.username.clone(), password: to.password.clone() };
        Self::new(workshop, &to.addresses, &to.topic, Security { tls: None, login: Some(login) })
    }

    fn new(workshop: &Workshop, addresses: &[NetAddress], topic: &str, security: Security) -> Result<Self, String> {
        let bootstrap = addresses
            .iter()
            .map(|a| a.host_and_port(PORT).map(|(host, port)| (host.to_owned(), port)))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            net: workshop.net.clone(),
            names: Names::new(workshop.platform.clone()),
            bootstrap,
            topic: topic.to_owned(),
            security,
            cluster: Mutex::default(),
        })
    }

    /// Asks any broker where the partitions are.
    async fn ask(&self, cluster: &mut Cluster) -> Result<(), Failure> {
        if cluster.asked.is_some_and(|at| at.elapsed() < METADATA_LIFE) {
            return Ok(());
        }
        let mut last = failure("unreachable", "no broker was asked");
        // Brokers that were told of come after those that are configured: the cluster may have moved as a whole.
        let told =
            cluster.metadata.brokers.iter().filter_map(|(_, host, port)| Some((host, u16::try_from(*port).ok()?)));
        let all: Vec<(String, u16)> =
            self.bootstrap.iter().cloned().chain(told.map(|(host, port)| (host.clone(), port))).collect();
        for (host, port) in all {
            match self.net.within(&format!("{host}:{port}"), self.ask_one(&host, port)).await {
                Ok(metadata) => {
                    cluster.connections.clear();
                    cluster.metadata = metadata;
                    cluster.asked = Some(tokio::time::Instant::now());
                    return Ok(());
                }
                // Another broker knows no better.
                Err(failure) if failure.word == "refused" => return Err(failure),
                Err(failure) => last = failure,
            }
        }
        Err(last)
    }

    async fn ask_one(&self, host: &str, port: u16) -> Result<Metadata, Failure> {
        let mut connection = Connection::open(&self.net, host, port, &self.security).await?;
        // A topic that is being made has no leaders for a moment.
        for pause in [100, 300, 1000, 0] {
            let answer = connection.call(Api::Metadata, |out| wire::metadata(out, &self.topic)).await?;
            let metadata = wire::read_metadata(&answer).ok_or_else(|| connection.nonsense())?;
            let is_ready = metadata.error == 0 && metadata.partitions.iter().any(|(_, _, leader)| *leader >= 0);
            if is_ready {
                return Ok(metadata);
            }
            if pause == 0 || !(metadata.error == 0 || MOVED.contains(&metadata.error)) {
                let text = format!("topic {}: {}", self.topic, wire::error_text(metadata.error.max(3)));
                return Err(failure("refused", text));
            }
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
        Err(connection.nonsense())
    }

    /// Writes batches to the broker that leads their partitions; the answer is an error for each, 0 for none.
    async fn write(
        &self,
        cluster: &mut Cluster,
        broker: i32,
        batches: &[(i32, Vec<u8>)],
    ) -> Result<HashMap<i32, i16>, Failure> {
        let connection = match cluster.connections.entry(broker) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(free) => {
                let address = cluster.metadata.brokers.iter().find(|(id, _, _)| *id == broker);
                let (_, host, port) =
                    address.ok_or_else(|| failure("unreachable", format!("broker {broker} has no address now")))?;
                let port = u16::try_from(*port).map_err(|_| failure("protocol", "a broker has no sound port"))?;
                free.insert(Connection::open(&self.net, host, port, &self.security).await?)
            }
        };
        let timeout_ms = i32::try_from(self.net.timeout.as_millis() / 2).unwrap_or(i32::MAX);
        let answer = connection.call(Api::Produce, |out| wire::produce(out, &self.topic, timeout_ms, batches)).await?;
        let outcomes = wire::read_produce(&answer).ok_or_else(|| connection.nonsense())?;
        Ok(outcomes.into_iter().collect())
    }

    /// Sends what is not done yet.
    async fn attempt(&self, cluster: &mut Cluster, batch: &mut Batch<'_>) -> Result<(), Failure> {
        self.ask(cluster).await?;
        let count = cluster.metadata.partitions.len();
        let mut by_partition: HashMap<usize, Vec<usize>> = HashMap::new();
        for at in batch.open() {
            let place = batch.keys[at].as_deref().map_or(0, |key| wire::partition_of(key.as_bytes(), count));
            by_partition.entry(place).or_default().push(at);
        }
        let mut by_broker: HashMap<i32, Vec<(i32, Vec<usize>)>> = HashMap::new();
        for (place, items) in by_partition {
            let (_, partition, leader) = cluster.metadata.partitions[place];
            if leader < 0 {
                return Err(failure("moved", format!("partition {partition} of {} has no leader now", self.topic)));
            }
            by_broker.entry(leader).or_default().push((partition, items));
        }
        let mut problem = None;
        for (broker, parts) in by_broker {
            let batches: Vec<(i32, Vec<u8>)> =
                parts.iter().map(|(partition, items)| (*partition, batch.encode(items))).collect();
            let whom = format!("broker {broker}");
            let outcomes = match self.net.within(&whom, self.write(cluster, broker, &batches)).await {
                Ok(outcomes) => outcomes,
                Err(failure) => {
                    cluster.connections.remove(&broker);
                    problem = Some(failure);
                    continue;
                }
            };
            for (partition, items) in parts {
                match outcomes.get(&partition).copied().unwrap_or(-1) {
                    0 => batch.done(&items, None),
                    never if NEVER.contains(&never) && items.len() == 1 => {
                        batch.done(&items, Some(wire::error_text(never)));
                    }
                    // Which of them it is shows when they go one by one.
                    never if NEVER.contains(&never) => batch.one_by_one = true,
                    error => {
                        let word = if MOVED.contains(&error) { "moved" } else { "refused" };
                        problem = Some(failure(word, format!("topic {}: {}", self.topic, wire::error_text(error))));
                    }
                }
            }
        }
        problem.map_or(Ok(()), Err)
    }
}

/// Items under way.
struct Batch<'a> {
    items: &'a [Item],
    keys: Vec<Option<String>>,
    /// `Some` when it was taken or, with a text, can never be.
    outcomes: Vec<Option<Option<String>>>,
    one_by_one: bool,
}

impl Batch<'_> {
    /// What is to be sent now, in order.
    fn open(&self) -> Vec<usize> {
        let open = self.outcomes.iter().enumerate().filter(|(_, o)| o.is_none()).map(|(at, _)| at);
        open.take(if self.one_by_one { 1 } else { usize::MAX }).collect()
    }

    fn encode(&self, items: &[usize]) -> Vec<u8> {
        let records: Vec<Record<'_>> = items
            .iter()
            .map(|at| Record {
                key: self.keys[*at].as_deref().map(str::as_bytes),
                value: &self.items[*at].body,
                at: self.items[*at].at.0,
            })
            .collect();
        wire::batch(&records)
    }

    fn done(&mut self, items: &[usize], rejected: Option<String>) {
        for at in items {
            self.outcomes[*at] = Some(rejected.clone());
        }
    }

    /// The first so many are through with.
    fn sent(self, failure: Option<Failure>) -> Sent {
        let done = self.outcomes.iter().take_while(|o| o.is_some()).count();
        let rejected = self.outcomes.into_iter().take(done).enumerate();
        let rejected = rejected.filter_map(|(at, outcome)| Some((at, outcome??))).collect();
        Sent { done, rejected, failure }
    }
}

#[async_trait]
impl Target for KafkaTarget {
    fn feeding(&self) -> Feeding {
        Feeding::Batches { rows: ROWS, bytes: BYTES, linger: LINGER }
    }

    async fn send(&self, items: &[Item]) -> Sent {
        let mut keys = Vec::with_capacity(items.len());
        for item in items {
            keys.push(self.names.of(item).await.device_id);
        }
        let mut batch = Batch { items, keys, outcomes: vec![None; items.len()], one_by_one: false };
        let mut cluster = self.cluster.lock().await;
        let mut tries = 0;
        loop {
            match self.attempt(&mut cluster, &mut batch).await {
                Ok(()) if batch.open().is_empty() => return batch.sent(None),
                Ok(()) => {}
                // A connection that rested may be closed by now, and leaders move: once, that is no failure.
                Err(failure) if tries == 0 && matches!(failure.word, "moved" | "unreachable") => {
                    tries += 1;
                    cluster.asked = None;
                    cluster.connections.clear();
                }
                Err(failure) => {
                    cluster.asked = None;
                    cluster.connections.clear();
                    return batch.sent(Some(failure));
                }
            }
        }
    }
}
