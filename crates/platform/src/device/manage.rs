//! Reading, changing, freezing and deleting devices (002 §3.4).

use causeway_model::forwarding::Subject;
use causeway_model::registry::{AuthType, Device, DeviceFilter, Page, PageRequest};
use causeway_model::status::StatusEvent;
use causeway_model::{Code, DeviceId, Error, Result};

use super::CredentialSlot;
use crate::Platform;
use crate::bus::Changed;
use crate::downlink::CloseReason;
use crate::secrets::random_hex;

/// Fields of a device to change; absent ones keep their value.
#[derive(Clone, Debug, Default)]
pub struct DeviceChange {
    /// Display name.
    pub name: Option<String>,
    /// Free text.
    pub description: Option<String>,
    /// The caller's own JSON.
    pub extension_info: Option<String>,
    /// Whether only encrypted doors are open.
    pub secure_access: Option<bool>,
    /// Seconds within which the device must connect first.
    pub timeout_s: Option<i64>,
}

fn not_found(id: &DeviceId) -> Error {
    Error::new(Code::DeviceNotFound, format!("The device '{id}' does not exist."))
}

impl Platform {
    /// One device.
    ///
    /// # Errors
    /// [`Code::DeviceNotFound`].
    pub async fn device(&self, id: &DeviceId) -> Result<Device> {
        self.store.device(id).await?.ok_or_else(|| not_found(id))
    }

    /// The device's secrets in the clear: the first and the second.
    ///
    /// # Errors
    /// Internal, when they were sealed under another instance key.
    pub fn device_secrets(&self, device: &Device) -> Result<(Option<String>, Option<String>)> {
        let open = |sealed: &Option<_>| -> Result<Option<String>> {
            sealed.as_ref().map(|s| Ok(String::from_utf8_lossy(&self.secrets.open(s)?).into_owned())).transpose()
        };
        Ok((open(&device.auth.secret)?, open(&device.auth.secondary_secret)?))
    }

    /// A page of devices, newest first.
    ///
    /// # Errors
    /// [`Code::TimeOrder`] when the creation range is empty; [`Code::AppNotFound`].
    pub async fn list_devices(&self, filter: &DeviceFilter, page: PageRequest) -> Result<Page<Device>> {
        if let (Some(from), Some(to)) = (filter.from, filter.to)
            && from >= to
        {
            return Err(Error::new(
                Code::TimeOrder,
                "Invalid input. The start time must be earlier than the end time.",
            ));
        }
        if let Some(app) = filter.spaces.single() {
            self.app(app).await?;
        }
        self.store.list_devices(filter, page).await
    }

    /// Changes a device.
    ///
    /// # Errors
    /// [`Code::DeviceNotFound`].
    pub async fn update_device(&self, id: &DeviceId, change: DeviceChange) -> Result<Device> {
        let mut device = self.device(id).await?;
        device.name = change.name.or(device.name);
        device.description = change.description.or(device.description);
        device.extension_info = change.extension_info.or(device.extension_info);
        device.auth.secure_access = change.secure_access.unwrap_or(device.auth.secure_access);
        device.auth.timeout_s = change.timeout_s.unwrap_or(device.auth.timeout_s);
        if !self.store.update_device(&device).await? {
            return Err(not_found(id));
        }
        self.bus.announce(Changed::Device(id.clone())).await;
        self.tell_devices(Subject::DEVICE_UPDATE, [&device]).await;
        Ok(device)
    }

    /// Deletes a device with everything of it and disconnects it.
    ///
    /// # Errors
    /// [`Code::DeviceNotFound`]; [`Code::DeviceHasChildren`].
    pub async fn delete_device(&self, id: &DeviceId) -> Result<()> {
        let device = self.device(id).await?;
        if !self.store.delete_device(device.no).await? {
            return Err(not_found(id));
        }
        self.bus.announce(Changed::Device(id.clone())).await;
        if device.gateway_id.is_some() {
            self.tell_of_children(std::slice::from_ref(id), true).await;
        }
        self.tell_devices(Subject::DEVICE_DELETE, [&device]).await;
        Ok(())
    }

    /// Freezes or unfreezes a direct device; a frozen one is disconnected and may not come back.
    ///
    /// # Errors
    /// [`Code::DeviceNotFound`]; [`Code::DeviceState`] for a device behind a gateway.
    pub async fn set_frozen(&self, id: &DeviceId, frozen: bool) -> Result<()> {
        let device = self.device(id).await?;
        if device.gateway_id.is_some() {
            return Err(Error::new(
                Code::DeviceState,
                "Operation not allowed. Only devices that connect to the platform directly can be frozen and unfrozen.",
            ));
        }
        if !self.store.set_frozen(device.no, frozen).await? {
            return Err(not_found(id));
        }
        if frozen && let Some(context) = self.context_of(device.clone()).await? {
            // Its connection is cut now; there is nothing to wait a minute for.
            self.departures.forget(id);
            let shown_offline = self.change_status(&context, device.connection, StatusEvent::Gone).await;
            self.bus.announce(Changed::Device(id.clone())).await;
            self.tell_device_changed(&device.app_id, id).await;
            return shown_offline;
        }
        self.bus.announce(Changed::Device(id.clone())).await;
        self.tell_device_changed(&device.app_id, id).await;
        Ok(())
    }

    /// Replaces a secret and returns the new one, to be shown once.
    ///
    /// # Errors
    /// [`Code::DeviceNotFound`]; [`Code::WrongAuthType`] for a device that signs in by certificate.
    pub async fn reset_secret(
        &self,
        id: &DeviceId,
        secret: Option<String>,
        slot: CredentialSlot,
        force_disconnect: bool,
    ) -> Result<String> {
        let device = self.device(id).await?;
        if device.auth.auth_type == AuthType::Certificates {
            return Err(Error::new(
                Code::WrongAuthType,
                "Operation not allowed. The device signs in with a certificate and has no secret.",
            ));
        }
        let secret = secret.unwrap_or_else(|| random_hex(16));
        if !self.store.set_secret(device.no, slot, &self.secrets.seal(secret.as_bytes())).await? {
            return Err(not_found(id));
        }
        if force_disconnect {
            self.end_device_tokens(&device).await?;
            if let Some(entry) = self.directory.get(id.as_str()) {
                entry.link.close(CloseReason::SecretReset);
            }
        }
        Ok(secret)
    }
}
