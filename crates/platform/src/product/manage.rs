//! Creating, changing and deleting products and their custom topics (002 §3.1, §3.2, §4.2).

use causeway_model::forwarding::Subject;
use causeway_model::product::{ServiceCapability, check_model};
use causeway_model::registry::{CustomTopic, Page, PageRequest, Product, ProductFilter, TopicRight};
use causeway_model::{Code, Error, ProductId, RecordNo, Result, Spaces};

use crate::Platform;
use crate::bus::Changed;
use crate::secrets::random_hex;

/// A product to create; checked fields of the API.
#[derive(Clone, Debug)]
pub struct NewProduct {
    /// Chosen by the caller, or made.
    pub id: Option<ProductId>,
    /// The one space that the caller named, or those that it may use (see [`Platform::home_for_new`]).
    pub spaces: Spaces,
    /// Display name.
    pub name: String,
    /// Kind of device.
    pub device_type: String,
    /// Protocol word.
    pub protocol_type: String,
    /// `json` or `binary`.
    pub data_format: String,
    /// Free text.
    pub manufacturer_name: Option<String>,
    /// Free text.
    pub industry: Option<String>,
    /// Free text.
    pub description: Option<String>,
    /// The product model.
    pub services: Vec<ServiceCapability>,
}

/// Fields of a product to change; absent ones keep their value.
#[derive(Clone, Debug, Default)]
pub struct ProductChange {
    /// Display name.
    pub name: Option<String>,
    /// Kind of device.
    pub device_type: Option<String>,
    /// Protocol word.
    pub protocol_type: Option<String>,
    /// `json` or `binary`.
    pub data_format: Option<String>,
    /// Free text.
    pub manufacturer_name: Option<String>,
    /// Free text.
    pub industry: Option<String>,
    /// Free text.
    pub description: Option<String>,
    /// The whole product model.
    pub services: Option<Vec<ServiceCapability>>,
}

fn not_found(id: &ProductId) -> Error {
    Error::new(Code::ProductNotFound, format!("The product '{id}' does not exist."))
}

/// A service type that is left out is the service's id.
fn with_service_types(mut services: Vec<ServiceCapability>) -> Vec<ServiceCapability> {
    for service in &mut services {
        if service.service_type.is_empty() {
            service.service_type.clone_from(&service.service_id);
        }
    }
    services
}

/// 002 §4.2: 1 to 64 bytes of letters, digits, `_` and `/`, no two `/` in a row.
fn is_custom_topic(topic: &str) -> bool {
    (1..=64).contains(&topic.len())
        && topic.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'/')
        && !topic.contains("//")
        && !topic.starts_with('/')
        && !topic.ends_with('/')
}

impl Platform {
    /// Creates a product.
    ///
    /// # Errors
    /// [`Code::InvalidModel`], [`Code::ProductExists`], [`Code::AppNotFound`].
    pub async fn create_product(&self, new: NewProduct) -> Result<Product> {
        let services = with_service_types(new.services);
        check_model(&services)?;
        let app_id = self.home_for_new(&new.spaces).await?;
        let made = self
            .store
            .insert_product(Product {
                no: RecordNo(0),
                app_id,
                app_name: String::new(),
                id: new.id.unwrap_or_else(|| ProductId::trusted(random_hex(12))),
                name: new.name,
                device_type: new.device_type,
                protocol_type: new.protocol_type,
                data_format: new.data_format,
                manufacturer_name: new.manufacturer_name,
                industry: new.industry,
                description: new.description,
                services,
                topics: Vec::new(),
                created_at: self.clock.now(),
            })
            .await?;
        self.tell_product(Subject::PRODUCT_CREATE, &made).await;
        Ok(made)
    }

    /// One product. The id must be unambiguous in `spaces`.
    ///
    /// # Errors
    /// [`Code::ProductNotFound`]; [`Code::AppNotFound`]; [`Code::InvalidInput`] when several spaces use the id and none
    /// is named.
    pub async fn product(&self, spaces: &Spaces, id: &ProductId) -> Result<Product> {
        let mut found = self.store.products_by_id(spaces.single(), id).await?;
        found.retain(|p| spaces.sees(&p.app_id));
        match found.len() {
            0 => {
                if let Some(app) = spaces.single() {
                    self.app(app).await?;
                }
                Err(not_found(id))
            }
            1 => Ok(found.remove(0)),
            _ => Err(Error::invalid(format!(
                "Invalid input. Several resource spaces have a product '{id}'; send 'app_id' too."
            ))),
        }
    }

    /// A page of products, newest first.
    ///
    /// # Errors
    /// [`Code::AppNotFound`].
    pub async fn list_products(&self, filter: &ProductFilter, page: PageRequest) -> Result<Page<Product>> {
        if let Some(app) = filter.spaces.single() {
            self.app(app).await?;
        }
        self.store.list_products(filter, page).await
    }

    /// Changes a product; live sessions follow the new model from their next message on.
    ///
    /// # Errors
    /// As [`product`](Self::product); [`Code::InvalidModel`].
    pub async fn update_product(&self, spaces: &Spaces, id: &ProductId, change: ProductChange) -> Result<Product> {
        let mut product = self.product(spaces, id).await?;
        if let Some(services) = change.services {
            let services = with_service_types(services);
            check_model(&services)?;
            product.services = services;
        }
        if change.protocol_type.as_deref() == Some("CoAP") && product.protocol_type != "CoAP" {
            return Err(Error::invalid(
                "Invalid input. 'protocol_type' of an existing product cannot be changed to CoAP.",
            ));
        }
        let set = |field: &mut String, value: Option<String>| {
            if let Some(value) = value {
                *field = value;
            }
        };
        set(&mut product.name, change.name);
        set(&mut product.device_type, change.device_type);
        set(&mut product.protocol_type, change.protocol_type);
        set(&mut product.data_format, change.data_format);
        product.manufacturer_name = change.manufacturer_name.or(product.manufacturer_name);
        product.industry = change.industry.or(product.industry);
        product.description = change.description.or(product.description);
        if !self.store.update_product(&product).await? {
            return Err(not_found(id));
        }
        self.bus.announce(Changed::Product(product.no)).await;
        self.tell_product(Subject::PRODUCT_UPDATE, &product).await;
        Ok(product)
    }

    /// Deletes a product that has no devices.
    ///
    /// # Errors
    /// As [`product`](Self::product); [`Code::ProductInUse`].
    pub async fn delete_product(&self, spaces: &Spaces, id: &ProductId) -> Result<()> {
        let product = self.product(spaces, id).await?;
        if !self.store.delete_product(product.no).await? {
            return Err(not_found(id));
        }
        self.bus.announce(Changed::Product(product.no)).await;
        self.tell_product(Subject::PRODUCT_DELETE, &product).await;
        Ok(())
    }

    /// Declares a custom topic (002 §4.2): `topic` is the part after `$oc/devices/{device_id}/user/`.
    ///
    /// # Errors
    /// As [`product`](Self::product); [`Code::CustomTopicLimit`]; [`Code::InvalidInput`].
    pub async fn add_custom_topic(
        &self,
        spaces: &Spaces,
        id: &ProductId,
        topic: &str,
        right: TopicRight,
        description: Option<String>,
    ) -> Result<CustomTopic> {
        if !is_custom_topic(topic) {
            return Err(Error::invalid(
                "Invalid input. 'topic' must be 1 to 64 letters, digits, '_' and single '/', and neither start nor end with '/'.",
            ));
        }
        let product = self.product(spaces, id).await?;
        let topic = CustomTopic { id: random_hex(12), topic: topic.to_owned(), right, description };
        self.store.insert_topic(product.no, &topic, self.settings.registry.max_custom_topics).await?;
        self.bus.announce(Changed::Product(product.no)).await;
        Ok(topic)
    }

    /// Removes a custom topic.
    ///
    /// # Errors
    /// As [`product`](Self::product); [`Code::CustomTopicNotFound`].
    pub async fn delete_custom_topic(&self, spaces: &Spaces, id: &ProductId, topic_id: &str) -> Result<()> {
        let product = self.product(spaces, id).await?;
        if !self.store.delete_topic(product.no, topic_id).await? {
            return Err(Error::new(
                Code::CustomTopicNotFound,
                format!("The product has no custom topic '{topic_id}'."),
            ));
        }
        self.bus.announce(Changed::Product(product.no)).await;
        Ok(())
    }
}
