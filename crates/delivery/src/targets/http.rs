//! HTTP push: `HTTP_FORWARDING`, and the push address of a space (002 §4.6.2).

use std::fmt::Write as _;
use std::sync::Arc;

use async_trait::async_trait;
use causeway_channels::{HttpForwarding, Secret};
use causeway_platform::Platform;
use reqwest::header::{HeaderMap, HeaderValue};
use ring::digest;
use ring::rand::{SecureRandom as _, SystemRandom};
use rustls_pki_types::ServerName;
use tokio::sync::OnceCell;

use super::Workshop;
use crate::client::{Destination, Outcome, PushClient};
use crate::stream::failure;
use crate::target::{Failure, Feeding, Item, Sent, Target};
use crate::tls;

/// See the module text.
pub(crate) struct HttpTarget {
    client: Client,
    to: Destination,
    concurrency: u32,
    token: Option<Secret>,
}

enum Client {
    /// That of all pushes.
    Shared(PushClient),
    /// One that judges the host in a way of its own; made when first needed.
    Own(Box<OwnClient>),
}

struct OwnClient {
    platform: Option<Arc<Platform>>,
    to: HttpForwarding,
    made: OnceCell<PushClient>,
}

impl HttpTarget {
    /// The target of a space's push address.
    pub(crate) fn new(workshop: &Workshop, url: &str) -> Result<Self, String> {
        let to = Destination::parse(url).ok_or_else(|| "the address is not one of HTTP".to_owned())?;
        let client = Client::Shared(workshop.client.clone());
        Ok(Self { client, to, concurrency: workshop.concurrency, token: None })
    }

    /// An address that the operator chose, wherever it leads.
    pub(crate) fn trusted(workshop: &Workshop, url: &str) -> Result<Self, String> {
        Ok(Self { client: Client::Shared(workshop.trusted.clone()), ..Self::new(workshop, url)? })
    }

    /// The target of an action.
    pub(crate) fn of(workshop: &Workshop, http: &HttpForwarding) -> Result<Self, String> {
        let mut target = Self::new(workshop, &http.url)?;
        target.token = http.token.clone().filter(|_| http.signature_enable == Some(true));
        let is_own = http.cert_id.is_some() || http.cn_name.is_some() || http.sni_enable == Some(false);
        if is_own && target.to.is_https() {
            let name = named(http);
            if http.sni_enable == Some(true)
                && let Some(name) = &name
            {
                target.to.call_it(name)?;
            }
            let own = OwnClient { platform: workshop.platform.clone(), to: http.clone(), made: OnceCell::new() };
            target.client = Client::Own(Box::new(own));
        }
        Ok(target)
    }

    async fn client(&self) -> Result<&PushClient, Failure> {
        match &self.client {
            Client::Shared(client) => Ok(client),
            Client::Own(own) => own.made.get_or_try_init(|| own.make(&self.to)).await,
        }
    }
}

/// `cn_name` without the port that it may have.
fn named(http: &HttpForwarding) -> Option<String> {
    let name = http.cn_name.as_deref()?;
    Some(name.rsplit_once(':').map_or(name, |(host, _)| host).to_owned())
}

impl OwnClient {
    async fn make(&self, to: &Destination) -> Result<PushClient, Failure> {
        let platform = self.platform.as_ref().ok_or_else(|| failure("failed", "there is no platform to ask"))?;
        let mut verifier = match &self.to.cert_id {
            None => tls::by_system().map_err(|why| failure("tls", why))?,
            Some(id) => {
                let trust = platform.host_trust(id).await.map_err(|e| failure("certificate", e.message()))?;
                Arc::new(tls::ByRegistry::new(trust, platform.clock.clone()))
            }
        };
        if let Some(name) = named(&self.to) {
            let name = ServerName::try_from(name)
                .map_err(|_| failure("certificate", "'cn_name' cannot be the name of a certificate"))?;
            verifier = Arc::new(tls::UnderName { name, verifier });
        }
        let mut config = tls::with_verifier(verifier);
        config.enable_sni = self.to.sni_enable != Some(false);
        PushClient::with_tls(&platform.settings.push, config, to).map_err(|why| failure("tls", why))
    }
}

/// Headers that show who pushes. The vendor does not publish its rule; ours: `signature` is the lower-case hex SHA-256 of
/// token, `timestamp` and `nonce`, sorted as texts and put together.
fn signature(token: &str, timestamp_ms: i64, nonce: &str) -> [(&'static str, String); 3] {
    let timestamp = timestamp_ms.to_string();
    let mut parts = [token, &timestamp, nonce];
    parts.sort_unstable();
    let signature = hex(digest::digest(&digest::SHA256, parts.concat().as_bytes()).as_ref());
    [("timestamp", timestamp.clone()), ("nonce", nonce.to_owned()), ("signature", signature)]
}

/// Lower-case hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let written = write!(text, "{byte:02x}");
        debug_assert!(written.is_ok(), "writing to a String cannot fail");
        text
    })
}

fn signed(token: &str) -> Result<HeaderMap, Failure> {
    let mut nonce = [0; 16];
    SystemRandom::new().fill(&mut nonce).map_err(|_| failure("failed", "the system has no random numbers"))?;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let now = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
    let headers = signature(token, now, &hex(&nonce));
    Ok(headers
        .into_iter()
        .filter_map(|(name, value)| Some((reqwest::header::HeaderName::from_static(name), value.parse().ok()?)))
        .collect::<HeaderMap<HeaderValue>>())
}

#[async_trait]
impl Target for HttpTarget {
    fn feeding(&self) -> Feeding {
        Feeding::Lanes { concurrency: self.concurrency, host: self.to.host.clone() }
    }

    async fn send(&self, items: &[Item]) -> Sent {
        let Some(item) = items.first() else { return Sent::default() };
        let client = match self.client().await {
            Ok(client) => client,
            Err(failure) => return failure.into(),
        };
        let headers = match self.token.as_ref().map(|token| signed(token.as_str())).transpose() {
            Ok(headers) => headers.unwrap_or_default(),
            Err(failure) => return failure.into(),
        };
        let outcome = client.push(&self.to, headers, item.body.clone()).await;
        let word = outcome.as_str();
        let host = &self.to.host;
        match outcome {
            Outcome::Delivered => Sent::all(items),
            Outcome::Refused(status) => {
                Sent::failed(word, format!("{host} answered with status {status}; only 200 counts as taken"))
            }
            Outcome::TimedOut => Sent::failed(word, format!("{host} did not answer in time")),
            Outcome::NotPublic => Sent::failed(
                word,
                format!("{host} leads into the platform's own network; the key push.allow_private would permit it"),
            ),
            Outcome::Unreachable(why) => Sent::failed(word, format!("{host} cannot be reached: {why}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_covers_token_time_and_nonce_in_any_order() {
        let [timestamp, nonce, signature] = signature("secret", 1_700_000_000_000, "abc");
        assert_eq!((timestamp.1.as_str(), nonce.1.as_str()), ("1700000000000", "abc"));
        let expected = digest::digest(&digest::SHA256, b"1700000000000abcsecret");
        assert_eq!(signature.1, hex(expected.as_ref()));
    }
}
