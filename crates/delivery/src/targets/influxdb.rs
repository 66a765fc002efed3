//! `INFLUXDB_FORWARDING`: points by the line protocol, to `/write` of version 1 or `/api/v2/write` of version 2.
//!
//! A point's time is the event's, to the millisecond; the digits below tell apart events of one device and moment, and are
//! the same when a delivery is sent again. So nothing overwrites another event, and nothing is there twice.

use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use causeway_channels::InfluxdbForwarding;
use causeway_model::Timestamp;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};

use super::Workshop;
use super::table::{BYTES, Inserter, Refusal, insert_all};
use crate::client::{Destination, PushClient};
use crate::document::{Document, Found};
use crate::target::{Feeding, Item, Sent, Target};
use crate::web;

const ROWS: usize = 5000;
const LINGER: Duration = Duration::from_millis(200);

/// See the module text.
pub(crate) struct InfluxdbTarget {
    client: PushClient,
    to: Destination,
    headers: HeaderMap,
    config: InfluxdbForwarding,
}

impl InfluxdbTarget {
    pub(crate) fn new(workshop: &Workshop, config: &InfluxdbForwarding) -> Result<Self, String> {
        let (host, port) = config.address.host_and_port(8086)?;
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let scheme = if config.enable_ssl == Some(true) { "https" } else { "http" };
        let mut url = reqwest::Url::parse(&format!("{scheme}://{host}:{port}/")).map_err(|error| error.to_string())?;
        let credentials = match (&config.token, &config.org) {
            (Some(token), Some(org)) => {
                url.set_path("/api/v2/write");
                url.query_pairs_mut().append_pair("org", org).append_pair("bucket", &config.db_name);
                format!("Token {}", token.as_str())
            }
            _ => {
                url.set_path("/write");
                url.query_pairs_mut().append_pair("db", &config.db_name);
                format!("Basic {}", STANDARD.encode(format!("{}:{}", config.username, config.password.as_str())))
            }
        };
        url.query_pairs_mut().append_pair("precision", "ns");
        let mut credentials =
            HeaderValue::from_str(&credentials).map_err(|_| "the credentials cannot stand in a header".to_owned())?;
        credentials.set_sensitive(true);
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, credentials);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        let to = Destination::parse(url.as_str()).ok_or_else(|| "the address is not one of HTTP".to_owned())?;
        Ok(Self { client: workshop.client.clone(), to, headers, config: config.clone() })
    }

    /// One line, or why there is none.
    fn line(&self, item: &Item) -> Result<String, String> {
        let document = Document::parse(&item.body).ok_or("it is no JSON object")?;
        let mut line = String::with_capacity(128);
        escape(&mut line, &self.config.measurement, ", ");
        let (tags, fields): (Vec<_>, Vec<_>) = self
            .config
            .column_mappings
            .iter()
            .filter(|m| m.column_name != "time")
            .filter_map(|m| Some((m, document.find(&m.json_key)?)))
            .partition(|(m, _)| self.config.is_tag(m));
        for (mapping, found) in tags {
            let text = match &found {
                Found::Bool(yes) => yes.to_string(),
                Found::Number(text) | Found::Json(text) => (*text).to_owned(),
                Found::Text(text) => text.to_string(),
            };
            // A tag cannot be empty, and one that ends with a backslash would swallow what follows.
            let text = text.trim_end_matches('\\');
            if !text.is_empty() {
                line.push(',');
                escape(&mut line, &mapping.column_name, ",= ");
                line.push('=');
                escape(&mut line, text, ",= ");
            }
        }
        if fields.is_empty() {
            return Err("it has none of the values of the fields".to_owned());
        }
        for (place, (mapping, found)) in fields.iter().enumerate() {
            line.push(if place == 0 { ' ' } else { ',' });
            escape(&mut line, &mapping.column_name, ",= ");
            line.push('=');
            match found {
                Found::Bool(yes) => line.push_str(if *yes { "true" } else { "false" }),
                // Without a suffix: a float, so that 57 and 57.5 are of one type.
                Found::Number(text) => line.push_str(text),
                Found::Text(text) => quote(&mut line, text),
                Found::Json(text) => quote(&mut line, text),
            }
        }
        line.push(' ');
        line.push_str(&self.nanoseconds(&document, item).to_string());
        Ok(line)
    }

    fn nanoseconds(&self, document: &Document<'_>, item: &Item) -> i64 {
        let time = |found: Option<Found<'_>>| match found {
            Some(Found::Text(text)) => Timestamp::parse(&text),
            Some(Found::Number(text)) => text.parse().ok().map(Timestamp),
            _ => None,
        };
        let mapped = self.config.column_mappings.iter().find(|m| m.column_name == "time");
        if let Some(at) = mapped.and_then(|m| time(document.find(&m.json_key))) {
            return at.0.saturating_mul(1_000_000);
        }
        let at = time(document.find("event_time_ms")).or_else(|| time(document.find("event_time"))).unwrap_or(item.at);
        at.0.saturating_mul(1_000_000).saturating_add(item.seq.rem_euclid(1_000_000))
    }
}

/// With a backslash before each of `special`; a line break would end the point.
fn escape(line: &mut String, text: &str, special: &str) {
    for c in text.chars() {
        match c {
            '\n' | '\r' | '\t' => line.push_str("\\ "),
            c if special.contains(c) => {
                line.push('\\');
                line.push(c);
            }
            c => line.push(c),
        }
    }
}

/// A text field.
fn quote(line: &mut String, text: &str) {
    line.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            line.push('\\');
        }
        line.push(c);
    }
    line.push('"');
}

#[async_trait]
impl Target for InfluxdbTarget {
    fn feeding(&self) -> Feeding {
        Feeding::Batches { rows: ROWS, bytes: BYTES, linger: LINGER }
    }

    async fn send(&self, items: &[Item]) -> Sent {
        let mut lines = Vec::with_capacity(items.len());
        // Where each line stands among the items.
        let mut places = Vec::with_capacity(items.len());
        let mut without = Vec::new();
        for (place, item) in items.iter().enumerate() {
            match self.line(item) {
                Ok(line) => {
                    lines.push(line);
                    places.push(place);
                }
                Err(why) => without.push((place, why)),
            }
        }
        let sent = insert_all(&mut Writing(self), &lines).await;
        let done = places.get(sent.done).copied().unwrap_or(items.len());
        let mut rejected: Vec<(usize, String)> =
            sent.rejected.into_iter().map(|(line, why)| (places[line], why)).collect();
        rejected.extend(without.into_iter().filter(|(place, _)| *place < done));
        Sent { done, rejected, failure: sent.failure }
    }
}

struct Writing<'t>(&'t InfluxdbTarget);

#[async_trait]
impl Inserter<String> for Writing<'_> {
    async fn insert(&mut self, lines: &[String]) -> Result<(), Refusal> {
        let target = self.0;
        if lines.is_empty() {
            return Ok(());
        }
        let body = Bytes::from(lines.join("\n"));
        match web::post(&target.client, &target.to, target.headers.clone(), body).await {
            Ok(answer) if answer.is_success() => Ok(()),
            // Points that it does not read or whose type does not fit. The others are written, and again when they are
            // sent again.
            Ok(answer) if matches!(answer.status, 400 | 413 | 422) => {
                Err(Refusal::Data(answer.refused(&target.to.host).text))
            }
            Ok(answer) => Err(Refusal::Trouble(answer.refused(&target.to.host))),
            Err(failure) => Err(Refusal::Trouble(failure)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use causeway_channels::Channel;
    use causeway_platform::settings::PushSettings;

    use super::*;
    use crate::settings::ForwardingSettings;

    fn target(mappings: &str) -> InfluxdbTarget {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let text = format!(
            r#"{{"address":{{"ip":"192.0.2.1"}},"db_name":"d b","username":"u","password":"p","measurement":"m, x",
                "column_mappings":[{mappings}]}}"#
        );
        let workshop =
            Workshop::new(&PushSettings::default(), ForwardingSettings::default(), Path::new("/nowhere"), None);
        let Ok(Channel::Influxdb(config)) = Channel::read("INFLUXDB_FORWARDING", &text) else { panic!("sound") };
        InfluxdbTarget::new(&workshop, &config).expect("made")
    }

    fn check(mappings: &str, body: &str, expected: Result<&str, &str>) {
        let item = Item { seq: 1_000_007, device: None, at: Timestamp(5), body: body.to_owned().into() };
        let line = target(mappings).line(&item);
        assert_eq!(line.as_deref().map_err(String::as_str), expected);
    }

    #[test]
    fn lines_are_escaped() {
        let mappings = r#"{"column_name":"device","json_key":"notify_data.header.device_id"},
            {"column_name":"t e","json_key":"t"},{"column_name":"s","json_key":"s"},{"column_name":"ok","json_key":"ok"}"#;
        check(
            mappings,
            r#"{"event_time_ms":"1970-01-01T00:00:01.000Z","notify_data":{"header":{"device_id":"a b,c=d\\"}},
                "t":23.10,"s":"a\"b\\c\nd","ok":true}"#,
            Ok("m\\,\\ x,device=a\\ b\\,c\\=d t\\ e=23.10,s=\"a\\\"b\\\\c\nd\",ok=true 1000000007"),
        );
        check(mappings, r#"{"s":{"x":[1]}}"#, Ok(r#"m\,\ x s="{\"x\":[1]}" 5000007"#));
        check(mappings, "{}", Err("it has none of the values of the fields"));
        check(mappings, "[]", Err("it is no JSON object"));
    }

    #[test]
    fn a_column_time_is_the_time() {
        let mappings = r#"{"column_name":"v","json_key":"v"},{"column_name":"time","json_key":"at"}"#;
        check(mappings, r#"{"v":1,"at":"19700101T000002Z"}"#, Ok(r"m\,\ x v=1 2000000000"));
        check(mappings, r#"{"v":1,"at":3}"#, Ok(r"m\,\ x v=1 3000000"));
        check(mappings, r#"{"v":1,"event_time":"19700101T000002Z"}"#, Ok(r"m\,\ x v=1 2000000007"));
    }

    #[test]
    fn the_address_has_no_credentials() {
        let target = target(r#"{"column_name":"v","json_key":"v"}"#);
        assert_eq!(target.to.url().as_str(), "http://192.0.2.1:8086/write?db=d+b&precision=ns");
        assert!(target.headers[AUTHORIZATION].is_sensitive());
    }
}
