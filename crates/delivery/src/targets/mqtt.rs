//! Another MQTT broker: `MQTT_FORWARDING`, MQTT 3.1.1.
//!
//! With QoS 1 a batch is written as a whole and is done as far as its PUBACKs came without a gap; with QoS 0 when the broker
//! has answered a PINGREQ that follows it, which shows that the connection was alive. An idle connection is kept alive.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use causeway_channels::{MqttForwarding, Secret};
use causeway_wire::mqtt::{self, Connect, PacketId, Publish, QoS, Sender, Version, return_code};
use rustls::ClientConfig;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::Mutex;
use tokio_util::task::AbortOnDropHandle;

use super::Workshop;
use crate::names::Names;
use crate::net::{self, Net};
use crate::stream::{Stream, broken, failure};
use crate::target::{Failure, Feeding, Item, Sent, Target};

/// Packets under way: brokers take some dozens before they slow down.
const ROWS: usize = 64;
const BYTES: usize = 512 << 10;
const LINGER: Duration = Duration::from_millis(5);
/// Seconds.
const KEEP_ALIVE: u16 = 60;
/// Largest packet that is read: nothing but acknowledgements comes.
const MAX_PACKET: u32 = 4096;

/// See the module text.
pub(crate) struct MqttTarget {
    names: Names,
    topic: String,
    qos: QoS,
    retain: bool,
    line: Arc<Line>,
    _pinger: AbortOnDropHandle<()>,
}

/// The connection and what it takes to make one.
struct Line {
    net: Net,
    host: String,
    port: u16,
    tls: Option<Arc<ClientConfig>>,
    client_id: String,
    username: Option<String>,
    password: Option<Secret>,
    connection: Mutex<Option<Connection>>,
}

struct Connection {
    stream: Stream,
    inbox: Vec<u8>,
    whom: String,
}

/// What the broker said.
#[derive(Debug, PartialEq, Eq)]
enum Incoming {
    Connack(u8),
    Puback(PacketId),
    Pingresp,
}

impl MqttTarget {
    pub(crate) fn new(workshop: &Workshop, to: &MqttForwarding) -> Result<Self, String> {
        let is_secured = to.tls == Some(true);
        let (host, port) = to.address.host_and_port(if is_secured { 8883 } else { 1883 })?;
        let line = Arc::new(Line {
            net: workshop.net.clone(),
            host: host.to_owned(),
            port,
            tls: is_secured.then(|| net::tls(to.ca_certificate.as_deref())).transpose()?,
            client_id: to.client_id.clone().unwrap_or_default(),
            username: to.username.clone(),
            password: to.password.clone(),
            connection: Mutex::new(None),
        });
        Ok(Self {
            names: Names::new(workshop.platform.clone()),
            topic: to.topic.clone(),
            qos: if to.qos == Some(0) { QoS::AtMostOnce } else { QoS::AtLeastOnce },
            retain: to.retain == Some(true),
            line: line.clone(),
            _pinger: AbortOnDropHandle::new(tokio::spawn(async move { line.keep_alive().await })),
        })
    }

    /// The packets of a batch. An item that no packet can hold is left out and told of.
    fn packets(&self, topics: &[String], items: &[Item]) -> (Vec<u8>, Vec<(usize, String)>) {
        let mut out = Vec::with_capacity(items.iter().map(|i| i.body.len() + 128).sum());
        let mut rejected = Vec::new();
        for (at, (topic, item)) in topics.iter().zip(items).enumerate() {
            let publish = Publish {
                qos: self.qos,
                retain: self.retain,
                packet_id: (self.qos == QoS::AtLeastOnce).then(|| packet_id(at)).flatten(),
                topic,
                payload: &item.body,
                ..Publish::default()
            };
            let length = out.len();
            if let Err(error) = mqtt::encode_publish(&mut out, Version::V311, &publish) {
                out.truncate(length);
                rejected.push((at, format!("no MQTT packet can hold it: {error}")));
            }
        }
        (out, rejected)
    }

    /// Writes a batch and waits until the broker has it. `acknowledged` grows also when it fails.
    async fn exchange(
        &self,
        connection: &mut Connection,
        packets: &[u8],
        acknowledged: &mut [bool],
    ) -> Result<(), Failure> {
        let Connection { stream, inbox, whom } = connection;
        let (mut reading, mut writing) = tokio::io::split(stream);
        let is_counted = self.qos == QoS::AtLeastOnce;
        let write = async {
            writing.write_all(packets).await?;
            if !is_counted {
                let mut ping = Vec::new();
                mqtt::encode_pingreq(&mut ping);
                writing.write_all(&ping).await?;
            }
            writing.flush().await
        };
        let read = async {
            loop {
                if is_counted && acknowledged.iter().all(|a| *a) {
                    return Ok(());
                }
                match next(&mut reading, inbox, whom).await? {
                    Incoming::Puback(id) => {
                        if let Some(place) = acknowledged.get_mut(usize::from(id.get()) - 1) {
                            *place = true;
                        }
                    }
                    Incoming::Pingresp if !is_counted => {
                        acknowledged.fill(true);
                        return Ok(());
                    }
                    // The answer to a PINGREQ of before.
                    Incoming::Pingresp => {}
                    Incoming::Connack(_) => return Err(nonsense(whom)),
                }
            }
        };
        // Both at once: a broker that cannot get rid of its PUBACKs stops reading.
        let (written, read) = tokio::join!(write, read);
        read?;
        written.map_err(|error| broken(whom, &error))
    }
}

fn packet_id(at: usize) -> Option<PacketId> {
    PacketId::new(u16::try_from(at + 1).ok()?)
}

fn nonsense(whom: &str) -> Failure {
    failure("protocol", format!("{whom} did not answer as MQTT does"))
}

/// The next packet.
async fn next(
    stream: &mut (impl tokio::io::AsyncRead + Unpin),
    inbox: &mut Vec<u8>,
    whom: &str,
) -> Result<Incoming, Failure> {
    loop {
        let frame = mqtt::split_frame(inbox, MAX_PACKET).map_err(|_| nonsense(whom))?;
        if let Some(frame) = frame {
            let length = frame.len;
            let incoming = match mqtt::decode_from(Sender::Server, Version::V311, frame) {
                Ok(mqtt::Packet::Connack(connack)) => Incoming::Connack(connack.code),
                Ok(mqtt::Packet::Puback(ack)) => Incoming::Puback(ack.packet_id),
                Ok(mqtt::Packet::Pingresp) => Incoming::Pingresp,
                _ => return Err(nonsense(whom)),
            };
            inbox.drain(..length);
            return Ok(incoming);
        }
        let mut read = [0; 1024];
        match stream.read(&mut read).await {
            Ok(0) => return Err(failure("unreachable", format!("{whom} closed the connection"))),
            Ok(count) => inbox.extend_from_slice(&read[..count]),
            Err(error) => return Err(broken(whom, &error)),
        }
    }
}

impl Line {
    async fn open(&self) -> Result<Connection, Failure> {
        let whom = format!("{}:{}", self.host, self.port);
        let stream = self.net.open(&self.host, self.port, self.tls.as_ref()).await?;
        let mut connection = Connection { stream, inbox: Vec::new(), whom };
        let connect = Connect {
            keep_alive: KEEP_ALIVE,
            user_name: self.username.as_deref(),
            password: self.password.as_ref().map(|p| p.as_str().as_bytes()),
            ..Connect::new(Version::V311, &self.client_id)
        };
        let mut packet = Vec::new();
        mqtt::encode_connect(&mut packet, &connect)
            .map_err(|_| failure("failed", "client id, user name or password cannot be told over MQTT"))?;
        let Connection { stream, inbox, whom } = &mut connection;
        stream.write_all(&packet).await.map_err(|error| broken(whom, &error))?;
        stream.flush().await.map_err(|error| broken(whom, &error))?;
        let Incoming::Connack(code) = next(stream, inbox, whom).await? else { return Err(nonsense(whom)) };
        let why = match code {
            return_code::ACCEPTED => return Ok(connection),
            return_code::UNACCEPTABLE_PROTOCOL_VERSION => "it does not speak MQTT 3.1.1",
            return_code::IDENTIFIER_REJECTED => "it does not take the client id",
            return_code::SERVER_UNAVAILABLE => "it is not available",
            return_code::BAD_USER_NAME_OR_PASSWORD => "user name or password are wrong",
            return_code::NOT_AUTHORIZED => "the user is not permitted",
            _ => "for a reason that MQTT 3.1.1 does not know",
        };
        Err(failure("refused", format!("{whom} refused the connection: {why}")))
    }

    /// Speaks when nothing else does. A connection that does not answer is dropped.
    async fn keep_alive(&self) {
        let mut ping = Vec::new();
        mqtt::encode_pingreq(&mut ping);
        loop {
            tokio::time::sleep(Duration::from_secs(u64::from(KEEP_ALIVE) / 3)).await;
            let mut guard = self.connection.lock().await;
            let Some(connection) = guard.as_mut() else { continue };
            let Connection { stream, inbox, whom } = connection;
            let asked = self.net.within(whom, async {
                stream.write_all(&ping).await.map_err(|error| broken(whom, &error))?;
                stream.flush().await.map_err(|error| broken(whom, &error))?;
                next(stream, inbox, whom).await
            });
            if asked.await.is_err() {
                *guard = None;
            }
        }
    }
}

#[async_trait]
impl Target for MqttTarget {
    fn feeding(&self) -> Feeding {
        Feeding::Batches { rows: ROWS, bytes: BYTES, linger: LINGER }
    }

    async fn send(&self, items: &[Item]) -> Sent {
        let mut topics = Vec::with_capacity(items.len());
        for item in items {
            topics.push(self.names.of(item).await.fill(&self.topic, |c| matches!(c, '/' | '+' | '#' | '\0')));
        }
        let (packets, rejected) = self.packets(&topics, items);
        let mut acknowledged = vec![false; items.len()];
        for (at, _) in &rejected {
            acknowledged[*at] = true;
        }
        let mut guard = self.line.connection.lock().await;
        let is_rested = guard.is_some();
        let mut last = None;
        // A connection that rested may be gone: once, that is no failure.
        for _ in 0..if is_rested { 2 } else { 1 } {
            // Out of its place until it is sound again: a sending that is dropped midway leaves no half packet behind.
            let taken = guard.take();
            let whole = async {
                let mut connection = match taken {
                    Some(connection) => connection,
                    None => self.line.open().await?,
                };
                self.exchange(&mut connection, &packets, &mut acknowledged).await?;
                Ok(connection)
            };
            let whom = format!("{}:{}", self.line.host, self.line.port);
            match self.line.net.within(&whom, whole).await {
                Ok(connection) => {
                    *guard = Some(connection);
                    return Sent { done: items.len(), rejected, failure: None };
                }
                Err(failure) => last = Some(failure),
            }
            if last.as_ref().is_none_or(|failure| failure.word != "unreachable") {
                break;
            }
        }
        let done = acknowledged.iter().take_while(|a| **a).count();
        let rejected = rejected.into_iter().filter(|(at, _)| *at < done).collect();
        Sent { done, rejected, failure: last }
    }
}
