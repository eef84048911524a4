//! Webhooks: what is reported of instances, and when a report is tried again.

use alloc::string::ToString;

use super::Teller;
use crate::engine::Engine;
use crate::instance::CheckKind;
use crate::webhook::{DeliveryResult, HookId};

const ALL: &str = "error,recovered,flapping,ready";

/// A master with one webhook, whose instance A runs as p1; the steps before are not printed.
fn running(events: &str, url: &str) -> Teller {
    let mut t = Teller::new();
    t.webhooks(&[events]).create(url).persisted().started();
    t.untold()
}

/// An instance is ready when it runs, or has met its rule. Its error is reported once, and its
/// end 10 s after it is well again.
#[test]
fn an_error_and_its_end() {
    let mut t = Teller::new().untold();
    t.webhooks(&[ALL]).create("exec:x?ready=line:up").persisted().started().log("up");
    t.answered(0, 200).exited(3).answered(0, 200);
    t.next_timer().started().exited(3);
    t.next_timer().started().log("up").wait(9_900);
    t.next_timer().answered(0, 204);
    insta::assert_snapshot!(t, @r#"
    0.000    > the webhooks are known
             > request 1: create exec:x?ready=line:up
               persist 1: put A at 0 exec:x?ready=line:up
             > durable up to 1
               event 1 create A exec:x?ready=line:up stopped
               answer 1: 201 A exec:x?ready=line:up stopped
               spawn p1 for A: exec:x?ready=line:up
             > p1 started
               event 2 update A exec:x?ready=line:up running
             > p1 prints "up"
               event 3 log A: "up"
               event 4 update A exec:x?ready=line:up running
               deliver to 0: A ready, running, 0 restarts
             > webhook 0: Answered(200)
               webhook 0: 1 delivered, 0 failed, 0 discarded
             > p1 exits with 3
               event 5 update A exec:x?ready=line:up error
               deliver to 0: A error, error, 0 restarts: exited with code 3
             > webhook 0: Answered(200)
               webhook 0: 2 delivered, 0 failed, 0 discarded
    1.000    > due: Restart of A
               spawn p2 for A: exec:x?ready=line:up
             > p2 started
               event 6 update A exec:x?ready=line:up running
             > p2 exits with 3
               event 7 update A exec:x?ready=line:up error
    3.060    > due: Restart of A
               spawn p3 for A: exec:x?ready=line:up
             > p3 started
               event 8 update A exec:x?ready=line:up running
             > p3 prints "up"
               event 9 log A: "up"
               event 10 update A exec:x?ready=line:up running
    13.060   > due: Recovered of A
               deliver to 0: A recovered, running, 2 restarts
             > webhook 0: Answered(204)
               webhook 0: 3 delivered, 0 failed, 0 discarded
    "#);
}

/// The end of an error is reported as well where a process that was late prints a checkpoint first
/// and passes its check after that.
#[test]
fn an_error_that_a_checkpoint_took_back_ends_with_the_check() {
    let mut t = running(ALL, "exec:x?ready=tcp:h:1&ready_timeout=1s");
    t.next_timer().next_timer().answered(0, 204).checkpoint(1);
    assert!(t.told.contains("A error, error, 0 restarts: not ready within 1 s"), "{t}");
    t.checked(CheckKind::Ready, None).past_ticks();
    assert!(t.told.contains("A recovered, running, 0 restarts"), "{t}");
}

/// Neither a stop by request nor a restart by request is reported as an error, and the end of an
/// error waits until the instance runs again.
#[test]
fn requests_are_no_errors() {
    let mut t = running("error,recovered", "exec:x");
    t.act("A", "restart").exited(1).started();
    t.act("A", "stop").exited(1);
    t.act("A", "start").started().exited(1).answered(0, 200);
    t.act("A", "stop").act("A", "start").started();
    t.past_ticks();
    insta::assert_snapshot!(t, @r#"
    0.000    > request 2: patch A {"action":"restart"}
               TERM to p1
               answer 2: 200 A exec:x running
             > p1 exits with 1
               event 3 update A exec:x stopped
               spawn p2 for A: exec:x
             > p2 started
               event 4 update A exec:x running
             > request 3: patch A {"action":"stop"}
               TERM to p2
               answer 3: 200 A exec:x running
             > p2 exits with 1
               event 5 update A exec:x stopped
             > request 4: patch A {"action":"start"}
               spawn p3 for A: exec:x
               answer 4: 200 A exec:x stopped
             > p3 started
               event 6 update A exec:x running
             > p3 exits with 1
               event 7 update A exec:x error
               deliver to 0: A error, error, 0 restarts: exited with code 1
             > webhook 0: Answered(200)
               webhook 0: 1 delivered, 0 failed, 0 discarded
             > request 5: patch A {"action":"stop"}
               event 8 update A exec:x stopped
               answer 5: 200 A exec:x stopped
             > request 6: patch A {"action":"start"}
               spawn p4 for A: exec:x
               answer 6: 200 A exec:x stopped
             > p4 started
               event 9 update A exec:x running
    10.000   > due: Recovered of A
               deliver to 0: A recovered, running, 0 restarts
    "#);
}

/// A job that failed and then did its work has recovered at once.
#[test]
fn work_that_is_done_ends_an_error() {
    let mut t = running("error,recovered", "exec:x");
    t.exited(1).answered(0, 200).next_timer().started().exited(0).answered(0, 200);
    insta::assert_snapshot!(t, @r"
    0.000    > p1 exits with 1
               event 3 update A exec:x error
               deliver to 0: A error, error, 0 restarts: exited with code 1
             > webhook 0: Answered(200)
               webhook 0: 1 delivered, 0 failed, 0 discarded
    1.000    > due: Restart of A
               spawn p2 for A: exec:x
             > p2 started
               event 4 update A exec:x running
             > p2 exits with 0
               event 5 update A exec:x stopped
               deliver to 0: A recovered, stopped, 1 restarts: exited with code 0
             > webhook 0: Answered(200)
               webhook 0: 2 delivered, 0 failed, 0 discarded
    ");
}

/// The fifth restart within ten minutes is reported, and none after it until ten minutes have
/// passed without one. While an instance flaps, it is not reported as ready.
#[test]
fn flapping_is_reported_once() {
    let mut t = running("flapping,ready", "exec:x");
    t.answered(0, 200);
    for _ in 0..7 {
        t.exited(1).past_ticks().started();
    }
    t.answered(0, 200);
    let t = t.to_string();
    let reports = t.lines().filter(|line| line.contains("deliver to")).map(str::trim);
    let reports: alloc::vec::Vec<&str> = reports.collect();
    insta::assert_debug_snapshot!(reports, @r#"
    [
        "deliver to 0: A flapping, error, 5 restarts: exited with code 1",
    ]
    "#);
}

/// Each webhook gets what it reports, one report at a time. What may pass is tried again with the
/// same report, and a refusal is final.
#[test]
fn reports_are_tried_again() {
    let mut t = Teller::new().untold();
    t.webhooks(&["ready", "error,ready"]).create("exec:x").persisted().started();
    t.answered(0, 500).exited(1).answered(1, 404);
    t.next_timer().delivery_ended(0, DeliveryResult::Failed("connection refused".to_string()));
    t.next_timer().started().next_timer().answered(0, 429).next_timer().answered(0, 200);
    insta::assert_snapshot!(t, @r#"
    0.000    > the webhooks are known
             > request 1: create exec:x
               persist 1: put A at 0 exec:x
             > durable up to 1
               event 1 create A exec:x stopped
               answer 1: 201 A exec:x stopped
               spawn p1 for A: exec:x
             > p1 started
               event 2 update A exec:x running
               deliver to 0: A ready, running, 0 restarts
               deliver to 1: A ready, running, 0 restarts
             > webhook 0: Answered(500)
               webhook 0: 0 delivered, 0 failed, 0 discarded: it answered with status 500
             > p1 exits with 1
               event 3 update A exec:x error
             > webhook 1: Answered(404)
               webhook 1: 0 delivered, 1 failed, 0 discarded: it refused with status 404
               deliver to 1: A error, error, 0 restarts: exited with code 1
    1.000    > due: Restart of A, Redeliver to 0
               spawn p2 for A: exec:x
               deliver to 0: A ready, running, 0 restarts
             > webhook 0: Failed("connection refused")
               webhook 0: 0 delivered, 0 failed, 0 discarded: connection refused
    3.000    > due: Redeliver to 0
               deliver to 0: A ready, running, 0 restarts
             > p2 started
               event 4 update A exec:x running
    5.000    > due: Tick
             > webhook 0: Answered(429)
               webhook 0: 0 delivered, 0 failed, 0 discarded: it answered with status 429
    9.000    > due: Redeliver to 0
               deliver to 0: A ready, running, 0 restarts
             > webhook 0: Answered(200)
               webhook 0: 1 delivered, 0 failed, 0 discarded
    "#);
}

/// A report that comes back after its webhook gave it up changes nothing.
#[test]
fn a_late_answer_changes_nothing() {
    let mut t = running("ready", "exec:x");
    t.answered(0, 200).answered(0, 500);
    insta::assert_snapshot!(t, @r"
    0.000    > webhook 0: Answered(200)
               webhook 0: 1 delivered, 0 failed, 0 discarded
             > webhook 0: Answered(500)
    ");
}

/// A report that is to be tried again when the time for the end is over is not sent any more.
#[test]
fn nothing_is_sent_after_the_end() {
    let mut t = running("ready", "exec:x");
    t.shutdown().next_timer().wait(4_000).answered(0, 503);
    t.next_timer();
    insta::assert_snapshot!(t, @r#"
    0.000    > shutdown is requested
               close all streams
               TERM to p1
    5.000    > due: Grace of A
               KILL to p1
    9.000    > webhook 0: Answered(503)
               webhook 0: 0 delivered, 0 failed, 0 discarded: it answered with status 503
    10.000   > due: Grace of A, ShutdownLimit, Redeliver to 0
               event 3 log A: "cannot be killed: still running after every signal; stopping because the master is shutting down, tried again every minute"
               event 4 update A exec:x running
               KILL to p1
               finish
    "#);
}

/// Webhooks that the engine knows keep what waits, and what was on its way is sent again.
#[test]
fn an_upgraded_master_sends_again_what_was_on_its_way() {
    let mut t = running("ready,error", "exec:x");
    t.exited(1);
    let now = t.now;
    t.engine = Engine::resume(&t.engine.hand_over(), &[], now).expect("it was settled");
    let before = t.engine.fingerprint();
    while t.engine.poll_effect().is_some() {}
    t.webhooks(&["ready,error"]);
    assert_eq!(t.engine.fingerprint(), before);
    t.answered(0, 200).answered(0, 200);
    assert_eq!(t.engine.webhook(HookId(0)).expect("there is one").waiting(), 0);
    insta::assert_snapshot!(t, @r"
    0.000    > p1 exits with 1
               event 3 update A exec:x error
             > the webhooks are known
               deliver to 0: A ready, running, 0 restarts
             > webhook 0: Answered(200)
               webhook 0: 1 delivered, 0 failed, 0 discarded
               deliver to 0: A error, error, 0 restarts: exited with code 1
             > webhook 0: Answered(200)
               webhook 0: 2 delivered, 0 failed, 0 discarded
    ");
}

/// Nothing is noted without webhooks, and nothing of before is reported when there are some.
#[test]
fn what_was_before_is_not_reported() {
    let mut t = Teller::with_running("exec:x");
    t.exited(1).webhooks(&[ALL]).next_timer().started().exited(1).answered(0, 200);
    insta::assert_snapshot!(t, @r"
    0.000    > p1 exits with 1
               event 3 update A exec:x error
             > the webhooks are known
    1.000    > due: Restart of A
               spawn p2 for A: exec:x
             > p2 started
               event 4 update A exec:x running
               deliver to 0: A ready, running, 1 restarts
             > p2 exits with 1
               event 5 update A exec:x error
             > webhook 0: Answered(200)
               webhook 0: 1 delivered, 0 failed, 0 discarded
               deliver to 0: A error, error, 1 restarts: exited with code 1
    ");
}
