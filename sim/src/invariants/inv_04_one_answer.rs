//! INV-4: every request is answered exactly once, at the latest after faults have stopped.

use openctrl_core::engine::Effect;

use super::{Invariant, Scene, Verdict, ensure};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct OneAnswer;

impl Invariant for OneAnswer {
    fn id(&self) -> &'static str {
        "INV-4"
    }

    fn on_effect(&mut self, scene: Scene<'_>, effect: &Effect) -> Verdict {
        let Effect::Respond { request, outcome } = effect else { return Ok(()) };
        match scene.oracle.ledger.asked.get(request) {
            Some(asked) => ensure(asked.answers == 0, || {
                format!("{request:?}, {:?}, is answered again: {outcome:?}", asked.command)
            }),
            None => Err(format!("{request:?} is answered and was never asked: {outcome:?}")),
        }
    }

    fn at_rest(&mut self, scene: Scene<'_>) -> Verdict {
        let waiting = scene.oracle.ledger.unanswered().next();
        ensure(waiting.is_none(), || format!("{waiting:?} is not answered"))
    }
}
