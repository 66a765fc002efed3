//! Signing in to a broker: PLAIN (RFC 4616) and SCRAM-SHA-512 (RFC 5802 with SHA-512). No I/O.

use std::num::NonZeroU32;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::{digest, hmac, pbkdf2};

/// Fewest and most rounds that a server may ask for; the upper bound keeps it from burning our time.
const ROUNDS: std::ops::RangeInclusive<u32> = 4096..=1_000_000;

/// A way to sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mechanism {
    Plain,
    ScramSha512,
}

impl Mechanism {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

/// The only message of PLAIN.
pub(crate) fn plain(user: &str, password: &str) -> Vec<u8> {
    format!("\0{user}\0{password}").into_bytes()
}

/// The client's side of SCRAM.
pub(crate) struct Scram {
    nonce: String,
    first_bare: String,
}

/// What the last message of the server must prove.
pub(crate) struct Expected(hmac::Tag);

impl Scram {
    /// Begins, with the first message.
    pub(crate) fn begin(user: &str) -> Option<(Self, Vec<u8>)> {
        let mut nonce = [0; 24];
        SystemRandom::new().fill(&mut nonce).ok()?;
        Some(Self::begin_with(user, STANDARD.encode(nonce)))
    }

    fn begin_with(user: &str, nonce: String) -> (Self, Vec<u8>) {
        let user = user.replace('=', "=3D").replace(',', "=2C");
        let first_bare = format!("n={user},r={nonce}");
        let message = format!("n,,{first_bare}").into_bytes();
        (Self { nonce, first_bare }, message)
    }

    /// The answer to the server's first message. The password is stretched here: not for the executor's threads.
    pub(crate) fn answer(self, password: &str, server: &[u8]) -> Option<(Vec<u8>, Expected)> {
        let server = std::str::from_utf8(server).ok()?;
        let field = |name: &str| server.split(',').find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
        let nonce = field("r").filter(|n| n.starts_with(&self.nonce) && n.len() > self.nonce.len())?;
        let salt = STANDARD.decode(field("s")?).ok()?;
        let rounds: u32 = field("i")?.parse().ok().filter(|rounds| ROUNDS.contains(rounds))?;
        let mut salted = [0; digest::SHA512_OUTPUT_LEN];
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA512, NonZeroU32::new(rounds)?, &salt, password.as_bytes(), &mut salted);
        let salted = hmac::Key::new(hmac::HMAC_SHA512, &salted);
        let client_key = hmac::sign(&salted, b"Client Key");
        let stored_key = digest::digest(&digest::SHA512, client_key.as_ref());
        let last_bare = format!("c=biws,r={nonce}");
        let message = format!("{},{server},{last_bare}", self.first_bare);
        let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA512, stored_key.as_ref()), message.as_bytes());
        let proof: Vec<u8> = client_key.as_ref().iter().zip(signature.as_ref()).map(|(a, b)| a ^ b).collect();
        let server_key = hmac::sign(&salted, b"Server Key");
        let expected = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA512, server_key.as_ref()), message.as_bytes());
        Some((format!("{last_bare},p={}", STANDARD.encode(proof)).into_bytes(), Expected(expected)))
    }
}

impl Expected {
    /// Whether the server has shown that it knows the password too.
    pub(crate) fn is_shown(&self, server: &[u8]) -> bool {
        let Some(shown) = server.strip_prefix(b"v=") else { return false };
        STANDARD.decode(shown).is_ok_and(|shown| shown == self.0.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_answered_and_must_prove_itself() {
        let (scram, first) = Scram::begin_with("a,b=c", "abc".to_owned());
        assert_eq!(first, b"n,,n=a=2Cb=3Dc,r=abc");
        let server = format!("r=abcdef,s={},i=4096", STANDARD.encode("salt"));
        let (last, expected) = scram.answer("pencil", server.as_bytes()).expect("a sound challenge");
        assert!(last.starts_with(b"c=biws,r=abcdef,p="));
        assert!(!expected.is_shown(b"v=AAAA"));
        assert!(!expected.is_shown(b"e=other-error"));
    }

    #[test]
    fn unsound_challenges_are_refused() {
        for challenge in
            ["r=xyzdef,s=c2FsdA==,i=4096", "r=abc,s=c2FsdA==,i=4096", "r=abcd,s=c2FsdA==,i=1", "r=abcd", ""]
        {
            let (scram, _) = Scram::begin_with("u", "abc".to_owned());
            assert!(scram.answer("p", challenge.as_bytes()).is_none(), "{challenge}");
        }
        let (scram, _) = Scram::begin_with("u", "abc".to_owned());
        assert!(scram.answer("p", b"r=abcd,s=c2FsdA==,i=4000000000").is_none());
    }
}
