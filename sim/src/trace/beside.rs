//! What a trace tells of the machine of the control API: when events were durable, and when rules
//! were due.

use openctrl_core::control::{Control, ControlEffect, ControlInput};
use openctrl_core::event::StoredId;
use openctrl_core::trace::{Happened, Step};

use crate::invariants::Violation;

/// What is known of its events.
#[derive(Debug, Default)]
pub(super) struct Beside {
    kept: StoredId,
    shown: StoredId,
}

impl Beside {
    /// Looks at a step and at the machine after it.
    ///
    /// # Errors
    /// The first of INV-14 and INV-15 that does not hold.
    pub(super) fn look(&mut self, step: &Step, control: Option<&Control>) -> Result<(), Violation> {
        if let Happened::Control(ControlInput::EventsKept { upto }) = &step.input {
            self.kept = self.kept.max(*upto);
        }
        for effect in &step.control {
            if let ControlEffect::Show(events) = effect {
                for event in events {
                    self.show(event.id)?;
                }
            }
        }
        let is_timer = matches!(step.input, Happened::Control(ControlInput::TimeAdvanced));
        let next_due = control.and_then(|control| control.rules().next_due());
        if is_timer && next_due.is_some_and(|due| due <= step.now.mono) {
            return Err(violation("INV-15", "a timer of a rule was passed over".to_owned()));
        }
        Ok(())
    }

    fn show(&mut self, id: StoredId) -> Result<(), Violation> {
        if id > self.kept {
            let what = format!("event {id} is shown and not known to be durable");
            return Err(violation("INV-14", what));
        }
        if id <= self.shown {
            return Err(violation("INV-14", format!("event {id} is shown after {}", self.shown)));
        }
        self.shown = id;
        Ok(())
    }
}

fn violation(invariant: &'static str, what: String) -> Violation {
    Violation { invariant, what }
}
