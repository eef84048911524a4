//! A TCP dial: its outcome, and the report of it.

use alloc::string::String;

/// How a dial ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DialOutcome {
    /// Connected, after so many milliseconds.
    Connected {
        /// From the start of the dial, name look-up included.
        latency_ms: u64,
    },
    /// Not connected, and why.
    Failed(String),
}

/// The report of a dial that was admitted, or waited too long for its turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DialReport {
    /// What was dialed, as the request named it.
    pub target: String,
    /// How it ended.
    pub outcome: DialOutcome,
}
