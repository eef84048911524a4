//! A TCP dial: its outcome, and the report of it.

use alloc::string::String;

/// The result of a dial.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum DialOutcome {
    /// Connected, after this many milliseconds.
    Connected {
        /// From the start of the dial, name look-up included.
        latency_ms: u64,
    },
    /// Not connected, and why.
    Failed(String),
}

/// The report of a dial that was admitted, or waited too long for its turn.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DialReport {
    /// The target, as the request named it.
    pub target: String,
    /// The result.
    pub outcome: DialOutcome,
}
