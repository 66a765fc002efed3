//! Who may call, and what: users with passwords, groups, policies, access keys, tokens (002 §10).
//!
//! A user may do what the policies say that are granted to its groups. What it may do is compiled once and kept for a
//! while ([`standing`]); every change of users, groups, policies or keys drops what is kept.

mod groups;
mod keys;
mod password;
mod policies;
mod port;
mod sign_in;
mod standing;
mod throttle;
mod users;

pub use keys::NewAccessKey;
pub use policies::{Role, RoleSource};
pub use port::*;
pub use sign_in::IssuedAuthToken;
pub use standing::Caller;
pub use users::NewUser;

pub(crate) use standing::Standings;
pub(crate) use throttle::Throttle;
