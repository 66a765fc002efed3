//! What pool and worker say to each other: `u32` length, little-endian, then that many bytes of JSON.

use std::io::{self, Read, Write};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::fault::ScriptFault;

/// Longest frame: source, argument or result and log, with what escaping adds to them.
const LONGEST: usize = 16 << 20;

/// One thing to do.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Request {
    pub(crate) source: String,
    pub(crate) function: String,
    /// Event and context as JSON; none when only asked whether the function is there.
    pub(crate) arguments: Option<(String, String)>,
    pub(crate) limits: WireLimits,
}

/// Limits of one call.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct WireLimits {
    pub(crate) time_ms: u64,
    pub(crate) memory: usize,
    pub(crate) stack: usize,
    pub(crate) result: usize,
    pub(crate) log: usize,
}

/// How it went.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Response {
    pub(crate) result: Result<String, ScriptFault>,
    pub(crate) log: Vec<String>,
    pub(crate) log_cut: bool,
    pub(crate) used_us: u64,
    /// The worker ends now: its memory may be full of garbage that nothing frees.
    pub(crate) last: bool,
}

/// The first thing that a worker says.
pub(crate) const READY: [u8; 4] = *b"cwjs";

pub(crate) fn write(to: &mut impl Write, what: &impl Serialize) -> io::Result<()> {
    let mut frame = vec![0; 4];
    serde_json::to_writer(&mut frame, what)?;
    let length = frame.len() - 4;
    let head = u32::try_from(length).ok().filter(|_| length <= LONGEST);
    let head = head.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the frame is too long"))?;
    frame[..4].copy_from_slice(&head.to_le_bytes());
    to.write_all(&frame)
}

pub(crate) fn read<T: DeserializeOwned>(from: &mut impl Read) -> io::Result<T> {
    let mut head = [0; 4];
    from.read_exact(&mut head)?;
    let length = usize::try_from(u32::from_le_bytes(head)).unwrap_or(usize::MAX);
    if length > LONGEST {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the frame is too long"));
    }
    let mut body = Vec::new();
    from.take(length as u64).read_to_end(&mut body)?;
    Ok(serde_json::from_slice(&body)?)
}
