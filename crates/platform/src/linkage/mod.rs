//! Device linkage: when what devices report, their status or the clock fulfils a rule, its actions are carried out
//! (002 §5.3, `docs/linkage.md`).
//!
//! The road only notes that a rule may have to act (`consider.rs`): one delivery for the platform itself, written with
//! its cause, so that nothing is lost by a crash. A worker hands it back after the commit (`act.rs`), when the last
//! values of all other devices can be read, and the actions are carried out there. Timers are claimed in the store
//! (`timers.rs`), so that of several nodes one acts.

mod act;
mod check;
mod command;
mod consider;
mod manage;
mod outward;
mod port;
mod table;
mod timers;
mod trigger;

pub(crate) use consider::Told;
pub use manage::NewRule;
pub use port::*;
pub(crate) use table::Linkage;
