//! JavaScript that users write, in a sandbox: source and a JSON argument in, a JSON value or a fault with its place out.
//!
//! A call runs in a process of its own kind (the worker) that the pool starts, feeds and, when a script is not done in time,
//! kills: an engine that only stops where it looks at the clock could be held for hours by one call of a native function, and
//! a bug in it would be a bug in the whole platform. Inside of the worker every call gets a fresh engine with limits of time,
//! memory and stack, so nothing that a script does to its globals is there in the next call.
//!
//! A script has the language and `console.log`, whose lines come back with the result; no files, network, timers, modules or
//! environment. This crate knows nothing of functions, devices or stores. Start reading at [`Sandbox::call`]; `engine` is what
//! happens in the worker.

mod console;
mod engine;
mod fault;
mod frame;
mod pool;
mod process;
mod queue;
mod worker;

pub use fault::{FaultKind, ScriptFault};
pub use pool::{Call, Limits, Run, Sandbox, SandboxSettings};
pub use worker::{WORKER_ARGUMENT, run_worker};
