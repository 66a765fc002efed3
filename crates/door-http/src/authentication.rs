//! `POST /v5/device-auth`: credentials in, token out (001, *Device Authentication API*).

use std::borrow::Cow;

use causeway_model::properties::each_entry;
use causeway_model::{Code, DeviceId, Error, Result};
use causeway_platform::Platform;
use causeway_platform::device::{AuthFailure, Credentials, SignType, SignedIn};

use crate::rate::Rates;

/// No sound body is longer: the four fields take less than 400 bytes.
pub(crate) const MAX_BODY: usize = 4096;

/// The body, each field by its rule.
#[derive(Debug, PartialEq, Eq)]
struct Shown<'a> {
    device_id: Cow<'a, str>,
    sign_type: SignType,
    timestamp: Cow<'a, str>,
    password: Cow<'a, str>,
}

fn broken(rule: &str) -> Error {
    Error::invalid(format!("Invalid input data. {rule}"))
}

fn text<'a>(value: &'a str, rule: &str) -> Result<Cow<'a, str>> {
    // A plain string is borrowed; one with escapes is made.
    let plain = value.strip_prefix('"').and_then(|v| v.strip_suffix('"')).filter(|v| !v.contains('\\'));
    match plain {
        Some(plain) => Ok(Cow::Borrowed(plain)),
        None => serde_json::from_str::<String>(value).map(Cow::Owned).map_err(|_| broken(rule)),
    }
}

impl<'a> Shown<'a> {
    fn parse(body: &'a str) -> Result<Self> {
        const DEVICE_ID: &str = "'device_id' must be a string of 1 to 128 letters, digits, '_' and '-'.";
        const SIGN_TYPE: &str = "'sign_type' must be the number 0 or 1.";
        const TIMESTAMP: &str = "'timestamp' must be a string of 10 digits, YYYYMMDDHH in UTC.";
        const PASSWORD: &str = "'password' must be a string of 64 hexadecimal digits.";

        let (mut device_id, mut sign_type, mut timestamp, mut password) = (None, None, None, None);
        each_entry(body, |name, value| {
            match &*name {
                "device_id" => {
                    let id = text(value, DEVICE_ID)?;
                    DeviceId::parse(&id).map_err(|_| broken(DEVICE_ID))?;
                    device_id = Some(id);
                }
                "sign_type" => {
                    sign_type = Some(match value {
                        "0" => SignType::Unjudged,
                        "1" => SignType::Judged,
                        _ => return Err(broken(SIGN_TYPE)),
                    });
                }
                "timestamp" => {
                    let hour = text(value, TIMESTAMP)?;
                    if hour.len() != 10 || !hour.bytes().all(|b| b.is_ascii_digit()) {
                        return Err(broken(TIMESTAMP));
                    }
                    timestamp = Some(hour);
                }
                "password" => {
                    let signature = text(value, PASSWORD)?;
                    if signature.len() != 64 || !signature.bytes().all(|b| b.is_ascii_hexdigit()) {
                        return Err(broken(PASSWORD));
                    }
                    password = Some(signature);
                }
                unknown => {
                    let shown: String = unknown.chars().take(64).collect();
                    return Err(broken(&format!("'{shown}' is not a field of this request.")));
                }
            }
            Ok(())
        })?;
        Ok(Self {
            device_id: device_id.ok_or_else(|| broken(DEVICE_ID))?,
            sign_type: sign_type.ok_or_else(|| broken(SIGN_TYPE))?,
            timestamp: timestamp.ok_or_else(|| broken(TIMESTAMP))?,
            password: password.ok_or_else(|| broken(PASSWORD))?,
        })
    }
}

/// Serves the operation; the answer is the JSON body of the 200.
///
/// # Errors
/// [`Code::InvalidInput`] names the field; [`Code::Unauthenticated`] tells nothing, not even whether the device exists.
pub(crate) async fn authenticate(platform: &Platform, rates: &Rates, body: &str) -> Result<String> {
    let shown = Shown::parse(body)?;
    let credentials = Credentials {
        device_id: &shown.device_id,
        sign_type: shown.sign_type,
        timestamp: &shown.timestamp,
        password: shown.password.as_bytes(),
        encrypted: true,
        certificates: &[],
    };
    let SignedIn { device, .. } = platform.authenticate_device(credentials).await.map_err(|failure| match failure {
        AuthFailure::Unavailable(error) => error,
        failure => {
            tracing::debug!(device_id = %shown.device_id, reason = failure.as_str(), "sign-in refused");
            Error::new(Code::Unauthenticated, "Authentication failed.")
        }
    })?;
    // Only those who showed who they are count: nobody can use up the rate of another's device.
    rates.admit(device.no)?;
    let issued = platform.issue_device_token(&device).await?;
    Ok(format!(r#"{{"access_token":"{}","expires_in":{}}}"#, issued.token, issued.expires_in_s))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIGNATURE: &str = "c75150e6cb841417396819e4d2ee4358a416344a03a083e3a8567074ddec820a";

    fn body(change: (&str, &str)) -> String {
        let fields = [
            ("device_id", r#""a-b_1""#),
            ("sign_type", "0"),
            ("timestamp", r#""2019120219""#),
            ("password", &format!("\"{SIGNATURE}\"")),
        ]
        .map(|(name, value)| format!(r#""{name}":{}"#, if name == change.0 { change.1 } else { value }));
        format!("{{{}}}", fields.join(","))
    }

    #[test]
    fn a_sound_body_is_read_with_and_without_escapes() {
        let sound = body(("", ""));
        let shown = Shown::parse(&sound).expect("sound");
        assert_eq!(
            (&*shown.device_id, shown.sign_type, &*shown.timestamp),
            ("a-b_1", SignType::Unjudged, "2019120219")
        );
        assert!(matches!(shown.device_id, Cow::Borrowed(_)));
        let escaped = body(("device_id", r#""a\u002db_1""#));
        assert_eq!(Shown::parse(&escaped).expect("sound"), shown);
        let judged = body(("sign_type", "1"));
        assert_eq!(Shown::parse(&judged).expect("sound").sign_type, SignType::Judged);
    }

    #[test]
    fn a_broken_field_is_named() {
        for (name, value) in [
            ("device_id", "7"),
            ("device_id", r#""""#),
            ("device_id", r#""a b""#),
            ("device_id", "null"),
            ("sign_type", "2"),
            ("sign_type", "-1"),
            ("sign_type", r#""0""#),
            ("sign_type", "0.0"),
            ("timestamp", "2019120219"),
            ("timestamp", r#""20191202""#),
            ("timestamp", r#""２019120219""#),
            ("password", r#""00""#),
            ("password", &format!("\"{}g\"", &SIGNATURE[1..])),
        ] {
            let broken = body((name, value));
            let error = Shown::parse(&broken).expect_err(value);
            assert_eq!(error.code(), Code::InvalidInput);
            assert!(error.message().contains(name), "{error} for {broken}");
        }
        assert!(Shown::parse(r#"{"device":1}"#).expect_err("unknown").message().contains("'device'"));
        assert!(Shown::parse("{}").expect_err("missing").message().contains("device_id"));
        for text in ["", "{", "[]", "null", "\"text\"", "{} {}"] {
            assert_eq!(Shown::parse(text).expect_err(text).code(), Code::InvalidInput);
        }
    }
}
