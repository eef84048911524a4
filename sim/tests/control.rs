//! Seeds of the world of the control API.

use openctrl_sim::control::run;

#[test]
fn stored_events_and_rules_hold_in_every_run() {
    let (mut events, mut firings, mut crashes, mut refusals) = (0, 0, 0, 0);
    let mut replayed = 0;
    for seed in 0..60 {
        let summary = run(seed, 250).unwrap_or_else(|what| panic!("{what}"));
        events += summary.events;
        firings += summary.firings;
        crashes += summary.crashes;
        refusals += summary.refusals;
        replayed += summary.replayed;
    }
    // The runs are worth something only if they come to these.
    assert!(events > 4_000 && firings > 1_000, "{events} events, {firings} of rules");
    assert!(crashes > 40 && refusals > 40, "{crashes} crashes, {refusals} refusals");
    assert!(replayed > 4_000, "{replayed} digests were compared with those of replays");
}

#[test]
fn the_same_seed_gives_the_same_events() {
    for seed in 0..10 {
        assert_eq!(run(seed, 200), run(seed, 200), "seed {seed}");
    }
}
