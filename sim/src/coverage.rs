//! Which cells of the status machine a run went through, as far as that can be seen from outside.

use std::collections::BTreeSet;
use std::fmt;

use openctrl_core::api::{Call, InstanceAction, Reply};
use openctrl_core::engine::{Effect, Engine, Input, TimerReason};
use openctrl_core::ids::{InstanceId, ProcessRef, SlotId};
use openctrl_core::instance::{State, StateEvent};
use openctrl_core::output::{OutputBatch, OutputItem};

use crate::oracle::Oracle;

/// Cells of the table state × event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    cells: BTreeSet<(State, StateEvent)>,
}

impl Coverage {
    /// Takes in what another run went through.
    pub fn merge(&mut self, other: &Self) {
        self.cells.extend(&other.cells);
    }

    /// Notes what an input is about to lead to.
    pub fn before_input(&mut self, engine: &Engine, oracle: &Oracle, input: &Input) {
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
            Input::RequestArrived { call: Call::Replace(id, _) | Call::Delete(id), .. } => {
                self.operation(engine, *id);
            }
            Input::TimeAdvanced => self.time(engine),
            Input::ShutdownRequested => {
                let first = oracle.shutdowns == 0;
                let event = if first { StateEvent::StopWanted } else { StateEvent::GraceElapsed };
                engine.table().slots().for_each(|slot| self.at(engine, slot, event));
            }
            Input::RequestArrived { .. }
            | Input::RecordsPersisted { .. }
            | Input::PersistFailed { .. }
            | Input::Dialled { .. } => {}
        }
    }

    /// Notes what an answer tells of: an action of a PATCH was taken.
    pub fn on_effect(&mut self, before: &[(InstanceId, State)], oracle: &Oracle, effect: &Effect) {
        let Effect::Respond { request, reply: Reply::Instance(_) } = effect else { return };
        let Some(asked) = oracle.ledger.asked.get(request) else { return };
        let Call::Patch(id, patch) = &asked.call else { return };
        let event = match patch.action {
            Some(InstanceAction::Start) => StateEvent::StartWanted,
            Some(InstanceAction::Stop | InstanceAction::Restart) => StateEvent::StopWanted,
            Some(InstanceAction::Reset) | None => return,
        };
        let state = before.iter().find(|(before, _)| before == id);
        self.cells.extend(state.map(|(_, state)| (*state, event)));
    }

    /// Notes what an input has led to by itself.
    pub fn after_input(&mut self, before: &[(InstanceId, State)], engine: &Engine, input: &Input) {
        for (id, state) in before {
            let now = engine.table().find(*id).and_then(|slot| engine.table().get(slot));
            let is_time = matches!(input, Input::TimeAdvanced);
            match (state, now.map(|instance| instance.state)) {
                (State::Running, Some(State::Failing)) if is_time => {
                    self.cells.insert((State::Running, StateEvent::FellSilent));
                }
                (State::Stopped, Some(State::Starting)) => {
                    self.cells.insert((State::Stopped, StateEvent::StartWanted));
                }
                _ => {}
            }
        }
    }

    /// Notes that a master has found processes that another left behind.
    pub fn left_behind(&mut self) {
        self.cells.insert((State::Stopped, StateEvent::LeftBehind));
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
            self.cells.insert((state, event));
            state = state.on(event).next;
        }
    }

    fn operation(&mut self, engine: &Engine, id: InstanceId) {
        if let Some(slot) = engine.table().find(id) {
            self.at(engine, slot, StateEvent::StopWanted);
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
        self.cells.extend(engine.table().get(slot).map(|instance| (instance.state, event)));
    }
}

impl fmt::Display for Coverage {
    /// How many of the cells that do something were visited, and which were not.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cells = State::ALL
            .into_iter()
            .flat_map(|state| StateEvent::ALL.into_iter().map(move |event| (state, event)));
        let does_something = |(state, event): &(State, StateEvent)| {
            let step = state.on(*event);
            step.next != *state || !step.actions.is_empty()
        };
        let all: Vec<_> = cells.filter(does_something).collect();
        let missed: Vec<_> = all.iter().filter(|cell| !self.cells.contains(cell)).collect();
        write!(f, "{} of {} cells that do something", all.len() - missed.len(), all.len())?;
        for (state, event) in missed {
            write!(f, "\n  not visited: {state:?} × {event:?}")?;
        }
        write!(f, "\n{} cells in all", self.cells.len())
    }
}
