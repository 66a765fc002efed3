//! Who a device says it is in its CONNECT (002 §2.1.2.11; fact sheet `iotda-device-access.md` §2).

use std::time::{SystemTime, UNIX_EPOCH};

use causeway_model::Timestamp;
use causeway_wire::signature::hmac_sha256_hex;

/// Platform time as this machine sees it.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// How a device proves itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// A secret, from which the CONNECT password is computed.
    Secret(String),
    /// A fixed user name and password for all, or none: for brokers that know no IoTDA devices.
    Fixed {
        /// MQTT user name; the device id when absent.
        user: Option<String>,
        /// MQTT password; none is sent when absent.
        password: Option<String>,
    },
}

/// One device that a load generator plays.
#[derive(Clone, Debug)]
pub(crate) struct Device {
    /// Device id, which is also the MQTT user name on an IoTDA platform.
    pub(crate) id: String,
    /// What it connects with.
    pub(crate) proof: Proof,
}

/// The three texts of a CONNECT.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Login {
    /// `{device_id}_0_0_{YYYYMMDDHH}`.
    pub(crate) client_id: String,
    /// User name, if any is sent.
    pub(crate) user: Option<String>,
    /// Password, if any is sent.
    pub(crate) password: Option<String>,
}

impl Device {
    /// The texts to connect with at `time`. The sign type is 0: the platform does not judge the hour
    /// (002 §2.1.2.11), so that a run over the turn of an hour needs no new login.
    pub(crate) fn login(&self, time: Timestamp) -> Login {
        let stamp = time.hour_stamp();
        let client_id = format!("{}_0_0_{stamp}", self.id);
        match &self.proof {
            Proof::Secret(secret) => Login {
                client_id,
                user: Some(self.id.clone()),
                password: Some(hmac_sha256_hex(stamp.as_bytes(), secret.as_bytes())),
            },
            // A password without a user name is not allowed in MQTT 3.1.1 [MQTT-3.1.2-22].
            Proof::Fixed { user, password } => {
                Login { client_id, user: user.clone().or_else(|| Some(self.id.clone())), password: password.clone() }
            }
        }
    }

    /// `$oc/devices/{id}/sys/{suffix}`.
    pub(crate) fn system_topic(&self, suffix: &str) -> String {
        format!("$oc/devices/{}/sys/{suffix}", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_devices_sign_with_the_hour_in_the_client_id() {
        let device = Device { id: "p_n".into(), proof: Proof::Secret("12345678".into()) };
        let time = Timestamp::parse("20250414T015959Z").expect("a valid time");
        assert_eq!(
            device.login(time),
            Login {
                client_id: "p_n_0_0_2025041401".into(),
                user: Some("p_n".into()),
                password: Some("c75150e6cb841417396819e4d2ee4358a416344a03a083e3a8567074ddec820a".into()),
            }
        );
        assert_eq!(device.system_topic("properties/report"), "$oc/devices/p_n/sys/properties/report");
    }

    #[test]
    fn plain_brokers_get_the_same_names_without_a_password() {
        let device = Device { id: "p_n".into(), proof: Proof::Fixed { user: None, password: None } };
        let login = device.login(Timestamp(0));
        assert_eq!((login.user.as_deref(), login.password), (Some("p_n"), None));
        assert_eq!(login.client_id, "p_n_0_0_1970010100");
    }
}
