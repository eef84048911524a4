//! One process from its start to its end.

use super::Teller;

/// An instance is created only once its record is durable; `create` comes before the first
/// `update`, and the answer may still say `stopped` (Contract §4, §8, §11).
#[test]
fn create() {
    let mut t = Teller::new();
    t.create("MANAGED://Edge").persisted().started();
    t.log("ready").checkpoint(100);
    insta::assert_snapshot!(t, @r#"
    0.000    > the master starts
               show the master, key 1, alias ""
             > request 1: create managed://Edge
               persist 1: put A at 0 managed://Edge
             > durable up to 1
               event 1 create A managed://Edge stopped
               answer 1: 201 A managed://Edge stopped
               spawn p1 for A: managed://Edge
             > p1 started
               event 2 update A managed://Edge running
             > p1 prints "ready"
               event 3 log A: "ready"
             > p1 prints a checkpoint at 100
               event 4 update A managed://Edge running mode=1 ping=2 pool=3 tcps=4 udps=5 tcprx=100
    "#);
}

/// An exit with 0 without a request stops the instance permanently; `mode` and totals are kept
/// (Contract §6).
#[test]
fn clean_exit() {
    let mut t = Teller::with_running("demo:a");
    t.checkpoint(100).exited(0).wait(60_000);
    insta::assert_snapshot!(t, @r"
    0.000    > p1 prints a checkpoint at 100
               event 3 update A demo:a running mode=1 ping=2 pool=3 tcps=4 udps=5 tcprx=100
             > p1 exits with 0
               save totals: A at 100
               event 4 update A demo:a stopped mode=1 tcprx=100
    ");
}

/// A line with `ERROR` makes the instance `error` while its process keeps running; a checkpoint makes
/// it `running` again and calls the restart off (Contract §6).
#[test]
fn error_line_then_checkpoint() {
    let mut t = Teller::with_running("demo:a");
    t.checkpoint(100).log("an ERROR it gets over").advance(1_000).checkpoint(150);
    t.wait(10_000);
    insta::assert_snapshot!(t, @r#"
    0.000    > p1 prints a checkpoint at 100
               event 3 update A demo:a running mode=1 ping=2 pool=3 tcps=4 udps=5 tcprx=100
             > p1 prints "an ERROR it gets over"
               event 4 update A demo:a error mode=1 tcprx=100
               event 5 log A: "an ERROR it gets over"
    1.000    > p1 prints a checkpoint at 150
               event 6 update A demo:a running mode=1 ping=2 pool=3 tcps=4 udps=5 tcprx=150
    5.000    > due: Tick
               save totals: A at 150
    "#);
}

/// Silence of more than 15 s after a first checkpoint is found at the tick, so after 15 to 20 s;
/// what is left is stopped and started again (Contract §6).
#[test]
fn silence_is_found_at_the_tick() {
    let mut t = Teller::with_running("demo:a");
    t.advance(1_000).checkpoint(100).wait(19_000);
    t.past_ticks().exited(0).started();
    // The new process has printed no checkpoint: it may be as silent as it likes.
    t.wait(60_000);
    insta::assert_snapshot!(t, @r#"
    1.000    > p1 prints a checkpoint at 100
               event 3 update A demo:a running mode=1 ping=2 pool=3 tcps=4 udps=5 tcprx=100
    5.000    > due: Tick
               save totals: A at 100
    20.000   > due: Tick
               event 4 log A: "no checkpoint for more than 15 s"
               event 5 update A demo:a error mode=1 tcprx=100
    21.000   > due: Restart of A
               TERM to p1
             > p1 exits with 0
               save totals: A at 100
               event 6 update A demo:a stopped mode=1 tcprx=100
               spawn p2 for A: demo:a
             > p2 started
               event 7 update A demo:a running mode=1 tcprx=100
    "#);
}

/// Stop: TERM to the group, KILL after 5 s, and the exit status is ignored (Contract §6).
#[test]
fn term_ignored_then_killed() {
    let mut t = Teller::with_running("demo:a");
    t.act("A", "stop").next_timer().advance(2).killed().wait(60_000);
    insta::assert_snapshot!(t, @r#"
    0.000    > request 2: patch A {"action":"stop"}
               TERM to p1
               answer 2: 200 A demo:a running
    5.000    > due: Grace of A
               KILL to p1
    5.002    > p1 is gone by signal 9
               event 3 update A demo:a stopped
    "#);
}

/// An exit that races a stop counts as the stop, whatever its status (Contract §6).
#[test]
fn stop_racing_an_exit() {
    let mut t = Teller::with_running("demo:a");
    t.act("A", "stop").exited(1).wait(60_000);
    insta::assert_snapshot!(t, @r#"
    0.000    > request 2: patch A {"action":"stop"}
               TERM to p1
               answer 2: 200 A demo:a running
             > p1 exits with 1
               event 3 update A demo:a stopped
    "#);
}

/// A process that cannot be started makes the instance `error`, with the reason as a log line,
/// and is retried like one that failed (Contract §6).
#[test]
fn start_failed() {
    let mut t = Teller::new();
    t.create("demo:a").persisted().start_failed("no such file: /opt/rt");
    t.past_ticks().started();
    insta::assert_snapshot!(t, @r#"
    0.000    > the master starts
               show the master, key 1, alias ""
             > request 1: create demo:a
               persist 1: put A at 0 demo:a
             > durable up to 1
               event 1 create A demo:a stopped
               answer 1: 201 A demo:a stopped
               spawn p1 for A: demo:a
             > p1 cannot be started
               event 2 log A: "cannot start: no such file: /opt/rt"
               event 3 update A demo:a error
    1.000    > due: Restart of A
               spawn p2 for A: demo:a
             > p2 started
               event 4 update A demo:a running
    "#);
}

/// `restart` is stop, then start; totals continue from where they were and the runtime's counters
/// begin at 0 again (Contract §5, §6, §7).
#[test]
fn restart() {
    let mut t = Teller::with_running("demo:a");
    t.checkpoint(100).act("A", "restart").exited(143).started().checkpoint(7);
    insta::assert_snapshot!(t, @r#"
    0.000    > p1 prints a checkpoint at 100
               event 3 update A demo:a running mode=1 ping=2 pool=3 tcps=4 udps=5 tcprx=100
             > request 2: patch A {"action":"restart"}
               TERM to p1
               answer 2: 200 A demo:a running mode=1 ping=2 pool=3 tcps=4 udps=5 tcprx=100
             > p1 exits with 143
               save totals: A at 100
               event 4 update A demo:a stopped mode=1 tcprx=100
               spawn p2 for A: demo:a
             > p2 started
               event 5 update A demo:a running mode=1 tcprx=100
             > p2 prints a checkpoint at 7
               event 6 update A demo:a running mode=1 ping=2 pool=3 tcps=4 udps=5 tcprx=107
    "#);
}

/// `start` acts only on `stopped`: not while a stop is under way, which still shows `running`
/// (Contract §5).
#[test]
fn start_while_stopping_does_nothing() {
    let mut t = Teller::with_running("demo:a");
    t.act("A", "stop").act("A", "start").exited(0).wait(10_000);
    t.act("A", "start").started();
    insta::assert_snapshot!(t, @r#"
    0.000    > request 2: patch A {"action":"stop"}
               TERM to p1
               answer 2: 200 A demo:a running
             > request 3: patch A {"action":"start"}
               answer 3: 200 A demo:a running
             > p1 exits with 0
               event 3 update A demo:a stopped
    10.000   > request 4: patch A {"action":"start"}
               spawn p2 for A: demo:a
               answer 4: 200 A demo:a stopped
             > p2 started
               event 4 update A demo:a running
    "#);
}

/// A stop that comes before the process is known to live ends it as soon as it does; as the
/// instance shows `stopped` all the while, `start` takes the stop back (Contract §5, §6).
#[test]
fn stop_and_start_while_starting() {
    let mut t = Teller::new();
    t.create("demo:a").persisted();
    t.act("A", "stop").act("A", "start").started().exited(0).started();
    insta::assert_snapshot!(t, @r#"
    0.000    > the master starts
               show the master, key 1, alias ""
             > request 1: create demo:a
               persist 1: put A at 0 demo:a
             > durable up to 1
               event 1 create A demo:a stopped
               answer 1: 201 A demo:a stopped
               spawn p1 for A: demo:a
             > request 2: patch A {"action":"stop"}
               answer 2: 200 A demo:a stopped
             > request 3: patch A {"action":"start"}
               answer 3: 200 A demo:a stopped
             > p1 started
               TERM to p1
             > p1 exits with 0
               event 2 update A demo:a stopped
               spawn p2 for A: demo:a
             > p2 started
               event 3 update A demo:a running
    "#);
}

/// What an earlier process says or does late never touches the current one (Contract §6).
#[test]
fn late_output_and_exit_of_an_old_generation() {
    let mut t = Teller::with_running("demo:a");
    let old = t.current();
    t.act("A", "restart").exited(0).started();
    let new = t.current();
    t.about(old).log("late ERROR").checkpoint(999).started().start_failed("late").exited(1);
    t.about(new).checkpoint(5);
    insta::assert_snapshot!(t, @r#"
    0.000    > request 2: patch A {"action":"restart"}
               TERM to p1
               answer 2: 200 A demo:a running
             > p1 exits with 0
               event 3 update A demo:a stopped
               spawn p2 for A: demo:a
             > p2 started
               event 4 update A demo:a running
             > p1 prints "late ERROR"
             > p1 prints a checkpoint at 999
             > p1 started
             > p1 cannot be started
             > p1 exits with 1
             > p2 prints a checkpoint at 5
               event 5 update A demo:a running mode=1 ping=2 pool=3 tcps=4 udps=5 tcprx=5
    "#);
}

/// What a process leaves of its group behind when it fails gets TERM, then KILL 5 s later
/// (Contract §6).
#[test]
fn leftover_group_after_an_exit() {
    let mut t = Teller::with_running("demo:a");
    t.patch("A", r#"{"restart":false}"#).persisted();
    t.exited_leaving_a_group(1).past_ticks().wait(30_000);
    insta::assert_snapshot!(t, @r#"
    0.000    > request 2: patch A {"restart":false}
               persist 2: put A at 0 demo:a
             > durable up to 2
               event 3 update A demo:a running restart=false
               answer 2: 200 A demo:a running restart=false
             > p1 exits with 1 and leaves a group
               TERM to p1
               event 4 update A demo:a error restart=false
    5.000    > due: Leftover of A
               KILL to p1
    "#);
}

/// A grandchild does not keep a stop from ending; it has had TERM with the group and is killed
/// 5 s after that, or at once when another process is to start (Contract §6).
#[test]
fn leftover_group_after_a_stop() {
    let mut t = Teller::with_running("demo:a");
    t.act("A", "stop").advance(2_000).exited_leaving_a_group(0);
    t.past_ticks();
    t.act("A", "start").started().act("A", "restart").exited_leaving_a_group(0).started();
    insta::assert_snapshot!(t, @r#"
    0.000    > request 2: patch A {"action":"stop"}
               TERM to p1
               answer 2: 200 A demo:a running
    2.000    > p1 exits with 0 and leaves a group
               event 3 update A demo:a stopped
    5.000    > due: Leftover of A
               KILL to p1
             > request 3: patch A {"action":"start"}
               spawn p2 for A: demo:a
               answer 3: 200 A demo:a stopped
             > p2 started
               event 4 update A demo:a running
             > request 4: patch A {"action":"restart"}
               TERM to p2
               answer 4: 200 A demo:a running
             > p2 exits with 0 and leaves a group
               event 5 update A demo:a stopped
               KILL to p2
               spawn p3 for A: demo:a
             > p3 started
               event 6 update A demo:a running
    "#);
}

/// What is being stopped and shows as `stopped` or `error` may still count, but shows no gauges
/// (Contract §6).
#[test]
fn checkpoint_of_a_failed_process_that_is_being_stopped() {
    let mut t = Teller::with_running("demo:a");
    t.log("ERROR").act("A", "stop").checkpoint(100).exited(0);
    insta::assert_snapshot!(t, @r#"
    0.000    > p1 prints "ERROR"
               event 3 update A demo:a error
               event 4 log A: "ERROR"
             > request 2: patch A {"action":"stop"}
               TERM to p1
               answer 2: 200 A demo:a error
             > p1 prints a checkpoint at 100
               event 5 update A demo:a error mode=1 tcprx=100
             > p1 exits with 0
               save totals: A at 100
               event 6 update A demo:a stopped mode=1 tcprx=100
    "#);
}
