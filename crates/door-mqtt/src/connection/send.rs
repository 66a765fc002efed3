//! Towards the device: mail of the platform, messages in flight, and the socket.

use std::num::NonZeroU32;
use std::pin::Pin;
use std::task::{Context, Poll};

use causeway_model::Timestamp;
use causeway_platform::broadcast::Broadcast;
use causeway_platform::downlink::Downlink;
use causeway_platform::message::{MessageDone, MessageRefused};
use causeway_wire::mqtt::{self, Ack, PacketId, Properties, Property, Publish, QoS, Version};
use smallvec::SmallVec;
use tokio::io::AsyncWrite as _;
use tokio::time::Instant;

use super::{Connection, Out, V5};
use crate::downlink::message::{self, MessageProperties};
use crate::downlink::{events, request};
use crate::error::Ending;
use crate::session::letter::Letter;
use crate::session::outbox::{Acked, Adopted, Emit, Origin, Outgoing};
use crate::topics::{Place, is_permitted, place, system};
use crate::uplink::publication::Reply;

/// Why something is sent on a system topic.
enum Cause {
    /// A command or property call, awaited until then. Bounded by the mailbox.
    Platform { until: Timestamp },
    /// The device asked.
    Device,
}

impl Connection {
    /// Takes mail while there is room for what it becomes. What goes out with QoS 0 is not held up by what waits for
    /// acknowledgements.
    pub(super) fn take_mail(&mut self) {
        while self.has_mail
            && !self.is_draining
            && self.session.outbox.waiting_mail() < self.door.settings.mailbox as usize
            && self.out.backlog() < self.door.settings.write_backlog.0
        {
            match self.seat.next() {
                Some(downlink) => self.deliver(downlink),
                None => self.has_mail = false,
            }
        }
    }

    fn deliver(&mut self, downlink: Downlink) {
        let own = self.device().id.clone();
        let own = own.as_str();
        match downlink {
            Downlink::Command { request_id, object_device_id, service_id, command_name, paras } => {
                let payload = request::command(object_device_id.as_str(), &service_id, &command_name, &paras);
                self.send_request(request::topic(own, "commands", &request_id), payload);
            }
            Downlink::PropertySet { request_id, object_device_id, services } => {
                let payload = request::property_set(object_device_id.as_str(), &services);
                self.send_request(request::topic(own, "properties/set", &request_id), payload);
            }
            Downlink::PropertyGet { request_id, object_device_id, service_id } => {
                let payload = request::property_get(object_device_id.as_str(), service_id.as_deref());
                self.send_request(request::topic(own, "properties/get", &request_id), payload);
            }
            Downlink::Message { .. } => self.send_message(downlink),
            Downlink::Broadcast(broadcast) => self.send_broadcast(&broadcast),
            Downlink::Event(notice) => {
                let payload = events::payload(&notice, self.door.platform.clock.now());
                self.send_request(events::topic(own), payload);
            }
            // Objects are what LwM2M has. Who asked hears that nobody answers when the request is dropped.
            Downlink::Binary(_) | Downlink::Object(_) => {}
        }
    }

    fn send_request(&mut self, topic: String, payload: String) {
        let patience = self.door.platform.settings.command.timeout.as_millis();
        let until = self.door.platform.clock.now().plus_ms(patience);
        self.send_system(&topic, payload.as_bytes(), Cause::Platform { until });
    }

    /// Sends the answer to something that the device asked.
    pub(super) fn send_reply(&mut self, reply: &Reply) {
        self.send_system(&reply.topic, reply.payload.as_bytes(), Cause::Device);
    }

    /// Sends on a system topic: QoS 0 by implicit subscription, QoS 1 by an explicit one, one copy (002 §2.1.2.12).
    fn send_system(&mut self, topic: &str, payload: &[u8], cause: Cause) {
        let copy = self.session.subscriptions.of_platform(topic, |_| true);
        let qos = copy.as_ref().map_or(QoS::AtMostOnce, |c| c.qos.min(QoS::AtLeastOnce));
        let identifiers = copy.map(|c| c.identifiers).unwrap_or_default();
        let publish = Publish { topic, payload, ..Publish::default() };
        if qos == QoS::AtMostOnce {
            self.send_unacknowledged(&publish, &identifiers, None);
            return;
        }
        let (letter, until) = match cause {
            Cause::Platform { until } => {
                (Letter::new(topic, payload, &publish.properties, &self.door.budget, None), until)
            }
            // A device that asks and asks and acknowledges nothing fills no more than its own room.
            Cause::Device if self.session.outbox.len() < self.door.settings.max_queued as usize => {
                let letter = self.session.letter(topic, payload, &publish.properties, &self.door.budget);
                (letter, self.door.platform.clock.now())
            }
            Cause::Device => (None, Timestamp(0)),
        };
        if letter.is_none() {
            self.door.meters.dropped.increment(1);
            return;
        }
        let origin = Origin::Request { until };
        self.session.outbox.push(Outgoing { letter, qos, retain: false, identifiers, expires_at: None, origin });
        self.pump();
    }

    /// Sends a broadcast if the device subscribed to its topic. It is not kept for devices that leave.
    fn send_broadcast(&mut self, broadcast: &Broadcast) {
        let Some(copy) = self.session.subscriptions.of_platform(&broadcast.topic, |_| true) else { return };
        let publish = Publish { topic: &broadcast.topic, payload: &broadcast.payload, ..Publish::default() };
        if copy.qos == QoS::AtMostOnce {
            self.send_unacknowledged(&publish, &copy.identifiers, None);
            return;
        }
        let has_room = self.session.outbox.len() < self.door.settings.max_queued as usize;
        let letter = self.session.letter(&broadcast.topic, &broadcast.payload, &publish.properties, &self.door.budget);
        if letter.is_none() || !has_room {
            self.door.meters.dropped.increment(1);
            return;
        }
        self.session.outbox.push(Outgoing {
            letter,
            qos: copy.qos.min(QoS::AtLeastOnce),
            retain: false,
            identifiers: copy.identifiers,
            expires_at: None,
            origin: Origin::Own,
        });
        self.pump();
    }

    fn send_message(&mut self, downlink: Downlink) {
        let Downlink::Message { object_device_id, message, done } = downlink else { return };
        let own = self.device().id.clone();
        let topic = message::topic(own.as_str(), &message.topic);
        let is_implicit = matches!(place(&topic, own.as_str()), Place::System(rest) if system::is_down(rest));
        let device = self.device();
        let is_withheld = !topic.starts_with('$') && device.policies_withhold(&topic);
        let copy = self.session.subscriptions.of_platform(&topic, |filter| is_permitted(device, filter));
        let copy = copy.filter(|_| !is_withheld);
        if copy.is_none() && !is_implicit {
            if Instant::now() < self.early_until {
                // The SUBSCRIBE of a device that has just connected may be under way.
                drop(topic);
                self.early.push(Downlink::Message { object_device_id, message, done });
                self.hasten_timer();
            } else {
                self.finish_message(done, Err(MessageRefused::NotSubscribed));
            }
            return;
        }
        let qos = copy.as_ref().map_or(QoS::AtMostOnce, |c| c.qos.min(QoS::AtLeastOnce));
        let identifiers = copy.map(|c| c.identifiers).unwrap_or_default();
        let Some(payload) = message::payload(object_device_id.as_str(), &message) else {
            self.finish_message(done, Err(MessageRefused::Unsendable));
            return;
        };
        let read = MessageProperties::read(message.properties.as_deref().filter(|_| self.version == Version::V5));
        let list = read.list();
        let publish =
            Publish { topic: &topic, payload: &payload, properties: Properties::from(&list), ..Publish::default() };
        if qos == QoS::AtMostOnce {
            if self.write_publish(&publish, &identifiers, None) {
                self.marks.push_back((self.out.total + self.out.backlog() as u64, done));
            } else {
                self.finish_message(done, Err(MessageRefused::Unsendable));
            }
            return;
        }
        let mut done = Some(done);
        match self.session.outbox.adopt(message.no, &mut done) {
            Adopted::No => {}
            Adopted::InFlight => return,
            Adopted::Settled => {
                done.into_iter().for_each(|done| self.finish_message(done, Ok(())));
                return;
            }
        }
        // Without memory the message stays pending and comes again with the next connection.
        let Some(letter) = Letter::new(&topic, &payload, &publish.properties, &self.door.budget, None) else { return };
        self.session.outbox.push(Outgoing {
            letter: Some(letter),
            qos,
            retain: false,
            identifiers,
            expires_at: Some(message.expires_at),
            origin: Origin::Message { no: message.no, done },
        });
        self.pump();
    }

    /// Tells the platform what became of a message, beside the connection: it waits for a commit.
    fn finish_message(&self, done: MessageDone, outcome: Result<(), MessageRefused>) {
        self.door.errands.spawn(async move {
            match outcome {
                Ok(()) => done.delivered().await,
                Err(reason) => done.refused(reason).await,
            }
        });
    }

    /// After a SUBSCRIBE: messages that waited for it.
    pub(super) fn retry_early(&mut self) {
        for downlink in std::mem::take(&mut self.early) {
            self.send_message(downlink);
        }
    }

    /// The device had time to subscribe.
    pub(super) fn give_up_early(&mut self) {
        self.early_until = Instant::now();
        self.retry_early();
    }

    /// Sends with QoS 0; dropped when the device does not keep up or does not take packets so large.
    pub(super) fn send_unacknowledged(
        &mut self,
        publish: &Publish<'_>,
        identifiers: &[NonZeroU32],
        expires_at: Option<Timestamp>,
    ) {
        let publish = Publish { dup: false, qos: QoS::AtMostOnce, packet_id: None, ..*publish };
        let has_room = self.out.backlog() < self.door.settings.write_backlog.0;
        if !has_room || !self.write_publish(&publish, identifiers, expires_at) {
            self.door.meters.dropped.increment(1);
        }
    }

    /// Sends what may go out of the outbox.
    pub(super) fn pump(&mut self) {
        let now = self.door.platform.clock.now();
        let mut outbox = std::mem::take(&mut self.session.outbox);
        let given_back = outbox.pump(self.quota, now, |emit| match emit {
            Emit::Release(id) => mqtt::encode_pubrel(&mut self.out.bytes, self.version, &Ack::success(id)).is_ok(),
            Emit::Publish { id, dup, outgoing } => self.write_outgoing(id, dup, outgoing),
        });
        self.session.outbox = outbox;
        for outgoing in given_back {
            let is_expired = outgoing.expires_at.is_some_and(|at| at <= now);
            match outgoing.origin {
                // An expired message ends in the platform's own time.
                Origin::Message { done: Some(done), .. } if !is_expired => {
                    self.finish_message(done, Err(MessageRefused::Unsendable));
                }
                _ => self.door.meters.dropped.increment(1),
            }
        }
    }

    fn write_outgoing(&mut self, id: PacketId, dup: bool, outgoing: &Outgoing) -> bool {
        let Some(letter) = &outgoing.letter else { return false };
        let read = letter.read();
        // It may have waited since before a policy was changed.
        if !read.topic.starts_with('$') && self.device().policies_withhold(read.topic) {
            return false;
        }
        let publish = Publish { dup, qos: outgoing.qos, retain: outgoing.retain, packet_id: Some(id), ..read };
        self.write_publish(&publish, &outgoing.identifiers, outgoing.expires_at)
    }

    /// Writes a PUBLISH in the device's version; false when the device does not take it.
    fn write_publish(
        &mut self,
        publish: &Publish<'_>,
        identifiers: &[NonZeroU32],
        expires_at: Option<Timestamp>,
    ) -> bool {
        let Some(v5) = &mut self.v5 else {
            return mqtt::encode_publish(&mut self.out.bytes, self.version, publish).is_ok();
        };
        v5.write_publish(&mut self.out, publish, identifiers, expires_at, self.door.platform.clock.now())
    }

    /// An acknowledgement of the device came.
    pub(super) fn on_acked(&mut self, acked: Acked, ack: &Ack<'_>) {
        if let Acked::Over(outgoing) = acked {
            if let Origin::Message { done: Some(done), .. } = outgoing.origin {
                let outcome = if ack.reason.is_failure() { Err(MessageRefused::Unsendable) } else { Ok(()) };
                self.finish_message(done, outcome);
            }
            self.pump();
        }
    }

    /// Writes what the socket takes. Messages of QoS 0 are delivered when their last byte is written.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>) -> Result<(), Ending> {
        let was_stalled = self.out.stalled.is_some();
        let outcome = self.out.poll_write(&mut self.stream, cx);
        while self.marks.front().is_some_and(|(end, _)| *end <= self.out.total) {
            if let Some((_, done)) = self.marks.pop_front() {
                self.finish_message(done, Ok(()));
            }
        }
        if self.marks.is_empty() && self.marks.capacity() > 0 {
            self.marks = std::collections::VecDeque::new();
        }
        if !was_stalled && self.out.stalled.is_some() {
            self.hasten_timer();
        }
        outcome
    }
}

impl V5 {
    fn write_publish(
        &mut self,
        out: &mut Out,
        publish: &Publish<'_>,
        identifiers: &[NonZeroU32],
        expires_at: Option<Timestamp>,
        now: Timestamp,
    ) -> bool {
        let mut list: SmallVec<[Property<'_>; 8]> = SmallVec::new();
        for property in publish.properties.iter() {
            match (property, expires_at) {
                // What is left of the interval [MQTT-3.3.2-6].
                (Property::MessageExpiryInterval(_), Some(at)) => {
                    let left = u32::try_from((at.0 - now.0 + 999) / 1000).unwrap_or(0);
                    list.push(Property::MessageExpiryInterval(left));
                }
                (Property::TopicAlias(_) | Property::SubscriptionIdentifier(_), _) => {}
                _ => list.push(property),
            }
        }
        list.extend(identifiers.iter().map(|id| Property::SubscriptionIdentifier(*id)));
        let (alias, is_known) = self.alias(publish.topic);
        list.extend(alias.map(Property::TopicAlias));
        let topic = if is_known { "" } else { publish.topic };
        let before = out.bytes.len();
        let packet = Publish { topic, properties: Properties::from(&list[..]), ..*publish };
        let is_legal = mqtt::encode_publish(&mut out.bytes, Version::V5, &packet).is_ok();
        if !is_legal || out.bytes.len() - before > self.max_packet {
            out.bytes.truncate(before); // v5 [MQTT-3.1.2-24]
            return false;
        }
        if alias.is_some() && !is_known {
            self.own_aliases.push(publish.topic.into());
        }
        true
    }

    /// The alias for a topic that may come again, and whether the device knows it already. Topics with a request id never
    /// come again.
    fn alias(&self, topic: &str) -> (Option<PacketId>, bool) {
        if self.own_alias_maximum == 0 {
            return (None, false);
        }
        let number = |at: usize| u16::try_from(at + 1).ok().and_then(PacketId::new);
        if let Some(at) = self.own_aliases.iter().position(|t| **t == *topic) {
            return (number(at), true);
        }
        let has_room = self.own_aliases.len() < usize::from(self.own_alias_maximum); // v5 [MQTT-3.1.2-26]
        let may_come_again = !topic.contains("/request_id=");
        (if has_room && may_come_again { number(self.own_aliases.len()) } else { None }, false)
    }
}

impl Out {
    fn poll_write(&mut self, stream: &mut crate::transport::Stream, cx: &mut Context<'_>) -> Result<(), Ending> {
        while self.at < self.bytes.len() {
            match Pin::new(&mut *stream).poll_write(cx, &self.bytes[self.at..]) {
                Poll::Ready(Ok(0) | Err(_)) => return Err(Ending::Lost),
                Poll::Ready(Ok(n)) => {
                    self.at += n;
                    self.total += n as u64;
                    self.stalled = None;
                    self.is_unflushed = true;
                }
                Poll::Pending => {
                    self.stalled.get_or_insert_with(Instant::now);
                    self.bytes.drain(..self.at);
                    self.at = 0;
                    return Ok(());
                }
            }
        }
        if self.is_unflushed {
            self.at = 0;
            self.bytes = Vec::new();
            match Pin::new(stream).poll_flush(cx) {
                Poll::Ready(Ok(())) => self.is_unflushed = false,
                Poll::Ready(Err(_)) => return Err(Ending::Lost),
                Poll::Pending => {}
            }
        }
        Ok(())
    }
}
