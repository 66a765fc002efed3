//! Batch tasks: one operation for many targets, their files, and exports of their results (002 §3.3.2, §3.4, §4.5.3).
//!
//! A task and its targets are in the store before its creation is answered. `engine` takes tasks that are due, a few at
//! a time; `run` carries one task: it claims targets (they are marked before they begin), has `target` carry each of
//! them out by the same use cases as a single call, and writes outcomes many at a time. After a crash the targets that
//! were under way are begun again, marked as unsure, and `target` finds out where it can whether they were done.

mod engine;
mod export;
mod file;
mod job;
mod manage;
mod port;
mod run;
mod target;

pub(crate) use engine::Engine;
pub use export::NewExportTask;
pub use job::{DeviceRow, Job, Row};
pub use manage::{NewBatchTask, TargetResult, TargetSource};
pub use port::*;
