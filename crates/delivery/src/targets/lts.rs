//! `LTS_FORWARDING`: log records by OTLP 1.x over HTTP, in its JSON form (OpenTelemetry protocol, "OTLP/HTTP Request").

use std::time::Duration;

use async_trait::async_trait;
use causeway_channels::LtsForwarding;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Workshop;
use super::table::{BYTES, Inserter, Refusal, insert_all};
use crate::client::{Destination, PushClient};
use crate::document::{Document, Found};
use crate::names::{Named, Names};
use crate::target::{Feeding, Item, Sent, Target};
use crate::web;

const ROWS: usize = 500;
const LINGER: Duration = Duration::from_millis(200);
/// `SEVERITY_NUMBER_INFO`.
const INFO: u32 = 9;

/// See the module text.
pub(crate) struct LtsTarget {
    client: PushClient,
    names: Names,
    to: Destination,
    headers: HeaderMap,
    /// Attributes of the resource.
    resource: Vec<Value>,
}

impl LtsTarget {
    pub(crate) fn new(workshop: &Workshop, config: &LtsForwarding) -> Result<Self, String> {
        let to =
            Destination::parse(&config.endpoint).ok_or_else(|| "the endpoint is not an HTTP address".to_owned())?;
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(text) = &config.authorization {
            let mut value =
                HeaderValue::from_str(text.as_str()).map_err(|_| "the header cannot be written".to_owned())?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let service = config.service_name.as_deref().unwrap_or("causeway");
        let mut resource = vec![attribute("service.name", service)];
        let optional = [
            ("region", &config.region_name),
            ("log_group_id", &config.log_group_id),
            ("log_stream_id", &config.log_stream_id),
        ];
        resource.extend(optional.iter().filter_map(|(name, text)| text.as_deref().map(|text| attribute(name, text))));
        Ok(Self {
            client: workshop.client.clone(),
            names: Names::new(workshop.platform.clone()),
            to,
            headers,
            resource,
        })
    }

    fn body(&self, records: &[Value]) -> Value {
        json!({"resourceLogs": [{
            "resource": {"attributes": self.resource},
            "scopeLogs": [{"scope": {"name": "causeway", "version": env!("CARGO_PKG_VERSION")}, "logRecords": records}],
        }]})
    }
}

fn attribute(name: &str, text: &str) -> Value {
    json!({"key": name, "value": {"stringValue": text}})
}

fn record(item: &Item, named: &Named) -> Value {
    let text = String::from_utf8_lossy(&item.body);
    let mut attributes = vec![json!({"key": "seq", "value": {"intValue": item.seq.to_string()}})];
    if let Some(document) = Document::parse(&item.body) {
        for name in ["resource", "event", "request_id"] {
            if let Some(Found::Text(text)) = document.find(name) {
                attributes.push(attribute(name, &text));
            }
        }
    }
    let ids = [("app_id", &named.app_id), ("device_id", &named.device_id), ("product_id", &named.product_id)];
    attributes.extend(ids.iter().filter_map(|(name, id)| id.as_deref().map(|id| attribute(name, id))));
    let time = item.at.0.saturating_mul(1_000_000).max(0).to_string();
    json!({
        "timeUnixNano": time,
        "observedTimeUnixNano": time,
        "severityNumber": INFO,
        "severityText": "INFO",
        "body": {"stringValue": text},
        "attributes": attributes,
    })
}

#[async_trait]
impl Target for LtsTarget {
    fn feeding(&self) -> Feeding {
        Feeding::Batches { rows: ROWS, bytes: BYTES, linger: LINGER }
    }

    async fn send(&self, items: &[Item]) -> Sent {
        let mut records = Vec::with_capacity(items.len());
        for item in items {
            records.push(record(item, &self.names.of(item).await));
        }
        let mut export = Export { target: self, rejected: Vec::new(), before: 0 };
        let mut sent = insert_all(&mut export, &records).await;
        sent.rejected.append(&mut export.rejected);
        sent
    }
}

struct Export<'t> {
    target: &'t LtsTarget,
    /// What the service took note of but did not keep.
    rejected: Vec<(usize, String)>,
    /// Records sent so far.
    before: usize,
}

/// `ExportLogsServiceResponse`.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Exported {
    partial_success: Partial,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Partial {
    /// A 64-bit number: JSON of protobuf may write it as text.
    rejected_log_records: Value,
    error_message: String,
}

impl Partial {
    fn rejected(&self) -> usize {
        let number = self.rejected_log_records.as_u64();
        let text = self.rejected_log_records.as_str().and_then(|text| text.parse().ok());
        number.or(text).and_then(|n| usize::try_from(n).ok()).unwrap_or(0)
    }
}

#[async_trait]
impl Inserter<Value> for Export<'_> {
    async fn insert(&mut self, records: &[Value]) -> Result<(), Refusal> {
        let target = self.target;
        let body = target.body(records).to_string().into();
        let answer = web::post(&target.client, &target.to, target.headers.clone(), body).await;
        let refused = match answer {
            Ok(answer) if answer.is_success() => {
                let partial = serde_json::from_str::<Exported>(&answer.text).unwrap_or_default().partial_success;
                // Which ones is not said, and sending again is forbidden; the last are counted.
                let count = partial.rejected().min(records.len());
                let end = self.before + records.len();
                self.rejected.extend((end - count..end).map(|place| (place, partial.error_message.clone())));
                self.before = end;
                return Ok(());
            }
            Ok(answer) => answer,
            Err(failure) => return Err(Refusal::Trouble(failure)),
        };
        match refused.status {
            400 | 413 => {
                // `insert_all` comes to the next record when this is one alone.
                self.before += usize::from(records.len() == 1);
                Err(Refusal::Data(refused.refused(&target.to.host).text))
            }
            _ => Err(Refusal::Trouble(refused.refused(&target.to.host))),
        }
    }
}

#[cfg(test)]
mod tests {
    use causeway_model::Timestamp;

    use super::*;

    #[test]
    fn a_record_has_the_event_and_its_names() {
        let body =
            r#"{"resource":"runlog","event":"report","notify_data":{"header":{"device_id":"d1"},"body":{"x":1}}}"#;
        let named = Named { device_id: Some("d1".to_owned()), ..Named::default() };
        let record = record(&Item { seq: 7, device: None, at: Timestamp(1_500), body: body.into() }, &named);
        assert_eq!(record["timeUnixNano"], "1500000000");
        assert_eq!(record["body"]["stringValue"], body);
        let attributes = record["attributes"].as_array().expect("a list");
        assert!(attributes.contains(&attribute("device_id", "d1")));
        assert!(attributes.contains(&attribute("resource", "runlog")));
    }

    #[test]
    fn partial_success_is_read_in_both_forms() {
        let check = |text: &str, expected: usize| {
            let read: Exported = serde_json::from_str(text).expect(text);
            assert_eq!(read.partial_success.rejected(), expected);
        };
        check("{}", 0);
        check(r#"{"partialSuccess":{}}"#, 0);
        check(r#"{"partialSuccess":{"rejectedLogRecords":"3","errorMessage":"x"}}"#, 3);
        check(r#"{"partialSuccess":{"rejectedLogRecords":4}}"#, 4);
    }
}
