//! HTTP push (002 §4.6.2).

use crate::Secret;
use crate::field::length;

channel! {
    /// Pushes each event to an application over HTTP(S); 200 means taken.
    pub struct HttpForwarding in "HTTP_FORWARDING" "http_forwarding" {
        /// `http://` or `https://` address.
        url: String,
        /// Server certificate (`/server-certificates`) that vouches for the host; without it the system's authorities do.
        cert_id: Option<String>,
        /// Name that the host's certificate must have, when it is not that of the address.
        cn_name: Option<String>,
        /// Whether the TLS handshake names the host (SNI).
        sni_enable: Option<bool>,
        /// Whether requests are signed with `token`: headers `timestamp`, `nonce` and `signature`.
        signature_enable: Option<bool>,
        /// What requests are signed with, 3 to 32 letters, digits, `_` and `-`.
        token: Option<Secret>,
    }
    check |c| {
        length("url", &c.url, 8, 1024)?;
        if !(c.url.starts_with("http://") || c.url.starts_with("https://")) {
            return Err("'url' must begin with http:// or https://".to_owned());
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
