//! How consumers of queues sign in (002 §4.6.3.3): `accessKey=<key>|timestamp=<ms>` as user name, the access code as
//! password. The code is kept in memory, because protocols ask for the verdict at once.

use causeway_model::Result;
use subtle::ConstantTimeEq as _;
use tokio::sync::watch;
use zeroize::Zeroizing;

use super::AccessCodeKind;
use crate::Platform;

/// The access code of consumers of queues, as it is now.
#[derive(Clone, Default)]
pub struct QueueAccess {
    current: Option<(String, Zeroizing<Vec<u8>>)>,
    /// Rises whenever those that signed in with an older code have to go.
    cuts: u64,
}

impl std::fmt::Debug for QueueAccess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("QueueAccess").field("cuts", &self.cuts).finish_non_exhaustive()
    }
}

/// A consumer that has signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedIn {
    /// The access key.
    pub access_key: String,
    cuts: u64,
}

/// Why a consumer may not sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignInRefused {
    /// The user name is not `accessKey=…|timestamp=…` with 13 digits.
    Malformed,
    /// The time differs from the platform's by more than is allowed.
    Clock,
    /// The key or the code is not the one that counts.
    Credentials,
}

impl SignInRefused {
    /// One word for metrics and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Clock => "clock",
            Self::Credentials => "credentials",
        }
    }
}

/// The key and the time, in either order.
fn parse_user(user: &str) -> Option<(&str, i64)> {
    let (mut key, mut timestamp) = (None, None);
    // The vendor's Node.js sample ends the name with a bar (002 §4.6.3.5).
    for part in user.split('|').filter(|part| !part.is_empty()) {
        let slot = match part.split_once('=')? {
            ("accessKey", value) => key.replace(value),
            ("timestamp", value) => timestamp.replace(value),
            // The vendor's samples for several instances add `instanceId=…`.
            ("instanceId", _) => None,
            _ => return None,
        };
        if slot.is_some() {
            return None;
        }
    }
    let timestamp = timestamp.filter(|t| t.len() == 13 && t.bytes().all(|b| b.is_ascii_digit()))?;
    Some((key.filter(|k| !k.is_empty())?, timestamp.parse().ok()?))
}

impl QueueAccess {
    fn judge(&self, user: &str, password: &[u8], now: i64, tolerance_ms: i64) -> Result<SignedIn, SignInRefused> {
        let (key, timestamp) = parse_user(user).ok_or(SignInRefused::Malformed)?;
        let (current, code) = self.current.as_ref().ok_or(SignInRefused::Credentials)?;
        let is_right = current.as_bytes().ct_eq(key.as_bytes()) & code.as_slice().ct_eq(password);
        if !bool::from(is_right) {
            return Err(SignInRefused::Credentials);
        }
        if (now - timestamp).abs() > tolerance_ms {
            return Err(SignInRefused::Clock);
        }
        Ok(SignedIn { access_key: current.clone(), cuts: self.cuts })
    }

    /// Whether a consumer may stay: its code counts, or was replaced by somebody who let its consumers be.
    #[must_use]
    pub fn lets_stay(&self, consumer: &SignedIn) -> bool {
        self.cuts == consumer.cuts || self.current.as_ref().is_some_and(|(key, _)| *key == consumer.access_key)
    }
}

impl Platform {
    /// Signs a consumer of queues in.
    ///
    /// # Errors
    /// Why not; clients are told no more than that it failed.
    pub fn sign_in_to_queues(&self, user: &str, password: &[u8], tolerance_ms: i64) -> Result<SignedIn, SignInRefused> {
        self.queue_access.borrow().judge(user, password, self.clock.now().0, tolerance_ms)
    }

    /// Tells of every access code that replaces another.
    #[must_use]
    pub fn queue_access(&self) -> watch::Receiver<QueueAccess> {
        self.queue_access.subscribe()
    }

    /// A number that changes whenever queues came or went.
    #[must_use]
    pub fn queues_signal(&self) -> watch::Receiver<u64> {
        self.queues_changed.subscribe()
    }

    /// Makes an access code when there is none. Returns the one that counts, in the clear.
    ///
    /// # Errors
    /// Only the store's; internal when it was sealed under another instance key.
    pub async fn ensure_queue_access(&self) -> Result<super::NewAccessCode> {
        if self.queue_access.borrow().current.is_none() {
            self.replace_access_code(AccessCodeKind::Amqp, false).await?;
        }
        let access = self.queue_access.borrow();
        let (key, code) = access.current.as_ref().ok_or_else(|| causeway_model::Error::internal("no access code"))?;
        let code = String::from_utf8_lossy(code).into_owned();
        Ok(super::NewAccessCode { access_key: key.clone(), access_code: code })
    }

    /// Reads the code anew.
    pub(crate) async fn reload_queue_access(&self, disconnect: bool) -> Result<()> {
        let found = self.store.access_code(AccessCodeKind::Amqp).await?;
        let current = match found {
            Some(found) => Some((found.access_key, self.secrets.open(&found.code)?)),
            None => None,
        };
        self.queue_access.send_modify(|access| {
            access.current = current;
            access.cuts += u64::from(disconnect);
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000_000;

    fn access(key: &str, code: &str, cuts: u64) -> QueueAccess {
        QueueAccess { current: Some((key.to_owned(), Zeroizing::new(code.as_bytes().to_vec()))), cuts }
    }

    #[track_caller]
    fn check(user: &str, password: &str, expected: Result<(), SignInRefused>) {
        let found = access("abcd1234", "code", 0).judge(user, password.as_bytes(), NOW, 300_000);
        assert_eq!(found.map(|_| ()), expected, "{user}");
    }

    #[test]
    fn key_time_and_code_must_be_right() {
        check("accessKey=abcd1234|timestamp=1700000000000", "code", Ok(()));
        check("accessKey=abcd1234|timestamp=1700000000000|", "code", Ok(()));
        check("timestamp=1700000300000|accessKey=abcd1234", "code", Ok(()));
        check("accessKey=abcd1234|timestamp=1699999700000|instanceId=x", "code", Ok(()));
        check("accessKey=abcd1234|timestamp=1700000300001", "code", Err(SignInRefused::Clock));
        check("accessKey=abcd1234|timestamp=1699999699999", "code", Err(SignInRefused::Clock));
        check("accessKey=abcd1234|timestamp=1700000000000", "cod", Err(SignInRefused::Credentials));
        check("accessKey=abcd1235|timestamp=1700000000000", "code", Err(SignInRefused::Credentials));
        for user in [
            "",
            "abcd1234",
            "accessKey=abcd1234",
            "accessKey=|timestamp=1700000000000",
            "accessKey=abcd1234|timestamp=1700000000",
            "accessKey=abcd1234|timestamp=170000000000x",
            "accessKey=abcd1234|timestamp=-170000000000",
            "accessKey=abcd1234|timestamp=1700000000000|other=1",
            "accessKey=abcd1234|accessKey=abcd1234|timestamp=1700000000000",
        ] {
            check(user, "code", Err(SignInRefused::Malformed));
        }
        let nobody = QueueAccess::default().judge("accessKey=a|timestamp=1700000000000", b"", NOW, 1);
        assert_eq!(nobody, Err(SignInRefused::Credentials));
    }

    #[test]
    fn a_replaced_code_cuts_when_asked_to() {
        let consumer = access("old", "code", 3)
            .judge("accessKey=old|timestamp=1700000000000", b"code", NOW, 1)
            .expect("signed in");
        assert!(access("new", "other", 3).lets_stay(&consumer));
        assert!(!access("new", "other", 4).lets_stay(&consumer));
        assert!(access("old", "code", 4).lets_stay(&consumer));
    }
}
