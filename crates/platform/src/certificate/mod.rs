//! X.509 (002 §2.1.1, §3.3.3): authorities of devices, signing in by certificate, certificates of devices and of the
//! platform's own doors.
//!
//! Certificates are read with `x509-parser` and signatures checked with `ring`. The path is built here and not by
//! `webpki`, because the vendor's guide makes certificates of version 1, which `webpki` does not read.

mod authority;
mod device;
mod fingerprint;
pub mod handshake;
mod host;
mod port;
mod server;
mod sign_in;
mod trust;
pub mod x509;

pub use authority::{CaChange, NewCa};
pub use host::HostTrust;
pub use port::*;
pub(crate) use sign_in::Shown;
pub(crate) use trust::{Anchor, Trust};

use causeway_model::RecordNo;

/// Most certificates that a device may show, its own included.
pub const MAX_CHAIN: usize = 8;
/// Largest certificate that is read, in bytes.
pub const MAX_DER: usize = 16 << 10;

/// What a connection goes by that was opened with a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The authority.
    pub(crate) ca: RecordNo,
    /// SHA-256 of the certificate.
    pub(crate) sha256: [u8; 32],
}
