//! NATS: `NATS_FORWARDING`, the client protocol of NATS 2.2 and later with headers.
//!
//! Without JetStream a batch is done when the server has answered a PING that follows it: then it has taken everything before.
//! With JetStream each message names an inbox to which the stream says that it keeps the message; `Nats-Msg-Id` lets it
//! recognise one that is sent again. Servers that a cluster tells of are not connected to: only those that are configured.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use causeway_channels::NatsForwarding;
use ring::digest;
use ring::rand::{SecureRandom as _, SystemRandom};
use rustls::ClientConfig;
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::sync::Mutex;

use super::Workshop;
use super::http::hex;
use crate::names::Names;
use crate::net::{self, Net};
use crate::stream::{Stream, broken, failure};
use crate::target::{Failure, Feeding, Item, Sent, Target};

const ROWS: usize = 256;
const BYTES: usize = 512 << 10;
const LINGER: Duration = Duration::from_millis(5);
/// Longest line and longest message that are read, in bytes: INFO and the acknowledgements of streams.
const MAX_LINE: u64 = 64 << 10;
const MAX_MESSAGE: usize = 64 << 10;

/// See the module text.
pub(crate) struct NatsTarget {
    net: Net,
    names: Names,
    servers: Vec<(String, u16)>,
    to: NatsForwarding,
    tls: Arc<ClientConfig>,
    /// Whether TLS is spoken even where the server does not demand it.
    is_secured: bool,
    connection: Mutex<Option<Connection>>,
}

struct Connection {
    stream: BufReader<Stream>,
    whom: String,
    inbox: String,
    max_payload: usize,
}

/// What the server says of itself. It may be told again at any time.
#[derive(Deserialize)]
struct Info {
    #[serde(default)]
    max_payload: usize,
    #[serde(default)]
    headers: bool,
    #[serde(default)]
    tls_required: bool,
    #[serde(default)]
    tls_available: bool,
    #[serde(default)]
    auth_required: bool,
}

/// What the server sends.
enum Incoming {
    Pong,
    /// The end of the inbox that it was sent to, and the payload.
    Message(String, Vec<u8>),
    /// Something that asks for nothing.
    Nothing,
}

/// What a stream says of a message.
#[derive(Deserialize)]
struct Kept {
    stream: Option<String>,
    error: Option<StreamError>,
}

#[derive(Deserialize)]
struct StreamError {
    #[serde(default)]
    description: String,
}

impl NatsTarget {
    pub(crate) fn new(workshop: &Workshop, to: &NatsForwarding) -> Result<Self, String> {
        let servers = to
            .addresses
            .iter()
            .map(|a| a.host_and_port(4222).map(|(host, port)| (host.to_owned(), port)))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            net: workshop.net.clone(),
            names: Names::new(workshop.platform.clone()),
            servers,
            tls: net::tls(to.ca_certificate.as_deref())?,
            is_secured: to.tls == Some(true) || to.ca_certificate.is_some(),
            to: to.clone(),
            connection: Mutex::new(None),
        })
    }

    fn is_kept(&self) -> bool {
        self.to.jetstream == Some(true)
    }

    async fn open(&self) -> Result<Connection, Failure> {
        let mut last = failure("unreachable", "no server was asked");
        for (host, port) in &self.servers {
            match self.net.within(&format!("{host}:{port}"), self.open_one(host, *port)).await {
                Ok(connection) => return Ok(connection),
                Err(failure) => last = failure,
            }
        }
        Err(last)
    }

    async fn open_one(&self, host: &str, port: u16) -> Result<Connection, Failure> {
        let whom = format!("{host}:{port}");
        let mut plain = BufReader::new(self.net.open(host, port, None).await?);
        let line = line(&mut plain, &whom).await?;
        let info = line.strip_prefix("INFO ").and_then(|json| serde_json::from_str::<Info>(json).ok());
        let info = info.ok_or_else(|| failure("protocol", format!("{whom} does not speak NATS")))?;
        let stream = if info.tls_required || self.is_secured {
            if !info.tls_required && !info.tls_available {
                return Err(failure("tls", format!("{whom} does not offer TLS")));
            }
            // Nothing comes between INFO and the handshake.
            BufReader::new(plain.into_inner().secured(host, &self.tls).await?)
        } else {
            plain
        };
        if !info.headers && self.is_kept() {
            return Err(failure("refused", format!("{whom} knows no headers; JetStream needs NATS 2.2 or later")));
        }
        let inbox = format!("_INBOX.{}", random().map_err(|why| failure("failed", why))?);
        let mut connection = Connection { stream, whom, inbox, max_payload: info.max_payload };
        let mut hello = serde_json::json!({
            "verbose": false, "pedantic": false, "tls_required": self.is_secured, "lang": "rust", "version": env!("CARGO_PKG_VERSION"),
            "name": "causeway", "protocol": 1, "headers": true, "no_responders": true,
        });
        if info.auth_required
            && let Some(hello) = hello.as_object_mut()
        {
            if let (Some(name), Some(word)) = (&self.to.username, &self.to.password) {
                hello.insert("user".to_owned(), name.clone().into());
                hello.insert("pass".to_owned(), word.as_str().into());
            }
            if let Some(token) = &self.to.token {
                hello.insert("auth_token".to_owned(), token.as_str().into());
            }
        }
        let mut text = format!("CONNECT {hello}\r\n");
        if self.is_kept() {
            let written = write!(text, "SUB {}.* 1\r\n", connection.inbox);
            debug_assert!(written.is_ok(), "writing to a String cannot fail");
        }
        text.push_str("PING\r\n");
        connection.write(text.as_bytes()).await?;
        loop {
            if let Incoming::Pong = connection.next().await? {
                return Ok(connection);
            }
        }
    }

    /// Sends a batch; `outcomes` is filled also when it fails. `Some` is done; a text says why it can never be taken.
    async fn exchange(
        &self,
        connection: &mut Connection,
        subjects: &[String],
        items: &[Item],
        outcomes: &mut [Option<Option<String>>],
    ) -> Result<(), Failure> {
        let mut out = Vec::with_capacity(items.iter().map(|i| i.body.len() + 160).sum());
        let mut waiting = HashMap::new();
        for (at, (subject, item)) in subjects.iter().zip(items).enumerate() {
            if outcomes[at].is_some() {
                continue;
            }
            if connection.max_payload > 0 && item.body.len() + 128 > connection.max_payload {
                outcomes[at] =
                    Some(Some(format!("it is larger than the server takes ({} bytes)", connection.max_payload)));
                continue;
            }
            if self.is_kept() {
                let header = format!("NATS/1.0\r\nNats-Msg-Id: {}\r\n\r\n", message_id(subject, item));
                let line = format!(
                    "HPUB {subject} {}.{at} {} {}\r\n{header}",
                    connection.inbox,
                    header.len(),
                    header.len() + item.body.len()
                );
                out.extend_from_slice(line.as_bytes());
                waiting.insert(at.to_string(), at);
            } else {
                out.extend_from_slice(format!("PUB {subject} {}\r\n", item.body.len()).as_bytes());
            }
            out.extend_from_slice(&item.body);
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"PING\r\n");
        connection.write(&out).await?;
        let mut is_taken = false;
        while !is_taken || !waiting.is_empty() {
            match connection.next().await? {
                Incoming::Pong => is_taken = true,
                Incoming::Message(token, payload) => {
                    let Some(at) = waiting.remove(&token) else { continue };
                    kept(&payload, &connection.whom, &subjects[at])?;
                    outcomes[at] = Some(None);
                }
                Incoming::Nothing => {}
            }
        }
        if !self.is_kept() {
            outcomes.iter_mut().filter(|o| o.is_none()).for_each(|outcome| *outcome = Some(None));
        }
        Ok(())
    }
}

/// Whether a stream keeps a message, by its answer.
fn kept(payload: &[u8], whom: &str, subject: &str) -> Result<(), Failure> {
    // Nobody listens: the answer has a status and no payload.
    if payload.is_empty() {
        return Err(failure("refused", format!("{whom}: no stream takes the subject {subject}")));
    }
    match serde_json::from_slice::<Kept>(payload) {
        Ok(Kept { error: Some(error), .. }) => {
            Err(failure("refused", format!("{whom}: the stream refused the message: {}", error.description)))
        }
        Ok(Kept { stream: Some(_), .. }) => Ok(()),
        _ => Err(failure("protocol", format!("{whom}: what answers to {subject} is no stream"))),
    }
}

/// The same whenever the delivery is sent again, also after a restart.
fn message_id(subject: &str, item: &Item) -> String {
    let mut all = digest::Context::new(&digest::SHA256);
    all.update(&item.seq.to_be_bytes());
    all.update(&item.at.0.to_be_bytes());
    all.update(subject.as_bytes());
    all.update(&item.body);
    hex(&all.finish().as_ref()[..16])
}

fn random() -> Result<String, String> {
    let mut bytes = [0; 12];
    SystemRandom::new().fill(&mut bytes).map_err(|_| "the system has no random numbers".to_owned())?;
    Ok(hex(&bytes))
}

/// One line, without its end.
async fn line(stream: &mut BufReader<Stream>, whom: &str) -> Result<String, Failure> {
    let mut line = Vec::new();
    stream.take(MAX_LINE).read_until(b'\n', &mut line).await.map_err(|error| broken(whom, &error))?;
    if line.is_empty() {
        return Err(failure("unreachable", format!("{whom} closed the connection")));
    }
    if line.last() != Some(&b'\n') {
        return Err(failure("protocol", format!("{whom} did not answer as NATS does")));
    }
    Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
}

impl Connection {
    async fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let written = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        written.await.map_err(|error| broken(&self.whom, &error))
    }

    async fn next(&mut self) -> Result<Incoming, Failure> {
        let line = line(&mut self.stream, &self.whom).await?;
        let nonsense = || failure("protocol", format!("{} did not answer as NATS does", self.whom));
        let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
        match word {
            "PONG" => Ok(Incoming::Pong),
            "PING" => {
                self.write(b"PONG\r\n").await?;
                Ok(Incoming::Nothing)
            }
            "+OK" | "INFO" => Ok(Incoming::Nothing),
            "MSG" | "HMSG" => {
                let fields: Vec<&str> = rest.split_whitespace().collect();
                let number = |text: &&str| text.parse::<usize>().ok();
                let all = fields.last().and_then(number).filter(|n| *n <= MAX_MESSAGE).ok_or_else(nonsense)?;
                let header = match word {
                    "HMSG" => fields.iter().rev().nth(1).and_then(number).filter(|n| *n <= all).ok_or_else(nonsense)?,
                    _ => 0,
                };
                let mut message = vec![0; all + 2];
                self.stream.read_exact(&mut message).await.map_err(|error| broken(&self.whom, &error))?;
                let token = fields.first().and_then(|subject| subject.rsplit('.').next()).unwrap_or_default();
                Ok(Incoming::Message(token.to_owned(), message[header..all].to_vec()))
            }
            "-ERR" => {
                let why = match rest.to_ascii_lowercase() {
                    why if why.contains("authorization") || why.contains("authentication") => {
                        "user name, password or token are wrong".to_owned()
                    }
                    _ => rest.trim_matches('\'').to_owned(),
                };
                Err(failure("refused", format!("{} refused: {why}", self.whom)))
            }
            _ => Err(nonsense()),
        }
    }
}

#[async_trait]
impl Target for NatsTarget {
    fn feeding(&self) -> Feeding {
        Feeding::Batches { rows: ROWS, bytes: BYTES, linger: LINGER }
    }

    async fn send(&self, items: &[Item]) -> Sent {
        let mut subjects = Vec::with_capacity(items.len());
        for item in items {
            let named = self.names.of(item).await;
            subjects.push(named.fill(&self.to.subject, |c| matches!(c, '.' | '*' | '>') || c.is_whitespace()));
        }
        let mut outcomes = vec![None; items.len()];
        let mut guard = self.connection.lock().await;
        let is_rested = guard.is_some();
        let mut last = None;
        // A connection that rested may be gone: once, that is no failure.
        for _ in 0..if is_rested { 2 } else { 1 } {
            // Out of its place until it is sound again: a sending that is dropped midway leaves no half message behind.
            let opened = match guard.take() {
                Some(connection) => Ok(connection),
                None => self.open().await,
            };
            let mut connection = match opened {
                Ok(connection) => connection,
                Err(failure) => return failure.into(),
            };
            let whom = connection.whom.clone();
            let exchange = self.exchange(&mut connection, &subjects, items, &mut outcomes);
            match self.net.within(&whom, exchange).await {
                Ok(()) => {
                    *guard = Some(connection);
                    last = None;
                    break;
                }
                Err(mut failure) => {
                    if self.is_kept() && failure.word == "timeout" {
                        failure.text.push_str("; look whether a stream takes the subject");
                    }
                    last = Some(failure);
                }
            }
            if last.as_ref().is_none_or(|failure| failure.word != "unreachable") {
                break;
            }
        }
        let done = outcomes.iter().take_while(|o| o.is_some()).count();
        let rejected = outcomes.into_iter().take(done).enumerate();
        let rejected = rejected.filter_map(|(at, outcome)| Some((at, outcome??))).collect();
        Sent { done, rejected, failure: last }
    }
}
