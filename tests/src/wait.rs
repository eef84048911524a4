//! Waiting for the outside world.
//!
//! Prefer waiting for an event of the stream ([`crate::sse`]); this is for what no event shows:
//! a process that has exited, a file that appears, a socket that closes.

use std::thread;
use std::time::{Duration, Instant};

use crate::PATIENCE;

/// How often a condition is looked at.
const POLL: Duration = Duration::from_millis(10);

/// Looks at `condition` until it yields a value, and panics naming `what` after [`PATIENCE`].
pub fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(start.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain for: {what}");
        thread::sleep(POLL);
    }
}

/// As [`eventually`] for a condition that is simply true or not.
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    eventually(what, || condition().then_some(()));
}

/// Watches `condition` hold for as long as `duration`: the only way to see that a thing does
/// **not** happen by itself. Belongs into a group that runs side by side (`slow.rs`).
pub fn holds_for(what: &str, duration: Duration, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while start.elapsed() < duration {
        assert!(condition(), "after {:?} no longer: {what}", start.elapsed());
        thread::sleep(POLL * 5);
    }
}
