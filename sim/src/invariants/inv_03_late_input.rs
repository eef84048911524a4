//! INV-3: late input of an old generation changes nothing, and has no effect.
//!
//! What can be seen of the engine is compared each time. All that is in it is compared at the
//! first late input of a run and at every sixteenth after that, since it takes as long as a dozen
//! inputs.

use std::fmt::Write;

use openctrl_core::counters::Counters;
use openctrl_core::engine::{Effect, Engine, Input, TimerReason};
use openctrl_core::instance::{Instance, Metrics};

use super::{Invariant, Scene, Verdict, ensure};
use crate::digest::Digest;
use crate::world::Fault;

/// How many late inputs there are to each at which everything is compared.
const WHOLE_EVERY: u64 = 16;

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
    let count = scene.world.faults[Fault::LateInput as usize];
    if count % WHOLE_EVERY == 1 { whole(scene.engine) } else { visible(scene) }
}

/// All that is in the engine.
fn whole(engine: &Engine) -> Digest {
    let mut digest = Digest::default();
    write!(digest, "{engine:?}").expect("a digest takes everything");
    digest
}

/// The table and the timers.
fn visible(scene: Scene<'_>) -> Digest {
    let mut digest = Digest::default();
    scene.instances().for_each(|instance| row(&mut digest, instance));
    for (at, reason) in scene.engine.timers() {
        let (kind, of) = match reason {
            TimerReason::Tick => (0, 0),
            TimerReason::Grace(slot) => (1, slot.0.into()),
            TimerReason::Leftover(slot) => (2, slot.0.into()),
            TimerReason::Restart(slot) => (3, slot.0.into()),
            TimerReason::DialWait(request) => (4, request.0),
            TimerReason::ShutdownLimit => (5, 0),
        };
        [at.as_micros(), kind, of].into_iter().for_each(|word| digest.word(word));
    }
    digest
}

fn row(digest: &mut Digest, instance: &Instance) {
    let Metrics { mode, ping, pool, tcps, udps } = instance.metrics;
    let Counters { tcprx, tcptx, udprx, udptx } = instance.counters;
    let starts = instance.operations.iter().filter(|operation| operation.starts).count();
    let flags = [
        instance.totals_unsaved,
        instance.start_after_stop,
        instance.group_left,
        instance.staged.is_some(),
        instance.last_checkpoint.is_some(),
        instance.healthy_since.is_some(),
    ];
    let flags = flags.iter().fold(0, |flags, flag| 2 * flags + u64::from(*flag));
    let counters = [tcprx, tcptx, udprx, udptx].map(|counter| counter.shown());
    let gauges = [mode, ping, pool, tcps, udps].map(|gauge| gauge as u64);
    let lengths = [starts, instance.operations.len(), instance.awaiting_start.len()];
    let words = [
        instance.definition.id.0.into(),
        instance.state as u64,
        instance.generation.0,
        instance.unsaved_records.into(),
        instance.unsaved_resets.into(),
        flags,
    ];
    let all = words.into_iter().chain(counters).chain(gauges);
    all.chain(lengths.map(|length| length as u64)).for_each(|word| digest.word(word));
}
