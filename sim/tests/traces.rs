//! Traces: what is recorded of a simulated run replays to the same digests, from any moment on, and
//! holds under the same invariants; what does not hold is made small.

use openctrl_core::ids::BootId;
use openctrl_core::time::Now;
use openctrl_core::trace::Header;
use openctrl_sim::choice::Choices;
use openctrl_sim::run::Run;
use openctrl_sim::scenario::Scenario;
use openctrl_sim::trace::{is_trace, replay};

fn header() -> Header {
    let (product, started) = ("simulated".to_string(), Now::default());
    Header { product, boot: BootId(1), sequence: 1, started, has_text: false }
}

/// What is recorded of the run of a seed from the step `from` on, up to its end or death.
fn recorded(seed: u64, from: usize) -> Option<Vec<u8>> {
    let mut choices = Choices::from_seed(seed);
    let scenario = Scenario::draw(&mut choices);
    let mut run = Run::of(&scenario);
    run.record_from(from, header());
    run.whole(&mut choices, &scenario).expect("it holds");
    run.recorded(true)
}

#[test]
fn a_recorded_run_replays_to_the_same_and_holds() {
    let mut inputs = 0;
    for seed in 0..200 {
        let from = (seed * 7 % 100) as usize;
        let Some(segment) = recorded(seed, from) else { continue };
        assert!(is_trace(&segment));
        let outcome = replay(&segment).expect("it can be read");
        let at = format!("seed {seed} from step {from}");
        let shown = || outcome.timeline.join("\n");
        assert_eq!(outcome.violation, None, "{at}\n{}", shown());
        assert!(outcome.digests.ends_with("all equal"), "{at}: {}", outcome.digests);
        inputs += outcome.told;
    }
    assert!(inputs > 2_000, "only {inputs}");
}
