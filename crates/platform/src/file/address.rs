//! Addresses of files: URLs that the platform signs and serves itself, or those of a foreign store.
//!
//! ```text
//! {base}/v5/files/{key}?expires={Unix time, s}&limit={bytes}&signature={64 hex digits}
//! ```
//! The signature is HMAC-SHA256 over method, key, time and limit under a key of its own; nothing else of a request is
//! covered, because SDKs send a Content-Type and a Host of their choice. `HEAD` counts as `GET`.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use causeway_model::file::ObjectKey;
use causeway_model::{Code, DeviceId, Error, Result, Timestamp};
use ring::hmac;
use tokio::sync::Notify;

use super::{Access, Objects};
use crate::Platform;
use crate::secrets::Secrets;

/// Where the platform serves files itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct FileDoors {
    /// The devices' HTTPS door, as bound.
    pub https: Option<SocketAddr>,
    /// The door for files without TLS, as bound.
    pub http: Option<SocketAddr>,
}

/// What the platform is given for files.
#[derive(Clone)]
pub struct FileAccess {
    /// Where contents lie.
    pub objects: Arc<dyn Objects>,
    /// Where they are served.
    pub doors: FileDoors,
}

/// The platform's part for files.
pub(crate) struct Files {
    pub(crate) objects: Arc<dyn Objects>,
    doors: FileDoors,
    url_key: hmac::Key,
    /// There is something to check or to remove.
    pub(crate) due: Notify,
}

impl Files {
    pub(crate) fn new(access: FileAccess, secrets: &Secrets) -> Self {
        let url_key = hmac::Key::new(hmac::HMAC_SHA256, &secrets.derive("file urls"));
        Self { objects: access.objects, doors: access.doors, url_key, due: Notify::new() }
    }
}

/// A URL's path below `/v5/files/` and its query, as a door received them.
#[derive(Clone, Copy, Debug)]
pub struct SignedPath<'a> {
    /// The object.
    pub key: &'a str,
    /// What stands behind the `?`.
    pub query: &'a str,
}

/// Checked parameters of a URL.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Permit {
    pub(crate) key: ObjectKey,
    /// Most bytes to write.
    pub(crate) limit: u64,
}

fn word(access: Access) -> &'static str {
    match access {
        Access::Write => "PUT",
        Access::Read => "GET",
    }
}

fn signed_text(access: Access, key: &str, expires_s: i64, limit: u64) -> String {
    format!("{}\n{key}\n{expires_s}\n{limit}", word(access))
}

fn invalid_url() -> Error {
    Error::new(Code::InvalidFileUrl, "The URL is not valid for this request. Ask the platform for a new one.")
}

impl Files {
    /// Path and query of a URL.
    fn sign(&self, access: Access, key: &ObjectKey, expires: Timestamp, limit: u64) -> String {
        let expires_s = expires.0.div_euclid(1000);
        let tag = hmac::sign(&self.url_key, signed_text(access, key.as_str(), expires_s, limit).as_bytes());
        format!("/v5/files/{key}?expires={expires_s}&limit={limit}&signature={}", hex::encode(tag.as_ref()))
    }

    /// Checks what a door received.
    ///
    /// # Errors
    /// [`Code::InvalidFileUrl`]; [`Code::FileUrlExpired`].
    pub(crate) fn check(&self, access: Access, path: SignedPath<'_>, now: Timestamp) -> Result<Permit> {
        let (mut expires, mut limit, mut signature) = (None, None, None);
        for pair in path.query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let place = match name {
                "expires" => &mut expires,
                "limit" => &mut limit,
                "signature" => &mut signature,
                // Other parameters change nothing.
                _ => continue,
            };
            if place.replace(value).is_some() {
                return Err(invalid_url());
            }
        }
        let expires_s: i64 = expires.and_then(|v| v.parse().ok()).ok_or_else(invalid_url)?;
        let limit: u64 = limit.and_then(|v| v.parse().ok()).ok_or_else(invalid_url)?;
        let mut tag = [0; 32];
        hex::decode_to_slice(signature.unwrap_or_default(), &mut tag).map_err(|_| invalid_url())?;
        let text = signed_text(access, path.key, expires_s, limit);
        // In constant time.
        hmac::verify(&self.url_key, text.as_bytes(), &tag).map_err(|_| invalid_url())?;
        if now.0 >= expires_s.saturating_mul(1000) {
            return Err(Error::new(
                Code::FileUrlExpired,
                "The time of the URL is over. Ask the platform for a new one.",
            ));
        }
        let key = ObjectKey::parse(path.key).ok_or_else(invalid_url)?;
        Ok(Permit { key, limit })
    }

    /// Scheme, host and port for a client that reached the platform at `host`, with or without TLS.
    fn base(&self, configured: Option<&str>, host: Option<&str>, is_encrypted: bool) -> Result<String> {
        if let Some(base) = configured {
            return Ok(base.trim_end_matches('/').to_owned());
        }
        let (scheme, bound) = match (self.doors.http, self.doors.https) {
            (Some(http), _) if !is_encrypted => ("http", http),
            (_, Some(https)) => ("https", https),
            (Some(http), None) => ("http", http),
            (None, None) => {
                return Err(Error::unavailable("no door serves files: open listen.device_https or set files.base_url"));
            }
        };
        let host = match bound.ip() {
            ip if !ip.is_unspecified() => host_of(ip),
            _ => host.map_or_else(|| "localhost".to_owned(), str::to_owned),
        };
        Ok(format!("{scheme}://{host}:{}", bound.port()))
    }
}

fn host_of(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => ip.to_ipv4_mapped().map_or_else(|| format!("[{ip}]"), |ip| ip.to_string()),
    }
}

/// A host as requests name it, without the port.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}

impl Platform {
    /// How long URLs of files are good.
    pub(crate) fn file_url_life(&self) -> Duration {
        self.settings.files.url_life.0.max(Duration::from_secs(1))
    }

    async fn file_url(
        &self,
        access: Access,
        key: &ObjectKey,
        limit: u64,
        base: impl FnOnce() -> Result<String>,
    ) -> Result<String> {
        let life = self.file_url_life();
        if let Some(url) = self.files.objects.signed_url(access, key, life).await? {
            return Ok(url);
        }
        let expires = self.clock.now().plus_ms(i64::try_from(life.as_millis()).unwrap_or(i64::MAX / 2));
        Ok(base()? + &self.files.sign(access, key, expires, limit))
    }

    /// A URL for a device, at the address by which `via`, itself or its gateway, is connected.
    pub(crate) async fn file_url_for_device(
        &self,
        via: &DeviceId,
        access: Access,
        key: &ObjectKey,
        limit: u64,
    ) -> Result<String> {
        let place = self.directory.get(via.as_str()).map(|e| e.link.place()).unwrap_or_default();
        self.file_url(access, key, limit, || {
            let host = place.local_ip.map(host_of);
            self.files.base(self.settings.files.base_url.as_deref(), host.as_deref(), place.is_encrypted)
        })
        .await
    }

    /// A URL for an application that named the platform as `host`, with or without a port.
    pub(crate) async fn file_url_for_app(
        &self,
        host: Option<&str>,
        access: Access,
        key: &ObjectKey,
        limit: u64,
    ) -> Result<String> {
        let host = host.map(without_port);
        self.file_url(access, key, limit, || self.files.base(self.settings.files.base_url.as_deref(), host, true)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::NoObjects;

    fn files(https: Option<&str>, http: Option<&str>) -> Files {
        let parse = |a: &str| a.parse().expect("an address");
        let doors = FileDoors { https: https.map(parse), http: http.map(parse) };
        Files::new(FileAccess { objects: Arc::new(NoObjects), doors }, &Secrets::new(&[7; 32]))
    }

    fn split(url: &str) -> SignedPath<'_> {
        let (key, query) = url.strip_prefix("/v5/files/").and_then(|u| u.split_once('?')).expect("a URL");
        SignedPath { key, query }
    }

    #[test]
    fn a_url_is_good_for_one_method_object_time_and_limit() {
        let files = files(None, None);
        let key = ObjectKey::parse("device_file/d/1_a").expect("a key");
        let url = files.sign(Access::Write, &key, Timestamp(10_999), 500);
        let check = |access, url: &str, now| files.check(access, split(url), Timestamp(now)).map_err(|e| e.code());
        assert_eq!(check(Access::Write, &url, 9_999), Ok(Permit { key: key.clone(), limit: 500 }));
        assert_eq!(check(Access::Write, &format!("{url}&other=1"), 0), Ok(Permit { key, limit: 500 }));
        assert_eq!(check(Access::Write, &url, 10_000), Err(Code::FileUrlExpired));
        assert_eq!(check(Access::Read, &url, 0), Err(Code::InvalidFileUrl));
        for forged in [
            url.replace("limit=500", "limit=501"),
            url.replace("expires=10", "expires=11"),
            url.replace("/1_a", "/1_b"),
            url.replace("limit=500&", ""),
            url.replace("signature=", "signature=0"),
            url[..url.len() - 2].to_owned(),
            format!("{url}&limit=500"),
            url.replace("signature", "sig"),
        ] {
            assert_eq!(check(Access::Write, &forged, 0), Err(Code::InvalidFileUrl), "{forged}");
        }
        let other = Files::new(
            FileAccess { objects: Arc::new(NoObjects), doors: FileDoors::default() },
            &Secrets::new(&[8; 32]),
        );
        assert_eq!(
            other.check(Access::Write, split(&url), Timestamp(0)).map_err(|e| e.code()),
            Err(Code::InvalidFileUrl)
        );
    }

    #[test]
    fn the_base_follows_the_client() {
        let both = files(Some("0.0.0.0:8943"), Some("0.0.0.0:8090"));
        let base = |files: &Files, host, encrypted| files.base(None, host, encrypted).map_err(|e| e.code());
        assert_eq!(base(&both, Some("10.0.0.7"), true).as_deref(), Ok("https://10.0.0.7:8943"));
        assert_eq!(base(&both, Some("10.0.0.7"), false).as_deref(), Ok("http://10.0.0.7:8090"));
        assert_eq!(base(&both, None, true).as_deref(), Ok("https://localhost:8943"));
        let bound = files(Some("127.0.0.1:1"), None);
        assert_eq!(base(&bound, Some("x"), false).as_deref(), Ok("https://127.0.0.1:1"));
        assert_eq!(base(&files(None, None), None, true), Err(Code::Unavailable));
        assert_eq!(both.base(Some("https://f.example/x/"), None, true).as_deref(), Ok("https://f.example/x"));
        assert_eq!(host_of("::1".parse().expect("an IP")), "[::1]");
        assert_eq!(host_of("::ffff:10.0.0.1".parse().expect("an IP")), "10.0.0.1");
        assert_eq!(["h:1", "h", "[::1]:8", "[::1]"].map(without_port), ["h", "h", "[::1]", "[::1]"]);
    }
}
