//! AK/SK request signature `SDK-HMAC-SHA256` (fact sheet `iotda-v5-api.md` §1.3), the side of the caller.

use hmac::{Hmac, Mac};
use percent_encoding::percent_decode_str;
use sha2::{Digest, Sha256};

/// Hex of HMAC-SHA256.
///
/// # Panics
/// Never.
#[must_use]
pub fn hmac_sha256_hex(key: &[u8], message: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(message);
    hex::encode(mac.finalize().into_bytes())
}

/// The parts of a request that the signature covers.
#[derive(Clone, Copy, Debug)]
pub struct SignedRequest<'a> {
    /// Upper-case method.
    pub method: &'a str,
    /// Raw path, without the query.
    pub path: &'a str,
    /// Raw query without `?`; empty when there is none.
    pub query: &'a str,
    /// Headers to sign: lower-case names in ascending order, `x-sdk-date` among them.
    pub headers: &'a [(&'a str, &'a str)],
    /// Whole body; empty when there is none.
    pub body: &'a [u8],
}

impl SignedRequest<'_> {
    /// The value of the `Authorization` header. `date` is the value of `x-sdk-date` (`yyyyMMdd'T'HHmmss'Z'`).
    #[must_use]
    pub fn authorization(&self, ak: &str, sk: &str, date: &str) -> String {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| *name).collect();
        let signed_headers = names.join(";");
        let header_lines: String =
            self.headers.iter().map(|(name, value)| format!("{name}:{}\n", value.trim())).collect();
        let canonical = format!(
            "{}\n{}\n{}\n{header_lines}\n{signed_headers}\n{}",
            self.method,
            canonical_path(self.path),
            canonical_query(self.query),
            hex::encode(Sha256::digest(self.body)),
        );
        let to_sign = format!("SDK-HMAC-SHA256\n{date}\n{}", hex::encode(Sha256::digest(canonical.as_bytes())));
        let signature = hmac_sha256_hex(sk.as_bytes(), to_sign.as_bytes());
        format!("SDK-HMAC-SHA256 Access={ak}, SignedHeaders={signed_headers}, Signature={signature}")
    }
}

/// Percent-encodes everything but the unreserved characters of RFC 3986 §2.3.
pub fn encode_component(text: &[u8], out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in text {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
}

fn canonical_path(raw: &str) -> String {
    let decoded: Vec<u8> = percent_decode_str(raw).collect();
    let mut out = String::with_capacity(raw.len() + 1);
    for (index, segment) in decoded.split(|b| *b == b'/').enumerate() {
        if index > 0 {
            out.push('/');
        }
        encode_component(segment, &mut out);
    }
    if !out.ends_with('/') {
        out.push('/');
    }
    out
}

fn canonical_query(raw: &str) -> String {
    let mut pairs: Vec<(Vec<u8>, Vec<u8>)> = raw
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (percent_decode_str(key).collect(), percent_decode_str(value).collect())
        })
        .collect();
    pairs.sort();
    let mut out = String::with_capacity(raw.len());
    for (index, (key, value)) in pairs.iter().enumerate() {
        if index > 0 {
            out.push('&');
        }
        encode_component(key, &mut out);
        out.push('=');
        encode_component(value, &mut out);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Vector of `iotda-v5-api.md` §1.3, computed with the vendor's SDK.
    #[test]
    fn signature_of_the_fact_sheet() {
        let body = br#"{"resource_type": "device"}"#;
        assert_eq!(
            hex::encode(Sha256::digest(body)),
            "45891d081f2f40aec66b496ee6decd464c3f0cf50cbdbf166e03dff9f4d358d4"
        );
        let request = SignedRequest {
            method: "POST",
            path: "/v5/iot/p1/tags/query-resources",
            query: "offset=0&limit=5",
            headers: &[
                ("content-type", "application/json"),
                ("host", "127.0.0.1:8080"),
                ("user-agent", "ua/1"),
                ("x-project-id", "p1"),
                ("x-sdk-date", "20260102T030405Z"),
            ],
            body,
        };
        assert_eq!(
            request.authorization("AKEXAMPLE", "SKEXAMPLE", "20260102T030405Z"),
            "SDK-HMAC-SHA256 Access=AKEXAMPLE, SignedHeaders=content-type;host;user-agent;x-project-id;x-sdk-date, \
             Signature=18c6dc4aabd50a9db4074bbb32b14591d7cf45ff1ea1834e366d78ab10c03f32"
        );
    }

    #[test]
    fn paths_and_queries_are_decoded_then_encoded_once() {
        assert_eq!(canonical_path("/a%2fb/c d/"), "/a/b/c%20d/");
        assert_eq!(canonical_path("/v5/%E7%94%B5"), "/v5/%E7%94%B5/");
        assert_eq!(canonical_query("b=2&a=%7E&a=1&c"), "a=1&a=~&b=2&c=");
        assert_eq!(canonical_query(""), "");
    }

    /// Vector of `iotda-device-access.md` §2: the device password is HMAC-SHA256(key = hour, message = secret).
    #[test]
    fn device_password_of_the_fact_sheet() {
        assert_eq!(
            hmac_sha256_hex(b"2025041401", b"12345678"),
            "c75150e6cb841417396819e4d2ee4358a416344a03a083e3a8567074ddec820a"
        );
    }
}
