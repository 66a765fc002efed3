//! For tests: the platform's end of an MQTT connection, told what to do line by line.

use std::net::SocketAddr;
use std::time::Duration;

use causeway_wire::mqtt::{self, Connack, Packet, Sender, Version, split_frame};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::mqtt::Door;

const ANY_SIZE: u32 = 1 << 20;

/// A listening platform.
pub(crate) struct Server {
    listener: TcpListener,
}

/// One connection of a device, as the platform sees it.
pub(crate) struct Session {
    stream: TcpStream,
    inbox: Vec<u8>,
    /// Client id of the CONNECT.
    pub(crate) client_id: String,
}

/// A packet from the device, owned.
#[derive(Debug, PartialEq)]
pub(crate) enum Got {
    /// A message: topic, packet id, payload.
    Publish(String, Option<u16>, Vec<u8>),
    /// Filters.
    Subscribe(u16, Vec<String>),
    /// PUBACK.
    Puback(u16),
    /// Another packet, by name.
    Other(String),
    /// The device has closed.
    Closed,
}

/// Fails the test when `work` takes longer than any machine needs.
pub(crate) async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), work).await.expect("nothing happened for 20 s")
}

impl Server {
    /// Listens on a free port.
    pub(crate) async fn start() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port") }
    }

    /// Its address.
    pub(crate) fn door(&self) -> Door {
        Door { address: self.address(), tls: None }
    }

    fn address(&self) -> SocketAddr {
        self.listener.local_addr().expect("it listens")
    }

    /// Takes the next connection, reads its CONNECT, and answers with `code`.
    pub(crate) async fn accept(&self, code: u8) -> Session {
        let (stream, _) = soon(self.listener.accept()).await.expect("a connection");
        let mut session = Session { stream, inbox: Vec::new(), client_id: String::new() };
        let frame = session.frame().await.expect("a CONNECT");
        let frame = split_frame(&frame, ANY_SIZE).expect("legal").expect("whole");
        session.client_id = mqtt::decode_connect(frame).expect("a CONNECT").client_id.to_owned();
        let mut answer = Vec::new();
        mqtt::encode_connack(&mut answer, Version::V311, &Connack { code, ..Connack::default() }).expect("legal");
        session.send(&answer).await;
        session
    }
}

impl Session {
    async fn frame(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some(frame) = split_frame(&self.inbox, ANY_SIZE).expect("legal") {
                let len = frame.len;
                return Some(self.inbox.drain(..len).collect());
            }
            if soon(self.stream.read_buf(&mut self.inbox)).await.unwrap_or(0) == 0 {
                return None;
            }
        }
    }

    /// Waits for the next packet.
    pub(crate) async fn next(&mut self) -> Got {
        let Some(bytes) = self.frame().await else { return Got::Closed };
        let frame = split_frame(&bytes, ANY_SIZE).expect("legal").expect("whole");
        match mqtt::decode_from(Sender::Client, Version::V311, frame).expect("legal") {
            Packet::Publish(p) => Got::Publish(p.topic.to_owned(), p.packet_id.map(|id| id.get()), p.payload.to_vec()),
            Packet::Subscribe(s) => {
                let filters = s.subscriptions.iter().map(|subscription| subscription.filter.to_owned()).collect();
                Got::Subscribe(s.packet_id.get(), filters)
            }
            Packet::Puback(ack) => Got::Puback(ack.packet_id.get()),
            other => Got::Other(format!("{:?}", other.packet_type())),
        }
    }

    /// Sends bytes as they are.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        soon(self.stream.write_all(bytes)).await.expect("the device reads");
    }

    /// Sends a message.
    pub(crate) async fn publish(&mut self, topic: &str, packet_id: Option<u16>, payload: &[u8]) {
        let mut packet = Vec::new();
        let id = packet_id.and_then(mqtt::PacketId::new);
        super::mqtt::publish(&mut packet, topic, id, payload).expect("legal");
        self.send(&packet).await;
    }
}
