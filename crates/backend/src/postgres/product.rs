//! Products and their custom topics.

use std::collections::HashMap;

use async_trait::async_trait;
use causeway_model::registry::{CustomTopic, Page, PageRequest, Product, ProductFilter};
use causeway_model::{AppId, Code, Error, ProductId, RecordNo, Result, Timestamp};
use causeway_platform::product::ProductStore;
use deadpool_postgres::GenericClient;
use tokio_postgres::Row;
use tokio_postgres::error::SqlState;

use super::connection::{Columns, Params, db, db_or, first, row, rows, run};
use super::{INSTANCE, PostgresStore};
use crate::rows as words;

/// Reads what [`product`] turns into a product; a condition follows.
const SELECT: &str = "SELECT p.no, a.id, a.name, p.id, p.name, p.device_type, p.protocol_type, p.data_format,
        p.manufacturer_name, p.industry, p.description, p.services, p.created_at
    FROM product p JOIN app a ON a.no = p.app";

/// Parameters 1 to 3 of every list: instance, space, name.
const MATCHES: &str =
    "p.instance = $1 AND ($2::text[] IS NULL OR a.id = ANY ($2)) AND ($3::text IS NULL OR strpos(p.name, $3) > 0)";

fn product(row: &Row) -> Result<Product> {
    let mut c = Columns::of(row);
    Ok(Product {
        no: RecordNo(c.take()?),
        app_id: AppId::trusted(c.take::<String>()?),
        app_name: c.take()?,
        id: ProductId::trusted(c.take::<String>()?),
        name: c.take()?,
        device_type: c.take()?,
        protocol_type: c.take()?,
        data_format: c.take()?,
        manufacturer_name: c.take()?,
        industry: c.take()?,
        description: c.take()?,
        services: words::services(c.take()?)?,
        topics: Vec::new(),
        created_at: Timestamp(c.take()?),
    })
}

/// The products that match, with their topics in the order of declaration.
async fn products<C: GenericClient>(client: &C, condition: &str, params: Params<'_>) -> Result<Vec<Product>> {
    let found = rows(client, &format!("{SELECT} WHERE {condition}"), params).await.map_err(db)?;
    let mut products: Vec<Product> = found.iter().map(product).collect::<Result<_>>()?;
    let nos: Vec<i64> = products.iter().map(|p| p.no.0).collect();
    if nos.is_empty() {
        return Ok(products);
    }
    let mut topics: HashMap<i64, Vec<CustomTopic>> = HashMap::new();
    let sql = "SELECT product, id, topic, access, description FROM product_topic WHERE product = ANY ($1) ORDER BY no";
    for row in &rows(client, sql, &[&nos]).await.map_err(db)? {
        let mut c = Columns::of(row);
        topics.entry(c.take()?).or_default().push(CustomTopic {
            id: c.take()?,
            topic: c.take()?,
            right: words::topic_right(c.take()?)?,
            description: c.take()?,
        });
    }
    for product in &mut products {
        product.topics = topics.remove(&product.no.0).unwrap_or_default();
    }
    Ok(products)
}

#[async_trait]
impl ProductStore for PostgresStore {
    async fn insert_product(&self, new: Product) -> Result<Product> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(db)?;
        let sql = "INSERT INTO product (instance, app, id, name, device_type, protocol_type, data_format,
                manufacturer_name, industry, description, services, created_at)
            SELECT instance, no, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12 FROM app WHERE instance = $1 AND id = $2
            RETURNING no, app";
        let services = words::services_text(&new.services)?;
        let params: Params<'_> = &[
            &INSTANCE,
            &new.app_id.as_str(),
            &new.id.as_str(),
            &new.name,
            &new.device_type,
            &new.protocol_type,
            &new.data_format,
            &new.manufacturer_name,
            &new.industry,
            &new.description,
            &services,
            &new.created_at.0,
        ];
        let no_app = "No such resource space.";
        let stored = row(&transaction, sql, params).await.map_err(|e| {
            if e.code() == Some(&SqlState::FOREIGN_KEY_VIOLATION) {
                return Error::new(Code::AppNotFound, no_app);
            }
            let taken = "A product with this id exists in the resource space.";
            db_or(e, &SqlState::UNIQUE_VIOLATION, Code::ProductExists, taken)
        })?;
        let Some(stored) = stored else { return Err(Error::new(Code::AppNotFound, no_app)) };
        let mut c = Columns::of(&stored);
        let (no, app): (i64, i64) = (c.take()?, c.take()?);
        for topic in &new.topics {
            insert_topic(&transaction, no, app, topic).await?;
        }
        let stored = products(&transaction, "p.no = $1", &[&no]).await?.pop();
        transaction.commit().await.map_err(db)?;
        stored.ok_or_else(|| Error::internal("a new product was not found"))
    }

    async fn products_by_id(&self, app: Option<&AppId>, id: &ProductId) -> Result<Vec<Product>> {
        let client = self.client().await?;
        let condition = "p.instance = $1 AND p.id = $2 AND ($3::text IS NULL OR a.id = $3) ORDER BY p.no";
        products(&client, condition, &[&INSTANCE, &id.as_str(), &app.map(AppId::as_str)]).await
    }

    async fn product(&self, no: RecordNo) -> Result<Option<Product>> {
        let client = self.client().await?;
        Ok(products(&client, "p.no = $1", &[&no.0]).await?.pop())
    }

    async fn list_products(&self, filter: &ProductFilter, page: PageRequest) -> Result<Page<Product>> {
        let client = self.client().await?;
        let spaces = filter.spaces.ids();
        let (marker, offset, limit) = (page.marker.0, i64::from(page.offset), i64::from(page.limit));
        let list: Params<'_> = &[&INSTANCE, &spaces, &filter.name, &marker, &offset, &limit];
        let condition = format!("{MATCHES} AND p.no < $4 ORDER BY p.no DESC OFFSET $5 LIMIT $6");
        let items = products(&client, &condition, list).await?;
        let sql = format!("SELECT count(*) FROM product p JOIN app a ON a.no = p.app WHERE {MATCHES}");
        let count = row(&client, &sql, &list[..3]).await.map_err(db)?;
        Ok(Page {
            marker: items.last().map_or(page.marker, |p| p.no),
            count: count.as_ref().map_or(Ok(0), first::<i64>)?.unsigned_abs(),
            items,
        })
    }

    async fn update_product(&self, product: &Product) -> Result<bool> {
        let client = self.client().await?;
        let sql = "UPDATE product SET name = $2, device_type = $3, protocol_type = $4, data_format = $5,
            manufacturer_name = $6, industry = $7, description = $8, services = $9 WHERE no = $1";
        let services = words::services_text(&product.services)?;
        let params: Params<'_> = &[
            &product.no.0,
            &product.name,
            &product.device_type,
            &product.protocol_type,
            &product.data_format,
            &product.manufacturer_name,
            &product.industry,
            &product.description,
            &services,
        ];
        Ok(run(&client, sql, params).await.map_err(db)? > 0)
    }

    async fn delete_product(&self, no: RecordNo) -> Result<bool> {
        let client = self.client().await?;
        let gone = run(&client, "DELETE FROM product WHERE no = $1", &[&no.0]).await.map_err(|e| {
            let in_use = "The product has devices. Delete them first.";
            db_or(e, &SqlState::FOREIGN_KEY_VIOLATION, Code::ProductInUse, in_use)
        })?;
        Ok(gone > 0)
    }

    async fn insert_topic(&self, product: RecordNo, topic: &CustomTopic, limit: u32) -> Result<()> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(db)?;
        // Two topics declared at once must not pass the limit together.
        let sql = "SELECT app FROM product WHERE no = $1 FOR UPDATE";
        let Some(found) = row(&transaction, sql, &[&product.0]).await.map_err(db)? else {
            return Err(Error::new(Code::ProductNotFound, "No such product."));
        };
        let app: i64 = first(&found)?;
        let sql = "SELECT count(*) FROM product_topic WHERE product = $1";
        let count = row(&transaction, sql, &[&product.0]).await.map_err(db)?;
        if count.as_ref().map_or(Ok(0), first::<i64>)? >= i64::from(limit) {
            return Err(Error::new(
                Code::CustomTopicLimit,
                format!("The product declares {limit} custom topics already. Delete one first."),
            ));
        }
        insert_topic(&transaction, product.0, app, topic).await?;
        transaction.commit().await.map_err(db)
    }

    async fn delete_topic(&self, product: RecordNo, topic_id: &str) -> Result<bool> {
        let client = self.client().await?;
        let sql = "DELETE FROM product_topic WHERE product = $1 AND id = $2";
        Ok(run(&client, sql, &[&product.0, &topic_id]).await.map_err(db)? > 0)
    }
}

async fn insert_topic<C: GenericClient>(transaction: &C, product: i64, app: i64, topic: &CustomTopic) -> Result<()> {
    let sql = "INSERT INTO product_topic (instance, app, product, id, topic, access, description)
        VALUES ($1, $2, $3, $4, $5, $6, $7)";
    let params: Params<'_> =
        &[&INSTANCE, &app, &product, &topic.id, &topic.topic, &topic.right.as_str(), &topic.description];
    run(transaction, sql, params).await.map_err(|e| {
        let taken = "The product declares this custom topic already.";
        db_or(e, &SqlState::UNIQUE_VIOLATION, Code::CustomTopicLimit, taken)
    })?;
    Ok(())
}
