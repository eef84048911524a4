//! Cells of the two tables of `docs/contributors/STATUS.md`: process × event, and state × health
//! event.

use std::fmt::{self, Debug};

use openctrl_core::engine::{Effect, Engine, Input, TimerReason};
use openctrl_core::ids::{InstanceId, ProcessRef, SlotId};
use openctrl_core::instance::{HealthEvent, InstanceEvent, Process, ProcessEvent, State};
use openctrl_core::output::{OutputBatch, OutputItem};

use crate::oracle::Oracle;

/// How often each cell was visited. A health cell sees the process too, so that its row is a pair.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Cells {
    processes: [[u64; ProcessEvent::ALL.len()]; Process::ALL.len()],
    health: [[u64; HealthEvent::ALL.len()]; State::ALL.len()],
}

/// Why a cell of the process table cannot be visited, if it cannot.
const fn process_out_of_reach(process: Process, event: ProcessEvent) -> Option<&'static str> {
    use ProcessEvent::*;
    let (is_reached, reason) = match event {
        SpawnOrdered => {
            (matches!(process, Process::Absent), "a process is started where there is none")
        }
        Spawned | SpawnFailed => {
            (process.is_spawning(), "only a start that is under way has an outcome")
        }
        Found => (matches!(process, Process::Absent), "it is found before anything else happens"),
        Attached => (false, "nothing outlives the master with its output yet"),
        Ended => (matches!(process, Process::Live | Process::Ending), "only what lives exits"),
        EndOrdered => (
            matches!(process, Process::Absent | Process::Spawning | Process::Live),
            "what is to end already is not ordered to",
        ),
        StepElapsed => {
            (matches!(process, Process::Ending), "its timer is armed while a stop is under way")
        }
    };
    if is_reached { None } else { Some(reason) }
}

/// Why a cell of the health table cannot be visited, if it cannot.
fn health_out_of_reach(state: State, event: HealthEvent) -> Option<&'static str> {
    use HealthEvent::*;
    let lives = matches!(state.process, Process::Live | Process::Ending);
    let (is_reached, reason) = match event {
        Beat | Complaint | EndedWell => (lives, "only a process that lives does it"),
        Missed => (state == State::RUNNING, "only those that are well are looked at"),
        EndedBadly => (state.has_process(), "only a process or a start ends"),
        Begun => (state.is_spawning(), "only a start that is under way has an outcome"),
        EndOrdered => (
            state == State::FAILED || (state.has_process() && !state.is_stopping()),
            "it is ordered for what is there or has failed",
        ),
    };
    if is_reached { None } else { Some(reason) }
}

impl Cells {
    pub(super) fn add(&mut self, other: &Self) {
        for (row, more) in self.processes.iter_mut().zip(&other.processes) {
            super::add(row, more);
        }
        for (row, more) in self.health.iter_mut().zip(&other.health) {
            super::add(row, more);
        }
    }

    pub(super) fn missed(&self) -> Vec<String> {
        let mut missed = Vec::new();
        for (process, row) in Process::ALL.into_iter().zip(self.processes) {
            for (event, count) in ProcessEvent::ALL.into_iter().zip(row) {
                if count == 0 && process_out_of_reach(process, event).is_none() {
                    missed.push(format!("process cell: {process:?} × {event:?}"));
                }
            }
        }
        for (state, row) in State::ALL.into_iter().zip(self.health) {
            for (event, count) in HealthEvent::ALL.into_iter().zip(row) {
                if count == 0 && health_out_of_reach(state, event).is_none() {
                    missed.push(format!("health cell: {state:?} × {event:?}"));
                }
            }
        }
        missed
    }

    pub(super) fn before_input(&mut self, engine: &Engine, oracle: &Oracle, input: &Input) {
        // After the end, inputs have no effect.
        if oracle.finished {
            return;
        }
        #[expect(clippy::wildcard_enum_match_arm, reason = "others are in no table")]
        match input {
            Input::ProcessStarted { process } => {
                self.of_process(engine, *process, InstanceEvent::Spawned);
            }
            Input::StartFailed { process, .. } => {
                self.of_process(engine, *process, InstanceEvent::SpawnFailed);
            }
            Input::ProcessExited { process, exit, .. } if exit.is_clean() => {
                self.of_process(engine, *process, InstanceEvent::EndedWell);
            }
            Input::ProcessExited { process, .. } => {
                self.of_process(engine, *process, InstanceEvent::EndedBadly);
            }
            Input::OutputRead { process, batch } => self.printed(engine, *process, batch),
            Input::TimeAdvanced => self.time(engine),
            _ => {}
        }
    }

    pub(super) fn on_effect(&mut self, effect: &Effect) {
        if matches!(effect, Effect::Spawn { .. }) {
            // Whatever its health: the cell of the health table does nothing.
            self.visit(State::STOPPED, InstanceEvent::SpawnOrdered, 1);
        }
    }

    /// Records what an input has caused. An order to stop shows in the state that follows.
    pub(super) fn after_input(
        &mut self,
        before: &[(SlotId, InstanceId, State)],
        engine: &Engine,
        input: &Input,
    ) {
        let is_time = matches!(input, Input::TimeAdvanced);
        let is_exit = matches!(input, Input::ProcessExited { .. });
        for (slot, id, state) in before {
            // An instance keeps its slot.
            let now = engine.table().get(*slot).filter(|row| row.definition().id == *id);
            let Some(now) = now.map(|instance| instance.state()) else { continue };
            match (state.process, now.process) {
                (Process::Live, Process::Ending)
                | (Process::Spawning, Process::Cancelled)
                | (Process::Absent, Process::Spawning)
                    if *state != State::STOPPED && now != State::RETRYING =>
                {
                    self.visit(*state, InstanceEvent::EndOrdered, 1);
                }
                (Process::Absent, Process::Absent) if *state != now && !is_exit => {
                    self.visit(*state, InstanceEvent::EndOrdered, 1);
                }
                (Process::Live, Process::Live) if is_time && now == State::FAILING => {
                    let is_news = *state == State::RUNNING;
                    self.visit(*state, InstanceEvent::Missed, is_news.into());
                }
                _ => {}
            }
        }
    }

    pub(super) fn left_behind(&mut self, count: u64) {
        self.visit(State::STOPPED, InstanceEvent::Found, count);
    }

    fn of_process(&mut self, engine: &Engine, process: ProcessRef, event: InstanceEvent) {
        if let Some(slot) = engine.table().current(process) {
            self.at(engine, slot, event);
        }
    }

    fn printed(&mut self, engine: &Engine, process: ProcessRef, batch: &OutputBatch) {
        let slot = engine.table().current(process);
        let Some(instance) = slot.and_then(|slot| engine.table().get(slot)) else { return };
        let mut state = instance.state();
        for item in &batch.items {
            let event = match item {
                OutputItem::Checkpoint(_) => InstanceEvent::Beat,
                OutputItem::Log(line) if line.is_error => InstanceEvent::Complaint,
                OutputItem::Log(_) => continue,
            };
            self.visit(state, event, 1);
            state = state.on(event).next;
        }
    }

    fn time(&mut self, engine: &Engine) {
        let Some((due, _)) = engine.poll_timeout() else { return };
        for (_, reason) in engine.timers().take_while(|(at, _)| *at <= due) {
            if let TimerReason::StopStep(slot) = reason {
                self.at(engine, slot, InstanceEvent::StepElapsed);
            }
        }
    }

    fn at(&mut self, engine: &Engine, slot: SlotId, event: InstanceEvent) {
        if let Some(instance) = engine.table().get(slot) {
            self.visit(instance.state(), event, 1);
        }
    }

    fn visit(&mut self, state: State, event: InstanceEvent, times: u64) {
        let (for_process, for_health) = event.parts();
        if let Some(event) = for_process {
            self.processes[state.process as usize][event as usize] += times;
        }
        let row = State::ALL.iter().position(|known| *known == state);
        if let (Some(event), Some(row)) = (for_health, row) {
            self.health[row][event as usize] += times;
        }
    }
}

impl fmt::Display for Cells {
    /// Both tables, a line for each event: `-` cannot be visited.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        head(f, "process cells", &Process::ALL)?;
        for event in ProcessEvent::ALL {
            write!(f, "\n{:<14}", format!("{event:?}"))?;
            for process in Process::ALL {
                let count = self.processes[process as usize][event as usize];
                cell(f, count, process_out_of_reach(process, event).is_some())?;
            }
        }
        writeln!(f)?;
        head(f, "health cells", &State::ALL)?;
        for event in HealthEvent::ALL {
            write!(f, "\n{:<14}", format!("{event:?}"))?;
            for (row, state) in State::ALL.into_iter().enumerate() {
                let count = self.health[row][event as usize];
                cell(f, count, health_out_of_reach(state, event).is_some())?;
            }
        }
        Ok(())
    }
}

fn head(f: &mut fmt::Formatter<'_>, title: &str, columns: &[impl Debug]) -> fmt::Result {
    write!(f, "{title:<14}")?;
    columns.iter().try_for_each(|column| write!(f, " {:>9.9}", format!("{column:?}")))
}

fn cell(f: &mut fmt::Formatter<'_>, count: u64, is_out_of_reach: bool) -> fmt::Result {
    if count == 0 && is_out_of_reach { write!(f, " {:>9}", "-") } else { write!(f, " {count:>9}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_in_the_order_of_states_and_events() {
        let at = |place: usize, is: usize| assert_eq!(place, is);
        Process::ALL.iter().enumerate().for_each(|(place, it)| at(place, *it as usize));
        ProcessEvent::ALL.iter().enumerate().for_each(|(place, it)| at(place, *it as usize));
        HealthEvent::ALL.iter().enumerate().for_each(|(place, it)| at(place, *it as usize));
    }

    /// Every cell with an effect can be visited, except for those that the engine does not use yet.
    #[test]
    fn no_cell_that_does_something_is_out_of_reach() {
        for process in Process::ALL {
            for event in ProcessEvent::ALL {
                let (next, actions) = process.on(event);
                let is_idle = next == process && actions.is_empty();
                let is_reached = process_out_of_reach(process, event).is_none();
                let is_to_come = event == ProcessEvent::Attached;
                assert!(is_idle || is_reached || is_to_come, "{process:?} × {event:?}");
            }
        }
        for state in State::ALL {
            for event in InstanceEvent::ALL {
                let Some(for_health) = event.parts().1 else { continue };
                let is_idle = state.on(event).next.health == state.health
                    && !state.on(event).actions.contains(openctrl_core::instance::Action::Publish);
                let is_reached = health_out_of_reach(state, for_health).is_none();
                let is_to_come = event == InstanceEvent::Attached;
                assert!(is_idle || is_reached || is_to_come, "{state:?} × {event:?}");
            }
        }
    }
}
