//! OTA modules and packages.

use async_trait::async_trait;
use causeway_model::ota::{ModuleFilter, OtaModule, OtaPackage, PackageFilter, PackageObject};
use causeway_model::registry::{Page, PageRequest};
use causeway_model::{AppId, Code, Error, ProductId, RecordNo, Result, Timestamp};
use causeway_platform::ota::OtaStore;
use deadpool_postgres::GenericClient;
use tokio_postgres::Row;
use tokio_postgres::error::SqlState;

use super::connection::{Columns, Params, db, first, row, rows, run};
use super::{INSTANCE, PostgresStore};
use crate::rows as words;

const MODULE: &str = "SELECT m.no, m.id, a.id, p.id, p.name, m.name, m.alias, m.description, m.created_at
    FROM ota_module m JOIN app a ON a.no = m.app JOIN product p ON p.no = m.product";

/// Parameters 1 to 3 of every list of modules.
const MODULES: &str = "m.instance = $1 AND ($2::text[] IS NULL OR a.id = ANY ($2)) AND ($3::text IS NULL OR p.id = $3)";

const PACKAGE: &str = "SELECT o.no, o.id, a.id, o.package_type, p.id, p.name, o.module_name, o.version,
        o.source_versions, o.description, o.custom_info, o.created_at, o.region, o.bucket, o.object_key, o.sign_method,
        o.sign
    FROM ota_package o JOIN app a ON a.no = o.app JOIN product p ON p.no = o.product";

/// Parameters 1 to 5 of every list of packages.
const PACKAGES: &str = "o.instance = $1 AND ($2::text[] IS NULL OR a.id = ANY ($2)) AND o.package_type = $3
    AND ($4::text IS NULL OR p.id = $4) AND ($5::text IS NULL OR o.version = $5)";

fn module(row: &Row) -> Result<OtaModule> {
    let mut c = Columns::of(row);
    Ok(OtaModule {
        no: RecordNo(c.take()?),
        id: c.take()?,
        app_id: AppId::trusted(c.take::<String>()?),
        product_id: ProductId::trusted(c.take::<String>()?),
        product_name: c.take()?,
        name: c.take()?,
        alias: c.take()?,
        description: c.take()?,
        created_at: Timestamp(c.take()?),
    })
}

fn package(row: &Row) -> Result<OtaPackage> {
    let mut c = Columns::of(row);
    Ok(OtaPackage {
        no: RecordNo(c.take()?),
        id: c.take()?,
        app_id: AppId::trusted(c.take::<String>()?),
        package_type: words::package_type(c.take()?)?,
        product_id: ProductId::trusted(c.take::<String>()?),
        product_name: c.take()?,
        module_name: Some(c.take::<String>()?).filter(|m| !m.is_empty()),
        version: c.take()?,
        source_versions: words::versions(c.take()?)?,
        description: c.take()?,
        custom_info: c.take()?,
        created_at: Timestamp(c.take()?),
        object: PackageObject {
            region: c.take()?,
            bucket: c.take()?,
            key: c.take()?,
            sign_method: c.take()?,
            sign: c.take()?,
        },
    })
}

/// The space of a product that must be there; the product waits for the end of the transaction.
async fn space_of<C: GenericClient>(transaction: &C, product: RecordNo) -> Result<i64> {
    let found =
        row(transaction, "SELECT app FROM product WHERE no = $1 FOR UPDATE", &[&product.0]).await.map_err(db)?;
    first(&found.ok_or_else(|| Error::new(Code::ProductNotFound, "The product does not exist."))?)
}

async fn count(client: &impl GenericClient, sql: &str, params: Params<'_>) -> Result<u64> {
    let count = row(client, sql, params).await.map_err(db)?;
    Ok(count.as_ref().map_or(Ok(0), first::<i64>)?.unsigned_abs())
}

#[async_trait]
impl OtaStore for PostgresStore {
    async fn insert_ota_module(&self, product: RecordNo, mut new: OtaModule, limit: u32) -> Result<OtaModule> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(db)?;
        // Two modules made at once must not pass the limit together.
        let app = space_of(&transaction, product).await?;
        let sql = "SELECT name FROM ota_module WHERE product = $1";
        let names = rows(&transaction, sql, &[&product.0]).await.map_err(db)?;
        for name in &names {
            if first::<&str>(name)? == new.name {
                return Err(words::ota_module_exists(&new.name));
            }
        }
        if names.len() >= limit as usize {
            return Err(words::too_many_ota_modules(limit));
        }
        let sql = "INSERT INTO ota_module (instance, app, product, id, name, alias, description, created_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING no";
        let params: Params<'_> =
            &[&INSTANCE, &app, &product.0, &new.id, &new.name, &new.alias, &new.description, &new.created_at.0];
        let stored = row(&transaction, sql, params).await.map_err(db)?;
        new.no = RecordNo(first(&stored.ok_or_else(|| Error::internal("a new module was not numbered"))?)?);
        transaction.commit().await.map_err(db)?;
        Ok(new)
    }

    async fn ota_module(&self, id: &str) -> Result<Option<OtaModule>> {
        let client = self.client().await?;
        let sql = format!("{MODULE} WHERE m.instance = $1 AND m.id = $2");
        row(&client, &sql, &[&INSTANCE, &id]).await.map_err(db)?.as_ref().map(module).transpose()
    }

    async fn list_ota_modules(&self, filter: &ModuleFilter, page: PageRequest) -> Result<Page<OtaModule>> {
        let client = self.client().await?;
        let (spaces, product) = (filter.spaces.ids(), filter.product_id.as_ref().map(ProductId::as_str));
        let (marker, offset, limit) = (page.marker.0, i64::from(page.offset), i64::from(page.limit));
        let list: Params<'_> = &[&INSTANCE, &spaces, &product, &marker, &offset, &limit];
        let sql = format!("{MODULE} WHERE {MODULES} AND m.no < $4 ORDER BY m.no DESC OFFSET $5 LIMIT $6");
        let found = rows(&client, &sql, list).await.map_err(db)?;
        let items = found.iter().map(module).collect::<Result<Vec<_>>>()?;
        let sql = format!(
            "SELECT count(*) FROM ota_module m JOIN app a ON a.no = m.app JOIN product p ON p.no = m.product WHERE {MODULES}"
        );
        let count = count(&client, &sql, &list[..3]).await?;
        Ok(Page { marker: items.last().map_or(page.marker, |m| m.no), count, items })
    }

    async fn update_ota_module(&self, module: &OtaModule) -> Result<bool> {
        let client = self.client().await?;
        let sql = "UPDATE ota_module SET alias = $2, description = $3 WHERE no = $1";
        Ok(run(&client, sql, &[&module.no.0, &module.alias, &module.description]).await.map_err(db)? > 0)
    }

    async fn delete_ota_module(&self, no: RecordNo) -> Result<bool> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(db)?;
        // A package made at the same time waits, and finds no module then.
        let sql = "SELECT product FROM ota_module WHERE no = $1";
        let Some(found) = row(&transaction, sql, &[&no.0]).await.map_err(db)? else { return Ok(false) };
        space_of(&transaction, RecordNo(first(&found)?)).await?;
        let sql = "SELECT count(*) FROM ota_module m JOIN ota_package o ON o.product = m.product
            AND o.package_type = 'modulePackage' AND o.module_name = m.name WHERE m.no = $1";
        if count(&transaction, sql, &[&no.0]).await? > 0 {
            return Err(words::ota_module_in_use());
        }
        let gone = run(&transaction, "DELETE FROM ota_module WHERE no = $1", &[&no.0]).await.map_err(db)?;
        transaction.commit().await.map_err(db)?;
        Ok(gone > 0)
    }

    async fn insert_ota_package(&self, product: RecordNo, mut new: OtaPackage) -> Result<OtaPackage> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(db)?;
        let app = space_of(&transaction, product).await?;
        let module = new.module_name.as_deref().unwrap_or_default();
        if new.module_name.is_some() {
            let sql = "SELECT count(*) FROM ota_module WHERE product = $1 AND name = $2";
            if count(&transaction, sql, &[&product.0, &module]).await? == 0 {
                return Err(words::no_such_ota_module(module));
            }
        }
        // The file stays until the package refers to it.
        let sql = "SELECT no FROM file WHERE key = $1 AND app = $2 AND source = 'APPLICATION' AND state = 'STORED'
            FOR SHARE";
        if row(&transaction, sql, &[&new.object.key, &app]).await.map_err(db)?.is_none() {
            return Err(words::no_such_ota_object());
        }
        let sql = "INSERT INTO ota_package (instance, app, product, id, package_type, module_name, version,
                source_versions, description, custom_info, region, bucket, object_key, sign_method, sign, created_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) RETURNING no";
        let versions = words::versions_text(&new.source_versions)?;
        let params: Params<'_> = &[
            &INSTANCE,
            &app,
            &product.0,
            &new.id,
            &new.package_type.as_str(),
            &module,
            &new.version,
            &versions,
            &new.description,
            &new.custom_info,
            &new.object.region,
            &new.object.bucket,
            &new.object.key,
            &new.object.sign_method,
            &new.object.sign,
            &new.created_at.0,
        ];
        let stored = row(&transaction, sql, params).await.map_err(|e| {
            if e.code() == Some(&SqlState::UNIQUE_VIOLATION) { words::ota_package_exists(&new.version) } else { db(e) }
        })?;
        new.no = RecordNo(first(&stored.ok_or_else(|| Error::internal("a new package was not numbered"))?)?);
        transaction.commit().await.map_err(db)?;
        Ok(new)
    }

    async fn ota_package(&self, id: &str) -> Result<Option<OtaPackage>> {
        let client = self.client().await?;
        let sql = format!("{PACKAGE} WHERE o.instance = $1 AND o.id = $2");
        row(&client, &sql, &[&INSTANCE, &id]).await.map_err(db)?.as_ref().map(package).transpose()
    }

    async fn list_ota_packages(&self, filter: &PackageFilter, page: PageRequest) -> Result<Page<OtaPackage>> {
        let client = self.client().await?;
        let (spaces, product) = (filter.spaces.ids(), filter.product_id.as_ref().map(ProductId::as_str));
        let (kind, marker) = (filter.package_type.as_str(), page.marker.0);
        let (offset, limit) = (i64::from(page.offset), i64::from(page.limit));
        let list: Params<'_> = &[&INSTANCE, &spaces, &kind, &product, &filter.version, &marker, &offset, &limit];
        let sql = format!("{PACKAGE} WHERE {PACKAGES} AND o.no < $6 ORDER BY o.no DESC OFFSET $7 LIMIT $8");
        let found = rows(&client, &sql, list).await.map_err(db)?;
        let items = found.iter().map(package).collect::<Result<Vec<_>>>()?;
        let sql = format!(
            "SELECT count(*) FROM ota_package o JOIN app a ON a.no = o.app JOIN product p ON p.no = o.product WHERE {PACKAGES}"
        );
        let count = count(&client, &sql, &list[..5]).await?;
        Ok(Page { marker: items.last().map_or(page.marker, |p| p.no), count, items })
    }

    async fn delete_ota_package(&self, no: RecordNo) -> Result<bool> {
        let client = self.client().await?;
        Ok(run(&client, "DELETE FROM ota_package WHERE no = $1", &[&no.0]).await.map_err(db)? > 0)
    }
}
