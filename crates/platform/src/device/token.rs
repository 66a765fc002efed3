//! Tokens of the HTTPS door (001): made at sign-in, checked with every call.

use std::sync::Arc;

use causeway_model::registry::Device;
use causeway_model::{Code, Error, Result};
use sha2::{Digest, Sha256};

use super::DeviceToken;
use crate::Platform;
use crate::secrets::random_hex;
use crate::uplink::DeviceContext;

/// A token to hand to the device.
#[derive(Clone, Debug)]
pub struct IssuedToken {
    /// 64 hex digits.
    pub token: String,
    /// Seconds it lives.
    pub expires_in_s: i64,
}

fn invalid() -> Error {
    Error::new(Code::InvalidAccessToken, "Invalid access token.")
}

impl Platform {
    /// Makes a token for a device that signed in; its older tokens live on for `device.token_overlap`.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn issue_device_token(&self, device: &Device) -> Result<IssuedToken> {
        let token = random_hex(32);
        let now = self.clock.now();
        let life = self.settings.device.token_life.as_millis();
        let record =
            DeviceToken { hash: Sha256::digest(token.as_bytes()).into(), device: device.no, expires_at: now.plus_ms(life) };
        let others_end_at = now.plus_ms(self.settings.device.token_overlap.as_millis());
        self.store.put_device_token(&record, others_end_at, now).await?;
        // The device said it is there: short connections have no other sign of life than their calls.
        self.note_heard(device).await?;
        Ok(IssuedToken { token, expires_in_s: life / 1000 })
    }

    /// The device that a token of the HTTPS door speaks for, when it is the one named in the path.
    ///
    /// # Errors
    /// [`Code::InvalidAccessToken`].
    pub async fn device_of_token(&self, token: &str, device_id: &str) -> Result<Arc<DeviceContext>> {
        if token.is_empty() || token.len() > 256 {
            return Err(invalid());
        }
        let hash = Sha256::digest(token.as_bytes()).into();
        let record = self.store.device_token(&hash).await?.ok_or_else(invalid)?;
        if record.expires_at <= self.clock.now() {
            return Err(invalid());
        }
        let device = self.store.device_by_no(record.device).await?.ok_or_else(invalid)?;
        if device.frozen || device.id.as_str() != device_id {
            return Err(invalid());
        }
        let context = self.context_of(device).await?.ok_or_else(invalid)?;
        self.load_open_desired(&context).await?;
        Ok(context)
    }
}
