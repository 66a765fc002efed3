//! AK/SK signatures, both schemes (`iotda-v5-api.md` §1.3).

use std::fmt::Write as _;

use axum::http::HeaderMap;
use axum::http::request::Parts;
use causeway_model::settings::Span;
use causeway_model::{Error, Result, Timestamp};
use hmac::{Hmac, Mac as _};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::refused;

const DATE_HEADER: &str = "x-sdk-date";
const CONTENT_HASH_HEADER: &str = "x-sdk-content-sha256";
const UNSIGNED_PAYLOAD: &str = "UNSIGNED-PAYLOAD";

/// Everything but the unreserved characters `A-Za-z0-9-_.~`.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// The schemes understood.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Scheme {
    /// `SDK-HMAC-SHA256`: the secret key signs.
    Plain,
    /// `V11-HMAC-SHA256`: a key derived from it for a day, region and service signs; `info` is
    /// `yyyyMMdd/region/service`. Any region and service is taken: the signature covers both.
    Derived { info: String },
}

impl Scheme {
    const PLAIN: &str = "SDK-HMAC-SHA256";
    const DERIVED: &str = "V11-HMAC-SHA256";
}

/// A parsed `Authorization` header.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Signature {
    scheme: Scheme,
    access_key: String,
    /// As listed: lower case, separated by `;`.
    signed_headers: String,
    mac: [u8; 32],
}

fn malformed() -> Error {
    refused(
        "The request is unauthorized. 'Authorization' must be 'SDK-HMAC-SHA256 Access=…, SignedHeaders=…, Signature=…' or \
         'V11-HMAC-SHA256 Credential=<ak>/<yyyyMMdd>/<region>/<service>, SignedHeaders=…, Signature=…'.",
    )
}

fn mac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

impl Signature {
    /// Reads the header; `None` for an empty one.
    ///
    /// # Errors
    /// [`Code::Unauthenticated`](causeway_model::Code::Unauthenticated) for another scheme or a malformed value.
    pub(super) fn parse(header: &str) -> Result<Option<Self>> {
        let header = header.trim();
        if header.is_empty() {
            return Ok(None);
        }
        let (scheme, fields) = header.split_once(' ').ok_or_else(malformed)?;
        let (mut credential, mut signed_headers, mut signature) = (None, None, None);
        let credential_name = match scheme {
            Scheme::PLAIN => "Access",
            Scheme::DERIVED => "Credential",
            _ => return Err(malformed()),
        };
        for field in fields.split(',') {
            let (name, value) = field.trim().split_once('=').ok_or_else(malformed)?;
            let place = match name {
                n if n == credential_name => &mut credential,
                "SignedHeaders" => &mut signed_headers,
                "Signature" => &mut signature,
                _ => continue,
            };
            if place.replace(value).is_some() {
                return Err(malformed());
            }
        }
        let credential = credential.filter(|c| !c.is_empty()).ok_or_else(malformed)?;
        let signed_headers = signed_headers.filter(|h| !h.is_empty()).ok_or_else(malformed)?;
        let mut mac = [0; 32];
        hex::decode_to_slice(signature.unwrap_or_default(), &mut mac).map_err(|_| malformed())?;
        let (scheme, access_key) = if scheme == Scheme::PLAIN {
            (Scheme::Plain, credential)
        } else {
            let (access_key, info) = credential.split_once('/').ok_or_else(malformed)?;
            if info.split('/').count() != 3 {
                return Err(malformed());
            }
            (Scheme::Derived { info: info.to_owned() }, access_key)
        };
        let (access_key, signed_headers) = (access_key.to_owned(), signed_headers.to_owned());
        Ok(Some(Self { scheme, access_key, signed_headers, mac }))
    }

    /// Who says to have signed.
    pub(super) fn access_key(&self) -> &str {
        &self.access_key
    }

    fn signs(&self, name: &str) -> bool {
        self.signed_headers.split(';').any(|n| n == name)
    }

    /// Checks the date of the request against the platform's time.
    ///
    /// # Errors
    /// [`Code::Unauthenticated`](causeway_model::Code::Unauthenticated).
    pub(super) fn check_date(&self, headers: &HeaderMap, now: Timestamp, tolerance: Span) -> Result<()> {
        let text = date_of(headers)?;
        let date = (text.len() == 16).then(|| Timestamp::parse(text)).flatten();
        let Some(date) = date else {
            return Err(refused("The request is unauthorized. 'X-Sdk-Date' must be a time like 20151212T121212Z."));
        };
        if date.0.abs_diff(now.0) > tolerance.as_millis().unsigned_abs() {
            return Err(refused(&format!(
                "The request is unauthorized. 'X-Sdk-Date' is too far from the platform's time, {}. Set the clock.",
                now.compact()
            )));
        }
        if let Scheme::Derived { info } = &self.scheme
            && !info.starts_with(&text[..8])
        {
            return Err(refused(
                "The request is unauthorized. The date of the credential is not the one of 'X-Sdk-Date'.",
            ));
        }
        Ok(())
    }

    /// Checks the signature over the request as it was received.
    ///
    /// # Errors
    /// [`Code::Unauthenticated`](causeway_model::Code::Unauthenticated).
    pub(super) fn verify(&self, head: &Parts, body: &[u8], secret_key: &[u8]) -> Result<()> {
        let canonical = self.canonical_request(head, body)?;
        let digest = hex::encode(Sha256::digest(&canonical));
        let date = date_of(&head.headers)?;
        let expected = match &self.scheme {
            Scheme::Plain => mac(secret_key, &[format!("{}\n{date}\n{digest}", Scheme::PLAIN).as_bytes()]),
            Scheme::Derived { info } => {
                let key = derived_key(&self.access_key, secret_key, info);
                mac(key.as_bytes(), &[format!("{}\n{date}\n{info}\n{digest}", Scheme::DERIVED).as_bytes()])
            }
        };
        if expected.ct_eq(&self.mac).into() {
            Ok(())
        } else {
            Err(refused(
                "The request is unauthorized. The signature does not match: check the secret key, and that no proxy changes path, \
                 query, body or a signed header.",
            ))
        }
    }

    fn canonical_request(&self, head: &Parts, body: &[u8]) -> Result<Vec<u8>> {
        let mut out = Vec::with_capacity(512);
        out.extend_from_slice(head.method.as_str().as_bytes());
        out.push(b'\n');
        out.extend_from_slice(canonical_path(head.uri.path()).as_bytes());
        out.push(b'\n');
        out.extend_from_slice(canonical_query(head.uri.query().unwrap_or_default()).as_bytes());
        out.push(b'\n');
        for name in self.signed_headers.split(';') {
            out.extend_from_slice(name.as_bytes());
            out.push(b':');
            out.extend_from_slice(header_value(head, name)?.trim_ascii());
            out.push(b'\n');
        }
        out.push(b'\n');
        out.extend_from_slice(self.signed_headers.as_bytes());
        out.push(b'\n');
        out.extend_from_slice(self.payload_hash(&head.headers, body)?.as_bytes());
        Ok(out)
    }

    /// The hash of the body, or what the caller put in its place. Such a place holder counts only when it is signed
    /// itself and is either the true hash or openly none; else a body could be exchanged under a foreign signature.
    fn payload_hash(&self, headers: &HeaderMap, body: &[u8]) -> Result<String> {
        let hash = hex::encode(Sha256::digest(body));
        match headers.get(CONTENT_HASH_HEADER) {
            Some(value) if !body.is_empty() => {
                if value.as_bytes() == UNSIGNED_PAYLOAD.as_bytes() && self.signs(CONTENT_HASH_HEADER) {
                    Ok(UNSIGNED_PAYLOAD.to_owned())
                } else if value.as_bytes().eq_ignore_ascii_case(hash.as_bytes()) {
                    Ok(String::from_utf8_lossy(value.as_bytes()).into_owned())
                } else {
                    Err(refused("The request is unauthorized. 'X-Sdk-Content-Sha256' is not the hash of the body."))
                }
            }
            _ => Ok(hash),
        }
    }
}

fn date_of(headers: &HeaderMap) -> Result<&str> {
    let missing = || refused("The request is unauthorized. The header 'X-Sdk-Date' is missing.");
    headers.get(DATE_HEADER).and_then(|v| v.to_str().ok()).ok_or_else(missing)
}

/// The value of a signed header. `Host` is part of the address in HTTP/2.
fn header_value<'a>(head: &'a Parts, name: &str) -> Result<&'a [u8]> {
    let mut values = head.headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => Ok(value.as_bytes()),
        (None, _) if name == "host" && head.uri.authority().is_some() => {
            Ok(head.uri.authority().map(|a| a.as_str().as_bytes()).unwrap_or_default())
        }
        (None, _) => {
            Err(refused(&format!("The request is unauthorized. The signed header '{}' is missing.", shown(name))))
        }
        (Some(_), Some(_)) => {
            Err(refused(&format!("The request is unauthorized. The signed header '{}' is there twice.", shown(name))))
        }
    }
}

/// The beginning of a name that came from outside, for a message.
fn shown(name: &str) -> String {
    name.chars().take(40).collect()
}

/// HKDF-SHA256 with one output block, as lower-case hexadecimal text.
fn derived_key(access_key: &str, secret_key: &[u8], info: &str) -> String {
    let extracted = mac(access_key.as_bytes(), &[secret_key]);
    hex::encode(mac(&extracted, &[info.as_bytes(), &[1]]))
}

fn encode_into(out: &mut String, bytes: &[u8]) {
    let written = write!(out, "{}", percent_encode(bytes, RESERVED));
    debug_assert!(written.is_ok(), "writing to a String cannot fail");
}

/// The path decoded, each segment encoded again, with a `/` at the end.
fn canonical_path(raw: &str) -> String {
    let decoded: Vec<u8> = percent_decode_str(raw).collect();
    let mut out = String::with_capacity(decoded.len() + 8);
    for (i, segment) in decoded.split(|b| *b == b'/').enumerate() {
        if i > 0 {
            out.push('/');
        }
        encode_into(&mut out, segment);
    }
    if !out.ends_with('/') {
        out.push('/');
    }
    out
}

/// Keys and values decoded, sorted, and encoded again.
fn canonical_query(raw: &str) -> String {
    let decode = |text: &str| percent_decode_str(text).collect::<Vec<u8>>();
    let mut pairs: Vec<_> = raw
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(key, value)| (decode(key), decode(value)))
        .collect();
    pairs.sort_unstable();
    let mut out = String::with_capacity(raw.len() + 8);
    for (key, value) in &pairs {
        if !out.is_empty() {
            out.push('&');
        }
        encode_into(&mut out, key);
        out.push('=');
        encode_into(&mut out, value);
    }
    out
}

#[cfg(test)]
mod tests {
    use axum::http::Request;
    use causeway_model::Code;

    use super::*;

    const BODY: &[u8] = br#"{"resource_type": "device"}"#;
    const URL: &str = "http://127.0.0.1:8080/v5/iot/p1/tags/query-resources?limit=5&offset=0";
    const NAMES: &str = "content-type;host;user-agent;x-project-id;x-sdk-date";
    const PLAIN: &str = "18c6dc4aabd50a9db4074bbb32b14591d7cf45ff1ea1834e366d78ab10c03f32";
    const DERIVED: &str = "3beec02d871a1ed1400f7eaec90342cb21b53cafde5a6f0d66b18202fa08cba7";

    fn head(url: &str, extra: &[(&str, &str)]) -> Parts {
        let mut builder = Request::builder()
            .method("POST")
            .uri(url)
            .header("Content-Type", "application/json")
            .header("Host", "127.0.0.1:8080")
            .header("User-Agent", "ua/1")
            .header("X-Project-Id", "p1")
            .header("X-Sdk-Date", "20260102T030405Z");
        for (name, value) in extra {
            builder = builder.header(*name, *value);
        }
        builder.body(()).expect("a request").into_parts().0
    }

    fn plain(names: &str, signature: &str) -> Signature {
        let header = format!("SDK-HMAC-SHA256 Access=AKEXAMPLE, SignedHeaders={names}, Signature={signature}");
        Signature::parse(&header).expect("parses").expect("not empty")
    }

    fn derived() -> Signature {
        let header = format!(
            "V11-HMAC-SHA256 Credential=AKEXAMPLE/20260102/cn-north-4/iotdm, SignedHeaders={NAMES}, Signature={DERIVED}"
        );
        Signature::parse(&header).expect("parses").expect("not empty")
    }

    /// `iotda-v5-api.md` §1.3, computed with the vendor's SDK.
    #[test]
    fn the_sheets_vectors_verify() {
        assert_eq!(
            hex::encode(Sha256::digest(BODY)),
            "45891d081f2f40aec66b496ee6decd464c3f0cf50cbdbf166e03dff9f4d358d4"
        );
        plain(NAMES, PLAIN).verify(&head(URL, &[]), BODY, b"SKEXAMPLE").expect("scheme 1");
        assert_eq!(
            derived_key("AKEXAMPLE", b"SKEXAMPLE", "20260102/cn-north-4/iotdm"),
            "1c96ced2b8c5b441184acd027cb8cb5a3f0c8089e978ae4f6037e568ae2f9532"
        );
        derived().verify(&head(URL, &[]), BODY, b"SKEXAMPLE").expect("scheme 2");
    }

    #[track_caller]
    fn check_refused(outcome: Result<()>) {
        assert_eq!(outcome.expect_err("must be refused").code(), Code::Unauthenticated);
    }

    #[test]
    fn whatever_is_changed_breaks_the_signature() {
        let signature = plain(NAMES, PLAIN);
        check_refused(signature.verify(&head(URL, &[]), BODY, b"SKEXAMPLf"));
        check_refused(signature.verify(&head(URL, &[]), b"{}", b"SKEXAMPLE"));
        check_refused(signature.verify(&head(&URL.replace("limit=5", "limit=6"), &[]), BODY, b"SKEXAMPLE"));
        check_refused(signature.verify(&head(&URL.replace("tags", "tag"), &[]), BODY, b"SKEXAMPLE"));
        let mut other = head(URL, &[]);
        other.method = axum::http::Method::PUT;
        check_refused(signature.verify(&other, BODY, b"SKEXAMPLE"));
        for name in ["Content-Type", "Host", "User-Agent", "X-Project-Id", "X-Sdk-Date"] {
            let mut other = head(URL, &[]);
            other.headers.insert(
                axum::http::HeaderName::from_bytes(name.as_bytes()).expect("name"),
                axum::http::HeaderValue::from_static("20260102T030406Z"),
            );
            check_refused(signature.verify(&other, BODY, b"SKEXAMPLE"));
        }
        check_refused(signature.verify(&head(URL, &[("X-Project-Id", "p2")]), BODY, b"SKEXAMPLE"));
        let mut other = head(URL, &[]);
        other.headers.remove("user-agent");
        check_refused(signature.verify(&other, BODY, b"SKEXAMPLE"));
    }

    #[test]
    fn order_and_encoding_of_the_query_do_not_matter() {
        let signature = plain(NAMES, PLAIN);
        let url = "http://127.0.0.1:8080/v5/iot/p1/tags/query%2Dresources?offset=%30&limit=5";
        signature.verify(&head(url, &[]), BODY, b"SKEXAMPLE").expect("the same canonical request");
        assert_eq!(canonical_path("/a%2fb/c d/"), "/a/b/c%20d/");
        assert_eq!(canonical_path("/v5/%E7%94%B5"), "/v5/%E7%94%B5/");
        assert_eq!(canonical_query("b=2&a=%7E&a=1&c"), "a=1&a=~&b=2&c=");
        assert_eq!(canonical_query("a=b+c&a=b%20c&k=%2F*'"), "a=b%20c&a=b%2Bc&k=%2F%2A%27");
        assert_eq!(canonical_query(""), "");
    }

    fn sign(names: &str, head: &Parts, payload: &str) -> String {
        let mut canonical =
            format!("POST\n{}\n{}\n", canonical_path(head.uri.path()), canonical_query(head.uri.query().unwrap_or("")));
        for name in names.split(';') {
            canonical += &format!("{name}:{}\n", head.headers[name].to_str().expect("text"));
        }
        canonical += &format!("\n{names}\n{payload}");
        let digest = hex::encode(Sha256::digest(canonical));
        hex::encode(mac(b"SKEXAMPLE", &[format!("SDK-HMAC-SHA256\n20260102T030405Z\n{digest}").as_bytes()]))
    }

    #[test]
    fn a_place_holder_for_the_body_must_be_signed_and_honest() {
        let names = format!("{CONTENT_HASH_HEADER};{NAMES}");
        let unsigned = head(URL, &[("X-Sdk-Content-Sha256", UNSIGNED_PAYLOAD)]);
        plain(&names, &sign(&names, &unsigned, UNSIGNED_PAYLOAD))
            .verify(&unsigned, BODY, b"SKEXAMPLE")
            .expect("the SDK's way");
        // Not signed itself: whoever carries the request could have put it there.
        check_refused(plain(NAMES, &sign(NAMES, &unsigned, UNSIGNED_PAYLOAD)).verify(&unsigned, BODY, b"SKEXAMPLE"));
        let hash = hex::encode(Sha256::digest(BODY));
        let honest = head(URL, &[("X-Sdk-Content-Sha256", &hash)]);
        plain(NAMES, PLAIN).verify(&honest, BODY, b"SKEXAMPLE").expect("the true hash changes nothing");
        check_refused(plain(NAMES, PLAIN).verify(&honest, b"{\"evil\":1}", b"SKEXAMPLE"));
    }

    #[test]
    fn dates_must_be_near_and_agree() {
        let now = Timestamp::parse("20260102T030405Z").expect("time");
        let tolerance = Span::secs(900);
        let signature = plain(NAMES, PLAIN);
        signature.check_date(&head(URL, &[]).headers, now.plus_ms(900_000), tolerance).expect("just in time");
        check_refused(signature.check_date(&head(URL, &[]).headers, now.plus_ms(900_001), tolerance));
        check_refused(signature.check_date(&head(URL, &[]).headers, now.plus_ms(-900_001), tolerance));
        derived().check_date(&head(URL, &[]).headers, now, tolerance).expect("same day");
        let mut other = head(URL, &[]).headers;
        other.insert(DATE_HEADER, axum::http::HeaderValue::from_static("20260101T235959Z"));
        check_refused(derived().check_date(&other, Timestamp::parse("20260102T000000Z").expect("time"), tolerance));
        for bad in ["", "yesterday", "2026-01-02T03:04:05.000Z"] {
            other.insert(DATE_HEADER, axum::http::HeaderValue::from_str(bad).expect("value"));
            check_refused(signature.check_date(&other, now, tolerance));
        }
        other.remove(DATE_HEADER);
        check_refused(signature.check_date(&other, now, tolerance));
    }

    #[test]
    fn malformed_headers_are_refused() {
        assert_eq!(Signature::parse("  "), Ok(None));
        let hash = "0".repeat(64);
        for bad in [
            "Bearer x".to_owned(),
            "SDK-HMAC-SHA256".to_owned(),
            "SDK-HMAC-SHA256 Access=".to_owned(),
            "SDK-HMAC-SHA256 Access=a, SignedHeaders=, Signature=".to_owned(),
            format!("SDK-HMAC-SHA256 Access=a, SignedHeaders=host, Signature={}", &hash[1..]),
            format!("SDK-HMAC-SHA256 Access=a, Access=b, SignedHeaders=host, Signature={hash}"),
            format!("SDK-HMAC-SHA256 Credential=a/b/c/d, SignedHeaders=host, Signature={hash}"),
            "V11-HMAC-SHA256 Credential=a, SignedHeaders=host, Signature=00".to_owned(),
            format!("V11-HMAC-SHA256 Credential=a/b/c, SignedHeaders=host, Signature={hash}"),
            format!("SDK-HMAC-SM3 Access=a, SignedHeaders=host, Signature={hash}"),
        ] {
            let error = Signature::parse(&bad).expect_err(&bad);
            assert_eq!(error.code(), Code::Unauthenticated);
        }
    }
}
