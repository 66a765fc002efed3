//! A device's MQTT 3.1.1 connection over TCP or TLS.
//!
//! For the few packets of commands, connects and simulated devices; the thousands of reports of `bench ingest` have
//! their own loop, which takes over [`Connection::into_parts`].

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use causeway_wire::mqtt::{self, Ack, Connect, Disconnect, PacketId, Publish, QoS, Sender, Subscription, Version};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::identity::Login;
use super::tls::{self, Socket, Tls};

/// Longest keep-alive that an IoTDA platform accepts, in seconds (`iotda-device-access.md` §2, limits).
pub(crate) const LONGEST_KEEP_ALIVE: u16 = 1200;

/// Longest wait for the whole of TCP connect, TLS handshake and CONNACK.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// Longest wait for a socket to take bytes: a target that does not read is as good as gone.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// Largest packet taken from the target, in bytes: the 1 MB that IoTDA allows and some header.
const MAX_PACKET: u32 = (1 << 20) + 4096;

/// Where devices connect.
#[derive(Clone)]
pub(crate) struct Door {
    /// Address.
    pub(crate) address: SocketAddr,
    /// TLS, if any.
    pub(crate) tls: Option<Tls>,
}

/// Why a device could not connect.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    /// No TCP connection, no TLS session, or the connection broke before the CONNACK.
    #[error("no connection")]
    Io(#[source] io::Error),
    /// CONNACK with another code than 0.
    #[error("CONNACK {code}, {}", connack_name(*.code))]
    Refused {
        /// Return code (002 §2.1.2.11; 3.1.1 table 3.1).
        code: u8,
    },
    /// Nothing within [`CONNECT_TIMEOUT`].
    #[error("no CONNACK within {} s", CONNECT_TIMEOUT.as_secs())]
    Timeout,
    /// The login or the answer is no legal MQTT.
    #[error("no legal MQTT: {0}")]
    Protocol(String),
}

fn connack_name(code: u8) -> &'static str {
    match code {
        1 => "protocol version refused",
        2 => "client id refused",
        3 => "server unavailable",
        4 => "bad user name or password",
        5 => "not authorised",
        _ => "unknown code",
    }
}

/// When the parts of a connect were done.
pub(crate) struct ConnectTimes {
    /// From the first SYN to CONNACK, TLS included.
    pub(crate) whole: Duration,
    /// From CONNECT to CONNACK.
    pub(crate) connack: Duration,
}

/// What the target sends, as far as a device cares.
#[derive(Debug)]
pub(crate) enum Incoming {
    /// A message.
    Publish {
        /// Topic.
        topic: String,
        /// Present with QoS 1, to be acknowledged.
        packet_id: Option<PacketId>,
        /// Bytes.
        payload: Bytes,
    },
    /// A report was accepted.
    Puback(PacketId),
    /// Answer to a SUBSCRIBE.
    Suback {
        /// All of its filters were granted.
        granted: bool,
    },
    /// The target is alive.
    Pingresp,
}

/// An open connection after its CONNACK.
pub(crate) struct Connection {
    socket: Socket,
    inbox: BytesMut,
}

fn broken(what: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("no legal MQTT: {what}"))
}

impl Connection {
    /// Connects, logs in with a clean session, and waits for the CONNACK.
    ///
    /// # Errors
    /// As [`ConnectError`] lists.
    pub(crate) async fn open(
        door: &Door,
        login: &Login,
        keep_alive: u16,
        source: Option<IpAddr>,
    ) -> Result<(Self, ConnectTimes), ConnectError> {
        let opening = Self::open_unbounded(door, login, keep_alive, source);
        tokio::time::timeout(CONNECT_TIMEOUT, opening).await.unwrap_or(Err(ConnectError::Timeout))
    }

    async fn open_unbounded(
        door: &Door,
        login: &Login,
        keep_alive: u16,
        source: Option<IpAddr>,
    ) -> Result<(Self, ConnectTimes), ConnectError> {
        let mut packet = Vec::with_capacity(256);
        let connect = Connect {
            keep_alive,
            user_name: login.user.as_deref(),
            password: login.password.as_deref().map(str::as_bytes),
            ..Connect::new(Version::V311, &login.client_id)
        };
        mqtt::encode_connect(&mut packet, &connect).map_err(|error| ConnectError::Protocol(error.to_string()))?;
        let started = Instant::now();
        let mut socket = tls::connect(door.address, source, door.tls.as_ref()).await.map_err(ConnectError::Io)?;
        let connected = Instant::now();
        socket.write_all(&packet).await.map_err(ConnectError::Io)?;
        socket.flush().await.map_err(ConnectError::Io)?;
        let mut connection = Self { socket, inbox: BytesMut::new() };
        let bytes = connection.frame().await.map_err(ConnectError::Io)?;
        let protocol = |error: mqtt::DecodeError| ConnectError::Protocol(error.to_string());
        let frame = mqtt::split_frame(&bytes, MAX_PACKET).map_err(protocol)?;
        let frame = frame.expect("frame() returns whole frames");
        match mqtt::decode_from(Sender::Server, Version::V311, frame).map_err(protocol)? {
            mqtt::Packet::Connack(connack) if connack.code == mqtt::return_code::ACCEPTED => {
                let times = ConnectTimes { whole: started.elapsed(), connack: connected.elapsed() };
                Ok((connection, times))
            }
            mqtt::Packet::Connack(connack) => Err(ConnectError::Refused { code: connack.code }),
            other => Err(ConnectError::Protocol(format!("{:?} in place of CONNACK", other.packet_type()))),
        }
    }

    /// The bytes of the next whole packet. Cancelling loses nothing.
    async fn frame(&mut self) -> io::Result<Bytes> {
        loop {
            let whole = mqtt::split_frame(&self.inbox, MAX_PACKET).map_err(broken)?.map(|frame| frame.len);
            if let Some(len) = whole {
                return Ok(self.inbox.split_to(len).freeze());
            }
            self.inbox.reserve(1024);
            if self.socket.read_buf(&mut self.inbox).await? == 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "closed by the target"));
            }
        }
    }

    /// Waits for the next packet. Cancelling loses nothing.
    ///
    /// # Errors
    /// When the connection is closed or the target breaks the protocol.
    pub(crate) async fn receive(&mut self) -> io::Result<Incoming> {
        let bytes = self.frame().await?;
        let frame = mqtt::split_frame(&bytes, MAX_PACKET).map_err(broken)?.expect("frame() returns whole frames");
        Ok(match mqtt::decode_from(Sender::Server, Version::V311, frame).map_err(broken)? {
            // Nothing here subscribes with QoS 2, so nothing may come with it [MQTT-3.8.4-6].
            mqtt::Packet::Publish(publish) if publish.qos != QoS::ExactlyOnce => Incoming::Publish {
                topic: publish.topic.to_owned(),
                packet_id: publish.packet_id,
                payload: bytes.slice_ref(publish.payload),
            },
            mqtt::Packet::Puback(ack) => Incoming::Puback(ack.packet_id),
            mqtt::Packet::Suback(suback) => Incoming::Suback { granted: suback.codes.iter().all(|code| *code <= 2) },
            mqtt::Packet::Pingresp => Incoming::Pingresp,
            other => return Err(broken(format_args!("unexpected {:?}", other.packet_type()))),
        })
    }

    /// Sends packets that are encoded already.
    ///
    /// # Errors
    /// When the connection is broken or takes nothing for 30 s.
    pub(crate) async fn send(&mut self, packets: &[u8]) -> io::Result<()> {
        let sending = async {
            self.socket.write_all(packets).await?;
            self.socket.flush().await
        };
        match tokio::time::timeout(WRITE_TIMEOUT, sending).await {
            Ok(result) => result,
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "the target does not read")),
        }
    }

    /// Subscribes to one filter and waits for the SUBACK, passing over messages that come before it.
    ///
    /// # Errors
    /// When the target refuses, does not answer within 30 s, or the connection breaks.
    pub(crate) async fn subscribe(&mut self, filter: &str, qos: QoS) -> io::Result<()> {
        let mut packet = Vec::new();
        subscribe(&mut packet, PacketId::MIN, &[filter], qos).map_err(broken)?;
        self.send(&packet).await?;
        let granted = async {
            loop {
                if let Incoming::Suback { granted } = self.receive().await? {
                    return Ok::<bool, io::Error>(granted);
                }
            }
        };
        match tokio::time::timeout(CONNECT_TIMEOUT, granted).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err(io::Error::other(format!("SUBSCRIBE {filter} was refused"))),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "no SUBACK")),
        }
    }

    /// Says goodbye and closes.
    ///
    /// # Errors
    /// When the connection is broken already.
    pub(crate) async fn close(mut self) -> io::Result<()> {
        let mut packet = Vec::new();
        mqtt::encode_disconnect(&mut packet, Version::V311, &Disconnect::default()).map_err(broken)?;
        self.send(&packet).await?;
        self.socket.shutdown().await
    }

    /// The socket and what has been read of it already.
    pub(crate) fn into_parts(self) -> (Socket, BytesMut) {
        (self.socket, self.inbox)
    }
}

/// Appends a PUBLISH.
///
/// # Errors
/// When the topic is not legal or the payload too long.
pub(crate) fn publish(
    out: &mut Vec<u8>,
    topic: &str,
    packet_id: Option<PacketId>,
    payload: &[u8],
) -> Result<(), mqtt::EncodeError> {
    let qos = if packet_id.is_some() { QoS::AtLeastOnce } else { QoS::AtMostOnce };
    mqtt::encode_publish(out, Version::V311, &Publish { qos, packet_id, topic, payload, ..Publish::default() })
}

/// Appends a SUBSCRIBE.
///
/// # Errors
/// When there is no filter or one is not legal.
pub(crate) fn subscribe(
    out: &mut Vec<u8>,
    packet_id: PacketId,
    filters: &[&str],
    qos: QoS,
) -> Result<(), mqtt::EncodeError> {
    let subscriptions: Vec<_> = filters.iter().map(|filter| Subscription::new(filter, qos)).collect();
    let subscribe = mqtt::Subscribe {
        packet_id,
        properties: mqtt::Properties::default(),
        subscriptions: subscriptions.as_slice().into(),
    };
    mqtt::encode_subscribe(out, Version::V311, &subscribe)
}

/// Appends a PUBACK.
pub(crate) fn puback(out: &mut Vec<u8>, packet_id: PacketId) {
    mqtt::encode_puback(out, Version::V311, &Ack::success(packet_id)).expect("success is legal in every PUBACK");
}

#[cfg(test)]
mod tests {
    use super::super::identity::{Device, Proof, now};
    use super::super::scripted_server::{Got, Server, Session, soon};
    use super::*;

    fn login() -> Login {
        Device { id: "p_d".into(), proof: Proof::Secret("12345678".into()) }.login(now())
    }

    /// One end in the device, the other in the platform.
    async fn connected(code: u8) -> (Result<Connection, ConnectError>, Session) {
        let server = Server::start().await;
        let (door, login) = (server.door(), login());
        let (opened, session) = tokio::join!(soon(Connection::open(&door, &login, 120, None)), server.accept(code));
        (opened.map(|(connection, _)| connection), session)
    }

    #[tokio::test]
    async fn a_refusal_is_told_by_its_code() {
        let (opened, session) = connected(mqtt::return_code::BAD_USER_NAME_OR_PASSWORD).await;
        assert!(session.client_id.starts_with("p_d_0_0_"), "{}", session.client_id);
        let error = opened.err().expect("refused");
        assert!(matches!(error, ConnectError::Refused { code: 4 }), "{error}");
        assert!(error.to_string().contains("bad user name or password"));
    }

    #[tokio::test]
    async fn packets_in_pieces_and_in_one_go_arrive_whole() {
        let (opened, mut session) = connected(0).await;
        let mut connection = opened.expect("accepted");
        let mut bytes = Vec::new();
        publish(&mut bytes, "a/b", None, b"one").expect("legal");
        publish(&mut bytes, "a/b", PacketId::new(7), b"two").expect("legal");
        bytes.extend_from_slice(&[0xd0, 0]);
        let sending = async {
            for piece in bytes.chunks(3) {
                session.send(piece).await;
            }
        };
        let receiving = async {
            let mut got = Vec::new();
            loop {
                match soon(connection.receive()).await.expect("legal packets") {
                    Incoming::Publish { topic, packet_id, payload } => {
                        got.push((topic, packet_id.map(PacketId::get), payload.to_vec()));
                    }
                    Incoming::Pingresp => return got,
                    other => panic!("{other:?}"),
                }
            }
        };
        let ((), got) = tokio::join!(sending, receiving);
        assert_eq!(got, [("a/b".into(), None, b"one".to_vec()), ("a/b".into(), Some(7), b"two".to_vec())]);
        connection.close().await.expect("still open");
        assert_eq!(session.next().await, Got::Other("Disconnect".into()));
        assert_eq!(session.next().await, Got::Closed);
    }

    #[tokio::test]
    async fn what_a_server_may_not_send_ends_the_connection() {
        let (opened, mut session) = connected(0).await;
        let mut connection = opened.expect("accepted");
        session.send(&[0xc0, 0]).await; // PINGREQ
        let error = soon(connection.receive()).await.expect_err("illegal");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
    }
}
