//! The first seeds hold. More are a matter of `openctrl-sim sweep`.

use std::ops::ControlFlow;

use openctrl_sim::choice::Choices;
use openctrl_sim::coverage::Coverage;
use openctrl_sim::lanes::in_order;
use openctrl_sim::run::{reproduce, run, run_seed, run_twice};

#[test]
fn the_first_seeds_hold_and_visit_everything() {
    let mut coverage = Coverage::default();
    // Every eighth runs twice, for INV-10.
    let run = |seed: u64| if seed.is_multiple_of(8) { run_twice(seed) } else { run_seed(seed) };
    let failed = in_order(0..600, run, |seed, done| match done {
        Ok(report) => {
            coverage.add(&report.coverage);
            ControlFlow::Continue(())
        }
        Err(failure) => ControlFlow::Break(format!("{failure}\n{}", reproduce(seed))),
    });
    if let Some(failed) = failed {
        panic!("{failed}");
    }
    let missed = coverage.missed();
    assert!(missed.is_empty(), "the scenarios have grown tame: {missed:?}");
}

#[test]
fn given_bytes_run_out_in_peace() {
    for length in 0..64_usize {
        let bytes: Vec<u8> = (0..8 * length).map(|index| (index * 37 + length) as u8).collect();
        let report = run(&mut Choices::from_bytes(&bytes[..])).unwrap_or_else(|failure| {
            panic!("{bytes:?} lead to a failure:\n{failure}");
        });
        let ends = report.simulated_ms >= 100_000 || report.coverage.has_finished();
        assert!(ends, "it heals after few faults too");
    }
}

#[test]
fn what_a_seed_has_taken_is_its_run() {
    for seed in 0..20 {
        let mut choices = Choices::from_seed(seed);
        let report = run(&mut choices).expect("it holds");
        let again = run(&mut Choices::from_bytes(choices.taken())).expect("it holds");
        assert_eq!((report.digest, report.inputs), (again.digest, again.inputs), "seed {seed}");
    }
}
