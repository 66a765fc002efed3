//! Connections, statements and what PostgreSQL's errors mean to the platform.

use std::time::Duration;

use causeway_model::{Code, Error, Result};
use deadpool_postgres::{
    GenericClient, Hook, HookError, Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime,
};
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{FromSql, ToSql};
use tokio_postgres::{Client, Config, NoTls, Row};

/// Parameters of a statement.
pub(super) type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// What a statement answered, before it means anything to the platform.
pub(super) type Answer<T> = std::result::Result<T, tokio_postgres::Error>;

/// Waiting longer than this for a free connection is an overload.
const WAIT: Duration = Duration::from_secs(10);

/// Session settings of every connection. A node that hangs inside a transaction must not hold its locks for ever. Locks
/// are taken by one statement and relied on by the next, which must see what was committed until then.
const SESSION: &str = "SET idle_in_transaction_session_timeout = '30s';
    SET default_transaction_isolation = 'read committed';
    SET client_min_messages = warning";

/// Reads the URL and fills in what protects against a server that does not answer.
pub(super) fn config(url: &str) -> Result<Config> {
    let mut config: Config = url.parse().map_err(|e: tokio_postgres::Error| {
        Error::unavailable(format_args!("store.url is not a PostgreSQL URL: {}", with_causes(&e)))
    })?;
    if config.get_ssl_mode() == SslMode::Require {
        return Err(Error::new(
            Code::NotBuilt,
            "store.url asks for sslmode=require, but TLS to PostgreSQL is not built. Use a Unix socket, a private \
             network or a local TLS proxy, and sslmode=disable.",
        ));
    }
    if config.get_application_name().is_none() {
        config.application_name("causeway");
    }
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(Duration::from_secs(5));
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(Duration::from_secs(15));
    }
    config.keepalives_idle(Duration::from_secs(15));
    Ok(config)
}

/// A pool of at most `connections`; connects when asked for the first one.
pub(super) fn pool(config: Config, connections: u32) -> Result<Pool> {
    let manager = Manager::from_config(config, NoTls, ManagerConfig { recycling_method: RecyclingMethod::Fast });
    Pool::builder(manager)
        .max_size(connections.max(1) as usize)
        .runtime(Runtime::Tokio1)
        .wait_timeout(Some(WAIT))
        .post_create(Hook::async_fn(|client, _| {
            Box::pin(async move { client.batch_execute(SESSION).await.map_err(HookError::Backend) })
        }))
        .build()
        .map_err(|e| Error::internal(format_args!("cannot build the connection pool: {e}")))
}

/// A connection outside the pool; it ends when the client is dropped.
pub(super) async fn connect(config: &Config) -> Result<Client> {
    let (client, connection) = config.connect(NoTls).await.map_err(unreachable)?;
    tokio::spawn(async move {
        if let Err(e) = connection.await {
            tracing::debug!(error = %with_causes(&e), "a PostgreSQL connection ended");
        }
    });
    client.batch_execute(SESSION).await.map_err(unreachable)?;
    Ok(client)
}

/// No connection, whatever the reason: not there, refused, no such database, wrong password.
fn unreachable(error: tokio_postgres::Error) -> Error {
    Error::unavailable(format_args!("cannot connect to PostgreSQL: {}", with_causes(&error)))
}

/// A connection of the pool.
pub(super) async fn take(pool: &Pool) -> Result<Object> {
    pool.get().await.map_err(|e| Error::unavailable(format_args!("no connection to PostgreSQL: {}", with_causes(&e))))
}

/// All rows of a query.
pub(super) async fn rows<C: GenericClient>(client: &C, sql: &str, params: Params<'_>) -> Answer<Vec<Row>> {
    client.query(&client.prepare_cached(sql).await?, params).await
}

/// The row of a query that has one at most.
pub(super) async fn row<C: GenericClient>(client: &C, sql: &str, params: Params<'_>) -> Answer<Option<Row>> {
    client.query_opt(&client.prepare_cached(sql).await?, params).await
}

/// Runs a statement; how many rows it touched.
pub(super) async fn run<C: GenericClient>(client: &C, sql: &str, params: Params<'_>) -> Answer<u64> {
    client.execute(&client.prepare_cached(sql).await?, params).await
}

/// Reads the columns of a row in the order of its select list.
pub(super) struct Columns<'a> {
    row: &'a Row,
    next: usize,
}

impl<'a> Columns<'a> {
    pub(super) fn of(row: &'a Row) -> Self {
        Self { row, next: 0 }
    }

    /// The next column.
    pub(super) fn take<T: FromSql<'a>>(&mut self) -> Result<T> {
        let value = self.row.try_get(self.next).map_err(db)?;
        self.next += 1;
        Ok(value)
    }
}

/// The first column of a row.
pub(super) fn first<'a, T: FromSql<'a>>(row: &'a Row) -> Result<T> {
    Columns::of(row).take()
}

/// What a failed statement means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The values cannot be stored; the same ones will fail again.
    Data,
    /// Two transactions were in each other's way; the same one may succeed at once.
    Collision,
    /// The server does not answer or cannot serve now.
    Unavailable,
    /// Anything else: a fault of this program or of the schema.
    Fault,
}

/// Judges an error by its class of SQLSTATE (PostgreSQL, appendix A).
pub(super) fn trouble(error: &tokio_postgres::Error) -> Trouble {
    let Some(state) = error.code() else {
        // Without a SQLSTATE the connection broke, or a value could not be written or read.
        return if error.is_closed() || std::error::Error::source(error).is_some_and(|s| s.is::<std::io::Error>()) {
            Trouble::Unavailable
        } else {
            Trouble::Fault
        };
    };
    if *state == SqlState::T_R_DEADLOCK_DETECTED || *state == SqlState::T_R_SERIALIZATION_FAILURE {
        return Trouble::Collision;
    }
    match &state.code()[..2] {
        // Data exception (a NUL in a text is 22021), integrity constraint, program limit.
        "22" | "23" | "54" => Trouble::Data,
        // Connection, authorization, rollback, read-only, resources, not in a prerequisite state, intervention, system.
        "08" | "28" | "40" | "25" | "53" | "55" | "57" | "58" => Trouble::Unavailable,
        _ => Trouble::Fault,
    }
}

/// The error for the caller.
pub(super) fn db(error: tokio_postgres::Error) -> Error {
    let detail = with_causes(&error);
    match trouble(&error) {
        Trouble::Data if error.code() == Some(&SqlState::CHARACTER_NOT_IN_REPERTOIRE) => {
            Error::invalid("Invalid input. A text holds the character U+0000, which cannot be stored.")
                .with_detail(detail)
        }
        Trouble::Data if error.code().is_some_and(|s| !s.code().starts_with("23")) => {
            Error::invalid("Invalid input. A value is too long or out of range.").with_detail(detail)
        }
        Trouble::Collision | Trouble::Unavailable => Error::unavailable(detail),
        Trouble::Data | Trouble::Fault => Error::internal(detail),
    }
}

/// The error for the caller of a statement that may break a constraint: `code` and `message` then.
pub(super) fn db_or(error: tokio_postgres::Error, constraint: &SqlState, code: Code, message: &str) -> Error {
    if error.code() == Some(constraint) {
        Error::new(code, message).with_detail(with_causes(&error))
    } else {
        db(error)
    }
}

/// The error with all its causes in one line; tokio-postgres says "db error" and keeps the rest in the cause.
pub(super) fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(e) = cause {
        let more = e.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = e.source();
    }
    text
}
