//! The status machine of one instance, as a table: state × event → next state and actions.
//!
//! Contract §6 gives three statuses; the states here are finer, because a start and a stop take
//! time. This file owns the table alone: who raises an event and who carries an action out is
//! the supervisor's part (`engine::supervisor`). `docs/STATUS.md` is rendered from here.

use core::fmt;

use super::view::Status;

/// Where an instance is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// No process, and none wanted.
    Stopped,
    /// A process was asked for; whether it came to life is not known yet.
    Starting,
    /// Like `Starting`, after a failure.
    Retrying,
    /// A stop came while a process was being started.
    Cancelling,
    /// A process is alive and well.
    Running,
    /// A process is alive, but said `ERROR` or fell silent.
    Failing,
    /// A running process was asked to end.
    Stopping,
    /// A failing process was asked to end.
    StoppingFailing,
    /// A process that came to life after its stop, or was left behind, was asked to end.
    Discarding,
    /// No process: the last one failed, or did not start.
    Failed,
}

/// What can happen to an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StateEvent {
    /// Somebody wants it to run.
    StartWanted,
    /// Somebody wants it to be stopped.
    StopWanted,
    /// The restart timer ran out.
    RestartDue,
    /// The process came to life.
    Started,
    /// The process could not be started.
    StartFailed,
    /// The process exited with 0.
    ExitedClean,
    /// The process exited with another code or by a signal.
    ExitedFailed,
    /// The process printed a line with `ERROR`.
    ErrorLogged,
    /// The process printed a checkpoint.
    CheckpointSeen,
    /// No checkpoint for too long, after at least one.
    FellSilent,
    /// The grace period of a stop is over.
    GraceElapsed,
    /// A process that an earlier run of the master left behind was found.
    LeftBehind,
}

/// What a step asks of the supervisor, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Take a new generation, put counters on their new base, start a process.
    Spawn,
    /// Take a new generation for a process that was found, and watch it.
    Adopt,
    /// Send TERM to the group and arm the grace timer.
    Terminate,
    /// Send KILL to the group.
    Kill,
    /// The process is gone: disarm its grace timer, see to what is left of its group.
    Release,
    /// Zero `ping pool tcps udps`.
    ClearLive,
    /// Arm the restart timer, if the policy says so and it is not armed.
    ScheduleRestart,
    /// Disarm the restart timer.
    CancelRestart,
    /// Remember that a start is wanted once this stop is over.
    StartLater,
    /// Tell the subscribers.
    Publish,
}

/// One cell of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The state after the event.
    pub next: State,
    /// What to do, in order.
    pub actions: &'static [Action],
}

impl State {
    /// Every state, in the order of the table.
    pub const ALL: [Self; 10] = [
        Self::Stopped,
        Self::Starting,
        Self::Retrying,
        Self::Cancelling,
        Self::Running,
        Self::Failing,
        Self::Stopping,
        Self::StoppingFailing,
        Self::Discarding,
        Self::Failed,
    ];

    /// What clients are shown in this state.
    pub const fn status(self) -> Status {
        match self {
            Self::Stopped | Self::Starting | Self::Cancelling | Self::Discarding => Status::Stopped,
            Self::Running | Self::Stopping => Status::Running,
            Self::Retrying | Self::Failing | Self::StoppingFailing | Self::Failed => Status::Error,
        }
    }

    /// Whether a process is alive, or being started.
    pub const fn has_process(self) -> bool {
        !matches!(self, Self::Stopped | Self::Failed)
    }

    /// Whether a process is being started and the outcome is not known.
    pub const fn is_spawning(self) -> bool {
        matches!(self, Self::Starting | Self::Retrying | Self::Cancelling)
    }

    /// Whether a stop is under way.
    pub const fn is_stopping(self) -> bool {
        matches!(self, Self::Cancelling | Self::Stopping | Self::StoppingFailing | Self::Discarding)
    }

    /// The cell for `event`: what comes next and what is to be done.
    pub const fn on(self, event: StateEvent) -> Step {
        use Action::*;
        use State::*;
        use StateEvent::*;
        let (next, actions): (State, &'static [Action]) = match (self, event) {
            (Stopped, StartWanted) => (Starting, &[Spawn]),
            // A stop that is shown as done already can be taken back; one that is still shown as
            // running cannot (`start` acts only on `stopped`).
            (Cancelling, StartWanted) => (Cancelling, &[StartLater]),
            (Discarding, StartWanted) => (Discarding, &[StartLater]),
            (
                Starting | Retrying | Running | Failing | Stopping | StoppingFailing | Failed,
                StartWanted,
            ) => (self, &[]),

            (Starting, StopWanted) => (Cancelling, &[]),
            (Retrying, StopWanted) => (Cancelling, &[Publish]),
            (Running, StopWanted) => (Stopping, &[Terminate]),
            (Failing, StopWanted) => (StoppingFailing, &[CancelRestart, Terminate]),
            (Failed, StopWanted) => (Stopped, &[CancelRestart, Publish]),
            (Stopped | Cancelling | Stopping | StoppingFailing | Discarding, StopWanted) => {
                (self, &[])
            }

            (Failed, RestartDue) => (Retrying, &[Spawn]),
            (Failing, RestartDue) => (StoppingFailing, &[StartLater, Terminate]),
            (
                Stopped | Starting | Retrying | Cancelling | Running | Stopping | StoppingFailing
                | Discarding,
                RestartDue,
            ) => (self, &[]),

            (Starting | Retrying, Started) => (Running, &[Publish]),
            (Cancelling, Started) => (Discarding, &[Terminate]),
            (
                Stopped | Running | Failing | Stopping | StoppingFailing | Discarding | Failed,
                Started,
            ) => (self, &[]),

            (Starting | Retrying, StartFailed) => (Failed, &[ScheduleRestart, Publish]),
            (Cancelling, StartFailed) => (Stopped, &[]),
            (
                Stopped | Running | Failing | Stopping | StoppingFailing | Discarding | Failed,
                StartFailed,
            ) => (self, &[]),

            (Running, ExitedClean) => (Stopped, &[Release, ClearLive, Publish]),
            (Failing, ExitedClean) => (Stopped, &[Release, ClearLive, CancelRestart, Publish]),
            (Running | Failing, ExitedFailed) => {
                (Failed, &[Release, ClearLive, ScheduleRestart, Publish])
            }
            (Stopping | StoppingFailing | Discarding, ExitedClean | ExitedFailed) => {
                (Stopped, &[Release, ClearLive, Publish])
            }
            (Stopped | Starting | Retrying | Cancelling | Failed, ExitedClean | ExitedFailed) => {
                (self, &[])
            }

            (Running, ErrorLogged | FellSilent) => {
                (Failing, &[ClearLive, ScheduleRestart, Publish])
            }
            (
                Stopped | Starting | Retrying | Cancelling | Failing | Stopping | StoppingFailing
                | Discarding | Failed,
                ErrorLogged | FellSilent,
            ) => (self, &[]),

            (Failing, CheckpointSeen) => (Running, &[CancelRestart, Publish]),
            (Running | Stopping | StoppingFailing | Discarding, CheckpointSeen) => {
                (self, &[Publish])
            }
            (Stopped | Starting | Retrying | Cancelling | Failed, CheckpointSeen) => (self, &[]),

            (Stopping | StoppingFailing | Discarding, GraceElapsed) => (self, &[Kill]),
            (
                Stopped | Starting | Retrying | Cancelling | Running | Failing | Failed,
                GraceElapsed,
            ) => (self, &[]),

            // Ended first: what it was started with may have changed since.
            (Stopped, LeftBehind) => (Discarding, &[Adopt, Terminate]),
            (
                Starting | Retrying | Cancelling | Running | Failing | Stopping | StoppingFailing
                | Discarding | Failed,
                LeftBehind,
            ) => (self, &[]),
        };
        Step { next, actions }
    }
}

impl StateEvent {
    /// Every event, in the order of the table.
    pub const ALL: [Self; 12] = [
        Self::StartWanted,
        Self::StopWanted,
        Self::RestartDue,
        Self::Started,
        Self::StartFailed,
        Self::ExitedClean,
        Self::ExitedFailed,
        Self::ErrorLogged,
        Self::CheckpointSeen,
        Self::FellSilent,
        Self::GraceElapsed,
        Self::LeftBehind,
    ];
}

/// The whole table as a Markdown page; `docs/STATUS.md` is this text, kept so by a test.
#[derive(Clone, Copy, Debug)]
pub struct StatusPage;

impl fmt::Display for StatusPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "# The status machine\n")?;
        writeln!(f, "Rendered from `core/src/instance/process_table.rs`; do not edit by hand.\n")?;
        writeln!(
            f,
            "| state | shown as | event | next | actions, in order |\n|---|---|---|---|---|"
        )?;
        for state in State::ALL {
            for event in StateEvent::ALL {
                let step = state.on(event);
                if step.next == state && step.actions.is_empty() {
                    continue;
                }
                let status = state.status().as_str();
                write!(f, "| {state:?} | {status} | {event:?} | {:?} |", step.next)?;
                for action in step.actions {
                    write!(f, " {action:?}")?;
                }
                writeln!(f, " |")?;
            }
        }
        writeln!(f, "\nEvery other pair of state and event changes nothing.\n")?;
        writeln!(f, "```dot\ndigraph status {{")?;
        for state in State::ALL {
            for event in StateEvent::ALL {
                let next = state.on(event).next;
                if next != state {
                    writeln!(f, "  {state:?} -> {next:?} [label=\"{event:?}\"];")?;
                }
            }
        }
        writeln!(f, "}}\n```")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Action::*;

    #[test]
    fn the_page_under_docs_is_this_table() {
        let mut settings = insta::Settings::clone_current();
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        settings.bind(|| insta::assert_snapshot!("status_table", StatusPage));
        let page = alloc::string::ToString::to_string(&StatusPage);
        assert_eq!(
            include_str!("../../../docs/STATUS.md"),
            page,
            "docs/STATUS.md is stale: copy the snapshot's text there"
        );
    }

    #[test]
    fn a_process_is_started_only_where_there_is_none() {
        for state in State::ALL {
            for event in StateEvent::ALL {
                if state.on(event).actions.contains(&Spawn) {
                    assert!(!state.has_process(), "{state:?} {event:?}");
                    assert!(state.on(event).next.is_spawning());
                }
            }
        }
    }

    #[test]
    fn signals_go_only_to_a_process_that_lives() {
        for state in State::ALL {
            for event in StateEvent::ALL {
                let actions = state.on(event).actions;
                if actions.contains(&Terminate) || actions.contains(&Kill) {
                    let lives = state.has_process() && !state.is_spawning();
                    let found = matches!(event, StateEvent::Started | StateEvent::LeftBehind);
                    assert!(lives || found, "{state:?} {event:?}");
                }
            }
        }
    }

    #[test]
    fn a_changed_status_is_always_published() {
        for state in State::ALL {
            for event in StateEvent::ALL {
                let step = state.on(event);
                if step.next.status() != state.status() {
                    assert!(step.actions.contains(&Publish), "{state:?} {event:?}");
                }
            }
        }
    }

    #[test]
    fn no_error_without_a_way_back() {
        for state in State::ALL {
            for event in StateEvent::ALL {
                let step = state.on(event);
                let fails = !matches!(state, State::Failing | State::Failed)
                    && matches!(step.next, State::Failing | State::Failed);
                assert_eq!(
                    fails,
                    step.actions.contains(&ScheduleRestart) && state != State::Failing,
                    "{state:?} {event:?}"
                );
            }
        }
    }
}
