//! Acknowledgements: what is owed to the device, and the commits that they wait for.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll};

use causeway_platform::uplink::{CommitTicket, Taken};
use causeway_wire::mqtt::{self, Ack, PacketId, Properties, Property, ReasonCode, Version};

use super::slow::Outcome;
use super::{Connection, V5};
use crate::error::{Ending, reason_text};

/// One acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owed {
    pub(super) id: PacketId,
    /// PUBREC instead of PUBACK.
    pub(super) is_pubrec: bool,
    pub(super) reason: ReasonCode,
}

/// What the packets of one read cause; committed together.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) taken: Taken,
    pub(super) owed: Vec<Owed>,
}

/// Acknowledgements that wait for a commit, or only for those before them.
pub(super) struct Awaiting {
    pub(super) ticket: Option<CommitTicket>,
    pub(super) owed: Vec<Owed>,
}

/// Room for reason strings is not worth a closer look.
const REASON_ROOM: usize = 128;

impl Connection {
    /// Hands a batch to the store. Acknowledgements go out in the order of the PUBLISHes [MQTT-4.6.0-2] [MQTT-4.6.0-3].
    pub(super) fn submit(&mut self, batch: Batch) {
        let Batch { taken, owed } = batch;
        if taken.units.is_empty() {
            if self.awaiting.is_empty() {
                self.acknowledge(&owed);
            } else if !owed.is_empty() {
                self.awaiting.push_back(Awaiting { ticket: None, owed });
            }
            return;
        }
        match self.door.platform.store.try_submit(taken.units) {
            Ok(ticket) => self.await_commit(ticket, owed),
            Err(units) => {
                // The store is behind: nothing more is read until it took these.
                let platform = self.door.platform.clone();
                self.slow = Some(Box::pin(async move { Outcome::Submitted(platform.commit(units).await, owed) }));
            }
        }
    }

    pub(super) fn await_commit(&mut self, ticket: CommitTicket, owed: Vec<Owed>) {
        // QoS 0 has nobody to tell.
        if !owed.is_empty() {
            self.awaiting.push_back(Awaiting { ticket: Some(ticket), owed });
        }
    }

    /// Acknowledges what is committed.
    pub(super) fn poll_commits(&mut self, cx: &mut Context<'_>) -> Result<(), Ending> {
        while let Some(front) = self.awaiting.front_mut() {
            if let Some(ticket) = &mut front.ticket {
                match Pin::new(ticket).poll(cx) {
                    Poll::Pending => return Ok(()),
                    Poll::Ready(Ok(Ok(()))) => {}
                    Poll::Ready(Ok(Err(error))) => {
                        if self.door.log.allow() {
                            tracing::warn!(device_id = %self.device().id, ?error, "a commit failed; the device will send again");
                        }
                        return Err(Ending::Uncommitted);
                    }
                    Poll::Ready(Err(_)) => return Err(Ending::Uncommitted),
                }
            }
            if let Some(committed) = self.awaiting.pop_front() {
                self.acknowledge(&committed.owed);
            }
        }
        Ok(())
    }

    fn acknowledge(&mut self, owed: &[Owed]) {
        self.out.bytes.reserve(owed.len() * 4);
        self.uncommitted = self.uncommitted.saturating_sub(owed.len() as u32);
        for owed in owed {
            // A QoS 2 message is under way until PUBCOMP, unless it was refused.
            if !owed.is_pubrec || owed.reason.is_failure() {
                self.unacknowledged = self.unacknowledged.saturating_sub(1);
            }
            if owed.reason == ReasonCode::SUCCESS {
                let [high, low] = owed.id.get().to_be_bytes();
                self.out.bytes.extend_from_slice(&[if owed.is_pubrec { 0x50 } else { 0x40 }, 2, high, low]);
            } else {
                self.write_negative(*owed);
            }
        }
    }

    fn write_negative(&mut self, owed: Owed) {
        let text = self.v5.as_deref().and_then(|v5| reason_string(v5, owed.reason));
        let list = text.map(Property::ReasonString);
        let properties = Properties::from(list.as_slice());
        let ack = Ack { packet_id: owed.id, reason: owed.reason, properties };
        let encode = if owed.is_pubrec { mqtt::encode_pubrec } else { mqtt::encode_puback };
        let written = encode(&mut self.out.bytes, self.version, &ack);
        debug_assert!(written.is_ok(), "the codes of verdicts are codes of PUBACK");
    }

    /// What a PUBLISH is answered with: 3.x cannot say no.
    pub(super) fn told(&self, reason: ReasonCode) -> ReasonCode {
        if self.version == Version::V5 { reason } else { ReasonCode::SUCCESS }
    }
}

/// The sentence beside a reason, if the device wants it and has room [MQTT-3.1.2-29] [MQTT-3.4.2-2].
pub(super) fn reason_string(v5: &V5, reason: ReasonCode) -> Option<&'static str> {
    reason_text(reason).filter(|_| v5.wants_problems && v5.max_packet >= REASON_ROOM)
}
