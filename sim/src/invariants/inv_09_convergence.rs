//! INV-9: within a bounded time after faults have stopped, every instance has its desired state; a
//! shutdown finishes, and nothing happens after it.

use openctrl_core::command::Outcome;
use openctrl_core::engine::Effect;
use openctrl_core::instance::{Instance, Restart, State};

use super::{Invariant, Scene, Verdict, ensure};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Convergence;

impl Invariant for Convergence {
    fn id(&self) -> &'static str {
        "INV-9"
    }

    fn on_effect(&mut self, scene: Scene<'_>, effect: &Effect) -> Verdict {
        let is_refusal = matches!(effect, Effect::Respond { outcome: Outcome::Refused(_), .. });
        ensure(!scene.oracle.finished || is_refusal, || format!("{effect:?} after the end"))
    }

    fn at_rest(&mut self, scene: Scene<'_>) -> Verdict {
        if scene.oracle.shutdowns > 0 {
            return ensure(scene.oracle.finished, || "the shutdown does not end".to_string());
        }
        scene.instances().try_for_each(|instance| is_as_wanted(scene, instance))
    }
}

fn is_as_wanted(scene: Scene<'_>, instance: &Instance) -> Verdict {
    let id = instance.definition().id;
    let wish = scene.oracle.wishes.get(&id);
    let is_wanted = wish.is_some_and(|wish| wish.running);
    let policy = &instance.definition().policy;
    ensure(!instance.lifecycle().gave_up() || policy.limit.is_some(), || {
        format!("{id} gave up without a limit")
    })?;
    let is_left = !instance.definition().restarts() || instance.lifecycle().gave_up();
    // One that exited with 0 is restarted as long as its policy is `Always`.
    let ended_clean = wish.is_some_and(|wish| wish.ended_clean);
    let may_rest =
        ended_clean && (policy.restart != Restart::Always || instance.lifecycle().gave_up());
    let is_as_wanted = match instance.state() {
        State::RUNNING => is_wanted,
        // What it waits for is checked by INV-17.
        State::STOPPED => {
            let waits = instance.shown_wait(false).is_some();
            !is_wanted || may_rest || waits || instance.definition().checks.schedule.is_some()
        }
        // Without restarts, a failed instance stays failed.
        State::FAILED | State::FAILING => is_wanted && is_left,
        _ => false,
    };
    ensure(is_as_wanted, || {
        format!("{id} is {:?}, and this is wanted: {wish:?}", instance.state())
    })?;
    let is_idle = instance.queue().is_empty()
        && instance.queue().awaiting_start().len() == 0
        && instance.versions().unsaved_records() == 0;
    ensure(is_idle, || format!("{id} is not done: {instance:?}"))
}
