//! `OBS_FORWARDING`: batches become objects of a store with the S3 interface.
//!
//! An object is named by the time and the number of its first delivery: a batch that is sent again writes the same objects
//! again, perhaps longer, and nothing is there twice.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use causeway_channels::{ObsForwarding, Secret};
use causeway_model::Timestamp;
use flate2::Compression;
use flate2::write::GzEncoder;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{Attribute, Attributes, ClientOptions, ObjectStore, PutOptions, RetryConfig};

use super::Workshop;
use super::parquet_file;
use crate::client::{Destination, NotPublic};
use crate::names::{Named, Names};
use crate::target::{Failure, Feeding, Item, Sent, Target};
use crate::web::Connector;

/// Deliveries of one batch at most.
const ROWS: usize = 100_000;

/// A delivery and whose event it is.
pub(super) struct Told {
    pub(super) item: Item,
    pub(super) named: Named,
}

/// See the module text.
pub(crate) struct ObsTarget {
    store: Arc<AmazonS3>,
    host: String,
    names: Names,
    /// May have templates.
    folder: String,
    format: Format,
    bytes: usize,
    linger: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Ndjson { gzip: bool },
    Parquet { zstd: bool },
}

impl Format {
    fn of(to: &ObsForwarding) -> Self {
        match (to.format.as_deref(), to.compression.as_deref()) {
            (Some("parquet"), compression) => Self::Parquet { zstd: compression != Some("none") },
            (_, compression) => Self::Ndjson { gzip: compression == Some("gzip") },
        }
    }

    fn suffix(self) -> &'static str {
        match self {
            Self::Ndjson { gzip: false } => "ndjson",
            Self::Ndjson { gzip: true } => "ndjson.gz",
            Self::Parquet { .. } => "parquet",
        }
    }

    fn media_type(self) -> &'static str {
        match self {
            Self::Ndjson { gzip: false } => "application/x-ndjson",
            Self::Ndjson { gzip: true } => "application/gzip",
            Self::Parquet { .. } => "application/vnd.apache.parquet",
        }
    }

    fn encode(self, items: &[Told]) -> Result<Vec<u8>, String> {
        match self {
            Self::Ndjson { gzip: false } => Ok(lines(items)),
            Self::Ndjson { gzip: true } => {
                let mut packed = GzEncoder::new(Vec::new(), Compression::default());
                packed.write_all(&lines(items)).and_then(|()| packed.finish()).map_err(|error| error.to_string())
            }
            Self::Parquet { zstd } => parquet_file::encode(items, zstd).map_err(|error| error.to_string()),
        }
    }
}

/// Notifications have no line breaks of their own: they are written without white space, and texts escape them.
fn lines(items: &[Told]) -> Vec<u8> {
    let mut out = Vec::with_capacity(items.iter().map(|told| told.item.body.len() + 1).sum());
    for told in items {
        out.extend(told.item.body.iter().map(|b| if matches!(b, b'\n' | b'\r') { b' ' } else { *b }));
        out.push(b'\n');
    }
    out
}

impl ObsTarget {
    pub(crate) fn new(workshop: &Workshop, to: &ObsForwarding) -> Result<Self, String> {
        let settings = &workshop.forwarding;
        let own = to.endpoint.is_some();
        let (endpoint, in_path) = match &to.endpoint {
            Some(endpoint) if to.path_style == Some(false) => (with_bucket(endpoint, &to.bucket_name)?, false),
            Some(endpoint) => (endpoint.clone(), true),
            None => {
                let template = settings.obs_endpoint.replace("{region}", &to.region_name);
                (template.replace("{bucket}", &to.bucket_name), !template.contains("{bucket}"))
            }
        };
        let endpoint = endpoint.trim_end_matches('/');
        let host = Destination::parse(endpoint).ok_or("the endpoint is not an HTTP address")?.host;
        let (access, secret) = match (&to.access_key, &to.secret_key) {
            (Some(access), Some(secret)) => (access.as_str(), Secret::as_str(secret)),
            _ if own => return Err("an endpoint of one's own needs keys of one's own".to_owned()),
            _ => match (&settings.access_key, &settings.secret_key) {
                (Some(access), Some(secret)) => (access.as_str(), secret.as_str()),
                _ => return Err("the action has no keys, and forwarding.access_key is not set".to_owned()),
            },
        };
        // Where the operator's own key leads is the operator's business.
        let client = if own { &workshop.client } else { &workshop.trusted };
        let store = AmazonS3Builder::new()
            .with_endpoint(endpoint)
            .with_bucket_name(&to.bucket_name)
            .with_region(&to.region_name)
            .with_access_key_id(access)
            .with_secret_access_key(secret)
            .with_virtual_hosted_style_request(!in_path)
            // The worker tries again.
            .with_retry(RetryConfig { max_retries: 0, ..RetryConfig::default() })
            .with_client_options(ClientOptions::new().with_allow_http(true))
            .with_http_connector(Connector(client.clone()))
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self {
            store: Arc::new(store),
            host,
            names: Names::new(workshop.platform.clone()),
            folder: to.file_path.clone().unwrap_or_default(),
            format: Format::of(to),
            bytes: to.max_size.unwrap_or(8 << 20) as usize,
            linger: Duration::from_secs(u64::from(to.linger.unwrap_or(60))),
        })
    }

    /// Items by the folder that they belong into, each group in its order.
    async fn grouped(&self, items: &[Item]) -> BTreeMap<String, Vec<Told>> {
        let mut groups: BTreeMap<String, Vec<Told>> = BTreeMap::new();
        for item in items {
            // Bodies are shared and not copied.
            let told = Told { named: self.names.of(item).await, item: item.clone() };
            groups.entry(rendered(&self.folder, &told)).or_default().push(told);
        }
        groups
    }

    async fn put(&self, folder: &str, items: Vec<Told>) -> Result<(), Failure> {
        let Some(Told { item: first, .. }) = items.first() else { return Ok(()) };
        let path = Path::from(format!("{folder}/{}", object_name(first.at, first.seq, self.format)));
        let format = self.format;
        // Packing megabytes would hold up other connections.
        let encoded = tokio::task::spawn_blocking(move || format.encode(&items)).await;
        let encoded = encoded.map_err(|error| error.to_string()).and_then(|encoded| encoded);
        let encoded = encoded.map_err(|text| Failure { word: "encoding", text })?;
        let mut attributes = Attributes::new();
        attributes.insert(Attribute::ContentType, format.media_type().into());
        let options = PutOptions { attributes, ..PutOptions::default() };
        match self.store.put_opts(&path, Bytes::from(encoded).into(), options).await {
            Ok(_) => Ok(()),
            Err(error) => Err(self.trouble(&error)),
        }
    }

    fn trouble(&self, error: &object_store::Error) -> Failure {
        let text: String =
            error.to_string().split_whitespace().collect::<Vec<_>>().join(" ").chars().take(500).collect();
        let mut inner = String::new();
        let mut cause = std::error::Error::source(error);
        while let Some(found) = cause {
            if found.is::<NotPublic>() {
                return crate::web::means(crate::client::Outcome::NotPublic, &self.host);
            }
            inner = found.to_string();
            cause = found.source();
        }
        let word = match error {
            object_store::Error::PermissionDenied { .. }
            | object_store::Error::Unauthenticated { .. }
            | object_store::Error::NotFound { .. } => "refused",
            _ => "unreachable",
        };
        // What went wrong with the connection stands in the innermost cause only.
        let more = if text.contains(inner.trim()) || inner.len() > 200 { String::new() } else { format!(": {inner}") };
        Failure { word, text: format!("{} does not take objects: {text}{more}", self.host) }
    }
}

#[async_trait]
impl Target for ObsTarget {
    fn feeding(&self) -> Feeding {
        Feeding::Batches { rows: ROWS, bytes: self.bytes, linger: self.linger }
    }

    async fn send(&self, items: &[Item]) -> Sent {
        for (folder, group) in self.grouped(items).await {
            if let Err(failure) = self.put(&folder, group).await {
                return Sent { failure: Some(failure), ..Sent::default() };
            }
        }
        Sent::all(items)
    }
}

/// `https://store:9000` and `bucket`: `https://bucket.store:9000`.
fn with_bucket(endpoint: &str, bucket: &str) -> Result<String, String> {
    let (scheme, host) = endpoint.split_once("://").ok_or("the endpoint is not an HTTP address")?;
    Ok(format!("{scheme}://{bucket}.{host}"))
}

/// Sorts by time; the number tells apart what begins in one millisecond.
fn object_name(at: Timestamp, seq: i64, format: Format) -> String {
    format!("{}-{seq:020}.{}", at.millis().replace(['-', ':', '.'], ""), format.suffix())
}

fn rendered(template: &str, told: &Told) -> String {
    if !template.contains('{') {
        return template.to_owned();
    }
    let time = told.item.at.millis();
    let mut text = template.replace("{deviceId}", "{device_id}").replace("{appId}", "{app_id}");
    for (name, part) in [("YYYY", 0..4), ("yyyy", 0..4), ("MM", 5..7), ("DD", 8..10), ("dd", 8..10), ("HH", 11..13)] {
        text = text.replace(&format!("{{{name}}}"), &time[part]);
    }
    told.named.fill(&text, |c| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(seq: i64, at: &str, device: Option<&str>) -> Told {
        let named = Named { device_id: device.map(str::to_owned), app_id: Some("a1".to_owned()), ..Named::default() };
        let at = Timestamp::parse(at).expect("a time");
        Told { item: Item { seq, device: None, at, body: Bytes::from_static(b"{\"a\":\n1}") }, named }
    }

    #[test]
    fn folders_follow_their_template() {
        let at = told(1, "20260102T030405Z", Some("d/../1"));
        assert_eq!(rendered("plain/path", &at), "plain/path");
        assert_eq!(rendered("{YYYY}/{MM}/{DD}/{HH}/{appId}/{deviceId}", &at), "2026/01/02/03/a1/d____1");
        assert_eq!(rendered("{yyyy}{dd}/{device_id}", &told(1, "20260102T030405Z", None)), "202602/none");
    }

    #[test]
    fn objects_are_named_by_their_first_delivery() {
        let at = Timestamp::parse("2026-01-02T03:04:05.678Z").expect("a time");
        assert_eq!(
            object_name(at, 42, Format::Ndjson { gzip: true }),
            "20260102T030405678Z-00000000000000000042.ndjson.gz"
        );
    }

    #[test]
    fn lines_are_one_object_each() {
        let items = [told(1, "20260102T030405Z", None), told(2, "20260102T030405Z", None)];
        assert_eq!(lines(&items), b"{\"a\": 1}\n{\"a\": 1}\n");
    }
}
