//! Standard output: lines, and one line of progress, in place on a terminal and seldom elsewhere.

use std::io::{self, IsTerminal, Stdout, Write};
use std::time::{Duration, Instant};

/// How often progress is shown.
const ON_A_TERMINAL: Duration = Duration::from_secs(1);
const ELSEWHERE: Duration = Duration::from_secs(10);

/// The output of the command.
pub(crate) struct Console {
    out: Stdout,
    is_terminal: bool,
    shown_at: Instant,
    /// Whether the current line is an unfinished line of progress.
    is_open: bool,
}

impl Console {
    pub(crate) fn new() -> Self {
        let out = io::stdout();
        let is_terminal = out.is_terminal();
        Self { out, is_terminal, shown_at: Instant::now(), is_open: false }
    }

    /// Prints lines.
    pub(crate) fn say(&mut self, text: &str) -> io::Result<()> {
        if std::mem::take(&mut self.is_open) {
            self.out.write_all(b"\r\x1b[K")?;
        }
        writeln!(self.out, "{text}")
    }

    /// Shows how far things are, if it is time to.
    pub(crate) fn progress(&mut self, text: impl FnOnce() -> String) -> io::Result<()> {
        let interval = if self.is_terminal { ON_A_TERMINAL } else { ELSEWHERE };
        if self.shown_at.elapsed() < interval {
            return Ok(());
        }
        self.shown_at = Instant::now();
        if !self.is_terminal {
            return writeln!(self.out, "{}", text());
        }
        self.is_open = true;
        write!(self.out, "\r\x1b[K{}", text())?;
        self.out.flush()
    }
}
