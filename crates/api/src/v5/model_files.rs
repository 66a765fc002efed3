//! Product models as files and from the library of presets (002 §3.2): the platform's own operations.

use axum::http::{HeaderValue, header};
use causeway_model::registry::Product as Record;
use causeway_model::{AppId, Code, Error, ProductId, Result};
use causeway_platform::product::{NewProduct, ProductChange};
use causeway_product_files::{ModelFile, ProductHead, presets, profile, workbook};

use super::products::{DataFormat, MODEL_MAX, Product, ProtocolType, check_options};
use crate::bounded::{Any, Id, Name, Text, Word, words};
use crate::call::{Call, Reply};
use crate::operation::{Built, Param, Success, json};
use crate::shape::{body, reply};

const ZIP: &str = "application/zip";
const XLSX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";

const APP_ID: Param = Param::optional::<AppId>("app_id", "Resource space, when several have a product of this id.");

words! {
    /// Kinds of files.
    FileFormat: "zip" | "xlsx";
}

/// Reads the body as a model file, off the threads that serve connections.
async fn read_file(call: &Call) -> Result<ModelFile> {
    let bytes = call.file()?.content.clone();
    let file =
        tokio::task::spawn_blocking(move || causeway_product_files::read(&bytes)).await.map_err(Error::internal)??;
    check_options(&file.services)?;
    let size = serde_json::to_vec(&file.services).map_err(Error::internal)?.len();
    if size > MODEL_MAX {
        return Err(Error::new(
            Code::InvalidModel,
            format!("Invalid product model. The model in the file is larger than {} KB.", MODEL_MAX >> 10),
        ));
    }
    Ok(file)
}

/// A word of the file as a field of a product: what the field does not take is a fault of the file.
fn field<R: crate::bounded::Rule>(name: &str, told: Option<String>) -> Result<Option<R>> {
    let Some(told) = told.filter(|t| !t.is_empty()) else { return Ok(None) };
    match R::read(&told) {
        Some(read) => Ok(Some(read)),
        None => Err(Error::new(
            Code::InvalidModel,
            format!("Invalid product model file. Its {name} must be {}.", R::rule()),
        )),
    }
}

pub(super) static IMPORT: Built = Built::new(
    "Creates a product from a model file: the vendor's zip or an Excel workbook. What the query names counts \
     before what the file says. A wrong file is refused with every fault and its place.",
    json::<Product>(201),
    |c| Box::pin(import(c)),
)
.query(&[
    Param::mandatory::<Text<Name, 1, 64>>("name", "Display name."),
    Param::optional::<ProductId>("product_id", "Id, unique in the resource space; made when absent."),
    Param::optional::<Text<Name, 1, 32>>("device_type", "Kind of device; the file's when absent."),
    Param::optional::<Word<ProtocolType>>("protocol_type", "What its devices speak; the file's, or MQTT, when absent."),
    Param::optional::<Word<DataFormat>>("data_format", "How its devices write their data; binary for CoAP, else json."),
    Param::optional::<Text<Name, 0, 32>>("manufacturer_name", "Who makes the devices; the file's when absent."),
    Param::optional::<Text<Name, 0, 64>>("industry", "Branch."),
    Param::optional::<AppId>("app_id", "Resource space; the default one when absent."),
])
.file("file")
.errors(&[Code::InvalidModel, Code::ProductExists, Code::AppNotFound]);

async fn import(call: Call) -> Result<Reply> {
    let spaces = call.spaces(call.query("app_id")?)?;
    let Some(name) = call.query::<Text<Name, 1, 64>>("name")? else {
        return Err(Error::invalid("Invalid input. The mandatory parameter 'name' is missing."));
    };
    let file = read_file(&call).await?;
    let protocol_type = match call.query::<Word<ProtocolType>>("protocol_type")? {
        Some(asked) => Some(asked),
        None => field("protocolType", file.product.protocol_type)?,
    };
    let protocol_type = protocol_type.map_or("MQTT", |p| p.as_str());
    let device_type = match call.query::<Text<Name, 1, 32>>("device_type")? {
        Some(asked) => Some(asked),
        None => field("deviceType", file.product.device_type)?,
    };
    let manufacturer_name = match call.query::<Text<Name, 0, 32>>("manufacturer_name")? {
        Some(asked) => Some(asked),
        None => field("manufacturerName", file.product.manufacturer_name)?,
    };
    let binary = if protocol_type == "CoAP" { "binary" } else { "json" };
    let product = call
        .platform()
        .create_product(NewProduct {
            id: call.query("product_id")?,
            spaces,
            device_type: device_type.map_or_else(|| "Device".to_owned(), Text::into_string),
            name: name.into_string(),
            protocol_type: protocol_type.to_owned(),
            data_format: call.query::<Word<DataFormat>>("data_format")?.map_or(binary, |f| f.as_str()).to_owned(),
            manufacturer_name: manufacturer_name.map(Text::into_string),
            industry: call.query::<Text<Name, 0, 64>>("industry")?.map(Text::into_string),
            description: None,
            services: file.services,
        })
        .await?;
    Reply::created(&Product::whole(product))
}

pub(super) static REPLACE: Built = Built::new(
    "Replaces the model of a product by that of a file; see import_product. A wrong file changes nothing.",
    json::<Product>(200),
    |c| Box::pin(replace(c)),
)
.query(&[APP_ID])
.file("file")
.errors(&[Code::ProductNotFound, Code::InvalidModel, Code::AppNotFound]);

async fn replace(call: Call) -> Result<Reply> {
    let spaces = call.spaces(call.query("app_id")?)?;
    let id = call.product_id()?;
    // A caller who may not see the product learns nothing of its file.
    call.platform().product(&spaces, &id).await?;
    let file = read_file(&call).await?;
    let change = ProductChange { services: Some(file.services), ..ProductChange::default() };
    let product = call.platform().update_product(&spaces, &id, change).await?;
    Reply::ok(&Product::whole(product))
}

pub(super) static EXPORT: Built =
    Built::new("The model of a product as a file: the vendor's zip, or an Excel workbook.", Success::Text(ZIP), |c| {
        Box::pin(export(c))
    })
    .query(&[APP_ID, Param::optional::<Word<FileFormat>>("format", "zip unless said otherwise.")])
    .errors(&[Code::ProductNotFound, Code::AppNotFound]);

async fn export(call: Call) -> Result<Reply> {
    let spaces = call.spaces(call.query("app_id")?)?;
    let product = call.platform().product(&spaces, &call.product_id()?).await?;
    let id = product.id.clone();
    let format = call.query::<Word<FileFormat>>("format")?.map_or("zip", |f| f.as_str());
    let made = tokio::task::spawn_blocking(move || {
        if format == "xlsx" { workbook::write(&product.services) } else { profile::write(&file_of(product)) }
    });
    let bytes = made.await.map_err(Error::internal)??;
    Ok(download(bytes, &format!("{id}.{format}"), if format == "xlsx" { XLSX } else { ZIP }))
}

fn file_of(product: Record) -> ModelFile {
    let head = ProductHead {
        device_type: Some(product.device_type),
        protocol_type: Some(product.protocol_type),
        manufacturer_name: product.manufacturer_name,
    };
    ModelFile { product: head, services: product.services }
}

/// A file with a name that every browser takes: ids and formats are plain ASCII.
fn download(bytes: Vec<u8>, name: &str, content_type: &'static str) -> Reply {
    let disposition = HeaderValue::from_str(&format!("attachment; filename=\"{name}\""))
        .expect("ids and formats hold letters, digits, '_', '-' and '.' only");
    Reply::of_type(content_type, bytes).with_header(header::CONTENT_DISPOSITION, disposition)
}

pub(super) static TEMPLATE: Built =
    Built::new("An Excel workbook to fill in, with one product model as an example.", Success::Text(XLSX), |c| {
        Box::pin(template(c))
    });

async fn template(_: Call) -> Result<Reply> {
    let bytes = tokio::task::spawn_blocking(workbook::template).await.map_err(Error::internal)??;
    Ok(download(bytes, "product-model-template.xlsx", XLSX))
}

reply! {
    /// A ready product model.
    pub(crate) struct Preset {
        /// Its name in addresses.
        preset_id: String,
        /// What it is, in English.
        name: String,
        /// What it is, in Chinese.
        name_zh: String,
        /// Branch.
        industry: String,
        /// Kind of device.
        device_type: String,
        /// Usual protocol.
        protocol_type: String,
        /// Usual data format.
        data_format: String,
        /// One sentence.
        description: String,
        /// The model; not in lists.
        service_capabilities: Option<Vec<causeway_model::product::ServiceCapability>>,
    }
}

reply! {
    /// The library of presets.
    pub(crate) struct Presets {
        /// All presets.
        presets: Vec<Preset>,
    }
}

impl Preset {
    fn of(preset: &presets::Preset, whole: bool) -> Self {
        Self {
            preset_id: preset.id.clone(),
            name: preset.name.clone(),
            name_zh: preset.name_zh.clone(),
            industry: preset.industry.clone(),
            device_type: preset.device_type.clone(),
            protocol_type: preset.protocol_type.clone(),
            data_format: preset.data_format.clone(),
            description: preset.description.clone(),
            service_capabilities: whole.then(|| preset.services.clone()),
        }
    }
}

pub(super) static LIST_PRESETS: Built =
    Built::new("Lists the library of ready product models.", json::<Presets>(200), |c| Box::pin(list_presets(c)));

async fn list_presets(_: Call) -> Result<Reply> {
    Reply::ok(&Presets { presets: presets::all().iter().map(|p| Preset::of(p, false)).collect() })
}

pub(super) static SHOW_PRESET: Built =
    Built::new("Shows a ready product model.", json::<Preset>(200), |c| Box::pin(show_preset(c)))
        .errors(&[Code::PresetNotFound]);

fn preset_of(call: &Call) -> Result<&'static presets::Preset> {
    presets::find(call.path("preset_id"))
        .ok_or_else(|| Error::new(Code::PresetNotFound, "There is no such preset. GET …/product-presets lists them."))
}

async fn show_preset(call: Call) -> Result<Reply> {
    Reply::ok(&Preset::of(preset_of(&call)?, true))
}

body! {
    /// What to make of a preset.
    pub(crate) struct UsePreset {
        /// Display name; the preset's when absent.
        name: Option<Text<Any, 1, 64>>,
        /// Id, unique in the resource space; made when absent.
        product_id: Option<Id<ProductId>>,
        /// What its devices speak; the preset's when absent.
        protocol_type: Option<Word<ProtocolType>>,
        /// How its devices write their data; the preset's when absent.
        data_format: Option<Word<DataFormat>>,
        /// Who makes the devices.
        manufacturer_name: Option<Text<Name, 0, 32>>,
        /// Resource space; the default one when absent.
        app_id: Option<Id<AppId>>,
    }
}

pub(super) static USE_PRESET: Built =
    Built::new("Creates a product with a ready model.", json::<Product>(201), |c| Box::pin(use_preset(c)))
        .body::<UsePreset>()
        .errors(&[Code::PresetNotFound, Code::ProductExists, Code::AppNotFound]);

async fn use_preset(call: Call) -> Result<Reply> {
    let preset = preset_of(&call)?;
    let asked: UsePreset = call.body()?;
    let spaces = call.spaces(asked.app_id.map(|id| id.0))?;
    let word = |asked: Option<&'static str>, own: &str| asked.map_or_else(|| own.to_owned(), str::to_owned);
    let product = call
        .platform()
        .create_product(NewProduct {
            id: asked.product_id.map(|id| id.0),
            spaces,
            name: asked.name.map_or_else(|| preset.name.clone(), Text::into_string),
            device_type: preset.device_type.clone(),
            protocol_type: word(asked.protocol_type.map(|w| w.as_str()), &preset.protocol_type),
            data_format: word(asked.data_format.map(|w| w.as_str()), &preset.data_format),
            manufacturer_name: asked.manufacturer_name.map(Text::into_string),
            industry: Some(preset.industry.clone()),
            description: Some(preset.description.clone()),
            services: preset.services.clone(),
        })
        .await?;
    Reply::created(&Product::whole(product))
}
