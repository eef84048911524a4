//! A failing run becomes a short one that fails in the same way.

use openctrl_core::command::Outcome;
use openctrl_core::engine::Effect;
use openctrl_sim::choice::Choices;
use openctrl_sim::run::run_tampered;
use openctrl_sim::shrink::{Limits, shrink_choices};

/// Nobody is told that an instance is deleted.
fn forgets_an_answer(effect: Effect) -> Vec<Effect> {
    let is_lost = matches!(effect, Effect::Respond { outcome: Outcome::Removed, .. });
    if is_lost { vec![] } else { vec![effect] }
}

fn invariant_broken_by(bytes: &[u8]) -> Option<&'static str> {
    let done = run_tampered(&mut Choices::from_bytes(bytes), forgets_an_answer);
    done.err().map(|violation| violation.invariant)
}

#[test]
fn a_failing_run_shrinks_to_a_few_steps() {
    let mut seeds = (0..).map(|seed| Choices::from_seed(seed).all().to_vec());
    let bytes = seeds.find(|bytes| invariant_broken_by(bytes) == Some("INV-4"));
    let bytes = bytes.expect("some seed deletes an instance");
    let fails = |bytes: &[u8]| invariant_broken_by(bytes) == Some("INV-4");
    let small = shrink_choices(&bytes, Limits::default(), fails);
    assert_eq!(invariant_broken_by(&small), Some("INV-4"));
    let steps = |bytes: &[u8]| Choices::from_bytes(bytes).chunks().1.count();
    assert!(steps(&small) <= 4 && steps(&small) < steps(&bytes), "{small:?}");
}
