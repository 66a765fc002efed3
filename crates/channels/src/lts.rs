//! Log services: the word is the vendor's for its own (002 §6.5), the interface is OpenTelemetry's.

use crate::Secret;
use crate::field::length;
use crate::obs::endpoint;

channel! {
    /// Sends each event as a log record to a log service that speaks OTLP over HTTP.
    pub struct LtsForwarding in "LTS_FORWARDING" "lts_forwarding" {
        /// Address that takes logs, with its path: `https://collector:4318/v1/logs`.
        endpoint: String,
        /// Value of the header `Authorization`.
        authorization: Option<Secret>,
        /// Attribute `service.name` of the records; `causeway` without it.
        service_name: Option<String>,
        /// Region of the vendor's service: attribute `region`.
        region_name: Option<String>,
        /// Log group of the vendor's service: attribute `log_group_id`.
        log_group_id: Option<String>,
        /// Log stream of the vendor's service: attribute `log_stream_id`.
        log_stream_id: Option<String>,
    }
    check |c| {
        endpoint("endpoint", Some(&c.endpoint))?;
        if let Some(header) = &c.authorization {
            length("authorization", header.as_str(), 1, 2048)?;
            if !header.as_str().is_ascii() {
                return Err("'authorization' must be ASCII".to_owned());
            }
        }
        let texts = [
            ("service_name", &c.service_name),
            ("region_name", &c.region_name),
            ("log_group_id", &c.log_group_id),
            ("log_stream_id", &c.log_stream_id),
        ];
        texts.iter().try_for_each(|(name, text)| length(name, text.as_deref().unwrap_or_default(), 0, 256))
    }
}

#[cfg(test)]
mod tests {
    use crate::Channel;

    #[test]
    fn refusals_name_the_field() {
        let why = |text: &str| Channel::read("LTS_FORWARDING", text).expect_err(text).to_string();
        assert!(why("{}").contains("endpoint"));
        assert!(why(r#"{"endpoint":"collector:4318"}"#).contains("'endpoint'"));
        assert!(why(r#"{"endpoint":"http://user@collector"}"#).contains("'endpoint'"));
        assert!(why(r#"{"endpoint":"http://c/v1/logs","authorization":"a\nb"}"#).contains("'authorization'"));
        assert!(Channel::read("LTS_FORWARDING", r#"{"endpoint":"http://c:4318/v1/logs"}"#).is_ok());
    }
}
