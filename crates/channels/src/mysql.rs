//! Tables of MySQL and MariaDB.

use crate::field::length;
use crate::table::{certificate, identifier, mappings};
use crate::{ColumnMapping, NetAddress, Secret};

channel! {
    /// Writes each event as a row into a table of MySQL or MariaDB.
    pub struct MysqlForwarding in "MYSQL_FORWARDING" "mysql_forwarding" {
        /// The server; port 3306 when none is said.
        address: NetAddress,
        /// The database.
        db_name: String,
        /// The user.
        username: String,
        /// The user's password.
        password: Secret,
        /// Whether the connection is encrypted; the server's certificate is then checked.
        enable_ssl: Option<bool>,
        /// The table.
        table_name: String,
        /// Which column gets which value.
        column_mappings: Vec<ColumnMapping>,
        /// Own addition: certificates (PEM) that vouch for the server; without them the system's authorities do.
        ca_certificate: Option<String>,
    }
    check |c| {
        c.address.host_and_port(3306)?;
        identifier("db_name", &c.db_name, 64)?;
        length("username", &c.username, 1, 128)?;
        length("password", c.password.as_str(), 0, 256)?;
        identifier("table_name", &c.table_name, 64)?;
        certificate("ca_certificate", c.ca_certificate.as_deref())?;
        mappings(&c.column_mappings, 64)
    }
}

#[cfg(test)]
mod tests {
    use crate::Channel;

    const SOUND: &str = r#"{"address":{"ip":"192.0.2.1","port":3306},"db_name":"d","username":"u","password":"p",
        "table_name":"t","column_mappings":[{"column_name":"a","json_key":"notify_data.header.device_id"}]}"#;

    fn check(change: (&str, &str), word: &str) {
        let changed = SOUND.replace(change.0, change.1);
        assert_ne!(changed, SOUND, "the change is one");
        let why = Channel::read("MYSQL_FORWARDING", &changed).expect_err(&changed).to_string();
        assert!(why.contains(word), "{why}");
    }

    #[test]
    fn a_table_is_read_and_its_password_not_shown() {
        let channel = Channel::read("MYSQL_FORWARDING", SOUND).expect("sound");
        assert!(!channel.shown().to_string().contains("password"));
        assert!(channel.to_json().contains(r#""password":"p""#));
    }

    #[test]
    fn refusals_name_the_field() {
        check((r#""ip":"192.0.2.1","#, r#""domain":"a b","#), "domain");
        check((r#""db_name":"d""#, r#""db_name":"""#), "db_name");
        check((r#""table_name":"t""#, "\"table_name\":\"a\\u0000\""), "table_name");
        check((r#""column_name":"a""#, r#""column_name":"""#), "column_name");
        check((r#"[{"column_name":"a","json_key":"notify_data.header.device_id"}]"#, "[]"), "column_mappings");
        check((r#"[{"#, r#"[{"column_name":"a","json_key":"b"},{"#), "twice");
        check((r#""username":"u","#, ""), "username");
    }
}
