//! HTTP push (002 §4.6.2).

use crate::Secret;
use crate::field::{is_host_name, length};

channel! {
    /// Pushes each event to an application over HTTP(S); 200 means taken.
    pub struct HttpForwarding in "HTTP_FORWARDING" "http_forwarding" {
        /// `http://` or `https://` address.
        url: String,
        /// Certificate that vouches for the host: a CA certificate (`/certificates`) or a server certificate
        /// (`/server-certificates`); without it the system's authorities do.
        cert_id: Option<String>,
        /// Name that the host's certificate must have, when it is not that of the address; a port behind it is passed over.
        cn_name: Option<String>,
        /// With true the TLS handshake names the host (SNI) as `cn_name`, if that is there; with false it names no host.
        /// Without this field it names the host of the address.
        sni_enable: Option<bool>,
        /// Whether requests are signed with `token`: headers `timestamp` (ms since 1970), `nonce` and `signature`, which is
        /// the lower-case hex SHA-256 of token, timestamp and nonce, sorted as texts and put together.
        signature_enable: Option<bool>,
        /// What requests are signed with, 3 to 32 letters, digits, `_` and `-`.
        token: Option<Secret>,
    }
    check |c| {
        length("url", &c.url, 8, 1024)?;
        if !(c.url.starts_with("http://") || c.url.starts_with("https://")) {
            return Err("'url' must begin with http:// or https://".to_owned());
        }
        if let Some(id) = &c.cert_id {
            length("cert_id", id, 1, 64)?;
        }
        if let Some(name) = &c.cn_name {
            let host = name.rsplit_once(':').map_or(name.as_str(), |(host, _)| host);
            if !is_host_name(host) || host.parse::<std::net::IpAddr>().is_ok() {
                return Err("'cn_name' must be the name of a host".to_owned());
            }
        }
        if c.signature_enable == Some(true) && c.token.is_none() {
            return Err("'token' is needed when 'signature_enable' is true".to_owned());
        }
        if let Some(token) = &c.token {
            let token = token.as_str();
            let sound = token.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
            if !sound || !(3..=32).contains(&token.len()) {
                return Err("'token' must be 3 to 32 letters, digits, '_' and '-'".to_owned());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::Channel;

    #[test]
    fn refusals() {
        let why = |text| Channel::read("HTTP_FORWARDING", text).expect_err("refused").to_string();
        assert!(why(r#"{"url":"https://a","cn_name":"10.0.0.1"}"#).contains("'cn_name'"));
        assert!(why(r#"{"url":"https://a","signature_enable":true}"#).contains("'token'"));
        assert!(why(r#"{"url":"https://a","token":"a b"}"#).contains("'token'"));
        assert!(
            Channel::read("HTTP_FORWARDING", r#"{"url":"https://a","cn_name":"b.c:8443","sni_enable":true}"#).is_ok()
        );
    }
}
