//! The decision about one instance: the next action, given the desired and the actual state.
//!
//! Pure and level-triggered: it depends on the current state, not on the last event, so it can be
//! evaluated at any time and repeatedly.

use super::desired::{Desired, Goal};
use super::health::Health;
use super::policy::{BackoffPolicy, Policy, Restart};
use super::process_table::Process;
use super::state::State;

/// The current state of one instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Situation {
    /// Its process and its health.
    pub state: State,
    /// Whether no operation waits for its process to exit.
    pub queue_is_empty: bool,
    /// Whether the master is shutting down.
    pub draining: bool,
    /// Whether its limit of restarts was reached.
    pub gave_up: bool,
    /// Whether its restart timer is armed.
    pub restart_is_armed: bool,
    /// Whether an instance that it starts after is not ready.
    pub is_held: bool,
    /// Whether something that started after it runs and is stopped first.
    pub is_needed: bool,
}

/// What to do with an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Nothing: it is as it has to be, or something is under way.
    Keep,
    /// Start a process.
    Spawn,
    /// Start a process when the back-off is over; stop the current one first, if there is one.
    SpawnAt(BackoffPolicy),
    /// End the process, or take back the failure of the last one.
    End(Why),
}

/// Why an instance is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// The master shuts down.
    Shutdown,
    /// A replacement or a deletion waits for it.
    Operation,
    /// It was stopped by request.
    Stop,
    /// It is started again, by request or after a failure.
    Restart,
}

/// What to do with an instance that is wanted as `desired` says.
pub const fn decide(policy: &Policy, desired: &Desired, at: Situation) -> Decision {
    let State { process, health } = at.state;
    match process {
        // A pending start or stop has to finish first.
        Process::Cancelled | Process::Ending => Decision::Keep,
        Process::Absent => match (why_to_end(desired, at), health) {
            // A failure is taken back before anything else is done.
            (Some(why), Health::Failed) => Decision::End(why),
            (Some(Why::Restart), _) if at.is_held => Decision::Keep,
            (Some(Why::Restart), _) => Decision::Spawn,
            (Some(Why::Shutdown | Why::Operation | Why::Stop), _) => Decision::Keep,
            (None, Health::Failed) if !at.gave_up => match policy.restart {
                Restart::OnFailure | Restart::Always => Decision::SpawnAt(policy.backoff),
                Restart::Never => Decision::Keep,
            },
            (None, Health::Unknown) if !at.gave_up => match policy.restart {
                Restart::Always => Decision::SpawnAt(policy.backoff),
                Restart::OnFailure | Restart::Never => Decision::Keep,
            },
            (None, _) => Decision::Keep,
        },
        Process::Spawning | Process::Live => match (why_to_end(desired, at), health) {
            (Some(Why::Shutdown | Why::Stop | Why::Restart), _) if at.is_needed => Decision::Keep,
            (Some(why), _) => Decision::End(why),
            (None, Health::Failing) if !at.gave_up => match policy.restart {
                Restart::OnFailure | Restart::Always => Decision::SpawnAt(policy.backoff),
                Restart::Never => Decision::Keep,
            },
            (None, _) => Decision::Keep,
        },
    }
}

/// Why the process must stop, if it must.
pub const fn why_to_end(desired: &Desired, at: Situation) -> Option<Why> {
    if at.draining {
        Some(Why::Shutdown)
    } else if !at.queue_is_empty {
        Some(Why::Operation)
    } else if matches!(desired.goal, Goal::Down) {
        Some(Why::Stop)
    } else if desired.restart {
        Some(Why::Restart)
    } else {
        None
    }
}
