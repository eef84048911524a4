//! A bar on the terminal while much is under way.

use std::io::{self, IsTerminal, Write};

/// Fewer are done before anybody looks.
const WORTH_A_BAR: usize = 8;

const WIDTH: usize = 30;

/// A bar on standard error, where that is a terminal.
#[derive(Debug)]
pub(crate) struct Progress {
    what: &'static str,
    total: usize,
    shown: Option<usize>,
    is_wanted: bool,
}

impl Progress {
    /// A bar for this many items.
    pub(crate) fn new(what: &'static str, total: usize) -> Self {
        let is_wanted = total >= WORTH_A_BAR && io::stderr().is_terminal();
        Self { what, total, shown: None, is_wanted }
    }

    /// Shows that this many are done.
    pub(crate) fn at(&mut self, done: usize) {
        let percent = done * 100 / self.total.max(1);
        if !self.is_wanted || self.shown == Some(percent) {
            return;
        }
        self.shown = Some(percent);
        let _ = write!(io::stderr(), "\r{}\x1b[K", bar(self.what, done, self.total));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.is_wanted {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

fn bar(what: &str, done: usize, total: usize) -> String {
    let filled = done * WIDTH / total.max(1);
    format!("{what} [{}{}] {done}/{total}", "#".repeat(filled), "-".repeat(WIDTH - filled))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_fills() {
        assert_eq!(bar("stop", 0, 10), "stop [------------------------------] 0/10");
        assert_eq!(bar("stop", 5, 10), "stop [###############---------------] 5/10");
        assert_eq!(bar("stop", 10, 10), "stop [##############################] 10/10");
    }
}
