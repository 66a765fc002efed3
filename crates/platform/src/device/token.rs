//! Tokens of the HTTPS door (001): made at sign-in, checked with every call.

use std::sync::Arc;
use std::time::Duration;

use causeway_model::registry::Device;
use causeway_model::{Code, DeviceId, Error, Result, Timestamp};
use moka::sync::Cache;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use smallvec::SmallVec;

use super::DeviceToken;
use crate::Platform;
use crate::bus::Changed;
use crate::secrets::{random_bytes, random_hex};
use crate::uplink::DeviceContext;

/// A token to hand to the device.
#[derive(Clone, Debug)]
pub struct IssuedToken {
    /// 64 hex digits.
    pub token: String,
    /// Seconds it lives.
    pub expires_in_s: i64,
}

/// Most devices whose tokens are remembered; the least used go.
const CAPACITY: u64 = 50_000;
/// Remembered tokens are read again after so long, in case the news of a change was lost with whoever had to tell it.
const REMEMBERED: Duration = Duration::from_secs(60);
/// A device has a token and, for the overlap, the one before.
const PER_DEVICE: usize = 2;

/// Tokens found in the store, remembered while they are used. Everything that ends a token early (a new token, a freeze,
/// a deletion) makes its device forgotten; expiry is judged at every use.
pub(crate) struct KnownTokens {
    by_device: Cache<DeviceId, Arc<Known>>,
    /// Rises with everything forgotten. What was read from the store before a rise must not be remembered after it.
    forgotten: Mutex<u64>,
}

struct Known {
    context: Arc<DeviceContext>,
    tokens: SmallVec<[([u8; 32], Timestamp); PER_DEVICE]>,
}

impl Default for KnownTokens {
    fn default() -> Self {
        let by_device = Cache::builder().max_capacity(CAPACITY).time_to_live(REMEMBERED).build();
        Self { by_device, forgotten: Mutex::new(0) }
    }
}

impl KnownTokens {
    fn context(&self, device_id: &str, hash: &[u8; 32], now: Timestamp) -> Option<Arc<DeviceContext>> {
        let known = self.by_device.get(device_id)?;
        let valid = known.tokens.iter().any(|(known, ends)| known == hash && *ends > now);
        valid.then(|| known.context.clone())
    }

    /// Taken before the store is read; see [`remember`](Self::remember).
    fn mark(&self) -> u64 {
        *self.forgotten.lock()
    }

    /// Remembers what was read from the store, unless something was forgotten since `mark`.
    fn remember(&self, mark: u64, context: &Arc<DeviceContext>, token: &DeviceToken) {
        let forgotten = self.forgotten.lock();
        if *forgotten != mark {
            return;
        }
        let mut tokens: SmallVec<_> = SmallVec::from_slice(&[(token.hash, token.expires_at)]);
        if let Some(known) = self.by_device.get(&context.id) {
            let others = known.tokens.iter().filter(|(hash, _)| *hash != token.hash);
            tokens.extend(others.take(PER_DEVICE - 1).copied());
        }
        self.by_device.insert(context.id.clone(), Arc::new(Known { context: context.clone(), tokens }));
    }

    pub(crate) fn forget(&self, id: &DeviceId) {
        let mut forgotten = self.forgotten.lock();
        *forgotten += 1;
        self.by_device.invalidate(id);
    }

    pub(crate) fn forget_all(&self) {
        let mut forgotten = self.forgotten.lock();
        *forgotten += 1;
        self.by_device.invalidate_all();
    }
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
        let record = DeviceToken {
            hash: Sha256::digest(token.as_bytes()).into(),
            device: device.no,
            expires_at: now.plus_ms(life),
        };
        let others_end_at = now.plus_ms(self.settings.device.token_overlap.as_millis());
        self.put_device_token(device, &record, others_end_at).await?;
        // The device said it is there: short connections have no other sign of life than their calls.
        self.note_heard(device).await?;
        Ok(IssuedToken { token, expires_in_s: life / 1000 })
    }

    /// Ends all tokens of a device at once, for a device whose secret was replaced because it had leaked.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn end_device_tokens(&self, device: &Device) -> Result<()> {
        let now = self.clock.now();
        // A token that nobody holds takes the place of all others; it has ended as well.
        let record = DeviceToken { hash: random_bytes(), device: device.no, expires_at: now };
        self.put_device_token(device, &record, now).await
    }

    async fn put_device_token(&self, device: &Device, token: &DeviceToken, others_end_at: Timestamp) -> Result<()> {
        self.store.put_device_token(token, others_end_at, self.clock.now()).await?;
        self.bus.announce(Changed::Device(device.id.clone())).await;
        Ok(())
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
        let context = match self.device_tokens.context(device_id, &hash, self.clock.now()) {
            Some(context) => context,
            None => self.read_device_token(&hash, device_id).await?,
        };
        // What is desired of the device matters only while it has a connection that can be told: then there is one
        // context for both doors.
        let connected = self.directory.get(device_id).map(|entry| entry.context).filter(|c| c.no == context.no);
        Ok(connected.unwrap_or(context))
    }

    async fn read_device_token(&self, hash: &[u8; 32], device_id: &str) -> Result<Arc<DeviceContext>> {
        let mark = self.device_tokens.mark();
        let record = self.store.device_token(hash).await?.ok_or_else(invalid)?;
        if record.expires_at <= self.clock.now() {
            return Err(invalid());
        }
        let device = self.store.device_by_no(record.device).await?.ok_or_else(invalid)?;
        if device.frozen || device.id.as_str() != device_id {
            return Err(invalid());
        }
        let context = self.context_of(device).await?.ok_or_else(invalid)?;
        self.device_tokens.remember(mark, &context, &record);
        Ok(context)
    }
}
