//! Cells of the table state × event of `docs/STATUS.md`.

use std::fmt;

use openctrl_core::command::{Command, InstanceAction, Outcome};
use openctrl_core::engine::{Engine, Input, TimerReason};
use openctrl_core::ids::{InstanceId, ProcessRef, RequestId, SlotId};
use openctrl_core::instance::{State, StateEvent};
use openctrl_core::output::{OutputBatch, OutputItem};

use crate::oracle::Oracle;

/// How often each cell was visited.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Cells([[u64; StateEvent::ALL.len()]; State::ALL.len()]);

/// Why a cell cannot be visited, if it cannot.
const fn out_of_reach(state: State, event: StateEvent) -> Option<&'static str> {
    use StateEvent::*;
    let (is_reached, reason) = match event {
        StartWanted | StopWanted => (true, ""),
        RestartDue => (
            matches!(state, State::Failed | State::Failing),
            "the timer is armed for what failed, and disarmed with it",
        ),
        Started | StartFailed => {
            (state.is_spawning(), "only a start that is under way has an outcome")
        }
        ExitedClean | ExitedFailed | ErrorLogged | CheckpointSeen => {
            (state.has_process() && !state.is_spawning(), "only a process that lives does it")
        }
        FellSilent => (matches!(state, State::Running), "only those that run are looked at"),
        GraceElapsed => (
            state.is_stopping() || matches!(state, State::Stopped),
            "it comes while a stop is under way, or to all at a second shutdown: all are stopping",
        ),
        LeftBehind => (matches!(state, State::Stopped), "it is found before anything else happens"),
    };
    if is_reached { None } else { Some(reason) }
}

impl Cells {
    pub(super) fn add(&mut self, other: &Self) {
        for (row, more) in self.0.iter_mut().zip(&other.0) {
            super::add(row, more);
        }
    }

    pub(super) fn missed(&self) -> Vec<String> {
        let all = State::ALL
            .into_iter()
            .flat_map(|state| StateEvent::ALL.into_iter().map(move |event| (state, event)));
        let is_missed = |(state, event): &(State, StateEvent)| {
            out_of_reach(*state, *event).is_none() && self.count(*state, *event) == 0
        };
        all.filter(is_missed).map(|(state, event)| format!("cell: {state:?} × {event:?}")).collect()
    }

    pub(super) fn before_input(&mut self, engine: &Engine, oracle: &Oracle, input: &Input) {
        // After the end, what is said comes to nothing.
        if oracle.finished {
            return;
        }
        match input {
            Input::ProcessStarted { process } => self.told(engine, *process, StateEvent::Started),
            Input::StartFailed { process, .. } => {
                self.told(engine, *process, StateEvent::StartFailed);
            }
            Input::ProcessExited { process, exit, .. } if exit.is_clean() => {
                self.told(engine, *process, StateEvent::ExitedClean);
            }
            Input::ProcessExited { process, .. } => {
                self.told(engine, *process, StateEvent::ExitedFailed);
            }
            Input::OutputRead { process, batch } => self.printed(engine, *process, batch),
            Input::RequestArrived {
                command: Command::Replace { id, .. } | Command::Remove { id, .. },
                ..
            } => {
                if let Some(slot) = engine.table().find(*id) {
                    self.at(engine, slot, StateEvent::StopWanted);
                }
            }
            Input::TimeAdvanced => self.time(engine),
            Input::ShutdownRequested => {
                let is_first = oracle.shutdowns == 0;
                let event =
                    if is_first { StateEvent::StopWanted } else { StateEvent::GraceElapsed };
                engine.table().slots().for_each(|slot| self.at(engine, slot, event));
            }
            Input::RequestArrived { .. }
            | Input::RecordsPersisted { .. }
            | Input::PersistFailed { .. }
            | Input::Dialled { .. } => {}
        }
    }

    pub(super) fn on_answer(
        &mut self,
        before: &[(InstanceId, State)],
        oracle: &Oracle,
        request: RequestId,
        outcome: &Outcome,
    ) {
        if !matches!(outcome, Outcome::Done { .. }) || oracle.shutdowns > 0 {
            return;
        }
        let Some(asked) = oracle.ledger.asked.get(&request) else { return };
        let Command::Amend { id, amend, .. } = &asked.command else { return };
        let event = match amend.action {
            Some(InstanceAction::Start) => StateEvent::StartWanted,
            Some(InstanceAction::Stop | InstanceAction::Restart) => StateEvent::StopWanted,
            Some(InstanceAction::Reset) | None => return,
        };
        if let Some((_, state)) = before.iter().find(|(before, _)| before == id) {
            self.visit(*state, event, 1);
        }
    }

    pub(super) fn after_input(
        &mut self,
        before: &[(InstanceId, State)],
        engine: &Engine,
        input: &Input,
    ) {
        let is_time = matches!(input, Input::TimeAdvanced);
        let may_have = |state| match state {
            State::Stopped => true,
            State::Running => is_time,
            State::Starting
            | State::Retrying
            | State::Cancelling
            | State::Failing
            | State::Stopping
            | State::StoppingFailing
            | State::Discarding
            | State::Failed => false,
        };
        for (id, state) in before.iter().filter(|(_, state)| may_have(*state)) {
            let now = engine.table().find(*id).and_then(|slot| engine.table().get(slot));
            match now.map(|instance| instance.state) {
                Some(State::Failing) => self.visit(*state, StateEvent::FellSilent, 1),
                Some(State::Starting) => self.visit(*state, StateEvent::StartWanted, 1),
                _ => {}
            }
        }
    }

    pub(super) fn left_behind(&mut self, count: u64) {
        self.visit(State::Stopped, StateEvent::LeftBehind, count);
    }

    fn told(&mut self, engine: &Engine, process: ProcessRef, event: StateEvent) {
        if let Some(slot) = engine.table().current(process) {
            self.at(engine, slot, event);
        }
    }

    fn printed(&mut self, engine: &Engine, process: ProcessRef, batch: &OutputBatch) {
        let slot = engine.table().current(process);
        let Some(instance) = slot.and_then(|slot| engine.table().get(slot)) else { return };
        let mut state = instance.state;
        for item in &batch.items {
            let event = match item {
                OutputItem::Checkpoint(_) => StateEvent::CheckpointSeen,
                OutputItem::Log(line) if line.is_error => StateEvent::ErrorLogged,
                OutputItem::Log(_) => continue,
            };
            self.visit(state, event, 1);
            state = state.on(event).next;
        }
    }

    fn time(&mut self, engine: &Engine) {
        let Some((due, _)) = engine.poll_timeout() else { return };
        for (_, reason) in engine.timers().take_while(|(at, _)| *at <= due) {
            match reason {
                TimerReason::Grace(slot) => self.at(engine, slot, StateEvent::GraceElapsed),
                TimerReason::Restart(slot) => self.at(engine, slot, StateEvent::RestartDue),
                TimerReason::Tick
                | TimerReason::Leftover(_)
                | TimerReason::DialWait(_)
                | TimerReason::ShutdownLimit => {}
            }
        }
    }

    fn at(&mut self, engine: &Engine, slot: SlotId, event: StateEvent) {
        if let Some(instance) = engine.table().get(slot) {
            self.visit(instance.state, event, 1);
        }
    }

    fn visit(&mut self, state: State, event: StateEvent, times: u64) {
        self.0[state as usize][event as usize] += times;
    }

    fn count(&self, state: State, event: StateEvent) -> u64 {
        self.0[state as usize][event as usize]
    }
}

impl fmt::Display for Cells {
    /// One row for each event: `-` cannot be visited.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<14}", "cells")?;
        State::ALL.iter().try_for_each(|state| write!(f, " {:>9.9}", format!("{state:?}")))?;
        for event in StateEvent::ALL {
            write!(f, "\n{:<14}", format!("{event:?}"))?;
            for state in State::ALL {
                match (self.count(state, event), out_of_reach(state, event)) {
                    (0, Some(_)) => write!(f, " {:>9}", "-")?,
                    (count, _) => write!(f, " {count:>9}")?,
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_states_and_events() {
        for (index, state) in State::ALL.into_iter().enumerate() {
            assert_eq!(state as usize, index, "{state:?}");
        }
        for (index, event) in StateEvent::ALL.into_iter().enumerate() {
            assert_eq!(event as usize, index, "{event:?}");
        }
    }

    /// What does something can be visited, but for what the status machine answers to be sure.
    #[test]
    fn no_cell_that_does_something_is_out_of_reach() {
        for state in State::ALL {
            for event in StateEvent::ALL {
                let step = state.on(event);
                let is_idle = step.next == state && step.actions.is_empty();
                assert!(is_idle || out_of_reach(state, event).is_none(), "{state:?} × {event:?}");
            }
        }
    }
}
