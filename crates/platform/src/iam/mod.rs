//! Who may call: users with passwords, access keys, tokens.

mod port;
mod sign_in;

pub use port::*;
pub use sign_in::{Caller, IssuedAuthToken};
