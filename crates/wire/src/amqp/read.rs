//! What clients say.

use super::Fault;
use super::value::{Fields, Reader, Value};

/// How a sender settles. `[2.8.2]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettleMode {
    /// Every delivery waits for its outcome.
    Unsettled,
    /// Deliveries are done with when they are sent.
    Settled,
    /// As the sender likes.
    Mixed,
}

/// `[2.7.1]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Open<'a> {
    /// The client's name for itself.
    pub container_id: &'a str,
    /// The virtual host.
    pub hostname: Option<&'a str>,
    /// Largest frame that the client takes.
    pub max_frame_size: u32,
    /// The client closes when it hears nothing for so many milliseconds; 0 for never.
    pub idle_time_out: u32,
}

/// `[2.7.2]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begin {
    /// Set in an answer only.
    pub remote_channel: Option<u32>,
    /// Number of the client's first transfer.
    pub next_outgoing_id: u32,
    /// Transfers that the client takes now.
    pub incoming_window: u32,
}

/// The source of a link. `[3.5.3]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source<'a> {
    /// Where messages come from.
    pub address: Option<&'a str>,
    /// The client wants one to be made.
    pub dynamic: bool,
}

/// `[2.7.3]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attach<'a> {
    /// Name of the link.
    pub name: &'a str,
    /// The client's number for it.
    pub handle: u32,
    /// The client receives; else it sends.
    pub is_receiver: bool,
    /// What the client wants of the sender.
    pub settle_mode: SettleMode,
    /// The receiver settles only after the sender has.
    pub settles_second: bool,
    /// Where messages come from; `None` also for a source of another kind.
    pub source: Option<Source<'a>>,
    /// The bytes of the source; empty when there is none.
    pub raw_source: &'a [u8],
    /// The bytes of the target; empty when there is none.
    pub raw_target: &'a [u8],
}

/// `[2.7.4]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Number of the transfer that the client expects next.
    pub next_incoming_id: Option<u32>,
    /// Transfers that it takes from there.
    pub incoming_window: u32,
    /// The link, unless it is only about the session.
    pub handle: Option<u32>,
    /// Deliveries that the client has counted on the link.
    pub delivery_count: Option<u32>,
    /// Deliveries that it takes from there.
    pub link_credit: Option<u32>,
    /// What is not used of the credit now is to be given up.
    pub drain: bool,
    /// The client wants an answer.
    pub echo: bool,
}

/// What a receiver says of a delivery. `[3.4]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is done.
    Accepted,
    /// It can never be done.
    Rejected,
    /// It was not looked at.
    Released,
    /// It was tried, or is not for this receiver.
    Modified {
        /// It counts as a failed delivery.
        failed: bool,
        /// It must not come on this link again.
        not_here: bool,
    },
}

/// `[2.7.5]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// Number of the delivery; only in its first transfer.
    pub delivery_id: Option<u32>,
    /// Others of the delivery follow.
    pub more: bool,
}

/// `[2.7.6]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disposition {
    /// Said by a receiver of deliveries.
    pub from_receiver: bool,
    /// First delivery.
    pub first: u32,
    /// Last delivery; the first when nothing else is said.
    pub last: u32,
    /// The deliveries are forgotten.
    pub settled: bool,
    /// The outcome, when there is a final one.
    pub outcome: Option<Outcome>,
}

/// `[2.7.7]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Detach {
    /// The link.
    pub handle: u32,
    /// For good.
    pub closed: bool,
}

/// `[5.3.3.2]`
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SaslInit<'a> {
    /// The chosen mechanism.
    pub mechanism: &'a str,
    /// For PLAIN: `authorization ‖ 0 ‖ user ‖ 0 ‖ password`.
    pub response: Option<&'a [u8]>,
}

impl std::fmt::Debug for SaslInit<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SaslInit").field("mechanism", &self.mechanism).finish_non_exhaustive()
    }
}

/// What a frame says. A frame without body only shows that the client lives. `[2.4.5]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Performative<'a> {
    /// Opens the connection.
    Open(Open<'a>),
    /// Begins a session.
    Begin(Begin),
    /// Attaches a link.
    Attach(Attach<'a>),
    /// Gives credit.
    Flow(Flow),
    /// Carries a message, or a part of one; its bytes follow the performative.
    Transfer(Transfer),
    /// Tells outcomes.
    Disposition(Disposition),
    /// Detaches a link.
    Detach(Detach),
    /// Ends a session.
    End,
    /// Closes the connection.
    Close,
    /// Signs in.
    SaslInit(SaslInit<'a>),
    /// Nothing.
    Empty,
}

impl<'a> Performative<'a> {
    /// Reads the body of a frame.
    ///
    /// # Errors
    /// When it is not a performative of a client.
    pub fn decode(body: &'a [u8]) -> Result<Self, Fault> {
        if body.is_empty() {
            return Ok(Self::Empty);
        }
        let Value::Described(Some(code), inside) = Reader::new(body).value()? else { return Err(Fault::Performative) };
        let Value::List(mut fields) = Reader::new(inside).value()? else { return Err(Fault::Type) };
        let fields = &mut fields;
        Ok(match code {
            0x10 => Self::Open(open(fields)?),
            0x11 => Self::Begin(begin(fields)?),
            0x12 => Self::Attach(attach(fields)?),
            0x13 => Self::Flow(flow(fields)?),
            0x14 => Self::Transfer(transfer(fields)?),
            0x15 => Self::Disposition(disposition(fields)?),
            0x16 => Self::Detach(Detach { handle: must(fields.number()?)?, closed: fields.flag()? }),
            0x17 => Self::End,
            0x18 => Self::Close,
            0x41 => Self::SaslInit(sasl_init(fields)?),
            _ => return Err(Fault::Performative),
        })
    }
}

fn must<T>(field: Option<T>) -> Result<T, Fault> {
    field.ok_or(Fault::Missing)
}

fn open<'a>(fields: &mut Fields<'a>) -> Result<Open<'a>, Fault> {
    let container_id = must(fields.text()?)?;
    let hostname = fields.text()?;
    let max_frame_size = fields.number()?.unwrap_or(u32::MAX);
    fields.skip(1)?;
    Ok(Open { container_id, hostname, max_frame_size, idle_time_out: fields.number()?.unwrap_or(0) })
}

fn begin(fields: &mut Fields<'_>) -> Result<Begin, Fault> {
    Ok(Begin {
        remote_channel: fields.number()?,
        next_outgoing_id: must(fields.number()?)?,
        incoming_window: must(fields.number()?)?,
    })
}

fn attach<'a>(fields: &mut Fields<'a>) -> Result<Attach<'a>, Fault> {
    let name = must(fields.text()?)?;
    let handle = must(fields.number()?)?;
    let Value::Bool(is_receiver) = fields.value()? else { return Err(Fault::Missing) };
    let settle_mode = match fields.number()? {
        Some(0) => SettleMode::Unsettled,
        Some(1) => SettleMode::Settled,
        Some(2) | None => SettleMode::Mixed,
        Some(_) => return Err(Fault::Type),
    };
    let settles_second = match fields.number()? {
        Some(0) | None => false,
        Some(1) => true,
        Some(_) => return Err(Fault::Type),
    };
    let (found, raw_source) = fields.raw()?;
    let source = match found {
        Value::Described(Some(0x28), inside) => Some(source(inside)?),
        _ => None,
    };
    let (_, raw_target) = fields.raw()?;
    Ok(Attach { name, handle, is_receiver, settle_mode, settles_second, source, raw_source, raw_target })
}

fn source(inside: &[u8]) -> Result<Source<'_>, Fault> {
    let Value::List(mut fields) = Reader::new(inside).value()? else { return Err(Fault::Type) };
    let address = fields.text()?;
    fields.skip(3)?;
    Ok(Source { address, dynamic: fields.flag()? })
}

fn flow(fields: &mut Fields<'_>) -> Result<Flow, Fault> {
    let next_incoming_id = fields.number()?;
    let incoming_window = must(fields.number()?)?;
    fields.skip(2)?;
    let handle = fields.number()?;
    let delivery_count = fields.number()?;
    let link_credit = fields.number()?;
    fields.skip(1)?;
    let drain = fields.flag()?;
    Ok(Flow { next_incoming_id, incoming_window, handle, delivery_count, link_credit, drain, echo: fields.flag()? })
}

fn transfer(fields: &mut Fields<'_>) -> Result<Transfer, Fault> {
    fields.skip(1)?;
    let delivery_id = fields.number()?;
    fields.skip(3)?;
    Ok(Transfer { delivery_id, more: fields.flag()? })
}

fn disposition(fields: &mut Fields<'_>) -> Result<Disposition, Fault> {
    let Value::Bool(from_receiver) = fields.value()? else { return Err(Fault::Missing) };
    let first = must(fields.number()?)?;
    let last = fields.number()?.unwrap_or(first);
    let settled = fields.flag()?;
    let outcome = match fields.value()? {
        Value::Described(Some(0x24), _) => Some(Outcome::Accepted),
        Value::Described(Some(0x25), _) => Some(Outcome::Rejected),
        Value::Described(Some(0x26), _) => Some(Outcome::Released),
        Value::Described(Some(0x27), inside) => {
            let Value::List(mut fields) = Reader::new(inside).value()? else { return Err(Fault::Type) };
            Some(Outcome::Modified { failed: fields.flag()?, not_here: fields.flag()? })
        }
        // `received`, and states of extensions that were not offered.
        Value::Null | Value::Described(..) => None,
        _ => return Err(Fault::Type),
    };
    Ok(Disposition { from_receiver, first, last, settled, outcome })
}

fn sasl_init<'a>(fields: &mut Fields<'a>) -> Result<SaslInit<'a>, Fault> {
    let mechanism = must(fields.text()?)?;
    let response = match fields.value()? {
        Value::Binary(bytes) => Some(bytes),
        Value::Null => None,
        _ => return Err(Fault::Type),
    };
    Ok(SaslInit { mechanism, response })
}
