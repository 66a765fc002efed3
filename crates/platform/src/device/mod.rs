//! Devices: registration, credentials, signing in.

mod change_gateway;
mod credentials;
mod manage;
mod notice;
mod port;
mod register;
mod token;
mod versions;

pub use credentials::{AuthFailure, Credentials, SignType, SignedIn};
pub use manage::DeviceChange;
pub use port::*;
pub use register::{NewDevice, NewDeviceAuth, Registered};
pub use token::IssuedToken;
pub(crate) use token::KnownTokens;
