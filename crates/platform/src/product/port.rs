//! What products need from the store.

use async_trait::async_trait;
use causeway_model::registry::{CustomTopic, Page, PageRequest, Product, ProductFilter};
use causeway_model::{AppId, ProductId, RecordNo, Result};

/// Keeps products and their custom topics.
#[async_trait]
pub trait ProductStore: Send + Sync {
    /// Adds a product. `no` and `app_name` are ignored; the stored product is returned.
    /// [`Code::ProductExists`](causeway_model::Code::ProductExists) when the id is taken in the space,
    /// [`Code::AppNotFound`](causeway_model::Code::AppNotFound) when the space is not there.
    async fn insert_product(&self, product: Product) -> Result<Product>;
    /// The products with this id: of one space when `app` is given, else of every space (two spaces may use one id).
    async fn products_by_id(&self, app: Option<&AppId>, id: &ProductId) -> Result<Vec<Product>>;
    /// The product with this number.
    async fn product(&self, no: RecordNo) -> Result<Option<Product>>;
    /// A page of products, newest first, with their models and topics.
    async fn list_products(&self, filter: &ProductFilter, page: PageRequest) -> Result<Page<Product>>;
    /// Replaces the product's fields except number, space, id, topics and creation time. False when it is gone.
    async fn update_product(&self, product: &Product) -> Result<bool>;
    /// Deletes a product and its topics. [`Code::ProductInUse`](causeway_model::Code::ProductInUse) when it has devices.
    /// False when it is not there.
    async fn delete_product(&self, no: RecordNo) -> Result<bool>;
    /// Declares a custom topic unless `limit` are there or the same topic is declared
    /// ([`Code::CustomTopicLimit`](causeway_model::Code::CustomTopicLimit)).
    async fn insert_topic(&self, product: RecordNo, topic: &CustomTopic, limit: u32) -> Result<()>;
    /// Removes a custom topic. False when it is not there.
    async fn delete_topic(&self, product: RecordNo, topic_id: &str) -> Result<bool>;
}
