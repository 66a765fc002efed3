//! Groups of devices (002 §3.5): static ones hold what was put in, dynamic ones whatever matches their rule right now.

mod manage;
mod members;
mod port;
mod rules;

pub use manage::NewGroup;
pub use port::GroupStore;
pub(crate) use rules::GroupRules;
