//! A small client of the v5 REST interface: signed requests over a pool of keep-alive HTTP/1.1 connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use causeway_wire::signature::SignedRequest;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::Semaphore;

use super::identity;
use super::tls::{self, Tls};

/// Longest wait for one answer. Synchronous commands wait 20 s for the device (`iotda-device-access.md` §5), so this
/// is longer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Largest answer that is read, in bytes: a product of 500 kB with room to spare.
const MAX_ANSWER: usize = 4 << 20;

const USER_AGENT: &str = concat!("causeway/", env!("CARGO_PKG_VERSION"));

/// How requests prove who sends them.
#[derive(Clone)]
pub(crate) enum Authority {
    /// AK/SK signature `SDK-HMAC-SHA256`.
    AccessKey {
        /// Access key id.
        ak: String,
        /// Secret key.
        sk: String,
    },
    /// `X-Auth-Token`.
    Token(String),
}

/// What went wrong with one call.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RestError {
    /// No answer: the connection failed or broke.
    #[error("{operation}: no answer")]
    Transport {
        /// Method and path.
        operation: String,
        /// The cause.
        #[source]
        source: anyhow::Error,
    },
    /// No answer within [`ANSWER_TIMEOUT`].
    #[error("{operation}: no answer within {} s", ANSWER_TIMEOUT.as_secs())]
    Timeout {
        /// Method and path.
        operation: String,
    },
    /// The platform refused.
    #[error("{operation}: HTTP {status} {code} {message}")]
    Refused {
        /// Method and path.
        operation: String,
        /// HTTP status.
        status: StatusCode,
        /// `error_code`, empty when the body has none.
        code: String,
        /// `error_msg`, or the beginning of the body.
        message: String,
    },
    /// A success whose body is not what the interface documents.
    #[error("{operation}: the answer is not the documented JSON")]
    Unreadable {
        /// Method and path.
        operation: String,
        /// The cause.
        #[source]
        source: serde_json::Error,
    },
}

impl RestError {
    /// HTTP status of a refusal.
    pub(crate) fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }
}

/// Body of every error (`iotda-v5-api.md` §1.2), and of a command whose device did not answer.
#[derive(Default, Deserialize)]
struct ErrorBody {
    #[serde(default)]
    error_code: Option<String>,
    #[serde(default)]
    error_msg: Option<Value>,
}

type Sender = SendRequest<Full<Bytes>>;

/// A REST client; cheap to clone.
#[derive(Clone)]
pub(crate) struct Api {
    shared: Arc<Shared>,
}

struct Shared {
    address: SocketAddr,
    /// `host:port` as it stands in the `Host` header.
    authority: String,
    tls: Option<Tls>,
    project_id: String,
    auth: Authority,
    idle: Mutex<Vec<Sender>>,
    slots: Semaphore,
}

impl Api {
    /// A client of the platform at `base` (`http://host:port`, or `https://host:port` with `ca`), with at most
    /// `connections` requests under way.
    ///
    /// # Errors
    /// When `base` is not such an address, does not resolve, or needs a CA file that is not there.
    pub(crate) async fn new(
        base: &str,
        ca: Option<&std::path::Path>,
        project_id: &str,
        auth: Authority,
        connections: usize,
    ) -> anyhow::Result<Self> {
        let (secure, authority) = if let Some(rest) = base.strip_prefix("http://") {
            (false, rest)
        } else if let Some(rest) = base.strip_prefix("https://") {
            (true, rest)
        } else {
            bail!("the REST address {base:?} does not start with http:// or https://");
        };
        let authority = authority.trim_end_matches('/');
        let with_port = match authority.rsplit_once(':') {
            Some((_, port)) if port.parse::<u16>().is_ok() => authority.to_owned(),
            _ => format!("{authority}:{}", if secure { 443 } else { 80 }),
        };
        let address = tls::resolve(&with_port).await?;
        let tls = if secure {
            let ca = ca.context("an https:// address needs --ca FILE")?;
            Some(Tls::trusting(ca, tls::server_name(&with_port))?)
        } else {
            None
        };
        Ok(Self {
            shared: Arc::new(Shared {
                address,
                authority: authority.to_owned(),
                tls,
                project_id: project_id.to_owned(),
                auth,
                idle: Mutex::new(Vec::new()),
                slots: Semaphore::new(connections.max(1)),
            }),
        })
    }

    /// Address of the platform, for reports.
    pub(crate) fn authority(&self) -> &str {
        &self.shared.authority
    }

    /// Key from which secrets of created devices are derived: whoever may create devices may know them.
    pub(crate) fn key_material(&self) -> &str {
        match &self.shared.auth {
            Authority::AccessKey { sk, .. } => sk,
            Authority::Token(token) => token,
        }
    }

    /// Calls `method /v5/iot/{project_id}{path}` and reads the answer as `T`. `path` starts with `/` and is already
    /// percent-encoded.
    ///
    /// # Errors
    /// As [`RestError`] lists.
    pub(crate) async fn call<T: DeserializeOwned>(
        &self,
        method: &'static str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<T, RestError> {
        let answer = self.call_raw(method, path, body).await?;
        // 204 has no body: `()` and `Value` read JSON null.
        let text = if answer.is_empty() { &b"null"[..] } else { &answer };
        serde_json::from_slice(text)
            .map_err(|source| RestError::Unreadable { operation: format!("{method} {path}"), source })
    }

    /// Uploads one file as the part `file` of a form.
    ///
    /// # Errors
    /// As [`RestError`] lists.
    pub(crate) async fn upload<T: DeserializeOwned>(
        &self,
        path: &str,
        name: &str,
        content: &[u8],
    ) -> Result<T, RestError> {
        // Longer than a line of any table, so that no content holds it.
        let boundary = format!("causeway-{}", "-".repeat(60));
        let mut body =
            format!("--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n")
                .into_bytes();
        body.extend_from_slice(content);
        body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        let kind = format!("multipart/form-data; boundary={boundary}");
        let answer = self.send("POST", path, &kind, body.into()).await?;
        serde_json::from_slice(&answer)
            .map_err(|source| RestError::Unreadable { operation: format!("POST {path}"), source })
    }

    async fn call_raw(&self, method: &'static str, path: &str, body: Option<&Value>) -> Result<Bytes, RestError> {
        let body = Bytes::from(body.map(Value::to_string).unwrap_or_default());
        self.send(method, path, "application/json", body).await
    }

    async fn send(&self, method: &'static str, path: &str, kind: &str, body: Bytes) -> Result<Bytes, RestError> {
        let operation = || format!("{method} {path}");
        let transport = |source: anyhow::Error| RestError::Transport { operation: operation(), source };
        let request = self.request(method, path, kind, &body).map_err(transport)?;
        let exchange = async {
            let _slot = self.shared.slots.acquire().await.context("the client is closed")?;
            self.exchange(request).await
        };
        let (status, answer) = match tokio::time::timeout(ANSWER_TIMEOUT, exchange).await {
            Ok(result) => result.map_err(transport)?,
            Err(_) => return Err(RestError::Timeout { operation: operation() }),
        };
        let error: ErrorBody = serde_json::from_slice(&answer).unwrap_or_default();
        // A command without an answer from its device is HTTP 200 with an error_code (`iotda-device-access.md` §5).
        if status.is_success() && error.error_code.as_deref().is_none_or(str::is_empty) {
            return Ok(answer);
        }
        Err(RestError::Refused {
            operation: operation(),
            status,
            code: error.error_code.unwrap_or_default(),
            message: match error.error_msg {
                Some(Value::String(text)) => text,
                Some(other) => other.to_string(),
                None => String::from_utf8_lossy(&answer).chars().take(200).collect(),
            },
        })
    }

    fn request(
        &self,
        method: &'static str,
        path: &str,
        kind: &str,
        body: &Bytes,
    ) -> anyhow::Result<Request<Full<Bytes>>> {
        let shared = &*self.shared;
        let target = format!("/v5/iot/{}{path}", shared.project_id);
        let date = identity::now().compact();
        let builder = Request::builder()
            .method(method)
            .uri(&target)
            .header(header::CONTENT_TYPE, kind)
            .header(header::HOST, &shared.authority)
            .header(header::USER_AGENT, USER_AGENT)
            .header("X-Project-Id", &shared.project_id)
            .header("X-Sdk-Date", &date);
        let builder = match &shared.auth {
            Authority::Token(token) => builder.header("X-Auth-Token", token),
            Authority::AccessKey { ak, sk } => {
                let (raw_path, query) = target.split_once('?').unwrap_or((&target, ""));
                let signed = SignedRequest {
                    method,
                    path: raw_path,
                    query,
                    headers: &[
                        ("content-type", kind),
                        ("host", &shared.authority),
                        ("user-agent", USER_AGENT),
                        ("x-project-id", &shared.project_id),
                        ("x-sdk-date", &date),
                    ],
                    body,
                };
                builder.header(header::AUTHORIZATION, signed.authorization(ak, sk, &date))
            }
        };
        builder.body(Full::new(body.clone())).context("the request has an invalid path or header")
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> anyhow::Result<(StatusCode, Bytes)> {
        let mut sender = self.sender().await?;
        let response = match sender.try_send_request(request).await {
            Ok(response) => response,
            Err(mut failed) => {
                // The server closed an idle connection before it saw the request: a fresh one may carry it.
                let Some(request) = failed.take_message() else {
                    return Err(failed.into_error()).context("the connection broke");
                };
                sender = self.open().await?;
                sender.send_request(request).await.context("the connection broke")?
            }
        };
        let status = response.status();
        let answer = Limited::new(response.into_body(), MAX_ANSWER)
            .collect()
            .await
            .map_err(|source| anyhow::anyhow!(source).context("the answer broke off"))?
            .to_bytes();
        if !sender.is_closed() {
            self.shared.idle.lock().push(sender);
        }
        Ok((status, answer))
    }

    async fn sender(&self) -> anyhow::Result<Sender> {
        loop {
            // The lock must not be held over the await below.
            let idle = self.shared.idle.lock().pop();
            match idle {
                None => return self.open().await,
                Some(mut sender) => {
                    if sender.ready().await.is_ok() {
                        return Ok(sender);
                    }
                }
            }
        }
    }

    async fn open(&self) -> anyhow::Result<Sender> {
        let shared = &*self.shared;
        let socket = tls::connect(shared.address, None, shared.tls.as_ref())
            .await
            .with_context(|| format!("no connection to {}", shared.authority))?;
        let (sender, connection) = handshake(TokioIo::new(socket)).await?;
        // Ends by itself when the sender is dropped or the server closes.
        tokio::spawn(connection);
        Ok(sender)
    }
}

/// Percent-encodes one path segment or query value.
pub(crate) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    causeway_wire::signature::encode_component(text.as_bytes(), &mut out);
    out
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    /// Reads one request; empty when the client has closed.
    async fn request(stream: &mut TcpStream) -> String {
        let mut bytes = Vec::new();
        while stream.read_buf(&mut bytes).await.unwrap_or(0) > 0 {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |n| n.parse().expect("a number")) {
                return text;
            }
        }
        String::new()
    }

    /// A server that answers with `answers` in turn, closing the connection without notice where `None` stands.
    async fn server(answers: Vec<Option<&'static str>>) -> (Api, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let base = format!("http://{}", listener.local_addr().expect("it listens"));
        let connections = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&connections);
        tokio::spawn(async move {
            let mut answers = answers.into_iter();
            'connection: loop {
                let (mut stream, _) = listener.accept().await.expect("it listens");
                counter.fetch_add(1, Ordering::SeqCst);
                loop {
                    let text = request(&mut stream).await;
                    if text.is_empty() {
                        continue 'connection;
                    }
                    assert!(text.contains("\r\nauthorization: SDK-HMAC-SHA256 Access=A, SignedHeaders="), "{text}");
                    let Some(answer) = answers.next() else { return };
                    let Some(answer) = answer else { continue 'connection };
                    stream.write_all(answer.as_bytes()).await.expect("the client reads");
                }
            }
        });
        let auth = Authority::AccessKey { ak: "A".into(), sk: "S".into() };
        (Api::new(&base, None, "p1", auth, 4).await.expect("a legal address"), connections)
    }

    const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n{\"a\":1}";

    #[tokio::test]
    async fn connections_are_kept_and_replaced_when_the_server_has_closed_them() {
        let (api, connections) = server(vec![Some(OK), Some(OK), None, Some(OK)]).await;
        for _ in 0..2 {
            let answer: Value = api.call("GET", "/products?limit=1", None).await.expect("an answer");
            assert_eq!(answer["a"], 1);
        }
        assert_eq!(connections.load(Ordering::SeqCst), 1);
        // A request that may have been carried out is not sent twice.
        let error = api.call::<Value>("POST", "/devices", Some(&Value::Null)).await.expect_err("closed");
        assert!(matches!(error, RestError::Transport { .. }), "{error}");
        api.call::<Value>("GET", "/products", None).await.expect("a fresh connection");
        assert_eq!(connections.load(Ordering::SeqCst), 2);
    }

    #[track_caller]
    fn check(error: &RestError, status: u16, text: &str) {
        assert_eq!(error.status().map(|status| status.as_u16()), Some(status));
        assert!(error.to_string().contains(text), "{error}");
    }

    #[tokio::test]
    async fn refusals_keep_status_code_and_message() {
        let (api, _) = server(vec![
            Some(
                "HTTP/1.1 403 Forbidden\r\ncontent-length: 54\r\n\r\n\
                 {\"error_code\":\"IOTDA.014016\",\"error_msg\":\"not online\"}",
            ),
            Some(
                "HTTP/1.1 200 OK\r\ncontent-length: 53\r\n\r\n\
                 {\"error_code\":\"IOTDA.014111\",\"error_msg\":\"timed out\"}",
            ),
            Some("HTTP/1.1 502 Bad Gateway\r\ntransfer-encoding: chunked\r\n\r\n4\r\nnope\r\n0\r\n\r\n"),
            Some("HTTP/1.1 204 No Content\r\n\r\n"),
            Some("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nnope"),
        ])
        .await;
        let call = || api.call::<Value>("GET", "/x", None);
        check(&call().await.expect_err("refused"), 403, "IOTDA.014016 not online");
        check(&call().await.expect_err("refused"), 200, "IOTDA.014111 timed out");
        check(&call().await.expect_err("refused"), 502, "nope");
        assert_eq!(call().await.expect("no content"), Value::Null);
        assert!(matches!(call().await, Err(RestError::Unreadable { .. })));
    }
}
