//! Tests with recordings of instances of a Patrol configuration.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::engine::presence_tests::{SECRET, Step, World, step};
use crate::engine::{Effect, Engine};
use crate::formats::Masks;
use crate::ids::BootId;
use crate::time::Now;
use crate::trace::tests::tampered;

/// Takes all steps. Returns the world, the engine before one of them, and how many inputs it had
/// had then.
fn run(steps: &[Step], begin: usize) -> (World, Engine, usize) {
    let mut world = World::new();
    steps[..begin].iter().for_each(|step| world.take(step));
    let (engine, inputs) = (world.engine.clone(), world.told.len());
    steps[begin..].iter().for_each(|step| world.take(step));
    world.settle();
    (world, engine, inputs)
}

fn record(world: &World, engine: &Engine, begin: usize) -> Vec<u8> {
    let header = Header {
        product: "test".to_string(),
        boot: BootId(1),
        sequence: 1,
        started: Now::default(),
        has_text: false,
    };
    let mut encoder = Encoder::begin(&header, engine);
    let mut digest = Digest::default();
    for (now, input, effects) in &world.told[begin..] {
        encoder.input(*now, digest, input);
        effects.iter().for_each(|effect| digest.effect(effect));
    }
    let state = Some(world.engine.fingerprint());
    let mut segment = encoder.take();
    let end = End { why: EndReason::Finished, effects: Some(digest), state };
    segment.append(&mut encoder.end(&end));
    segment
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn an_engine_with_a_configuration_goes_on_as_if_it_had_not_been_frozen(
        steps in prop::collection::vec(step(), 1..120),
        begin: Index,
    ) {
        let (world, engine, begin) = run(&steps, begin.index(steps.len()));
        let frozen = crate::codec::encode(engine.freeze(&mut Masks::plain()));
        let frozen = crate::codec::decode(&frozen).expect("what was encoded");
        let mut thawed = Engine::thaw(frozen).expect("an engine");
        for (now, input, effects) in &world.told[begin..] {
            thawed.handle(*now, input.clone());
            let others: Vec<Effect> = core::iter::from_fn(|| thawed.poll_effect()).collect();
            prop_assert_eq!(alloc::format!("{effects:?}"), alloc::format!("{others:?}"));
        }
        prop_assert_eq!(thawed.fingerprint(), world.engine.fingerprint());
        prop_assert_eq!(thawed.poll_timeout(), world.engine.poll_timeout());
    }

    #[test]
    fn a_recording_with_a_configuration_replays_and_holds_no_secret(
        steps in prop::collection::vec(step(), 1..120),
        begin: Index,
    ) {
        let (world, engine, begin) = run(&steps, begin.index(steps.len()));
        let segment = record(&world, &engine, begin);
        let mut replay = Replay::new(&segment).expect("a good segment");
        while let Some(step) = replay.step() {
            let effects = step.effects.iter().map(show_effect);
            for line in effects.chain([show_happened(&step.input)]) {
                prop_assert!(!line.contains(SECRET), "{}", line);
            }
        }
        let summary = replay.summary();
        prop_assert_eq!(summary.difference, None);
        prop_assert_eq!(summary.inputs, (world.told.len() - begin) as u64);
        prop_assert_eq!(summary.effects_checked, summary.inputs);
        prop_assert_eq!(replay.engine().fingerprint(), world.engine.fingerprint());
        prop_assert!(!String::from_utf8_lossy(&segment).contains(SECRET));
    }

    #[test]
    fn a_tampered_segment_with_a_configuration_does_no_harm(
        steps in prop::collection::vec(step(), 1..60),
        begin: Index,
        changes in prop::collection::vec((any::<Index>(), prop_oneof![any::<u8>(), 0u8..4, 250u8..=255]), 1..4),
    ) {
        let (world, engine, begin) = run(&steps, begin.index(steps.len()));
        let segment = tampered(&record(&world, &engine, begin), &changes);
        if let Ok(mut replay) = Replay::new(&segment) {
            while replay.step().is_some() {}
            prop_assert!(replay.ending().is_some());
        }
    }
}
