//! PUBLISH from the device.

use std::sync::Arc;

use causeway_model::Timestamp;
use causeway_platform::uplink::Taken;
use causeway_wire::mqtt::{Publish, QoS, ReasonCode};
use futures_util::FutureExt as _;

use super::Connection;
use super::commits::{Batch, Owed};
use super::slow::Outcome;
use crate::error::Ending;
use crate::session::letter::expiry;
use crate::session::outbox::{Origin, Outgoing};
use crate::topics::is_permitted;
use crate::uplink::publication::{Publication, Verdict, may_receive, proper_topic};

impl Connection {
    /// Takes a PUBLISH; `whole` are its bytes. Almost always everything is at hand and `batch` grows; if not, the packet is
    /// set aside and taken by a slow operation.
    pub(super) fn on_publish(
        &mut self,
        whole: &[u8],
        publish: Publish<'_>,
        arrival: Timestamp,
        batch: &mut Batch,
    ) -> Result<(), Ending> {
        let alias = match &mut self.v5 {
            Some(v5) if !publish.properties.is_empty() => {
                let maximum = self.door.settings.topic_alias_maximum;
                v5.resolve(&publish, maximum)?
            }
            _ => None,
        };
        if let Some(id) = publish.packet_id {
            if publish.qos == QoS::ExactlyOnce && self.session.received.contains(&id) {
                // Taken before; the device has not seen the PUBREC [MQTT-4.3.3-2] v5 [MQTT-4.3.3-10].
                self.owe(Owed { id, is_pubrec: true, reason: ReasonCode::SUCCESS, is_new: false }, batch);
                return Ok(());
            }
            self.unacknowledged += 1;
            let limit = usize::from(self.door.settings.receive_maximum);
            let under_way = if self.v5.is_some() { self.unacknowledged as usize } else { self.session.received.len() };
            if under_way > limit {
                let text = "more messages are under way than the receive maximum allows";
                return Err(Ending::Broken(ReasonCode::RECEIVE_MAXIMUM_EXCEEDED, text)); // v5 [MQTT-3.3.4-9]
            }
        }
        let resolved = Publish { topic: alias.as_deref().unwrap_or(publish.topic), ..publish };
        let units = batch.taken.units.len();
        let publication = Publication { device: self.device(), publish: &resolved, version: self.version, arrival };
        if publication.acts() {
            self.take_slowly(whole.to_vec(), alias, arrival);
            return Ok(());
        }
        match publication.take(&self.door, &mut batch.taken).now_or_never() {
            Some(Ok(verdict)) => self.settle(&resolved, verdict, batch),
            Some(Err(error)) => return Err(self.uncommitted(&error)),
            None => {
                // Something has to be asked of the store. Nothing was begun that cannot begin again.
                batch.taken.units.truncate(units);
                self.take_slowly(whole.to_vec(), alias, arrival);
            }
        }
        Ok(())
    }

    /// Takes a PUBLISH that needs the store.
    fn take_slowly(&mut self, packet: Vec<u8>, topic: Option<Arc<str>>, arrival: Timestamp) {
        let (door, device, version) = (self.door.clone(), self.device().clone(), self.version);
        self.slow = Some(Box::pin(async move {
            let mut taken = Taken::default();
            let verdict = {
                let publish = super::slow::read_publish(&packet, version, topic.as_deref());
                let publication = Publication { device: &device, publish: &publish, version, arrival };
                publication.take(&door, &mut taken).await
            };
            Outcome::Published { packet, topic, taken, verdict }
        }));
    }

    /// Does what a verdict says: answers, the device's own subscriptions, the acknowledgement.
    pub(super) fn settle(&mut self, publish: &Publish<'_>, verdict: Verdict, batch: &mut Batch) {
        for reply in verdict.replies {
            self.send_reply(&reply);
        }
        if verdict.is_routed && !self.session.subscriptions.is_empty() {
            self.route(publish);
        }
        if let Some(id) = publish.packet_id {
            let reason = self.told(verdict.reason);
            let is_pubrec = publish.qos == QoS::ExactlyOnce;
            let is_new = is_pubrec && !reason.is_failure() && self.session.received.insert(id);
            self.owe(Owed { id, is_pubrec, reason, is_new }, batch);
        }
    }

    fn owe(&mut self, owed: Owed, batch: &mut Batch) {
        self.uncommitted += 1;
        batch.owed.push(owed);
    }

    /// Gives the device what it published on a topic that it subscribed itself (3.1.1 §3.3.5, v5 §3.3.4).
    fn route(&mut self, publish: &Publish<'_>) {
        let topic = proper_topic(publish.topic, self.device().id.as_str());
        if !may_receive(self.device(), topic) {
            return;
        }
        let device = self.device();
        let copies = self.session.subscriptions.of_device(topic, |filter| is_permitted(device, filter));
        if copies.is_empty() {
            return;
        }
        let publish = Publish { topic, ..*publish };
        let expires_at = expiry(&publish.properties, self.door.platform.clock.now());
        let mut letter = None;
        for copy in copies {
            let qos = copy.qos.min(publish.qos); // [MQTT-3.8.4-6] v5 [MQTT-3.8.4-8]
            // Established subscriptions get the flag only if they ask for it [MQTT-3.3.1-9] v5 [MQTT-3.3.1-12].
            let retain = copy.retain_as_published && publish.retain;
            if qos == QoS::AtMostOnce {
                self.send_unacknowledged(&Publish { retain, ..publish }, &copy.identifiers, expires_at);
                continue;
            }
            if letter.is_none() {
                letter = self.session.letter(topic, publish.payload, &publish.properties, &self.door.budget);
            }
            let has_room = self.session.outbox.len() < self.door.settings.max_queued as usize;
            if letter.is_none() || !has_room {
                self.door.meters.dropped.increment(1);
                continue;
            }
            self.session.outbox.push(Outgoing {
                letter: letter.clone(),
                qos,
                retain,
                identifiers: copy.identifiers,
                expires_at,
                origin: Origin::Own,
            });
        }
        self.pump();
    }
}

impl super::V5 {
    /// The topic that an alias stands for; sets the alias when the packet names both (v5 §3.3.2.3.4).
    fn resolve(&mut self, publish: &Publish<'_>, maximum: u16) -> Result<Option<Arc<str>>, Ending> {
        let Some(alias) = publish.properties.topic_alias() else { return Ok(None) };
        let invalid = |text| Err(Ending::Broken(ReasonCode::TOPIC_ALIAS_INVALID, text));
        if alias.get() > maximum {
            return invalid("the topic alias is larger than the topic alias maximum"); // v5 [MQTT-3.3.2-9]
        }
        let at = usize::from(alias.get()) - 1;
        if publish.topic.is_empty() {
            return match self.aliases.get(at).cloned().flatten() {
                Some(topic) => Ok(Some(topic)),
                None => Err(Ending::Broken(ReasonCode::PROTOCOL_ERROR, "the topic alias stands for no topic")),
            };
        }
        if self.aliases.len() <= at {
            self.aliases.resize(at + 1, None);
        }
        let known = self.aliases[at].as_deref() == Some(publish.topic);
        if !known {
            self.aliases[at] = Some(publish.topic.into()); // v5 [MQTT-3.3.2-12]
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use causeway_wire::mqtt::{PacketId, Properties, Property};

    use super::super::V5;
    use super::*;

    #[test]
    fn aliases_are_set_changed_and_judged() {
        let mut v5 = V5::default();
        let mut resolve = |alias: u16, topic: &str| {
            let list = [Property::TopicAlias(PacketId::new(alias).expect("not 0"))];
            v5.resolve(&Publish { topic, properties: Properties::from(&list), ..Publish::default() }, 2)
        };
        let reason = |outcome: Result<Option<Arc<str>>, Ending>| outcome.expect_err("refused").reason();
        assert_eq!(reason(resolve(1, "")), Some(ReasonCode::PROTOCOL_ERROR));
        assert_eq!(resolve(2, "a"), Ok(None));
        assert_eq!(resolve(2, ""), Ok(Some("a".into())));
        assert_eq!(resolve(2, "b"), Ok(None));
        assert_eq!(resolve(2, ""), Ok(Some("b".into())));
        assert_eq!(reason(resolve(1, "")), Some(ReasonCode::PROTOCOL_ERROR));
        assert_eq!(reason(resolve(3, "a")), Some(ReasonCode::TOPIC_ALIAS_INVALID));
    }
}
