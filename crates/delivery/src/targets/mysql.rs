//! `MYSQL_FORWARDING`: each event is a row of a table of MySQL or MariaDB. The server types the values, strictly: what
//! does not fit its column is refused and not cut.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use causeway_channels::MysqlForwarding;
use causeway_model::Timestamp;
use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Error, Opts, OptsBuilder, Params, SslOpts, Value};
use parking_lot::Mutex;

use super::table::{BYTES, Inserter, Refusal, Row, insert_all, rows, rows_at_once};
use crate::document::Found;
use crate::net::{self, Net};
use crate::target::{Failure, Feeding, Item, Sent, Target};

const LINGER: Duration = Duration::from_millis(100);

/// See the module text.
pub(crate) struct MysqlTarget {
    net: Net,
    to: MysqlForwarding,
    host: String,
    port: u16,
    tls: Option<SslOpts>,
    /// Kept between batches; one that failed is not put back.
    link: Mutex<Option<Link>>,
}

struct Link {
    conn: Conn,
    /// How values of each mapping are written.
    columns: Vec<Column>,
}

/// What a column's type asks of the text of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    /// Nothing.
    Plain,
    /// Characters: true is `true` and not 1.
    Text,
    /// A time, which MySQL does not read in our form.
    Time,
    /// JSON: a text needs its quotes.
    Json,
}

impl Column {
    fn of(data_type: &str) -> Self {
        match data_type.to_ascii_lowercase().as_str() {
            "char" | "varchar" | "enum" | "set" => Self::Text,
            "datetime" | "timestamp" | "date" | "time" => Self::Time,
            "json" => Self::Json,
            text if text.ends_with("text") => Self::Text,
            _ => Self::Plain,
        }
    }

    fn value(self, found: Option<&Found<'_>>) -> Value {
        match (self, found) {
            (_, None) => Value::NULL,
            (Self::Text | Self::Json, Some(Found::Bool(yes))) => Value::Bytes(yes.to_string().into_bytes()),
            (_, Some(Found::Bool(yes))) => Value::Int(i64::from(*yes)),
            (_, Some(Found::Number(text) | Found::Json(text))) => Value::Bytes(text.as_bytes().to_vec()),
            (Self::Json, Some(Found::Text(text))) => {
                Value::Bytes(serde_json::Value::from(&**text).to_string().into_bytes())
            }
            (Self::Time, Some(Found::Text(text))) => {
                let time = Timestamp::parse(text).map(|at| at.millis().replace('T', " ").replace('Z', ""));
                Value::Bytes(time.unwrap_or_else(|| text.to_string()).into_bytes())
            }
            (_, Some(Found::Text(text))) => Value::Bytes(text.as_bytes().to_vec()),
        }
    }
}

impl MysqlTarget {
    pub(crate) fn new(net: &Net, to: &MysqlForwarding) -> Result<Self, String> {
        let (host, port) = to.address.host_and_port(3306)?;
        let tls = match to.enable_ssl {
            Some(true) => {
                let roots = net::authorities(to.ca_certificate.as_deref())?;
                let roots = roots.iter().map(|root| root.to_vec().into()).collect();
                let options = SslOpts::default().with_disable_built_in_roots(true).with_root_certs(roots);
                // Connections go to an address that was resolved and judged before; the certificate is the name's.
                Some(options.with_danger_tls_hostname_override(Some(host.to_owned())))
            }
            _ => None,
        };
        Ok(Self { net: net.clone(), host: host.to_owned(), port, tls, link: Mutex::default(), to: to.clone() })
    }

    async fn connect(&self) -> Result<Link, Failure> {
        let mut last = None;
        for address in self.net.resolve(&self.host, self.port).await? {
            let options: Opts = OptsBuilder::default()
                .ip_or_hostname(address.ip().to_string())
                .tcp_port(self.port)
                // A server may not send the platform to a socket of its own machine.
                .prefer_socket(Some(false))
                .user(Some(&self.to.username))
                .pass(Some(self.to.password.as_str()))
                .db_name(Some(&self.to.db_name))
                .ssl_opts(self.tls.clone())
                .stmt_cache_size(Some(16))
                .setup(vec!["SET SESSION sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES'), time_zone = '+00:00'"])
                .into();
            let ready = async {
                let mut conn = Conn::new(options).await?;
                let columns = self.columns(&mut conn).await?;
                Ok(Link { conn, columns })
            };
            match tokio::time::timeout(self.net.timeout, ready).await {
                Ok(Ok(link)) => return Ok(link),
                Ok(Err(error)) => last = Some(self.trouble(&error)),
                Err(_) => last = Some(net::timed_out(&self.host, self.port)),
            }
        }
        Err(last.unwrap_or_else(|| net::unreachable(&self.host, self.port, "the name has no address")))
    }

    async fn columns(&self, conn: &mut Conn) -> Result<Vec<Column>, Error> {
        let sql = "SELECT LOWER(COLUMN_NAME), DATA_TYPE FROM information_schema.COLUMNS \
                   WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ?";
        let found: Vec<(String, String)> = conn.exec(sql, (&self.to.table_name,)).await?;
        let types: HashMap<String, String> = found.into_iter().collect();
        let column =
            |name: &str| types.get(&name.to_lowercase()).map_or(Column::Plain, |data_type| Column::of(data_type));
        Ok(self.to.column_mappings.iter().map(|m| column(&m.column_name)).collect())
    }

    fn trouble(&self, error: &Error) -> Failure {
        match error {
            Error::Server(server) => Failure {
                word: "refused",
                text: format!("{}:{} refuses: {} ({})", self.host, self.port, server.message, server.code),
            },
            error => net::unreachable(&self.host, self.port, error),
        }
    }

    fn insertion(&self, rows: usize) -> String {
        let columns: Vec<String> = self.to.column_mappings.iter().map(|m| quoted(&m.column_name)).collect();
        let row = format!("({})", vec!["?"; columns.len()].join(", "));
        let rows = vec![row; rows].join(", ");
        format!("INSERT INTO {} ({}) VALUES {rows}", quoted(&self.to.table_name), columns.join(", "))
    }
}

/// An identifier, whatever it is.
fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

#[async_trait]
impl Target for MysqlTarget {
    fn feeding(&self) -> Feeding {
        Feeding::Batches { rows: rows_at_once(self.to.column_mappings.len()), bytes: BYTES, linger: LINGER }
    }

    async fn send(&self, items: &[Item]) -> Sent {
        let kept = self.link.lock().take();
        let link = match kept {
            Some(link) => link,
            None => match self.connect().await {
                Ok(link) => link,
                Err(failure) => return Sent { failure: Some(failure), ..Sent::default() },
            },
        };
        let mut insertion = Insertion { target: self, link };
        let sent = insert_all(&mut insertion, &rows(items, &self.to.column_mappings)).await;
        if sent.failure.is_none() {
            *self.link.lock() = Some(insertion.link);
        }
        sent
    }
}

struct Insertion<'t> {
    target: &'t MysqlTarget,
    link: Link,
}

#[async_trait]
impl<'a> Inserter<Row<'a>> for Insertion<'_> {
    async fn insert(&mut self, rows: &[Row<'a>]) -> Result<(), Refusal> {
        let target = self.target;
        let columns = &self.link.columns;
        let values =
            rows.iter().flat_map(|row| row.iter().zip(columns)).map(|(found, column)| column.value(found.as_ref()));
        let values = Params::Positional(values.collect());
        let sql = target.insertion(rows.len());
        match tokio::time::timeout(target.net.timeout, self.link.conn.exec_drop(sql, values)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(Error::Server(server))) if is_about_data(server.code, &server.state) => {
                Err(Refusal::Data(format!("{} ({})", server.message, server.code)))
            }
            Ok(Err(error)) => Err(Refusal::Trouble(target.trouble(&error))),
            Err(_) => Err(Refusal::Trouble(net::timed_out(&target.host, target.port))),
        }
    }
}

/// SQLSTATE classes 22 (data exception) and 23 (integrity constraint), a trigger's own refusal (1644), and those that the
/// servers file elsewhere: 1265 truncated, 1364 no default, 1366 incorrect value, 1367 illegal value, 1411 incorrect time,
/// 3819 and 4025 check constraint, 4038 JSON.
fn is_about_data(code: u16, state: &str) -> bool {
    state.starts_with("22")
        || state.starts_with("23")
        || matches!(code, 1265 | 1364 | 1366 | 1367 | 1411 | 1644 | 3819 | 4025 | 4038)
}

#[cfg(test)]
mod tests {
    use causeway_channels::Channel;
    use causeway_platform::settings::PushSettings;

    use super::*;

    #[test]
    fn identifiers_are_quoted() {
        let text = r#"{"address":{"ip":"192.0.2.1"},"db_name":"d","username":"u","password":"p","table_name":"t`x",
            "column_mappings":[{"column_name":"a","json_key":"x"},{"column_name":"B c","json_key":"y"}]}"#;
        let Ok(Channel::Mysql(to)) = Channel::read("MYSQL_FORWARDING", text) else { panic!("sound") };
        let target = MysqlTarget::new(&Net::new(&PushSettings::default()), &to).expect("made");
        assert_eq!(target.insertion(2), "INSERT INTO `t``x` (`a`, `B c`) VALUES (?, ?), (?, ?)");
    }

    #[test]
    fn values_are_written_as_their_column_reads_them() {
        let check = |data_type: &str, found: Option<Found<'_>>, expected: Value| {
            assert_eq!(Column::of(data_type).value(found.as_ref()), expected);
        };
        let bytes = |text: &str| Value::Bytes(text.as_bytes().to_vec());
        check("tinyint", Some(Found::Bool(true)), Value::Int(1));
        check("varchar", Some(Found::Bool(true)), bytes("true"));
        check("LONGTEXT", Some(Found::Json("{}")), bytes("{}"));
        check("json", Some(Found::Text("a".into())), bytes("\"a\""));
        check("datetime", Some(Found::Text("20151212T121213Z".into())), bytes("2015-12-12 12:12:13.000"));
        check("datetime", Some(Found::Text("yesterday".into())), bytes("yesterday"));
        check("decimal", Some(Found::Number("23.10")), bytes("23.10"));
        check("int", None, Value::NULL);
    }
}
