//! Kafka: the vendor's three channels for it, which any Kafka serves.

use crate::field::{addresses, authorities, length};
use crate::{NetAddress, Secret};

/// Port of an address that names none.
const PORT: u16 = 9092;

channel! {
    /// Puts each event into a topic of a Kafka (Distributed Message Service).
    pub struct DmsKafkaForwarding in "DMS_KAFKA_FORWARDING" "dms_kafka_forwarding" {
        /// Region of the service; kept and shown, a Kafka of your own has none.
        region_name: Option<String>,
        /// Project of the service; kept and shown.
        project_id: Option<String>,
        /// Some brokers of the cluster, 1 to 20; the others are asked of them.
        addresses: Vec<NetAddress>,
        /// The topic. A cluster that makes topics by itself makes it.
        topic: String,
        /// User name; without it nobody signs in.
        username: Option<String>,
        /// Password.
        password: Option<Secret>,
        /// `PLAIN`, `SCRAM-SHA-512`, or `PAAS`, which is PLAIN.
        mechanism: Option<String>,
        /// `SASL_SSL` (TLS, the default) or `SASL_PLAINTEXT`.
        security_protocol: Option<String>,
        /// Authorities that vouch for the brokers, PEM; without them the system's do.
        ca_certificate: Option<String>,
    }
    check |c| {
        addresses("addresses", &c.addresses, 20, PORT)?;
        topic(&c.topic)?;
        if c.username.is_some() != c.password.is_some() {
            return Err("'username' and 'password' go together".to_owned());
        }
        if let (Some(name), Some(word)) = (&c.username, &c.password) {
            credentials(name, word)?;
        }
        if c.mechanism.as_deref().is_some_and(|m| !["PAAS", "PLAIN", "SCRAM-SHA-512"].contains(&m)) {
            return Err("'mechanism' must be PAAS, PLAIN or SCRAM-SHA-512".to_owned());
        }
        if c.security_protocol.as_deref().is_some_and(|p| !["SASL_SSL", "SASL_PLAINTEXT"].contains(&p)) {
            return Err("'security_protocol' must be SASL_SSL or SASL_PLAINTEXT".to_owned());
        }
        if c.username.is_none() && (c.mechanism.is_some() || c.security_protocol.is_some()) {
            return Err("'mechanism' and 'security_protocol' need 'username' and 'password'".to_owned());
        }
        authorities(c.ca_certificate.as_deref())
    }
}

channel! {
    /// Puts each event into a topic of a Kafka (MapReduce Service), without signing in.
    pub struct MrsKafkaForwarding in "MRS_KAFKA_FORWARDING" "mrs_kafka_forwarding" {
        /// Some brokers of the cluster, 1 to 20; the others are asked of them.
        addresses: Vec<NetAddress>,
        /// The topic. A cluster that makes topics by itself makes it.
        topic: String,
        /// Only false: signing in with Kerberos is not built.
        kerberos_authentication: Option<bool>,
    }
    check |c| {
        addresses("addresses", &c.addresses, 20, PORT)?;
        topic(&c.topic)?;
        if c.kerberos_authentication == Some(true) {
            return Err("'kerberos_authentication' must be false: signing in with Kerberos is not built; \
                        DMS_KAFKA_FORWARDING signs in with SASL PLAIN or SCRAM-SHA-512"
                .to_owned());
        }
        Ok(())
    }
}

channel! {
    /// Puts each event into a topic of a Kafka (ROMA Connect), signing in with SASL PLAIN.
    pub struct RomaForwarding in "ROMA_FORWARDING" "roma_forwarding" {
        /// Some brokers of the cluster, 1 to 20; the others are asked of them.
        addresses: Vec<NetAddress>,
        /// The topic. A cluster that makes topics by itself makes it.
        topic: String,
        /// User name.
        username: String,
        /// Password.
        password: Secret,
    }
    check |c| {
        addresses("addresses", &c.addresses, 20, PORT)?;
        topic(&c.topic)?;
        credentials(&c.username, &c.password)
    }
}

/// What Kafka takes as the name of a topic.
fn topic(topic: &str) -> Result<(), String> {
    let sound = topic.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    if !sound || !(1..=249).contains(&topic.len()) || topic == "." || topic == ".." {
        return Err("'topic' must be 1 to 249 letters, digits, '.', '_' and '-'".to_owned());
    }
    Ok(())
}

fn credentials(name: &str, word: &Secret) -> Result<(), String> {
    length("username", name, 1, 256)?;
    length("password", word.as_str(), 1, 256)
}

#[cfg(test)]
mod tests {
    use crate::Channel;

    #[test]
    fn refusals() {
        let with = |word: &str, more: &str| {
            Channel::read(word, &format!(r#"{{"addresses":[{{"domain":"k","port":9092}}],"topic":"t"{more}}}"#))
        };
        let why = |word, more| with(word, more).expect_err("refused").to_string();
        assert!(with("DMS_KAFKA_FORWARDING", "").is_ok());
        let sound = r#","username":"u","password":"p","mechanism":"PAAS","security_protocol":"SASL_SSL""#;
        assert!(with("DMS_KAFKA_FORWARDING", sound).is_ok());
        assert!(why("DMS_KAFKA_FORWARDING", r#","username":"u""#).contains("'password'"));
        assert!(why("DMS_KAFKA_FORWARDING", r#","mechanism":"PLAIN""#).contains("'username'"));
        assert!(
            why("DMS_KAFKA_FORWARDING", r#","username":"u","password":"p","mechanism":"X""#).contains("SCRAM-SHA-512")
        );
        assert!(why("DMS_KAFKA_FORWARDING", r#","ca_certificate":"x""#).contains("'ca_certificate'"));
        assert!(why("MRS_KAFKA_FORWARDING", r#","kerberos_authentication":true"#).contains("Kerberos"));
        assert!(why("ROMA_FORWARDING", "").contains("username"));
        let topic = r#"{"addresses":[{"ip":"10.0.0.1"}],"topic":"a b"}"#;
        assert!(Channel::read("MRS_KAFKA_FORWARDING", topic).expect_err("refused").to_string().contains("'topic'"));
        let none = r#"{"addresses":[],"topic":"a"}"#;
        assert!(Channel::read("MRS_KAFKA_FORWARDING", none).expect_err("refused").to_string().contains("'addresses'"));
    }
}
