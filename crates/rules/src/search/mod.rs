//! The language of device searches (`iotda-v5-api.md`, `search_devices`).
//!
//! ```text
//! select * | field, … | count(*) | count(1) from device
//! [where condition and|or …] [order by marker [asc|desc]] [limit [offset,] rows]
//! ```
//!
//! Keywords in any case, fields in lower case, values in single quotes with `''` for a quote. Conditions are not nested;
//! `and` binds closer than `or`. A dynamic group's rule is the where-part alone.

mod field;
mod grammar;
#[cfg(test)]
mod tests;

use causeway_model::search::Filter;

pub use field::Output;

use crate::Refusal;
use crate::tokens::Tokens;
use grammar::Grammar;

/// How long and how complex a text may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Characters.
    pub characters: usize,
    /// Conditions.
    pub conditions: usize,
}

impl Default for Limits {
    /// The vendor's.
    fn default() -> Self {
        Self { characters: 400, conditions: 5 }
    }
}

/// Most rows of an answer.
pub const MAX_ROWS: u32 = 50;
/// Most rows to skip.
pub const MAX_OFFSET: u32 = 500;
/// Rows without a `limit`.
pub const DEFAULT_ROWS: u32 = 10;

/// What a search answers with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Select {
    /// Every field.
    All,
    /// These fields.
    Fields(Vec<Output>),
    /// How many devices match, and nothing else.
    Count,
}

/// A search, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// What it answers with.
    pub select: Select,
    /// Which devices; everything without a where-part.
    pub filter: Filter,
    /// Oldest first. Newest first when nothing is said, as in lists.
    pub ascending: bool,
    /// Rows to skip.
    pub offset: u32,
    /// Rows to answer with.
    pub limit: u32,
}

/// Reads a whole search.
///
/// # Errors
/// The first place that does not fit.
pub fn parse(sql: &str, limits: Limits) -> Result<Search, Refusal> {
    Grammar::new(Tokens::of(sql, limits.characters)?, limits.conditions).search()
}

/// Reads the where-part alone, as a dynamic group has it; a leading `where` is skipped. It may not name groups: whether
/// a device is in one group would hang on others.
///
/// # Errors
/// The first place that does not fit.
pub fn parse_rule(text: &str, limits: Limits) -> Result<Filter, Refusal> {
    Grammar::new(Tokens::of(text, limits.characters)?, limits.conditions).rule()
}
