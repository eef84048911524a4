//! The properties of every run: one file for each invariant of `docs/contributors/INVARIANTS.md`.
//!
//! An invariant checks each input before and after the engine handles it, each effect before the
//! oracle and the world do, and the world at rest. INV-10 compares two runs and is separate.

mod inv_01_durable_first;
mod inv_02_one_process;
mod inv_03_late_input;
mod inv_04_one_answer;
mod inv_05_recovery;
mod inv_06_events;
mod inv_06_readers;
mod inv_07_totals;
mod inv_08_timers;
mod inv_09_convergence;
mod inv_10_determinism;
mod inv_13_survivors;
mod inv_17_order;
mod inv_19_webhooks;
mod inv_20_watches;
mod inv_21_leases;

use core::fmt;

use openctrl_core::engine::{Effect, Engine, Input};
use openctrl_core::instance::Instance;

pub use inv_05_recovery::judge;
pub use inv_06_readers::{Met, Readers};
pub use inv_10_determinism::compare;
pub use inv_21_leases::judge_eviction;

use crate::object::Shown;
use crate::oracle::Oracle;
use crate::world::World;

/// The data that an invariant can read.
#[derive(Clone, Copy)]
pub struct Scene<'a> {
    /// The engine.
    pub engine: &'a Engine,
    /// The world.
    pub world: &'a World,
    /// What ought to be.
    pub oracle: &'a Oracle,
    /// Whether the input is about a process that has exited or never existed.
    pub is_late: bool,
    /// The object in the current effect, if there is one.
    pub object: Option<&'a Shown>,
}

impl<'a> Scene<'a> {
    /// Every instance of the engine, by its slot.
    pub fn instances(&self) -> impl Iterator<Item = &'a Instance> + use<'a> {
        let table = self.engine.table();
        table.slots().filter_map(move |slot| table.get(slot))
    }

    /// The object in the current effect, which must have one.
    ///
    /// # Errors
    /// It has none.
    pub fn object(&self) -> Result<&'a Shown, String> {
        self.object.ok_or_else(|| "no object is shown".to_string())
    }
}

/// The violation, if there is one.
pub type Verdict = Result<(), String>;

/// One invariant.
pub trait Invariant {
    /// Its number in `docs/contributors/INVARIANTS.md`.
    fn id(&self) -> &'static str;

    /// A run continues from a running master: everything before is assumed to be right.
    fn resume(&mut self, _scene: Scene<'_>) {}

    /// Before the engine takes an input.
    fn before_input(&mut self, _scene: Scene<'_>, _input: &Input) -> Verdict {
        Ok(())
    }

    /// An effect before the oracle and the world handle it.
    fn on_effect(&mut self, _scene: Scene<'_>, _effect: &Effect) -> Verdict {
        Ok(())
    }

    /// After all effects of an input.
    fn after_input(&mut self, _scene: Scene<'_>, _input: Option<&Input>) -> Verdict {
        Ok(())
    }

    /// At the end, long enough after the last fault.
    fn at_rest(&mut self, _scene: Scene<'_>) -> Verdict {
        Ok(())
    }
}

/// An invariant that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which one.
    pub invariant: &'static str,
    /// The violation.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} does not hold: {}", self.invariant, self.what)
    }
}

/// All invariants of one run.
pub fn all() -> Vec<Box<dyn Invariant>> {
    vec![
        Box::new(inv_01_durable_first::DurableFirst::default()),
        Box::new(inv_02_one_process::OneProcess::default()),
        Box::new(inv_03_late_input::LateInput::default()),
        Box::new(inv_04_one_answer::OneAnswer),
        Box::new(inv_05_recovery::Recovery::default()),
        Box::new(inv_06_events::Events::default()),
        Box::new(inv_07_totals::Totals::default()),
        Box::new(inv_08_timers::Timers),
        Box::new(inv_09_convergence::Convergence),
        Box::new(inv_13_survivors::Survivors::default()),
        Box::new(inv_17_order::Order::default()),
        Box::new(inv_19_webhooks::Webhooks::default()),
        Box::new(inv_20_watches::Watches),
        Box::new(inv_21_leases::Leases::default()),
    ]
}

/// An error if `holds` is false.
fn ensure(holds: bool, what: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(what()) }
}
