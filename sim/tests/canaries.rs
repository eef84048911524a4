//! The simulation finds every known bug of `openctrl_core::canary`, within a bounded number of
//! seeds, and nothing where there is none. `docs/contributors/SIMULATION.md` says how to run it.
#![cfg(canary)]

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use openctrl_core::canary::{Canary, choose};
use openctrl_sim::choice::Choices;
use openctrl_sim::lanes::in_order;
use openctrl_sim::patrol;
use openctrl_sim::run::{run, run_unchecked};

/// Within how many seeds each has to be found.
const SEEDS_MAX: u64 = 2_000;

/// How many seeds show that no other invariant finds what the check of the engine finds.
const SEEDS_UNCHECKED: u64 = 200;

/// Bugs of apps and services, and the invariant that alone finds each.
const APPS: [(Canary, &str); 5] = [
    (Canary::StaleApplied, "INV-11"),
    (Canary::RunNotKept, "INV-12"),
    (Canary::PingBelieved, "INV-16"),
    (Canary::SilentSpared, "INV-2"),
    (Canary::FirstStartCounted, "INV-18"),
];

/// One bug for each part of the check.
const ENGINE: [Canary; 6] = [
    Canary::SlotLeaked,
    Canary::AliveMiscounted,
    Canary::ReservationKept,
    Canary::StagedKept,
    Canary::NextRestartKept,
    Canary::DialNotContinued,
];

/// One test, as what is chosen holds for the whole program.
#[test]
fn every_canary_is_found() {
    let (mut most, mut missed) = (0, Vec::new());
    eprintln!("| canary | seeds | found by |\n|---|---|---|");
    for canary in Canary::ALL.into_iter().filter(|canary| !APPS.iter().any(|(of, _)| of == canary))
    {
        choose(Some(canary));
        match first_failure(SEEDS_MAX) {
            Some((seeds, what)) => {
                eprintln!("| {} | {seeds} | {what} |", canary.name());
                assert!(what == "CHECK" || !ENGINE.contains(&canary), "found by {what}");
                most = most.max(seeds);
            }
            None => missed.push(canary),
        }
    }
    assert_eq!(missed, [], "these are not found in {SEEDS_MAX} seeds");
    for canary in ENGINE {
        choose(Some(canary));
        let unchecked = |seed| run_unchecked(&mut Choices::from_seed(seed)).err();
        let found = first(SEEDS_UNCHECKED, unchecked);
        assert_eq!(found, None, "the check is not alone in finding {}", canary.name());
    }
    for (canary, invariant) in APPS {
        choose(Some(canary));
        let found =
            first(SEEDS_MAX, |seed| Some(patrol::run_seed(seed).err()?.violation.invariant));
        let (seeds, what) = found.unwrap_or_else(|| panic!("{} is not found", canary.name()));
        eprintln!("| {} | {seeds} | {what} |", canary.name());
        assert_eq!(what, invariant, "another invariant finds {}", canary.name());
    }
    choose(None);
    assert_eq!(first_failure(most), None, "a seed fails without a bug");
}

/// How many seeds it took until one failed, and what did not hold.
fn first_failure(seeds: u64) -> Option<(u64, &'static str)> {
    first(seeds, |seed| {
        // Assertions of the core and of the books count as well.
        let done = catch_unwind(AssertUnwindSafe(|| run(&mut Choices::from_seed(seed))));
        match done {
            Ok(Ok(_)) => None,
            Ok(Err(failure)) => Some(failure.violation.invariant),
            Err(_) => Some("an assertion"),
        }
    })
}

/// How many of the seeds it takes until `run` finds something, and what it finds.
fn first<T: Send>(seeds: u64, run: impl Fn(u64) -> Option<T> + Sync) -> Option<(u64, T)> {
    in_order(0..seeds, run, |seed, found| match found {
        Some(found) => ControlFlow::Break((seed + 1, found)),
        None => ControlFlow::Continue(()),
    })
}
