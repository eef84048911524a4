//! Facts about processes for people, shown before the event that reports the same.

use super::Teller;
use super::storage::stored;
use crate::ids::{Generation, InstanceId, ProcessRef, SlotId};

#[test]
fn every_start_and_end_is_told_and_the_restart_that_is_due() {
    let mut story = Teller::new();
    story.names.facts = true;
    story.create("a:b").persisted().started().exited(1).past_ticks().start_failed("no file");
    story.act("A", "stop");
    insta::assert_snapshot!(story, @r#"
    0.000    > the master starts
               show the master, key 1, alias ""
             > request 1: create a:b
               persist 1: put A at 0 a:b
             > durable up to 1
               process of A: stopped, 0 starts, 0 failures, 0 restarts, 0 exits
               event 1 create A a:b stopped
               answer 1: 201 A a:b stopped
               spawn p1 for A: a:b
             > p1 started
               process of A: p1 running, 1 starts, 0 failures, 0 restarts, 0 exits
               event 2 update A a:b running
             > p1 exits with 1
               process of A: error, 1 starts, 0 failures, 0 restarts, 1 exits, last Own(Code(1)), next in 1000 ms, because: exited with code 1
               event 3 update A a:b error
    1.000    > due: Restart of A
               spawn p2 for A: a:b
               process of A: error, 1 starts, 0 failures, 1 restarts, 1 exits, last Own(Code(1)), because: exited with code 1
             > p2 cannot be started
               event 4 log A: "cannot start: no file"
               process of A: error, 1 starts, 1 failures, 1 restarts, 1 exits, last NotStarted("no file"), next in 1951 ms, because: could not be started: no file
               event 5 update A a:b error
             > request 2: patch A {"action":"stop"}
               process of A: stopped, 1 starts, 1 failures, 1 restarts, 1 exits, last NotStarted("no file"), because: stopped on request
               event 6 update A a:b stopped
               answer 2: 200 A a:b stopped
    "#);
}

#[test]
fn an_end_in_a_stop_is_a_request_and_an_error_is_not_an_end() {
    let mut story = Teller::with_running("a:b");
    story.names.facts = true;
    story.log("ERROR").checkpoint(1).act("A", "restart").killed();
    insta::assert_snapshot!(story, @r#"
    0.000    > p1 prints "ERROR"
               process of A: p1 error, 1 starts, 0 failures, 0 restarts, 0 exits, next in 1000 ms, because: printed an error: ERROR
               event 3 update A a:b error
               event 4 log A: "ERROR"
             > p1 prints a checkpoint at 1
               process of A: p1 running, 1 starts, 0 failures, 0 restarts, 0 exits
               event 5 update A a:b running mode=1 ping=2 pool=3 tcps=4 udps=5 tcprx=1
             > request 2: patch A {"action":"restart"}
               TERM to p1
               process of A: p1 running, 1 starts, 0 failures, 0 restarts, 0 exits, because: stopping to be started again
               answer 2: 200 A a:b running mode=1 ping=2 pool=3 tcps=4 udps=5 tcprx=1
             > p1 is gone by signal 9
               save totals: A at 1
               process of A: stopped, 1 starts, 0 failures, 0 restarts, 1 exits, last Requested(Signal(9)), because: stopped to be started again
               event 6 update A a:b stopped mode=1 tcprx=1
               spawn p2 for A: a:b
    "#);
}

#[test]
fn what_an_earlier_run_left_behind_is_not_told_of() {
    let mut story = Teller::after_a_crash(stored(), &[InstanceId(1), InstanceId(2)]);
    story.names.facts = true;
    story = story.untold();
    let left_behind = ProcessRef { slot: SlotId(0), generation: Generation(1) };
    story.about(left_behind).killed();
    insta::assert_snapshot!(story, @r"
    0.000    > p1 is gone by signal 9
               event 1 update A demo:a stopped mode=3 tcprx=100
               spawn p4 for A: demo:a
    ");
}
