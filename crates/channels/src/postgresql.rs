//! Tables of PostgreSQL. The vendor has no such channel; the name is ours.

use crate::field::length;
use crate::table::{certificate, identifier, mappings};
use crate::{ColumnMapping, NetAddress, Secret};

channel! {
    /// Writes each event as a row into a table of PostgreSQL.
    pub struct PostgresqlForwarding in "POSTGRESQL_FORWARDING" "postgresql_forwarding" {
        /// The server; port 5432 when none is said.
        address: NetAddress,
        /// The database.
        db_name: String,
        /// The role.
        username: String,
        /// The role's password.
        password: Secret,
        /// Whether the connection is encrypted: the same as `sslmode` `verify-full`.
        enable_ssl: Option<bool>,
        /// `disable`, or `verify-full` (encrypted, and the server's certificate is checked).
        sslmode: Option<String>,
        /// The table, or `schema.table`.
        table_name: String,
        /// Which column gets which value.
        column_mappings: Vec<ColumnMapping>,
        /// Certificates (PEM) that vouch for the server; without them the system's authorities do.
        ca_certificate: Option<String>,
    }
    check |c| {
        c.address.host_and_port(5432)?;
        identifier("db_name", &c.db_name, 63)?;
        length("username", &c.username, 1, 63)?;
        length("password", c.password.as_str(), 0, 256)?;
        for part in c.table_parts() {
            identifier("table_name", part, 63)?;
        }
        match (c.sslmode.as_deref(), c.enable_ssl) {
            (None, _) | (Some("disable"), None | Some(false)) | (Some("verify-full"), None | Some(true)) => {}
            (Some("disable" | "verify-full"), _) => return Err("'sslmode' and 'enable_ssl' contradict each other".to_owned()),
            _ => return Err("'sslmode' must be disable or verify-full".to_owned()),
        }
        certificate("ca_certificate", c.ca_certificate.as_deref())?;
        mappings(&c.column_mappings, 63)
    }
}

impl PostgresqlForwarding {
    /// Whether the connection is encrypted.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.enable_ssl == Some(true) || self.sslmode.as_deref() == Some("verify-full")
    }

    /// The table, after its schema when one is said.
    #[must_use]
    pub fn table_parts(&self) -> Vec<&str> {
        self.table_name.splitn(2, '.').collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::Channel;

    fn check(rest: &str, word: &str) {
        let text = format!(
            r#"{{"address":{{"domain":"db.example"}},"db_name":"d","username":"u","password":"p",
                "column_mappings":[{{"column_name":"a","json_key":"b"}}],{rest}}}"#
        );
        let why = Channel::read("POSTGRESQL_FORWARDING", &text).map_or_else(|e| e.to_string(), |_| "sound".to_owned());
        assert!(why.contains(word), "{text}: {why}");
    }

    #[test]
    fn refusals_name_the_field() {
        check(r#""table_name":"s.t","sslmode":"verify-full","enable_ssl":true"#, "sound");
        check(r#""table_name":"s.""#, "'table_name'");
        check(r#""table_name":"t","sslmode":"prefer""#, "'sslmode'");
        check(r#""table_name":"t","sslmode":"disable","enable_ssl":true"#, "contradict");
        check(r#""table_name":"t","ca_certificate":"x""#, "'ca_certificate'");
    }
}
