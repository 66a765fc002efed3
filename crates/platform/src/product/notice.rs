//! Events of products: `product` with create, update and delete (`iotda-v5-api.md` §3), written right after the change and
//! before the answer to it, as those of devices are.

use causeway_model::forwarding::Subject;
use causeway_model::product::ServiceCapability;
use causeway_model::registry::Product;
use serde::Serialize;

use crate::Platform;
use crate::outbox::notification::About;

/// A product as events tell of it: what the interface shows of it.
#[derive(Serialize)]
struct ProductNotice<'a> {
    app_id: &'a str,
    app_name: &'a str,
    product_id: &'a str,
    name: &'a str,
    device_type: &'a str,
    protocol_type: &'a str,
    data_format: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    manufacturer_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    industry: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    service_capabilities: &'a [ServiceCapability],
    create_time: String,
}

/// A product that is gone.
#[derive(Serialize)]
struct GoneNotice<'a> {
    app_id: &'a str,
    product_id: &'a str,
    name: &'a str,
}

fn text(subject: Subject, product: &Product) -> Option<String> {
    if subject == Subject::PRODUCT_DELETE {
        let gone = GoneNotice { app_id: product.app_id.as_str(), product_id: product.id.as_str(), name: &product.name };
        return serde_json::to_string(&gone).ok();
    }
    let notice = ProductNotice {
        app_id: product.app_id.as_str(),
        app_name: &product.app_name,
        product_id: product.id.as_str(),
        name: &product.name,
        device_type: &product.device_type,
        protocol_type: &product.protocol_type,
        data_format: &product.data_format,
        manufacturer_name: product.manufacturer_name.as_deref(),
        industry: product.industry.as_deref(),
        description: product.description.as_deref(),
        service_capabilities: &product.services,
        create_time: product.created_at.compact().to_string(),
    };
    serde_json::to_string(&notice).ok()
}

impl Platform {
    /// Tells that a product was made, changed or deleted.
    pub(crate) async fn tell_product(&self, subject: Subject, product: &Product) {
        let now = self.clock.now();
        let told = self.tell_of_record(About::Space(&product.app_id), subject, now, || text(subject, product));
        self.tell_of_change(subject, told).await;
    }
}
