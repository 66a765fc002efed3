//! OTA modules and packages (`iotda-v5-api.md`, OTA modules and packages).

use causeway_model::ota::{ModuleFilter, OtaModule, OtaPackage, PackageFilter, PackageObject, PackageType};
use causeway_model::registry::Product;
use causeway_model::{AppId, Code, Error, ProductId, Result};
use causeway_platform::ota::{NewModule, NewPackage};

use crate::bounded::{Any, Charset, Fingerprint, Free, Id, Name, Text, Word, words};
use crate::call::{Call, Page, Reply};
use crate::operation::{Built, Param, Success, json};
use crate::shape::{Compact, body, reply};

/// Names and versions: the sheet's set I with `.`.
pub(crate) enum Dotted {}

impl Charset for Dotted {
    const WORDS: &'static str = " of letters, digits, '_', '-' and '.'";
    const CLASS: &'static str = "[A-Za-z0-9_.-]";
    fn allows(c: char) -> bool {
        c.is_ascii_alphanumeric() || "_-.".contains(c)
    }
}

words! {
    /// What a package is for.
    PackageTypes: "softwarePackage" | "firmwarePackage" | "modulePackage";
}

body! {
    /// A module to create.
    pub(crate) struct CreateModule {
        /// Resource space.
        app_id: Id<AppId>,
        /// Product.
        product_id: Id<ProductId>,
        /// Name, unique in the product.
        module_name: Text<Dotted, 1, 64>,
        /// Name for people.
        alias_name: Option<Text<Name, 0, 64>>,
        /// Free text.
        description: Option<Text<Free, 0, 1024>>,
    }
}

body! {
    /// Fields of a module to change; absent ones keep their value.
    pub(crate) struct UpdateModule {
        /// Name for people.
        alias_name: Option<Text<Name, 0, 64>>,
        /// Free text.
        description: Option<Text<Free, 0, 1024>>,
    }
}

body! {
    /// An object in the platform's object store.
    pub(crate) struct ObsLocationBody {
        /// Region; kept as it is.
        region_name: Text<Any, 1, 256>,
        /// The platform's bucket: `bucket_name` of a file.
        bucket_name: Text<Dotted, 3, 63>,
        /// `object_key` of a file that an application has uploaded.
        object_key: Text<Any, 1, 1024>,
        /// How `sign` was made: SHA256.
        sign_method: Option<Text<Any, 0, 64>>,
        /// SHA-256 of the content in hexadecimal digits.
        sign: Option<Fingerprint>,
    }
}

body! {
    /// Where a package's file lies.
    pub(crate) struct FileLocationBody {
        /// An object in the platform's object store.
        obs_location: ObsLocationBody,
    }
}

body! {
    /// A package to create.
    pub(crate) struct CreatePackage {
        /// Resource space.
        app_id: Id<AppId>,
        /// What it is for.
        package_type: Word<PackageTypes>,
        /// Product.
        product_id: Id<ProductId>,
        /// The module; with `modulePackage` only.
        module_name: Option<Text<Dotted, 1, 64>>,
        /// The version that devices have afterwards; unique in product, type and module.
        version: Text<Dotted, 1, 256>,
        /// Versions that it may be laid over, 20 at most; all when absent or empty.
        support_source_versions: Option<Vec<Text<Dotted, 1, 256>>>,
        /// Free text.
        description: Option<Text<Free, 0, 1024>>,
        /// Free text that is handed to devices.
        custom_info: Option<Text<Any, 0, 4096>>,
        /// Where its file lies.
        file_location: FileLocationBody,
    }
}

reply! {
    /// A module.
    pub(crate) struct Module {
        /// The id.
        module_id: String,
        /// Resource space.
        app_id: String,
        /// Product.
        product_id: String,
        /// Name of the product.
        product_name: String,
        /// Name.
        module_name: String,
        /// Name for people.
        alias_name: Option<String>,
        /// Free text.
        description: Option<String>,
        /// When it was made.
        create_time: Compact,
    }
}

reply! {
    /// A page of modules.
    pub(crate) struct Modules {
        /// The modules, newest first.
        modules: Vec<Module>,
        /// The page.
        page: Page,
    }
}

reply! {
    /// An object in the platform's object store.
    pub(crate) struct ObsLocation {
        /// Region, as it was sent.
        region_name: String,
        /// Bucket.
        bucket_name: String,
        /// Key in the bucket.
        object_key: String,
        /// How `sign` was made.
        sign_method: Option<String>,
        /// SHA-256 of the content.
        sign: Option<String>,
    }
}

reply! {
    /// Where a package's file lies.
    pub(crate) struct FileLocation {
        /// An object in the platform's object store.
        obs_location: ObsLocation,
    }
}

reply! {
    /// A package.
    pub(crate) struct Package {
        /// The id.
        package_id: String,
        /// Resource space.
        app_id: String,
        /// What it is for.
        package_type: &'static str,
        /// Product.
        product_id: String,
        /// Name of the product.
        product_name: String,
        /// The module.
        module_name: Option<String>,
        /// The version that devices have afterwards.
        version: String,
        /// Versions that it may be laid over.
        support_source_versions: Vec<String>,
        /// Free text.
        description: Option<String>,
        /// Free text that is handed to devices.
        custom_info: Option<String>,
        /// When it was made.
        create_time: Compact,
        /// Where its file lies; not in lists.
        file_location: Option<FileLocation>,
    }
}

reply! {
    /// A page of packages, without the places of their files.
    pub(crate) struct Packages {
        /// The packages, newest first.
        packages: Vec<Package>,
        /// The page.
        page: Page,
    }
}

impl From<OtaModule> for Module {
    fn from(module: OtaModule) -> Self {
        Self {
            module_id: module.id,
            app_id: module.app_id.to_string(),
            product_id: module.product_id.to_string(),
            product_name: module.product_name,
            module_name: module.name,
            alias_name: module.alias,
            description: module.description,
            create_time: Compact(module.created_at),
        }
    }
}

impl Package {
    fn whole(package: OtaPackage) -> Self {
        let object = package.object;
        let obs_location = ObsLocation {
            region_name: object.region,
            bucket_name: object.bucket,
            object_key: object.key,
            sign_method: object.sign_method,
            sign: object.sign,
        };
        Self {
            package_id: package.id,
            app_id: package.app_id.to_string(),
            package_type: package.package_type.as_str(),
            product_id: package.product_id.to_string(),
            product_name: package.product_name,
            module_name: package.module_name,
            version: package.version,
            support_source_versions: package.source_versions,
            description: package.description,
            custom_info: package.custom_info,
            create_time: Compact(package.created_at),
            file_location: Some(FileLocation { obs_location }),
        }
    }

    fn summary(package: OtaPackage) -> Self {
        Self { file_location: None, ..Self::whole(package) }
    }
}

/// The product that a body names together with its space.
async fn product_of(call: &Call, app: AppId, product: &ProductId) -> Result<Product> {
    call.platform().product(&call.spaces(Some(app))?, product).await
}

fn text<C: Charset, const MIN: usize, const MAX: usize>(text: Option<Text<C, MIN, MAX>>) -> Option<String> {
    text.map(Text::into_string)
}

pub(super) static CREATE_MODULE: Built =
    Built::new("Creates an OTA module.", json::<Module>(201), |c| Box::pin(create_module(c)))
        .body::<CreateModule>()
        .errors(&[Code::AppNotFound, Code::ProductNotFound, Code::OtaModuleExists, Code::TooManyOtaModules]);

async fn create_module(call: Call) -> Result<Reply> {
    let new: CreateModule = call.body()?;
    let new = NewModule {
        product: product_of(&call, new.app_id.0, &new.product_id.0).await?,
        name: new.module_name.into_string(),
        alias: text(new.alias_name),
        description: text(new.description),
    };
    Reply::created(&Module::from(call.platform().create_ota_module(new).await?))
}

pub(super) static LIST_MODULES: Built =
    Built::new("Lists OTA modules.", json::<Modules>(200), |c| Box::pin(list_modules(c)))
        .query(&[
            Param::mandatory::<AppId>("app_id", "Resource space."),
            Param::optional::<ProductId>("product_id", "Only of this product."),
        ])
        .paged()
        .errors(&[Code::AppNotFound]);

async fn list_modules(call: Call) -> Result<Reply> {
    let app = call.query::<AppId>("app_id")?.ok_or_else(|| missing("app_id"))?;
    let filter = ModuleFilter { spaces: call.spaces(Some(app))?, product_id: call.query("product_id")? };
    let page = call.platform().list_ota_modules(&filter, call.page()?).await?;
    let of = Page::of(&page);
    Reply::ok(&Modules { modules: page.items.into_iter().map(Module::from).collect(), page: of })
}

fn missing(name: &str) -> Error {
    Error::invalid(format!("Invalid input. The mandatory parameter '{name}' is missing."))
}

pub(super) static SHOW_MODULE: Built =
    Built::new("Shows an OTA module.", json::<Module>(200), |c| Box::pin(show_module(c)))
        .errors(&[Code::OtaModuleNotFound]);

async fn show_module(call: Call) -> Result<Reply> {
    let module = call.platform().ota_module(&call.allowed, call.path("module_id")).await?;
    Reply::ok(&Module::from(module))
}

pub(super) static UPDATE_MODULE: Built =
    Built::new("Changes an OTA module.", json::<Module>(200), |c| Box::pin(update_module(c)))
        .body::<UpdateModule>()
        .errors(&[Code::OtaModuleNotFound]);

async fn update_module(call: Call) -> Result<Reply> {
    let change: UpdateModule = call.body()?;
    let (alias, description) = (text(change.alias_name), text(change.description));
    let id = call.path("module_id");
    let module = call.platform().update_ota_module(&call.allowed, id, alias, description).await?;
    Reply::ok(&Module::from(module))
}

pub(super) static DELETE_MODULE: Built =
    Built::new("Deletes an OTA module that no package is of.", Success::Empty, |c| Box::pin(delete_module(c)))
        .errors(&[Code::OtaModuleNotFound, Code::OtaModuleInUse]);

async fn delete_module(call: Call) -> Result<Reply> {
    let id = call.path("module_id");
    call.concerns(&call.platform().ota_module(&call.allowed, id).await?.app_id);
    call.platform().delete_ota_module(&call.allowed, id).await?;
    Ok(Reply::empty())
}

pub(super) static CREATE_PACKAGE: Built =
    Built::new("Creates an OTA package of an uploaded file.", json::<Package>(201), |c| Box::pin(create_package(c)))
        .body::<CreatePackage>()
        .errors(&[
            Code::AppNotFound,
            Code::ProductNotFound,
            Code::OtaModuleNotFound,
            Code::OtaPackageExists,
            Code::OtaObjectNotFound,
            Code::FileMismatch,
        ]);

async fn create_package(call: Call) -> Result<Reply> {
    let new: CreatePackage = call.body()?;
    let product = product_of(&call, new.app_id.0, &new.product_id.0).await?;
    let place = new.file_location.obs_location;
    let sign = place.sign.map(Fingerprint::into_string);
    if sign.as_ref().is_some_and(|s| s.len() != 64) {
        return Err(Error::invalid("Invalid input. 'file_location.obs_location.sign' must be 64 hexadecimal digits."));
    }
    let package_type = PackageType::parse(new.package_type.as_str())
        .ok_or_else(|| Error::internal("a word of the list is no type of a package"))?;
    let new = NewPackage {
        product,
        package_type,
        module_name: text(new.module_name),
        version: new.version.into_string(),
        source_versions: new.support_source_versions.into_iter().flatten().map(Text::into_string).collect(),
        description: text(new.description),
        custom_info: text(new.custom_info),
        object: PackageObject {
            region: place.region_name.into_string(),
            bucket: place.bucket_name.into_string(),
            key: place.object_key.into_string(),
            sign_method: text(place.sign_method),
            sign,
        },
    };
    Reply::created(&Package::whole(call.platform().create_ota_package(new).await?))
}

pub(super) static LIST_PACKAGES: Built =
    Built::new("Lists OTA packages.", json::<Packages>(200), |c| Box::pin(list_packages(c)))
        .query(&[
            Param::optional::<AppId>("app_id", "Only of this resource space."),
            Param::mandatory::<Word<PackageTypes>>("package_type", "What they are for."),
            Param::optional::<ProductId>("product_id", "Only of this product."),
            Param::optional::<Text<Dotted, 1, 256>>("version", "Only of this version."),
        ])
        .paged()
        .errors(&[Code::AppNotFound]);

async fn list_packages(call: Call) -> Result<Reply> {
    let kind = call.query::<Word<PackageTypes>>("package_type")?;
    let package_type = kind.and_then(|w| PackageType::parse(w.as_str())).ok_or_else(|| missing("package_type"))?;
    let filter = PackageFilter {
        spaces: call.spaces(call.query::<AppId>("app_id")?)?,
        package_type,
        product_id: call.query("product_id")?,
        version: call.query::<Text<Dotted, 1, 256>>("version")?.map(Text::into_string),
    };
    let page = call.platform().list_ota_packages(&filter, call.page()?).await?;
    let of = Page::of(&page);
    Reply::ok(&Packages { packages: page.items.into_iter().map(Package::summary).collect(), page: of })
}

pub(super) static SHOW_PACKAGE: Built =
    Built::new("Shows an OTA package.", json::<Package>(200), |c| Box::pin(show_package(c)))
        .errors(&[Code::OtaPackageNotFound]);

async fn show_package(call: Call) -> Result<Reply> {
    let package = call.platform().ota_package(&call.allowed, call.path("package_id")).await?;
    Reply::ok(&Package::whole(package))
}

pub(super) static DELETE_PACKAGE: Built =
    Built::new("Deletes an OTA package; its file stays.", Success::Empty, |c| Box::pin(delete_package(c)))
        .errors(&[Code::OtaPackageNotFound]);

async fn delete_package(call: Call) -> Result<Reply> {
    let id = call.path("package_id");
    call.concerns(&call.platform().ota_package(&call.allowed, id).await?.app_id);
    call.platform().delete_ota_package(&call.allowed, id).await?;
    Ok(Reply::empty())
}
