//! One push: an HTTP POST that never leads into the platform's own network.

use std::error::Error as _;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use causeway_platform::function::{CallFailed, HttpCall, HttpCaller};
use causeway_platform::outbox::is_public;
use causeway_platform::settings::PushSettings;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderValue};
use reqwest::{Client, ClientBuilder, Url, redirect};
use rustls::ClientConfig;

/// What is read of an answer's body, only so that the connection can be used again.
const ANSWER_BYTES: usize = 16 << 10;
/// Unused connections are closed after so long.
const POOL_IDLE: Duration = Duration::from_secs(60);
/// `iotda-v5-api.md` §3.
const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

/// Where a target's deliveries go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Destination {
    url: Url,
    /// `host:port`, which blocks are by.
    pub(crate) host: String,
    /// Where the connection goes, when `url` names the host otherwise for the handshake.
    connect_to: Option<String>,
}

impl Destination {
    /// `None` when the text is no HTTP address, which the platform does not let in.
    pub(crate) fn parse(url: &str) -> Option<Self> {
        let url = Url::parse(url).ok().filter(|u| matches!(u.scheme(), "http" | "https"))?;
        let host = format!("{}:{}", url.host_str()?, url.port_or_known_default()?);
        Some(Self { url, host, connect_to: None })
    }

    /// Whether the host is spoken to under TLS.
    pub(crate) fn is_https(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// Calls the host by another name in the handshake; the connection still goes to the one of the address.
    ///
    /// # Errors
    /// When the name cannot be a host's.
    pub(crate) fn call_it(&mut self, name: &str) -> Result<(), String> {
        let host = self.url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
        self.url.set_host(Some(name)).map_err(|_| "'cn_name' cannot be the name of a host".to_owned())?;
        self.connect_to = Some(host);
        Ok(())
    }

    /// The whole address.
    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// The address, when the host is written as one: then no resolver is asked.
    pub(crate) fn literal(&self) -> Option<IpAddr> {
        let host = self.connect_to.as_deref().or_else(|| self.url.host_str())?;
        host.trim_start_matches('[').trim_end_matches(']').parse().ok()
    }
}

/// How a push ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Answered with 200: the only success (002 §4.6.2).
    Delivered,
    /// Answered with another status.
    Refused(u16),
    /// No answer within `push.timeout`.
    TimedOut,
    /// The host leads to an address that is not public while `push.allow_private` is off.
    NotPublic,
    /// No connection, no sound TLS, or no HTTP.
    Unreachable(String),
}

impl Outcome {
    /// The word for metrics.
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Refused(_) => "refused",
            Self::TimedOut => "timeout",
            Self::NotPublic => "not_public",
            Self::Unreachable(_) => "unreachable",
        }
    }
}

#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the host has no public address")]
pub(crate) struct NotPublic;

/// Resolves names to public addresses only. The connection goes to what this returns, so a name that is resolved
/// differently a second time gains nothing.
struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<SocketAddr> = found.filter(|a| is_public(a.ip())).collect();
            if public.is_empty() {
                return Err(NotPublic.into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

/// Resolves every name to the addresses of one host.
struct Instead {
    host: String,
    allow_private: bool,
}

impl Resolve for Instead {
    fn resolve(&self, _: Name) -> Resolving {
        let (host, allow_private) = (self.host.clone(), self.allow_private);
        Box::pin(async move {
            let found = tokio::net::lookup_host((host.as_str(), 0)).await?;
            let permitted: Vec<SocketAddr> = found.filter(|a| allow_private || is_public(a.ip())).collect();
            if permitted.is_empty() {
                return Err(NotPublic.into());
            }
            Ok(Box::new(permitted.into_iter()) as Addrs)
        })
    }
}

/// The HTTP client of all pushes.
#[derive(Clone)]
pub(crate) struct PushClient {
    http: Client,
    allow_private: bool,
}

impl PushClient {
    pub(crate) fn new(settings: &PushSettings) -> Self {
        let http = Self::builder(settings).build().unwrap_or_else(|error| {
            // A machine without any authorities: plain pushes work all the same.
            tracing::warn!(
                error = reason(&error),
                "HTTPS pushes will fail: the system's certificate authorities cannot be read"
            );
            Self::builder(settings)
                .tls_certs_only([])
                .build()
                .expect("a client without certificate authorities can always be made")
        });
        Self { http, allow_private: settings.allow_private }
    }

    /// A client for one host, with a TLS configuration of its own.
    ///
    /// # Errors
    /// A text for the operator.
    pub(crate) fn with_tls(settings: &PushSettings, tls: ClientConfig, to: &Destination) -> Result<Self, String> {
        let mut builder = Self::builder(settings).tls_backend_preconfigured(tls);
        if let Some(host) = to.connect_to.clone() {
            let instead = Instead { host, allow_private: settings.allow_private };
            // HTTP/2 would call the host by the name of the handshake.
            builder = builder.dns_resolver(Arc::new(instead)).http1_only();
        }
        let http = builder.build().map_err(|error| reason(&error))?;
        Ok(Self { http, allow_private: settings.allow_private })
    }

    fn builder(settings: &PushSettings) -> ClientBuilder {
        let builder = Client::builder()
            .user_agent(concat!("causeway/", env!("CARGO_PKG_VERSION")))
            .timeout(settings.timeout.0)
            // A redirect is an answer other than 200, and its target would be the receiver's choice.
            .redirect(redirect::Policy::none())
            // A proxy would resolve names where nobody checks them.
            .no_proxy()
            .referer(false)
            .tcp_nodelay(true)
            .pool_idle_timeout(POOL_IDLE)
            .pool_max_idle_per_host(usize::try_from(settings.concurrency).unwrap_or(usize::MAX));
        if settings.allow_private { builder } else { builder.dns_resolver(Arc::new(PublicOnly)) }
    }

    /// What connects; who uses it judges addresses that are written as such.
    pub(crate) fn http(&self) -> &Client {
        &self.http
    }

    /// Whether connections into private networks are allowed.
    pub(crate) fn allows_private(&self) -> bool {
        self.allow_private
    }

    /// Pushes once.
    pub(crate) async fn push(&self, to: &Destination, headers: HeaderMap, body: Bytes) -> Outcome {
        if !self.allow_private && to.literal().is_some_and(|address| !is_public(address)) {
            return Outcome::NotPublic;
        }
        let mut request = self.http.post(to.url.clone()).headers(headers).header(CONTENT_TYPE, JSON).body(body);
        if to.connect_to.is_some() {
            request = request.header(HOST, &to.host);
        }
        let mut answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) => return failure(&error),
        };
        let status = answer.status().as_u16();
        let mut read = 0;
        while let Ok(Some(piece)) = answer.chunk().await {
            read += piece.len();
            if read > ANSWER_BYTES {
                break;
            }
        }
        if status == 200 { Outcome::Delivered } else { Outcome::Refused(status) }
    }
}

#[async_trait]
impl HttpCaller for PushClient {
    async fn post(&self, call: HttpCall) -> Result<Bytes, CallFailed> {
        let failed = |word, text: String| CallFailed { word, text };
        let to = Destination::parse(&call.url)
            .ok_or_else(|| failed("unreachable", "the address is not one of HTTP".to_owned()))?;
        let host = &to.host;
        let not_public = || failed("not_public", format!("{host} leads into the platform's own network"));
        let of_error = |error: &reqwest::Error| match failure(error) {
            Outcome::NotPublic => not_public(),
            Outcome::TimedOut => {
                failed("time", format!("{host} did not answer within {} ms", call.timeout.as_millis()))
            }
            Outcome::Unreachable(why) => failed("unreachable", format!("{host} cannot be reached: {why}")),
            Outcome::Delivered | Outcome::Refused(_) => failed("unreachable", format!("{host} cannot be reached")),
        };
        if !self.allow_private && to.literal().is_some_and(|address| !is_public(address)) {
            return Err(not_public());
        }
        let mut request =
            self.http.post(to.url.clone()).timeout(call.timeout).header(CONTENT_TYPE, JSON).body(call.body.clone());
        if let Some(token) = &call.token {
            request = request.bearer_auth(token);
        }
        let mut answer = request.send().await.map_err(|e| of_error(&e))?;
        if !answer.status().is_success() {
            let status = answer.status().as_u16();
            return Err(failed("refused", format!("{host} answered with status {status}; only 2xx counts")));
        }
        let mut body = BytesMut::new();
        while let Some(piece) = answer.chunk().await.map_err(|e| of_error(&e))? {
            if body.len() + piece.len() > call.longest {
                return Err(failed("result", format!("the answer of {host} has more than {} bytes", call.longest)));
            }
            body.extend_from_slice(&piece);
        }
        Ok(body.freeze())
    }
}

/// How a call without an answer ended.
pub(crate) fn failure(error: &reqwest::Error) -> Outcome {
    let mut cause = error.source();
    while let Some(found) = cause {
        if found.is::<NotPublic>() {
            return Outcome::NotPublic;
        }
        cause = found.source();
    }
    if error.is_timeout() { Outcome::TimedOut } else { Outcome::Unreachable(reason(error)) }
}

/// The causes of an error; the error itself would name the URL, which may hold secrets.
fn reason(error: &reqwest::Error) -> String {
    let mut text = String::new();
    let mut cause = error.source();
    while let Some(found) = cause {
        let written = write!(text, "{}{found}", if text.is_empty() { "" } else { ": " });
        debug_assert!(written.is_ok(), "writing to a String cannot fail");
        cause = found.source();
    }
    text
}
