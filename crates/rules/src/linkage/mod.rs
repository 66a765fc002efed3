//! Device linkage: which rules a report concerns and what it says about their conditions; times that the clock makes true
//! (002 §5.3).
//!
//! Pure: it knows what was reported just now, not what was reported before. What cannot be said from a report alone is
//! [`Verdict::Open`].

pub mod clock;
mod table;
mod value;

#[cfg(test)]
mod tests;

pub use table::{Ready, Reporter, Row, Table, Touched, Verdict};
pub use value::{Comparison, is_number};
