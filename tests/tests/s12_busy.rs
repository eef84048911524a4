//! Contract §12 with work under way: the end costs nothing that was acknowledged, and a client that is
//! in a hurry can say so.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::path::Path;
use std::time::{Duration, Instant};

use openctrl_tests::crash::Harness;
use openctrl_tests::process::is_alive;
use openctrl_tests::{Master, Script};
use rustix::process::Signal;
use serde_json::json;

#[test]
fn term_in_the_midst_of_work_loses_nothing() {
    orderly_rounds(Harness::new(12, Path::new(env!("CARGO_BIN_EXE_crash-harness"))));
}

#[test]
fn nor_does_it_with_survival() {
    let program = Path::new(env!("CARGO_BIN_EXE_crash-harness"));
    orderly_rounds(Harness::with_keeper(12, program));
}

fn orderly_rounds(mut harness: Harness) {
    let rounds = 30;
    (0..rounds).for_each(|_| harness.orderly_round());
    let summary = harness.finish();
    assert!(summary.is_clean(), "{summary}\n{}", summary.findings.join("\n"));
    assert_eq!(summary.rounds, rounds);
    assert!(summary.changes > rounds, "{summary}: too little was done");
}

#[test]
fn a_second_term_ends_those_that_ignore_the_first() {
    for second in [Signal::TERM, Signal::INT] {
        let mut master = Master::start();
        let (up, asked) = (master.mark("up"), master.mark("asked"));
        let deaf = Script::new().on_term(Script::new().mark(&asked)).mark(&up).wait();
        let ids: Vec<String> = (0..4).map(|_| master.api().run(&deaf)).collect();
        let pids = up.wait(4);
        master.api().patch(&ids[0], &json!({"alias": "kept"})).expect(200);
        let begun = Instant::now();
        master.signal(Signal::TERM);
        asked.wait(4);
        // New changes are turned down, but the master is still there to say so.
        master.api().patch(&ids[0], &json!({"alias": "refused"})).expect_error(503);
        assert!(pids.iter().all(|entry| is_alive(entry.pid)));
        master.signal(second);
        let status = master.wait_exit();
        assert_eq!(status.code(), Some(0), "{second:?}");
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(5), "the grace is not waited for: {took:?}");
        assert!(pids.iter().all(|entry| !is_alive(entry.pid)), "none is left");
        master.restart();
        assert_eq!(master.api().instance(&ids[0])["alias"], "kept");
    }
}

/// A client that waits for a slow stop when the master ends is answered, and the answer is true.
#[test]
fn what_waits_at_the_end_is_answered() {
    let mut master = Master::start();
    let (up, asked) = (master.mark("up"), master.mark("asked"));
    let deaf = Script::new().on_term(Script::new().mark(&asked)).mark(&up).wait();
    let ids = ["put", "delete"].map(|_| master.api().run(&deaf));
    up.wait(2);
    let api = master.api();
    let answers = std::thread::scope(|scope| {
        let put = scope.spawn(|| api.put(&ids[0], "stub://new"));
        let delete = scope.spawn(|| api.delete(&ids[1]));
        asked.wait(2);
        master.signal(Signal::TERM);
        let answers = [put, delete].map(|answer| answer.join().unwrap().status);
        assert_eq!(master.wait_exit().code(), Some(0));
        answers
    });
    master.restart();
    let url = master.api().instance(&ids[0])["url"].clone();
    let is_there = master.api().get(&format!("/instances/{}", ids[1])).status == 200;
    match answers {
        [200, 204] => assert!(url == "stub://new" && !is_there, "{url} {is_there}"),
        [503, 503] => assert!(url == deaf.url() && is_there, "{url} {is_there}"),
        other => panic!("{other:?} are no answers to expect"),
    }
}
