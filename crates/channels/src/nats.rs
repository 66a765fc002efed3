//! NATS, with and without JetStream.

use crate::field::{addresses, authorities, length};
use crate::{NetAddress, Secret};

channel! {
    /// Publishes each event to a subject of NATS. Not a channel of the vendor.
    pub struct NatsForwarding in "NATS_FORWARDING" "nats_forwarding" {
        /// Servers of the cluster, 1 to 20, tried in this order; port 4222 when none is said.
        addresses: Vec<NetAddress>,
        /// Subject, where `{device_id}`, `{product_id}` and `{app_id}` stand for the event's own; `none` for what it has not.
        subject: String,
        /// True: a stream of JetStream has taken an event when it is done, and an event that is sent again within the
        /// stream's duplicate window counts once. False (the default): the server has taken it.
        jetstream: Option<bool>,
        /// User name.
        username: Option<String>,
        /// Password.
        password: Option<Secret>,
        /// Token, in place of user name and password.
        token: Option<Secret>,
        /// Whether the connection must be under TLS. A server that demands TLS gets it without this.
        tls: Option<bool>,
        /// Authorities that vouch for the servers, PEM; without them the system's do.
        ca_certificate: Option<String>,
    }
    check |c| {
        addresses("addresses", &c.addresses, 20, 4222)?;
        authorities(c.ca_certificate.as_deref())?;
        length("subject", &c.subject, 1, 256)?;
        let sound = c.subject.split('.').all(|token| !token.is_empty() && token != "*" && token != ">");
        if !sound || c.subject.contains(char::is_whitespace) {
            return Err("'subject' must be tokens with dots between them, without blanks and wildcards".to_owned());
        }
        if c.username.is_some() != c.password.is_some() {
            return Err("'username' and 'password' go together".to_owned());
        }
        if c.token.is_some() && c.username.is_some() {
            return Err("'token' stands in place of 'username' and 'password'".to_owned());
        }
        for (name, text) in [("password", &c.password), ("token", &c.token)] {
            if let Some(text) = text {
                length(name, text.as_str(), 1, 1024)?;
            }
        }
        if let Some(name) = &c.username {
            length("username", name, 1, 256)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::Channel;

    #[test]
    fn refusals() {
        let with = |subject: &str, more: &str| {
            let text = format!(r#"{{"addresses":[{{"domain":"n"}}],"subject":"{subject}"{more}}}"#);
            Channel::read("NATS_FORWARDING", &text)
        };
        let why = |subject, more| with(subject, more).expect_err("refused").to_string();
        assert!(with("iot.{app_id}.{device_id}", r#","jetstream":true,"token":"t""#).is_ok());
        for subject in ["a..b", "a b", "a.*", ">", ".a"] {
            assert!(why(subject, "").contains("'subject'"), "{subject}");
        }
        assert!(why("a", r#","username":"u""#).contains("'password'"));
        assert!(why("a", r#","username":"u","password":"p","token":"t""#).contains("'token'"));
    }
}
