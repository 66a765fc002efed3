//! What is registered: spaces, products, devices.

use crate::ids::{AppId, DeviceId, DeviceNo, NodeId, ProductId, RecordNo};
use crate::product::ServiceCapability;
use crate::spaces::Spaces;
use crate::status::DeviceStatus;
use crate::tag::Tag;
use crate::time::Timestamp;

/// A resource space (002 §8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct App {
    /// Paging position.
    pub no: RecordNo,
    /// The id, 32 hex digits.
    pub id: AppId,
    /// Name, unique in the project.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// The one space that is there from the start and stays.
    pub is_default: bool,
}

/// A product (002 §3.1).
#[derive(Clone, Debug, PartialEq)]
pub struct Product {
    /// Paging position and the key other records refer to.
    pub no: RecordNo,
    /// The space it belongs to.
    pub app_id: AppId,
    /// Name of that space, for display.
    pub app_name: String,
    /// The id, unique in the space.
    pub id: ProductId,
    /// Display name.
    pub name: String,
    /// Kind of device, free text.
    pub device_type: String,
    /// `MQTT`, `CoAP`, `HTTP`, ….
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
    /// Topics under `$oc/devices/{id}/user/` that the product declares.
    pub topics: Vec<CustomTopic>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Who may publish on a custom topic, seen from the device (002 §4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopicRight {
    /// The device may publish.
    Publish,
    /// The device may subscribe.
    Subscribe,
    /// Both.
    All,
}

impl TopicRight {
    /// The word of the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Publish => "PUBLISH",
            Self::Subscribe => "SUBSCRIBE",
            Self::All => "ALL",
        }
    }

    /// Reads the word back.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Publish, Self::Subscribe, Self::All].into_iter().find(|r| r.as_str() == word)
    }

    /// Whether the device may publish.
    #[must_use]
    pub fn may_publish(self) -> bool {
        self != Self::Subscribe
    }

    /// Whether the device may subscribe.
    #[must_use]
    pub fn may_subscribe(self) -> bool {
        self != Self::Publish
    }
}

/// A custom topic of a product: the part after `$oc/devices/{device_id}/user/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomTopic {
    /// The id, 24 hex digits.
    pub id: String,
    /// 1 to 64 bytes of letters, digits, `_` and single `/`.
    pub topic: String,
    /// What the device may do with it.
    pub right: TopicRight,
    /// Free text.
    pub description: Option<String>,
}

/// How a device proves who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthType {
    /// HMAC of a secret.
    Secret,
    /// X.509 certificate.
    Certificates,
}

impl AuthType {
    /// The word of the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Secret => "SECRET",
            Self::Certificates => "CERTIFICATES",
        }
    }
}

/// Bytes sealed under the instance key; only the platform's keeper of secrets opens them.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(pub Box<[u8]>);

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealed(…)")
    }
}

/// What a device authenticates with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceAuth {
    /// Secret or certificate.
    pub auth_type: AuthType,
    /// The secret in use.
    pub secret: Option<Sealed>,
    /// A second secret, valid beside the first.
    pub secondary_secret: Option<Sealed>,
    /// SHA-256 or SHA-1 fingerprint of the certificate, lower-case hex.
    pub fingerprint: Option<String>,
    /// A second fingerprint.
    pub secondary_fingerprint: Option<String>,
    /// Whether only encrypted doors are open to the device.
    pub secure_access: bool,
    /// Seconds within which it must connect for the first time; 0 = no limit.
    pub timeout_s: i64,
}

/// A device (002 §3.3).
#[derive(Clone, Debug, PartialEq)]
pub struct Device {
    /// Number inside the store and paging position.
    pub no: DeviceNo,
    /// The space.
    pub app_id: AppId,
    /// Name of the space, for display.
    pub app_name: String,
    /// The id.
    pub id: DeviceId,
    /// What the device calls itself.
    pub node_id: NodeId,
    /// Display name.
    pub name: Option<String>,
    /// Free text.
    pub description: Option<String>,
    /// The key of its product.
    pub product_no: RecordNo,
    /// The product's id.
    pub product_id: ProductId,
    /// The product's name, for display.
    pub product_name: String,
    /// The gateway it speaks through; `None` for a direct device.
    pub gateway_id: Option<DeviceId>,
    /// Firmware version the device told.
    pub fw_version: Option<String>,
    /// Software version the device told.
    pub sw_version: Option<String>,
    /// SDK version the device told.
    pub sdk_version: Option<String>,
    /// Credentials.
    pub auth: DeviceAuth,
    /// Connection status, regardless of `frozen`.
    pub connection: DeviceStatus,
    /// May not connect.
    pub frozen: bool,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When the connection status changed last.
    pub status_changed_at: Option<Timestamp>,
    /// When it connected first.
    pub activated_at: Option<Timestamp>,
    /// When it was online last.
    pub last_online_at: Option<Timestamp>,
    /// The caller's own JSON, verbatim.
    pub extension_info: Option<String>,
    /// Tags, by key.
    pub tags: Vec<Tag>,
}

impl Device {
    /// The status that interfaces show.
    #[must_use]
    pub fn status(&self) -> DeviceStatus {
        if self.frozen { DeviceStatus::Frozen } else { self.connection }
    }

    /// `GATEWAY` for direct devices, `ENDPOINT` for those behind one (`iotda-v5-api.md`, `add_device`).
    #[must_use]
    pub fn node_type(&self) -> &'static str {
        if self.gateway_id.is_some() { "ENDPOINT" } else { "GATEWAY" }
    }
}

/// One page of a list, newest first (`iotda-v5-api.md` §1.4).
#[derive(Clone, Copy, Debug)]
pub struct PageRequest {
    /// Only records before this one.
    pub marker: RecordNo,
    /// Skip so many of them.
    pub offset: u32,
    /// Return at most so many.
    pub limit: u32,
}

/// A page.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// The records.
    pub items: Vec<T>,
    /// All records that match the filter, on any page.
    pub count: u64,
    /// Where the next page starts.
    pub marker: RecordNo,
}

/// Which devices to list. Absent fields do not restrict.
#[derive(Clone, Debug, Default)]
pub struct DeviceFilter {
    /// Of these spaces.
    pub spaces: Spaces,
    /// Of this product.
    pub product_id: Option<ProductId>,
    /// Below this gateway.
    pub gateway_id: Option<DeviceId>,
    /// Below it on any level, not only directly.
    pub cascade: bool,
    /// With this node id.
    pub node_id: Option<String>,
    /// Whose name contains this text.
    pub name: Option<String>,
    /// Registered from here, inclusive.
    pub from: Option<Timestamp>,
    /// Registered up to here, exclusive.
    pub to: Option<Timestamp>,
}

/// Which products to list.
#[derive(Clone, Debug, Default)]
pub struct ProductFilter {
    /// Of these spaces.
    pub spaces: Spaces,
    /// Whose name contains this text.
    pub name: Option<String>,
}
