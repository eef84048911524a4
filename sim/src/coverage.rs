//! What runs went through: cells of the status machine, as far as can be seen from outside, and
//! every kind of input, request, answer, effect and trouble, each with how often.

mod cells;

use std::fmt;

use openctrl_core::command::{Call, Refusal, Reply};
use openctrl_core::engine::{Effect, Engine, Input};
use openctrl_core::ids::InstanceId;
use openctrl_core::instance::State;

use self::cells::Cells;
use crate::oracle::Oracle;
use crate::world::Fault;

const INPUTS: [&str; 10] = [
    "RequestArrived",
    "ProcessStarted",
    "StartFailed",
    "OutputRead",
    "ProcessExited",
    "RecordsPersisted",
    "PersistFailed",
    "Dialled",
    "TimeAdvanced",
    "ShutdownRequested",
];

const CALLS: [&str; 7] = ["SetAlias", "Create", "Patch", "Replace", "Delete", "RotateKey", "Ping"];

const EFFECTS: [&str; 15] = [
    "ShowMaster",
    "ShowInstance",
    "Publish",
    "PublishLogs",
    "CloseStreams",
    "Respond",
    "Persist",
    "SaveTotals",
    "Spawn",
    "Adopt",
    "Signal",
    "Dial",
    "AnnounceKey",
    "ShowProcess",
    "Finish",
];

const REPLIES: [&str; 10] = [
    "Instance",
    "Created",
    "Deleted",
    "AliasSet",
    "Pinged",
    "NoInstance",
    "SameUrl",
    "NotDurable",
    "ShuttingDown",
    "other refusals",
];

/// Answers that no simulation gets, with the reason.
const OTHER_REFUSALS: &str = "other refusals need thousands of instances or 64 waiting requests";

/// How often each thing happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    cells: Cells,
    inputs: [u64; INPUTS.len()],
    calls: [u64; CALLS.len()],
    effects: [u64; EFFECTS.len()],
    replies: [u64; REPLIES.len()],
    faults: Vec<u64>,
}

impl Coverage {
    /// Takes in what another run went through.
    pub fn add(&mut self, other: &Self) {
        self.cells.add(&other.cells);
        add(&mut self.inputs, &other.inputs);
        add(&mut self.calls, &other.calls);
        add(&mut self.effects, &other.effects);
        add(&mut self.replies, &other.replies);
        self.faults(&other.faults);
    }

    /// Takes in how often each kind of trouble happened.
    pub fn faults(&mut self, faults: &[u64]) {
        self.faults.resize(Fault::ALL.len(), 0);
        add(&mut self.faults, faults);
    }

    /// Notes an input, and what it is about to lead to.
    pub fn before_input(&mut self, engine: &Engine, oracle: &Oracle, input: &Input) {
        self.inputs[input_kind(input)] += 1;
        if let Input::RequestArrived { call, .. } = input {
            self.calls[call_kind(call)] += 1;
        }
        self.cells.before_input(engine, oracle, input);
    }

    /// Notes an effect.
    pub fn on_effect(&mut self, effect: &Effect) {
        self.effects[effect_kind(effect)] += 1;
        self.cells.on_effect(effect);
        if let Effect::Respond { reply, .. } = effect {
            self.replies[reply_kind(reply)] += 1;
        }
    }

    /// Notes what an input has led to by itself.
    pub fn after_input(&mut self, before: &[(InstanceId, State)], engine: &Engine, input: &Input) {
        self.cells.after_input(before, engine, input);
    }

    /// Notes that a master has found processes of so many instances that another left behind.
    pub fn left_behind(&mut self, count: usize) {
        self.cells.left_behind(count as u64);
    }

    /// Whether a master came to its end.
    pub fn has_finished(&self) -> bool {
        self.effects[EFFECTS.len() - 1] > 0
    }

    /// What can be visited and was not.
    pub fn missed(&self) -> Vec<String> {
        let named = |kind: &str, names: &[&str], counts: &[u64]| -> Vec<String> {
            let missed = names.iter().zip(counts).filter(|(_, count)| **count == 0);
            missed.map(|(name, _)| format!("{kind}: {name}")).collect()
        };
        let faults = self.faults.iter().chain(std::iter::repeat(&0));
        let faults = Fault::ALL.iter().zip(faults).filter(|(_, count)| **count == 0);
        let replies = REPLIES.len() - 1;
        [
            self.cells.missed(),
            named("input", &INPUTS, &self.inputs),
            named("request", &CALLS, &self.calls),
            named("effect", &EFFECTS, &self.effects),
            named("answer", &REPLIES[..replies], &self.replies[..replies]),
            faults.map(|((_, words), _)| format!("trouble: {words}")).collect(),
        ]
        .concat()
    }
}

impl fmt::Display for Coverage {
    /// The whole table.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.cells)?;
        line(f, "inputs", &INPUTS, &self.inputs)?;
        line(f, "requests", &CALLS, &self.calls)?;
        line(f, "answers", &REPLIES, &self.replies)?;
        writeln!(f, "          ({OTHER_REFUSALS})")?;
        line(f, "effects", &EFFECTS, &self.effects)?;
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

const fn input_kind(input: &Input) -> usize {
    match input {
        Input::RequestArrived { .. } => 0,
        Input::ProcessStarted { .. } => 1,
        Input::StartFailed { .. } => 2,
        Input::OutputRead { .. } => 3,
        Input::ProcessExited { .. } => 4,
        Input::RecordsPersisted { .. } => 5,
        Input::PersistFailed { .. } => 6,
        Input::Dialled { .. } => 7,
        Input::TimeAdvanced => 8,
        Input::ShutdownRequested => 9,
    }
}

const fn call_kind(call: &Call) -> usize {
    match call {
        Call::SetAlias(_) => 0,
        Call::Create { .. } => 1,
        Call::Patch(..) => 2,
        Call::Replace(..) => 3,
        Call::Delete(_) => 4,
        Call::RotateKey(_) => 5,
        Call::Ping(_) => 6,
    }
}

const fn effect_kind(effect: &Effect) -> usize {
    match effect {
        Effect::ShowMaster(_) => 0,
        Effect::ShowInstance(_) => 1,
        Effect::Publish(_) => 2,
        Effect::PublishLogs(_) => 3,
        Effect::CloseStreams { .. } => 4,
        Effect::Respond { .. } => 5,
        Effect::Persist { .. } => 6,
        Effect::SaveTotals(_) => 7,
        Effect::Spawn { .. } => 8,
        Effect::Adopt { .. } => 9,
        Effect::Signal { .. } => 10,
        Effect::Dial { .. } => 11,
        Effect::AnnounceKey(_) => 12,
        Effect::ShowProcess { .. } => 13,
        Effect::Finish => 14,
    }
}

const fn reply_kind(reply: &Reply) -> usize {
    match reply {
        Reply::Instance(_) => 0,
        Reply::Created(_) => 1,
        Reply::Deleted => 2,
        Reply::AliasSet => 3,
        Reply::Pinged(_) => 4,
        Reply::Refused(Refusal::NoInstance) => 5,
        Reply::Refused(Refusal::SameUrl) => 6,
        Reply::Refused(Refusal::NotDurable(_)) => 7,
        Reply::Refused(Refusal::ShuttingDown) => 8,
        Reply::Refused(
            Refusal::Bad(_)
            | Refusal::NoKey
            | Refusal::KeyInstance
            | Refusal::NoPath
            | Refusal::Method(_)
            | Refusal::TooLarge(_)
            | Refusal::TooSlow
            | Refusal::Busy
            | Refusal::Full(_),
        ) => 9,
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
