//! The table of one instance's process: state × event → next state and actions.
//!
//! Independent of health, policy and commands, which other tables and the decision handle.

use super::action::{Action, Actions};

/// Where the process of an instance is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Process {
    /// There is no process.
    Absent,
    /// A start was ordered; its outcome is not known yet.
    Spawning,
    /// A start was ordered, and a stop before its result was known.
    Cancelled,
    /// It is alive.
    Live,
    /// It runs and was asked to exit.
    Ending,
}

/// What happens to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProcessEvent {
    /// The decision is to start one.
    SpawnOrdered,
    /// It was started.
    Spawned,
    /// It could not be started.
    SpawnFailed,
    /// A process of an earlier run of the master was found whose output is lost.
    Found,
    /// A process that survived the last master was taken over with its output.
    Attached,
    /// It exited.
    Ended,
    /// The decision is to stop it.
    EndOrdered,
    /// The time of one step of its stop is over.
    StepElapsed,
}

impl Process {
    /// Every state, in the order of the table.
    pub const ALL: [Self; 5] =
        [Self::Absent, Self::Spawning, Self::Cancelled, Self::Live, Self::Ending];

    /// Whether a process is alive, or being started.
    pub const fn is_there(self) -> bool {
        !matches!(self, Self::Absent)
    }

    /// Whether a start is under way.
    pub const fn is_spawning(self) -> bool {
        matches!(self, Self::Spawning | Self::Cancelled)
    }

    /// Whether its stop was ordered.
    pub const fn is_stopping(self) -> bool {
        matches!(self, Self::Cancelled | Self::Ending)
    }

    /// The cell for `event`: the next state, and what to do.
    pub const fn on(self, event: ProcessEvent) -> (Self, Actions) {
        use Process::*;
        use ProcessEvent::*;
        match (self, event) {
            (Absent, SpawnOrdered) => (Spawning, Actions::of(&[Action::Spawn])),
            // It is stopped first: its definition may have changed since it was started.
            (Absent, Found) => (Ending, Actions::of(&[Action::Adopt, Action::FirstStep])),
            (Absent, Attached) => (Live, Actions::of(&[Action::Adopt])),
            (Spawning, Spawned) => (Live, Actions::NONE),
            (Spawning | Cancelled, SpawnFailed) => (Absent, Actions::NONE),
            (Spawning, EndOrdered) => (Cancelled, Actions::NONE),
            (Cancelled, Spawned) => (Ending, Actions::of(&[Action::FirstStep])),
            (Live, EndOrdered) => (Ending, Actions::of(&[Action::FirstStep])),
            (Live | Ending, Ended) => (Absent, Actions::of(&[Action::Release])),
            (Ending, StepElapsed) => (Ending, Actions::of(&[Action::NextStep])),

            (Absent, Spawned | SpawnFailed | Ended | EndOrdered | StepElapsed)
            | (Spawning, SpawnOrdered | Found | Attached | Ended | StepElapsed)
            | (Cancelled, SpawnOrdered | Found | Attached | Ended | EndOrdered | StepElapsed)
            | (Live, SpawnOrdered | Spawned | SpawnFailed | Found | Attached | StepElapsed)
            | (Ending, SpawnOrdered | Spawned | SpawnFailed | Found | Attached | EndOrdered) => {
                (self, Actions::NONE)
            }
        }
    }
}

impl ProcessEvent {
    /// Every event, in the order of the table.
    pub const ALL: [Self; 8] = [
        Self::SpawnOrdered,
        Self::Spawned,
        Self::SpawnFailed,
        Self::Found,
        Self::Attached,
        Self::Ended,
        Self::EndOrdered,
        Self::StepElapsed,
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells() -> impl Iterator<Item = (Process, ProcessEvent, Process, Actions)> {
        Process::ALL.into_iter().flat_map(|process| {
            ProcessEvent::ALL.into_iter().map(move |event| {
                let (next, actions) = process.on(event);
                (process, event, next, actions)
            })
        })
    }

    #[test]
    fn a_process_is_started_only_where_there_is_none() {
        for (process, event, next, actions) in cells() {
            let begins = actions.contains(Action::Spawn) || actions.contains(Action::Adopt);
            assert_eq!(begins, !process.is_there() && next.is_there(), "{process:?} {event:?}");
        }
    }

    #[test]
    fn signals_go_only_to_a_process_that_lives() {
        for (process, event, next, actions) in cells() {
            if actions.contains(Action::FirstStep) || actions.contains(Action::NextStep) {
                assert_eq!(next, Process::Ending, "{process:?} {event:?}");
            }
            let begins_to_end = process != Process::Ending && next == Process::Ending;
            assert_eq!(begins_to_end, actions.contains(Action::FirstStep), "{process:?} {event:?}");
        }
    }

    #[test]
    fn a_process_that_lived_is_released_once() {
        for (process, event, next, actions) in cells() {
            let ends = matches!(process, Process::Live | Process::Ending) && !next.is_there();
            assert_eq!(ends, actions.contains(Action::Release), "{process:?} {event:?}");
        }
    }
}
