//! Batch tasks, their files and exports (002 §3.3.2, §3.4, §4.5.3).

mod bodies;
mod columns;
mod document;
pub(super) mod exports;
pub(super) mod files;
mod rows;
pub(super) mod tasks;
