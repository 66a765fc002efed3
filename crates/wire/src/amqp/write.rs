//! What the server says: each function appends whole frames to a buffer.

use std::collections::VecDeque;

use super::read::Outcome;

pub(super) const NULL: u8 = 0x40;
/// Largest head of a transfer's frame: frame head, descriptor, list head and fields.
const TRANSFER_HEAD: usize = 64;

/// An error that a peer is told. `[2.8.14]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorText<'a> {
    /// The condition, a symbol like `amqp:not-found`.
    pub condition: &'a str,
    /// A sentence.
    pub description: &'a str,
}

/// `[2.7.1]`
#[derive(Clone, Copy, Debug)]
pub struct Open<'a> {
    /// The server's name for itself.
    pub container_id: &'a str,
    /// Largest frame that it takes.
    pub max_frame_size: u32,
    /// Highest channel number.
    pub channel_max: u16,
    /// It closes when it hears nothing for about twice as many milliseconds; 0 for never.
    pub idle_time_out: u32,
}

/// `[2.7.3]`
#[derive(Clone, Copy, Debug)]
pub struct Attach<'a> {
    /// Name of the link, as the client gave it.
    pub name: &'a str,
    /// The server's number for it.
    pub handle: u32,
    /// The server sends on it.
    pub is_sender: bool,
    /// Deliveries are sent settled.
    pub settled: bool,
    /// The receiver settles second.
    pub settles_second: bool,
    /// Address of the source; without one the link is refused.
    pub source: Option<&'a str>,
    /// The client's target, as it was written; empty for none.
    pub raw_target: &'a [u8],
}

/// The part of a flow that is about a link. `[2.7.4]`
#[derive(Clone, Copy, Debug)]
pub struct LinkFlow {
    /// The link.
    pub handle: u32,
    /// Deliveries sent, and those whose credit was given up.
    pub delivery_count: u32,
    /// What is left of the credit.
    pub link_credit: u32,
    /// As the receiver said.
    pub drain: bool,
}

/// `[2.7.4]`
#[derive(Clone, Copy, Debug)]
pub struct Flow {
    /// Number of the transfer that is expected next.
    pub next_incoming_id: u32,
    /// Number of the next transfer.
    pub next_outgoing_id: u32,
    /// The link, if it is about one.
    pub link: Option<LinkFlow>,
}

/// A message and its way. `[2.7.5]`, `[3.2]`
#[derive(Clone, Copy, Debug)]
pub struct Delivery<'a> {
    /// The session's channel.
    pub channel: u16,
    /// The server's number of the link.
    pub handle: u32,
    /// Number of the delivery in the session.
    pub id: u32,
    /// Tag of the delivery, unique on the link.
    pub tag: u64,
    /// It is done with when it is sent.
    pub settled: bool,
    /// Earlier deliveries that failed.
    pub delivery_count: u32,
    /// Unique in the queue.
    pub message_id: &'a str,
    /// Milliseconds since 1970.
    pub created_ms: i64,
    /// The text of a JSON object; it is sent as a string.
    pub body: &'a str,
}

/// Windows of sessions are as good as endless on the server's side: no client sends to it.
const WINDOW: u32 = 0x7fff_ffff;

/// `FrameKind` as its byte.
pub(super) const AMQP: u8 = 0;
pub(super) const SASL: u8 = 1;

fn put_u32(out: &mut Vec<u8>, n: u32) {
    out.extend_from_slice(&n.to_be_bytes());
}

pub(super) fn uint(out: &mut Vec<u8>, n: u32) {
    match u8::try_from(n) {
        Ok(0) => out.push(0x43),
        Ok(small) => out.extend_from_slice(&[0x52, small]),
        Err(_) => {
            out.push(0x70);
            put_u32(out, n);
        }
    }
}

pub(super) fn flag(out: &mut Vec<u8>, flag: bool) {
    out.push(if flag { 0x41 } else { 0x42 });
}

/// `narrow` is the code for up to 255 bytes; the one for more is 0x10 higher.
pub(super) fn variable(out: &mut Vec<u8>, narrow: u8, bytes: &[u8]) {
    match u8::try_from(bytes.len()) {
        Ok(length) => out.extend_from_slice(&[narrow, length]),
        Err(_) => {
            out.push(narrow + 0x10);
            put_u32(out, u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        }
    }
    out.extend_from_slice(bytes);
}

pub(super) fn string(out: &mut Vec<u8>, text: &str) {
    variable(out, 0xa1, text.as_bytes());
}

pub(super) fn symbol(out: &mut Vec<u8>, text: &str) {
    variable(out, 0xa3, text.as_bytes());
}

fn raw(out: &mut Vec<u8>, bytes: &[u8]) {
    if bytes.is_empty() {
        out.push(NULL);
    } else {
        out.extend_from_slice(bytes);
    }
}

/// A list of `count` fields.
fn list(out: &mut Vec<u8>, count: u32, fields: impl FnOnce(&mut Vec<u8>)) {
    out.push(0xd0);
    let at = out.len();
    put_u32(out, 0);
    put_u32(out, count);
    fields(out);
    let size = u32::try_from(out.len() - at - 4).unwrap_or(u32::MAX);
    out[at..at + 4].copy_from_slice(&size.to_be_bytes());
}

pub(super) fn described(out: &mut Vec<u8>, code: u8, count: u32, fields: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(&[0x00, 0x53, code]);
    if count == 0 {
        out.push(0x45);
    } else {
        list(out, count, fields);
    }
}

pub(super) fn frame(out: &mut Vec<u8>, kind: u8, channel: u16, body: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    put_u32(out, 0);
    out.extend_from_slice(&[2, kind]);
    out.extend_from_slice(&channel.to_be_bytes());
    body(out);
    let size = u32::try_from(out.len() - at).unwrap_or(u32::MAX);
    out[at..at + 4].copy_from_slice(&size.to_be_bytes());
}

pub(super) fn performative(out: &mut Vec<u8>, channel: u16, code: u8, count: u32, fields: impl FnOnce(&mut Vec<u8>)) {
    frame(out, AMQP, channel, |out| described(out, code, count, fields));
}

fn error(out: &mut Vec<u8>, error: Option<ErrorText<'_>>) {
    match error {
        None => out.push(NULL),
        Some(error) => described(out, 0x1d, 2, |out| {
            symbol(out, error.condition);
            string(out, error.description);
        }),
    }
}

fn outcome(out: &mut Vec<u8>, outcome: Outcome) {
    match outcome {
        Outcome::Accepted => described(out, 0x24, 0, |_| ()),
        Outcome::Rejected => described(out, 0x25, 0, |_| ()),
        Outcome::Released => described(out, 0x26, 0, |_| ()),
        Outcome::Modified { failed, not_here } => described(out, 0x27, 2, |out| {
            flag(out, failed);
            flag(out, not_here);
        }),
    }
}

/// The mechanisms to sign in with: PLAIN alone. `[5.3.3.1]`
pub fn sasl_mechanisms(out: &mut Vec<u8>) {
    frame(out, SASL, 0, |out| {
        described(out, 0x40, 1, |out| {
            // An array of one symbol.
            out.extend_from_slice(&[0xe0, 8, 1, 0xa3, 5]);
            out.extend_from_slice(b"PLAIN");
        });
    });
}

/// Whether the client is signed in. `[5.3.3.6]`
pub fn sasl_outcome(out: &mut Vec<u8>, is_ok: bool) {
    frame(out, SASL, 0, |out| described(out, 0x44, 1, |out| out.extend_from_slice(&[0x50, u8::from(!is_ok)])));
}

/// Opens the connection.
pub fn open(out: &mut Vec<u8>, open: &Open<'_>) {
    performative(out, 0, 0x10, 5, |out| {
        string(out, open.container_id);
        out.push(NULL);
        uint(out, open.max_frame_size);
        out.push(0x60);
        out.extend_from_slice(&open.channel_max.to_be_bytes());
        if open.idle_time_out == 0 { out.push(NULL) } else { uint(out, open.idle_time_out) }
    });
}

/// Answers the begin of a session, on the client's own channel number.
pub fn begin(out: &mut Vec<u8>, channel: u16, handle_max: u32) {
    performative(out, channel, 0x11, 5, |out| {
        out.push(0x60);
        out.extend_from_slice(&channel.to_be_bytes());
        uint(out, 0);
        uint(out, WINDOW);
        uint(out, WINDOW);
        uint(out, handle_max);
    });
}

/// Answers an attach.
pub fn attach(out: &mut Vec<u8>, channel: u16, attach: &Attach<'_>) {
    performative(out, channel, 0x12, 10, |out| {
        string(out, attach.name);
        uint(out, attach.handle);
        flag(out, !attach.is_sender);
        out.extend_from_slice(&[0x50, u8::from(attach.settled)]);
        out.extend_from_slice(&[0x50, u8::from(attach.settles_second)]);
        match attach.source {
            Some(address) => source(out, address),
            None => out.push(NULL),
        }
        raw(out, attach.raw_target);
        // Neither unsettled deliveries nor the incompleteness of their list.
        out.extend_from_slice(&[NULL, NULL]);
        if attach.is_sender { uint(out, 0) } else { out.push(NULL) }
    });
}

/// The queue as the source. What is settled without an outcome is released. `[3.5.3]`
fn source(out: &mut Vec<u8>, address: &str) {
    described(out, 0x28, 11, |out| {
        string(out, address);
        // The queue outlives the link; its configuration is not the link's.
        uint(out, 2);
        symbol(out, "never");
        uint(out, 0);
        flag(out, false);
        out.push(NULL);
        symbol(out, "move");
        out.push(NULL);
        outcome(out, Outcome::Released);
        let outcomes = ["amqp:accepted:list", "amqp:rejected:list", "amqp:released:list", "amqp:modified:list"];
        let size = 2 + outcomes.iter().map(|o| o.len() + 1).sum::<usize>();
        // An array of symbols: size, count, code, elements.
        out.extend_from_slice(&[0xe0, u8::try_from(size).unwrap_or(u8::MAX), 4, 0xa3]);
        for name in outcomes {
            out.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
            out.extend_from_slice(name.as_bytes());
        }
        symbol(out, "queue");
    });
}

/// Tells the state of a session, and of a link.
pub fn flow(out: &mut Vec<u8>, channel: u16, flow: &Flow) {
    let count = if flow.link.is_some() { 9 } else { 4 };
    performative(out, channel, 0x13, count, |out| {
        uint(out, flow.next_incoming_id);
        uint(out, WINDOW);
        uint(out, flow.next_outgoing_id);
        uint(out, WINDOW);
        if let Some(link) = flow.link {
            uint(out, link.handle);
            uint(out, link.delivery_count);
            uint(out, link.link_credit);
            out.push(NULL);
            flag(out, link.drain);
        }
    });
}

/// Settles deliveries that the receiver does not settle by itself.
pub fn disposition(out: &mut Vec<u8>, channel: u16, first: u32, last: u32, said: Option<Outcome>) {
    performative(out, channel, 0x15, 5, |out| {
        flag(out, false);
        uint(out, first);
        uint(out, last);
        flag(out, true);
        match said {
            Some(said) => outcome(out, said),
            None => out.push(NULL),
        }
    });
}

/// Detaches a link for good, or for now.
pub fn detach(out: &mut Vec<u8>, channel: u16, handle: u32, closed: bool, why: Option<ErrorText<'_>>) {
    performative(out, channel, 0x16, 3, |out| {
        uint(out, handle);
        flag(out, closed);
        error(out, why);
    });
}

/// Ends a session.
pub fn end(out: &mut Vec<u8>, channel: u16, why: Option<ErrorText<'_>>) {
    performative(out, channel, 0x17, 1, |out| error(out, why));
}

/// Closes the connection.
pub fn close(out: &mut Vec<u8>, why: Option<ErrorText<'_>>) {
    performative(out, 0, 0x18, 1, |out| error(out, why));
}

/// A frame that only shows that the server lives.
pub fn heartbeat(out: &mut Vec<u8>) {
    frame(out, AMQP, 0, |_| ());
}

/// The fields of a transfer; those after the first of a delivery only say where they belong.
fn transfer_head(out: &mut Vec<u8>, delivery: &Delivery<'_>, is_first: bool, more: bool) {
    out.extend_from_slice(&[0x00, 0x53, 0x14, 0xc0, 0, 6]);
    let at = out.len();
    uint(out, delivery.handle);
    if is_first {
        uint(out, delivery.id);
        out.extend_from_slice(&[0xa0, 8]);
        out.extend_from_slice(&delivery.tag.to_be_bytes());
        uint(out, 0);
        flag(out, delivery.settled);
    } else {
        out.extend_from_slice(&[NULL; 4]);
    }
    flag(out, more);
    // The count is part of the size.
    out[at - 2] = u8::try_from(out.len() - at + 1).unwrap_or(u8::MAX);
}

/// The sections of the message: header, properties, body. `[3.2]`
fn message(out: &mut Vec<u8>, delivery: &Delivery<'_>) {
    // Durable; priority, time to live and first acquirer are not told.
    out.extend_from_slice(&[0x00, 0x53, 0x70, 0xc0, 0, 5, 0x41, NULL, NULL, NULL]);
    let at = out.len();
    uint(out, delivery.delivery_count);
    out[at - 6] = u8::try_from(out.len() - at + 5).unwrap_or(u8::MAX);
    described(out, 0x73, 10, |out| {
        string(out, delivery.message_id);
        out.extend_from_slice(&[NULL; 5]);
        symbol(out, "application/json");
        out.extend_from_slice(&[NULL, NULL, 0x83]);
        out.extend_from_slice(&delivery.created_ms.to_be_bytes());
    });
    out.extend_from_slice(&[0x00, 0x53, 0x77]);
    string(out, delivery.body);
}

/// Appends the frame of a delivery. One that does not fit into `max_frame_size` is cut: its other frames go to the end of
/// `rest`.
pub fn deliver(out: &mut Vec<u8>, max_frame_size: u32, delivery: &Delivery<'_>, rest: &mut VecDeque<Vec<u8>>) {
    let max = usize::try_from(max_frame_size.max(super::MIN_MAX_FRAME_SIZE)).unwrap_or(usize::MAX);
    // 64 bytes for what is fixed in header and properties.
    let most = TRANSFER_HEAD + 64 + delivery.message_id.len() + delivery.body.len();
    if most <= max {
        frame(out, AMQP, delivery.channel, |out| {
            transfer_head(out, delivery, true, false);
            message(out, delivery);
        });
        return;
    }
    let mut whole = Vec::with_capacity(most);
    message(&mut whole, delivery);
    let mut parts = whole.chunks(max - TRANSFER_HEAD).peekable();
    let mut is_first = true;
    while let Some(part) = parts.next() {
        let mut write = |out: &mut Vec<u8>| {
            frame(out, AMQP, delivery.channel, |out| {
                transfer_head(out, delivery, is_first, parts.peek().is_some());
                out.extend_from_slice(part);
            });
        };
        if is_first {
            write(out);
            is_first = false;
        } else {
            let mut next = Vec::with_capacity(part.len() + TRANSFER_HEAD);
            write(&mut next);
            rest.push_back(next);
        }
    }
}
