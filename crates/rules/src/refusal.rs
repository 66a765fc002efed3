//! Why a text is not taken.

use std::fmt;

use causeway_model::{Code, Error};

/// The place and the reason. Both are for the person who wrote the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The character where it goes wrong, counted from 1; one behind the last when the text ends too early.
    pub at: usize,
    /// What is wrong and what would be right.
    pub reason: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at character {}: {}", self.at, self.reason)
    }
}

impl std::error::Error for Refusal {}

impl Refusal {
    /// The error of a request that carries the text as `field`.
    #[must_use]
    pub fn of_search(&self, field: &str) -> Error {
        Error::new(Code::InvalidSearch, format!("Invalid input. '{field}' cannot be read {self}."))
    }
}
