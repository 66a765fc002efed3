//! OTA modules and packages.

use async_trait::async_trait;
use causeway_model::ota::{ModuleFilter, OtaModule, OtaPackage, PackageFilter, PackageObject};
use causeway_model::registry::{Page, PageRequest};
use causeway_model::{AppId, Code, Error, ProductId, RecordNo, Result, Timestamp};
use causeway_platform::ota::OtaStore;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};

use super::app::in_spaces;
use super::error::Outcome;
use super::{INSTANCE, SqliteStore};
use crate::rows;

macro_rules! module_sql {
    ($tail:literal) => {
        concat!(
            "SELECT m.no, m.id, a.id, p.id, p.name, m.name, m.alias, m.description, m.created_at \
             FROM ota_module m JOIN app a ON a.no = m.app JOIN product p ON p.no = m.product ",
            $tail
        )
    };
}

macro_rules! package_sql {
    ($tail:literal) => {
        concat!(
            "SELECT o.no, o.id, a.id, o.package_type, p.id, p.name, o.module_name, o.version, o.source_versions, \
             o.description, o.custom_info, o.created_at, o.region, o.bucket, o.object_key, o.sign_method, o.sign \
             FROM ota_package o JOIN app a ON a.no = o.app JOIN product p ON p.no = o.product ",
            $tail
        )
    };
}

fn read_module(row: &Row<'_>) -> rusqlite::Result<OtaModule> {
    Ok(OtaModule {
        no: RecordNo(row.get(0)?),
        id: row.get(1)?,
        app_id: AppId::trusted(row.get::<_, String>(2)?),
        product_id: ProductId::trusted(row.get::<_, String>(3)?),
        product_name: row.get(4)?,
        name: row.get(5)?,
        alias: row.get(6)?,
        description: row.get(7)?,
        created_at: Timestamp(row.get(8)?),
    })
}

fn read_package(row: &Row<'_>) -> Outcome<OtaPackage> {
    let text = |column| row.get_ref(column)?.as_str().map_err(rusqlite::Error::from);
    let module_name: String = row.get(6)?;
    Ok(OtaPackage {
        no: RecordNo(row.get(0)?),
        id: row.get(1)?,
        app_id: AppId::trusted(row.get::<_, String>(2)?),
        package_type: rows::package_type(text(3)?)?,
        product_id: ProductId::trusted(row.get::<_, String>(4)?),
        product_name: row.get(5)?,
        module_name: Some(module_name).filter(|m| !m.is_empty()),
        version: row.get(7)?,
        source_versions: rows::versions(text(8)?)?,
        description: row.get(9)?,
        custom_info: row.get(10)?,
        created_at: Timestamp(row.get(11)?),
        object: PackageObject {
            region: row.get(12)?,
            bucket: row.get(13)?,
            key: row.get(14)?,
            sign_method: row.get(15)?,
            sign: row.get(16)?,
        },
    })
}

/// The space of a product that must be there.
fn space_of(conn: &Connection, product: RecordNo) -> Outcome<i64> {
    let found = conn
        .prepare_cached("SELECT app FROM product WHERE no = ?1")?
        .query_row([product.0], |row| row.get(0))
        .optional()?;
    found.ok_or_else(|| Error::new(Code::ProductNotFound, "The product does not exist.").into())
}

#[async_trait]
impl OtaStore for SqliteStore {
    async fn insert_ota_module(&self, product: RecordNo, mut module: OtaModule, limit: u32) -> Result<OtaModule> {
        self.write(move |tx| {
            let app = space_of(tx.conn, product)?;
            let (count, same): (i64, Option<bool>) = tx
                .conn
                .prepare_cached("SELECT count(*), max(name = ?2) FROM ota_module WHERE product = ?1")?
                .query_row(params![product.0, module.name], |row| Ok((row.get(0)?, row.get(1)?)))?;
            if same == Some(true) {
                return Err(rows::ota_module_exists(&module.name).into());
            }
            if count >= i64::from(limit) {
                return Err(rows::too_many_ota_modules(limit).into());
            }
            tx.conn
                .prepare_cached(
                    "INSERT INTO ota_module (instance, app, product, id, name, alias, description, created_at) \
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                )?
                .execute(params![
                    INSTANCE,
                    app,
                    product.0,
                    module.id,
                    module.name,
                    module.alias,
                    module.description,
                    module.created_at.0,
                ])?;
            module.no = RecordNo(tx.conn.last_insert_rowid());
            Ok(module)
        })
        .await
    }

    async fn ota_module(&self, id: &str) -> Result<Option<OtaModule>> {
        let id = id.to_owned();
        self.read(move |conn| {
            let mut read = conn.prepare_cached(module_sql!("WHERE m.instance = ?1 AND m.id = ?2"))?;
            Ok(read.query_row(params![INSTANCE, id], read_module).optional()?)
        })
        .await
    }

    async fn list_ota_modules(&self, filter: &ModuleFilter, page: PageRequest) -> Result<Page<OtaModule>> {
        let filter = filter.clone();
        self.read(move |conn| {
            let mut clause = String::from(" WHERE m.instance = ?");
            let mut values = vec![Value::from(INSTANCE)];
            in_spaces(&filter.spaces, "m.app", &mut clause, &mut values);
            if let Some(product) = &filter.product_id {
                clause.push_str(" AND m.product IN (SELECT no FROM product WHERE instance = 1 AND id = ?)");
                values.push(Value::from(product.as_str().to_owned()));
            }
            let count: i64 = conn
                .prepare_cached(&format!("SELECT count(*) FROM ota_module m{clause}"))?
                .query_row(params_from_iter(&values), |row| row.get(0))?;
            values.extend([page.marker.0, i64::from(page.limit), i64::from(page.offset)].map(Value::from));
            let sql = format!(concat!(module_sql!("{}"), " AND m.no < ? ORDER BY m.no DESC LIMIT ? OFFSET ?"), clause);
            let mut read = conn.prepare_cached(&sql)?;
            let items = read.query_map(params_from_iter(&values), read_module)?.collect::<Result<Vec<_>, _>>()?;
            let marker = items.last().map_or(page.marker, |m| m.no);
            Ok(Page { items, count: u64::try_from(count).unwrap_or(0), marker })
        })
        .await
    }

    async fn update_ota_module(&self, module: &OtaModule) -> Result<bool> {
        let module = module.clone();
        self.write(move |tx| {
            let mut update =
                tx.conn.prepare_cached("UPDATE ota_module SET alias = ?2, description = ?3 WHERE no = ?1")?;
            Ok(update.execute(params![module.no.0, module.alias, module.description])? > 0)
        })
        .await
    }

    async fn delete_ota_module(&self, no: RecordNo) -> Result<bool> {
        self.write(move |tx| {
            let used = tx
                .conn
                .prepare_cached(
                    "SELECT 1 FROM ota_module m JOIN ota_package o ON o.product = m.product \
                     AND o.package_type = 'modulePackage' AND o.module_name = m.name WHERE m.no = ?1",
                )?
                .exists([no.0])?;
            if used {
                return Err(rows::ota_module_in_use().into());
            }
            Ok(tx.conn.prepare_cached("DELETE FROM ota_module WHERE no = ?1")?.execute([no.0])? > 0)
        })
        .await
    }

    async fn insert_ota_package(&self, product: RecordNo, mut package: OtaPackage) -> Result<OtaPackage> {
        self.write(move |tx| {
            let app = space_of(tx.conn, product)?;
            let module = package.module_name.as_deref().unwrap_or_default();
            if package.module_name.is_some()
                && !tx
                    .conn
                    .prepare_cached("SELECT 1 FROM ota_module WHERE product = ?1 AND name = ?2")?
                    .exists(params![product.0, module])?
            {
                return Err(rows::no_such_ota_module(module).into());
            }
            let stored = tx
                .conn
                .prepare_cached(
                    "SELECT 1 FROM file WHERE key = ?1 AND app = ?2 AND source = 'APPLICATION' AND state = 'STORED'",
                )?
                .exists(params![package.object.key, app])?;
            if !stored {
                return Err(rows::no_such_ota_object().into());
            }
            let taken = tx
                .conn
                .prepare_cached(
                    "SELECT 1 FROM ota_package \
                     WHERE product = ?1 AND package_type = ?2 AND module_name = ?3 AND version = ?4",
                )?
                .exists(params![product.0, package.package_type.as_str(), module, package.version])?;
            if taken {
                return Err(rows::ota_package_exists(&package.version).into());
            }
            tx.conn
                .prepare_cached(
                    "INSERT INTO ota_package (instance, app, product, id, package_type, module_name, version, \
                     source_versions, description, custom_info, region, bucket, object_key, sign_method, sign, created_at) \
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
                )?
                .execute(params![
                    INSTANCE,
                    app,
                    product.0,
                    package.id,
                    package.package_type.as_str(),
                    module,
                    package.version,
                    rows::versions_text(&package.source_versions)?,
                    package.description,
                    package.custom_info,
                    package.object.region,
                    package.object.bucket,
                    package.object.key,
                    package.object.sign_method,
                    package.object.sign,
                    package.created_at.0,
                ])?;
            package.no = RecordNo(tx.conn.last_insert_rowid());
            Ok(package)
        })
        .await
    }

    async fn ota_package(&self, id: &str) -> Result<Option<OtaPackage>> {
        let id = id.to_owned();
        self.read(move |conn| {
            let mut read = conn.prepare_cached(package_sql!("WHERE o.instance = ?1 AND o.id = ?2"))?;
            read.query_and_then(params![INSTANCE, id], read_package)?.next().transpose()
        })
        .await
    }

    async fn list_ota_packages(&self, filter: &PackageFilter, page: PageRequest) -> Result<Page<OtaPackage>> {
        let filter = filter.clone();
        self.read(move |conn| {
            let mut clause = String::from(" WHERE o.instance = ? AND o.package_type = ?");
            let mut values = vec![Value::from(INSTANCE), Value::from(filter.package_type.as_str().to_owned())];
            in_spaces(&filter.spaces, "o.app", &mut clause, &mut values);
            if let Some(product) = &filter.product_id {
                clause.push_str(" AND o.product IN (SELECT no FROM product WHERE instance = 1 AND id = ?)");
                values.push(Value::from(product.as_str().to_owned()));
            }
            if let Some(version) = &filter.version {
                clause.push_str(" AND o.version = ?");
                values.push(Value::from(version.clone()));
            }
            let count: i64 = conn
                .prepare_cached(&format!("SELECT count(*) FROM ota_package o{clause}"))?
                .query_row(params_from_iter(&values), |row| row.get(0))?;
            values.extend([page.marker.0, i64::from(page.limit), i64::from(page.offset)].map(Value::from));
            let sql = format!(concat!(package_sql!("{}"), " AND o.no < ? ORDER BY o.no DESC LIMIT ? OFFSET ?"), clause);
            let mut read = conn.prepare_cached(&sql)?;
            let items = read.query_and_then(params_from_iter(&values), read_package)?.collect::<Outcome<Vec<_>>>()?;
            let marker = items.last().map_or(page.marker, |p| p.no);
            Ok(Page { items, count: u64::try_from(count).unwrap_or(0), marker })
        })
        .await
    }

    async fn delete_ota_package(&self, no: RecordNo) -> Result<bool> {
        self.write(move |tx| Ok(tx.conn.prepare_cached("DELETE FROM ota_package WHERE no = ?1")?.execute([no.0])? > 0))
            .await
    }
}
