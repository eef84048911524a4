//! What runs went through: cells of the status machine, as far as can be seen from outside, and
//! every kind of input, request, answer, effect and trouble, each with how often.

mod cells;
mod stored;

use std::fmt;

use openctrl_core::command::{Command, Outcome, Refusal};
use openctrl_core::engine::{Effect, Engine, Input};
use openctrl_core::ids::{InstanceId, SlotId};
use openctrl_core::instance::State;

use self::cells::Cells;
pub use self::stored::Stored;
use crate::oracle::Oracle;
use crate::patrol::KINDS as OF_PATROL;
use crate::world::Fault;

const INPUTS: &[&str] = Input::KINDS;
const COMMANDS: &[&str] = Command::KINDS;
const EFFECTS: &[&str] = Effect::KINDS;

const OUTCOMES: [&str; 15] = [
    "Done",
    "Created",
    "Removed",
    "AliasSet",
    "Dialed",
    "Replaced",
    "KeyRotated",
    "Stale",
    "NotAdmitted",
    "NoInstance",
    "SameUrl",
    "NotDurable",
    "ShuttingDown",
    "Acted",
    "others",
];

/// Answers that no simulation gets, with the reason.
const OTHER_ANSWERS: &str =
    "others need a Patrol configuration, thousands of instances or 64 waiting requests";

/// How often each thing happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    cells: Cells,
    inputs: [u64; INPUTS.len()],
    commands: [u64; COMMANDS.len()],
    effects: [u64; EFFECTS.len()],
    outcomes: [u64; OUTCOMES.len()],
    faults: Vec<u64>,
    stored: Stored,
}

impl Coverage {
    /// Takes in what another run went through.
    pub fn add(&mut self, other: &Self) {
        self.cells.add(&other.cells);
        add(&mut self.inputs, &other.inputs);
        add(&mut self.commands, &other.commands);
        add(&mut self.effects, &other.effects);
        add(&mut self.outcomes, &other.outcomes);
        self.faults(&other.faults);
        self.stored.add(&other.stored);
    }

    /// Takes in what happened to events and rules of the control API.
    pub fn stored(&mut self, stored: &Stored) {
        self.stored.add(stored);
    }

    /// Takes in how often each kind of trouble happened.
    pub fn faults(&mut self, faults: &[u64]) {
        self.faults.resize(Fault::ALL.len(), 0);
        add(&mut self.faults, faults);
    }

    /// Records an input, and what it is about to cause.
    pub fn before_input(&mut self, engine: &Engine, oracle: &Oracle, input: &Input) {
        self.inputs[input.kind()] += 1;
        if let Input::RequestArrived { command, .. } = input {
            self.commands[command.kind()] += 1;
        }
        self.cells.before_input(engine, oracle, input);
    }

    /// Notes an effect.
    pub fn on_effect(&mut self, effect: &Effect) {
        self.effects[effect.kind()] += 1;
        self.cells.on_effect(effect);
        if let Effect::Respond { outcome, .. } = effect {
            self.outcomes[outcome_kind(outcome)] += 1;
        }
    }

    /// Records what an input has caused.
    pub fn after_input(
        &mut self,
        before: &[(SlotId, InstanceId, State)],
        engine: &Engine,
        input: &Input,
    ) {
        self.cells.after_input(before, engine, input);
    }

    /// Records that a master has found processes of this many instances of an earlier master.
    pub fn left_behind(&mut self, count: usize) {
        self.cells.left_behind(count as u64);
    }

    /// Whether a master has finished its shutdown.
    pub fn has_finished(&self) -> bool {
        self.effects[EFFECTS.len() - 1] > 0
    }

    /// What can be visited and was not.
    pub fn missed(&self) -> Vec<String> {
        let named = |kind: &str, names: &[&str], counts: &[u64]| -> Vec<String> {
            let missed = names
                .iter()
                .zip(counts)
                .filter(|(name, count)| **count == 0 && !OF_PATROL.contains(name));
            missed.map(|(name, _)| format!("{kind}: {name}")).collect()
        };
        let faults = self.faults.iter().chain(std::iter::repeat(&0));
        let faults = Fault::ALL.iter().zip(faults).filter(|(_, count)| **count == 0);
        let outcomes = OUTCOMES.len() - 1;
        [
            self.cells.missed(),
            named("input", INPUTS, &self.inputs),
            named("request", COMMANDS, &self.commands),
            named("effect", EFFECTS, &self.effects),
            named("answer", &OUTCOMES[..outcomes], &self.outcomes[..outcomes]),
            faults.map(|((_, words), _)| format!("trouble: {words}")).collect(),
            self.stored.missed(),
        ]
        .concat()
    }
}

impl fmt::Display for Coverage {
    /// The whole table.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.cells)?;
        line(f, "inputs", INPUTS, &self.inputs)?;
        line(f, "requests", COMMANDS, &self.commands)?;
        line(f, "answers", &OUTCOMES, &self.outcomes)?;
        writeln!(f, "          ({OTHER_ANSWERS})")?;
        line(f, "effects", EFFECTS, &self.effects)?;
        writeln!(f, "{}", self.stored)?;
        write!(f, "trouble")?;
        for ((_, words), count) in Fault::ALL.iter().zip(&self.faults) {
            write!(f, "\n  {count:>8}  {words}")?;
        }
        Ok(())
    }
}

fn line(f: &mut fmt::Formatter<'_>, kind: &str, names: &[&str], counts: &[u64]) -> fmt::Result {
    let each: Vec<String> =
        names.iter().zip(counts).map(|(name, count)| format!("{name} {count}")).collect();
    writeln!(f, "{kind:<9} {}", each.join(", "))
}

fn add(sum: &mut [u64], more: &[u64]) {
    sum.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
}

const fn outcome_kind(outcome: &Outcome) -> usize {
    match outcome {
        Outcome::Done { .. } => 0,
        Outcome::Created(_) => 1,
        Outcome::Removed => 2,
        Outcome::AliasSet => 3,
        Outcome::Dialed(_) => 4,
        Outcome::Replaced(_) => 5,
        Outcome::KeyRotated(_) => 6,
        Outcome::Stale(_) => 7,
        Outcome::Refused(Refusal::NotAdmitted) => 8,
        Outcome::Refused(Refusal::NoInstance) => 9,
        Outcome::Refused(Refusal::SameUrl) => 10,
        Outcome::Refused(Refusal::NotDurable { .. }) => 11,
        Outcome::Refused(Refusal::ShuttingDown) => 12,
        Outcome::Acted(_) => 13,
        Outcome::Desired(_)
        | Outcome::Refused(
            Refusal::TooLarge { .. }
            | Refusal::Busy
            | Refusal::Crowded
            | Refusal::CannotEnd
            | Refusal::Configured
            | Refusal::Circle { .. }
            | Refusal::Full { .. }
            | Refusal::TakesRole(_),
        ) => 14,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_missed_that_happened_once() {
        let mut coverage = Coverage::default();
        let missed = coverage.missed();
        assert!(missed.contains(&"input: TimeAdvanced".to_string()), "{missed:?}");
        assert!(missed.contains(&"trouble: the power fails".to_string()), "{missed:?}");
        coverage.faults(&[1; Fault::ALL.len()]);
        coverage.inputs = [1; INPUTS.len()];
        assert!(!coverage.missed().iter().any(|missed| missed.starts_with("trouble")));
        assert!(!coverage.missed().iter().any(|missed| missed.starts_with("input")));
    }
}
