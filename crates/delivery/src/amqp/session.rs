//! Sessions and links of one connection: what the consumer says goes in, frames come out. No I/O but looking up a queue.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::fmt::Write as _;
use std::sync::Arc;

use causeway_wire::amqp::{Attach, Begin, Detach, Disposition, Flow, Outcome, Performative, SettleMode, write};
use tokio::sync::Notify;

use super::Server;
use super::keeper::Consumer;
use super::window::{Supply, Taken};

/// Bytes waiting to be sent from which on no more messages are taken.
const FILLED: usize = 256 << 10;
/// Messages taken at once.
const CHUNK: usize = 128;

/// Why a connection, a session or a link ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// A symbol of AMQP.
    pub(super) condition: &'static str,
    /// A sentence for the consumer's developer.
    pub(super) text: String,
}

impl Refusal {
    pub(super) fn new(condition: &'static str, text: impl Into<String>) -> Self {
        Self { condition, text: text.into() }
    }

    pub(super) fn as_error(&self) -> write::ErrorText<'_> {
        write::ErrorText { condition: self.condition, description: &self.text }
    }
}

/// What remains to be done after a performative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// Nothing.
    Nothing,
    /// The consumer has closed the connection.
    Closed,
}

struct Link {
    consumer: Consumer,
    credit: u32,
    delivery_count: u32,
    drain: bool,
    /// Messages are done with when they are sent.
    is_settled: bool,
    tag: u64,
    unsettled: u32,
}

#[derive(Default)]
struct Session {
    next_outgoing: u32,
    next_incoming: u32,
    /// Transfers that the consumer takes now.
    window: u32,
    /// Frames that wait for the window.
    backlog: VecDeque<Vec<u8>>,
    links: BTreeMap<u32, Link>,
    /// Handles of links that were ended here, until the consumer has ended them too.
    ending: HashSet<u32>,
    next_delivery: u64,
    /// Deliveries without outcome: link and place in its queue.
    unsettled: BTreeMap<u64, (u32, i64)>,
}

/// A message that was sent settled, to be told to its queue once the socket has taken it.
struct Gone {
    /// Bytes of the connection up to its end.
    position: u64,
    channel: u16,
    handle: u32,
    seq: i64,
}

/// See the module text.
pub(super) struct Conversation {
    server: Arc<Server>,
    /// To be sent.
    pub(super) out: Vec<u8>,
    /// Bytes that were sent before those of `out`.
    sent: u64,
    sessions: BTreeMap<u16, Session>,
    /// Sessions that were ended here, until the consumer has ended them too.
    ending: HashSet<u16>,
    pub(super) max_frame_size: u32,
    wake: Arc<Notify>,
    gone: VecDeque<Gone>,
    taken: Vec<Taken>,
    message_id: String,
}

impl Conversation {
    pub(super) fn new(server: Arc<Server>, wake: Arc<Notify>) -> Self {
        Self {
            server,
            out: Vec::new(),
            sent: 0,
            sessions: BTreeMap::new(),
            ending: HashSet::new(),
            max_frame_size: causeway_wire::amqp::MIN_MAX_FRAME_SIZE,
            wake,
            gone: VecDeque::new(),
            taken: Vec::new(),
            message_id: String::new(),
        }
    }

    pub(super) fn links(&self) -> usize {
        self.sessions.values().map(|s| s.links.len()).sum()
    }

    /// The socket has taken all of `out`.
    pub(super) fn all_sent(&mut self) {
        self.sent += self.out.len() as u64;
        self.out.clear();
        while let Some(gone) = self.gone.pop_front_if(|g| g.position <= self.sent) {
            if let Some(link) = self.sessions.get(&gone.channel).and_then(|s| s.links.get(&gone.handle)) {
                link.consumer.settle(&[gone.seq], Outcome::Accepted);
            }
        }
    }

    /// Follows what the consumer says on an open connection.
    ///
    /// # Errors
    /// Why the connection has to be closed.
    pub(super) async fn follow(&mut self, channel: u16, said: Performative<'_>) -> Result<After, Refusal> {
        if self.ending.contains(&channel) {
            if said == Performative::End {
                self.ending.remove(&channel);
            }
            return Ok(After::Nothing);
        }
        match said {
            Performative::Empty => {}
            Performative::Close => return Ok(After::Closed),
            Performative::Begin(begin) => self.begin(channel, &begin)?,
            Performative::Open(_) | Performative::SaslInit(_) => {
                return Err(Refusal::new("amqp:illegal-state", "The connection is open already."));
            }
            _ => {
                let Some(session) = self.sessions.get_mut(&channel) else {
                    return Err(Refusal::new(
                        "amqp:illegal-state",
                        format!("There is no session on channel {channel}."),
                    ));
                };
                let followed = match said {
                    Performative::Attach(attach) => self.attach(channel, &attach).await,
                    Performative::Flow(flow) => session.flow(channel, &flow, &mut self.out),
                    Performative::Disposition(said) => {
                        session.dispose(channel, &said, &mut self.out);
                        Ok(())
                    }
                    Performative::Detach(detach) => {
                        session.detach(channel, detach, &mut self.out);
                        Ok(())
                    }
                    Performative::End => {
                        self.sessions.remove(&channel);
                        write::end(&mut self.out, channel, None);
                        Ok(())
                    }
                    _ => Err(Refusal::new(
                        "amqp:not-allowed",
                        "Consumers only receive. Messages to devices are sent through the REST interface.",
                    )),
                };
                if let Err(refusal) = followed {
                    self.sessions.remove(&channel);
                    self.ending.insert(channel);
                    write::end(&mut self.out, channel, Some(refusal.as_error()));
                }
            }
        }
        Ok(After::Nothing)
    }

    fn begin(&mut self, channel: u16, begin: &Begin) -> Result<(), Refusal> {
        let settings = &self.server.settings;
        if channel >= settings.max_sessions.max(1) {
            let text = format!("A connection has at most {} sessions.", settings.max_sessions);
            return Err(Refusal::new("amqp:connection:framing-error", text));
        }
        if begin.remote_channel.is_some() || self.sessions.contains_key(&channel) {
            return Err(Refusal::new(
                "amqp:illegal-state",
                format!("There is a session on channel {channel} already."),
            ));
        }
        let session =
            Session { window: begin.incoming_window, next_incoming: begin.next_outgoing_id, ..Session::default() };
        self.sessions.insert(channel, session);
        // Some more than the links, so that one too many can be refused with a sentence.
        write::begin(&mut self.out, channel, settings.max_links.saturating_mul(2).saturating_add(16));
        Ok(())
    }

    /// Attaches a link, or refuses it. An error ends the session.
    async fn attach(&mut self, channel: u16, attach: &Attach<'_>) -> Result<(), Refusal> {
        let links = self.links();
        let handle_max = self.server.settings.max_links.saturating_mul(2).saturating_add(16);
        let Some(session) = self.sessions.get_mut(&channel) else { return Ok(()) };
        if attach.handle > handle_max {
            return Err(Refusal::new("amqp:not-allowed", format!("The highest handle is {handle_max}.")));
        }
        if session.links.contains_key(&attach.handle) || session.ending.contains(&attach.handle) {
            return Err(Refusal::new("amqp:session:handle-in-use", "Another link has this handle."));
        }
        let consumer = self.server.consumer(attach, links, &self.wake).await;
        let is_settled = attach.settle_mode == SettleMode::Settled;
        let answer = write::Attach {
            name: attach.name,
            handle: attach.handle,
            is_sender: attach.is_receiver,
            settled: is_settled && attach.is_receiver,
            settles_second: attach.settles_second,
            source: consumer.as_ref().ok().map(|c| c.queue.name.as_str()),
            raw_target: if attach.is_receiver { attach.raw_target } else { &[] },
        };
        write::attach(&mut self.out, channel, &answer);
        match consumer {
            Ok(consumer) => {
                let link =
                    Link { consumer, credit: 0, delivery_count: 0, drain: false, is_settled, tag: 0, unsettled: 0 };
                session.links.insert(attach.handle, link);
            }
            Err(refusal) => {
                session.ending.insert(attach.handle);
                write::detach(&mut self.out, channel, attach.handle, true, Some(refusal.as_error()));
            }
        }
        Ok(())
    }

    /// Takes messages for links with credit while the socket keeps up. True when it is to be called again after others had
    /// their turn.
    pub(super) fn pump(&mut self) -> bool {
        let mut again = false;
        loop {
            let mut progress = false;
            for (channel, session) in &mut self.sessions {
                session.send_backlog(&mut self.out);
                let mut deleted = Vec::new();
                for (handle, link) in &mut session.links {
                    if link.consumer.is_gone() {
                        deleted.push(*handle);
                        continue;
                    }
                    let window = if session.backlog.is_empty() { session.window } else { 0 };
                    let unsettled = self.server.settings.max_unsettled.max(1).saturating_sub(link.unsettled);
                    let limit = (link.credit.min(window).min(unsettled) as usize).min(CHUNK);
                    if limit == 0 || self.out.len() >= FILLED {
                        link.consumer.is_fed();
                        continue;
                    }
                    let supply = link.consumer.take(&self.server.queues, limit, &mut self.taken);
                    for taken in self.taken.drain(..) {
                        self.message_id.clear();
                        let written = write!(self.message_id, "{}-{}", link.consumer.queue.target, taken.seq);
                        debug_assert!(written.is_ok(), "writing to a String cannot fail");
                        let delivery = write::Delivery {
                            channel: *channel,
                            handle: *handle,
                            // Delivery numbers are serial: they begin anew after 2^32.
                            id: session.next_delivery as u32,
                            tag: link.tag,
                            settled: link.is_settled,
                            delivery_count: taken.failed,
                            message_id: &self.message_id,
                            created_ms: taken.at.0,
                            body: &taken.body,
                        };
                        deliver(
                            &mut self.out,
                            self.max_frame_size,
                            &delivery,
                            &mut session.backlog,
                            &mut session.window,
                            &mut session.next_outgoing,
                        );
                        if link.is_settled {
                            let waits: usize = session.backlog.iter().map(Vec::len).sum();
                            let position = self.sent + (self.out.len() + waits) as u64;
                            self.gone.push_back(Gone { position, channel: *channel, handle: *handle, seq: taken.seq });
                        } else {
                            session.unsettled.insert(session.next_delivery, (*handle, taken.seq));
                            link.unsettled += 1;
                        }
                        session.next_delivery += 1;
                        link.tag += 1;
                        link.delivery_count = link.delivery_count.wrapping_add(1);
                        link.credit -= 1;
                    }
                    match supply {
                        Supply::Some => progress = true,
                        Supply::Shared => again = true,
                        Supply::Dry if link.drain => {
                            link.delivery_count = link.delivery_count.wrapping_add(std::mem::take(&mut link.credit));
                            link.drain = false;
                            let state = link.state(*handle, true);
                            let flow = write::Flow {
                                next_incoming_id: session.next_incoming,
                                next_outgoing_id: session.next_outgoing,
                                link: Some(state),
                            };
                            write::flow(&mut self.out, *channel, &flow);
                        }
                        Supply::Dry | Supply::Later => {}
                    }
                    if link.credit == 0 || link.unsettled >= self.server.settings.max_unsettled {
                        link.consumer.is_fed();
                    }
                }
                for handle in deleted {
                    session.drop_link(handle);
                    session.ending.insert(handle);
                    let why = Refusal::new("amqp:resource-deleted", "The queue was deleted.");
                    write::detach(&mut self.out, *channel, handle, true, Some(why.as_error()));
                }
                session.send_backlog(&mut self.out);
            }
            if !progress || self.out.len() >= FILLED {
                return again;
            }
        }
    }
}

/// Appends a delivery's frames as far as the session's window lets them go; the rest waits.
fn deliver(
    out: &mut Vec<u8>,
    max_frame_size: u32,
    delivery: &write::Delivery<'_>,
    backlog: &mut VecDeque<Vec<u8>>,
    window: &mut u32,
    next_outgoing: &mut u32,
) {
    if backlog.is_empty() && *window > 0 {
        write::deliver(out, max_frame_size, delivery, backlog);
        *window -= 1;
        *next_outgoing = next_outgoing.wrapping_add(1);
    } else {
        let (mut first, mut rest) = (Vec::new(), VecDeque::new());
        write::deliver(&mut first, max_frame_size, delivery, &mut rest);
        backlog.push_back(first);
        backlog.append(&mut rest);
    }
}

impl Link {
    fn state(&self, handle: u32, drain: bool) -> write::LinkFlow {
        write::LinkFlow { handle, delivery_count: self.delivery_count, link_credit: self.credit, drain }
    }
}

impl Session {
    fn send_backlog(&mut self, out: &mut Vec<u8>) {
        while self.window > 0 {
            let Some(mut next) = self.backlog.pop_front() else { return };
            out.append(&mut next);
            self.window -= 1;
            self.next_outgoing = self.next_outgoing.wrapping_add(1);
        }
    }

    /// `[2.5.6]` and `[2.6.7]`.
    fn flow(&mut self, channel: u16, flow: &Flow, out: &mut Vec<u8>) -> Result<(), Refusal> {
        let sent = self.next_outgoing.wrapping_sub(flow.next_incoming_id.unwrap_or(0));
        self.window = flow.incoming_window.saturating_sub(sent);
        let mut state = None;
        if let Some(handle) = flow.handle {
            let Some(link) = self.links.get_mut(&handle) else {
                // Said before the consumer knew that the link is ended.
                if self.ending.contains(&handle) {
                    return Ok(());
                }
                return Err(Refusal::new("amqp:session:unattached-handle", "There is no link of this handle."));
            };
            if let Some(credit) = flow.link_credit {
                let sent = link.delivery_count.wrapping_sub(flow.delivery_count.unwrap_or(0));
                link.credit = credit.saturating_sub(sent);
            }
            link.drain = flow.drain && link.credit > 0;
            if link.credit == 0 {
                link.consumer.is_fed();
            }
            if flow.echo || (flow.drain && !link.drain) {
                state = Some(link.state(handle, flow.drain));
            }
        }
        if state.is_some() || (flow.echo && flow.handle.is_none()) {
            let flow =
                write::Flow { next_incoming_id: self.next_incoming, next_outgoing_id: self.next_outgoing, link: state };
            write::flow(out, channel, &flow);
        }
        Ok(())
    }

    /// The number of a delivery from its lower 32 bits; `None` for one that was not sent.
    fn number(&self, id: u32) -> Option<u64> {
        let back = (self.next_delivery as u32).wrapping_sub(id);
        if back == 0 { None } else { self.next_delivery.checked_sub(u64::from(back)) }
    }

    fn dispose(&mut self, channel: u16, said: &Disposition, out: &mut Vec<u8>) {
        let outcome = match (said.outcome, said.settled) {
            (Some(outcome), _) => outcome,
            // The default outcome that the source was announced with.
            (None, true) => Outcome::Released,
            (None, false) => return,
        };
        if !said.from_receiver {
            return;
        }
        let Some(first) = self.number(said.first) else { return };
        let last = self.number(said.last).unwrap_or(self.next_delivery);
        let mut found = Vec::new();
        // Mostly all of them are of one link and go together.
        let ids: Vec<u64> =
            if first <= last { self.unsettled.range(first..=last).map(|(id, _)| *id).collect() } else { Vec::new() };
        let mut of: Option<u32> = None;
        for id in &ids {
            let Some((handle, seq)) = self.unsettled.remove(id) else { continue };
            if of.is_some_and(|of| of != handle) {
                self.settle(of, &mut found, outcome);
            }
            of = Some(handle);
            found.push(seq);
        }
        self.settle(of, &mut found, outcome);
        if !said.settled && !ids.is_empty() {
            write::disposition(out, channel, said.first, said.last, Some(outcome));
        }
    }

    fn settle(&mut self, handle: Option<u32>, seqs: &mut Vec<i64>, outcome: Outcome) {
        if let Some(link) = handle.and_then(|handle| self.links.get_mut(&handle)) {
            link.unsettled = link.unsettled.saturating_sub(u32::try_from(seqs.len()).unwrap_or(u32::MAX));
            link.consumer.settle(seqs, outcome);
        }
        seqs.clear();
    }

    fn detach(&mut self, channel: u16, detach: Detach, out: &mut Vec<u8>) {
        if self.ending.remove(&detach.handle) {
            return;
        }
        if self.drop_link(detach.handle) {
            write::detach(out, channel, detach.handle, detach.closed, None);
        }
    }

    /// What it has without outcome comes back.
    fn drop_link(&mut self, handle: u32) -> bool {
        self.unsettled.retain(|_, (of, _)| *of != handle);
        self.links.remove(&handle).is_some()
    }
}
