//! `POSTGRESQL_FORWARDING`: each event is a row of a table. The server types the values: they are sent as text, and a
//! column's own rules read them.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use bytes::BytesMut;
use causeway_channels::PostgresqlForwarding;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_postgres::config::{ChannelBinding, SslMode};
use tokio_postgres::error::SqlState;
use tokio_postgres::tls::{ChannelBinding as Binding, NoTls, TlsConnect, TlsStream};
use tokio_postgres::types::{Format, IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, Config};
use tokio_util::task::AbortOnDropHandle;

use super::table::{BYTES, Inserter, Refusal, Row, insert_all, rows, rows_at_once};
use crate::document::Found;
use crate::net::{self, Net};
use crate::target::{Failure, Feeding, Item, Sent, Target};

const LINGER: Duration = Duration::from_millis(100);

/// See the module text.
pub(crate) struct PostgresqlTarget {
    net: Net,
    to: PostgresqlForwarding,
    host: String,
    port: u16,
    tls: Option<tokio_rustls::TlsConnector>,
    /// Kept between batches; one that failed is not put back.
    link: Mutex<Option<Link>>,
}

struct Link {
    client: Client,
    /// Moves the connection's bytes.
    _driver: AbortOnDropHandle<()>,
}

impl PostgresqlTarget {
    pub(crate) fn new(net: &Net, to: &PostgresqlForwarding) -> Result<Self, String> {
        let (host, port) = to.address.host_and_port(5432)?;
        let tls = match to.is_encrypted() {
            true => Some(tokio_rustls::TlsConnector::from(net::tls(to.ca_certificate.as_deref())?)),
            false => None,
        };
        Ok(Self { net: net.clone(), host: host.to_owned(), port, tls, link: Mutex::default(), to: to.clone() })
    }

    async fn connect(&self) -> Result<Link, Failure> {
        let stream = self.net.connect(&self.host, self.port).await?;
        let mut config = Config::new();
        config
            .user(&self.to.username)
            .password(self.to.password.as_str())
            .dbname(&self.to.db_name)
            .application_name("causeway")
            .channel_binding(ChannelBinding::Disable);
        let started = async {
            match &self.tls {
                None => {
                    config.ssl_mode(SslMode::Disable);
                    let (client, connection) = config.connect_raw(stream, NoTls).await?;
                    Ok(Link { client, _driver: drive(connection) })
                }
                Some(tls) => {
                    config.ssl_mode(SslMode::Require);
                    let tls = Tls { connector: tls.clone(), host: self.host.clone() };
                    let (client, connection) = config.connect_raw(stream, tls).await?;
                    Ok(Link { client, _driver: drive(connection) })
                }
            }
        };
        match tokio::time::timeout(self.net.timeout, started).await {
            Ok(started) => started.map_err(|error| self.trouble(&error)),
            Err(_) => Err(net::timed_out(&self.host, self.port)),
        }
    }

    fn trouble(&self, error: &tokio_postgres::Error) -> Failure {
        match error.as_db_error() {
            Some(db) => Failure {
                word: "refused",
                text: format!("{}:{} refuses: {} ({})", self.host, self.port, db.message(), db.code().code()),
            },
            None => {
                let cause = std::error::Error::source(error).map_or_else(String::new, |cause| format!(": {cause}"));
                net::unreachable(&self.host, self.port, format_args!("{error}{cause}"))
            }
        }
    }

    fn insertion(&self, rows: usize) -> String {
        let table: Vec<String> = self.to.table_parts().iter().map(|part| quoted(part)).collect();
        let columns: Vec<String> = self.to.column_mappings.iter().map(|m| quoted(&m.column_name)).collect();
        let mut sql = format!("INSERT INTO {} ({}) VALUES ", table.join("."), columns.join(", "));
        let mut number = 0;
        for row in 0..rows {
            sql.push_str(if row == 0 { "(" } else { ", (" });
            for column in 0..columns.len() {
                number += 1;
                sql.push_str(if column == 0 { "$" } else { ", $" });
                sql.push_str(&number.to_string());
            }
            sql.push(')');
        }
        sql
    }
}

/// An identifier, whatever it is.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn drive<T: TlsStream + Unpin + Send + 'static>(
    connection: tokio_postgres::Connection<TcpStream, T>,
) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(async move {
        // The client's calls fail with what ended it.
        let _ = connection.await;
    }))
}

#[async_trait]
impl Target for PostgresqlTarget {
    fn feeding(&self) -> Feeding {
        Feeding::Batches { rows: rows_at_once(self.to.column_mappings.len()), bytes: BYTES, linger: LINGER }
    }

    async fn send(&self, items: &[Item]) -> Sent {
        let kept = self.link.lock().take().filter(|link| !link.client.is_closed());
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
    target: &'t PostgresqlTarget,
    link: Link,
}

#[async_trait]
impl<'a> Inserter<Row<'a>> for Insertion<'_> {
    async fn insert(&mut self, rows: &[Row<'a>]) -> Result<(), Refusal> {
        let target = self.target;
        let cells: Vec<Cell<'_>> = rows.iter().flatten().map(|value| Cell(value.as_ref())).collect();
        let values: Vec<&(dyn ToSql + Sync)> = cells.iter().map(|cell| cell as _).collect();
        let sql = target.insertion(rows.len());
        match tokio::time::timeout(target.net.timeout, self.link.client.execute(&sql, &values)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => match error.as_db_error() {
                Some(db) if is_about_data(db.code()) => {
                    Err(Refusal::Data(format!("{} ({})", db.message(), db.code().code())))
                }
                _ => Err(Refusal::Trouble(target.trouble(&error))),
            },
            Err(_) => Err(Refusal::Trouble(net::timed_out(&target.host, target.port))),
        }
    }
}

/// Classes 22 (data exception) and 23 (integrity constraint), a trigger's own refusal, and a row that is too big.
fn is_about_data(code: &SqlState) -> bool {
    let text = code.code();
    text.starts_with("22") || text.starts_with("23") || text == "P0001" || text == "54000"
}

/// A value that the server reads as its column would a literal.
#[derive(Debug)]
struct Cell<'a>(Option<&'a Found<'a>>);

impl ToSql for Cell<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        let Some(found) = self.0 else { return Ok(IsNull::Yes) };
        let is_number =
            matches!(*ty, Type::INT2 | Type::INT4 | Type::INT8 | Type::FLOAT4 | Type::FLOAT8 | Type::NUMERIC);
        match found {
            Found::Bool(yes) if is_number => out.extend_from_slice(if *yes { b"1" } else { b"0" }),
            Found::Bool(yes) => out.extend_from_slice(if *yes { b"true" } else { b"false" }),
            Found::Number(text) | Found::Json(text) => out.extend_from_slice(text.as_bytes()),
            Found::Text(text) if matches!(*ty, Type::JSON | Type::JSONB) => {
                out.extend_from_slice(serde_json::to_string(text)?.as_bytes());
            }
            Found::Text(text) => out.extend_from_slice(text.as_bytes()),
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}

/// TLS for the client, which asks for it by a trait of its own.
struct Tls {
    connector: tokio_rustls::TlsConnector,
    host: String,
}

impl TlsConnect<TcpStream> for Tls {
    type Stream = Secure;
    type Error = std::io::Error;
    type Future = BoxFuture<'static, std::io::Result<Secure>>;

    fn connect(self, stream: TcpStream) -> Self::Future {
        Box::pin(async move {
            let name = ServerName::try_from(self.host).map_err(std::io::Error::other)?;
            Ok(Secure(Box::new(self.connector.connect(name, stream).await?)))
        })
    }
}

/// An encrypted connection.
struct Secure(Box<tokio_rustls::client::TlsStream<TcpStream>>);

impl TlsStream for Secure {
    fn channel_binding(&self) -> Binding {
        Binding::none()
    }
}

impl AsyncRead for Secure {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut *self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Secure {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut *self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut *self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut *self.0).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use causeway_channels::Channel;
    use causeway_platform::settings::PushSettings;

    use super::*;

    #[test]
    fn identifiers_are_quoted() {
        let text = r#"{"address":{"ip":"192.0.2.1"},"db_name":"d","username":"u","password":"p","table_name":"s.t\"x",
            "column_mappings":[{"column_name":"a","json_key":"x"},{"column_name":"B c","json_key":"y"}]}"#;
        let Ok(Channel::Postgresql(to)) = Channel::read("POSTGRESQL_FORWARDING", text) else { panic!("sound") };
        let target = PostgresqlTarget::new(&Net::new(&PushSettings::default()), &to).expect("made");
        assert_eq!(target.insertion(2), r#"INSERT INTO "s"."t""x" ("a", "B c") VALUES ($1, $2), ($3, $4)"#);
    }

    #[test]
    fn values_are_written_as_their_column_reads_them() {
        let check = |found: Option<Found<'_>>, ty: Type, expected: &str| {
            let mut out = BytesMut::new();
            Cell(found.as_ref()).to_sql(&ty, &mut out).expect("written");
            assert_eq!(out, expected.as_bytes());
        };
        check(Some(Found::Bool(true)), Type::INT4, "1");
        check(Some(Found::Bool(true)), Type::BOOL, "true");
        check(Some(Found::Number("23.10")), Type::NUMERIC, "23.10");
        check(Some(Found::Text("a".into())), Type::JSONB, "\"a\"");
        check(Some(Found::Text("a".into())), Type::TEXT, "a");
        check(Some(Found::Json("[1]")), Type::JSONB, "[1]");
        check(None, Type::TEXT, "");
    }
}
