//! Why a script did not give a result.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What kind of fault it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FaultKind {
    /// The source is not JavaScript.
    Syntax,
    /// The script threw, or did what the language does not allow.
    Thrown,
    /// The function that was asked for is not there.
    NoFunction,
    /// The argument is not JSON.
    Argument,
    /// The result is not JSON, or larger than the limit.
    Result,
    /// It was not done in time.
    Time,
    /// It wanted more memory than its limit.
    Memory,
    /// All places in the queue were taken, longer than the caller waits.
    Busy,
    /// The worker broke down or cannot be started.
    Broken,
}

impl FaultKind {
    /// One word for answers and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Syntax => "syntax",
            Self::Thrown => "thrown",
            Self::NoFunction => "no_function",
            Self::Argument => "argument",
            Self::Result => "result",
            Self::Time => "time",
            Self::Memory => "memory",
            Self::Busy => "busy",
            Self::Broken => "broken",
        }
    }
}

/// What went wrong, and where in the source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub struct ScriptFault {
    /// What kind it is.
    pub kind: FaultKind,
    /// What happened, at most 1,000 characters; may quote the script.
    pub message: String,
    /// The line, from 1, where it is known.
    pub line: Option<u32>,
    /// The column, from 1, where it is known.
    pub column: Option<u32>,
}

/// Most characters of a message.
const LONGEST: usize = 1_000;

impl ScriptFault {
    pub(crate) fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        let message: String = message.into();
        Self { kind, message: message.chars().take(LONGEST).collect(), line: None, column: None }
    }

    pub(crate) fn broken(what: impl fmt::Display) -> Self {
        Self::new(FaultKind::Broken, format!("the script's worker broke down: {what}"))
    }
}

impl fmt::Display for ScriptFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match (self.line, self.column) {
            (Some(line), Some(column)) => write!(f, " (line {line}, column {column})"),
            (Some(line), None) => write!(f, " (line {line})"),
            _ => Ok(()),
        }
    }
}
