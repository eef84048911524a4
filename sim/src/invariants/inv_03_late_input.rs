//! INV-3: late input of an old generation changes nothing, and has no effect.
//!
//! Compares the fingerprint of the engine, which covers everything except texts, each time.
//! Compares the texts too at one late input of sixteen, because that takes as long as a dozen
//! inputs.

use openctrl_core::command::Command;
use openctrl_core::engine::{Effect, Input};
use openctrl_core::trace::Digest;

use super::{Invariant, Scene, Verdict, ensure};

/// At one late input of this many the texts are compared too.
const TEXTS_EVERY: u64 = 16;

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
        self.before = scene.is_late.then(|| digest(scene));
        Ok(())
    }

    fn on_effect(&mut self, scene: Scene<'_>, effect: &Effect) -> Verdict {
        ensure(!scene.is_late, || format!("late input leads to {effect:?}"))
    }

    fn after_input(&mut self, scene: Scene<'_>, input: Option<&Input>) -> Verdict {
        let Some(before) = self.before.take() else { return Ok(()) };
        ensure(before == digest(scene), || {
            format!("{input:?} changed the engine to {:?}", scene.engine)
        })
    }
}

fn digest(scene: Scene<'_>) -> Digest {
    let (mut digest, fingerprint) = (Digest::default(), scene.engine.fingerprint());
    digest.word(fingerprint);
    // As good as a throw of dice, and the same one before and after.
    if fingerprint.is_multiple_of(TEXTS_EVERY) {
        texts(&mut digest, scene);
    }
    digest
}

/// Every text in the engine: of the master, of pending work, and of the instances.
fn texts(digest: &mut Digest, scene: Scene<'_>) {
    let under_way = scene.engine.under_way();
    digest.everything(&under_way.face);
    under_way.records.iter().for_each(|one| digest.everything(&one.record));
    for (request, command) in &under_way.requests {
        digest.everything(&format!("{request:?}{command:?}"));
        // Secrets in a URL are not shown above.
        if let Command::Create { url, .. } | Command::Replace { url, .. } = command {
            digest.everything(url);
        }
    }
    for row in scene.instances() {
        digest.everything(&(row.definition(), row.versions().staged()));
        digest.everything(&format!("{:?}", row.facts()));
    }
}
