//! The keeper of secrets: seals what must be read back, hashes what is only compared, makes random ids.

use causeway_model::registry::Sealed;
use causeway_model::{Error, Result};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac;
use zeroize::Zeroizing;

/// Length of the instance key in bytes.
pub const INSTANCE_KEY_LEN: usize = 32;

/// Holds the instance key. Sealed values are `12 bytes nonce ‖ AES-256-GCM ciphertext ‖ 16 bytes tag`.
pub struct Secrets {
    sealing: LessSafeKey,
    derivation: hmac::Key,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets(…)")
    }
}

/// Fills `buffer` with random bytes from the operating system.
fn fill_random(buffer: &mut [u8]) {
    getrandom::fill(buffer).expect("the operating system always has random bytes after boot");
}

/// `N` random bytes.
pub(crate) fn random_bytes<const N: usize>() -> [u8; N] {
    let mut buffer = [0; N];
    fill_random(&mut buffer);
    buffer
}

/// `2 * bytes` random lower-case hex digits.
#[must_use]
pub fn random_hex(bytes: usize) -> String {
    let mut buffer = Zeroizing::new(vec![0; bytes]);
    fill_random(&mut buffer);
    hex::encode(&*buffer)
}

impl Secrets {
    /// Takes the instance key.
    #[must_use]
    pub fn new(instance_key: &[u8; INSTANCE_KEY_LEN]) -> Self {
        let root = hmac::Key::new(hmac::HMAC_SHA256, instance_key);
        let sealing = hmac::sign(&root, b"causeway sealing v1");
        let unbound =
            UnboundKey::new(&AES_256_GCM, sealing.as_ref()).expect("HMAC-SHA256 gives the 32 bytes AES-256 takes");
        Self { sealing: LessSafeKey::new(unbound), derivation: root }
    }

    /// Makes a new instance key.
    #[must_use]
    pub fn generate_key() -> Zeroizing<[u8; INSTANCE_KEY_LEN]> {
        let mut key = Zeroizing::new([0; INSTANCE_KEY_LEN]);
        fill_random(&mut *key);
        key
    }

    /// A key for another purpose, bound to `label`.
    #[must_use]
    pub fn derive(&self, label: &str) -> [u8; 32] {
        let tag = hmac::sign(&self.derivation, label.as_bytes());
        let mut key = [0; 32];
        key.copy_from_slice(tag.as_ref());
        key
    }

    /// Seals `plain`.
    #[must_use]
    pub fn seal(&self, plain: &[u8]) -> Sealed {
        let mut nonce = [0; NONCE_LEN];
        fill_random(&mut nonce);
        let mut body = plain.to_vec();
        self.sealing
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut body)
            .expect("a secret is far below the size limit of AES-GCM");
        let mut sealed = nonce.to_vec();
        sealed.append(&mut body);
        Sealed(sealed.into())
    }

    /// Opens what [`seal`](Self::seal) made.
    ///
    /// # Errors
    /// Internal, when the value was sealed under another instance key or is damaged.
    pub fn open(&self, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>> {
        let damaged =
            || Error::internal("a sealed secret does not open: is instance.key the one the data was written with?");
        let (nonce, body) = sealed.0.split_at_checked(NONCE_LEN).ok_or_else(damaged)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| damaged())?;
        let mut body = Zeroizing::new(body.to_vec());
        let length = self.sealing.open_in_place(nonce, Aad::empty(), &mut body).map_err(|_| damaged())?.len();
        body.truncate(length);
        Ok(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealing_round_trips_and_detects_damage() {
        let secrets = Secrets::new(&[7; 32]);
        let mut sealed = secrets.seal(b"12345678");
        assert_eq!(&secrets.open(&sealed).expect("opens")[..], b"12345678");
        assert!(Secrets::new(&[8; 32]).open(&sealed).is_err());
        *sealed.0.last_mut().expect("not empty") ^= 1;
        assert!(secrets.open(&sealed).is_err());
        assert!(secrets.open(&Sealed(Box::new([1, 2]))).is_err());
    }
}
