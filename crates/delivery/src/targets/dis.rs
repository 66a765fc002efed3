//! `DIS_FORWARDING`: records of the vendor's Data Ingestion Service, by its REST interface with signed requests
//! (`iotda-v5-api.md` §1.3 for the signature).

use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use causeway_channels::{DisForwarding, Secret};
use causeway_model::Timestamp;
use causeway_wire::signature::SignedRequest;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::json;

use super::Workshop;
use crate::client::{Destination, PushClient};
use crate::names::Names;
use crate::target::{Failure, Feeding, Item, Sent, Target};
use crate::web;

/// Records of one request at most, and bytes of them, far below what the service takes.
const ROWS: usize = 500;
const BYTES: usize = 1 << 20;
const LINGER: Duration = Duration::from_millis(200);
const MEDIA_TYPE: &str = "application/json";

/// See the module text.
pub(crate) struct DisTarget {
    client: PushClient,
    names: Names,
    to: Destination,
    /// As it is signed: without the port that the scheme means anyway.
    host: String,
    project: String,
    stream: (&'static str, String),
    access: String,
    secret: Secret,
}

impl DisTarget {
    pub(crate) fn new(workshop: &Workshop, config: &DisForwarding) -> Result<Self, String> {
        let settings = &workshop.forwarding;
        let endpoint = match &config.endpoint {
            Some(endpoint) => endpoint.clone(),
            None => settings.dis_endpoint.replace("{region}", &config.region_name),
        };
        let project = config.project_id.clone();
        let to = Destination::parse(&format!("{}/v2/{project}/records", endpoint.trim_end_matches('/')))
            .ok_or_else(|| "the endpoint is not an HTTP address".to_owned())?;
        let host = match (to.url().host_str(), to.url().port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (host, _) => host.unwrap_or_default().to_owned(),
        };
        let (access, secret) = match (&config.access_key, &config.secret_key, &config.endpoint) {
            (Some(access), Some(secret), _) => (access.clone(), secret.clone()),
            (_, _, Some(_)) => return Err("an endpoint of one's own needs keys of one's own".to_owned()),
            _ => match (&settings.access_key, &settings.secret_key) {
                (Some(access), Some(secret)) => (access.clone(), Secret::from(secret.clone())),
                _ => return Err("the action has no keys, and forwarding.access_key is not set".to_owned()),
            },
        };
        let stream = match (&config.stream_name, &config.stream_id) {
            (Some(name), _) if !name.is_empty() => ("stream_name", name.clone()),
            (_, id) => ("stream_id", id.clone().unwrap_or_default()),
        };
        let client = if config.endpoint.is_some() { &workshop.client } else { &workshop.trusted };
        Ok(Self {
            client: client.clone(),
            names: Names::new(workshop.platform.clone()),
            to,
            host,
            project,
            stream,
            access,
            secret,
        })
    }

    async fn body(&self, items: &[Item]) -> String {
        let mut records = Vec::with_capacity(items.len());
        for item in items {
            // Records of one key stay in their order.
            let key = self.names.of(item).await.device_id.unwrap_or_else(|| item.seq.to_string());
            records.push(json!({"data": STANDARD.encode(&item.body), "partition_key": key}));
        }
        json!({self.stream.0: self.stream.1, "records": records}).to_string()
    }

    /// The headers of a signed request.
    fn headers(&self, body: &[u8], now: Timestamp) -> Result<HeaderMap, Failure> {
        let date = now.compact();
        let signed = SignedRequest {
            method: "POST",
            path: self.to.url().path(),
            query: "",
            headers: &[
                ("content-type", MEDIA_TYPE),
                ("host", &self.host),
                ("x-project-id", &self.project),
                ("x-sdk-date", &date),
            ],
            body,
        };
        let authorization = signed.authorization(&self.access, self.secret.as_str(), &date);
        let pairs = [
            (CONTENT_TYPE, MEDIA_TYPE),
            (HOST, &self.host),
            (HeaderName::from_static("x-project-id"), &self.project),
            (HeaderName::from_static("x-sdk-date"), &date),
            (AUTHORIZATION, &authorization),
        ];
        let mut headers = HeaderMap::new();
        for (name, text) in pairs {
            let mut value = HeaderValue::from_str(text)
                .map_err(|_| Failure { word: "encoding", text: "the keys cannot stand in a header".to_owned() })?;
            value.set_sensitive(name == AUTHORIZATION);
            headers.insert(name, value);
        }
        Ok(headers)
    }
}

/// The answer: a result for each record, in order.
#[derive(Deserialize)]
struct Put {
    #[serde(default)]
    failed_record_count: u64,
    #[serde(default)]
    records: Vec<RecordResult>,
}

#[derive(Deserialize)]
struct RecordResult {
    #[serde(default)]
    error_code: Option<String>,
    #[serde(default)]
    error_message: Option<String>,
}

fn judged(items: usize, put: &Put, host: &str) -> Sent {
    let failed = |r: &RecordResult| r.error_code.as_deref().is_some_and(|code| !code.is_empty());
    match put.records.iter().position(failed) {
        None if put.failed_record_count == 0 => Sent { done: items, ..Sent::default() },
        first => {
            // What stands behind the first failure is sent again, so that the order of a device remains.
            let done = first.unwrap_or(0).min(items);
            let why =
                put.records.get(done).map_or((None, None), |r| (r.error_code.as_deref(), r.error_message.as_deref()));
            let text = format!("{host} refuses a record: {} {}", why.0.unwrap_or_default(), why.1.unwrap_or_default());
            Sent { done, failure: Some(Failure { word: "refused", text }), ..Sent::default() }
        }
    }
}

#[async_trait]
impl Target for DisTarget {
    fn feeding(&self) -> Feeding {
        Feeding::Batches { rows: ROWS, bytes: BYTES, linger: LINGER }
    }

    async fn send(&self, items: &[Item]) -> Sent {
        let body = self.body(items).await;
        // The service compares it with its own time, not with that of a platform whose clock was moved.
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let now = Timestamp(i64::try_from(now.as_millis()).unwrap_or(i64::MAX));
        let headers = match self.headers(body.as_bytes(), now) {
            Ok(headers) => headers,
            Err(failure) => return Sent { failure: Some(failure), ..Sent::default() },
        };
        match web::post(&self.client, &self.to, headers, Bytes::from(body)).await {
            Ok(answer) if answer.is_success() => match serde_json::from_str::<Put>(&answer.text) {
                Ok(put) => judged(items.len(), &put, &self.to.host),
                Err(_) => Sent::failed("refused", format!("{} did not answer as DIS does", self.to.host)),
            },
            Ok(answer) => Sent { failure: Some(answer.refused(&self.to.host)), ..Sent::default() },
            Err(failure) => Sent { failure: Some(failure), ..Sent::default() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_records_before_the_first_failure_are_done() {
        let check = |text: &str, done: usize, fails: bool| {
            let sent = judged(3, &serde_json::from_str(text).expect(text), "h:1");
            assert_eq!((sent.done, sent.failure.is_some()), (done, fails), "{text}");
        };
        check(r#"{"failed_record_count":0,"records":[{"partition_id":"s","sequence_number":"1"},{},{}]}"#, 3, false);
        check(
            r#"{"failed_record_count":1,"records":[{},{"error_code":"DIS.4303","error_message":"busy"},{}]}"#,
            1,
            true,
        );
        check(r#"{"failed_record_count":3}"#, 0, true);
    }
}
