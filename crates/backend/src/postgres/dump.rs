//! Logical backup: all tables in one consistent picture, as a stream.
//!
//! ```text
//! causeway-postgres 1 schema <version> LF
//! for each table:    table <name> <column>,<column>,… LF
//!                    chunks of COPY text: u32 length (big endian), bytes; length 0 ends them; u64 number of rows
//! for each numbered: sequence <table> <column> <last number given out> LF
//! end LF
//! ```
//!
//! The stream can be written while nodes serve. It is read back into an empty database only.

use causeway_model::{Error, Result};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio_postgres::{Client, IsolationLevel, Transaction};

use super::connection::{config, connect, db, first};
use super::schema;

const MAGIC: &str = "causeway-postgres 1 schema";

/// Every table that is dumped, owners before what refers to them. The schema version is in the head.
const TABLES: &[&str] = &[
    "instance",
    "app",
    "product",
    "product_topic",
    "device",
    "device_token",
    "device_tag",
    "device_group",
    "group_member",
    "shadow",
    "history",
    "history_purge",
    "message",
    "target",
    "push_target",
    "outbox",
    "session",
    "retained",
    "iam_user",
    "access_key",
    "device_policy",
    "device_policy_target",
    "amqp_queue",
    "access_code",
    "routing_rule",
    "routing_action",
    "backlog_policy",
    "flow_control_policy",
    "iam_group",
    "iam_member",
    "iam_policy",
    "iam_grant",
    "file",
    "object_garbage",
    "ota_module",
    "ota_package",
    "audit_log",
    "provisioning_template",
    "ca_certificate",
    "device_certificate",
    "server_certificate",
    "batch_task",
    "batch_target",
    "batch_file",
    "export_task",
    "gateway_list",
    "gateway_child",
    "device_log",
    "log_config",
    "scan_result",
    "linkage_rule",
    "linkage_state",
    "linkage_timer",
    "linkage_command",
    "function",
    "alarm",
    "notification_topic",
    "subscription",
];

/// A chunk is written when it has so many bytes; one row may make it longer.
const CHUNK: usize = 64 << 10;

/// A longer line is none of ours.
const LONGEST_LINE: u64 = 4096;

fn unwritable(error: std::io::Error) -> Error {
    Error::unavailable(format_args!("cannot write the backup: {error}"))
}

fn unreadable(error: std::io::Error) -> Error {
    Error::unavailable(format_args!("cannot read the backup: {error}"))
}

fn damaged(what: &str) -> Error {
    Error::invalid(format!("The backup is damaged or of another program: {what}."))
}

/// Writes all tables of the database that `url` names to `out`, as they are at one instant; returns the number of rows.
/// Nodes may go on serving. `out` is flushed, not closed.
///
/// # Errors
/// The database does not answer or is of another schema version than this program's; `out` cannot be written.
pub async fn dump(url: &str, out: &mut (impl AsyncWrite + Unpin + Send)) -> Result<u64> {
    let mut client = connect(&config(url)?).await?;
    let transaction = client
        .build_transaction()
        .isolation_level(IsolationLevel::RepeatableRead)
        .read_only(true)
        .start()
        .await
        .map_err(db)?;
    let version: i32 = first(&transaction.query_one("SELECT version FROM schema_version", &[]).await.map_err(db)?)?;
    if version != schema::CURRENT {
        return Err(Error::unavailable(format_args!(
            "the database has schema version {version}, this program writes backups of version {}",
            schema::CURRENT
        )));
    }
    out.write_all(format!("{MAGIC} {version}\n").as_bytes()).await.map_err(unwritable)?;
    let mut total = 0;
    for table in TABLES {
        total += dump_table(&transaction, table, out).await?;
    }
    for (table, column) in numbered(&transaction).await? {
        let sql = format!("SELECT last_value FROM pg_sequences
            WHERE format('%I.%I', schemaname, sequencename)::regclass = pg_get_serial_sequence('{table}', '{column}')::regclass");
        let last: Option<i64> = first(&transaction.query_one(&sql, &[]).await.map_err(db)?)?;
        if let Some(last) = last {
            out.write_all(format!("sequence {table} {column} {last}\n").as_bytes()).await.map_err(unwritable)?;
        }
    }
    out.write_all(b"end\n").await.map_err(unwritable)?;
    out.flush().await.map_err(unwritable)?;
    Ok(total)
}

/// The columns that number their rows themselves.
async fn numbered(transaction: &Transaction<'_>) -> Result<Vec<(String, String)>> {
    let sql = "SELECT table_name::text, column_name::text FROM information_schema.columns
        WHERE table_schema = current_schema() AND is_identity = 'YES' ORDER BY 1, 2";
    let rows = transaction.query(sql, &[]).await.map_err(db)?;
    rows.iter().map(|r| Ok((r.try_get(0).map_err(db)?, r.try_get(1).map_err(db)?))).collect()
}

async fn dump_table(
    transaction: &Transaction<'_>,
    table: &str,
    out: &mut (impl AsyncWrite + Unpin + Send),
) -> Result<u64> {
    let sql = "SELECT string_agg(column_name, ',' ORDER BY ordinal_position) FROM information_schema.columns
        WHERE table_schema = current_schema() AND table_name = $1";
    let columns: Option<String> = first(&transaction.query_one(sql, &[&table]).await.map_err(db)?)?;
    let columns = columns.ok_or_else(|| Error::internal(format_args!("the database has no table {table}")))?;
    out.write_all(format!("table {table} {columns}\n").as_bytes()).await.map_err(unwritable)?;
    let copy = transaction.copy_out(&format!("COPY {table} ({columns}) TO STDOUT")).await.map_err(db)?;
    let mut copy = std::pin::pin!(copy);
    let mut chunk = Vec::with_capacity(2 * CHUNK);
    let mut rows: u64 = 0;
    while let Some(row) = copy.next().await {
        chunk.extend_from_slice(&row.map_err(db)?);
        rows += 1;
        if chunk.len() >= CHUNK {
            write_chunk(out, &mut chunk).await?;
        }
    }
    if !chunk.is_empty() {
        write_chunk(out, &mut chunk).await?;
    }
    out.write_u32(0).await.map_err(unwritable)?;
    out.write_u64(rows).await.map_err(unwritable)?;
    Ok(rows)
}

async fn write_chunk(out: &mut (impl AsyncWrite + Unpin), chunk: &mut Vec<u8>) -> Result<()> {
    let length = u32::try_from(chunk.len()).map_err(|_| Error::internal("a row is larger than 4 GB"))?;
    out.write_u32(length).await.map_err(unwritable)?;
    out.write_all(chunk).await.map_err(unwritable)?;
    chunk.clear();
    Ok(())
}

/// Reads what [`dump`] wrote into the empty database that `url` names, brings it up to this program's schema, and
/// returns the number of rows. A failure leaves the database without rows. Reads to the end of the dump and may read
/// ahead of it.
///
/// # Errors
/// The input is damaged, cut off or of a newer program; the database is not empty or does not answer.
pub async fn load(url: &str, input: &mut (impl AsyncRead + Unpin + Send)) -> Result<u64> {
    let mut input = BufReader::new(input);
    let head = line(&mut input).await?;
    let version: i32 = head
        .strip_prefix(MAGIC)
        .and_then(|v| v.trim().parse().ok())
        .filter(|v| *v >= 1)
        .ok_or_else(|| damaged("its first line is unknown"))?;
    if version > schema::CURRENT {
        return Err(Error::invalid(format!(
            "The backup has schema version {version}, this program knows versions up to {}. Use a newer program.",
            schema::CURRENT
        )));
    }
    let mut client = connect(&config(url)?).await?;
    if !is_empty(&client).await? {
        return Err(Error::invalid("The database is not empty. Restore into a newly created one."));
    }
    schema::advance(&mut client, version).await?;
    let total = load_rows(&mut client, version, &mut input).await?;
    schema::migrate(&mut client).await?;
    client.batch_execute("ANALYZE").await.map_err(db)?;
    Ok(total)
}

/// Whether the database has no table, or none with rows.
async fn is_empty(client: &Client) -> Result<bool> {
    let sql = "SELECT table_name::text FROM information_schema.tables
        WHERE table_schema = current_schema() AND table_type = 'BASE TABLE' AND table_name <> 'schema_version'";
    for row in &client.query(sql, &[]).await.map_err(db)? {
        let sql = format!("SELECT EXISTS (SELECT 1 FROM \"{}\")", first::<&str>(row)?.replace('"', "\"\""));
        if first(&client.query_one(&sql, &[]).await.map_err(db)?)? {
            return Ok(false);
        }
    }
    Ok(true)
}

async fn load_rows(client: &mut Client, version: i32, input: &mut (impl AsyncBufRead + Unpin + Send)) -> Result<u64> {
    let transaction = client.transaction().await.map_err(db)?;
    let found: i32 = first(&transaction.query_one("SELECT version FROM schema_version", &[]).await.map_err(db)?)?;
    if found != version {
        return Err(Error::invalid(format!(
            "The database has schema version {found} and the backup {version}. Restore into a newly created database."
        )));
    }
    let mut total = 0;
    loop {
        let line = line(input).await?;
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["table", table, columns] if is_name(table) && columns.split(',').all(is_name) => {
                total += load_table(&transaction, table, columns, input).await?;
            }
            ["sequence", table, column, last] if is_name(table) && is_name(column) => {
                let last: i64 = last.parse().map_err(|_| damaged("a sequence has no number"))?;
                let sql = format!("SELECT setval(pg_get_serial_sequence('{table}', '{column}'), $1)");
                transaction.query_one(&sql, &[&last]).await.map_err(db)?;
            }
            ["end"] => break,
            _ => return Err(damaged("a line is unknown")),
        }
    }
    transaction.commit().await.map_err(db)?;
    Ok(total)
}

/// Names in our schema need no quotes; nothing else may reach a statement.
fn is_name(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

async fn load_table(
    transaction: &Transaction<'_>,
    table: &str,
    columns: &str,
    input: &mut (impl AsyncBufRead + Unpin + Send),
) -> Result<u64> {
    let sink = transaction.copy_in(&format!("COPY {table} ({columns}) FROM STDIN")).await.map_err(db)?;
    let mut sink = std::pin::pin!(sink);
    loop {
        let length = input.read_u32().await.map_err(unreadable)?;
        if length == 0 {
            break;
        }
        // Grows with what really comes, so that a damaged length asks for no memory.
        let mut chunk = Vec::new();
        let read = (&mut *input).take(u64::from(length)).read_to_end(&mut chunk).await.map_err(unreadable)?;
        if read != length as usize {
            return Err(damaged("it ends early"));
        }
        sink.send(bytes::Bytes::from(chunk)).await.map_err(db)?;
    }
    let expected = input.read_u64().await.map_err(unreadable)?;
    let rows = sink.finish().await.map_err(db)?;
    if rows == expected { Ok(rows) } else { Err(damaged("a table has lost rows")) }
}

/// The next line, without its end.
async fn line(input: &mut (impl AsyncBufRead + Unpin + Send)) -> Result<String> {
    let mut line = Vec::new();
    (&mut *input).take(LONGEST_LINE).read_until(b'\n', &mut line).await.map_err(unreadable)?;
    if line.pop() != Some(b'\n') {
        return Err(damaged("a line has no end"));
    }
    String::from_utf8(line).map_err(|_| damaged("a line is not text"))
}
