//! A product model as an Excel workbook: a sheet for services, properties, commands and events, a row for each thing.
//!
//! Column titles are understood in English and Chinese, in any order; sheets too. Cells may be texts or numbers. The
//! vendor's own template is not public; this one holds everything that a model holds, so nothing is lost on the way out
//! and back.

mod columns;
mod read;
mod write;

pub use read::read;
pub use write::{template, write};
