//! One line of progress on stderr: rewritten in place on a terminal, printed now and then elsewhere.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

/// How often a terminal line is rewritten.
const TERMINAL_INTERVAL: Duration = Duration::from_millis(200);
/// How often a line is printed where stderr is a file or a pipe.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// A status line that costs nothing when it is called too often.
pub(crate) struct Progress {
    terminal: bool,
    started: Instant,
    shown: Option<Instant>,
    width: usize,
}

impl Progress {
    /// Starts the clock; nothing is shown yet.
    pub(crate) fn new() -> Self {
        Self { terminal: std::io::stderr().is_terminal(), started: Instant::now(), shown: None, width: 0 }
    }

    /// Shows `line` if the last one is old enough. The text is built only then.
    pub(crate) fn update(&mut self, line: impl FnOnce() -> String) {
        let interval = if self.terminal { TERMINAL_INTERVAL } else { LOG_INTERVAL };
        // The first line waits a whole interval too, so that short work stays silent in log files.
        if self.shown.unwrap_or(self.started).elapsed() < interval {
            return;
        }
        self.shown = Some(Instant::now());
        self.write(&line());
    }

    fn write(&mut self, line: &str) {
        let mut err = std::io::stderr().lock();
        // Progress is a courtesy: a closed stderr must not end the run.
        let _ = if self.terminal {
            let width = std::mem::replace(&mut self.width, line.chars().count());
            write!(err, "\r{line:<width$}").and_then(|()| err.flush())
        } else {
            writeln!(err, "{line}")
        };
    }

    /// Takes the line off a terminal; what was printed elsewhere stays.
    pub(crate) fn clear(&mut self) {
        if self.terminal && self.width > 0 {
            let _ = write!(std::io::stderr(), "\r{:<1$}\r", "", self.width);
        }
        self.width = 0;
    }

    /// Leaves `line` standing as the last word on this piece of work.
    pub(crate) fn finish(&mut self, line: &str) {
        self.write(line);
        if self.terminal {
            let _ = writeln!(std::io::stderr());
        }
        self.width = 0;
    }
}
