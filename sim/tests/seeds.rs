//! The first seeds hold. More are a matter of `openctrl-sim sweep`.

use openctrl_sim::choice::Choices;
use openctrl_sim::coverage::Coverage;
use openctrl_sim::run::{reproduce, run, run_seed};

#[test]
fn the_first_seeds_hold() {
    let mut coverage = Coverage::default();
    for seed in 0..200 {
        // Every eighth runs twice, for INV-10.
        let done = if seed % 8 == 0 { run_seed(seed) } else { run(&mut Choices::from_seed(seed)) };
        match done {
            Ok(report) => coverage.merge(&report.coverage),
            Err(failure) => panic!("{failure}\n{}", reproduce(seed)),
        }
    }
    let visited = coverage.to_string();
    assert!(!visited.contains("not visited"), "the scenarios have grown tame: {visited}");
}

#[test]
fn given_bytes_run_out_in_peace() {
    for length in 0..64_usize {
        let bytes: Vec<u8> = (0..length).map(|index| (index * 37 + length) as u8).collect();
        let report = run(&mut Choices::from_bytes(&bytes)).unwrap_or_else(|failure| {
            panic!("{bytes:?} lead to a failure:\n{failure}");
        });
        assert!(report.simulated_ms >= 100_000, "it heals after few faults too");
    }
}
