//! What the road notes of a rule that may have to act: the body of a delivery to the platform itself.

use causeway_model::linkage::LinkageRule;
use causeway_model::{DeviceNo, Timestamp};
use causeway_rules::linkage::Verdict;
use serde::{Deserialize, Serialize};

use crate::outbox::NewDelivery;

/// Why a rule may have to act.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Trigger {
    /// The rule's id.
    pub(super) rule: String,
    /// Its version then; an older one does not act any more.
    pub(super) version: i64,
    /// When it happened, ms.
    pub(super) at: i64,
    /// The cause.
    pub(super) cause: Cause,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Cause {
    /// A device reported.
    Report {
        /// The device's number.
        device: i64,
        /// The id of the report.
        event_id: Option<String>,
        /// What the report says of the conditions that look at it.
        found: Vec<Found>,
    },
    /// The status of a device changed.
    Status {
        /// The device's number.
        device: i64,
        /// ONLINE, else OFFLINE.
        online: bool,
    },
    /// The status of a device has lasted as long as a condition asks for.
    Lasted {
        /// The device's number.
        device: i64,
        /// The place of the condition.
        condition: u16,
    },
    /// A timer.
    Timer {
        /// The place of the condition.
        condition: u16,
    },
    /// The rule was made, and what was reported before counts.
    Made,
}

/// What a report says of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Found {
    /// The place of the condition.
    pub(super) condition: u16,
    /// Whether it holds; nobody knows without the device's last values.
    pub(super) holds: Option<bool>,
}

impl Found {
    pub(super) fn new(condition: usize, verdict: Verdict) -> Self {
        let holds = match verdict {
            Verdict::Holds => Some(true),
            Verdict::Fails => Some(false),
            Verdict::Open => None,
        };
        Self { condition: u16::try_from(condition).unwrap_or(u16::MAX), holds }
    }
}

impl Trigger {
    pub(super) fn new(rule: &LinkageRule, at: Timestamp, cause: Cause) -> Self {
        Self { rule: rule.id.clone(), version: rule.version, at: at.0, cause }
    }

    /// The delivery to `target`, in the order of the device that caused it.
    pub(super) fn delivery(&self, target: i64) -> Option<NewDelivery> {
        let device = match self.cause {
            Cause::Report { device, .. } | Cause::Status { device, .. } | Cause::Lasted { device, .. } => {
                Some(DeviceNo(device))
            }
            Cause::Timer { .. } | Cause::Made => None,
        };
        let body = serde_json::to_string(self).ok()?;
        Some(NewDelivery { target, device, body: body.into(), at: Timestamp(self.at) })
    }
}
