//! Signing in with a password, a token or an access key.

use std::net::IpAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use causeway_model::{Code, Error, Result, Timestamp};
use ring::hmac;
use zeroize::Zeroizing;

use super::throttle::Attempt;
use super::{Caller, User};
use crate::Platform;
use crate::secrets::random_hex;

/// A token for `X-Auth-Token`.
#[derive(Clone, Debug)]
pub struct IssuedAuthToken {
    /// The token.
    pub token: String,
    /// Who signed in.
    pub user: User,
    /// When it was made.
    pub issued_at: Timestamp,
    /// Not valid from here on.
    pub expires_at: Timestamp,
}

fn unauthorized(message: &str) -> Error {
    Error::new(Code::Unauthenticated, message)
}

impl Platform {
    /// Signs in with user name and password. `from` is the address that the request came from.
    ///
    /// # Errors
    /// [`Code::Unauthenticated`]; [`Code::SignInLocked`] after too many failures.
    pub async fn sign_in(&self, name: &str, password: &str, from: Option<IpAddr>) -> Result<IssuedAuthToken> {
        let user = self.store.user(name).await?;
        let matches = self.check_password(name, user.as_ref(), password, from).await?;
        match user {
            Some(user) if matches && user.enabled => Ok(self.issue_token(user)),
            _ => Err(unauthorized("The user name or password is wrong, or the user is disabled.")),
        }
    }

    /// Whether `password` is the user's; failures count for the throttle.
    ///
    /// # Errors
    /// [`Code::SignInLocked`].
    pub(super) async fn check_password(
        &self,
        name: &str,
        user: Option<&User>,
        password: &str,
        from: Option<IpAddr>,
    ) -> Result<bool> {
        let settings = &self.settings.iam;
        let attempt = Attempt::new(name, from);
        self.throttle.check(settings, &attempt, self.clock.now())?;
        // One at a time: each check takes 19 MiB and tens of milliseconds.
        let _turn = self.password_checks.acquire().await.map_err(Error::internal)?;
        // Others may have failed meanwhile.
        self.throttle.check(settings, &attempt, self.clock.now())?;
        // An unknown name takes as long as a wrong password.
        let hash = user.and_then(|u| u.password_hash.as_deref());
        let matches = self.password_matches(password, hash.unwrap_or(&self.decoy_hash)).await? && hash.is_some();
        if matches {
            self.throttle.succeeded(&attempt);
        } else {
            self.throttle.failed(settings, &attempt, self.clock.now());
        }
        Ok(matches)
    }

    fn issue_token(&self, user: User) -> IssuedAuthToken {
        let issued_at = self.clock.now();
        let expires_at = issued_at.plus_ms(self.settings.iam.token_life.as_millis());
        let claims = format!("{}.{}.{}.{}", user.no, expires_at.0, user.epoch, random_hex(8));
        let tag = hmac::sign(&self.token_key, claims.as_bytes());
        let token = format!("{}.{}", URL_SAFE_NO_PAD.encode(&claims), URL_SAFE_NO_PAD.encode(tag.as_ref()));
        IssuedAuthToken { token, user, issued_at, expires_at }
    }

    /// Who a token speaks for. It dies with its user, and when the user is disabled or gets another password.
    ///
    /// # Errors
    /// [`Code::Unauthenticated`] when it is not ours, too old or dead.
    pub async fn caller_of_token(&self, token: &str) -> Result<Caller> {
        let invalid = || unauthorized("The token is invalid or has expired. Get a new one with POST /v3/auth/tokens.");
        let (claims, tag) = token.split_once('.').ok_or_else(invalid)?;
        let claims = URL_SAFE_NO_PAD.decode(claims).map_err(|_| invalid())?;
        let tag = URL_SAFE_NO_PAD.decode(tag).map_err(|_| invalid())?;
        hmac::verify(&self.token_key, &claims, &tag).map_err(|_| invalid())?;
        let claims = String::from_utf8(claims).map_err(|_| invalid())?;
        let parts: Vec<&str> = claims.split('.').collect();
        let [user, expires_at, epoch, _] = parts[..] else { return Err(invalid()) };
        let number = |text: &str| text.parse::<i64>().map_err(|_| invalid());
        let (user, expires_at, epoch) = (number(user)?, number(expires_at)?, number(epoch)?);
        if Timestamp(expires_at) <= self.clock.now() {
            return Err(invalid());
        }
        self.caller_of_epoch(user, epoch).await?.ok_or_else(invalid)
    }

    /// The secret half of an access key, to check a signature with.
    ///
    /// # Errors
    /// [`Code::Unauthenticated`] for a key that is unknown or disabled, or whose user is.
    pub async fn signing_key(&self, ak: &str) -> Result<(Caller, Arc<Zeroizing<Vec<u8>>>)> {
        self.caller_of_key(ak)
            .await?
            .ok_or_else(|| unauthorized("The request is unauthorized. The access key is unknown or disabled."))
    }
}
