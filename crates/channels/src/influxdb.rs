//! Time series of InfluxDB.

use crate::field::length;
use crate::table::mappings;
use crate::{ColumnMapping, NetAddress, Secret};

channel! {
    /// Writes each event as a point into InfluxDB by its line protocol.
    pub struct InfluxdbForwarding in "INFLUXDB_FORWARDING" "influxdb_forwarding" {
        /// The server; port 8086 when none is said.
        address: NetAddress,
        /// The database; with `token` the bucket.
        db_name: String,
        /// The user; not used with `token`.
        username: String,
        /// The user's password.
        password: Secret,
        /// The measurement.
        measurement: String,
        /// Which tag or field gets which value. A column `time` gives the point's time.
        column_mappings: Vec<ColumnMapping>,
        /// Own addition: whether the connection is encrypted; the server's certificate is then checked.
        enable_ssl: Option<bool>,
        /// Own addition: columns that are tags. Without it those that hold `device_id`, `node_id`, `product_id`,
        /// `gateway_id` or `app_id`.
        tag_columns: Option<Vec<String>>,
        /// Own addition: organisation of an InfluxDB 2.
        org: Option<String>,
        /// Own addition: token of an InfluxDB 2. With it the events are written by the interface of version 2.
        token: Option<Secret>,
    }
    check |c| {
        c.address.host_and_port(8086)?;
        length("db_name", &c.db_name, 1, 256)?;
        length("username", &c.username, 0, 256)?;
        length("password", c.password.as_str(), 0, 256)?;
        if c.username.contains(':') {
            return Err("'username' must not have a ':'".to_owned());
        }
        length("measurement", &c.measurement, 1, 256)?;
        mappings(&c.column_mappings, 256)?;
        for tag in c.tag_columns.iter().flatten() {
            if !c.column_mappings.iter().any(|m| m.column_name == *tag) {
                return Err(format!("'tag_columns' names '{tag}', which 'column_mappings' does not have"));
            }
        }
        if !c.column_mappings.iter().any(|m| m.column_name != "time" && !c.is_tag(m)) {
            return Err("'column_mappings' must have a column that is no tag: a point needs a field".to_owned());
        }
        match (&c.token, &c.org) {
            (Some(token), Some(org)) => {
                length("token", token.as_str(), 1, 512)?;
                length("org", org, 1, 256)
            }
            (None, None) => Ok(()),
            _ => Err("'token' and 'org' go together".to_owned()),
        }
    }
}

/// What tells points of one moment apart.
const IDS: &[&str] = &["device_id", "node_id", "product_id", "gateway_id", "app_id"];

impl InfluxdbForwarding {
    /// Whether the column is a tag.
    #[must_use]
    pub fn is_tag(&self, mapping: &ColumnMapping) -> bool {
        match &self.tag_columns {
            Some(tags) => tags.contains(&mapping.column_name),
            None => mapping.json_key.rsplit('.').next().is_some_and(|last| IDS.contains(&last)),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::Channel;

    fn check(mappings: &str, rest: &str, word: &str) {
        let text = format!(
            r#"{{"address":{{"ip":"192.0.2.1"}},"db_name":"d","username":"u","password":"p","measurement":"m",
                "column_mappings":[{mappings}]{rest}}}"#
        );
        let why = Channel::read("INFLUXDB_FORWARDING", &text).map_or_else(|e| e.to_string(), |_| "sound".to_owned());
        assert!(why.contains(word), "{text}: {why}");
    }

    #[test]
    fn refusals_name_the_field() {
        let field = r#"{"column_name":"v","json_key":"a.b"}"#;
        let tag = r#"{"column_name":"d","json_key":"notify_data.header.device_id"}"#;
        check(field, "", "sound");
        check(&format!("{field},{tag}"), r#","token":"t","org":"o""#, "sound");
        check(tag, r#","tag_columns":[]"#, "sound");
        check(tag, "", "no tag");
        check(field, r#","tag_columns":["x"]"#, "'x'");
        check(field, r#","token":"t""#, "go together");
        check(field, r#","username":"a:b""#, "username");
        check("", "", "column_mappings");
    }
}
