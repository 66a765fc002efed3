//! AMQP 1.0 (OASIS, parts 1 to 3 and 5): the frames that a server of queues reads and writes.
//!
//! Sections are quoted as `[2.7.3]`, part and section. Values are read lazily, so that nesting costs no stack and an array
//! that claims a million elements costs nothing. Only what a server with receivers alone needs is typed: what else a client
//! says is skipped by its length.
//!
//! Start reading at [`split_frame`], then [`Performative::decode`]; [`write`](mod@write) goes the other way.

pub mod client;
mod read;
mod value;
pub mod write;

#[cfg(test)]
mod tests;

pub use read::{
    Attach, Begin, Detach, Disposition, Flow, Open, Outcome, Performative, SaslInit, SettleMode, Source, Transfer,
};
pub use value::{Fields, Reader, Value};

/// What opens a connection: AMQP itself. `[2.2]`
pub const AMQP_HEADER: [u8; 8] = *b"AMQP\x00\x01\x00\x00";
/// What opens the security layer. `[5.3.1]`
pub const SASL_HEADER: [u8; 8] = *b"AMQP\x03\x01\x00\x00";
/// Every peer takes frames of this size. `[2.4.1]`
pub const MIN_MAX_FRAME_SIZE: u32 = 512;

/// Why bytes are not AMQP; for the operator and for the description of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A frame or a value ends before its end, or is longer than it may be.
    #[error("a length does not fit")]
    Length,
    /// A type code that AMQP does not have, or a type that may not stand here.
    #[error("a value has the wrong type")]
    Type,
    /// Text that is not UTF-8.
    #[error("a text is not UTF-8")]
    Text,
    /// A field that must be there is missing.
    #[error("a mandatory field is missing")]
    Missing,
    /// A performative that AMQP does not have.
    #[error("the performative is unknown")]
    Performative,
    /// A frame that is neither AMQP's nor SASL's.
    #[error("the frame type is unknown")]
    FrameType,
}

/// What a frame belongs to. `[2.3.1]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameKind {
    /// AMQP.
    Amqp,
    /// The security layer.
    Sasl,
}

/// Where a frame's parts lie in the buffer it was found in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What it belongs to.
    pub kind: FrameKind,
    /// The channel; without meaning for SASL.
    pub channel: u16,
    /// Where the body begins.
    pub body: usize,
    /// Length of the whole frame.
    pub size: usize,
}

/// Finds the first frame of a buffer; `None` while it is not complete.
///
/// # Errors
/// When it claims to be larger than `max`, or its head is unsound.
pub fn split_frame(bytes: &[u8], max: u32) -> Result<Option<Frame>, Fault> {
    let Some(&[a, b, c, d, doff, kind, high, low]) = bytes.first_chunk::<8>() else { return Ok(None) };
    let size = u32::from_be_bytes([a, b, c, d]);
    let body = usize::from(doff) * 4;
    if size < 8 || size > max {
        return Err(Fault::Length);
    }
    let size = usize::try_from(size).map_err(|_| Fault::Length)?;
    if body < 8 || body > size {
        return Err(Fault::Length);
    }
    let kind = match kind {
        0 => FrameKind::Amqp,
        1 => FrameKind::Sasl,
        _ => return Err(Fault::FrameType),
    };
    Ok((bytes.len() >= size).then_some(Frame { kind, channel: u16::from_be_bytes([high, low]), body, size }))
}
