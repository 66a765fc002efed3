//! The vendor's Data Ingestion Service.

use crate::Secret;
use crate::field::length;
use crate::obs::{endpoint, keys};

channel! {
    /// Puts each event as a record into a stream of the Data Ingestion Service.
    pub struct DisForwarding in "DIS_FORWARDING" "dis_forwarding" {
        /// Region of the stream.
        region_name: String,
        /// Project of the stream.
        project_id: String,
        /// Name of the stream; or `stream_id`.
        stream_name: Option<String>,
        /// Id of the stream; or `stream_name`.
        stream_id: Option<String>,
        /// Own addition: scheme, host and port of the service; without it the key `forwarding.dis_endpoint` says where.
        endpoint: Option<String>,
        /// Own addition: access key; without it and without `endpoint` that of the key `forwarding.access_key`.
        access_key: Option<String>,
        /// Own addition: secret key.
        secret_key: Option<Secret>,
    }
    check |c| {
        word("region_name", &c.region_name)?;
        word("project_id", &c.project_id)?;
        match (c.stream_name.as_deref().filter(|s| !s.is_empty()), c.stream_id.as_deref().filter(|s| !s.is_empty())) {
            (None, None) => return Err("'stream_name' or 'stream_id' is needed".to_owned()),
            (name, id) => {
                length("stream_name", name.unwrap_or("-"), 1, 64)?;
                length("stream_id", id.unwrap_or("-"), 1, 64)?;
            }
        }
        endpoint("endpoint", c.endpoint.as_deref())?;
        keys(c.access_key.as_deref(), c.secret_key.as_ref(), c.endpoint.is_some())
    }
}

/// Part of an address.
fn word(name: &str, text: &str) -> Result<(), String> {
    match text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
        true => length(name, text, 1, 64),
        false => Err(format!("'{name}' must be letters, digits, '-' and '_'")),
    }
}

#[cfg(test)]
mod tests {
    use crate::Channel;

    fn check(rest: &str, word: &str) {
        let text = format!(r#"{{"region_name":"cn-north-4","project_id":"p1"{rest}}}"#);
        let why = Channel::read("DIS_FORWARDING", &text).map_or_else(|e| e.to_string(), |_| "sound".to_owned());
        assert!(why.contains(word), "{text}: {why}");
    }

    #[test]
    fn refusals_name_the_field() {
        check(r#","stream_name":"s""#, "sound");
        check(r#","stream_id":"s","endpoint":"http://d:1","access_key":"a","secret_key":"b""#, "sound");
        check("", "'stream_name'");
        check(r#","stream_id":"s","endpoint":"http://d:1""#, "'access_key'");
        check(r#","stream_id":"s","secret_key":"b""#, "go together");
        check(r#","stream_id":"s","region_name":"a/b""#, "region_name");
    }
}
