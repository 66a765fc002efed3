//! Passwords: their rules and their hashes.

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use causeway_model::{Code, Error, Result};
use zeroize::Zeroizing;

use crate::Platform;
use crate::secrets::random_bytes;
use crate::settings::IamSettings;

/// Argon2id with 19 MiB, 2 passes, 1 lane: the OWASP minimum, so that signing in stays cheap on small machines.
fn hasher() -> Argon2<'static> {
    let params = Params::new(19 * 1024, 2, 1, None).expect("constant parameters are in range");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

fn hash(password: &str) -> Result<String> {
    let salt = SaltString::encode_b64(&random_bytes::<16>()).map_err(Error::internal)?;
    hasher().hash_password(password.as_bytes(), &salt).map(|h| h.to_string()).map_err(Error::internal)
}

fn matches(password: &str, hash: &str) -> bool {
    PasswordHash::new(hash).is_ok_and(|parsed| hasher().verify_password(password.as_bytes(), &parsed).is_ok())
}

/// How many of the four classes a password has: upper case, lower case, digits, everything else.
fn classes(password: &str) -> u32 {
    let classes: [fn(char) -> bool; 4] =
        [char::is_uppercase, char::is_lowercase, |c| c.is_ascii_digit(), |c| !c.is_alphanumeric()];
    classes.iter().map(|of| u32::from(password.chars().any(of))).sum()
}

/// Checks a new password against the rules of `settings`.
///
/// # Errors
/// [`Code::WeakPassword`] with the rule.
pub(super) fn check_rules(settings: &IamSettings, name: &str, password: &str) -> Result<()> {
    let refuse = |rule: String| Err(Error::new(Code::WeakPassword, format!("Invalid input. The password {rule}.")));
    let length = password.chars().count();
    let (least, most) = (settings.password_min_length as usize, settings.password_max_length as usize);
    if !(least..=most).contains(&length) {
        return refuse(format!("must have {least} to {most} characters"));
    }
    let wanted = settings.password_classes.min(4);
    if classes(password) < wanted {
        return refuse(format!(
            "must hold {wanted} of these: capital letters, small letters, digits, other characters"
        ));
    }
    let (name, password) = (name.to_lowercase(), Zeroizing::new(password.to_lowercase()));
    let reversed: String = name.chars().rev().collect();
    if *password == name || *password == reversed {
        return refuse("must not be the user name, forwards or backwards".to_owned());
    }
    Ok(())
}

impl Platform {
    /// Hashes a password, off the async workers.
    pub(super) async fn hash_password(&self, password: &str) -> Result<String> {
        let _turn = self.password_checks.acquire().await.map_err(Error::internal)?;
        let password = Zeroizing::new(password.to_owned());
        tokio::task::spawn_blocking(move || hash(&password)).await.map_err(Error::internal)?
    }

    /// Whether a password belongs to a hash, off the async workers. The caller holds a turn of `password_checks`: each
    /// check takes 19 MiB and tens of milliseconds.
    pub(super) async fn password_matches(&self, password: &str, hash: &str) -> Result<bool> {
        let (password, hash) = (Zeroizing::new(password.to_owned()), hash.to_owned());
        tokio::task::spawn_blocking(move || matches(&password, &hash)).await.map_err(Error::internal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_match_their_own_hash_only() {
        let made = hash("correct horse").expect("hashes");
        assert!(matches("correct horse", &made));
        assert!(!matches("wrong", &made));
        assert!(!matches("wrong", "not a hash"));
    }

    #[test]
    fn the_decoy_is_a_real_hash() {
        assert!(PasswordHash::new(crate::platform::DECOY_HASH).is_ok());
    }

    #[test]
    fn rules() {
        let settings = IamSettings { password_min_length: 8, password_max_length: 12, ..IamSettings::default() };
        let fine = |name: &str, password: &str| check_rules(&settings, name, password).is_ok();
        assert!(fine("ann", "abcdefg1"));
        assert!(fine("ann", "abcdefgH"));
        assert!(fine("ann", "passwört1"));
        assert!(!fine("ann", "abcdefgh"), "one class");
        assert!(!fine("ann", "abcdef1"), "too short");
        assert!(!fine("ann", "abcdefghijkl1"), "too long");
        assert!(!fine("Abcdefg1", "aBCDEFG1"), "the name");
        assert!(!fine("Abcdefg1", "1gfedcba"), "the name backwards");
        let strict = IamSettings { password_classes: 4, ..settings.clone() };
        assert!(check_rules(&strict, "ann", "aB1-efgh").is_ok());
        assert!(check_rules(&strict, "ann", "aB12efgh").is_err());
    }
}
