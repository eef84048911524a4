//! The end of the master.

use super::Teller;

/// Streams end first, then all children are asked at once and have 5 s; what did not end is
/// killed, totals are saved, and that is the end (Contract §12).
#[test]
fn slow_children() {
    let mut t = Teller::with_running("demo:a");
    let a = t.current();
    t.create("demo:b").persisted().started();
    let b = t.current();
    let mut t = t.untold();
    t.about(a).checkpoint(100).shutdown();
    t.about(b).exited(0).next_timer().about(a).checkpoint(130).killed();
    insta::assert_snapshot!(t, @r"
    0.000    > p1 prints a checkpoint at 100
               event 5 update A demo:a running mode=1 ping=2 pool=3 tcps=4 udps=5 tcprx=100
             > shutdown is requested
               close all streams
               TERM to p1
               TERM to p2
             > p2 exits with 0
               event 6 update B demo:b stopped
    5.000    > due: Grace of A
               save totals: A at 100
               KILL to p1
             > p1 prints a checkpoint at 130
               event 7 update A demo:a running mode=1 ping=2 pool=3 tcps=4 udps=5 tcprx=130
             > p1 is gone by signal 9
               save totals: A at 130
               event 8 update A demo:a stopped mode=1 tcprx=130
               finish
    ");
}

/// A second signal cuts the grace short (Contract §12).
#[test]
fn second_signal() {
    let mut t = Teller::with_running("demo:a");
    t.shutdown().advance(1_000).shutdown().killed();
    insta::assert_snapshot!(t, @r"
    0.000    > shutdown is requested
               close all streams
               TERM to p1
    1.000    > shutdown is requested
               KILL to p1
             > p1 is gone by signal 9
               event 3 update A demo:a stopped
               finish
    ");
}

/// A change that was on its way is finished and answered, but starts nothing; a new one is turned
/// down; what else waits is answered at the end (Contract §12).
#[test]
fn change_in_flight() {
    let mut t = Teller::with_running("demo:a");
    t.create("demo:b").ping("h:80").shutdown().create("demo:c").exited(0).persisted();
    insta::assert_snapshot!(t, @r"
    0.000    > request 2: create demo:b
               persist 2: put B at 0 demo:b
             > request 3: ping h:80
               dial h:80 for 3
             > shutdown is requested
               close all streams
               TERM to p1
             > request 4: create demo:c
               answer 4: 503 the master is shutting down
             > p1 exits with 0
               event 3 update A demo:a stopped
             > durable up to 2
               event 4 create B demo:b stopped
               answer 2: 201 B demo:b stopped
               answer 3: 200 not connected, the master is shutting down
               finish
    ");
}

/// A PUT that was stopping its instance is finished and answered; nothing is started
/// (Contract §12).
#[test]
fn put_in_flight() {
    let mut t = Teller::with_running("demo:a");
    t.put("A", "demo:b").shutdown().exited(0).persisted();
    insta::assert_snapshot!(t, @r"
    0.000    > request 2: put A demo:b
               TERM to p1
             > shutdown is requested
               close all streams
             > p1 exits with 0
               event 3 update A demo:a stopped
               persist 2: put A at 0 demo:b
             > durable up to 2
               event 4 update A demo:b stopped
               answer 2: 200 A demo:b stopped
               finish
    ");
}

/// A process that was being started when the end came is stopped as soon as it lives
/// (Contract §12).
#[test]
fn start_in_flight() {
    let mut t = Teller::new();
    t.create("demo:a").persisted();
    let mut t = t.untold();
    t.shutdown().started().exited(0);
    insta::assert_snapshot!(t, @r"
    0.000    > shutdown is requested
               close all streams
             > p1 started
               TERM to p1
             > p1 exits with 0
               event 2 update A demo:a stopped
               finish
    ");
}

/// A child that not even KILL ends, and a disk that says nothing, hold the end up for 10 s and no
/// longer (Contract §12).
#[test]
fn nothing_holds_it_up_for_ever() {
    let mut t = Teller::with_running("demo:a");
    t.set_alias("edge").shutdown().past_ticks().past_ticks();
    insta::assert_snapshot!(t, @r#"
    0.000    > request 2: alias "edge"
               persist 2: put the master, key 1, alias "edge"
             > shutdown is requested
               close all streams
               TERM to p1
    5.000    > due: Grace of A
               KILL to p1
    10.000   > due: Grace of A, ShutdownLimit
               event 3 log A: "cannot be killed: still running after every signal; stopping because the master is shutting down, tried again every minute"
               event 4 update A demo:a running
               KILL to p1
               answer 2: 503 the master is shutting down
               finish
    "#);
}
