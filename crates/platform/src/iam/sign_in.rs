//! Signing in with a password, a token or an access key.

use std::sync::Arc;

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use causeway_model::{Code, Error, Result, Spaces, Timestamp};
use ring::hmac;
use zeroize::Zeroizing;

use super::{AccessKey, User};
use crate::Platform;
use crate::secrets::{random_bytes, random_hex};

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The user's number.
    pub user: i64,
}

/// A token for `X-Auth-Token`.
#[derive(Clone, Debug)]
pub struct IssuedAuthToken {
    /// The token.
    pub token: String,
    /// When it was made.
    pub issued_at: Timestamp,
    /// Not valid from here on.
    pub expires_at: Timestamp,
}

fn unauthorized(message: &str) -> Error {
    Error::new(Code::Unauthenticated, message)
}

/// Argon2id with 19 MiB, 2 passes, 1 lane: the OWASP minimum, so that signing in stays cheap on small machines.
fn hasher() -> Argon2<'static> {
    let params = Params::new(19 * 1024, 2, 1, None).expect("constant parameters are in range");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

fn hash_password(password: &str) -> Result<String> {
    let salt = SaltString::encode_b64(&random_bytes::<16>()).map_err(Error::internal)?;
    hasher().hash_password(password.as_bytes(), &salt).map(|h| h.to_string()).map_err(Error::internal)
}

fn password_matches(password: &str, hash: &str) -> bool {
    PasswordHash::new(hash).is_ok_and(|parsed| hasher().verify_password(password.as_bytes(), &parsed).is_ok())
}

impl Platform {
    /// In which spaces `caller` may do `action`, a word like `iotda:devices:register` (002 §10.2). An empty action needs
    /// no permission.
    ///
    /// # Errors
    /// [`Code::NotPermitted`] when in none.
    pub async fn allowed_spaces(&self, caller: &Caller, action: &str) -> Result<Spaces> {
        // There is one user, the administrator, until users can be made.
        tracing::trace!(user = caller.user, action, "allowed");
        Ok(Spaces::All)
    }

    /// Adds a user.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn create_user(&self, name: &str, password: &str) -> Result<User> {
        let password = password.to_owned();
        let password_hash =
            tokio::task::spawn_blocking(move || hash_password(&password)).await.map_err(Error::internal)??;
        let user = User { no: 0, name: name.to_owned(), password_hash, created_at: self.clock.now() };
        self.store.insert_user(user).await
    }

    /// Adds an access key of a user.
    pub(crate) async fn add_access_key(&self, user: i64, ak: &str, sk: &str) -> Result<()> {
        let key =
            AccessKey { ak: ak.to_owned(), sk: self.secrets.seal(sk.as_bytes()), user, created_at: self.clock.now() };
        self.store.insert_access_key(&key).await
    }

    /// Signs in with user name and password.
    ///
    /// # Errors
    /// [`Code::Unauthenticated`].
    pub async fn sign_in(&self, name: &str, password: &str) -> Result<IssuedAuthToken> {
        // One at a time: each check takes 19 MiB and tens of milliseconds.
        let _turn = self.password_checks.acquire().await.map_err(Error::internal)?;
        let user = self.store.user(name).await?;
        let (hash, known) = match &user {
            Some(user) => (user.password_hash.clone(), true),
            // An unknown name takes as long as a wrong password.
            None => (self.decoy_hash.clone(), false),
        };
        let password = Zeroizing::new(password.to_owned());
        let matches =
            tokio::task::spawn_blocking(move || password_matches(&password, &hash)).await.map_err(Error::internal)?;
        match user {
            Some(user) if matches && known => Ok(self.issue_token(user.no)),
            _ => Err(unauthorized("The user name or password is wrong.")),
        }
    }

    fn issue_token(&self, user: i64) -> IssuedAuthToken {
        let issued_at = self.clock.now();
        let expires_at = issued_at.plus_ms(self.settings.iam.token_life.as_millis());
        let claims = format!("{user}.{}.{}", expires_at.0, random_hex(8));
        let tag = hmac::sign(&self.token_key, claims.as_bytes());
        let token = format!("{}.{}", URL_SAFE_NO_PAD.encode(&claims), URL_SAFE_NO_PAD.encode(tag.as_ref()));
        IssuedAuthToken { token, issued_at, expires_at }
    }

    /// Who a token speaks for.
    ///
    /// # Errors
    /// [`Code::Unauthenticated`] when it is not ours or too old.
    pub fn caller_of_token(&self, token: &str) -> Result<Caller> {
        let invalid = || unauthorized("The token is invalid or has expired. Get a new one with POST /v3/auth/tokens.");
        let (claims, tag) = token.split_once('.').ok_or_else(invalid)?;
        let claims = URL_SAFE_NO_PAD.decode(claims).map_err(|_| invalid())?;
        let tag = URL_SAFE_NO_PAD.decode(tag).map_err(|_| invalid())?;
        hmac::verify(&self.token_key, &claims, &tag).map_err(|_| invalid())?;
        let claims = String::from_utf8(claims).map_err(|_| invalid())?;
        let mut parts = claims.split('.');
        let mut number = || parts.next().and_then(|p| p.parse::<i64>().ok());
        let (user, expires_at) = number().zip(number()).ok_or_else(invalid)?;
        if Timestamp(expires_at) <= self.clock.now() {
            return Err(invalid());
        }
        Ok(Caller { user })
    }

    /// The secret half of an access key, to check a signature with.
    ///
    /// # Errors
    /// [`Code::Unauthenticated`] for an unknown key.
    pub async fn signing_key(&self, ak: &str) -> Result<(Caller, Arc<Zeroizing<Vec<u8>>>)> {
        if let Some(known) = self.signing_keys.get(ak) {
            return Ok(known);
        }
        let key = self
            .store
            .access_key(ak)
            .await?
            .ok_or_else(|| unauthorized("The request is unauthorized. The access key is unknown."))?;
        let known = (Caller { user: key.user }, Arc::new(self.secrets.open(&key.sk)?));
        self.signing_keys.insert(ak.to_owned(), known.clone());
        Ok(known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_match_their_own_hash_only() {
        let hash = hash_password("correct horse").expect("hashes");
        assert!(password_matches("correct horse", &hash));
        assert!(!password_matches("wrong", &hash));
        assert!(!password_matches("wrong", "not a hash"));
    }

    #[test]
    fn the_decoy_is_a_real_hash() {
        assert!(PasswordHash::new(crate::platform::DECOY_HASH).is_ok());
    }
}
