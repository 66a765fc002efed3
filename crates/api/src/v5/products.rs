//! Products and their models (002 §3.1, §3.2).

use causeway_model::product::ServiceCapability;
use causeway_model::registry::{Product as Record, ProductFilter};
use causeway_model::{AppId, Code, Error, ProductId, Result};
use causeway_platform::product::{NewProduct, ProductChange};
use serde_json::{Value, json};

use crate::bounded::{Any, Free, Id, Name, Text, Word, words};
use crate::call::{Call, Page, Reply};
use crate::operation::{Built, Param, Success, json as answers};
use crate::shape::{Compact, Definitions, Shape, body, field, reply};

/// Most bytes of a body that carries a product model (`iotda-v5-api.md` §5).
pub(super) const MODEL_MAX: usize = 500 << 10;

words! {
    /// Protocols that a product's devices may speak.
    ProtocolType: "MQTT" | "CoAP" | "HTTP" | "HTTPS" | "Modbus" | "ONVIF" | "OPC-UA" | "OPC-DA" | "Other" | "TCP" | "UDP";
    /// How devices write their data.
    DataFormat: "json" | "binary";
}

body! {
    /// A product to create.
    pub(crate) struct AddProduct {
        /// Id, unique in the resource space; made when absent.
        product_id: Option<Id<ProductId>>,
        /// Display name.
        name: Text<Name, 1, 64>,
        /// Kind of device.
        device_type: Text<Name, 1, 32>,
        /// What its devices speak.
        protocol_type: Word<ProtocolType>,
        /// How its devices write their data.
        data_format: Word<DataFormat>,
        /// The product model.
        service_capabilities: Vec<ServiceCapability>,
        /// Who makes the devices.
        manufacturer_name: Option<Text<Name, 0, 32>>,
        /// Branch.
        industry: Option<Text<Name, 0, 64>>,
        /// Free text.
        description: Option<Text<Free, 0, 128>>,
        /// Resource space; the default one when absent.
        app_id: Option<Id<AppId>>,
    }
}

body! {
    /// Fields of a product to change; absent ones keep their value.
    pub(crate) struct UpdateProduct {
        /// Resource space, when several have a product of this id.
        app_id: Option<Id<AppId>>,
        /// Display name.
        name: Option<Text<Name, 1, 64>>,
        /// Kind of device.
        device_type: Option<Text<Name, 1, 32>>,
        /// What its devices speak; cannot be changed to CoAP.
        protocol_type: Option<Word<ProtocolType>>,
        /// How its devices write their data.
        data_format: Option<Word<DataFormat>>,
        /// The whole product model; replaces the present one.
        service_capabilities: Option<Vec<ServiceCapability>>,
        /// Who makes the devices.
        manufacturer_name: Option<Text<Name, 0, 32>>,
        /// Branch.
        industry: Option<Text<Name, 0, 64>>,
        /// Free text.
        description: Option<Text<Free, 0, 128>>,
    }
}

reply! {
    /// A product.
    pub(crate) struct Product {
        /// Resource space.
        app_id: String,
        /// Name of the resource space.
        app_name: String,
        /// The id.
        product_id: String,
        /// Display name.
        name: String,
        /// Kind of device.
        device_type: String,
        /// What its devices speak.
        protocol_type: String,
        /// How its devices write their data.
        data_format: String,
        /// Who makes the devices.
        manufacturer_name: Option<String>,
        /// Branch.
        industry: Option<String>,
        /// Free text.
        description: Option<String>,
        /// The product model; not in lists.
        service_capabilities: Option<Vec<ServiceCapability>>,
        /// When it was made.
        create_time: Compact,
    }
}

reply! {
    /// A page of products, without their models.
    pub(crate) struct Products {
        /// The products, newest first.
        products: Vec<Product>,
        /// The page.
        page: Page,
    }
}

impl Product {
    pub(super) fn whole(record: Record) -> Self {
        Self {
            app_id: record.app_id.to_string(),
            app_name: record.app_name,
            product_id: record.id.to_string(),
            name: record.name,
            device_type: record.device_type,
            protocol_type: record.protocol_type,
            data_format: record.data_format,
            manufacturer_name: record.manufacturer_name,
            industry: record.industry,
            description: record.description,
            service_capabilities: Some(record.services),
            create_time: Compact(record.created_at),
        }
    }

    fn summary(record: Record) -> Self {
        Self { service_capabilities: None, ..Self::whole(record) }
    }
}

/// A field of the model's schema: name, schema, text.
type ModelField = (&'static str, Value, &'static str);

fn model_object(fields: Vec<ModelField>, required: &[&str], text: &str) -> Value {
    let properties: serde_json::Map<String, Value> =
        fields.into_iter().map(|(name, schema, text)| (name.to_owned(), field(schema, text))).collect();
    json!({ "type": "object", "description": text, "properties": properties, "required": required })
}

fn text(max: usize) -> Value {
    json!({ "type": "string", "maxLength": max })
}

/// Fields that properties and parameters share.
fn value_fields() -> Vec<ModelField> {
    let types = ["int", "long", "decimal", "string", "DateTime", "jsonObject", "enum", "boolean", "string list"];
    vec![
        ("data_type", json!({ "type": "string", "enum": types }), "Type of the value."),
        ("required", json!({ "type": "boolean" }), "Whether it must be there."),
        ("enum_list", json!({ "type": "array", "items": { "type": "string" } }), "The allowed texts."),
        ("min", text(16), "Smallest number, as text."),
        ("max", text(16), "Largest number, as text."),
        ("max_length", json!({ "type": "integer", "minimum": 0 }), "Longest text, in characters."),
        ("step", json!({ "type": "number" }), "Step between values."),
        ("unit", text(16), "Unit of measure."),
        ("description", text(128), "Free text."),
    ]
}

fn list_of(schema: Value) -> Value {
    json!({ "type": "array", "maxItems": 500, "items": schema })
}

fn para_schema(definitions: &mut Definitions) -> Value {
    definitions.named("ServiceCommandPara", |_| {
        let mut fields = vec![("para_name", text(32), "Name, unique in its list.")];
        fields.extend(value_fields());
        model_object(fields, &["para_name", "data_type"], "A parameter of a command, answer or event.")
    })
}

/// The document form of a model is the model crate's own (its field names are the vendor's), so is its reader; only
/// the schema is written here.
impl Shape for ServiceCapability {
    fn schema(definitions: &mut Definitions) -> Value {
        definitions.named("ServiceCapability", |definitions| {
            let para = para_schema(definitions);
            let property = definitions.named("ServiceProperty", |_| {
                let mut fields = vec![("property_name", text(64), "Name, unique in the service.")];
                fields.extend(value_fields());
                let methods = ["RWE", "RW", "RE", "WE", "E", "W", "R"];
                fields.push((
                    "method",
                    json!({ "type": "string", "enum": methods }),
                    "Readable, writable, reports its changes.",
                ));
                fields.push(("default_value", json!({}), "Desired of every device registered afterwards."));
                model_object(fields, &["property_name", "data_type", "method"], "A property of a service.")
            });
            let response = definitions.named("ServiceCommandResponse", |_| {
                let fields = vec![
                    ("response_name", text(128), "Name of the answer."),
                    ("paras", list_of(para.clone()), "Parameters."),
                ];
                model_object(fields, &["response_name"], "An answer to a command.")
            });
            let command = definitions.named("ServiceCommand", |_| {
                let fields = vec![
                    ("command_name", text(64), "Name, unique in the service."),
                    ("paras", list_of(para.clone()), "Parameters."),
                    ("responses", list_of(response), "Answers."),
                ];
                model_object(fields, &["command_name"], "A command of a service.")
            });
            let event = definitions.named("ServiceEvent", |_| {
                let fields =
                    vec![("event_type", text(32), "Name of the event."), ("paras", list_of(para), "Parameters.")];
                model_object(fields, &["event_type"], "An event of a service.")
            });
            let options = ["Master", "Mandatory", "Optional"];
            let fields = vec![
                ("service_id", text(64), "Name of the service, unique in the product."),
                ("service_type", text(64), "Type of the service; equals the id when absent."),
                ("properties", list_of(property), "What the device reports and can be set to."),
                ("commands", list_of(command), "What the device can be told to do."),
                ("events", list_of(event), "What the device may announce."),
                ("description", text(128), "Free text."),
                ("option", json!({ "type": "string", "enum": options, "default": "Optional" }), "Importance."),
            ];
            model_object(fields, &["service_id"], "A service: one group of abilities of a device.")
        })
    }
}

pub(super) fn check_options(services: &[ServiceCapability]) -> Result<()> {
    for (i, service) in services.iter().enumerate() {
        if service.option.as_deref().is_some_and(|o| !["Master", "Mandatory", "Optional"].contains(&o)) {
            return Err(Error::invalid(format!(
                "Invalid input. 'service_capabilities[{i}].option' must be one of Master, Mandatory, Optional."
            )));
        }
    }
    Ok(())
}

fn check_size(call: &Call) -> Result<()> {
    if call.body.len() > MODEL_MAX {
        return Err(Error::new(
            Code::InvalidModel,
            format!("Invalid product model. The product is larger than {} KB.", MODEL_MAX >> 10),
        ));
    }
    Ok(())
}

const APP_ID: Param = Param::optional::<AppId>("app_id", "Resource space, when several have a product of this id.");

pub(super) static CREATE: Built = Built::new("Creates a product.", answers::<Product>(201), |c| Box::pin(create(c)))
    .body::<AddProduct>()
    .errors(&[Code::InvalidModel, Code::ProductExists, Code::AppNotFound]);

async fn create(call: Call) -> Result<Reply> {
    let new: AddProduct = call.body()?;
    check_size(&call)?;
    check_options(&new.service_capabilities)?;
    let product = call
        .platform()
        .create_product(NewProduct {
            id: new.product_id.map(|id| id.0),
            spaces: call.spaces(new.app_id.map(|id| id.0))?,
            name: new.name.into_string(),
            device_type: new.device_type.into_string(),
            protocol_type: new.protocol_type.as_str().to_owned(),
            data_format: new.data_format.as_str().to_owned(),
            manufacturer_name: new.manufacturer_name.map(Text::into_string),
            industry: new.industry.map(Text::into_string),
            description: new.description.map(Text::into_string),
            services: new.service_capabilities,
        })
        .await?;
    Reply::created(&Product::whole(product))
}

pub(super) static LIST: Built = Built::new("Lists products.", answers::<Products>(200), |c| Box::pin(list(c)))
    .query(&[
        Param::optional::<AppId>("app_id", "Only of this resource space."),
        Param::optional::<Text<Any, 0, 64>>("product_name", "Only those whose name contains this text."),
    ])
    .paged()
    .errors(&[Code::AppNotFound]);

async fn list(call: Call) -> Result<Reply> {
    let filter = ProductFilter {
        spaces: call.spaces(call.query("app_id")?)?,
        name: call.query::<Text<Any, 0, 64>>("product_name")?.map(Text::into_string),
    };
    let found = call.platform().list_products(&filter, call.page()?).await?;
    let page = Page::of(&found);
    Reply::ok(&Products { products: found.items.into_iter().map(Product::summary).collect(), page })
}

pub(super) static SHOW: Built = Built::new("Shows a product.", answers::<Product>(200), |c| Box::pin(show(c)))
    .query(&[APP_ID])
    .errors(&[Code::ProductNotFound, Code::AppNotFound]);

async fn show(call: Call) -> Result<Reply> {
    let spaces = call.spaces(call.query("app_id")?)?;
    let product = call.platform().product(&spaces, &call.product_id()?).await?;
    Reply::ok(&Product::whole(product))
}

pub(super) static UPDATE: Built =
    Built::new("Changes a product; connected devices follow the new model at once.", answers::<Product>(200), |c| {
        Box::pin(update(c))
    })
    .body::<UpdateProduct>()
    .errors(&[Code::ProductNotFound, Code::InvalidModel, Code::AppNotFound]);

async fn update(call: Call) -> Result<Reply> {
    let id = call.product_id()?;
    let change: UpdateProduct = call.body()?;
    check_size(&call)?;
    check_options(change.service_capabilities.as_deref().unwrap_or_default())?;
    let spaces = call.spaces(change.app_id.map(|id| id.0))?;
    let change = ProductChange {
        name: change.name.map(Text::into_string),
        device_type: change.device_type.map(Text::into_string),
        protocol_type: change.protocol_type.map(|w| w.as_str().to_owned()),
        data_format: change.data_format.map(|w| w.as_str().to_owned()),
        manufacturer_name: change.manufacturer_name.map(Text::into_string),
        industry: change.industry.map(Text::into_string),
        description: change.description.map(Text::into_string),
        services: change.service_capabilities,
    };
    let product = call.platform().update_product(&spaces, &id, change).await?;
    Reply::ok(&Product::whole(product))
}

pub(super) static DELETE: Built =
    Built::new("Deletes a product that has no devices.", Success::Empty, |c| Box::pin(delete(c)))
        .query(&[APP_ID])
        .errors(&[Code::ProductNotFound, Code::ProductInUse, Code::AppNotFound]);

async fn delete(call: Call) -> Result<Reply> {
    let spaces = call.spaces(call.query("app_id")?)?;
    call.platform().delete_product(&spaces, &call.product_id()?).await?;
    Ok(Reply::empty())
}
