//! Traces: what is recorded of a simulated run replays to the same digests, from any moment on, and
//! holds under the same invariants; what does not hold is made small.

use openctrl_core::ids::BootId;
use openctrl_core::time::Now;
use openctrl_core::trace::{Digest, Encoder, End, EndReason, Header, Reader, Record};
use openctrl_sim::choice::Choices;
use openctrl_sim::run::Run;
use openctrl_sim::scenario::Scenario;
use openctrl_sim::shrink::Limits;
use openctrl_sim::trace::{is_trace, make_small, replay};

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

#[test]
fn what_differs_from_the_recording_is_cut_off_behind_that() {
    let segment = (0..).find_map(|seed| recorded(seed, 3)).expect("some masters live on");
    let mut reader = Reader::new(&segment).expect("it was just recorded");
    let mut forged = Encoder::begin(reader.header(), &reader.engine());
    let mut inputs = 0;
    for record in &mut reader {
        if let Record::Input { now, effects, input } = record {
            inputs += 1;
            // The effects of the sixth are said to be others.
            let effects = if inputs == 7 { !effects } else { effects };
            forged.input(now, Digest(u64::from(effects) << 32), &input);
        }
    }
    let end = End { why: EndReason::Continued, effects: None, state: None };
    let forged = forged.end(&end);
    let found = replay(&forged).expect("it can be read").violation.expect("it differs");
    assert_eq!(found.invariant, "INV-10");
    let small = make_small(&forged, &found, Limits::default(), |_, _| {}).expect("it differs");
    assert_eq!((small.steps, small.steps_before), (6, inputs));
    let again = replay(&small.segment).expect("it can be read").violation;
    assert_eq!(again, Some(found));
}

#[test]
fn what_is_no_trace_is_refused() {
    let segment = (0..).find_map(|seed| recorded(seed, 3)).expect("some masters live on");
    assert!(replay(&segment[..9]).is_err() && replay(b"OPENCTRT\xff\xff").is_err());
    assert!(!is_trace(b"OPEN"));
}
