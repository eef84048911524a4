//! INV-2: at most one process lives per instance, and at most one has each generation.
//!
//! Processes that remain in the group of an earlier process count, and those of an earlier run of
//! the master: they are adopted and asked to exit before anything else happens. Only running
//! processes are signaled.

use openctrl_core::engine::{Effect, Input};
use openctrl_core::ids::{Generation, InstanceId, ProcessRef};
use openctrl_core::process::Signal;

use super::{Invariant, Scene, Verdict, ensure};
use crate::world::{Phase, Process};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct OneProcess {
    newest: Generation,
}

impl Invariant for OneProcess {
    fn id(&self) -> &'static str {
        "INV-2"
    }

    fn resume(&mut self, scene: Scene<'_>) {
        self.newest = scene.engine.under_way().last_generation;
    }

    fn on_effect(&mut self, scene: Scene<'_>, effect: &Effect) -> Verdict {
        if let Effect::Spawn { process, definition, .. } = effect {
            let is_left_behind = scene.world.processes.is_left_behind(definition.id);
            ensure(!is_left_behind, || format!("{process:?} is started beside a leftover"))?;
            return self.begins(scene, *process, definition.id);
        }
        if let Effect::Adopt { process, instance } = effect {
            let is_left_behind = scene.world.processes.is_left_behind(*instance);
            ensure(is_left_behind, || format!("nothing of {instance} was left behind"))?;
            return self.begins(scene, *process, *instance);
        }
        if let Effect::Signal { process, scope: _, signal } = effect {
            return signalled(scene, *process, *signal);
        }
        Ok(())
    }

    fn after_input(&mut self, scene: Scene<'_>, input: Option<&Input>) -> Verdict {
        if input.is_some() {
            return Ok(());
        }
        let forgotten = scene.world.processes.left_behind().next();
        ensure(forgotten.is_none(), || format!("nobody adopts the processes of {forgotten:?}"))?;
        let mut all = scene.world.processes.iter();
        let is_spared = |other: &Process| other.terminated_at.is_none() && !other.killed;
        let spared = all.find(|other| other.adopted && is_spared(other));
        ensure(spared.is_none(), || format!("{spared:?} was left behind and is not to end"))
    }
}

impl OneProcess {
    fn begins(&mut self, scene: Scene<'_>, process: ProcessRef, id: InstanceId) -> Verdict {
        ensure(process.generation > self.newest, || {
            format!("{process:?} is not newer than {:?}", self.newest)
        })?;
        self.newest = process.generation;
        let mut all = scene.world.processes.iter();
        let other = all.find(|other| {
            let is_there = other.phase != Phase::Gone || other.group_left;
            other.definition.id == id && is_there
        });
        ensure(other.is_none(), || format!("{process:?} begins beside {other:?}"))
    }
}

fn signalled(scene: Scene<'_>, process: ProcessRef, signal: Signal) -> Verdict {
    let target = scene.world.processes.get(process);
    let may_live = target.is_some_and(|target| match target.phase {
        Phase::Spawning => false,
        Phase::Alive => true,
        // The rest of its group may have exited since, without a report.
        Phase::Gone => target.group_reported,
    });
    ensure(may_live, || format!("{signal:?} for {process:?}, which is {target:?}"))
}
