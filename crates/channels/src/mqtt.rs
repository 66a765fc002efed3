//! Another MQTT broker.

use crate::field::{authorities, length};
use crate::{NetAddress, Secret};

channel! {
    /// Publishes each event to another MQTT broker. Not a channel of the vendor.
    pub struct MqttForwarding in "MQTT_FORWARDING" "mqtt_forwarding" {
        /// The broker; port 1883, or 8883 with TLS, when none is said.
        address: NetAddress,
        /// Whether the connection is under TLS.
        tls: Option<bool>,
        /// Authorities that vouch for the broker, PEM; without them the system's do.
        ca_certificate: Option<String>,
        /// Client id; without it the broker's choice. Two connections with one id end each other.
        client_id: Option<String>,
        /// User name.
        username: Option<String>,
        /// Password.
        password: Option<Secret>,
        /// Topic, where `{device_id}`, `{product_id}` and `{app_id}` stand for the event's own; `none` for what it has not.
        topic: String,
        /// 1 (the default): an event is done when the broker has acknowledged it. 0: when it is written to the connection.
        qos: Option<u16>,
        /// Whether the broker keeps the last event of a topic for new subscribers.
        retain: Option<bool>,
    }
    check |c| {
        c.address.host_and_port(1883).map_err(|why| format!("'address': {why}"))?;
        authorities(c.ca_certificate.as_deref())?;
        if c.ca_certificate.is_some() && c.tls != Some(true) {
            return Err("'ca_certificate' needs 'tls' to be true".to_owned());
        }
        for (name, text) in [("client_id", &c.client_id), ("username", &c.username)] {
            if let Some(text) = text {
                length(name, text, 1, 256)?;
            }
        }
        if let Some(password) = &c.password {
            length("password", password.as_str(), 1, 1024)?;
        }
        if c.password.is_some() && c.username.is_none() {
            return Err("'password' needs 'username'".to_owned());
        }
        length("topic", &c.topic, 1, 512)?;
        if c.topic.contains(['+', '#']) {
            return Err("'topic' must not hold the wildcards '+' and '#'".to_owned());
        }
        if c.qos.is_some_and(|qos| qos > 1) {
            return Err("'qos' must be 0 or 1".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::Channel;

    #[test]
    fn refusals() {
        let with = |more: &str| {
            let text = format!(r#"{{"address":{{"domain":"b"}},"topic":"t/{{device_id}}"{more}}}"#);
            Channel::read("MQTT_FORWARDING", &text)
        };
        let why = |more| with(more).expect_err("refused").to_string();
        assert!(with(r#","qos":1,"username":"u","password":"p","retain":true"#).is_ok());
        assert!(why(r#","qos":2"#).contains("'qos'"));
        assert!(why(r#","password":"p""#).contains("'username'"));
        assert!(why(r#","ca_certificate":"-----BEGIN CERTIFICATE-----""#).contains("'tls'"));
        let wild = r#"{"address":{"ip":"1.2.3.4"},"topic":"a/#"}"#;
        assert!(Channel::read("MQTT_FORWARDING", wild).expect_err("refused").to_string().contains("'topic'"));
        let nowhere = r#"{"address":{},"topic":"a"}"#;
        assert!(Channel::read("MQTT_FORWARDING", nowhere).expect_err("refused").to_string().contains("'address'"));
    }
}
