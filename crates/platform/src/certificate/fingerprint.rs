//! Replacing the fingerprint of a device.

use causeway_model::registry::AuthType;
use causeway_model::{Code, DeviceId, Error, Result};

use crate::Platform;
use crate::device::CredentialSlot;
use crate::downlink::CloseReason;

impl Platform {
    /// Sets a fingerprint; with `None` it is cleared, and a device whose first one is cleared is bound to the certificate
    /// that it shows next. Returns what is stored: lower-case hex.
    ///
    /// # Errors
    /// [`Code::DeviceNotFound`]; [`Code::WrongAuthType`] for a device that does not sign in by certificate.
    pub async fn reset_fingerprint(
        &self,
        id: &DeviceId,
        fingerprint: Option<String>,
        slot: CredentialSlot,
        force_disconnect: bool,
    ) -> Result<Option<String>> {
        let device = self.device(id).await?;
        if device.auth.auth_type != AuthType::Certificates {
            return Err(Error::new(
                Code::WrongAuthType,
                "Operation not allowed. The device signs in with a secret and has no fingerprint.",
            ));
        }
        let fingerprint = fingerprint.map(|f| f.to_ascii_lowercase());
        if !self.store.set_fingerprint(device.no, slot, fingerprint.as_deref()).await? {
            return Err(Error::new(Code::DeviceNotFound, format!("The device '{id}' does not exist.")));
        }
        if force_disconnect && let Some(entry) = self.directory.get(id.as_str()) {
            entry.link.close(CloseReason::FingerprintReset);
        }
        Ok(fingerprint)
    }
}
