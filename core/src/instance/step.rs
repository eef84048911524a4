//! One event of an instance through both tables: the next state, and the actions in their order.
//!
//! The tables know nothing of policies; whether the restart timer is armed or disarmed with a step
//! follows from `decide`.

use core::fmt;

use super::decide::{Decision, Situation, decide};
use super::desired::Desired;
use super::health::{Health, HealthEvent, Status};
use super::policy::Policy;
use super::process_table::{Process, ProcessEvent};

/// Where an instance is in its life: its process and its health.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct State {
    /// Its process.
    pub process: Process,
    /// Its health.
    pub health: Health,
}

/// What happens to an instance: an event of its process, of its health, or of both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstanceEvent {
    /// The decision is to start a process.
    SpawnOrdered,
    /// The process was started.
    Spawned,
    /// The process could not be started.
    SpawnFailed,
    /// A process of an earlier run of the master was found.
    Found,
    /// A process that outlived the master was taken over.
    Attached,
    /// The process exited with code 0.
    EndedWell,
    /// The process exited with another code or by a signal.
    EndedBadly,
    /// The decision is to end the process, or to take back the failure of the last one.
    EndOrdered,
    /// The time of one step of the stop is over.
    StepElapsed,
    /// The process reported that it is well.
    Beat,
    /// The process reported an error.
    Complaint,
    /// The process did not report in time.
    Missed,
}

/// What a step asks of the supervisor. The actions of one step are done in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// The process exited: disarm the timer of its stop, see to what is left of its group.
    Release,
    /// Zero `ping pool tcps udps`.
    ClearLive,
    /// Arm the restart timer, unless it is armed or the limit of restarts is reached.
    ScheduleRestart,
    /// Disarm the restart timer.
    CancelRestart,
    /// Take a new generation for a process that is there, and watch it.
    Adopt,
    /// Take a new generation, put counters on their new base, start a process.
    Spawn,
    /// Send the first signal of the stop policy and arm the timer of its step.
    FirstStep,
    /// Send the next signal of the stop policy and arm the timer of its step.
    NextStep,
    /// Publish the instance to the subscribers.
    Publish,
}

/// A set of actions.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Actions(u16);

/// One step: what comes next, and what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The state after the event.
    pub next: State,
    /// What to do.
    pub actions: Actions,
}

/// Takes `event` through both tables. `at` is the situation before it.
pub fn step(policy: &Policy, desired: &Desired, at: Situation, event: InstanceEvent) -> Step {
    let Step { next, actions } = at.state.on(event);
    if next == at.state {
        return Step { next, actions };
    }
    let timer = match decide(policy, desired, Situation { state: next, ..at }) {
        Decision::SpawnAt(_) => Actions::of(&[Action::ScheduleRestart]),
        Decision::Keep | Decision::Spawn | Decision::End(_) if at.restart_is_armed => {
            Actions::of(&[Action::CancelRestart])
        }
        Decision::Keep | Decision::Spawn | Decision::End(_) => Actions::NONE,
    };
    Step { next, actions: actions.and(timer) }
}

impl State {
    /// No process, and none wanted.
    pub const STOPPED: Self = Self::of(Process::Absent, Health::Unknown);
    /// A process was asked for.
    pub const STARTING: Self = Self::of(Process::Spawning, Health::Unknown);
    /// Like `STARTING`, after a failure.
    pub const RETRYING: Self = Self::of(Process::Spawning, Health::Failed);
    /// A stop came while a process was being started.
    pub const CANCELLING: Self = Self::of(Process::Cancelled, Health::Unknown);
    /// A process is alive and well.
    pub const RUNNING: Self = Self::of(Process::Live, Health::Well);
    /// A process is alive, but printed an error or fell silent.
    pub const FAILING: Self = Self::of(Process::Live, Health::Failing);
    /// A running process was asked to end.
    pub const STOPPING: Self = Self::of(Process::Ending, Health::Well);
    /// A failing process was asked to end.
    pub const STOPPING_FAILING: Self = Self::of(Process::Ending, Health::Failing);
    /// A process that was started after its stop, or was found, was asked to end.
    pub const DISCARDING: Self = Self::of(Process::Ending, Health::Unknown);
    /// No process: the last one failed, or did not start.
    pub const FAILED: Self = Self::of(Process::Absent, Health::Failed);

    /// Every pair of process and health that occurs, with its name.
    const NAMED: [(Self, &'static str); 10] = [
        (Self::STOPPED, "Stopped"),
        (Self::STARTING, "Starting"),
        (Self::RETRYING, "Retrying"),
        (Self::CANCELLING, "Cancelling"),
        (Self::RUNNING, "Running"),
        (Self::FAILING, "Failing"),
        (Self::STOPPING, "Stopping"),
        (Self::STOPPING_FAILING, "StoppingFailing"),
        (Self::DISCARDING, "Discarding"),
        (Self::FAILED, "Failed"),
    ];

    /// Every pair of process and health that occurs. The order is part of the trace format.
    pub const ALL: [Self; 10] = {
        let mut all = [Self::STOPPED; 10];
        let mut place = 0;
        while place < all.len() {
            all[place] = Self::NAMED[place].0;
            place += 1;
        }
        all
    };

    const fn of(process: Process, health: Health) -> Self {
        Self { process, health }
    }

    /// The cells of both tables for `event`, without what policies add.
    pub fn on(self, event: InstanceEvent) -> Step {
        let Self { process, health } = self;
        let (for_process, for_health) = event.parts();
        // What was there before the master is found before anything else happens.
        let is_known = |event: &ProcessEvent| {
            matches!(event, ProcessEvent::Found | ProcessEvent::Attached)
                && health != Health::Unknown
        };
        let for_process = for_process.filter(|event| !is_known(event));
        let (next, ordered) =
            for_process.map_or((process, Actions::NONE), |event| process.on(event));
        // A start or an end that did not take place tells nothing of the health.
        let tells = |event: &HealthEvent| match event {
            HealthEvent::Begun | HealthEvent::EndedWell | HealthEvent::EndedBadly => {
                next != process
            }
            HealthEvent::Beat
            | HealthEvent::Complaint
            | HealthEvent::Missed
            | HealthEvent::EndOrdered => true,
        };
        let for_health = for_health.filter(tells);
        let (next_health, shown) =
            for_health.map_or((health, Actions::NONE), |event| health.on(event, process));
        Step { next: Self::of(next, next_health), actions: ordered.and(shown) }
    }

    /// What clients of the v2 API are shown in this state.
    pub const fn status(self) -> Status {
        self.health.status()
    }

    /// Whether a process is alive, or being started.
    pub const fn has_process(self) -> bool {
        self.process.is_there()
    }

    /// Whether a process is being started and the outcome is not known.
    pub const fn is_spawning(self) -> bool {
        self.process.is_spawning()
    }

    /// Whether a start by request does something: it is shown as stopped, and no start is under
    /// way (Contract §5).
    pub fn accepts_start(self) -> bool {
        self.status() == Status::Stopped && self.process != Process::Spawning
    }

    /// Whether a stop is under way.
    pub const fn is_stopping(self) -> bool {
        self.process.is_stopping()
    }
}

impl fmt::Debug for State {
    /// The name of the pair.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Self::NAMED.iter().find(|(state, _)| state == self) {
            Some((_, name)) => f.write_str(name),
            None => write!(f, "{:?}+{:?}", self.process, self.health),
        }
    }
}

impl InstanceEvent {
    /// Every event.
    pub const ALL: [Self; 12] = [
        Self::SpawnOrdered,
        Self::Spawned,
        Self::SpawnFailed,
        Self::Found,
        Self::Attached,
        Self::EndedWell,
        Self::EndedBadly,
        Self::EndOrdered,
        Self::StepElapsed,
        Self::Beat,
        Self::Complaint,
        Self::Missed,
    ];

    /// What it is for the process and for the health.
    pub const fn parts(self) -> (Option<ProcessEvent>, Option<HealthEvent>) {
        match self {
            Self::SpawnOrdered => (Some(ProcessEvent::SpawnOrdered), None),
            Self::Spawned => (Some(ProcessEvent::Spawned), Some(HealthEvent::Begun)),
            Self::SpawnFailed => (Some(ProcessEvent::SpawnFailed), Some(HealthEvent::EndedBadly)),
            Self::Found => (Some(ProcessEvent::Found), None),
            Self::Attached => (Some(ProcessEvent::Attached), Some(HealthEvent::Begun)),
            Self::EndedWell => (Some(ProcessEvent::Ended), Some(HealthEvent::EndedWell)),
            Self::EndedBadly => (Some(ProcessEvent::Ended), Some(HealthEvent::EndedBadly)),
            Self::EndOrdered => (Some(ProcessEvent::EndOrdered), Some(HealthEvent::EndOrdered)),
            Self::StepElapsed => (Some(ProcessEvent::StepElapsed), None),
            Self::Beat => (None, Some(HealthEvent::Beat)),
            Self::Complaint => (None, Some(HealthEvent::Complaint)),
            Self::Missed => (None, Some(HealthEvent::Missed)),
        }
    }
}

impl Action {
    const ALL: [Self; 9] = [
        Self::Release,
        Self::ClearLive,
        Self::ScheduleRestart,
        Self::CancelRestart,
        Self::Adopt,
        Self::Spawn,
        Self::FirstStep,
        Self::NextStep,
        Self::Publish,
    ];
}

impl Actions {
    /// Nothing to do.
    pub const NONE: Self = Self(0);

    /// These actions.
    pub const fn of(actions: &[Action]) -> Self {
        let (mut bits, mut place) = (0, 0);
        while place < actions.len() {
            bits |= 1 << actions[place] as u16;
            place += 1;
        }
        Self(bits)
    }

    /// These and others.
    #[must_use]
    pub const fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Whether there is nothing to do.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether `action` is among them.
    pub const fn contains(self, action: Action) -> bool {
        self.0 & (1 << action as u16) != 0
    }

    /// The actions, in the order in which they are done.
    pub fn iter(self) -> impl Iterator<Item = Action> {
        Action::ALL.into_iter().filter(move |action| self.contains(*action))
    }
}

impl fmt::Debug for Actions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instance::{Goal, Restart, Why, why_to_end};

    /// Every situation, with every policy and every wish.
    fn situations() -> impl Iterator<Item = (Policy, Desired, Situation)> {
        let policies = [Restart::Never, Restart::OnFailure, Restart::Always];
        (0..3 * 2 * 2 * 10 * 16).map(move |number: usize| {
            let (flags, rest) = (number % 16, number / 16);
            let (state, rest) = (State::ALL[rest % 10], rest / 10);
            let goal = if rest % 2 == 0 { Goal::Up } else { Goal::Down };
            let restart = rest / 2 % 2 == 0;
            let policy = Policy { restart: policies[rest / 4], ..Policy::default() };
            let at = Situation {
                state,
                queue_is_empty: flags & 1 == 0,
                draining: flags & 2 != 0,
                gave_up: flags & 4 != 0,
                restart_is_armed: flags & 8 != 0,
            };
            (policy, Desired { goal, restart, ..Desired::default() }, at)
        })
    }

    #[test]
    fn no_event_leads_out_of_the_named_states() {
        for state in State::ALL {
            for event in InstanceEvent::ALL {
                let next = state.on(event).next;
                assert!(State::ALL.contains(&next), "{state:?} {event:?} {next:?}");
            }
        }
    }

    #[test]
    fn every_decision_can_be_carried_out_and_is_not_taken_twice() {
        for (policy, desired, at) in situations() {
            let ordered = match decide(&policy, &desired, at) {
                Decision::Keep | Decision::SpawnAt(_) => continue,
                Decision::Spawn => InstanceEvent::SpawnOrdered,
                Decision::End(_) => InstanceEvent::EndOrdered,
            };
            let next = at.state.on(ordered).next;
            assert_ne!(next, at.state, "{desired:?} {at:?}");
            // A start that was carried out is not asked for any more.
            let restart = desired.restart && ordered != InstanceEvent::SpawnOrdered;
            let (desired, at) = (Desired { restart, ..desired }, Situation { state: next, ..at });
            let again = decide(&policy, &desired, at);
            let starts = again == Decision::Spawn && ordered == InstanceEvent::EndOrdered;
            let rests = matches!(again, Decision::Keep | Decision::SpawnAt(_));
            assert!(starts || rests, "{desired:?} {at:?}: {again:?} follows");
        }
    }

    #[test]
    fn nothing_is_started_that_has_a_reason_to_end() {
        for (policy, desired, at) in situations() {
            let why = why_to_end(&desired, at);
            match decide(&policy, &desired, at) {
                Decision::Spawn => assert_eq!(why, Some(Why::Restart), "{at:?}"),
                Decision::SpawnAt(backoff) => {
                    assert_eq!(why, None, "{at:?}");
                    assert_eq!(backoff, policy.backoff);
                    assert!(policy.restart != Restart::Never && !at.gave_up, "{at:?}");
                    let is_clean = at.state == State::STOPPED;
                    assert!(!is_clean || policy.restart == Restart::Always, "{at:?}");
                }
                Decision::End(given) => {
                    assert_eq!(why, Some(given), "{at:?}");
                    assert!(at.state.has_process() || at.state == State::FAILED, "{at:?}");
                    assert!(!at.state.is_stopping(), "{at:?}");
                }
                Decision::Keep => {
                    let runs = matches!(at.state.process, Process::Spawning | Process::Live);
                    assert!(!runs || why.is_none(), "{at:?}");
                }
            }
        }
    }

    #[test]
    fn the_restart_timer_is_armed_exactly_where_the_decision_waits_for_it() {
        for (policy, desired, at) in situations() {
            for event in InstanceEvent::ALL {
                let step = step(&policy, &desired, at, event);
                if step.next == at.state {
                    continue;
                }
                let after = Situation { state: step.next, ..at };
                let waits = matches!(decide(&policy, &desired, after), Decision::SpawnAt(_));
                assert_eq!(step.actions.contains(Action::ScheduleRestart), waits);
                let cancels = step.actions.contains(Action::CancelRestart);
                assert_eq!(cancels, !waits && at.restart_is_armed, "{at:?} {event:?}");
            }
        }
    }

    #[test]
    fn a_changed_status_is_always_published() {
        for state in State::ALL {
            for event in InstanceEvent::ALL {
                let step = state.on(event);
                if step.next.status() != state.status() {
                    assert!(step.actions.contains(Action::Publish), "{state:?} {event:?}");
                }
            }
        }
    }

    #[test]
    fn a_process_ends_where_it_was_asked_to_and_starts_where_there_is_none() {
        for state in State::ALL {
            for event in InstanceEvent::ALL {
                let step = state.on(event);
                if step.actions.contains(Action::Spawn) || step.actions.contains(Action::Adopt) {
                    assert!(!state.has_process(), "{state:?} {event:?}");
                }
                if step.actions.contains(Action::NextStep) {
                    assert_eq!((state.process, step.next), (Process::Ending, state));
                }
            }
        }
    }
}
