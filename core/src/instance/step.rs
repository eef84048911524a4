//! Applies one event of an instance to both tables: the next state, and the actions in order.
//!
//! The tables are independent of policies; `decide` determines whether a step arms or disarms the
//! restart timer.

use super::action::{Action, Actions};
use super::decide::{Decision, Situation, decide};
use super::desired::Desired;
use super::health::{Health, HealthEvent};
use super::policy::Policy;
use super::process_table::ProcessEvent;
use super::state::State;

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
    /// A process that survived the last master was taken over.
    Attached,
    /// The process exited with code 0.
    EndedWell,
    /// The process exited with another code or by a signal.
    EndedBadly,
    /// The decision is to stop the process, or to cancel the failure of the last one.
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

/// One step: the next state and the actions.
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
    /// The cells of both tables for `event`, without what policies add.
    pub fn on(self, event: InstanceEvent) -> Step {
        let Self { process, health } = self;
        let (for_process, for_health) = event.parts();
        // Processes of an earlier master are found before any other event.
        let is_known = |event: &ProcessEvent| {
            matches!(event, ProcessEvent::Found | ProcessEvent::Attached)
                && health != Health::Unknown
        };
        let for_process = for_process.filter(|event| !is_known(event));
        let (next, ordered) =
            for_process.map_or((process, Actions::NONE), |event| process.on(event));
        // A start or stop that did not take place says nothing about the health.
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
        Step { next: Self { process: next, health: next_health }, actions: ordered.and(shown) }
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

    /// The event as both tables see it.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instance::{Goal, Process, Restart, Why, why_to_end};

    /// Every state, with every policy and every desired state.
    fn situations() -> impl Iterator<Item = (Policy, Desired, Situation)> {
        let policies = [Restart::Never, Restart::OnFailure, Restart::Always];
        (0..3 * 2 * 2 * 10 * 64).map(move |number: usize| {
            let (flags, rest) = (number % 64, number / 64);
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
                is_held: flags & 16 != 0,
                is_needed: flags & 32 != 0,
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
            // A start that was carried out is no longer requested.
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
                Decision::Spawn => {
                    assert_eq!(why, Some(Why::Restart), "{at:?}");
                    assert!(!at.is_held, "{at:?}");
                }
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
                    let is_kept = at.is_needed && why != Some(Why::Operation);
                    assert!(!runs || why.is_none() || is_kept, "{at:?}");
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
