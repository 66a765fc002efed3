//! Devices of the same space.

use crate::field::length;

/// Where broadcasts go.
const PREFIX: &str = "$oc/broadcast/";

channel! {
    /// Sends each event to those devices of its resource space that are connected and subscribed to the topic.
    pub struct MqttDeviceForwarding in "MQTT_DEVICE_FORWARDING" "mqtt_device_forwarding" {
        /// The topic: `$oc/broadcast/` and a name.
        topic: String,
        /// Only 0: events are not kept for devices that are not connected.
        ttl: Option<u32>,
    }
    check |c| {
        length("topic", &c.topic, PREFIX.len() + 1, 128)?;
        if !c.topic.starts_with(PREFIX) || c.topic.contains(['+', '#']) {
            return Err(format!("'topic' must be '{PREFIX}' and a name without the wildcards '+' and '#'"));
        }
        if c.ttl.is_some_and(|ttl| ttl > 0) {
            return Err("'ttl' must be 0: keeping events for devices that are not connected is not built".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::Channel;

    #[test]
    fn refusals() {
        let read = |topic: &str| Channel::read("MQTT_DEVICE_FORWARDING", &format!(r#"{{"topic":"{topic}","ttl":0}}"#));
        assert!(read("$oc/broadcast/alarms/fire").is_ok());
        for topic in ["$oc/broadcast/", "alarms", "$oc/devices/d/user/x", "$oc/broadcast/#", "$oc/broadcast/+/x"] {
            assert!(read(topic).expect_err("refused").to_string().contains("'topic'"), "{topic}");
        }
        let kept = Channel::read("MQTT_DEVICE_FORWARDING", r#"{"topic":"$oc/broadcast/x","ttl":60}"#);
        assert!(kept.expect_err("refused").to_string().contains("'ttl'"));
    }
}
