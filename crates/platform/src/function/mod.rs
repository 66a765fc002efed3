//! Functions: JavaScript that runs in the sandbox, and HTTP addresses that are called, by forwarding rules and by hand.

mod manage;
mod port;
mod run;
mod urn;

pub use manage::{FunctionChange, NewBody, NewFunction};
pub use port::*;
pub(crate) use run::Functions;
pub use run::{CallFailed, CallFault, HttpCall, HttpCaller, Invoked};
pub use urn::FunctionUrn;
