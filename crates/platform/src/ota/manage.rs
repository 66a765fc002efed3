//! Creating, changing and deleting OTA modules and packages.

use causeway_model::file::{FileState, ObjectKey};
use causeway_model::ota::{ModuleFilter, OtaModule, OtaPackage, PackageFilter, PackageObject, PackageType};
use causeway_model::registry::{Page, PageRequest, Product};
use causeway_model::{Code, Error, RecordNo, Result, Spaces};

use crate::Platform;
use crate::secrets::random_hex;

/// A module to create; checked fields of the API.
#[derive(Clone, Debug)]
pub struct NewModule {
    /// Its product.
    pub product: Product,
    /// Name, unique in the product.
    pub name: String,
    /// Name for people.
    pub alias: Option<String>,
    /// Free text.
    pub description: Option<String>,
}

/// A package to create; checked fields of the API.
#[derive(Clone, Debug)]
pub struct NewPackage {
    /// Its product.
    pub product: Product,
    /// What it is for.
    pub package_type: PackageType,
    /// The module.
    pub module_name: Option<String>,
    /// The version that devices have afterwards.
    pub version: String,
    /// Versions that it may be laid over.
    pub source_versions: Vec<String>,
    /// Free text.
    pub description: Option<String>,
    /// Free text that is handed to devices.
    pub custom_info: Option<String>,
    /// What it consists of.
    pub object: PackageObject,
}

fn no_module(id: &str) -> Error {
    Error::new(Code::OtaModuleNotFound, format!("The OTA module '{id}' does not exist."))
}

fn no_package(id: &str) -> Error {
    Error::new(Code::OtaPackageNotFound, format!("The OTA package '{id}' does not exist."))
}

fn no_object(reason: impl std::fmt::Display) -> Error {
    Error::new(
        Code::OtaObjectNotFound,
        format!(
            "Invalid input. {reason} Upload the package first (POST /files) and send the 'bucket_name' and 'object_key' of \
             the answer."
        ),
    )
}

impl Platform {
    /// Creates a module.
    ///
    /// # Errors
    /// [`Code::TooManyOtaModules`]; [`Code::OtaModuleExists`].
    pub async fn create_ota_module(&self, new: NewModule) -> Result<OtaModule> {
        let module = OtaModule {
            no: RecordNo(0),
            id: random_hex(12),
            app_id: new.product.app_id,
            product_id: new.product.id,
            product_name: new.product.name,
            name: new.name,
            alias: new.alias,
            description: new.description,
            created_at: self.clock.now(),
        };
        self.store.insert_ota_module(new.product.no, module, self.settings.ota.max_modules).await
    }

    /// One module.
    ///
    /// # Errors
    /// [`Code::OtaModuleNotFound`].
    pub async fn ota_module(&self, spaces: &Spaces, id: &str) -> Result<OtaModule> {
        let found = self.store.ota_module(id).await?.filter(|m| spaces.sees(&m.app_id));
        found.ok_or_else(|| no_module(id))
    }

    /// A page of modules, newest first.
    ///
    /// # Errors
    /// [`Code::AppNotFound`].
    pub async fn list_ota_modules(&self, filter: &ModuleFilter, page: PageRequest) -> Result<Page<OtaModule>> {
        if let Some(app) = filter.spaces.single() {
            self.app(app).await?;
        }
        self.store.list_ota_modules(filter, page).await
    }

    /// Changes a module; absent fields keep their value.
    ///
    /// # Errors
    /// [`Code::OtaModuleNotFound`].
    pub async fn update_ota_module(
        &self,
        spaces: &Spaces,
        id: &str,
        alias: Option<String>,
        description: Option<String>,
    ) -> Result<OtaModule> {
        let mut module = self.ota_module(spaces, id).await?;
        module.alias = alias.or(module.alias);
        module.description = description.or(module.description);
        if self.store.update_ota_module(&module).await? { Ok(module) } else { Err(no_module(id)) }
    }

    /// Deletes a module that no package is of.
    ///
    /// # Errors
    /// [`Code::OtaModuleNotFound`]; [`Code::OtaModuleInUse`].
    pub async fn delete_ota_module(&self, spaces: &Spaces, id: &str) -> Result<()> {
        let module = self.ota_module(spaces, id).await?;
        if self.store.delete_ota_module(module.no).await? { Ok(()) } else { Err(no_module(id)) }
    }

    /// Creates a package of an uploaded file.
    ///
    /// # Errors
    /// [`Code::InvalidInput`]; [`Code::OtaModuleNotFound`]; [`Code::OtaPackageExists`]; [`Code::OtaObjectNotFound`];
    /// [`Code::FileMismatch`] when the content does not have the SHA-256 of `sign`.
    pub async fn create_ota_package(&self, new: NewPackage) -> Result<OtaPackage> {
        let most = self.settings.ota.max_source_versions;
        if new.source_versions.len() > most as usize {
            return Err(Error::invalid(format!(
                "Invalid input. 'support_source_versions' must have at most {most} versions."
            )));
        }
        if (new.package_type == PackageType::Module) != new.module_name.is_some() {
            return Err(Error::invalid(
                "Invalid input. 'module_name' must be sent with the package type modulePackage, and with no other.",
            ));
        }
        self.check_object(&new.product, &new.object).await?;
        let package = OtaPackage {
            no: RecordNo(0),
            id: random_hex(12),
            app_id: new.product.app_id,
            package_type: new.package_type,
            product_id: new.product.id,
            product_name: new.product.name,
            module_name: new.module_name,
            version: new.version,
            source_versions: new.source_versions,
            description: new.description,
            custom_info: new.custom_info,
            created_at: self.clock.now(),
            object: new.object,
        };
        self.store.insert_ota_package(new.product.no, package).await
    }

    /// The object is a stored file of the product's space, and is what `sign` says.
    async fn check_object(&self, product: &Product, object: &PackageObject) -> Result<()> {
        if object.bucket != self.bucket() {
            return Err(no_object(format_args!("There is no bucket '{}'; it is '{}'.", object.bucket, self.bucket())));
        }
        let missing = || no_object("The object does not exist.");
        let key = ObjectKey::parse(&object.key).ok_or_else(missing)?;
        let spaces = Spaces::one(product.app_id.clone());
        let file = self.store.file_at(&key).await?.filter(|f| spaces.sees(&f.app_id)).ok_or_else(missing)?;
        let file = self.file_now(&spaces, &file.id).await?;
        if file.state != FileState::Stored {
            return Err(no_object(format_args!("The object is {}; its content is not there.", file.state.as_str())));
        }
        match (&object.sign, &file.sha256) {
            (Some(sign), Some(found)) if !sign.eq_ignore_ascii_case(found) => Err(Error::new(
                Code::FileMismatch,
                format!("Invalid input. 'sign' is not the SHA-256 of the object, {found}."),
            )),
            _ => Ok(()),
        }
    }

    /// One package.
    ///
    /// # Errors
    /// [`Code::OtaPackageNotFound`].
    pub async fn ota_package(&self, spaces: &Spaces, id: &str) -> Result<OtaPackage> {
        let found = self.store.ota_package(id).await?.filter(|p| spaces.sees(&p.app_id));
        found.ok_or_else(|| no_package(id))
    }

    /// A page of packages, newest first.
    ///
    /// # Errors
    /// [`Code::AppNotFound`].
    pub async fn list_ota_packages(&self, filter: &PackageFilter, page: PageRequest) -> Result<Page<OtaPackage>> {
        if let Some(app) = filter.spaces.single() {
            self.app(app).await?;
        }
        self.store.list_ota_packages(filter, page).await
    }

    /// Deletes a package; the file that it consists of stays.
    ///
    /// # Errors
    /// [`Code::OtaPackageNotFound`].
    pub async fn delete_ota_package(&self, spaces: &Spaces, id: &str) -> Result<()> {
        let package = self.ota_package(spaces, id).await?;
        if self.store.delete_ota_package(package.no).await? { Ok(()) } else { Err(no_package(id)) }
    }
}
