//! What requests about devices carry, and what their answers carry.

use causeway_model::{AppId, DeviceId, NodeId, ProductId};
use serde_json::value::RawValue;

use crate::bounded::{Fingerprint, Free, Id, Ident, Int, Name, Text, Word, words};
use crate::call::Page;
use crate::shape::{Compact, Millis, body, reply};

words! {
    /// How a device proves who it is.
    AuthTypes: "SECRET" | "CERTIFICATES";
    /// Which of the two secrets.
    SecretTypes: "PRIMARY" | "SECONDARY";
}

/// Seconds within which a device must connect first; 0 = no limit.
type Timeout = Int<0, 2_147_483_647>;

body! {
    /// Credentials of a device to register.
    pub(crate) struct AuthInfo {
        /// SECRET unless said otherwise.
        auth_type: Option<Word<AuthTypes>>,
        /// The secret; made when absent.
        secret: Option<Text<Ident, 8, 32>>,
        /// SHA-1 or SHA-256 fingerprint of the device's certificate.
        fingerprint: Option<Fingerprint>,
        /// Whether only encrypted doors are open to the device.
        secure_access: Option<bool>,
        /// Seconds within which the device must connect first, or it is removed; 0 = no limit.
        timeout: Option<Timeout>,
    }
}

body! {
    /// The initial desired side of one service of the shadow.
    pub(crate) struct InitialDesired {
        /// The service.
        service_id: Text<Name, 1, 64>,
        /// Names and values, a JSON object.
        desired: Box<RawValue>,
    }
}

body! {
    /// A device to register.
    pub(crate) struct AddDevice {
        /// Id; `{product_id}_{node_id}` when absent.
        device_id: Option<Id<DeviceId>>,
        /// What the device calls itself (IMEI, MAC address, serial number), unique in its product.
        node_id: Id<NodeId>,
        /// Display name.
        device_name: Option<Text<Name, 0, 256>>,
        /// Its product.
        product_id: Id<ProductId>,
        /// Credentials; a secret is made when absent.
        auth_info: Option<AuthInfo>,
        /// Free text.
        description: Option<Text<Free, 0, 2048>>,
        /// The gateway it is behind; absent for a device that connects itself.
        gateway_id: Option<Id<DeviceId>>,
        /// Resource space, when several have a product of this id.
        app_id: Option<Id<AppId>>,
        /// The caller's own JSON, at most 1024 characters.
        extension_info: Option<Box<RawValue>>,
        /// The initial desired side of the shadow.
        shadow: Option<Vec<InitialDesired>>,
    }
}

body! {
    /// Access rules of a device to change.
    pub(crate) struct AuthInfoWithoutSecret {
        /// Whether only encrypted doors are open to the device.
        secure_access: Option<bool>,
        /// Seconds within which the device must connect first; 0 = no limit.
        timeout: Option<Timeout>,
    }
}

body! {
    /// Fields of a device to change; absent ones keep their value.
    pub(crate) struct UpdateDevice {
        /// Display name.
        device_name: Option<Text<Name, 0, 256>>,
        /// Free text.
        description: Option<Text<Free, 0, 2048>>,
        /// The caller's own JSON, at most 1024 characters.
        extension_info: Option<Box<RawValue>>,
        /// Access rules.
        auth_info: Option<AuthInfoWithoutSecret>,
    }
}

body! {
    /// Where a device moves to.
    pub(crate) struct ChangeGateway {
        /// The gateway it is to be behind.
        gateway_id: Id<DeviceId>,
    }
}

body! {
    /// A secret to replace.
    pub(crate) struct ResetSecret {
        /// The new secret; made when absent.
        secret: Option<Text<Ident, 8, 32>>,
        /// Whether the device's connection is closed.
        force_disconnect: Option<bool>,
        /// Which secret; PRIMARY unless said otherwise.
        secret_type: Option<Word<SecretTypes>>,
    }
}

reply! {
    /// A tag of a device.
    pub(crate) struct Tag {
        /// The key.
        tag_key: String,
        /// The value; empty when none was given.
        tag_value: String,
    }
}

impl From<causeway_model::tag::Tag> for Tag {
    fn from(tag: causeway_model::tag::Tag) -> Self {
        Self { tag_key: tag.key, tag_value: tag.value }
    }
}

reply! {
    /// What a device authenticates with.
    pub(crate) struct AuthReply {
        /// SECRET or CERTIFICATES.
        auth_type: &'static str,
        /// The secret, in the answer that made it only.
        secret: Option<String>,
        /// Fingerprint of the certificate.
        fingerprint: Option<String>,
        /// Fingerprint of the second certificate.
        secondary_fingerprint: Option<String>,
        /// Whether only encrypted doors are open to the device.
        secure_access: bool,
        /// Seconds within which it must connect first; in answers to creation and update.
        timeout: Option<i64>,
    }
}

reply! {
    /// A device.
    pub(crate) struct Device {
        /// Resource space.
        app_id: String,
        /// Name of the resource space.
        app_name: String,
        /// The id.
        device_id: String,
        /// What the device calls itself.
        node_id: String,
        /// The gateway it is behind; its own id when it connects itself.
        gateway_id: String,
        /// Display name.
        device_name: Option<String>,
        /// GATEWAY for a device that connects itself, ENDPOINT for one behind a gateway.
        node_type: &'static str,
        /// Free text.
        description: Option<String>,
        /// Firmware version the device told.
        fw_version: Option<String>,
        /// Software version the device told.
        sw_version: Option<String>,
        /// SDK version the device told.
        device_sdk_version: Option<String>,
        /// Credentials.
        auth_info: AuthReply,
        /// Its product.
        product_id: String,
        /// Name of its product.
        product_name: String,
        /// ONLINE, OFFLINE, ABNORMAL, INACTIVE or FROZEN.
        status: &'static str,
        /// When it was registered.
        create_time: Compact,
        /// When its connection status changed last.
        connection_status_update_time: Option<Millis>,
        /// When it connected first.
        active_time: Option<Millis>,
        /// Tags.
        tags: Vec<Tag>,
        /// The caller's own JSON.
        extension_info: Option<Box<RawValue>>,
    }
}

reply! {
    /// A device in a list.
    pub(crate) struct DeviceItem {
        /// Resource space.
        app_id: String,
        /// Name of the resource space.
        app_name: String,
        /// The id.
        device_id: String,
        /// What the device calls itself.
        node_id: String,
        /// The gateway it is behind; its own id when it connects itself.
        gateway_id: String,
        /// Display name.
        device_name: Option<String>,
        /// GATEWAY for a device that connects itself, ENDPOINT for one behind a gateway.
        node_type: &'static str,
        /// Free text.
        description: Option<String>,
        /// Firmware version the device told.
        fw_version: Option<String>,
        /// Software version the device told.
        sw_version: Option<String>,
        /// SDK version the device told.
        device_sdk_version: Option<String>,
        /// Its product.
        product_id: String,
        /// Name of its product.
        product_name: String,
        /// ONLINE, OFFLINE, ABNORMAL, INACTIVE or FROZEN.
        status: &'static str,
        /// Tags.
        tags: Vec<Tag>,
    }
}

reply! {
    /// A page of devices.
    pub(crate) struct Devices {
        /// The devices, newest first.
        devices: Vec<DeviceItem>,
        /// The page.
        page: Page,
    }
}

reply! {
    /// A new secret.
    pub(crate) struct SecretReply {
        /// The device.
        device_id: String,
        /// The secret; shown in this answer only.
        secret: String,
        /// PRIMARY or SECONDARY.
        secret_type: &'static str,
    }
}
