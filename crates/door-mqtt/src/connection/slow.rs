//! The one operation of a connection that may take its time: packets behind it wait, so that order holds.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use causeway_model::Result;
use causeway_platform::session::RetainedMessage;
use causeway_platform::uplink::{CommitTicket, Taken};
use causeway_wire::mqtt::{self, Packet, PacketId, Publish, Sender, Version};

use super::Connection;
use super::commits::Batch;
use crate::error::Ending;
use crate::uplink::publication::Verdict;

/// An operation under way. Rare, so it is boxed.
pub(super) type Slow = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// What a slow operation came to.
pub(super) enum Outcome {
    /// The store took units that it had no room for at first.
    Submitted(CommitTicket),
    /// A PUBLISH that needed the store was taken: its packet, its topic if an alias stood for it.
    Published { packet: Vec<u8>, topic: Option<std::sync::Arc<str>>, taken: Taken, verdict: Result<Verdict> },
    /// Subscriptions are stored; retained messages for the filters that want them.
    Subscribed { id: PacketId, codes: Vec<u8>, wanting: Vec<Box<str>>, retained: Result<Vec<RetainedMessage>> },
    /// The end of subscriptions is stored.
    Unsubscribed { id: PacketId, codes: Vec<u8>, stored: Result<()> },
    /// What waited for the device was handed to its mailbox.
    Begun(Result<()>),
}

impl Connection {
    pub(super) fn poll_slow(&mut self, cx: &mut Context<'_>) -> Result<(), Ending> {
        while let Some(slow) = &mut self.slow {
            let Poll::Ready(outcome) = slow.as_mut().poll(cx) else { return Ok(()) };
            self.slow = None;
            self.conclude(outcome)?;
            if self.slow.is_none() {
                self.slow = self.then.take();
            }
        }
        Ok(())
    }

    fn conclude(&mut self, outcome: Outcome) -> Result<(), Ending> {
        match outcome {
            Outcome::Submitted(ticket) => self.submitted(ticket),
            Outcome::Published { packet, topic, taken, verdict } => {
                let verdict = verdict.map_err(|error| self.uncommitted(&error))?;
                let mut batch = Batch { taken, owed: Vec::new() };
                let publish = read_publish(&packet, self.version, topic.as_deref());
                self.settle(&publish, verdict, &mut batch);
                self.submit(batch);
            }
            Outcome::Subscribed { id, codes, wanting, retained } => {
                let retained = retained.map_err(|error| self.uncommitted(&error))?;
                self.subscribed(id, &codes, &wanting, retained);
            }
            Outcome::Unsubscribed { id, codes, stored } => {
                stored.map_err(|error| self.uncommitted(&error))?;
                self.write_unsuback(id, &codes);
            }
            Outcome::Begun(outcome) => {
                if let Err(error) = outcome {
                    tracing::warn!(device_id = %self.device().id, ?error, "what waits for the device could not be read");
                }
            }
        }
        Ok(())
    }

    pub(super) fn uncommitted(&self, error: &causeway_model::Error) -> Ending {
        if self.door.log.allow() {
            tracing::warn!(device_id = %self.device().id, ?error, "the store failed; the device will send again");
        }
        Ending::Uncommitted
    }
}

/// Reads a packet once more that was a PUBLISH when it was set aside.
pub(super) fn read_publish<'a>(packet: &'a [u8], version: Version, topic: Option<&'a str>) -> Publish<'a> {
    let frame = mqtt::split_frame(packet, u32::MAX).ok().flatten();
    match frame.map(|f| mqtt::decode_from(Sender::Client, version, f)) {
        Some(Ok(Packet::Publish(publish))) => Publish { topic: topic.unwrap_or(publish.topic), ..publish },
        _ => unreachable!("the packet was read before it was set aside"),
    }
}
