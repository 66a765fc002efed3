//! What OTA needs from the store.

use async_trait::async_trait;
use causeway_model::ota::{ModuleFilter, OtaModule, OtaPackage, PackageFilter};
use causeway_model::registry::{Page, PageRequest};
use causeway_model::{RecordNo, Result};

/// Keeps OTA modules and packages. Both go with their product.
#[async_trait]
pub trait OtaStore: Send + Sync {
    /// Adds a module of `product` unless `limit` are there ([`Code::TooManyOtaModules`]) or the name is taken
    /// ([`Code::OtaModuleExists`]), checked in the same transaction. `module.no` is ignored.
    ///
    /// [`Code::TooManyOtaModules`]: causeway_model::Code::TooManyOtaModules
    /// [`Code::OtaModuleExists`]: causeway_model::Code::OtaModuleExists
    async fn insert_ota_module(&self, product: RecordNo, module: OtaModule, limit: u32) -> Result<OtaModule>;
    /// The module with this id.
    async fn ota_module(&self, id: &str) -> Result<Option<OtaModule>>;
    /// A page of modules, newest first.
    async fn list_ota_modules(&self, filter: &ModuleFilter, page: PageRequest) -> Result<Page<OtaModule>>;
    /// Replaces alias and description. False when it is gone.
    async fn update_ota_module(&self, module: &OtaModule) -> Result<bool>;
    /// Deletes a module. [`Code::OtaModuleInUse`](causeway_model::Code::OtaModuleInUse) when packages are of it. False
    /// when it is not there.
    async fn delete_ota_module(&self, no: RecordNo) -> Result<bool>;
    /// Adds a package of `product`; `package.no` is ignored. Checked in the same transaction: its module is there
    /// ([`Code::OtaModuleNotFound`]), its object is a stored file of the applications of its space
    /// ([`Code::OtaObjectNotFound`]), and there is none of its type, module and version ([`Code::OtaPackageExists`]).
    ///
    /// [`Code::OtaModuleNotFound`]: causeway_model::Code::OtaModuleNotFound
    /// [`Code::OtaObjectNotFound`]: causeway_model::Code::OtaObjectNotFound
    /// [`Code::OtaPackageExists`]: causeway_model::Code::OtaPackageExists
    async fn insert_ota_package(&self, product: RecordNo, package: OtaPackage) -> Result<OtaPackage>;
    /// The package with this id.
    async fn ota_package(&self, id: &str) -> Result<Option<OtaPackage>>;
    /// A page of packages, newest first.
    async fn list_ota_packages(&self, filter: &PackageFilter, page: PageRequest) -> Result<Page<OtaPackage>>;
    /// Deletes a package. False when it is not there.
    async fn delete_ota_package(&self, no: RecordNo) -> Result<bool>;
}
