//! Files of devices and applications.

use async_trait::async_trait;
use causeway_model::file::{
    File, FileAttributes, FileFilter, FileSource, FileState, ObjectKey, Transfer, TransferResult,
};
use causeway_model::registry::{Page, PageRequest};
use causeway_model::{AppId, Code, DeviceId, DeviceNo, Error, FileId, ProductId, RecordNo, Result, Timestamp};
use causeway_platform::file::{FileContent, FileLimits, FileStore};
use deadpool_postgres::GenericClient;
use tokio_postgres::Row;
use tokio_postgres::error::SqlState;

use super::connection::{Columns, Params, db, db_or, first, row, rows, run};
use super::{INSTANCE, PostgresStore, no_such_device};
use crate::rows as words;

/// Reads what [`file`] turns into a file; a condition follows.
const SELECT: &str = "SELECT f.no, f.id, a.id, f.source, d.id, p.id, f.name, f.key, f.announced_hash, f.announced_size,
        f.size, f.sha256, f.state, f.created_at, f.expires_at, f.stored_at, f.upload, f.download
    FROM file f JOIN app a ON a.no = f.app LEFT JOIN device d ON d.no = f.device LEFT JOIN product p ON p.no = f.product";

/// What a device may download, its number being `$1`. The space's files are for all its devices when they name neither
/// device nor product.
const READABLE: &str = "JOIN device w ON w.no = $1 WHERE f.app = w.app AND (f.device = w.no OR (f.device IS NULL AND
    (f.product = w.product OR f.product IS NULL)))";

/// Parameters 1 to 9 of every list.
const MATCHES: &str = "f.instance = $1 AND ($2::text[] IS NULL OR a.id = ANY ($2))
    AND ($3::text IS NULL OR d.id = $3) AND ($4::text IS NULL OR p.id = $4) AND ($5::text IS NULL OR f.source = $5)
    AND ($6::text IS NULL OR f.state = $6) AND ($7::text IS NULL OR strpos(f.name, $7) > 0)
    AND ($8::bigint IS NULL OR f.created_at >= $8) AND ($9::bigint IS NULL OR f.created_at < $9)";

fn file(row: &Row) -> Result<File> {
    let mut c = Columns::of(row);
    Ok(File {
        no: RecordNo(c.take()?),
        id: FileId::trusted(c.take::<String>()?),
        app_id: AppId::trusted(c.take::<String>()?),
        source: words::file_source(c.take()?)?,
        device_id: c.take::<Option<String>>()?.map(DeviceId::trusted),
        product_id: c.take::<Option<String>>()?.map(ProductId::trusted),
        name: c.take()?,
        key: words::object_key(c.take()?)?,
        announced: FileAttributes { hash_code: c.take()?, size: c.take::<Option<i64>>()?.map(i64::unsigned_abs) },
        size: c.take::<Option<i64>>()?.map(i64::unsigned_abs),
        sha256: c.take()?,
        state: words::file_state(c.take()?)?,
        created_at: Timestamp(c.take()?),
        expires_at: Timestamp(c.take()?),
        stored_at: c.take::<Option<i64>>()?.map(Timestamp),
        upload: words::transfer(c.take()?)?,
        download: words::transfer(c.take()?)?,
    })
}

async fn files<C: GenericClient>(client: &C, condition: &str, params: Params<'_>) -> Result<Vec<File>> {
    rows(client, &format!("{SELECT} {condition}"), params).await.map_err(db)?.iter().map(file).collect()
}

#[async_trait]
impl FileStore for PostgresStore {
    async fn insert_file(
        &self,
        mut new: File,
        device: Option<DeviceNo>,
        product: Option<RecordNo>,
        limits: FileLimits,
    ) -> Result<File> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(db)?;
        // Two files of one owner must not pass the limit together.
        let sql = "SELECT no FROM app WHERE instance = $1 AND id = $2";
        let found = row(&transaction, sql, &[&INSTANCE, &new.app_id.as_str()]).await.map_err(db)?;
        let no_app = || Error::new(Code::AppNotFound, format!("The application '{}' does not exist.", new.app_id));
        let app: i64 = first(&found.ok_or_else(no_app)?)?;
        let (device, product) = (device.map(|d| d.0), product.map(|p| p.0));
        let (class, owned, owner) = match new.source {
            FileSource::Device => (FILES_OF_DEVICE, "source = 'DEVICE' AND device = $1", device.unwrap_or(0)),
            FileSource::Application => (FILES_OF_APP, "source = 'APPLICATION' AND app = $1", app),
        };
        // The owner's number may be cut: then two owners wait for each other without need.
        run(&transaction, "SELECT pg_advisory_xact_lock($1, $2)", &[&class, &(owner as i32)]).await.map_err(db)?;
        let sql = format!("SELECT count(*) FROM file WHERE {owned} AND state = 'STORED'");
        let stored = row(&transaction, &sql, &[&owner]).await.map_err(db)?;
        if stored.as_ref().map_or(Ok(0), first::<i64>)? >= i64::from(limits.files) {
            return Err(Error::new(
                Code::TooManyFiles,
                format!("There are {} files already, which is the limit. Delete some first.", limits.files),
            ));
        }
        let kept = i64::from(limits.waiting.max(1)) - 1;
        let sql = format!(
            "DELETE FROM file WHERE no IN
                (SELECT no FROM file WHERE {owned} AND state <> 'STORED' ORDER BY no DESC OFFSET $2)"
        );
        run(&transaction, &sql, &[&owner, &kept]).await.map_err(db)?;
        let sql = "INSERT INTO file (instance, app, device, product, id, source, name, key, announced_hash,
                announced_size, state, created_at, expires_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) RETURNING no";
        let params: Params<'_> = &[
            &INSTANCE,
            &app,
            &device,
            &product,
            &new.id.as_str(),
            &new.source.as_str(),
            &new.name,
            &new.key.as_str(),
            &new.announced.hash_code,
            &words::size_column(new.announced.size),
            &new.state.as_str(),
            &new.created_at.0,
            &new.expires_at.0,
        ];
        let stored = row(&transaction, sql, params).await.map_err(|e| {
            if e.code() == Some(&SqlState::FOREIGN_KEY_VIOLATION) && device.is_some() {
                return no_such_device();
            }
            db_or(e, &SqlState::FOREIGN_KEY_VIOLATION, Code::ProductNotFound, "The product does not exist.")
        })?;
        new.no = RecordNo(first(&stored.ok_or_else(|| Error::internal("a new file was not numbered"))?)?);
        transaction.commit().await.map_err(db)?;
        Ok(new)
    }

    async fn file(&self, id: &FileId) -> Result<Option<File>> {
        let client = self.client().await?;
        Ok(files(&client, "WHERE f.instance = $1 AND f.id = $2", &[&INSTANCE, &id.as_str()]).await?.pop())
    }

    async fn file_at(&self, key: &ObjectKey) -> Result<Option<File>> {
        let client = self.client().await?;
        Ok(files(&client, "WHERE f.instance = $1 AND f.key = $2", &[&INSTANCE, &key.as_str()]).await?.pop())
    }

    async fn list_files(&self, filter: &FileFilter, page: PageRequest) -> Result<Page<File>> {
        let client = self.client().await?;
        let spaces = filter.spaces.ids();
        let (device, product) =
            (filter.device_id.as_ref().map(DeviceId::as_str), filter.product_id.as_ref().map(ProductId::as_str));
        let (source, state) = (filter.source.map(FileSource::as_str), filter.state.map(FileState::as_str));
        let (from, to) = (filter.from.map(|t| t.0), filter.to.map(|t| t.0));
        let (marker, offset, limit) = (page.marker.0, i64::from(page.offset), i64::from(page.limit));
        let list: Params<'_> = &[
            &INSTANCE,
            &spaces,
            &device,
            &product,
            &source,
            &state,
            &filter.name,
            &from,
            &to,
            &marker,
            &offset,
            &limit,
        ];
        let condition = format!("WHERE {MATCHES} AND f.no < $10 ORDER BY f.no DESC OFFSET $11 LIMIT $12");
        let items = files(&client, &condition, list).await?;
        let sql = format!(
            "SELECT count(*) FROM file f JOIN app a ON a.no = f.app LEFT JOIN device d ON d.no = f.device
             LEFT JOIN product p ON p.no = f.product WHERE {MATCHES}"
        );
        let count = row(&client, &sql, &list[..9]).await.map_err(db)?;
        Ok(Page {
            marker: items.last().map_or(page.marker, |f| f.no),
            count: count.as_ref().map_or(Ok(0), first::<i64>)?.unsigned_abs(),
            items,
        })
    }

    async fn file_for_device(&self, device: DeviceNo, name: &str) -> Result<Option<File>> {
        let client = self.client().await?;
        let condition = format!(
            "{READABLE} AND f.name = $2 AND f.state = 'STORED' ORDER BY f.source = 'APPLICATION' DESC,
             f.device IS NOT NULL DESC, f.product IS NOT NULL DESC, f.no DESC LIMIT 1"
        );
        Ok(files(&client, &condition, &[&device.0, &name]).await?.pop())
    }

    async fn file_of_device(&self, device: DeviceNo, name: &str) -> Result<Option<File>> {
        let client = self.client().await?;
        let condition = "WHERE f.device = $1 AND f.source = 'DEVICE' AND f.name = $2 ORDER BY f.no DESC LIMIT 1";
        Ok(files(&client, condition, &[&device.0, &name]).await?.pop())
    }

    async fn may_download(&self, device: DeviceNo, file: RecordNo) -> Result<bool> {
        let client = self.client().await?;
        let sql = format!("SELECT f.no FROM file f {READABLE} AND f.no = $2");
        Ok(row(&client, &sql, &[&device.0, &file.0]).await.map_err(db)?.is_some())
    }

    async fn settle_file(&self, no: RecordNo, content: &FileContent) -> Result<bool> {
        let client = self.client().await?;
        let sql = "UPDATE file SET state = $2, size = $3, sha256 = $4, stored_at = $5 WHERE no = $1";
        let stored_at = (content.state == FileState::Stored).then_some(content.at.0);
        let size = words::size_column(content.size);
        let params: Params<'_> = &[&no.0, &content.state.as_str(), &size, &content.sha256, &stored_at];
        Ok(run(&client, sql, params).await.map_err(db)? > 0)
    }

    async fn report_transfer(
        &self,
        no: RecordNo,
        transfer: Transfer,
        result: &TransferResult,
        state: Option<FileState>,
    ) -> Result<bool> {
        let client = self.client().await?;
        let column = match transfer {
            Transfer::Upload => "upload",
            Transfer::Download => "download",
        };
        let sql = format!(
            "UPDATE file SET {column} = $2,
                state = CASE WHEN state = 'WAITING' THEN coalesce($3, state) ELSE state END WHERE no = $1"
        );
        let text = words::transfer_text(result)?;
        Ok(run(&client, &sql, &[&no.0, &text, &state.map(FileState::as_str)]).await.map_err(db)? > 0)
    }

    async fn delete_file(&self, no: RecordNo) -> Result<bool> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(db)?;
        // A package that is being made of it is waited for.
        let sql = "SELECT key FROM file WHERE no = $1 FOR UPDATE";
        let Some(found) = row(&transaction, sql, &[&no.0]).await.map_err(db)? else { return Ok(false) };
        let sql = "SELECT no FROM ota_package WHERE object_key = $1 LIMIT 1";
        if row(&transaction, sql, &[&first::<&str>(&found)?]).await.map_err(db)?.is_some() {
            return Err(Error::new(
                Code::FileInUse,
                "Operation not allowed. An OTA package consists of the file. Delete the package first.",
            ));
        }
        run(&transaction, "DELETE FROM file WHERE no = $1", &[&no.0]).await.map_err(db)?;
        transaction.commit().await.map_err(db)?;
        Ok(true)
    }

    async fn due_files(&self, now: Timestamp, limit: u32) -> Result<Vec<File>> {
        let client = self.client().await?;
        let condition = "WHERE f.instance = $1 AND f.state IN ('WAITING', 'CHECKING')
            AND (f.state = 'CHECKING' OR f.expires_at < $2) ORDER BY f.no LIMIT $3";
        files(&client, condition, &[&INSTANCE, &now.0, &i64::from(limit)]).await
    }

    async fn garbage_objects(&self, limit: u32) -> Result<Vec<(i64, String)>> {
        let client = self.client().await?;
        let sql = "SELECT no, key FROM object_garbage WHERE instance = $1 ORDER BY no LIMIT $2";
        let found = rows(&client, sql, &[&INSTANCE, &i64::from(limit)]).await.map_err(db)?;
        found
            .iter()
            .map(|row| {
                let mut c = Columns::of(row);
                Ok((c.take()?, c.take()?))
            })
            .collect()
    }

    async fn forget_garbage(&self, no: i64) -> Result<()> {
        let client = self.client().await?;
        run(&client, "DELETE FROM object_garbage WHERE no = $1", &[&no]).await.map_err(db)?;
        Ok(())
    }
}

/// First keys of advisory locks; the second one is the owner's number.
const FILES_OF_DEVICE: i32 = 0x4341_5510;
const FILES_OF_APP: i32 = 0x4341_5511;
