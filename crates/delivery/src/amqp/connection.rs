//! One connection: the security layer, signing in, opening, and the bytes both ways.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use causeway_platform::queue::{QueueAccess, SignedIn};
use causeway_wire::amqp::{AMQP_HEADER, FrameKind, MIN_MAX_FRAME_SIZE, Performative, SASL_HEADER, split_frame, write};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::{Notify, OwnedSemaphorePermit, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::session::{After, Conversation, Refusal};
use super::{Place, Server};

/// Unsent bytes from which on nothing more is read.
const STUFFED: usize = 1 << 20;
/// After a close the consumer has so long to answer and to tell outcomes.
const FAREWELL: Duration = Duration::from_secs(2);
/// Heartbeats are not sent more often, whatever the consumer asks for.
const SHORTEST_BEAT: Duration = Duration::from_millis(100);
/// Frames of the security layer may be larger than the standard says, by this.
const SASL_FRAME: u32 = 4096;

/// How far the connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// The header of the security layer is awaited.
    SaslHeader,
    /// The credentials are.
    Sasl,
    /// The header of AMQP is.
    Header,
    /// The open is.
    Opening,
    /// It is open.
    Open,
    /// The server has closed it; the consumer's close is awaited.
    Closing,
    /// It ends when everything is sent.
    Over,
}

enum Pushed {
    Written(usize),
    Flushed,
}

/// Writes some of the bytes; when there are none, makes sure that all before are on their way. Nothing is lost when the
/// future is dropped.
async fn push<W: AsyncWrite + Unpin>(writer: &mut W, bytes: &[u8]) -> std::io::Result<Pushed> {
    if bytes.is_empty() {
        writer.flush().await.map(|()| Pushed::Flushed)
    } else {
        writer.write(bytes).await.map(Pushed::Written)
    }
}

/// See the module text.
pub(super) struct Connection {
    server: Arc<Server>,
    talk: Conversation,
    stage: Stage,
    signed_in: Option<SignedIn>,
    place: Option<Place>,
    /// Given back when the consumer is signed in.
    handshake: Option<OwnedSemaphorePermit>,
    /// Until then: signed in; a link.
    deadline: Option<Instant>,
    /// The consumer hears something at least so often.
    beat: Option<Duration>,
}

impl Connection {
    pub(super) fn new(
        server: Arc<Server>,
        handshake: OwnedSemaphorePermit,
        wake: Arc<Notify>,
        deadline: Instant,
    ) -> Self {
        Self {
            talk: Conversation::new(server.clone(), wake),
            server,
            stage: Stage::SaslHeader,
            signed_in: None,
            place: None,
            handshake: Some(handshake),
            deadline: Some(deadline),
            beat: None,
        }
    }

    /// Serves until either side closes. What is without outcome then comes again.
    pub(super) async fn run<S>(mut self, stream: S, wake: Arc<Notify>, stop: CancellationToken)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let (mut reader, mut writer) = tokio::io::split(stream);
        let mut input = BytesMut::with_capacity(8192);
        let mut access = self.server.platform.queue_access();
        let (mut written, mut flushed) = (0, true);
        let (mut heard, mut said) = (Instant::now(), Instant::now());
        loop {
            let again = self.stage == Stage::Open && self.talk.pump();
            if written == self.talk.out.len() && written > 0 {
                self.talk.all_sent();
                written = 0;
            }
            if self.stage == Stage::Over && self.talk.out.is_empty() && flushed {
                // What the consumer has in hand is free again from here on.
                drop(self);
                let _ = tokio::time::timeout(FAREWELL, async {
                    let _ = writer.shutdown().await;
                    // A socket that is closed with bytes unread takes the last words back.
                    while reader.read(&mut [0; 1024]).await.is_ok_and(|n| n > 0) {}
                })
                .await;
                return;
            }
            let until = self.next_deadline(heard, said);
            tokio::select! {
                read = reader.read_buf(&mut input), if self.talk.out.len() - written < STUFFED && self.stage != Stage::Over => {
                    match read {
                        Ok(0) | Err(_) => return,
                        Ok(_) => heard = Instant::now(),
                    }
                    if let Err(refusal) = self.take_in(&mut input).await {
                        self.close(&refusal);
                    }
                }
                sent = push(&mut writer, &self.talk.out[written..]), if written < self.talk.out.len() || !flushed => {
                    match sent {
                        Ok(Pushed::Written(0)) | Err(_) => return,
                        Ok(Pushed::Written(n)) => {
                            written += n;
                            flushed = false;
                            said = Instant::now();
                        }
                        Ok(Pushed::Flushed) => flushed = true,
                    }
                }
                () = wake.notified() => {}
                () = tokio::task::yield_now(), if again => {}
                Ok(()) = access.changed() => self.reconsider(&access),
                () = stop.cancelled(), if self.stage < Stage::Closing => {
                    self.close(&Refusal::new("amqp:connection:forced", "The platform is stopping. Connect again in a moment."));
                }
                () = tokio::time::sleep_until(until) => {
                    if !self.time_passed(heard, said) {
                        return;
                    }
                    said = Instant::now();
                }
            }
        }
    }

    fn next_deadline(&self, heard: Instant, said: Instant) -> Instant {
        let mut until = Instant::now() + Duration::from_secs(3600);
        if let Some(idle) = self.idle() {
            until = until.min(heard + idle);
        }
        if let Some(beat) = self.beat.filter(|_| self.stage == Stage::Open) {
            until = until.min(said + beat);
        }
        match self.deadline {
            Some(deadline) => until.min(deadline),
            None => until,
        }
    }

    /// The consumer must say something within this; what is closed already has another deadline.
    fn idle(&self) -> Option<Duration> {
        let idle = self.server.settings.idle_timeout.0;
        (!idle.is_zero() && self.stage < Stage::Closing).then_some(idle)
    }

    /// False when the connection is cut.
    fn time_passed(&mut self, heard: Instant, said: Instant) -> bool {
        let now = Instant::now();
        let is_silent = self.idle().is_some_and(|idle| now >= heard + idle);
        if self.deadline.is_some_and(|deadline| now >= deadline) {
            self.deadline = None;
            if self.stage != Stage::Open {
                return false;
            }
            if self.talk.links() == 0 {
                let seconds = self.server.settings.link_timeout.0.as_secs_f64();
                let text = format!("No receiver link was attached within {seconds} seconds.");
                self.close(&Refusal::new("amqp:connection:forced", text));
            }
            return true;
        }
        if is_silent {
            if self.stage != Stage::Open {
                return false;
            }
            let text =
                "Nothing was received for too long. Consumers must send a frame within the idle time-out of the open.";
            self.close(&Refusal::new("amqp:resource-limit-exceeded", text));
            return true;
        }
        if self.stage == Stage::Open && self.beat.is_some_and(|beat| now >= said + beat) && self.talk.out.is_empty() {
            write::heartbeat(&mut self.talk.out);
        }
        true
    }

    /// The access code was replaced.
    fn reconsider(&mut self, access: &watch::Receiver<QueueAccess>) {
        let stays = self.signed_in.as_ref().is_none_or(|consumer| access.borrow().lets_stay(consumer));
        if !stays && self.stage < Stage::Closing {
            let text = "The access code was replaced. Sign in with the new one.";
            self.close(&Refusal::new("amqp:connection:forced", text));
        }
    }

    /// Says why, and waits for the consumer's close.
    fn close(&mut self, refusal: &Refusal) {
        tracing::debug!(condition = refusal.condition, why = refusal.text, "an AMQP connection is closed");
        match self.stage {
            Stage::SaslHeader | Stage::Sasl | Stage::Closing | Stage::Over => self.end(),
            stage => {
                if stage == Stage::Header {
                    self.talk.out.extend_from_slice(&AMQP_HEADER);
                }
                if stage < Stage::Open {
                    self.say_open();
                }
                write::close(&mut self.talk.out, Some(refusal.as_error()));
                self.stage = Stage::Closing;
                self.deadline = Some(Instant::now() + FAREWELL);
            }
        }
    }

    /// Ends once everything is sent.
    fn end(&mut self) {
        self.stage = Stage::Over;
        self.deadline = Some(Instant::now() + FAREWELL);
    }

    fn say_open(&mut self) {
        let settings = &self.server.settings;
        let open = write::Open {
            container_id: "causeway",
            max_frame_size: self.max_frame(),
            channel_max: settings.max_sessions.saturating_sub(1),
            idle_time_out: u32::try_from(settings.idle_timeout.0.as_millis() / 2).unwrap_or(u32::MAX),
        };
        write::open(&mut self.talk.out, &open);
    }

    fn max_frame(&self) -> u32 {
        u32::try_from(self.server.settings.max_frame_size.0).unwrap_or(u32::MAX).max(MIN_MAX_FRAME_SIZE)
    }

    /// Follows everything that is complete.
    async fn take_in(&mut self, input: &mut BytesMut) -> Result<(), Refusal> {
        loop {
            match self.stage {
                Stage::SaslHeader | Stage::Header => {
                    let Some(header) = input.first_chunk::<8>().copied() else { return Ok(()) };
                    input.advance(8);
                    self.header(header);
                }
                Stage::Over => return Ok(()),
                _ => {
                    let most = if self.stage == Stage::Sasl { SASL_FRAME } else { self.max_frame() };
                    let framing =
                        |fault| Refusal::new("amqp:connection:framing-error", format!("Not a frame: {fault}."));
                    let Some(frame) = split_frame(input, most).map_err(framing)? else { return Ok(()) };
                    let bytes = input.split_to(frame.size);
                    let expected = if self.stage == Stage::Sasl { FrameKind::Sasl } else { FrameKind::Amqp };
                    if frame.kind != expected {
                        return Err(Refusal::new("amqp:connection:framing-error", "The frame is of another layer."));
                    }
                    let said = Performative::decode(&bytes[frame.body..])
                        .map_err(|fault| Refusal::new("amqp:decode-error", format!("Not a performative: {fault}.")))?;
                    self.follow(frame.channel, said).await?;
                }
            }
        }
    }

    /// `[2.2]`: what cannot be spoken is answered with what can.
    fn header(&mut self, header: [u8; 8]) {
        let (expected, next) =
            if self.stage == Stage::Header { (AMQP_HEADER, Stage::Opening) } else { (SASL_HEADER, Stage::Sasl) };
        self.talk.out.extend_from_slice(&expected);
        if header != expected {
            return self.end();
        }
        self.stage = next;
        if next == Stage::Sasl {
            write::sasl_mechanisms(&mut self.talk.out);
        }
    }

    async fn follow(&mut self, channel: u16, said: Performative<'_>) -> Result<(), Refusal> {
        match (self.stage, said) {
            (Stage::Sasl, Performative::SaslInit(init)) => {
                self.signed_in = self.server.sign_in(&init);
                write::sasl_outcome(&mut self.talk.out, self.signed_in.is_some());
                self.handshake = None;
                match self.signed_in {
                    Some(_) => self.stage = Stage::Header,
                    None => self.end(),
                }
            }
            (Stage::Opening, Performative::Open(open)) => {
                self.talk.max_frame_size = open.max_frame_size.max(MIN_MAX_FRAME_SIZE);
                let idle = Duration::from_millis(open.idle_time_out.into());
                self.beat = Some(idle / 2).filter(|beat| !beat.is_zero()).map(|beat| beat.max(SHORTEST_BEAT));
                let key = self.signed_in.as_ref().map(|s| s.access_key.clone()).unwrap_or_default();
                self.place = Some(self.server.place(key)?);
                self.say_open();
                self.stage = Stage::Open;
                self.deadline = Some(Instant::now() + self.server.settings.link_timeout.0);
            }
            (Stage::Opening, Performative::Empty) => {}
            (Stage::Open, said) => {
                if self.talk.follow(channel, said).await? == After::Closed {
                    write::close(&mut self.talk.out, None);
                    self.end();
                    return Ok(());
                }
                if self.deadline.is_some() && self.talk.links() > 0 {
                    self.deadline = None;
                }
            }
            (Stage::Closing, Performative::Close) => self.end(),
            // Outcomes on their way still count.
            (Stage::Closing, said @ Performative::Disposition(_)) => {
                self.talk.follow(channel, said).await?;
            }
            (Stage::Closing, _) => {}
            _ => return Err(Refusal::new("amqp:illegal-state", "This cannot be said now.")),
        }
        Ok(())
    }
}
