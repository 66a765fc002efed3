//! Hosts that keep failing are left alone for a while (002 §4.6.2).

use std::collections::{HashMap, HashSet};

use causeway_model::Timestamp;
use causeway_platform::settings::PushSettings;
use parking_lot::Mutex;

/// Failures in a row and blocks, by `host:port`. Shared by all targets: two spaces may push to one host.
pub(crate) struct Hosts {
    max_failures: u32,
    block_ms: i64,
    failing: Mutex<HashMap<String, Failing>>,
}

#[derive(Clone, Copy, Default)]
struct Failing {
    in_a_row: u32,
    blocked_until: Option<Timestamp>,
}

impl Hosts {
    pub(crate) fn new(settings: &PushSettings) -> Self {
        metrics::gauge!("causeway_push_blocked_hosts").set(0.0);
        Self {
            max_failures: settings.max_failures.max(1),
            block_ms: settings.block.as_millis(),
            failing: Mutex::default(),
        }
    }

    /// When the host may be tried again; `None`: now.
    pub(crate) fn blocked_until(&self, host: &str, now: Timestamp) -> Option<Timestamp> {
        let mut failing = self.failing.lock();
        let until = failing.get(host)?.blocked_until?;
        if until > now {
            return Some(until);
        }
        // It starts anew: only as many failures again block it again.
        failing.remove(host);
        show(&failing);
        drop(failing);
        tracing::info!(host, "pushes to the host go on");
        None
    }

    pub(crate) fn succeeded(&self, host: &str) {
        let mut failing = self.failing.lock();
        // A push that was under way when others blocked the host does not lift the block.
        if failing.get(host).is_some_and(|f| f.blocked_until.is_none()) {
            failing.remove(host);
        }
    }

    pub(crate) fn failed(&self, host: &str, now: Timestamp) {
        let mut failing = self.failing.lock();
        let found = failing.entry(host.to_owned()).or_default();
        if found.blocked_until.is_some() {
            return;
        }
        found.in_a_row += 1;
        if found.in_a_row < self.max_failures {
            return;
        }
        let until = now.plus_ms(self.block_ms);
        found.blocked_until = Some(until);
        show(&failing);
        drop(failing);
        tracing::warn!(host, %until, "pushes to the host are paused: it failed {} times in a row", self.max_failures);
    }

    /// Forgets hosts that no target names any more.
    pub(crate) fn keep_only(&self, hosts: &HashSet<&str>) {
        let mut failing = self.failing.lock();
        let before = failing.len();
        failing.retain(|host, _| hosts.contains(host.as_str()));
        if failing.len() != before {
            show(&failing);
        }
    }
}

fn show(failing: &HashMap<String, Failing>) {
    let blocked = failing.values().filter(|f| f.blocked_until.is_some()).count();
    metrics::gauge!("causeway_push_blocked_hosts").set(f64::from(u32::try_from(blocked).unwrap_or(u32::MAX)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_in_a_row_block_for_a_while_and_then_anew() {
        let hosts = Hosts::new(&PushSettings { max_failures: 3, ..PushSettings::default() });
        let at = |ms: i64| Timestamp(1_000_000 + ms);
        let blocked = |ms| hosts.blocked_until("a:80", at(ms));
        let fail = |times: u32| (0..times).for_each(|_| hosts.failed("a:80", at(0)));
        fail(2);
        hosts.succeeded("a:80");
        fail(2);
        assert_eq!(blocked(0), None, "a success breaks the row");
        fail(1);
        assert_eq!(blocked(0), Some(at(300_000)));
        assert_eq!(hosts.blocked_until("b:80", at(0)), None);
        hosts.failed("a:80", at(100_000));
        hosts.succeeded("a:80");
        assert_eq!(blocked(299_999), Some(at(300_000)), "what was under way changes nothing");
        assert_eq!(blocked(300_000), None);
        fail(2);
        assert_eq!(blocked(0), None);
        fail(1);
        assert_eq!(blocked(0), Some(at(300_000)));
        hosts.keep_only(&HashSet::new());
        assert_eq!(blocked(0), None);
    }
}
