//! Whether an instance is ready, and what its own start waits for.
//!
//! The part of an instance that its checks move. What clients of the v2 API are shown does not
//! depend on it.

use alloc::boxed::Box;

/// What is known of the readiness of an instance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// Its process has met its rule.
    pub met: bool,
    /// It exited with code 0 without a request: its work is done.
    pub done: bool,
    /// How often its process was asked without success since its start.
    pub asked: u32,
    /// How many live checks in a row failed.
    pub missed: u32,
    /// Whether it is failing for that.
    pub failed_live: bool,
    /// Whether it is failing because it was not ready in time.
    pub late: bool,
    /// Whether those that wait for it know it as ready.
    pub announced: bool,
    /// The alias that its start waits for.
    pub waits_for: Option<Box<str>>,
    /// Something runs that starts after it, and is stopped before.
    pub is_needed: bool,
}

impl Readiness {
    /// A process begins.
    pub const fn begin(&mut self) {
        (self.met, self.done, self.late) = (false, false, false);
        (self.asked, self.missed, self.failed_live) = (0, 0, false);
    }

    /// Its process exited; `done` if its work is.
    pub const fn end(&mut self, done: bool) {
        self.begin();
        self.done = done;
    }
}
