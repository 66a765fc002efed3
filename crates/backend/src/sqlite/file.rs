//! Files of devices and applications.

use async_trait::async_trait;
use causeway_model::file::{
    File, FileAttributes, FileFilter, FileSource, FileState, ObjectKey, Transfer, TransferResult,
};
use causeway_model::registry::{Page, PageRequest};
use causeway_model::{AppId, Code, DeviceId, DeviceNo, Error, FileId, ProductId, RecordNo, Result, Timestamp};
use causeway_platform::file::{FileContent, FileLimits, FileStore};
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params, params_from_iter};

use super::app::{in_spaces, require_app};
use super::error::Outcome;
use super::{INSTANCE, SqliteStore};
use crate::rows;

macro_rules! file_sql {
    ($($tail:tt)*) => {
        concat!(
            "SELECT f.no, f.id, a.id, f.source, d.id, p.id, f.name, f.key, f.announced_hash, f.announced_size, f.size, \
             f.sha256, f.state, f.created_at, f.expires_at, f.stored_at, f.upload, f.download \
             FROM file f JOIN app a ON a.no = f.app LEFT JOIN device d ON d.no = f.device \
             LEFT JOIN product p ON p.no = f.product ",
            $($tail)*
        )
    };
}

/// What a device may download, its number being `?1`. The space's files are for all its devices when they name neither
/// device nor product.
macro_rules! readable_sql {
    ($($tail:tt)*) => {
        concat!(
            "JOIN device w ON w.no = ?1 WHERE f.app = w.app AND (f.device = w.no OR (f.device IS NULL AND \
             (f.product = w.product OR f.product IS NULL))) ",
            $($tail)*
        )
    };
}

fn read_file(row: &Row<'_>) -> Outcome<File> {
    let text = |column| row.get_ref(column)?.as_str().map_err(rusqlite::Error::from);
    let size = |column| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(column)?.map(i64::unsigned_abs));
    let transfer = |column| {
        let kept: Option<String> = row.get(column)?;
        Ok::<_, super::error::Failure>(rows::transfer(kept.as_deref())?)
    };
    Ok(File {
        no: RecordNo(row.get(0)?),
        id: FileId::trusted(row.get::<_, String>(1)?),
        app_id: AppId::trusted(row.get::<_, String>(2)?),
        source: rows::file_source(text(3)?)?,
        device_id: row.get::<_, Option<String>>(4)?.map(DeviceId::trusted),
        product_id: row.get::<_, Option<String>>(5)?.map(ProductId::trusted),
        name: row.get(6)?,
        key: rows::object_key(text(7)?)?,
        announced: FileAttributes { hash_code: row.get(8)?, size: size(9)? },
        size: size(10)?,
        sha256: row.get(11)?,
        state: rows::file_state(text(12)?)?,
        created_at: Timestamp(row.get(13)?),
        expires_at: Timestamp(row.get(14)?),
        stored_at: row.get::<_, Option<i64>>(15)?.map(Timestamp),
        upload: transfer(16)?,
        download: transfer(17)?,
    })
}

fn read_files(conn: &Connection, sql: &str, params: impl rusqlite::Params) -> Outcome<Vec<File>> {
    conn.prepare_cached(sql)?.query_and_then(params, read_file)?.collect()
}

/// Makes room among the owner's files that have no content, and refuses when there are too many with one.
fn check_limits(conn: &Connection, file: &File, app: i64, device: Option<DeviceNo>, limits: FileLimits) -> Outcome<()> {
    // `IS` compares nulls too; a file of the applications counts for the space whoever it is for.
    let (owned, owner) = match file.source {
        FileSource::Device => ("source = 'DEVICE' AND device = ?1", device.map_or(0, |d| d.0)),
        FileSource::Application => ("source = 'APPLICATION' AND app = ?1", app),
    };
    let stored: i64 = conn
        .prepare_cached(&format!("SELECT count(*) FROM file WHERE {owned} AND state = 'STORED'"))?
        .query_row([owner], |row| row.get(0))?;
    if stored >= i64::from(limits.files) {
        return Err(Error::new(
            Code::TooManyFiles,
            format!("There are {} files already, which is the limit. Delete some first.", limits.files),
        )
        .into());
    }
    let kept = i64::from(limits.waiting.max(1)) - 1;
    conn.prepare_cached(&format!(
        "DELETE FROM file WHERE no IN (SELECT no FROM file WHERE {owned} AND state <> 'STORED' \
         ORDER BY no DESC LIMIT -1 OFFSET ?2)"
    ))?
    .execute([owner, kept])?;
    Ok(())
}

#[async_trait]
impl FileStore for SqliteStore {
    async fn insert_file(
        &self,
        mut file: File,
        device: Option<DeviceNo>,
        product: Option<RecordNo>,
        limits: FileLimits,
    ) -> Result<File> {
        self.write(move |tx| {
            let app = require_app(tx.conn, &file.app_id)?;
            if let Some(device) = device
                && !tx.conn.prepare_cached("SELECT 1 FROM device WHERE no = ?1")?.exists([device.0])?
            {
                return Err(Error::new(Code::DeviceNotFound, "The device does not exist.").into());
            }
            if let Some(product) = product
                && !tx.conn.prepare_cached("SELECT 1 FROM product WHERE no = ?1")?.exists([product.0])?
            {
                return Err(Error::new(Code::ProductNotFound, "The product does not exist.").into());
            }
            check_limits(tx.conn, &file, app, device, limits)?;
            tx.conn
                .prepare_cached(
                    "INSERT INTO file (instance, app, device, product, id, source, name, key, announced_hash, \
                     announced_size, state, created_at, expires_at) \
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
                )?
                .execute(params![
                    INSTANCE,
                    app,
                    device.map(|d| d.0),
                    product.map(|p| p.0),
                    file.id.as_str(),
                    file.source.as_str(),
                    file.name,
                    file.key.as_str(),
                    file.announced.hash_code,
                    rows::size_column(file.announced.size),
                    file.state.as_str(),
                    file.created_at.0,
                    file.expires_at.0,
                ])?;
            file.no = RecordNo(tx.conn.last_insert_rowid());
            Ok(file)
        })
        .await
    }

    async fn file(&self, id: &FileId) -> Result<Option<File>> {
        let id = id.clone();
        let sql = file_sql!("WHERE f.instance = ?1 AND f.id = ?2");
        self.read(move |conn| Ok(read_files(conn, sql, params![INSTANCE, id.as_str()])?.pop())).await
    }

    async fn file_at(&self, key: &ObjectKey) -> Result<Option<File>> {
        let key = key.clone();
        let sql = file_sql!("WHERE f.instance = ?1 AND f.key = ?2");
        self.read(move |conn| Ok(read_files(conn, sql, params![INSTANCE, key.as_str()])?.pop())).await
    }

    async fn list_files(&self, filter: &FileFilter, page: PageRequest) -> Result<Page<File>> {
        let filter = filter.clone();
        self.read(move |conn| {
            let mut clause = String::from(" WHERE f.instance = ?");
            let mut values = vec![Value::from(INSTANCE)];
            in_spaces(&filter.spaces, "f.app", &mut clause, &mut values);
            let mut add = |sql: &'static str, value: Option<Value>| {
                if let Some(value) = value {
                    clause.push_str(sql);
                    values.push(value);
                }
            };
            let text = |text: &str| Value::from(text.to_owned());
            add(
                " AND f.device = (SELECT no FROM device WHERE instance = 1 AND id = ?)",
                filter.device_id.as_ref().map(|d| text(d.as_str())),
            );
            add(
                " AND f.product IN (SELECT no FROM product WHERE instance = 1 AND id = ?)",
                filter.product_id.as_ref().map(|p| text(p.as_str())),
            );
            add(" AND f.source = ?", filter.source.map(|s| text(s.as_str())));
            add(" AND f.state = ?", filter.state.map(|s| text(s.as_str())));
            add(" AND instr(f.name, ?) > 0", filter.name.as_deref().map(text));
            add(" AND f.created_at >= ?", filter.from.map(|t| Value::from(t.0)));
            add(" AND f.created_at < ?", filter.to.map(|t| Value::from(t.0)));
            let count: i64 = conn
                .prepare_cached(&format!("SELECT count(*) FROM file f{clause}"))?
                .query_row(params_from_iter(&values), |row| row.get(0))?;
            values.extend([page.marker.0, i64::from(page.limit), i64::from(page.offset)].map(Value::from));
            let sql = format!(concat!(file_sql!("{}"), " AND f.no < ? ORDER BY f.no DESC LIMIT ? OFFSET ?"), clause);
            let items = read_files(conn, &sql, params_from_iter(&values))?;
            let marker = items.last().map_or(page.marker, |f| f.no);
            Ok(Page { items, count: u64::try_from(count).unwrap_or(0), marker })
        })
        .await
    }

    async fn file_for_device(&self, device: DeviceNo, name: &str) -> Result<Option<File>> {
        let name = name.to_owned();
        let sql = file_sql!(readable_sql!(
            "AND f.name = ?2 AND f.state = 'STORED' ORDER BY f.source = 'APPLICATION' DESC, f.device IS NOT NULL DESC, \
             f.product IS NOT NULL DESC, f.no DESC LIMIT 1"
        ));
        self.read(move |conn| Ok(read_files(conn, sql, params![device.0, name])?.pop())).await
    }

    async fn file_of_device(&self, device: DeviceNo, name: &str) -> Result<Option<File>> {
        let name = name.to_owned();
        let sql = file_sql!("WHERE f.device = ?1 AND f.source = 'DEVICE' AND f.name = ?2 ORDER BY f.no DESC LIMIT 1");
        self.read(move |conn| Ok(read_files(conn, sql, params![device.0, name])?.pop())).await
    }

    async fn may_download(&self, device: DeviceNo, file: RecordNo) -> Result<bool> {
        let sql = concat!("SELECT 1 FROM file f ", readable_sql!("AND f.no = ?2"));
        self.read(move |conn| Ok(conn.prepare_cached(sql)?.exists([device.0, file.0])?)).await
    }

    async fn settle_file(&self, no: RecordNo, content: &FileContent) -> Result<bool> {
        let content = content.clone();
        self.write(move |tx| {
            let is_stored = content.state == FileState::Stored;
            let mut update = tx
                .conn
                .prepare_cached("UPDATE file SET state = ?2, size = ?3, sha256 = ?4, stored_at = ?5 WHERE no = ?1")?;
            let stored_at = is_stored.then_some(content.at.0);
            let size = rows::size_column(content.size);
            Ok(update.execute(params![no.0, content.state.as_str(), size, content.sha256, stored_at])? > 0)
        })
        .await
    }

    async fn report_transfer(
        &self,
        no: RecordNo,
        transfer: Transfer,
        result: &TransferResult,
        state: Option<FileState>,
    ) -> Result<bool> {
        let text = rows::transfer_text(result)?;
        self.write(move |tx| {
            let sql = match transfer {
                Transfer::Upload => {
                    "UPDATE file SET upload = ?2, \
                     state = CASE WHEN state = 'WAITING' THEN coalesce(?3, state) ELSE state END WHERE no = ?1"
                }
                Transfer::Download => {
                    "UPDATE file SET download = ?2, \
                     state = CASE WHEN state = 'WAITING' THEN coalesce(?3, state) ELSE state END WHERE no = ?1"
                }
            };
            Ok(tx.conn.prepare_cached(sql)?.execute(params![no.0, text, state.map(FileState::as_str)])? > 0)
        })
        .await
    }

    async fn delete_file(&self, no: RecordNo) -> Result<bool> {
        self.write(move |tx| {
            let used = tx
                .conn
                .prepare_cached("SELECT 1 FROM file f JOIN ota_package o ON o.object_key = f.key WHERE f.no = ?1")?
                .exists([no.0])?;
            if used {
                return Err(Error::new(
                    Code::FileInUse,
                    "Operation not allowed. An OTA package consists of the file. Delete the package first.",
                )
                .into());
            }
            Ok(tx.conn.prepare_cached("DELETE FROM file WHERE no = ?1")?.execute([no.0])? > 0)
        })
        .await
    }

    async fn due_files(&self, now: Timestamp, limit: u32) -> Result<Vec<File>> {
        let sql = file_sql!(
            "WHERE f.instance = ?1 AND f.state IN ('WAITING', 'CHECKING') AND (f.state = 'CHECKING' OR f.expires_at < ?2) \
             ORDER BY f.no LIMIT ?3"
        );
        self.read(move |conn| read_files(conn, sql, params![INSTANCE, now.0, limit])).await
    }

    async fn garbage_objects(&self, limit: u32) -> Result<Vec<(i64, String)>> {
        self.read(move |conn| {
            let mut read =
                conn.prepare_cached("SELECT no, key FROM object_garbage WHERE instance = ?1 ORDER BY no LIMIT ?2")?;
            let rows = read.query_map(params![INSTANCE, limit], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn forget_garbage(&self, no: i64) -> Result<()> {
        self.write(move |tx| {
            tx.conn.prepare_cached("DELETE FROM object_garbage WHERE no = ?1")?.execute([no])?;
            Ok(())
        })
        .await
    }
}
