//! Acknowledgements: what is owed to the device, and the commits that they wait for.

use std::collections::VecDeque;
use std::future::{Future as _, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use causeway_model::Error;
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
    /// The packet identifier counts as received since this packet, so no longer if its commit fails.
    pub(super) is_new: bool,
}

/// What the packets of one read cause; committed together.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) taken: Taken,
    pub(super) owed: Vec<Owed>,
}

/// What acknowledgements wait for.
enum Step {
    /// Only those before them.
    Order,
    /// Room in the store: it has not taken their units yet.
    Room,
    /// A commit.
    Commit(CommitTicket),
    /// Nothing any more: their commit failed.
    Failed,
}

/// Acknowledgements that wait.
pub(super) struct Awaiting {
    step: Step,
    owed: Vec<Owed>,
}

impl Awaiting {
    /// Ready when they may go out, or never may: with what the store said, if it said anything.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Option<Error>>> {
        let outcome = match &mut self.step {
            Step::Order => return Poll::Ready(Ok(())),
            Step::Room => return Poll::Pending,
            Step::Failed => return Poll::Ready(Err(None)),
            Step::Commit(ticket) => ready!(Pin::new(ticket).poll(cx)),
        };
        // The ticket has said its word and must not be asked again.
        self.step = if matches!(outcome, Ok(Ok(()))) { Step::Order } else { Step::Failed };
        Poll::Ready(outcome.map_err(|_| None).and_then(|committed| committed.map_err(Some)))
    }
}

/// Waits for the commits that are under way at the end of a connection, and returns the packet identifiers of QoS 2
/// messages that count as received although nothing of them is committed. What the store has not taken is given up.
pub(super) async fn uncommitted(awaiting: VecDeque<Awaiting>) -> Vec<PacketId> {
    let mut ids = Vec::new();
    for mut awaiting in awaiting {
        if !awaiting.owed.iter().any(|o| o.is_new) {
            continue;
        }
        let is_committed = match awaiting.step {
            Step::Room => false,
            _ => poll_fn(|cx| awaiting.poll(cx)).await.is_ok(),
        };
        if !is_committed {
            ids.extend(awaiting.owed.iter().filter(|o| o.is_new).map(|o| o.id));
        }
    }
    ids
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
                self.awaiting.push_back(Awaiting { step: Step::Order, owed });
            }
            return;
        }
        match self.door.platform.store.try_submit(taken.units) {
            Ok(ticket) => self.wait(Step::Commit(ticket), owed),
            Err(units) => {
                // The store is behind: nothing more is read until it took these.
                let platform = self.door.platform.clone();
                self.slow = Some(Box::pin(async move { Outcome::Submitted(platform.commit(units).await) }));
                self.wait(Step::Room, owed);
            }
        }
    }

    fn wait(&mut self, step: Step, owed: Vec<Owed>) {
        // QoS 0 has nobody to tell.
        if !owed.is_empty() {
            self.awaiting.push_back(Awaiting { step, owed });
        }
    }

    /// The store took what it had no room for. Nothing was taken from the device since.
    pub(super) fn submitted(&mut self, ticket: CommitTicket) {
        if let Some(last) = self.awaiting.back_mut().filter(|a| matches!(a.step, Step::Room)) {
            last.step = Step::Commit(ticket);
        }
    }

    /// Acknowledges what is committed.
    pub(super) fn poll_commits(&mut self, cx: &mut Context<'_>) -> Result<(), Ending> {
        while let Some(front) = self.awaiting.front_mut() {
            match front.poll(cx) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Ok(())) => {}
                // It stays in front: its packet identifiers are not received.
                Poll::Ready(Err(error)) => {
                    if self.door.log.allow() {
                        tracing::warn!(device_id = %self.device().id, ?error, "a commit failed; the device will send again");
                    }
                    return Err(Ending::Uncommitted);
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

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use tokio::sync::oneshot;

    use super::*;

    fn awaiting(step: Step, ids: &[u16]) -> Awaiting {
        let owed = |id: &u16| Owed {
            id: PacketId::new(*id).expect("not 0"),
            is_pubrec: true,
            reason: ReasonCode::SUCCESS,
            is_new: *id < 100,
        };
        Awaiting { step, owed: ids.iter().map(owed).collect() }
    }

    #[tokio::test]
    async fn what_was_not_committed_was_not_received() {
        let mut cx = Context::from_waker(Waker::noop());
        let [(failing, failed), (good, well), (gone, stopped), (again, repeated)] =
            [(); 4].map(|()| oneshot::channel());
        let mut front = awaiting(Step::Commit(failed), &[1, 2]);
        assert!(front.poll(&mut cx).is_pending());
        failing.send(Err(Error::unavailable("full"))).expect("awaited");
        // The end of the connection looks at it once more.
        assert!(matches!(front.poll(&mut cx), Poll::Ready(Err(Some(_)))));
        assert!(matches!(front.poll(&mut cx), Poll::Ready(Err(None))));
        good.send(Ok(())).expect("awaited");
        drop((gone, again));
        let all = [
            front,
            awaiting(Step::Commit(well), &[3]),
            awaiting(Step::Order, &[4]),
            awaiting(Step::Commit(stopped), &[5, 100]),
            awaiting(Step::Commit(repeated), &[101]),
            // The store was behind and the connection ended before it took these.
            awaiting(Step::Room, &[6]),
        ];
        let ids: Vec<u16> = uncommitted(all.into()).await.iter().map(|id| id.get()).collect();
        assert_eq!(ids, [1, 2, 5, 6], "nor those that an earlier connection committed");
    }
}
