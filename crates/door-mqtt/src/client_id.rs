//! The client id of a device, `{device_id}_0_{sign_type}_{YYYYMMDDHH}` (002 §2.1.2.11, `iotda-device-access.md` §2).

use causeway_platform::device::SignType;

/// Longest client id, user name and password, in bytes (002 §2.1.2.11).
pub(crate) const MAX_FIELD: usize = 256;

/// A client id taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ClientId<'a> {
    /// The device.
    pub(crate) device_id: &'a str,
    /// How it signed.
    pub(crate) sign_type: SignType,
    /// The hour it signed with, ten digits.
    pub(crate) timestamp: &'a str,
    /// Everything but the hour. The hour changes with each reconnection of most devices, so this is what a session
    /// goes by.
    pub(crate) stable: &'a str,
}

impl<'a> ClientId<'a> {
    /// Reads the id from the right, because device ids hold underscores themselves. `None` when it is not a direct
    /// device with a secret: the forms of provisioning, bridges and node ids are not spoken here, nor is the sign type 2
    /// (HMAC-SM3).
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        if text.len() > MAX_FIELD {
            return None;
        }
        let (stable, timestamp) = text.rsplit_once('_')?;
        if timestamp.len() != 10 || !timestamp.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let (rest, sign_type) = stable.rsplit_once('_')?;
        let sign_type = match sign_type {
            "0" => SignType::Unjudged,
            "1" => SignType::Judged,
            _ => return None,
        };
        let device_id = rest.strip_suffix("_0").filter(|id| !id.is_empty())?;
        Some(Self { device_id, sign_type, timestamp, stable })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<(&str, SignType, &str)>) {
        assert_eq!(ClientId::parse(text).map(|c| (c.device_id, c.sign_type, c.timestamp)), expected, "{text}");
    }

    #[test]
    fn reads_from_the_right() {
        check("prod_dev01_0_1_2026112200", Some(("prod_dev01", SignType::Judged, "2026112200")));
        check("d_0_0_0_2026112200", Some(("d_0", SignType::Unjudged, "2026112200")));
        check("_0_0_2026112200", None);
        check("d_0_2_2026112200", None);
        check("d_2_0_2026112200", None);
        check("b_3_0_2026112200", None);
        check("d_0_scope_0_2026112200", None);
        check("d_0_scope", None);
        check("d_0_0_202611220", None);
        check("d_0_0_202611220x", None);
        check("", None);
        check(&format!("{}_0_0_2026112200", "x".repeat(300)), None);
    }

    proptest! {
        #[test]
        fn never_panics_and_keeps_every_device_id(id in "[A-Za-z0-9_-]{1,128}", sign in 0..2_u8, hour in "[0-9]{10}", any in ".{0,80}") {
            let text = format!("{id}_0_{sign}_{hour}");
            let parsed = ClientId::parse(&text).expect("well formed");
            prop_assert_eq!(parsed.device_id, id.as_str());
            let _ = ClientId::parse(&any);
        }
    }
}
