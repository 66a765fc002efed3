//! Failed sign-ins are counted, and too many of them close the door for some minutes.
//!
//! Three counts, each over `iam.sign_in_window`:
//!
//! | of | closes |
//! | --- | --- |
//! | a user name from one address | this pair |
//! | an address, whatever the name | the address |
//! | a user name, whatever the address | the name for addresses from which it never signed in |
//!
//! Who guesses from many addresses cannot shut out the owner of a name at the place where it works, and signing with
//! access keys is never closed. Attempts at a closed door are neither checked nor counted, so that it opens in time.
//! The counts are bounded: the least recently used are forgotten.

use std::net::{IpAddr, Ipv6Addr};

use causeway_model::{Code, Error, Result, Timestamp};
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};

use crate::settings::IamSettings;

/// Counts kept; about 150 bytes each.
const MOST: u64 = 20_000;

type Key = [u8; 32];

#[derive(Clone, Copy)]
struct Count {
    failures: u32,
    since: Timestamp,
    closed_until: Timestamp,
}

/// See the module text.
pub(crate) struct Throttle {
    counts: Mutex<Cache<Key, Count>>,
    /// Names with addresses from which they signed in.
    known: Cache<Key, ()>,
}

impl Default for Throttle {
    fn default() -> Self {
        Self { counts: Mutex::new(lru()), known: lru() }
    }
}

fn lru<V: Clone + Send + Sync + 'static>() -> Cache<Key, V> {
    Cache::builder().max_capacity(MOST).eviction_policy(EvictionPolicy::lru()).build()
}

/// Who tries. A name may be as long as it likes, its digest is short.
pub(super) struct Attempt {
    pair: Key,
    address: Key,
    name: Key,
}

impl Attempt {
    pub(super) fn new(name: &str, from: Option<IpAddr>) -> Self {
        // Whoever has an IPv6 network has as many addresses as it likes.
        let address = match from {
            Some(IpAddr::V6(v6)) => match v6.to_ipv4_mapped() {
                Some(v4) => IpAddr::V4(v4).to_string(),
                None => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))).to_string(),
            },
            Some(v4) => v4.to_string(),
            None => String::new(),
        };
        let digest = |kind: u8, name: &str, address: &str| {
            let mut hash = Sha256::new();
            hash.update([kind]);
            hash.update(address.as_bytes());
            hash.update([0]);
            hash.update(name.as_bytes());
            hash.finalize().into()
        };
        Self { pair: digest(0, name, &address), address: digest(1, "", &address), name: digest(2, name, "") }
    }

    /// What is counted, with its limit.
    fn counted(&self, settings: &IamSettings) -> [(Key, u32); 3] {
        [
            (self.pair, settings.sign_in_failures),
            (self.address, settings.sign_in_failures_of_address),
            (self.name, settings.sign_in_failures_of_user),
        ]
    }
}

impl Throttle {
    /// Refuses while the door is closed for `attempt`.
    ///
    /// # Errors
    /// [`Code::SignInLocked`].
    pub(super) fn check(&self, settings: &IamSettings, attempt: &Attempt, now: Timestamp) -> Result<()> {
        let is_known = self.known.contains_key(&attempt.pair);
        let counts = self.counts.lock();
        let closed_until = attempt
            .counted(settings)
            .iter()
            .filter(|(key, _)| !(is_known && *key == attempt.name))
            .filter_map(|(key, _)| counts.get(key))
            .map(|count| count.closed_until)
            .max();
        match closed_until {
            Some(until) if until > now => {
                let minutes = (until.0 - now.0 + 59_999) / 60_000;
                Err(Error::new(
                    Code::SignInLocked,
                    format!(
                        "Operation not allowed. Signing in failed too often. Try again in {minutes} minute(s), or sign with an access key."
                    ),
                ))
            }
            _ => Ok(()),
        }
    }

    /// Counts a failure.
    pub(super) fn failed(&self, settings: &IamSettings, attempt: &Attempt, now: Timestamp) {
        let counts = self.counts.lock();
        for (key, limit) in attempt.counted(settings) {
            let fresh = Count { failures: 0, since: now, closed_until: Timestamp(0) };
            let mut count = counts
                .get(&key)
                .filter(|c| now.0 - c.since.0 < settings.sign_in_window.as_millis() && c.closed_until <= now)
                .unwrap_or(fresh);
            if count.closed_until.0 > 0 {
                // It was closed and is open again.
                count = fresh;
            }
            count.failures += 1;
            if limit > 0 && count.failures >= limit {
                count.closed_until = now.plus_ms(settings.sign_in_lock.as_millis());
            }
            counts.insert(key, count);
        }
    }

    /// Forgets the failures of a pair that signed in.
    pub(super) fn succeeded(&self, attempt: &Attempt) {
        self.known.insert(attempt.pair, ());
        self.counts.lock().invalidate(&attempt.pair);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;

    fn settings() -> IamSettings {
        IamSettings {
            sign_in_failures: 3,
            sign_in_failures_of_address: 6,
            sign_in_failures_of_user: 9,
            ..IamSettings::default()
        }
    }

    fn at(minutes: i64) -> Timestamp {
        Timestamp(1_700_000_000_000 + minutes * MINUTE)
    }

    fn from(name: &str, address: &str) -> Attempt {
        Attempt::new(name, Some(address.parse().expect("an address")))
    }

    fn open(throttle: &Throttle, attempt: &Attempt, minutes: i64) -> bool {
        throttle.check(&settings(), attempt, at(minutes)).is_ok()
    }

    fn fail(throttle: &Throttle, attempt: &Attempt, times: u32, minutes: i64) {
        for _ in 0..times {
            throttle.failed(&settings(), attempt, at(minutes));
        }
    }

    #[test]
    fn a_pair_is_closed_for_minutes() {
        let throttle = Throttle::default();
        let ann = from("ann", "10.0.0.1");
        fail(&throttle, &ann, 2, 0);
        assert!(open(&throttle, &ann, 0));
        fail(&throttle, &ann, 1, 0);
        assert!(!open(&throttle, &ann, 14));
        assert!(open(&throttle, &from("ann", "10.0.0.2"), 14));
        assert!(open(&throttle, &from("bob", "10.0.0.1"), 14));
        assert!(open(&throttle, &ann, 15));
        fail(&throttle, &ann, 2, 15);
        assert!(open(&throttle, &ann, 15), "it begins anew");
    }

    #[test]
    fn old_failures_and_success_are_forgotten() {
        let throttle = Throttle::default();
        let ann = from("ann", "10.0.0.1");
        fail(&throttle, &ann, 2, 0);
        fail(&throttle, &ann, 2, 16);
        assert!(open(&throttle, &ann, 16));
        throttle.succeeded(&ann);
        fail(&throttle, &ann, 2, 16);
        assert!(open(&throttle, &ann, 16));
    }

    #[test]
    fn an_address_is_closed_whatever_the_name() {
        let throttle = Throttle::default();
        for name in ["a", "b", "c", "d", "e", "f"] {
            fail(&throttle, &from(name, "10.0.0.1"), 1, 0);
        }
        assert!(!open(&throttle, &from("ann", "10.0.0.1"), 0));
        assert!(!open(&throttle, &from("ann", "::ffff:10.0.0.1"), 0));
        assert!(open(&throttle, &from("ann", "10.0.0.2"), 0));
    }

    #[test]
    fn guessing_from_everywhere_does_not_shut_the_owner_out() {
        let throttle = Throttle::default();
        let owner = from("ann", "10.0.0.1");
        throttle.succeeded(&owner);
        for host in 2..20 {
            fail(&throttle, &from("ann", &format!("10.0.0.{host}")), 1, 0);
        }
        assert!(!open(&throttle, &from("ann", "10.0.0.99"), 0));
        assert!(open(&throttle, &owner, 0));
    }

    #[test]
    fn an_ipv6_network_is_one_address() {
        let throttle = Throttle::default();
        for host in 1..=6 {
            fail(&throttle, &from(&host.to_string(), &format!("2001:db8::{host}")), 1, 0);
        }
        assert!(!open(&throttle, &from("ann", "2001:db8::99"), 0));
        assert!(open(&throttle, &from("ann", "2001:db8:1::99"), 0));
    }

    #[test]
    fn the_counts_are_bounded() {
        let throttle = Throttle::default();
        for i in 0..30_000_u32 {
            throttle.failed(&settings(), &Attempt::new(&i.to_string(), Some(IpAddr::from(i.to_be_bytes()))), at(0));
        }
        let counts = throttle.counts.lock();
        counts.run_pending_tasks();
        assert!(counts.entry_count() <= MOST);
    }
}
