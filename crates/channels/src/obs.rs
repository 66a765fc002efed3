//! Object storage: OBS, and every store with the S3 interface.

use crate::Secret;
use crate::field::length;

/// What `file_path` may hold in braces. The capitals are the vendor's (from memory of its API reference), the rest is ours.
const TEMPLATES: &[&str] = &["YYYY", "yyyy", "MM", "DD", "dd", "HH", "appId", "app_id", "deviceId", "device_id"];

channel! {
    /// Gathers events and writes them as objects into a bucket: newline JSON or Parquet.
    pub struct ObsForwarding in "OBS_FORWARDING" "obs_forwarding" {
        /// Region of the bucket.
        region_name: String,
        /// Project of the vendor's cloud; not used to write.
        project_id: String,
        /// The bucket.
        bucket_name: String,
        /// Where the bucket lies, for people.
        location: Option<String>,
        /// Folder of the objects, at most 256 characters: letters, digits, `_`, `-`, `/`, and `{YYYY}`, `{MM}`, `{DD}`,
        /// `{HH}` (of the event, UTC), `{appId}`, `{deviceId}`.
        file_path: Option<String>,
        /// Own addition: scheme, host and port of a store with the S3 interface; without it the key
        /// `forwarding.obs_endpoint` says where.
        endpoint: Option<String>,
        /// Own addition: access key; without it and without `endpoint` that of the key `forwarding.access_key`.
        access_key: Option<String>,
        /// Own addition: secret key.
        secret_key: Option<Secret>,
        /// Own addition: whether the bucket stands in the path; `false`: in the host name. With `endpoint` it does unless
        /// said otherwise.
        path_style: Option<bool>,
        /// Own addition: `ndjson` (one JSON object a line; the default) or `parquet`.
        format: Option<String>,
        /// Own addition: `none`, `gzip` (only `ndjson`) or `zstd` (only `parquet`, its default).
        compression: Option<String>,
        /// Own addition: seconds for which events are gathered at most, 1 to 3600; 60 without it.
        linger: Option<u32>,
        /// Own addition: bytes of events that an object is made of, 1024 to 67108864; 8388608 without it.
        max_size: Option<u32>,
    }
    check |c| {
        length("region_name", &c.region_name, 1, 64)?;
        if !c.region_name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
            return Err("'region_name' must be letters, digits, '-' and '_'".to_owned());
        }
        length("project_id", &c.project_id, 0, 64)?;
        let sound = c.bucket_name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.');
        if !sound || !(3..=63).contains(&c.bucket_name.len()) || c.bucket_name.starts_with(['.', '-']) {
            return Err("'bucket_name' must be 3 to 63 lower-case letters, digits, '-' and '.'".to_owned());
        }
        length("location", c.location.as_deref().unwrap_or_default(), 0, 256)?;
        folder(c.file_path.as_deref().unwrap_or_default())?;
        endpoint("endpoint", c.endpoint.as_deref())?;
        keys(c.access_key.as_deref(), c.secret_key.as_ref(), c.endpoint.is_some())?;
        match (c.format.as_deref(), c.compression.as_deref()) {
            (None | Some("ndjson"), None | Some("none" | "gzip")) | (Some("parquet"), None | Some("none" | "zstd")) => {}
            (None | Some("ndjson" | "parquet"), _) => {
                return Err("'compression' must be none or gzip for ndjson, none or zstd for parquet".to_owned());
            }
            _ => return Err("'format' must be ndjson or parquet".to_owned()),
        }
        if !(1..=3600).contains(&c.linger.unwrap_or(60)) {
            return Err("'linger' must be 1 to 3600 seconds".to_owned());
        }
        if !(1024..=64 << 20).contains(&c.max_size.unwrap_or(8 << 20)) {
            return Err("'max_size' must be 1024 to 67108864 bytes".to_owned());
        }
        Ok(())
    }
}

fn folder(path: &str) -> Result<(), String> {
    length("file_path", path, 0, 256)?;
    if path.starts_with('/') || path.ends_with('/') || path.contains("//") {
        return Err("'file_path' must not begin or end with '/', or have two of them in a row".to_owned());
    }
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('{') {
        plain(before)?;
        let Some((name, behind)) = after.split_once('}').filter(|(name, _)| TEMPLATES.contains(name)) else {
            return Err("'file_path' may have {YYYY}, {MM}, {DD}, {HH}, {appId} and {deviceId} in braces".to_owned());
        };
        debug_assert!(!name.is_empty(), "no template is empty");
        rest = behind;
    }
    plain(rest)
}

fn plain(text: &str) -> Result<(), String> {
    match text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'/')) {
        true => Ok(()),
        false => Err("'file_path' must be letters, digits, '_', '-', '/' and templates in braces".to_owned()),
    }
}

/// Checks scheme and host of a service.
pub(crate) fn endpoint(name: &str, text: Option<&str>) -> Result<(), String> {
    let Some(text) = text else { return Ok(()) };
    length(name, text, 8, 256)?;
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    match host.is_some_and(|h| !h.is_empty() && !h.contains(['@', '?', '#', ' '])) {
        true => Ok(()),
        false => Err(format!("'{name}' must begin with http:// or https:// and have no user, query or fragment")),
    }
}

/// Checks that both keys are there or none; an endpoint of one's own has keys of its own.
pub(crate) fn keys(access: Option<&str>, secret: Option<&Secret>, needed: bool) -> Result<(), String> {
    match (access, secret.map(Secret::as_str)) {
        (Some(access), Some(secret)) => {
            length("access_key", access, 1, 128)?;
            length("secret_key", secret, 1, 256)
        }
        (None, None) if !needed => Ok(()),
        (None, None) => Err("'access_key' and 'secret_key' are needed with 'endpoint'".to_owned()),
        _ => Err("'access_key' and 'secret_key' go together".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use crate::Channel;

    fn check(rest: &str, word: &str) {
        let text = format!(r#"{{"region_name":"cn-north-4","project_id":"p","bucket_name":"bucket"{rest}}}"#);
        let why = Channel::read("OBS_FORWARDING", &text).map_or_else(|e| e.to_string(), |_| "sound".to_owned());
        assert!(why.contains(word), "{text}: {why}");
    }

    #[test]
    fn refusals_name_the_field() {
        check("", "sound");
        check(r#","file_path":"a/{YYYY}-{MM}/{deviceId}","format":"parquet","compression":"zstd""#, "sound");
        for path in ["/a", "a/", "a//b", "a b", "../b", "{x}", "{YYYY", "a}"] {
            check(&format!(r#","file_path":"{path}""#), "'file_path'");
        }
        check(r#","file_path":7"#, "obs_forwarding");
        check(r#","endpoint":"http://store:9000""#, "'access_key'");
        check(r#","endpoint":"ftp://store","access_key":"a","secret_key":"b""#, "'endpoint'");
        check(r#","access_key":"a""#, "go together");
        check(r#","format":"csv""#, "'format'");
        check(r#","format":"parquet","compression":"gzip""#, "'compression'");
        check(r#","linger":0"#, "'linger'");
        check(r#","max_size":1"#, "'max_size'");
    }

    #[test]
    fn the_secret_is_not_shown() {
        let text = r#"{"region_name":"r","project_id":"p","bucket_name":"bucket","endpoint":"http://s:1","access_key":"a","secret_key":"hush"}"#;
        let channel = Channel::read("OBS_FORWARDING", text).expect("sound");
        assert!(!channel.shown().to_string().contains("hush") && !format!("{channel:?}").contains("hush"));
    }
}
