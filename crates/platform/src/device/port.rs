//! What devices need from the store.

use async_trait::async_trait;
use causeway_model::properties::PropertyObject;
use causeway_model::registry::{Device, DeviceFilter, Page, PageRequest, Sealed};
use causeway_model::service_event::DeviceVersions;
use causeway_model::status::DeviceStatus;
use causeway_model::{DeviceId, DeviceNo, Error, Result, Timestamp};

/// Which of the two secrets or fingerprints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialSlot {
    /// The one in use.
    Primary,
    /// The second one, for rolling over.
    Secondary,
}

/// The initial desired side of a new device's shadow.
pub type InitialDesired = Vec<(String, PropertyObject)>;

/// A token of the HTTPS door, as the store keeps it: hashed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceToken {
    /// SHA-256 of the token.
    pub hash: [u8; 32],
    /// The device it speaks for.
    pub device: DeviceNo,
    /// Not valid from here on.
    pub expires_at: Timestamp,
}

/// Keeps devices.
#[async_trait]
pub trait DeviceStore: Send + Sync {
    /// Adds a device with the desired side of its shadow, in one transaction. `no`, `app_name`, `product_name` are
    /// ignored; the stored device is returned. [`Code::DeviceExists`](causeway_model::Code::DeviceExists) when the
    /// device id is taken in the instance or the node id in the product.
    async fn insert_device(&self, device: Device, desired: InitialDesired) -> Result<Device> {
        let mut outcomes = self.insert_devices(vec![(device, desired)]).await;
        outcomes.pop().unwrap_or_else(|| Err(Error::internal("a new device has no outcome")))
    }
    /// Adds devices as [`insert_device`](Self::insert_device) does each of them, with an outcome for each, in their
    /// order. Many go in transactions of some milliseconds, so that what devices report meanwhile is not held up; a
    /// crash in between leaves those whose outcome was not told yet either in or out.
    async fn insert_devices(&self, devices: Vec<(Device, InitialDesired)>) -> Vec<Result<Device>>;
    /// One device.
    async fn device(&self, id: &DeviceId) -> Result<Option<Device>>;
    /// One device by its number.
    async fn device_by_no(&self, no: DeviceNo) -> Result<Option<Device>>;
    /// A page of devices, newest first.
    async fn list_devices(&self, filter: &DeviceFilter, page: PageRequest) -> Result<Page<Device>>;
    /// Sets name, description, extension_info, `secure_access` and `timeout_s`. False when gone.
    async fn update_device(&self, device: &Device) -> Result<bool>;
    /// Sets those versions that are there. False when gone.
    async fn set_versions(&self, no: DeviceNo, versions: &DeviceVersions<'static>) -> Result<bool>;
    /// Deletes a device with its shadow, history, messages, session and tokens.
    /// [`Code::DeviceHasChildren`](causeway_model::Code::DeviceHasChildren) when devices are behind it. False when it
    /// is not there.
    async fn delete_device(&self, no: DeviceNo) -> Result<bool>;
    /// Moves a device behind another gateway. [`Code::DeviceHasChildren`](causeway_model::Code::DeviceHasChildren) when
    /// devices are behind it, [`Code::InvalidGateway`](causeway_model::Code::InvalidGateway) when the gateway is gone.
    /// False when the device is gone.
    async fn set_gateway(&self, no: DeviceNo, gateway: DeviceNo) -> Result<bool>;
    /// Freezes or unfreezes. False when gone.
    async fn set_frozen(&self, no: DeviceNo, frozen: bool) -> Result<bool>;
    /// Replaces a secret. False when gone.
    async fn set_secret(&self, no: DeviceNo, slot: CredentialSlot, secret: &Sealed) -> Result<bool>;
    /// Direct devices whose stored connection status is this: number and id. For the start of the platform; the status of
    /// a device behind a gateway is its gateway's to say.
    async fn devices_with_status(&self, status: DeviceStatus) -> Result<Vec<(DeviceNo, DeviceId)>>;
    /// Direct devices never activated although their `timeout_s` has passed at `now`, at most `limit`. Those with devices
    /// behind them are left out: they stay, and must not take the place of others.
    async fn overdue_devices(&self, now: Timestamp, limit: u32) -> Result<Vec<Device>>;
    /// Keeps a token; the device's other valid tokens end at `others_end_at` at the latest. Tokens ended before `now`
    /// are dropped.
    async fn put_device_token(&self, token: &DeviceToken, others_end_at: Timestamp, now: Timestamp) -> Result<()>;
    /// The token with this hash, whatever its age.
    async fn device_token(&self, hash: &[u8; 32]) -> Result<Option<DeviceToken>>;
}
