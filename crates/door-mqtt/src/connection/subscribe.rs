//! SUBSCRIBE and UNSUBSCRIBE (002 §2.1.2.12; 3.1.1 §3.8–3.11, v5 §3.8–3.11).

use causeway_model::Result;
use causeway_platform::session::{RetainedMessage, StoredSession};
use causeway_wire::mqtt::topic::TopicFilter;
use causeway_wire::mqtt::{
    self, PacketId, Properties, Property, Publish, QoS, ReasonCode, Suback, Subscribe, Unsuback, Unsubscribe, Version,
};

use super::Connection;
use super::commits::reason_string;
use super::slow::Outcome;
use crate::session::letter::{expiry, with_properties};
use crate::session::outbox::{Origin, Outgoing};
use crate::session::subscriptions::{Copy, Subscription};
use crate::topics::{self, judge_filter};
use crate::uplink::publication::may_receive;

impl Connection {
    /// Judges each filter; what is granted holds at once. The SUBACK of a session that outlives the connection leaves when
    /// the store has the subscriptions.
    pub(super) fn on_subscribe(&mut self, subscribe: &Subscribe<'_>) {
        let identifier = subscribe.properties.subscription_identifiers().next();
        let mut codes = Vec::new();
        let mut wanting: Vec<Box<str>> = Vec::new();
        let mut has_changed = false;
        for asked in subscribe.subscriptions.iter() {
            let proper = TopicFilter::parse(asked.filter, self.version).map_or(asked.filter, |f| f.filter);
            let verdict = self.judge(asked.filter, proper);
            let code = match verdict {
                Ok(best) => {
                    let granted = asked.qos.min(best); // [MQTT-3.8.4-6] v5 [MQTT-3.8.4-7]
                    let subscription = Subscription::new(&asked, proper, granted, identifier);
                    let is_system = best == QoS::AtLeastOnce;
                    let is_new = !self.session.subscriptions.contains(asked.filter);
                    if !is_system && subscription.wants_retained(is_new) {
                        wanting.push(asked.filter.into());
                    }
                    self.session.subscriptions.set(subscription);
                    has_changed = true;
                    granted.bits()
                }
                Err(reason) => {
                    if reason != ReasonCode::QUOTA_EXCEEDED {
                        self.door.note_refused_topic(self.device(), asked.filter, "subscribe");
                    }
                    match self.version {
                        Version::V5 => reason.0,
                        Version::V311 => ReasonCode::UNSPECIFIED_ERROR.0, // [MQTT-3.8.4-5]
                        // 3.1 cannot refuse; nothing will come.
                        Version::V31 => QoS::AtMostOnce.bits(),
                    }
                }
            };
            codes.push(code);
        }
        self.heed_broadcasts();
        let id = subscribe.packet_id;
        let stored = (has_changed && self.expiry > 0).then(|| self.stored_session());
        if stored.is_none() && wanting.is_empty() {
            self.subscribed(id, &codes, &wanting, Vec::new());
            return;
        }
        self.is_stored |= stored.is_some();
        let (store, no) = (self.door.platform.store.clone(), self.device().no);
        self.slow = Some(Box::pin(async move {
            let retained = async {
                if let Some(stored) = &stored {
                    store.put_session(no, stored).await?;
                }
                if wanting.is_empty() { Ok(Vec::new()) } else { store.retained(no).await }
            };
            let retained = retained.await;
            Outcome::Subscribed { id, codes, wanting, retained }
        }));
    }

    /// Tells the platform whether broadcasts are for this connection.
    pub(super) fn heed_broadcasts(&self) {
        self.seat.set_hears_broadcasts(self.session.subscriptions.hear_broadcasts());
    }

    fn judge(&self, filter: &str, proper: &str) -> Result<QoS, ReasonCode> {
        let settings = &self.door.settings;
        let product = self.device().product.current();
        let best = judge_filter(proper, self.device().id.as_str(), &product.topics, settings.max_topic as usize)?;
        if !topics::is_permitted(self.device(), proper) {
            return Err(ReasonCode::NOT_AUTHORIZED);
        }
        let subscriptions = &self.session.subscriptions;
        let is_full = subscriptions.len() >= settings.max_subscriptions as usize;
        if is_full && !subscriptions.contains(filter) { Err(ReasonCode::QUOTA_EXCEEDED) } else { Ok(best) }
    }

    /// The session for the store, while connected.
    pub(super) fn stored_session(&self) -> StoredSession {
        StoredSession {
            client: self.client.to_string(),
            subscriptions: self.session.subscriptions.stored(),
            expires_at: None,
        }
    }

    /// Sends the SUBACK [MQTT-3.8.4-1], then retained messages, then what waited for the subscription.
    pub(super) fn subscribed(
        &mut self,
        id: PacketId,
        codes: &[u8],
        wanting: &[Box<str>],
        retained: Vec<RetainedMessage>,
    ) {
        let failure = codes.iter().map(|c| ReasonCode(*c)).find(|c| c.is_failure());
        let text = self.v5.as_deref().zip(failure).and_then(|(v5, reason)| reason_string(v5, reason));
        let list = text.map(Property::ReasonString);
        let suback = Suback { packet_id: id, properties: Properties::from(list.as_slice()), codes };
        let written = mqtt::encode_suback(&mut self.out.bytes, self.version, &suback);
        debug_assert!(written.is_ok(), "the codes are codes of SUBACK in this version");
        for message in retained {
            if !may_receive(self.device(), &message.topic) {
                continue;
            }
            for filter in wanting {
                if let Some(copy) = self.session.subscriptions.of_retained(filter, &message.topic) {
                    self.send_retained(&message, copy);
                }
            }
        }
        self.pump();
        self.retry_early();
    }

    /// Sends a retained message for a new subscription, with the retain flag set [MQTT-3.3.1-8].
    fn send_retained(&mut self, message: &RetainedMessage, copy: Copy) {
        let published = QoS::from_bits(message.qos).unwrap_or_default();
        let qos = copy.qos.min(published);
        with_properties(&message.properties, |properties| {
            let expires_at = expiry(properties, message.at);
            if expires_at.is_some_and(|at| at <= self.door.platform.clock.now()) {
                return;
            }
            if qos == QoS::AtMostOnce {
                let publish = Publish {
                    retain: true,
                    topic: &message.topic,
                    payload: &message.payload,
                    properties: *properties,
                    ..Publish::default()
                };
                self.send_unacknowledged(&publish, &copy.identifiers, expires_at);
                return;
            }
            let letter = self.session.letter(&message.topic, &message.payload, properties, &self.door.budget);
            if letter.is_none() || self.session.outbox.len() >= self.door.settings.max_queued as usize {
                self.door.meters.dropped.increment(1);
                return;
            }
            let identifiers = copy.identifiers;
            self.session.outbox.push(Outgoing {
                letter,
                qos,
                retain: true,
                identifiers,
                expires_at,
                origin: Origin::Own,
            });
        });
    }

    /// Ends subscriptions. The implicit ones of system topics cannot be ended.
    pub(super) fn on_unsubscribe(&mut self, unsubscribe: &Unsubscribe<'_>) {
        let mut codes = Vec::new();
        for filter in unsubscribe.filters.iter() {
            let is_removed = self.session.subscriptions.remove(filter); // [MQTT-3.10.4-1]
            let code = if is_removed { ReasonCode::SUCCESS } else { ReasonCode::NO_SUBSCRIPTION_EXISTED };
            codes.push(code.0);
        }
        self.heed_broadcasts();
        let id = unsubscribe.packet_id;
        if self.expiry == 0 || !codes.contains(&ReasonCode::SUCCESS.0) {
            self.write_unsuback(id, &codes);
            return;
        }
        let (store, no, stored) = (self.door.platform.store.clone(), self.device().no, self.stored_session());
        self.slow = Some(Box::pin(async move {
            let stored = store.put_session(no, &stored).await;
            Outcome::Unsubscribed { id, codes, stored }
        }));
    }

    pub(super) fn write_unsuback(&mut self, id: PacketId, codes: &[u8]) {
        let unsuback = Unsuback { packet_id: id, properties: Properties::default(), codes };
        let written = mqtt::encode_unsuback(&mut self.out.bytes, self.version, &unsuback); // [MQTT-3.10.4-4]
        debug_assert!(written.is_ok(), "both codes are codes of UNSUBACK");
    }
}
