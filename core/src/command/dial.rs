//! A TCP dial: its outcome, and the report of it.

use alloc::string::String;

/// How a dial ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PingOutcome {
    /// Connected, after so many milliseconds.
    Connected {
        /// From the start of the dial, name look-up included.
        latency_ms: u64,
    },
    /// Not connected, and why.
    Failed(String),
}

/// The answer to a ping that was admitted, or waited too long for its turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PingReport {
    /// What was dialled, as it was asked for.
    pub target: String,
    /// How it ended.
    pub outcome: PingOutcome,
}
