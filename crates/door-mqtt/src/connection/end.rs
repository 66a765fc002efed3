//! The end of a connection: what lives on is parked, the device is told, the stream is closed.

use std::sync::Arc;
use std::time::Duration;

use causeway_platform::downlink::CloseReason;
use causeway_platform::session::StoredSession;
use causeway_wire::mqtt::{self, Disconnect, Properties, Property, Version};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use super::Connection;
use super::commits::uncommitted;
use crate::error::Ending;
use crate::session::place::{Parked, WaitingWill};
use crate::session::will;
use crate::transport::Stream;

/// So long may the peer take to hear the last words.
const FAREWELL: Duration = Duration::from_secs(1);

/// Sends the last bytes and closes so that they arrive: a socket closed with unread bytes would be reset, and what was
/// sent last could be lost with it.
pub(super) async fn farewell(mut stream: Stream, bytes: &[u8]) {
    let words = async {
        stream.write_all(bytes).await?;
        stream.flush().await?;
        stream.shutdown().await?;
        let mut rest = [0; 1024];
        while stream.read(&mut rest).await? > 0 {}
        std::io::Result::Ok(())
    };
    let _ = timeout(FAREWELL, words).await;
}

impl Connection {
    /// Ends the connection. The device's place is free for its next connection before the last words are sent.
    pub(super) async fn end(mut self: Box<Self>, ending: Ending) {
        self.door.meters.connections.decrement(1.0);
        metrics::counter!("causeway_mqtt_disconnects_total", "reason" => ending.word()).increment(1);
        if matches!(ending, Ending::Protocol(_) | Ending::Broken(..) | Ending::NotReading | Ending::KeepAlive)
            && self.door.log.allow()
        {
            tracing::info!(device_id = %self.device().id, reason = ending.word(), why = ending.text(), "a connection was cut");
        }
        self.seat.shut();
        self.slow = None;
        self.then = None;
        self.early.clear();
        self.marks.clear();
        self.settle_received().await;

        let will = self.will.take().filter(|_| ending.publishes_will());
        let is_deleted = ending == Ending::Ordered(CloseReason::Deleted);
        let expiry = if is_deleted { 0 } else { self.expiry };
        let (immediate, delayed) = match will {
            Some(will) if will.delay > 0 && expiry > 0 => (None, Some(will)),
            will => (will, None),
        };
        if expiry > 0 {
            self.park(expiry, delayed).await;
        } else if self.is_stored
            && let Err(error) = self.door.platform.store.delete_session(self.device().no).await
        {
            tracing::warn!(device_id = %self.device().id, ?error, "an ended session stays in the store");
        }
        let (door, device) = (self.door.clone(), self.device().clone());
        let Self { stream, seat, attachment, mut out, v5, version, .. } = *self;
        drop(attachment);
        if let Some(will) = immediate {
            will::publish(&door, &device, &will).await;
        }
        drop(seat);
        if matches!(ending, Ending::Lost | Ending::NotReading) {
            return;
        }
        out.bytes.drain(..out.at);
        if let Some(reason) = ending.reason()
            && version == Version::V5
        {
            let max_packet = v5.map_or(usize::MAX, |v5| v5.max_packet);
            let text = [Property::ReasonString(ending.text())];
            let properties = if max_packet >= 160 { Properties::from(&text) } else { Properties::default() };
            let written = mqtt::encode_disconnect(&mut out.bytes, version, &Disconnect { reason, properties });
            debug_assert!(written.is_ok(), "the reasons of endings are reasons of DISCONNECT");
        }
        farewell(stream, &out.bytes).await;
    }

    /// QoS 2 messages whose commit is still under way count as received only if it succeeds: otherwise the device sends
    /// them again and they must be taken then.
    async fn settle_received(&mut self) {
        if self.expiry == 0 {
            return;
        }
        for id in uncommitted(std::mem::take(&mut self.awaiting)).await {
            self.session.received.remove(&id);
        }
    }

    /// Keeps the session for the next connection.
    async fn park(&mut self, expiry: u32, will: Option<Box<crate::session::letter::Will>>) {
        let no = self.device().no;
        let expires_at = self.door.session_end(expiry);
        let stored = StoredSession { expires_at: Some(expires_at), ..self.stored_session() };
        if let Err(error) = self.door.platform.store.put_session(no, &stored).await {
            tracing::warn!(device_id = %self.device().id, ?error, "a session could not be stored");
        }
        let mut session = std::mem::take(&mut self.session);
        let now = self.door.platform.clock.now();
        session.outbox.park(now);
        let will = will.map(|will| WaitingWill {
            at: now.plus_ms(i64::from(will.delay) * 1000),
            will: *will,
            context: Arc::clone(self.device()),
        });
        let client = self.client.clone();
        self.door.places.park(no, Parked { client, session, expires_at, will });
    }
}
