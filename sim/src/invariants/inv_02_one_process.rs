//! INV-2: at most one process lives per instance, and at most one has each generation.
//!
//! What is left of the group of an earlier process counts. Signals go only to what lives.

use openctrl_core::engine::{Effect, Signal};
use openctrl_core::ids::{Generation, ProcessRef};

use super::{Invariant, Scene, Verdict, ensure};
use crate::world::Phase;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct OneProcess {
    newest: Generation,
}

impl Invariant for OneProcess {
    fn id(&self) -> &'static str {
        "INV-2"
    }

    fn on_effect(&mut self, scene: Scene<'_>, effect: &Effect) -> Verdict {
        if let Effect::Spawn { process, definition } = effect {
            ensure(process.generation > self.newest, || {
                format!("{process:?} is not newer than {:?}", self.newest)
            })?;
            self.newest = process.generation;
            let mut all = scene.world.processes.iter();
            let other = all.find(|other| {
                let is_there = other.phase != Phase::Gone || other.group_left;
                other.definition.id == definition.id && is_there
            });
            return ensure(other.is_none(), || format!("{process:?} is started beside {other:?}"));
        }
        if let Effect::Signal { process, signal } = effect {
            return signalled(scene, *process, *signal);
        }
        Ok(())
    }
}

fn signalled(scene: Scene<'_>, process: ProcessRef, signal: Signal) -> Verdict {
    let target = scene.world.processes.get(process);
    let may_live = target.is_some_and(|target| match target.phase {
        Phase::Spawning => false,
        Phase::Alive => true,
        // What is left of its group may have ended since, untold.
        Phase::Gone => target.group_reported,
    });
    ensure(may_live, || format!("{signal:?} for {process:?}, which is {target:?}"))
}
