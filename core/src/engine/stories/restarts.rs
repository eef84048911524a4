//! Restarts of instances that fail, and the delays between them.

use super::Teller;

/// Restarts of a crashing instance back off: the first after 1 to 5 s, doubling to 60 s with
/// ±20 % jitter, indefinitely (Contract §6).
#[test]
fn crash_loop() {
    let mut t = Teller::with_running("demo:a");
    for _ in 0..7 {
        t.exited(1).past_ticks().started();
    }
    insta::assert_snapshot!(t, @r"
    0.000    > p1 exits with 1
               event 3 update A demo:a error
    1.000    > due: Restart of A
               spawn p2 for A: demo:a
             > p2 started
               event 4 update A demo:a running
             > p2 exits with 1
               event 5 update A demo:a error
    2.951    > due: Restart of A
               spawn p3 for A: demo:a
             > p3 started
               event 6 update A demo:a running
             > p3 exits with 1
               event 7 update A demo:a error
    6.537    > due: Restart of A
               spawn p4 for A: demo:a
             > p4 started
               event 8 update A demo:a running
             > p4 exits with 1
               event 9 update A demo:a error
    16.058   > due: Restart of A
               spawn p5 for A: demo:a
             > p5 started
               event 10 update A demo:a running
             > p5 exits with 1
               event 11 update A demo:a error
    32.318   > due: Restart of A
               spawn p6 for A: demo:a
             > p6 started
               event 12 update A demo:a running
             > p6 exits with 1
               event 13 update A demo:a error
    62.467   > due: Restart of A
               spawn p7 for A: demo:a
             > p7 started
               event 14 update A demo:a running
             > p7 exits with 1
               event 15 update A demo:a error
    117.810  > due: Restart of A
               spawn p8 for A: demo:a
             > p8 started
               event 16 update A demo:a running
    ");
}

/// Ten healthy minutes reset the back-off; anything less does not (Contract §6).
#[test]
fn ten_healthy_minutes_reset_the_back_off() {
    let mut t = Teller::with_running("demo:a");
    for _ in 0..4 {
        t.exited(1).past_ticks().started();
    }
    let mut t = t.untold();
    t.wait(599_999).exited(1).past_ticks().started();
    t.wait(600_000).exited(1).past_ticks().started();
    insta::assert_snapshot!(t, @r"
    616.057  > p5 exits with 1
               event 11 update A demo:a error
    617.057  > due: Restart of A
               spawn p6 for A: demo:a
             > p6 started
               event 12 update A demo:a running
    1217.057 > p6 exits with 1
               event 13 update A demo:a error
    1218.057 > due: Restart of A
               spawn p7 for A: demo:a
             > p7 started
               event 14 update A demo:a running
    ");
}

/// `stop` on `error` without a process gives `stopped` at once, and nothing is restarted any more
/// (Contract §5).
#[test]
fn stop_during_back_off() {
    let mut t = Teller::with_running("demo:a");
    t.exited(1).advance(500).act("A", "stop").wait(120_000);
    insta::assert_snapshot!(t, @r#"
    0.000    > p1 exits with 1
               event 3 update A demo:a error
    0.500    > request 2: patch A {"action":"stop"}
               event 4 update A demo:a stopped
               answer 2: 200 A demo:a stopped
    "#);
}

/// `start` does nothing on `error`, `restart` does not wait for the back-off (Contract §5).
#[test]
fn start_and_restart_during_back_off() {
    let mut t = Teller::with_running("demo:a");
    t.exited(1).act("A", "start").act("A", "restart").started();
    insta::assert_snapshot!(t, @r#"
    0.000    > p1 exits with 1
               event 3 update A demo:a error
             > request 2: patch A {"action":"start"}
               answer 2: 200 A demo:a error
             > request 3: patch A {"action":"restart"}
               event 4 update A demo:a stopped
               spawn p2 for A: demo:a
               answer 3: 200 A demo:a stopped
             > p2 started
               event 5 update A demo:a running
    "#);
}

/// The policy decides at any time: without `restart` a failed instance stays as it is, and a
/// PATCH that turns it on lets the retries begin (Contract §4, §6).
#[test]
fn policy_off_and_on() {
    let mut t = Teller::with_running("demo:a");
    t.exited(1).patch("A", r#"{"restart":false}"#).persisted().wait(120_000);
    t.patch("A", r#"{"restart":true}"#).persisted().past_ticks().started();
    insta::assert_snapshot!(t, @r#"
    0.000    > p1 exits with 1
               event 3 update A demo:a error
             > request 2: patch A {"restart":false}
               persist 2: put A at 0 demo:a
             > durable up to 2
               event 4 update A demo:a error restart=false
               answer 2: 200 A demo:a error restart=false
    120.000  > request 3: patch A {"restart":true}
               persist 3: put A at 0 demo:a
             > durable up to 3
               event 5 update A demo:a error
               answer 3: 200 A demo:a error
    121.951  > due: Restart of A
               spawn p2 for A: demo:a
             > p2 started
               event 6 update A demo:a running
    "#);
}

/// A stop waits for nothing but its own process: another instance continues meanwhile
/// (Contract §6).
#[test]
fn slow_stop_delays_nobody() {
    let mut t = Teller::with_running("demo:a");
    t.act("A", "stop").advance(1_000);
    t.create("demo:b").persisted().started().log("hello");
    t.past_ticks();
    insta::assert_snapshot!(t, @r#"
    0.000    > request 2: patch A {"action":"stop"}
               TERM to p1
               answer 2: 200 A demo:a running
    1.000    > request 3: create demo:b
               persist 2: put B at 0 demo:b
             > durable up to 2
               event 3 create B demo:b stopped
               answer 3: 201 B demo:b stopped
               spawn p2 for B: demo:b
             > p2 started
               event 4 update B demo:b running
             > p2 prints "hello"
               event 5 log B: "hello"
    5.000    > due: Grace of A
               KILL to p1
    "#);
}
