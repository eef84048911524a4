//! How an instance is kept running: when it is started, restarted, given up on and stopped.
//!
//! Values only. Who acts on them is the engine; how they look on a wire is a door's affair.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::limits::{BACKOFF_FIRST_MS, BACKOFF_LONGEST_MS, GRACE_MS, HEALTHY_MS};
use crate::process::{Scope, Signal};

/// The rules that an instance is supervised by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Policy {
    /// When a process that exited is started again.
    pub restart: Restart,
    /// How many restarts are allowed in a window of time; `None` for any number.
    pub limit: Option<RestartLimit>,
    /// Whether the instance is started when the master starts.
    pub boot: Boot,
    /// How long to wait before a restart.
    pub backoff: BackoffPolicy,
    /// How a process is stopped.
    pub stop: StopPolicy,
    /// How long a run may take, in ms; it is ended then. `None` for any time.
    pub run_limit_ms: Option<u64>,
    /// Number of past runs that are kept, at most [`HISTORY_MAX`].
    pub history: u16,
    /// How long a process may run after its master renewed its lease last, in ms; it is stopped
    /// then. `None`: it does not need a master. Takes effect with the next start.
    pub lease_ms: Option<u64>,
}

/// Maximum number of past runs that an instance keeps.
pub const HISTORY_MAX: u16 = 1_000;

/// The most restarts that are counted for a limit.
pub const RESTARTS_MAX: u32 = 1_000;

/// When a process that exited by itself is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Restart {
    /// Never.
    Never,
    /// After it failed: an exit code other than 0, a signal, a start that did not succeed.
    OnFailure,
    /// Also after it exited with code 0.
    Always,
}

/// At most `max` restarts in any `window_ms` milliseconds. A `max` above [`RESTARTS_MAX`] counts
/// as that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RestartLimit {
    /// How many restarts.
    pub max: u32,
    /// In how many milliseconds.
    pub window_ms: u64,
}

/// Whether an instance is started when the master starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Boot {
    /// If its restart policy is not `Never` (Contract §11).
    Restart,
    /// If it was not stopped by request when the last master stopped.
    Saved,
    /// In any case.
    Always,
}

/// Delays that double from `first_ms` to `longest_ms` (Contract §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BackoffPolicy {
    /// The first delay.
    pub first_ms: u64,
    /// The longest delay.
    pub longest_ms: u64,
    /// A process that was healthy for this long, and for ten times the last delay, has its delays
    /// start afresh.
    pub healthy_ms: u64,
    /// A process that was healthy for this long is started again without a delay. `None` is the
    /// default of what is launched: 10 s for a command, no such time for a runtime.
    pub prompt_ms: Option<u64>,
}

/// How a process is stopped: a row of signals, each with the time it is given to work.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StopPolicy {
    steps: Arc<[StopStep]>,
    /// Who the signals go to.
    pub scope: Scope,
    /// The first signal of a stop for a restart, if it differs from that of other stops.
    pub restart_signal: Option<Signal>,
}

/// One signal of a stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StopStep {
    /// The signal.
    pub signal: Signal,
    /// How long to wait for the exit before the next step.
    pub wait_ms: u64,
}

/// A stop has no step, or more than four.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StopStepsError;

impl StopPolicy {
    /// The most steps that a stop has.
    pub const STEPS_MAX: usize = 4;

    /// # Errors
    /// No step, or more than [`Self::STEPS_MAX`].
    pub fn new(steps: Vec<StopStep>, scope: Scope) -> Result<Self, StopStepsError> {
        if (1..=Self::STEPS_MAX).contains(&steps.len()) {
            Ok(Self { steps: steps.into(), scope, restart_signal: None })
        } else {
            Err(StopStepsError)
        }
    }

    /// `signal`, and KILL when `grace_ms` have passed, for the whole process group.
    pub fn signal_then_kill(signal: Signal, grace_ms: u64) -> Self {
        let first = StopStep { signal, wait_ms: grace_ms };
        let last = StopStep { signal: Signal::KILL, wait_ms: 0 };
        Self::new(alloc::vec![first, last], Scope::Group).expect("two steps are allowed")
    }

    /// The steps, in order; one at least.
    pub fn steps(&self) -> &[StopStep] {
        &self.steps
    }

    /// Duration of the stop until the end of the step with this index, in ms.
    pub fn ms_after(&self, step: usize) -> u64 {
        self.steps.iter().skip(step + 1).fold(0, |sum, step| sum.saturating_add(step.wait_ms))
    }

    /// How long the whole stop takes, in ms.
    pub fn total_ms(&self) -> u64 {
        self.steps.iter().fold(0, |sum, step| sum.saturating_add(step.wait_ms))
    }
}

impl Default for Policy {
    /// The rules of the v2 API (Contract §6, §11).
    fn default() -> Self {
        Self {
            restart: Restart::OnFailure,
            limit: None,
            boot: Boot::Restart,
            backoff: BackoffPolicy::default(),
            stop: StopPolicy::default(),
            run_limit_ms: None,
            history: 10,
            lease_ms: None,
        }
    }
}

impl Default for BackoffPolicy {
    fn default() -> Self {
        Self {
            first_ms: BACKOFF_FIRST_MS,
            longest_ms: BACKOFF_LONGEST_MS,
            healthy_ms: HEALTHY_MS,
            prompt_ms: None,
        }
    }
}

impl Default for StopPolicy {
    /// TERM to the group, KILL 5 s later (Contract §6).
    fn default() -> Self {
        Self::signal_then_kill(Signal::TERM, GRACE_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn a_stop_has_one_to_four_steps() {
        let step = StopStep { signal: Signal::TERM, wait_ms: 1 };
        assert_eq!(StopPolicy::new(vec![], Scope::Group), Err(StopStepsError));
        assert!(StopPolicy::new(vec![step], Scope::Leader).is_ok());
        assert!(StopPolicy::new(vec![step; 4], Scope::Group).is_ok());
        assert_eq!(StopPolicy::new(vec![step; 5], Scope::Group), Err(StopStepsError));
    }

    #[test]
    fn the_default_stop_is_that_of_the_contract() {
        let steps = StopPolicy::default().steps().to_vec();
        let told: Vec<_> = steps.iter().map(|step| (step.signal, step.wait_ms)).collect();
        assert_eq!(told, [(Signal::TERM, 5_000), (Signal::KILL, 0)]);
    }
}
