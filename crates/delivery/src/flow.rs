//! Flow control: how many deliveries a second leave, for all of the instance, a channel, a rule and an action
//! (`iotda-v5-api.md`, forwarding flow control). What is too much waits in the outbox.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use causeway_model::forwarding::{FlowControlPolicy, FlowScope};
use parking_lot::Mutex;
use tokio::time::Instant;

/// A pause in deliveries is made up for as far as this.
const BURST_S: f64 = 0.1;

/// One policy at work: a bucket of tokens, one a delivery.
#[derive(Debug)]
struct Bucket {
    a_second: f64,
    tokens: f64,
    filled_at: Instant,
}

impl Bucket {
    fn new(limit: u32, now: Instant) -> Self {
        Self { a_second: f64::from(limit.max(1)), tokens: 1.0, filled_at: now }
    }

    fn fill(&mut self, now: Instant) {
        let more = now.saturating_duration_since(self.filled_at).as_secs_f64() * self.a_second;
        self.tokens = (self.tokens + more).min((self.a_second * BURST_S).max(1.0));
        self.filled_at = now;
    }

    /// How long until there is a whole token.
    fn wait(&self) -> Duration {
        Duration::from_secs_f64(((1.0 - self.tokens) / self.a_second).max(0.0))
    }
}

/// All policies, shared by the workers.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    /// Spares workers the lock when there is no policy.
    is_limited: AtomicBool,
    buckets: Mutex<HashMap<FlowScope, Bucket>>,
}

impl Flow {
    /// Follows the policies; those that stay as they are go on as they are.
    pub(crate) fn follow(&self, policies: &[FlowControlPolicy]) {
        let now = Instant::now();
        let mut buckets = self.buckets.lock();
        buckets.retain(|scope, _| policies.iter().any(|p| p.scope == *scope));
        for policy in policies {
            let bucket = buckets.entry(policy.scope.clone()).or_insert_with(|| Bucket::new(policy.limit, now));
            bucket.a_second = f64::from(policy.limit.max(1));
        }
        self.is_limited.store(!buckets.is_empty(), Ordering::Release);
    }
}

/// The policies that one target is under.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    flow: Arc<Flow>,
    scopes: Arc<[FlowScope]>,
}

impl Gate {
    pub(crate) fn new(flow: Arc<Flow>, scopes: Vec<FlowScope>) -> Self {
        Self { flow, scopes: scopes.into() }
    }

    /// Whether policies of forwarding count for the target at all.
    pub(crate) fn is_policed(&self) -> bool {
        !self.scopes.is_empty()
    }

    /// Asks for `wanted` deliveries: how many may leave now. When it is none, how long to wait.
    pub(crate) fn take(&self, wanted: usize) -> (usize, Duration) {
        self.take_at(wanted, Instant::now())
    }

    fn take_at(&self, wanted: usize, now: Instant) -> (usize, Duration) {
        if wanted == 0 || self.scopes.is_empty() || !self.flow.is_limited.load(Ordering::Acquire) {
            return (wanted, Duration::ZERO);
        }
        let mut buckets = self.flow.buckets.lock();
        let (mut granted, mut wait) = (wanted, Duration::ZERO);
        for scope in self.scopes.iter() {
            let Some(bucket) = buckets.get_mut(scope) else { continue };
            bucket.fill(now);
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "tokens are between nothing and a tenth of a u32"
            )]
            let whole = bucket.tokens as usize;
            granted = granted.min(whole);
            wait = wait.max(bucket.wait());
        }
        let taken = u32::try_from(granted).unwrap_or(u32::MAX);
        for scope in self.scopes.iter() {
            if let Some(bucket) = buckets.get_mut(scope) {
                bucket.tokens -= f64::from(taken);
            }
        }
        (granted, wait)
    }

    /// Gives back what was not used.
    pub(crate) fn give_back(&self, count: usize) {
        if count == 0 || !self.flow.is_limited.load(Ordering::Acquire) {
            return;
        }
        let count = f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        let mut buckets = self.flow.buckets.lock();
        for scope in self.scopes.iter() {
            if let Some(bucket) = buckets.get_mut(scope) {
                bucket.tokens += count;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use causeway_model::RecordNo;

    use super::*;

    fn policy(scope: FlowScope, limit: u32) -> FlowControlPolicy {
        FlowControlPolicy { no: RecordNo(1), id: "p".to_owned(), name: None, description: None, scope, limit }
    }

    /// Deliveries that leave within a second from `start`, asked for every millisecond.
    fn in_a_second(gates: &[&Gate], start: Instant) -> Vec<usize> {
        let mut taken = vec![0; gates.len()];
        for ms in 0..1000 {
            let now = start + Duration::from_millis(ms);
            for (count, gate) in taken.iter_mut().zip(gates) {
                *count += gate.take_at(5, now).0;
            }
        }
        taken
    }

    #[test]
    fn the_narrowest_policy_counts_and_policies_are_shared() {
        let flow = Arc::new(Flow::default());
        let rule = FlowScope::Rule("r".to_owned());
        let a = Gate::new(flow.clone(), vec![FlowScope::User, rule.clone(), FlowScope::Action("a".to_owned())]);
        let b = Gate::new(flow.clone(), vec![FlowScope::User, rule.clone(), FlowScope::Action("b".to_owned())]);
        assert_eq!(a.take(7), (7, Duration::ZERO), "nothing limits");
        flow.follow(&[policy(rule, 100), policy(FlowScope::Action("a".to_owned()), 10)]);
        let taken = in_a_second(&[&a, &b], Instant::now());
        assert!((9..=12).contains(&taken[0]), "{taken:?}");
        assert!((98..=103).contains(&(taken[0] + taken[1])), "{taken:?}");
        flow.follow(&[policy(FlowScope::User, 1000)]);
        let taken = in_a_second(&[&a], Instant::now());
        assert!((995..=1005).contains(&taken[0]), "{taken:?}");
        flow.follow(&[]);
        assert_eq!(a.take(9000), (9000, Duration::ZERO));
    }

    #[test]
    fn what_is_not_used_is_given_back() {
        let flow = Arc::new(Flow::default());
        flow.follow(&[policy(FlowScope::User, 1)]);
        let gate = Gate::new(flow, vec![FlowScope::User]);
        let now = Instant::now();
        assert_eq!(gate.take_at(3, now).0, 1);
        let (granted, wait) = gate.take_at(1, now);
        assert!(granted == 0 && wait > Duration::from_millis(900), "{wait:?}");
        gate.give_back(1);
        assert_eq!(gate.take_at(1, now).0, 1);
        assert_eq!(gate.take_at(1, now).0, 0);
    }
}
