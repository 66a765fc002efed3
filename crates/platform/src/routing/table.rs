//! Who takes an event: all active rules, compiled, in an order that lets rules which do not concern an event cost nothing.

use std::collections::HashMap;
use std::sync::Arc;

use causeway_model::forwarding::Subject;
use causeway_model::{AppId, DeviceNo};
use causeway_rules::event::Event;

use crate::outbox::{NewDelivery, PushTarget};

/// See the module text. Never changed: a change of rules makes another.
#[derive(Default)]
pub(crate) struct RouteTable {
    /// Spaces whose events are pushed to a URL without a rule.
    push: HashMap<AppId, i64>,
}

/// What a space's URL takes: what the platform pushed before there were rules.
fn is_pushed(subject: Subject) -> bool {
    matches!(
        subject,
        Subject::PROPERTY_REPORT
            | Subject::MESSAGE_REPORT
            | Subject::MESSAGE_STATUS
            | Subject::STATUS_UPDATE
            | Subject::BATCH_TASK
    )
}

impl RouteTable {
    pub(crate) fn new(push: Vec<PushTarget>) -> Self {
        Self { push: push.into_iter().map(|t| (t.app_id, t.no)).collect() }
    }

    /// Whether anybody may want events of this subject of this space.
    pub(crate) fn concern(&self, app: &AppId, subject: Subject) -> bool {
        !self.push.is_empty() && is_pushed(subject) && self.push.contains_key(app)
    }

    /// Deliveries of an event to everybody who takes it.
    pub(crate) fn deliveries(&self, app: &AppId, device: Option<DeviceNo>, event: &Event<'_>) -> Vec<NewDelivery> {
        let mut found = Vec::new();
        // Written when the first asks for it, shared by all that take it whole.
        let mut whole: Option<Arc<str>> = None;
        let mut whole = || {
            whole
                .get_or_insert_with(|| {
                    let mut text = String::with_capacity(768);
                    event.write(&mut text);
                    text.into()
                })
                .clone()
        };
        if let Some(target) = self.push.get(app).filter(|_| is_pushed(event.subject)) {
            found.push(NewDelivery { target: *target, device, body: whole(), at: event.at });
        }
        found
    }
}
