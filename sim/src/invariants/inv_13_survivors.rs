//! INV-13: a run that outlived its master goes on. It is not asked to end unless it has to: its stop
//! was under way or is durable, or its command was replaced. Starts and exits are counted once,
//! whichever master handles them.

use openctrl_core::engine::Input;
use openctrl_core::instance::Instance;

use super::{Invariant, Scene, Verdict, ensure};
use crate::world::{HasToEnd, Keeper, Phase};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Survivors;

impl Invariant for Survivors {
    fn id(&self) -> &'static str {
        "INV-13"
    }

    fn after_input(&mut self, scene: Scene<'_>, input: Option<&Input>) -> Verdict {
        let Some(keeper) = &scene.world.keeper else { return Ok(()) };
        if input.is_some() {
            return Ok(());
        }
        for process in scene.world.processes.iter() {
            let Some(HasToEnd(has_to_end)) = process.survived else { continue };
            let is_asked = process.terminated_at.is_some() || process.killed;
            ensure(is_asked == has_to_end, || {
                format!("{process:?} outlived its master; asked to end: {is_asked}")
            })?;
        }
        scene.instances().try_for_each(|instance| is_counted(scene, keeper, instance))
    }

    fn at_rest(&mut self, scene: Scene<'_>) -> Verdict {
        let Some(keeper) = &scene.world.keeper else { return Ok(()) };
        // A master that has finished handles nothing more.
        if scene.oracle.finished {
            return Ok(());
        }
        scene.instances().try_for_each(|instance| is_counted(scene, keeper, instance))
    }
}

fn is_counted(scene: Scene<'_>, keeper: &Keeper, instance: &Instance) -> Verdict {
    let id = instance.definition().id;
    let (facts, counts) = (instance.facts(), keeper.counts(id));
    // An exit that the last master had shown is handled once more.
    let mut of_it = scene.world.processes.iter().filter(|process| process.definition.id == id);
    let follows = of_it.any(|process| process.has_exited && process.phase == Phase::Alive);
    let exits = facts.exits + u64::from(follows);
    ensure((facts.starts, exits) == (counts.starts, counts.exits), || {
        format!("{id} counts {} starts and {exits} exits, and there were {counts:?}", facts.starts)
    })
}
