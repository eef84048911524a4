//! The table of one instance's health: state × event, seen with the state of its process, → next
//! state and actions.
//!
//! What clients are shown follows from the health alone.

use super::action::{Action, Actions};
use super::process_table::Process;

/// How an instance is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    /// There was no failure, and no sign of health.
    Unknown,
    /// Its process is alive and well.
    Well,
    /// Its process is alive, but printed an error or fell silent.
    Failing,
    /// Its last process failed, or did not start.
    Failed,
}

/// An event that shows the health of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HealthEvent {
    /// It reported that it is well: a checkpoint.
    Beat,
    /// It reported an error.
    Complaint,
    /// It did not report in time.
    Missed,
    /// Its process exited with code 0.
    EndedWell,
    /// Its process exited otherwise, or did not start.
    EndedBadly,
    /// Its process was started, or taken over.
    Begun,
    /// The decision is to stop its process, or to cancel its failure.
    EndOrdered,
}

/// What clients of the v2 API are shown (Contract §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// No process.
    Stopped,
    /// A process that is well.
    Running,
    /// Something failed.
    Error,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 3] = [Self::Stopped, Self::Running, Self::Error];

    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Running => "running",
            Self::Error => "error",
        }
    }
}

impl Health {
    /// Every state, in the order of the table.
    pub const ALL: [Self; 4] = [Self::Unknown, Self::Well, Self::Failing, Self::Failed];

    /// What clients are shown in this state.
    pub const fn status(self) -> Status {
        match self {
            Self::Unknown => Status::Stopped,
            Self::Well => Status::Running,
            Self::Failing | Self::Failed => Status::Error,
        }
    }

    /// The cell for `event` while the process is in state `process`, before the same event has
    /// moved that: the next state, and what to do.
    pub const fn on(self, event: HealthEvent, process: Process) -> (Self, Actions) {
        use Health::*;
        use HealthEvent::*;
        use Process::*;
        let publish = Actions::of(&[Action::Publish]);
        let clear_and_publish = Actions::of(&[Action::ClearLive, Action::Publish]);
        match (self, event, process) {
            (_, Begun, Absent | Spawning) => (Well, publish),
            (Failing, Beat, Live) => (Well, publish),
            (_, Beat, Live | Ending) => (self, publish),
            (Well, Complaint | Missed, Live) => (Failing, clear_and_publish),
            (_, EndedWell, Live | Ending) => (Unknown, clear_and_publish),
            (_, EndedBadly, Live) => (Failed, clear_and_publish),
            (_, EndedBadly, Ending) => (Unknown, clear_and_publish),
            (_, EndedBadly, Spawning) => (Failed, publish),
            (Failed, EndOrdered, Absent | Spawning) => (Unknown, publish),

            (_, Begun, Cancelled | Live | Ending)
            | (_, Beat, Absent | Spawning | Cancelled)
            | (Unknown | Failing | Failed, Complaint | Missed, _)
            | (Well, Complaint | Missed, Absent | Spawning | Cancelled | Ending)
            | (_, EndedWell, Absent | Spawning | Cancelled)
            | (_, EndedBadly, Absent | Cancelled)
            | (Unknown | Well | Failing, EndOrdered, _)
            | (Failed, EndOrdered, Cancelled | Live | Ending) => (self, Actions::NONE),
        }
    }
}

impl HealthEvent {
    /// Every event, in the order of the table.
    pub const ALL: [Self; 7] = [
        Self::Beat,
        Self::Complaint,
        Self::Missed,
        Self::EndedWell,
        Self::EndedBadly,
        Self::Begun,
        Self::EndOrdered,
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_status_is_always_published() {
        for health in Health::ALL {
            for event in HealthEvent::ALL {
                for process in Process::ALL {
                    let (next, actions) = health.on(event, process);
                    if next.status() != health.status() {
                        assert!(actions.contains(Action::Publish), "{health:?} {event:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_gauges_of_a_process_are_cleared_when_it_is_no_longer_well() {
        for event in HealthEvent::ALL {
            for process in [Process::Live, Process::Ending] {
                let (next, actions) = Health::Well.on(event, process);
                assert_eq!(next != Health::Well, actions.contains(Action::ClearLive), "{event:?}");
            }
        }
    }
}
