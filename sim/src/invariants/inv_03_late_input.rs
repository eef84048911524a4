//! INV-3: late input of an old generation changes nothing, and has no effect.

use std::fmt::Write;

use openctrl_core::engine::{Effect, Engine, Input};

use super::{Invariant, Scene, Verdict, ensure};
use crate::digest::Digest;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct LateInput {
    before: Option<Digest>,
}

impl Invariant for LateInput {
    fn id(&self) -> &'static str {
        "INV-3"
    }

    fn before_input(&mut self, scene: Scene<'_>, _input: &Input) -> Verdict {
        self.before = scene.is_late.then(|| whole(scene.engine));
        Ok(())
    }

    fn on_effect(&mut self, scene: Scene<'_>, effect: &Effect) -> Verdict {
        ensure(!scene.is_late, || format!("late input leads to {effect:?}"))
    }

    fn after_input(&mut self, scene: Scene<'_>, input: Option<&Input>) -> Verdict {
        let Some(before) = self.before.take() else { return Ok(()) };
        ensure(before == whole(scene.engine), || {
            format!("{input:?} changed the engine to {:?}", scene.engine)
        })
    }
}

/// A digest of all that is in the engine.
fn whole(engine: &Engine) -> Digest {
    let mut digest = Digest::default();
    write!(digest, "{engine:?}").expect("a digest takes everything");
    digest
}
