//! INV-13: a run that outlived its master goes on. It is not asked to end unless it has to: its stop
//! was under way or is durable, or its command was replaced. Starts and exits are counted once,
//! whichever master handles them. A start that was lost with a keeper is repeated at once and is
//! neither a failure nor a restart.

use openctrl_core::engine::Input;
use openctrl_core::ids::InstanceId;
use openctrl_core::instance::{Goal, Instance, Restart};

use super::{Invariant, Scene, Verdict, ensure};
use crate::world::{HasToEnd, Keeper, Phase};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Survivors {
    /// The instance whose start is lost next, with its counts of failures and restarts.
    losing: Option<(InstanceId, [u64; 2])>,
}

impl Invariant for Survivors {
    fn id(&self) -> &'static str {
        "INV-13"
    }

    fn before_input(&mut self, scene: Scene<'_>, input: &Input) -> Verdict {
        self.losing = None;
        let Input::StartLost { process, may_have_run } = input else { return Ok(()) };
        let row = scene.engine.table().get(process.slot);
        self.losing = row.filter(|_| !scene.is_late).and_then(|row| {
            let is_once = *may_have_run && row.definition().policy.restart == Restart::Never;
            let is_wanted = row.desired().goal == Goal::Up && row.state().is_spawning();
            let starts_again = is_wanted && !row.state().is_stopping() && !is_once;
            starts_again.then(|| (row.definition().id, failures(row)))
        });
        Ok(())
    }

    fn after_input(&mut self, scene: Scene<'_>, input: Option<&Input>) -> Verdict {
        if let Some((id, before)) = self.losing.take()
            && scene.oracle.shutdowns == 0
            && let Some(row) = scene.instances().find(|row| row.definition().id == id)
        {
            let (state, after) = (row.state(), failures(row));
            ensure(after == before, || format!("the lost start of {id} counts: {after:?}"))?;
            let waits = row.facts().waits_for.is_some();
            ensure(state.is_spawning() || waits, || {
                format!("{id} is {state:?} after a lost start")
            })?;
        }
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

fn failures(row: &Instance) -> [u64; 2] {
    [row.facts().failures, row.facts().restarts]
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
