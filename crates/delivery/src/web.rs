//! Calls of targets that speak HTTP, and what they share: judged addresses, time limits, bounded answers.

use std::net::IpAddr;

use async_trait::async_trait;
use bytes::Bytes;
use causeway_platform::outbox::is_public;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};
use reqwest::header::HeaderMap;

use crate::client::{Destination, NotPublic, Outcome, PushClient, failure};
use crate::target::Failure;

/// What is kept of an answer's text.
const ANSWER_BYTES: usize = 1 << 20;

/// An answer.
pub(crate) struct Answer {
    /// The status.
    pub(crate) status: u16,
    /// Its body, or the beginning of it.
    pub(crate) text: String,
}

impl Answer {
    /// Whether the status is 2xx.
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The failure that the answer means.
    pub(crate) fn refused(&self, host: &str) -> Failure {
        let text: String = self.text.chars().take(300).filter(|c| !c.is_control()).collect();
        Failure { word: "refused", text: format!("{host} answered with status {}: {text}", self.status) }
    }
}

/// Posts once. `headers` replace those that a client sets by itself.
pub(crate) async fn post(
    client: &PushClient,
    to: &Destination,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Answer, Failure> {
    if !client.permits(to.literal()) {
        return Err(means(Outcome::NotPublic, &to.host));
    }
    let request = client.http().post(to.url().clone()).headers(headers).body(body);
    let mut answer = request.send().await.map_err(|error| means(failure(&error), &to.host))?;
    let mut text = Vec::new();
    while let Ok(Some(piece)) = answer.chunk().await {
        let room = ANSWER_BYTES - text.len();
        text.extend_from_slice(&piece[..piece.len().min(room)]);
        if piece.len() >= room {
            break;
        }
    }
    Ok(Answer { status: answer.status().as_u16(), text: String::from_utf8_lossy(&text).into_owned() })
}

/// What the end of a call means for deliveries.
pub(crate) fn means(outcome: Outcome, host: &str) -> Failure {
    let word = outcome.as_str();
    let text = match outcome {
        Outcome::TimedOut => format!("{host} did not answer in time"),
        Outcome::NotPublic => {
            format!("{host} leads into the platform's own network; the key push.allow_private would permit it")
        }
        Outcome::Unreachable(why) => format!("{host} cannot be reached: {why}"),
        Outcome::Refused(status) => format!("{host} answered with status {status}"),
        Outcome::Delivered => format!("{host} took it"),
    };
    Failure { word, text }
}

impl PushClient {
    /// Whether connections to a host that is written as an address are allowed; names are judged when they are resolved.
    pub(crate) fn permits(&self, literal: Option<IpAddr>) -> bool {
        self.allows_private() || literal.is_none_or(is_public)
    }
}

/// Lets the client of an object store connect by [`PushClient`].
#[derive(Clone)]
pub(crate) struct Connector(pub(crate) PushClient);

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connector")
    }
}

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait]
impl HttpService for Connector {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let host = request.uri().host().unwrap_or_default();
        if !self.0.permits(host.trim_start_matches('[').trim_end_matches(']').parse().ok()) {
            return Err(HttpError::new(HttpErrorKind::Unknown, NotPublic));
        }
        HttpService::call(self.0.http(), request).await
    }
}
