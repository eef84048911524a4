//! A DerivedEvent at work: whether it is asserted, and which change is pending (control contract
//! B 5, D 12).

use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;

use super::derived_spec::{Condition, DerivedSpec, Emit, Field, Predicate, Retract};
use super::event_rule::draft_of;
use super::spec::RuleRef;
use crate::event::Draft;
use crate::go::rfc3339_nano;
use crate::time::{Time, Wall};

/// The shown status of a DerivedEvent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DerivedPhase {
    /// It holds.
    Asserted,
    /// A change waits for the hysteresis to pass.
    Pending,
    /// It does not hold.
    Retracted,
}

impl DerivedPhase {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Asserted => "Asserted",
            Self::Pending => "Pending",
            Self::Retracted => "Retracted",
        }
    }
}

/// The status of a DerivedEvent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DerivedStatus {
    /// Its shown status.
    pub phase: DerivedPhase,
    /// Whether it holds.
    pub asserted: bool,
    /// Its next status, if a change is pending.
    pub pending: Option<bool>,
    /// When it was last published that it holds.
    pub last_asserted: Option<Wall>,
    /// When it was last published that it does not.
    pub last_retracted: Option<Wall>,
}

impl DerivedStatus {
    /// `None`, `Asserting` or `Retracting`.
    pub const fn pending_transition(&self) -> &'static str {
        match self.pending {
            None => "None",
            Some(true) => "Asserting",
            Some(false) => "Retracting",
        }
    }

    /// A field of the status as text; empty if it is missing.
    pub(super) fn field(&self, key: &str) -> String {
        let time = |time: Option<Wall>| time.map(rfc3339_nano).unwrap_or_default();
        match key {
            "phase" => self.phase.as_str().to_string(),
            "asserted" => self.asserted.to_string(),
            "pendingTransition" => self.pending_transition().to_string(),
            "lastAssertedAt" => time(self.last_asserted),
            "lastRetractedAt" => time(self.last_retracted),
            _ => String::new(),
        }
    }
}

/// The rule.
#[derive(Clone, Debug)]
pub(super) struct Derived {
    rule: RuleRef,
    pub(super) spec: Arc<DerivedSpec>,
    pub(super) memory: DerivedMemory,
}

/// What a DerivedEvent remembers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DerivedMemory {
    /// Whether it holds; `None` before its first evaluation.
    pub asserted: Option<bool>,
    /// The pending change, and when it is due.
    pub pending: Option<(bool, Time)>,
    /// When it was last published that it holds.
    pub last_asserted: Option<Wall>,
    /// When it was last published that it does not.
    pub last_retracted: Option<Wall>,
}

impl Derived {
    pub(super) fn new(rule: RuleRef, spec: Arc<DerivedSpec>) -> Self {
        Self { rule, spec, memory: DerivedMemory::default() }
    }

    pub(super) const fn reference(&self) -> &RuleRef {
        &self.rule
    }

    pub(super) fn status(&self) -> DerivedStatus {
        let asserted = self.memory.asserted.unwrap_or_default();
        let pending = self.memory.pending.map(|(target, _)| target);
        let phase = match (pending, asserted) {
            (Some(_), _) => DerivedPhase::Pending,
            (None, true) => DerivedPhase::Asserted,
            (None, false) => DerivedPhase::Retracted,
        };
        let DerivedMemory { last_asserted, last_retracted, .. } = self.memory;
        DerivedStatus { phase, asserted, pending, last_asserted, last_retracted }
    }

    pub(super) fn next_due(&self) -> Option<Time> {
        self.memory.pending.map(|(_, due)| due)
    }

    /// Evaluates the inputs. Returns what it remembers from now on, and the event to publish, if
    /// any. `read` returns the text of a field of a status, empty if it is missing.
    pub(super) fn evaluate(
        &self,
        now: Time,
        time: Wall,
        read: &dyn Fn(&Field) -> String,
    ) -> (DerivedMemory, Option<Draft>) {
        let mut memory = self.memory;
        let holds = |input: &Condition| input.holds(read);
        let Some(asserted) = memory.asserted else {
            let asserted = self.emits(holds);
            memory.asserted = Some(asserted);
            let draft = self.spec.emit_initial.then(|| self.publish(&mut memory, asserted, time));
            return (memory, draft);
        };
        let wanted = if asserted { !self.retracts(holds) } else { self.emits(holds) };
        if wanted == asserted {
            memory.pending = None;
            return (memory, None);
        }
        let due = match memory.pending {
            Some((_, due)) => due,
            None => now.after_ms(self.spec.hysteresis_ms),
        };
        if due > now {
            memory.pending = Some((wanted, due));
            return (memory, None);
        }
        memory.pending = None;
        memory.asserted = Some(wanted);
        let draft = self.publish(&mut memory, wanted, time);
        (memory, Some(draft))
    }

    fn emits(&self, holds: impl Fn(&Condition) -> bool) -> bool {
        match self.spec.emit_when {
            Emit::AllTrue => self.spec.inputs.iter().all(holds),
            Emit::AnyTrue => self.spec.inputs.iter().any(holds),
        }
    }

    fn retracts(&self, holds: impl Fn(&Condition) -> bool) -> bool {
        match self.spec.retract_when {
            None => !self.emits(holds),
            Some(Retract::AnyFalse) => !self.spec.inputs.iter().all(holds),
            Some(Retract::AllFalse) => !self.spec.inputs.iter().any(holds),
        }
    }

    fn publish(&self, memory: &mut DerivedMemory, asserted: bool, time: Wall) -> Draft {
        let (word, reason) = if asserted {
            memory.last_asserted = Some(time);
            ("asserted", "DerivedEventAsserted")
        } else {
            memory.last_retracted = Some(time);
            ("retracted", "DerivedEventRetracted")
        };
        let mut draft = draft_of(&self.rule);
        draft.topic = format!("{}.{word}", self.spec.topic).into();
        draft.reason = reason.into();
        draft.message = format!("derived event {word}").into();
        draft.attributes.insert("asserted".into(), asserted.to_string());
        draft
    }
}

impl Condition {
    fn holds(&self, read: &dyn Fn(&Field) -> String) -> bool {
        match self {
            Self::Is(predicate) => predicate.holds(read),
            Self::AnyOf(groups) => {
                groups.iter().any(|group| group.iter().all(|predicate| predicate.holds(read)))
            }
        }
    }
}

impl Predicate {
    fn holds(&self, read: &dyn Fn(&Field) -> String) -> bool {
        let value = self.field.as_ref().map(read).unwrap_or_default();
        match &self.equals {
            Some(wanted) => value == *wanted && !(self.not_empty && value.is_empty()),
            None => !value.is_empty(),
        }
    }
}
