//! One connection: a task that owns the stream and sleeps until something happens.
//!
//! Everything that a connection waits for is polled by hand in [`Connection::poll`]: the socket, the commit at the front,
//! the mailbox, one slow operation, one timer. While idle it holds no buffer; bytes are read into a scratch buffer of the
//! thread and decoded there, only an incomplete packet is kept.

mod commits;
mod end;
mod open;
mod publish;
mod receive;
mod send;
mod slow;
mod subscribe;

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use causeway_platform::downlink::{CloseReason, Downlink};
use causeway_platform::message::MessageDone;
use causeway_platform::session::Attachment;
use causeway_platform::uplink::DeviceContext;
use causeway_wire::mqtt::Version;
use tokio::time::{Instant, Sleep};

use crate::door::Door;
use crate::error::Ending;
use crate::session::Session;
use crate::session::letter::Will;
use crate::session::place::Seat;
use crate::transport::Stream;

pub(crate) use open::open;

use commits::Awaiting;
use slow::Slow;

/// What only MQTT 5 devices need.
#[derive(Default)]
struct V5 {
    /// Topics by alias, as the device set them.
    aliases: Vec<Option<Arc<str>>>,
    /// Topics by alias, as the door set them.
    own_aliases: Vec<Box<str>>,
    /// Aliases that the device takes, and the door uses.
    own_alias_maximum: u16,
    /// Bytes of the largest packet that the device takes.
    max_packet: usize,
    /// The device wants reason strings on every packet.
    wants_problems: bool,
}

/// Bytes on their way to the socket.
#[derive(Default)]
struct Out {
    bytes: Vec<u8>,
    /// Written of `bytes`.
    at: usize,
    /// Written since the beginning.
    total: u64,
    /// The stream may hold bytes back until it is flushed.
    is_unflushed: bool,
    /// Since when the socket takes nothing.
    stalled: Option<Instant>,
}

impl Out {
    fn backlog(&self) -> usize {
        self.bytes.len() - self.at
    }
}

/// A signed-in device's connection.
pub(crate) struct Connection {
    door: Arc<Door>,
    stream: Stream,
    attachment: Arc<Attachment>,
    /// After the attachment: whoever takes the place next finds it gone.
    seat: Seat,
    version: Version,
    session: Session,
    /// The client id without its time.
    client: Box<str>,
    /// Seconds that the session outlives the connection.
    expiry: u32,
    /// The store holds the session.
    is_stored: bool,
    will: Option<Box<Will>>,
    v5: Option<Box<V5>>,
    /// QoS 1 and 2 messages that may be on their way to the device at once.
    quota: u16,
    /// One and a half times the keep-alive.
    patience: Duration,
    /// When the device was heard last.
    heard: Instant,

    /// An incomplete packet; or whole ones, while `is_held`.
    tail: Vec<u8>,
    /// Processing stopped before the end of `tail`.
    is_held: bool,
    /// QoS 1 and 2 messages of the device that are under way: without PUBACK, refusing PUBREC or PUBCOMP.
    unacknowledged: u32,
    /// Acknowledgements that wait for a commit.
    uncommitted: u32,
    awaiting: VecDeque<Awaiting>,
    slow: Option<Slow>,
    /// The operation after `slow`.
    then: Option<Slow>,

    out: Out,
    /// Messages to report delivered once so many bytes are written.
    marks: VecDeque<(u64, MessageDone)>,
    has_mail: bool,
    /// Messages whose topic the device has not subscribed yet.
    early: Vec<Downlink>,
    early_until: Instant,
    is_draining: bool,
    timer: Pin<Box<Sleep>>,
}

impl Connection {
    /// What the road knows of the device.
    fn device(&self) -> &Arc<DeviceContext> {
        &self.attachment.context
    }

    /// Serves the device until the connection ends.
    pub(crate) async fn run(mut self: Box<Self>) {
        let ending = poll_fn(|cx| self.poll(cx)).await;
        Box::pin(self.end(ending)).await;
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Ending> {
        match self.poll_work(cx) {
            Poll::Ready(Err(ending)) => Poll::Ready(ending),
            Poll::Ready(Ok(never)) => match never {},
            Poll::Pending => Poll::Pending,
        }
    }

    fn poll_work(&mut self, cx: &mut Context<'_>) -> Poll<Result<std::convert::Infallible, Ending>> {
        if self.seat.listen(cx.waker()) {
            self.has_mail = true;
            match self.seat.close_order() {
                // What was taken is acknowledged first.
                Some(CloseReason::Shutdown) => self.is_draining = true,
                Some(reason) => return Poll::Ready(Err(Ending::Ordered(reason))),
                None => {}
            }
        }
        loop {
            self.poll_slow(cx)?;
            self.poll_commits(cx)?;
            if self.is_held && self.may_process() {
                let tail = std::mem::take(&mut self.tail);
                self.is_held = false;
                self.receive_rest(tail)?;
                continue;
            }
            if self.is_draining && self.slow.is_none() && self.awaiting.is_empty() {
                return Poll::Ready(Err(Ending::Ordered(CloseReason::Shutdown)));
            }
            // Read before mail is taken: a DISCONNECT that lies in the socket already must not swallow a message.
            let could_process = self.may_process();
            let read = self.poll_read(cx)?;
            self.take_mail();
            self.poll_write(cx)?;
            // Writing may have made the room that reading lacked.
            let has_room_now = !could_process && self.may_process();
            if read.is_pending() && !has_room_now {
                ready!(self.poll_timer(cx))?;
            }
        }
    }

    /// Whether packets may be taken now: nothing is ahead of them that they would have to wait for.
    fn may_process(&self) -> bool {
        self.slow.is_none()
            && !self.is_draining
            // MQTT 5 devices know the limit and are disconnected beyond it.
            && (self.v5.is_some() || self.uncommitted < u32::from(self.door.settings.receive_maximum))
            && self.out.backlog() < self.door.settings.write_backlog.0
    }

    /// Ready when a deadline passed and something may have changed by it.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Ending>> {
        ready!(self.timer.as_mut().poll(cx));
        let now = Instant::now();
        if self.out.stalled.is_some_and(|since| since + self.door.settings.write_timeout.0 <= now) {
            return Poll::Ready(Err(Ending::NotReading));
        }
        if self.heard + self.patience <= now {
            // Silence counts only while somebody listens.
            if self.may_process() {
                return Poll::Ready(Err(Ending::KeepAlive)); // [MQTT-3.1.2-24]
            }
            self.heard = now;
        }
        if !self.early.is_empty() && self.early_until <= now {
            self.give_up_early();
        }
        let next = self.next_deadline();
        self.timer.as_mut().reset(next);
        Poll::Ready(Ok(()))
    }

    fn next_deadline(&self) -> Instant {
        let mut next = self.heard + self.patience;
        if let Some(since) = self.out.stalled {
            next = next.min(since + self.door.settings.write_timeout.0);
        }
        if !self.early.is_empty() {
            next = next.min(self.early_until);
        }
        next
    }

    /// Makes sure that the timer does not sleep beyond a deadline that came up.
    fn hasten_timer(&mut self) {
        let next = self.next_deadline();
        if next < self.timer.deadline() {
            self.timer.as_mut().reset(next);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An idle connection is this, its stream and what the platform keeps: ten thousand of them fit into 80 MB.
    #[test]
    fn a_connection_is_small() {
        assert!(size_of::<Connection>() <= 640, "{}", size_of::<Connection>());
    }
}
