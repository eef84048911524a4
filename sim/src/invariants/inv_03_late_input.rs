//! INV-3: late input of an old generation changes nothing, and has no effect.

use openctrl_core::engine::{Effect, Input};

use super::{Invariant, Scene, Verdict, ensure};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct LateInput {
    before: Option<String>,
}

impl Invariant for LateInput {
    fn id(&self) -> &'static str {
        "INV-3"
    }

    fn before_input(&mut self, scene: Scene<'_>, _input: &Input) -> Verdict {
        self.before = scene.is_late.then(|| format!("{:?}", scene.engine));
        Ok(())
    }

    fn on_effect(&mut self, scene: Scene<'_>, effect: &Effect) -> Verdict {
        ensure(!scene.is_late, || format!("late input leads to {effect:?}"))
    }

    fn after_input(&mut self, scene: Scene<'_>, input: Option<&Input>) -> Verdict {
        let Some(before) = self.before.take() else { return Ok(()) };
        let after = format!("{:?}", scene.engine);
        ensure(before == after, || format!("{input:?} changed the engine to {after}"))
    }
}
