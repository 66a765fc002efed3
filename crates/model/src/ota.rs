//! OTA modules and packages (002 §3.7, §3.8; `iotda-v5-api.md`, OTA modules and packages).

use crate::ids::{AppId, ProductId, RecordNo};
use crate::spaces::Spaces;
use crate::time::Timestamp;

/// A part of a device that has a version of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtaModule {
    /// Paging position.
    pub no: RecordNo,
    /// The id, 24 hex digits.
    pub id: String,
    /// The space it belongs to.
    pub app_id: AppId,
    /// The product whose devices have it.
    pub product_id: ProductId,
    /// Name of the product, for display.
    pub product_name: String,
    /// Name, unique in the product.
    pub name: String,
    /// Name for people.
    pub alias: Option<String>,
    /// Free text.
    pub description: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What a package is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PackageType {
    /// The device's software.
    Software,
    /// The device's firmware.
    Firmware,
    /// One of its modules.
    Module,
}

impl PackageType {
    /// The word of the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Software => "softwarePackage",
            Self::Firmware => "firmwarePackage",
            Self::Module => "modulePackage",
        }
    }

    /// Reads the word back.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Software, Self::Firmware, Self::Module].into_iter().find(|t| t.as_str() == word)
    }
}

/// The object that a package consists of (`obs_location`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackageObject {
    /// Region, as it was sent.
    pub region: String,
    /// Bucket.
    pub bucket: String,
    /// Key in the bucket.
    pub key: String,
    /// How it is signed, as it was sent.
    pub sign_method: Option<String>,
    /// SHA-256 of the content, 64 hex digits.
    pub sign: Option<String>,
}

/// A version of software, firmware or a module, to upgrade devices to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtaPackage {
    /// Paging position.
    pub no: RecordNo,
    /// The id, 24 hex digits.
    pub id: String,
    /// The space it belongs to.
    pub app_id: AppId,
    /// What it is for.
    pub package_type: PackageType,
    /// For the devices of this product.
    pub product_id: ProductId,
    /// Name of the product, for display.
    pub product_name: String,
    /// The module; only with [`PackageType::Module`].
    pub module_name: Option<String>,
    /// The version that devices have afterwards; unique in the product, type and module.
    pub version: String,
    /// Versions that it may be laid over; empty: all.
    pub source_versions: Vec<String>,
    /// Free text.
    pub description: Option<String>,
    /// Free text that is handed to devices.
    pub custom_info: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// What it consists of.
    pub object: PackageObject,
}

/// Which modules a list holds.
#[derive(Clone, Debug, Default)]
pub struct ModuleFilter {
    /// Of these spaces.
    pub spaces: Spaces,
    /// Of this product.
    pub product_id: Option<ProductId>,
}

/// Which packages a list holds.
#[derive(Clone, Debug)]
pub struct PackageFilter {
    /// Of these spaces.
    pub spaces: Spaces,
    /// Of this type.
    pub package_type: PackageType,
    /// Of this product.
    pub product_id: Option<ProductId>,
    /// Of this version.
    pub version: Option<String>,
}
