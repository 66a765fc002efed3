//! Products and their custom topics.

use async_trait::async_trait;
use causeway_model::registry::{CustomTopic, Page, PageRequest, Product, ProductFilter};
use causeway_model::{AppId, Code, Error, ProductId, RecordNo, Result, Timestamp};
use causeway_platform::product::ProductStore;
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params, params_from_iter};

use super::app::{in_spaces, require_app};
use super::error::Outcome;
use super::{INSTANCE, SqliteStore};
use crate::rows;

macro_rules! product_sql {
    ($tail:literal) => {
        concat!(
            "SELECT p.no, a.id, a.name, p.id, p.name, p.device_type, p.protocol_type, p.data_format, \
             p.manufacturer_name, p.industry, p.description, p.services, p.created_at \
             FROM product p JOIN app a ON a.no = p.app ",
            $tail
        )
    };
}

/// Without topics.
fn read_product(row: &Row<'_>) -> Outcome<Product> {
    Ok(Product {
        no: RecordNo(row.get(0)?),
        app_id: AppId::trusted(row.get::<_, String>(1)?),
        app_name: row.get(2)?,
        id: ProductId::trusted(row.get::<_, String>(3)?),
        name: row.get(4)?,
        device_type: row.get(5)?,
        protocol_type: row.get(6)?,
        data_format: row.get(7)?,
        manufacturer_name: row.get(8)?,
        industry: row.get(9)?,
        description: row.get(10)?,
        services: rows::services(row.get_ref(11)?.as_str().map_err(rusqlite::Error::from)?)?,
        topics: Vec::new(),
        created_at: Timestamp(row.get(12)?),
    })
}

fn read_products(conn: &Connection, sql: &str, params: impl rusqlite::Params) -> Outcome<Vec<Product>> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut products = statement.query_and_then(params, read_product)?.collect::<Outcome<Vec<_>>>()?;
    let mut topics =
        conn.prepare_cached("SELECT id, topic, may, description FROM product_topic WHERE product = ?1 ORDER BY no")?;
    for product in &mut products {
        product.topics = topics
            .query_and_then([product.no.0], |row| {
                Ok(CustomTopic {
                    id: row.get(0)?,
                    topic: row.get(1)?,
                    right: rows::topic_right(row.get_ref(2)?.as_str().map_err(rusqlite::Error::from)?)?,
                    description: row.get(3)?,
                })
            })?
            .collect::<Outcome<_>>()?;
    }
    Ok(products)
}

#[async_trait]
impl ProductStore for SqliteStore {
    async fn insert_product(&self, mut product: Product) -> Result<Product> {
        self.write(move |tx| {
            let app = require_app(tx.conn, &product.app_id)?;
            let taken = tx
                .conn
                .prepare_cached("SELECT 1 FROM product WHERE app = ?1 AND id = ?2")?
                .exists(params![app, product.id.as_str()])?;
            if taken {
                return Err(Error::new(
                    Code::ProductExists,
                    format!("The product '{}' exists in the resource space.", product.id),
                )
                .into());
            }
            tx.conn
                .prepare_cached(
                    "INSERT INTO product (instance, app, id, name, device_type, protocol_type, data_format, \
                     manufacturer_name, industry, description, services, created_at) \
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
                )?
                .execute(params![
                    INSTANCE,
                    app,
                    product.id.as_str(),
                    product.name,
                    product.device_type,
                    product.protocol_type,
                    product.data_format,
                    product.manufacturer_name,
                    product.industry,
                    product.description,
                    rows::services_text(&product.services)?,
                    product.created_at.0,
                ])?;
            product.no = RecordNo(tx.conn.last_insert_rowid());
            for topic in &product.topics {
                insert_topic(tx.conn, product.no, topic)?;
            }
            product.app_name =
                tx.conn.prepare_cached("SELECT name FROM app WHERE no = ?1")?.query_row([app], |row| row.get(0))?;
            Ok(product)
        })
        .await
    }

    async fn products_by_id(&self, app: Option<&AppId>, id: &ProductId) -> Result<Vec<Product>> {
        let (app, id) = (app.cloned(), id.clone());
        self.read(move |conn| match app {
            Some(app) => read_products(
                conn,
                product_sql!("WHERE a.instance = ?1 AND a.id = ?2 AND p.id = ?3"),
                params![INSTANCE, app.as_str(), id.as_str()],
            ),
            None => read_products(
                conn,
                product_sql!("WHERE p.instance = ?1 AND p.id = ?2 ORDER BY p.no"),
                params![INSTANCE, id.as_str()],
            ),
        })
        .await
    }

    async fn product(&self, no: RecordNo) -> Result<Option<Product>> {
        self.read(move |conn| Ok(read_products(conn, product_sql!("WHERE p.no = ?1"), [no.0])?.pop())).await
    }

    async fn list_products(&self, filter: &ProductFilter, page: PageRequest) -> Result<Page<Product>> {
        let filter = filter.clone();
        self.read(move |conn| {
            let mut clause = String::from(" WHERE p.instance = ?");
            let mut values = vec![Value::from(INSTANCE)];
            in_spaces(&filter.spaces, "p.app", &mut clause, &mut values);
            if let Some(name) = &filter.name {
                clause.push_str(" AND instr(p.name, ?) > 0");
                values.push(Value::from(name.clone()));
            }
            let count: i64 = conn
                .prepare_cached(&format!("SELECT count(*) FROM product p{clause}"))?
                .query_row(params_from_iter(&values), |row| row.get(0))?;
            values.extend([page.marker.0, i64::from(page.limit), i64::from(page.offset)].map(Value::from));
            let sql = format!(concat!(product_sql!("{}"), " AND p.no < ? ORDER BY p.no DESC LIMIT ? OFFSET ?"), clause);
            let items = read_products(conn, &sql, params_from_iter(&values))?;
            let marker = items.last().map_or(page.marker, |p| p.no);
            Ok(Page { items, count: u64::try_from(count).unwrap_or(0), marker })
        })
        .await
    }

    async fn update_product(&self, product: &Product) -> Result<bool> {
        let product = product.clone();
        self.write(move |tx| {
            let changed = tx
                .conn
                .prepare_cached(
                    "UPDATE product SET name = ?2, device_type = ?3, protocol_type = ?4, data_format = ?5, \
                     manufacturer_name = ?6, industry = ?7, description = ?8, services = ?9 WHERE no = ?1",
                )?
                .execute(params![
                    product.no.0,
                    product.name,
                    product.device_type,
                    product.protocol_type,
                    product.data_format,
                    product.manufacturer_name,
                    product.industry,
                    product.description,
                    rows::services_text(&product.services)?,
                ])?;
            Ok(changed > 0)
        })
        .await
    }

    async fn delete_product(&self, no: RecordNo) -> Result<bool> {
        self.write(move |tx| {
            let used = tx.conn.prepare_cached("SELECT 1 FROM device WHERE product = ?1")?.exists([no.0])?;
            if used {
                return Err(Error::new(Code::ProductInUse, "The product has devices. Delete them first.").into());
            }
            Ok(tx.conn.prepare_cached("DELETE FROM product WHERE no = ?1")?.execute([no.0])? > 0)
        })
        .await
    }

    async fn insert_topic(&self, product: RecordNo, topic: &CustomTopic, limit: u32) -> Result<()> {
        let topic = topic.clone();
        self.write(move |tx| {
            let found = tx.conn.prepare_cached("SELECT 1 FROM product WHERE no = ?1")?.exists([product.0])?;
            if !found {
                return Err(Error::new(Code::ProductNotFound, "The product does not exist.").into());
            }
            let (count, same): (i64, Option<bool>) = tx
                .conn
                .prepare_cached("SELECT count(*), max(topic = ?2) FROM product_topic WHERE product = ?1")?
                .query_row(params![product.0, topic.topic], |row| Ok((row.get(0)?, row.get(1)?)))?;
            if same == Some(true) {
                return Err(Error::new(
                    Code::CustomTopicLimit,
                    format!("The topic '{}' is declared already.", topic.topic),
                )
                .into());
            }
            if count >= i64::from(limit) {
                return Err(Error::new(
                    Code::CustomTopicLimit,
                    format!("The product has {limit} custom topics already, which is the limit."),
                )
                .into());
            }
            insert_topic(tx.conn, product, &topic)
        })
        .await
    }

    async fn delete_topic(&self, product: RecordNo, topic_id: &str) -> Result<bool> {
        let id = topic_id.to_owned();
        self.write(move |tx| {
            let removed = tx
                .conn
                .prepare_cached("DELETE FROM product_topic WHERE product = ?1 AND id = ?2")?
                .execute(params![product.0, id])?;
            Ok(removed > 0)
        })
        .await
    }
}

fn insert_topic(conn: &Connection, product: RecordNo, topic: &CustomTopic) -> Outcome<()> {
    conn.prepare_cached(
        "INSERT INTO product_topic (instance, product, id, topic, may, description) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![INSTANCE, product.0, topic.id, topic.topic, topic.right.as_str(), topic.description])?;
    Ok(())
}
