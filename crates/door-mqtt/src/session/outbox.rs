//! QoS 1 and 2 messages on their way to a device: in flight, and waiting for their turn (3.1.1 §4.3, §4.4; v5 §4.9).

use std::collections::VecDeque;
use std::sync::Arc;

use causeway_model::Timestamp;
use causeway_platform::message::MessageDone;
use causeway_wire::mqtt::{PacketId, QoS};

use super::letter::Letter;
use super::subscriptions::Identifiers;

/// Where a message comes from, and who is told of its end.
#[derive(Debug)]
pub(crate) enum Origin {
    /// The device's own, through a subscription of its own.
    Own,
    /// A command or property call; nobody waits for it after `until`, so it is not repeated then.
    Request {
        /// End of the caller's patience.
        until: Timestamp,
    },
    /// A message of an application.
    Message {
        /// Its number.
        no: i64,
        /// To be told of its end; `None` once another hand-over of the same message took this one's place.
        done: Option<MessageDone>,
    },
}

/// A message to send with QoS 1 or 2.
pub(crate) struct Outgoing {
    /// What is sent; given up once the device has it (QoS 2, after PUBREC).
    pub(crate) letter: Option<Arc<Letter>>,
    /// Quality of service of the delivery.
    pub(crate) qos: QoS,
    /// Retain flag of the delivery.
    pub(crate) retain: bool,
    /// Of the matching subscriptions.
    pub(crate) identifiers: Identifiers,
    /// Not begun after this.
    pub(crate) expires_at: Option<Timestamp>,
    /// Where it comes from.
    pub(crate) origin: Origin,
}

struct InFlight {
    id: PacketId,
    outgoing: Outgoing,
    /// PUBREC came: PUBREL is due or out, PUBCOMP awaited.
    is_released: bool,
    /// Sent on the connection of now; false for what a session brings from an earlier one.
    is_out: bool,
    /// Brought from an earlier connection.
    is_resumed: bool,
}

/// What is to be written.
pub(crate) enum Emit<'a> {
    /// A PUBLISH; `dup` when an earlier connection sent it already [MQTT-3.3.1-1].
    Publish {
        /// Packet identifier.
        id: PacketId,
        /// Sent before.
        dup: bool,
        /// The message.
        outgoing: &'a Outgoing,
    },
    /// A PUBREL.
    Release(PacketId),
}

/// What an acknowledgement means.
pub(crate) enum Acked {
    /// The delivery is over.
    Over(Outgoing),
    /// PUBREL is due.
    Release,
    /// No such packet identifier is in use.
    Unknown,
}

/// See the module text.
#[derive(Default)]
pub(crate) struct Outbox {
    inflight: VecDeque<InFlight>,
    queued: VecDeque<Outgoing>,
    /// Those of `queued` that are not the device's own.
    waiting_mail: usize,
    last_id: u16,
    out: u16,
    /// Messages of applications that were acknowledged after they had come from an earlier connection: the store may
    /// hand them over once more.
    settled: Vec<i64>,
}

impl Outbox {
    /// Messages held.
    pub(crate) fn len(&self) -> usize {
        self.inflight.len() + self.queued.len()
    }

    /// Messages of the platform that wait for their turn.
    pub(crate) fn waiting_mail(&self) -> usize {
        self.waiting_mail
    }

    /// Puts a message at the end.
    pub(crate) fn push(&mut self, outgoing: Outgoing) {
        self.waiting_mail += usize::from(!matches!(outgoing.origin, Origin::Own));
        self.queued.push_back(outgoing);
    }

    /// An application's message comes from the store: true when it need not be sent, because a delivery of it that an
    /// earlier connection began goes on (which now reports to `done`), or was finished meanwhile.
    pub(crate) fn adopt(&mut self, no: i64, done: &mut Option<MessageDone>) -> Adopted {
        if self.settled.contains(&no) {
            return Adopted::Settled;
        }
        for entry in &mut self.inflight {
            if let Origin::Message { no: known, done: known_done } = &mut entry.outgoing.origin
                && *known == no
            {
                *known_done = done.take();
                return Adopted::InFlight;
            }
        }
        Adopted::No
    }

    fn next_id(&mut self) -> PacketId {
        // Fewer are in flight than there are identifiers, so that one is free.
        loop {
            self.last_id = self.last_id.checked_add(1).unwrap_or(1);
            if let Some(id) = PacketId::new(self.last_id)
                && self.inflight.iter().all(|e| e.id != id)
            {
                return id;
            }
        }
    }

    /// Hands to `emit` what may go out now, at most `quota` unacknowledged at once (v5 [MQTT-3.3.4-9]): first what an
    /// earlier connection left, in its order [MQTT-4.4.0-1] [MQTT-4.6.0-1], then what waits. What `emit` refuses and what
    /// has expired is given back.
    pub(crate) fn pump(&mut self, quota: u16, now: Timestamp, mut emit: impl FnMut(Emit<'_>) -> bool) -> Vec<Outgoing> {
        let mut given_back = Vec::new();
        let mut at = 0;
        while self.out < quota && usize::from(self.out) < self.inflight.len() && at < self.inflight.len() {
            let entry = &mut self.inflight[at];
            if !entry.is_out {
                let is_sent = match (entry.is_released, &entry.outgoing) {
                    (true, _) => emit(Emit::Release(entry.id)),
                    (false, outgoing) => emit(Emit::Publish { id: entry.id, dup: true, outgoing }),
                };
                if !is_sent {
                    given_back.extend(self.inflight.remove(at).map(|e| e.outgoing));
                    continue;
                }
                entry.is_out = true;
                self.out += 1;
            }
            at += 1;
        }
        while self.out < quota {
            let Some(outgoing) = self.queued.pop_front() else { break };
            self.waiting_mail -= usize::from(!matches!(outgoing.origin, Origin::Own));
            if outgoing.expires_at.is_some_and(|at| at <= now) {
                given_back.push(outgoing); // v5 [MQTT-3.3.2-5]
                continue;
            }
            let id = self.next_id();
            if emit(Emit::Publish { id, dup: false, outgoing: &outgoing }) {
                self.inflight.push_back(InFlight { id, outgoing, is_released: false, is_out: true, is_resumed: false });
                self.out += 1;
            } else {
                given_back.push(outgoing); // v5 [MQTT-3.1.2-25]
            }
        }
        if self.queued.is_empty() {
            self.queued = VecDeque::new();
        }
        given_back
    }

    fn find(&self, id: PacketId, qos: QoS) -> Option<usize> {
        self.inflight.iter().position(|e| e.id == id && e.is_out && e.outgoing.qos == qos)
    }

    fn finish(&mut self, at: usize) -> Acked {
        let Some(entry) = self.inflight.remove(at) else { return Acked::Unknown };
        self.out -= 1;
        if self.inflight.is_empty() {
            self.inflight = VecDeque::new();
        }
        if entry.is_resumed
            && let Origin::Message { no, .. } = entry.outgoing.origin
        {
            self.settled.push(no);
        }
        Acked::Over(entry.outgoing)
    }

    /// PUBACK.
    pub(crate) fn puback(&mut self, id: PacketId) -> Acked {
        self.find(id, QoS::AtLeastOnce).map_or(Acked::Unknown, |at| self.finish(at))
    }

    /// PUBREC; a failure ends the delivery (v5 §4.3.3).
    pub(crate) fn pubrec(&mut self, id: PacketId, is_failure: bool) -> Acked {
        match self.find(id, QoS::ExactlyOnce) {
            Some(at) if is_failure && !self.inflight[at].is_released => self.finish(at),
            Some(at) => {
                let entry = &mut self.inflight[at];
                entry.is_released = true;
                entry.outgoing.letter = None;
                Acked::Release
            }
            None => Acked::Unknown,
        }
    }

    /// PUBCOMP.
    pub(crate) fn pubcomp(&mut self, id: PacketId) -> Acked {
        match self.find(id, QoS::ExactlyOnce) {
            Some(at) if self.inflight[at].is_released => self.finish(at),
            _ => Acked::Unknown,
        }
    }

    /// The connection is over: what is in flight waits for the next one. Messages of applications that were not begun go
    /// back to the store, which hands them over again. Answers that nobody waits for need no memory until then.
    pub(crate) fn park(&mut self, now: Timestamp) {
        self.out = 0;
        self.settled = Vec::new();
        for entry in &mut self.inflight {
            entry.is_out = false;
            entry.is_resumed = true;
        }
        self.queued.retain(|o| matches!(o.origin, Origin::Own));
        self.waiting_mail = 0;
        self.resume(now);
    }

    /// The next connection begins: commands and property calls that nobody waits for any more are not repeated.
    pub(crate) fn resume(&mut self, now: Timestamp) {
        self.inflight.retain(|e| !matches!(e.outgoing.origin, Origin::Request { until } if until <= now));
    }
}

/// What [`Outbox::adopt`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Adopted {
    /// It has to be sent.
    No,
    /// A delivery begun by an earlier connection goes on.
    InFlight,
    /// That delivery was acknowledged already.
    Settled,
}

#[cfg(test)]
mod tests;
