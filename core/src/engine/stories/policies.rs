//! Policies beside those of the v2 API: restarts, boots, stops and back-offs.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use super::Teller;
use crate::counters::SavedTotals;
use crate::ids::InstanceId;
use crate::instance::{
    BackoffPolicy, Boot, Definition, Desired, Goal, Instance, Policy, Restart, RestartLimit,
    RunOrigin, State, StopPolicy, StopStep, Why,
};
use crate::master::MasterIdentity;
use crate::process::{Scope, Signal};
use crate::store::{Image, Record};
use crate::url::InstanceUrl;

/// A master whose only instance A has this policy and runs as p1, if it is started at boot; how it
/// came to that is left out.
fn running(policy: Policy) -> Teller {
    running_url("demo:a", policy)
}

/// The same with another URL.
fn running_url(url: &str, policy: Policy) -> Teller {
    let mut story = Teller::with(stored_url(url, policy));
    if story.process.is_some() {
        story.started();
    }
    story.names.facts = true;
    story.untold()
}

fn stored(policy: Policy) -> Image {
    stored_url("demo:a", policy)
}

fn stored_url(url: &str, policy: Policy) -> Image {
    let url = InstanceUrl::parse(url).expect("a valid URL");
    let definition = Definition { policy, ..Definition::new(InstanceId(1), url, String::new()) };
    let mut image = Image::new(MasterIdentity::from_random([1; 8], [1; 16]));
    let totals = SavedTotals::default();
    let (definition, desired) = (Arc::new(definition), Arc::default());
    image.apply(&Record::PutInstance { definition, desired, totals });
    image
}

fn instance(story: &Teller) -> &Instance {
    let table = story.engine.table();
    let slot = table.find(InstanceId(1)).expect("the story has one instance");
    table.get(slot).expect("it is there")
}

#[test]
fn never_leaves_a_failure_as_it_is() {
    let policy = Policy { restart: Restart::Never, boot: Boot::Always, ..Policy::default() };
    let mut story = running(policy);
    story.exited(1).wait(100_000).act("A", "stop").act("A", "start");
    insta::assert_snapshot!(story, @r#"
    0.000    > p1 exits with 1
               process of A: error, 1 starts, 0 failures, 0 restarts, 1 exits, last Own(Code(1)), because: exited with code 1
               event 2 update A demo:a error restart=false
    100.000  > request 1: patch A {"action":"stop"}
               process of A: stopped, 1 starts, 0 failures, 0 restarts, 1 exits, last Own(Code(1)), because: stopped on request
               event 3 update A demo:a stopped restart=false
               answer 1: 200 A demo:a stopped restart=false
             > request 2: patch A {"action":"start"}
               spawn p2 for A: demo:a
               answer 2: 200 A demo:a stopped restart=false
    "#);
}

#[test]
fn always_also_restarts_after_a_clean_exit() {
    let mut story = running(Policy { restart: Restart::Always, ..Policy::default() });
    story.exited(0).past_ticks().started().exited(0);
    insta::assert_snapshot!(story, @r"
    0.000    > p1 exits with 0
               process of A: stopped, 1 starts, 0 failures, 0 restarts, 1 exits, last Own(Code(0)), next in 1165 ms, because: exited with code 0
               event 2 update A demo:a stopped
    1.165    > due: Restart of A
               spawn p2 for A: demo:a
               process of A: stopped, 1 starts, 0 failures, 1 restarts, 1 exits, last Own(Code(0)), because: exited with code 0
             > p2 started
               process of A: p2 running, 2 starts, 0 failures, 1 restarts, 1 exits, last Own(Code(0))
               event 3 update A demo:a running
             > p2 exits with 0
               process of A: stopped, 2 starts, 0 failures, 1 restarts, 2 exits, last Own(Code(0)), next in 2283 ms, because: exited with code 0
               event 4 update A demo:a stopped
    ");
}

#[test]
fn a_stop_calls_off_the_restart_after_a_clean_exit_and_a_start_goes_before_it() {
    let mut story = running(Policy { restart: Restart::Always, ..Policy::default() });
    story.exited(0).act("A", "stop").wait(100_000).act("A", "start").started();
    story.exited(0).act("A", "start").started().wait(100_000);
    insta::assert_snapshot!(story, @r#"
    0.000    > p1 exits with 0
               process of A: stopped, 1 starts, 0 failures, 0 restarts, 1 exits, last Own(Code(0)), next in 1165 ms, because: exited with code 0
               event 2 update A demo:a stopped
             > request 1: patch A {"action":"stop"}
               process of A: stopped, 1 starts, 0 failures, 0 restarts, 1 exits, last Own(Code(0)), because: exited with code 0
               answer 1: 200 A demo:a stopped
    100.000  > request 2: patch A {"action":"start"}
               spawn p2 for A: demo:a
               answer 2: 200 A demo:a stopped
             > p2 started
               process of A: p2 running, 2 starts, 0 failures, 0 restarts, 1 exits, last Own(Code(0))
               event 3 update A demo:a running
             > p2 exits with 0
               process of A: stopped, 2 starts, 0 failures, 0 restarts, 2 exits, last Own(Code(0)), next in 1016 ms, because: exited with code 0
               event 4 update A demo:a stopped
             > request 3: patch A {"action":"start"}
               spawn p3 for A: demo:a
               process of A: stopped, 2 starts, 0 failures, 0 restarts, 2 exits, last Own(Code(0)), because: exited with code 0
               answer 3: 200 A demo:a stopped
             > p3 started
               process of A: p3 running, 3 starts, 0 failures, 0 restarts, 2 exits, last Own(Code(0))
               event 5 update A demo:a running
    "#);
}

#[test]
fn what_uses_up_its_restarts_stays_in_error_until_it_is_started() {
    let limit = Some(RestartLimit { max: 2, window_ms: 60_000 });
    let mut story = running(Policy { limit, ..Policy::default() });
    story.exited(1).past_ticks().started().exited(1).past_ticks().start_failed("no file");
    story.wait(100_000).act("A", "start").started().exited(1).past_ticks().started();
    insta::assert_snapshot!(story, @r#"
    0.000    > p1 exits with 1
               process of A: error, 1 starts, 0 failures, 0 restarts, 1 exits, last Own(Code(1)), next in 1165 ms, because: exited with code 1
               event 2 update A demo:a error
    1.165    > due: Restart of A
               spawn p2 for A: demo:a
               process of A: error, 1 starts, 0 failures, 1 restarts, 1 exits, last Own(Code(1)), because: exited with code 1
             > p2 started
               process of A: p2 running, 2 starts, 0 failures, 1 restarts, 1 exits, last Own(Code(1))
               event 3 update A demo:a running
             > p2 exits with 1
               process of A: error, 2 starts, 0 failures, 1 restarts, 2 exits, last Own(Code(1)), next in 2283 ms, because: exited with code 1
               event 4 update A demo:a error
    3.448    > due: Restart of A
               spawn p3 for A: demo:a
               process of A: error, 2 starts, 0 failures, 2 restarts, 2 exits, last Own(Code(1)), because: exited with code 1
             > p3 cannot be started
               event 5 log A: "cannot start: no file"
               process of A: error, 2 starts, 1 failures, 2 restarts, 2 exits, last NotStarted("no file"), because: could not be started: no file, no restarts are left
               event 6 update A demo:a error
    103.448  > request 1: patch A {"action":"start"}
               process of A: stopped, 2 starts, 1 failures, 2 restarts, 2 exits, last NotStarted("no file"), because: stopped to be started again
               event 7 update A demo:a stopped
               spawn p4 for A: demo:a
               answer 1: 200 A demo:a stopped
             > p4 started
               process of A: p4 running, 3 starts, 1 failures, 2 restarts, 2 exits, last NotStarted("no file")
               event 8 update A demo:a running
             > p4 exits with 1
               process of A: error, 3 starts, 1 failures, 2 restarts, 3 exits, last Own(Code(1)), next in 1140 ms, because: exited with code 1
               event 9 update A demo:a error
    104.588  > due: Restart of A
               spawn p5 for A: demo:a
               process of A: error, 3 starts, 1 failures, 3 restarts, 3 exits, last Own(Code(1)), because: exited with code 1
             > p5 started
               process of A: p5 running, 4 starts, 1 failures, 3 restarts, 3 exits, last Own(Code(1))
               event 10 update A demo:a running
    "#);
}

#[test]
fn restarts_that_are_long_ago_do_not_count() {
    let limit = Some(RestartLimit { max: 1, window_ms: 60_000 });
    let mut story = running(Policy { limit, ..Policy::default() });
    story.exited(1).past_ticks().started().wait(60_000).exited(1).past_ticks().started();
    assert!(!instance(&story).lifecycle().gave_up());
    story.log("ERROR again");
    assert!(instance(&story).lifecycle().gave_up());
    story.wait(100_000).act("A", "start").exited(0).started();
    insta::assert_snapshot!(story, @r#"
    0.000    > p1 exits with 1
               process of A: error, 1 starts, 0 failures, 0 restarts, 1 exits, last Own(Code(1)), next in 1165 ms, because: exited with code 1
               event 2 update A demo:a error
    1.165    > due: Restart of A
               spawn p2 for A: demo:a
               process of A: error, 1 starts, 0 failures, 1 restarts, 1 exits, last Own(Code(1)), because: exited with code 1
             > p2 started
               process of A: p2 running, 2 starts, 0 failures, 1 restarts, 1 exits, last Own(Code(1))
               event 3 update A demo:a running
    61.165   > p2 exits with 1
               process of A: error, 2 starts, 0 failures, 1 restarts, 2 exits, last Own(Code(1)), next in 1016 ms, because: exited with code 1
               event 4 update A demo:a error
    62.181   > due: Restart of A
               spawn p3 for A: demo:a
               process of A: error, 2 starts, 0 failures, 2 restarts, 2 exits, last Own(Code(1)), because: exited with code 1
             > p3 started
               process of A: p3 running, 3 starts, 0 failures, 2 restarts, 2 exits, last Own(Code(1))
               event 5 update A demo:a running
             > p3 prints "ERROR again"
               process of A: p3 error, 3 starts, 0 failures, 2 restarts, 2 exits, last Own(Code(1)), because: printed an error: ERROR again, no restarts are left
               event 6 update A demo:a error
               event 7 log A: "ERROR again"
    162.181  > request 1: patch A {"action":"start"}
               TERM to p3
               process of A: p3 error, 3 starts, 0 failures, 2 restarts, 2 exits, last Own(Code(1)), because: printed an error: ERROR again
               answer 1: 200 A demo:a error
             > p3 exits with 0
               process of A: stopped, 3 starts, 0 failures, 2 restarts, 3 exits, last Requested(Code(0)), because: stopped to be started again
               event 8 update A demo:a stopped
               spawn p4 for A: demo:a
             > p4 started
               process of A: p4 running, 4 starts, 0 failures, 2 restarts, 3 exits, last Requested(Code(0))
               event 9 update A demo:a running
    "#);
}

#[test]
fn a_boot_policy_starts_what_is_never_restarted() {
    for (boot, restart, is_started) in [
        (Boot::Restart, Restart::Never, false),
        (Boot::Restart, Restart::OnFailure, true),
        (Boot::Restart, Restart::Always, true),
        (Boot::Always, Restart::Never, true),
        (Boot::Saved, Restart::Never, true),
    ] {
        let story = Teller::with(stored(Policy { boot, restart, ..Policy::default() }));
        assert_eq!(story.process.is_some(), is_started, "{boot:?} {restart:?}");
    }
}

/// A stop of an instance whose boot policy is `saved` is durable before it is answered, and the next
/// master leaves it stopped.
#[test]
fn a_saved_stop_and_start_are_durable_first() {
    let mut story = running(Policy { boot: Boot::Saved, ..Policy::default() });
    story.names.facts = false;
    story.act("A", "stop").act("A", "stop").persisted().exited(0).act("A", "stop");
    story.act("A", "start").act("A", "restart").persisted().started();
    insta::assert_snapshot!(story, @r#"
    0.000    > request 1: patch A {"action":"stop"}
               persist 1: set desired of A to Down
             > request 2: patch A {"action":"stop"}
               persist 2: set desired of A to Down
             > durable up to 2
               TERM to p1
               answer 1: 200 A demo:a running
               answer 2: 200 A demo:a running
             > p1 exits with 0
               event 2 update A demo:a stopped
             > request 3: patch A {"action":"stop"}
               answer 3: 200 A demo:a stopped
             > request 4: patch A {"action":"start"}
               persist 3: set desired of A to Up
             > request 5: patch A {"action":"restart"}
               persist 4: set desired of A to Up
             > durable up to 4
               spawn p2 for A: demo:a
               answer 4: 200 A demo:a stopped
               answer 5: 200 A demo:a stopped
             > p2 started
               TERM to p2
    "#);
}

/// A start that arrives while a stop is on its way to the disk, and finds the instance stopped when
/// it is its turn, is stored before it is carried out.
#[test]
fn a_saved_start_behind_a_stop_is_stored_before_it_starts() {
    let mut story = running(Policy { boot: Boot::Saved, ..Policy::default() });
    story.names.facts = false;
    story.act("A", "stop").act("A", "start").exited(0).persisted();
    assert_eq!(instance(&story).desired().goal, Goal::Down);
    story.persisted();
    assert_eq!(instance(&story).desired().goal, Goal::Up);
    insta::assert_snapshot!(story, @r#"
    0.000    > request 1: patch A {"action":"stop"}
               persist 1: set desired of A to Down
             > request 2: patch A {"action":"start"}
               persist 2: set desired of A to Down
             > p1 exits with 0
               event 2 update A demo:a stopped
             > durable up to 2
               answer 1: 200 A demo:a stopped
               persist 3: set desired of A to Up
             > durable up to 3
               spawn p2 for A: demo:a
               answer 2: 200 A demo:a stopped
    "#);
}

/// The same start, with a newer stop behind it: its goal would reach the disk after that of the stop,
/// so it does nothing.
#[test]
fn a_saved_start_does_nothing_where_a_newer_stop_waits() {
    let mut story = running(Policy { boot: Boot::Saved, ..Policy::default() });
    story.names.facts = false;
    story.act("A", "stop").act("A", "start").exited(0).act("A", "start").act("A", "stop");
    story.persisted_upto(2).persisted_upto(3).started().persisted();
    assert_eq!(instance(&story).desired().goal, Goal::Down);
    insta::assert_snapshot!(story, @r#"
    0.000    > request 1: patch A {"action":"stop"}
               persist 1: set desired of A to Down
             > request 2: patch A {"action":"start"}
               persist 2: set desired of A to Down
             > p1 exits with 0
               event 2 update A demo:a stopped
             > request 3: patch A {"action":"start"}
               persist 3: set desired of A to Up
             > request 4: patch A {"action":"stop"}
               persist 4: set desired of A to Down
             > durable up to 2
               answer 1: 200 A demo:a stopped
               answer 2: 200 A demo:a stopped
             > durable up to 3
               spawn p2 for A: demo:a
               answer 3: 200 A demo:a stopped
             > p2 started
               event 3 update A demo:a running
             > durable up to 4
               TERM to p2
               answer 4: 200 A demo:a running
    "#);
}

/// A start that was accepted is carried out, also where an older stop that waited for the disk with it
/// is still under way.
#[test]
fn a_saved_start_that_was_accepted_follows_an_older_stop() {
    let mut story = running(Policy { boot: Boot::Saved, ..Policy::default() });
    story.names.facts = false;
    story.act("A", "restart").exited(0).act("A", "restart").started();
    story.act("A", "stop").act("A", "start").exited(0).started().persisted().exited(0).started();
    assert_eq!(instance(&story).desired().goal, Goal::Up);
    insta::assert_snapshot!(story, @r#"
    0.000    > request 1: patch A {"action":"restart"}
               TERM to p1
               answer 1: 200 A demo:a running
             > p1 exits with 0
               event 2 update A demo:a stopped
               spawn p2 for A: demo:a
             > request 2: patch A {"action":"restart"}
               answer 2: 200 A demo:a stopped
             > p2 started
               TERM to p2
             > request 3: patch A {"action":"stop"}
               persist 1: set desired of A to Down
             > request 4: patch A {"action":"start"}
               persist 2: set desired of A to Up
             > p2 exits with 0
               event 3 update A demo:a stopped
               spawn p3 for A: demo:a
             > p3 started
               event 4 update A demo:a running
             > durable up to 2
               TERM to p3
               answer 3: 200 A demo:a running
               answer 4: 200 A demo:a running
             > p3 exits with 0
               event 5 update A demo:a stopped
               spawn p4 for A: demo:a
             > p4 started
               event 6 update A demo:a running
    "#);
}

/// A PUT waits for an older stop that is on its way to the disk, and starts the instance after it.
#[test]
fn a_put_waits_for_a_saved_stop() {
    let mut story = running(Policy { boot: Boot::Saved, ..Policy::default() });
    story.names.facts = false;
    story.act("A", "stop").act("A", "stop").persisted_upto(1);
    story.put("A", "demo:b").exited(0).persisted().persisted();
    assert_eq!(instance(&story).desired().goal, Goal::Up);
    insta::assert_snapshot!(story, @r#"
    0.000    > request 1: patch A {"action":"stop"}
               persist 1: set desired of A to Down
             > request 2: patch A {"action":"stop"}
               persist 2: set desired of A to Down
             > durable up to 1
               TERM to p1
               answer 1: 200 A demo:a running
             > request 3: put A demo:b
             > p1 exits with 0
               event 2 update A demo:a stopped
             > durable up to 2
               persist 3: put A at 0 demo:b
               answer 2: 200 A demo:a stopped
             > durable up to 3
               event 3 update A demo:b stopped
               spawn p2 for A: demo:b
    "#);
}

#[test]
fn a_saved_stop_that_cannot_be_stored_is_refused() {
    let mut story = running(Policy { boot: Boot::Saved, ..Policy::default() });
    story.names.facts = false;
    story.act("A", "stop").disk_fails().act("A", "restart");
    assert_eq!(instance(&story).desired().goal, Goal::Up);
    insta::assert_snapshot!(story, @r#"
    0.000    > request 1: patch A {"action":"stop"}
               persist 1: set desired of A to Down
             > the disk refuses
               answer 1: 503 not changed: cannot save the state: no space left
             > request 2: patch A {"action":"restart"}
               TERM to p1
               answer 2: 200 A demo:a running
    "#);
}

#[test]
fn what_was_stopped_stays_stopped_where_the_boot_policy_says_so() {
    for (boot, goal, is_started) in [
        (Boot::Saved, Goal::Down, false),
        (Boot::Saved, Goal::Up, true),
        (Boot::Restart, Goal::Down, true),
        (Boot::Always, Goal::Down, true),
    ] {
        let mut image = stored(Policy { boot, ..Policy::default() });
        let desired = Arc::new(Desired { goal, ..Desired::default() });
        image.apply(&Record::SetDesired { id: InstanceId(1), desired });
        let story = Teller::with(image);
        assert_eq!(story.process.is_some(), is_started, "{boot:?} {goal:?}");
    }
}

#[test]
fn a_stop_takes_its_steps() {
    let step = |signal, wait_ms| StopStep { signal, wait_ms };
    let steps = vec![step(Signal::USR1, 1_000), step(Signal::TERM, 2_000), step(Signal::KILL, 0)];
    let mut stop = StopPolicy::new(steps, Scope::Leader).expect("three steps");
    stop.restart_signal = Some(Signal::USR2);
    let mut story = running(Policy { stop, ..Policy::default() });
    story.act("A", "stop").next_timer().next_timer().killed();
    story.act("A", "start").started().act("A", "restart").exited(0);
    insta::assert_snapshot!(story, @r#"
    0.000    > request 1: patch A {"action":"stop"}
               USR1 to p1 alone
               process of A: p1 running, 1 starts, 0 failures, 0 restarts, 0 exits, because: stopping on request
               answer 1: 200 A demo:a running
    1.000    > due: Grace of A
               TERM to p1 alone
    3.000    > due: Grace of A
               KILL to p1 alone
             > p1 is gone by signal 9
               process of A: stopped, 1 starts, 0 failures, 0 restarts, 1 exits, last Requested(Signal(9)), because: stopped on request
               event 2 update A demo:a stopped
             > request 2: patch A {"action":"start"}
               spawn p2 for A: demo:a
               answer 2: 200 A demo:a stopped
             > p2 started
               process of A: p2 running, 2 starts, 0 failures, 0 restarts, 1 exits, last Requested(Signal(9))
               event 3 update A demo:a running
             > request 3: patch A {"action":"restart"}
               USR2 to p2 alone
               process of A: p2 running, 2 starts, 0 failures, 0 restarts, 1 exits, last Requested(Signal(9)), because: stopping to be started again
               answer 3: 200 A demo:a running
             > p2 exits with 0
               process of A: stopped, 2 starts, 0 failures, 0 restarts, 2 exits, last Requested(Code(0)), because: stopped to be started again
               event 4 update A demo:a stopped
               spawn p3 for A: demo:a
    "#);
}

#[test]
fn what_is_left_of_a_group_has_the_time_of_the_whole_stop() {
    let step = |signal, wait_ms| StopStep { signal, wait_ms };
    let steps = vec![step(Signal::INT, 1_000), step(Signal::TERM, 2_000), step(Signal::KILL, 0)];
    let stop = StopPolicy::new(steps, Scope::Group).expect("three steps");
    let mut story =
        running(Policy { stop, restart: Restart::Never, boot: Boot::Always, ..Policy::default() });
    story.act("A", "stop").exited_leaving_a_group(0).next_timer();
    story.act("A", "start").started().exited_leaving_a_group(1).past_ticks();
    insta::assert_snapshot!(story, @r#"
    0.000    > request 1: patch A {"action":"stop"}
               INT to p1
               process of A: p1 running, 1 starts, 0 failures, 0 restarts, 0 exits, because: stopping on request
               answer 1: 200 A demo:a running restart=false
             > p1 exits with 0 and leaves a group
               process of A: stopped, 1 starts, 0 failures, 0 restarts, 1 exits, last Requested(Code(0)), because: stopped on request
               event 2 update A demo:a stopped restart=false
    3.000    > due: Leftover of A
               KILL to p1
             > request 2: patch A {"action":"start"}
               spawn p2 for A: demo:a
               answer 2: 200 A demo:a stopped restart=false
             > p2 started
               process of A: p2 running, 2 starts, 0 failures, 0 restarts, 1 exits, last Requested(Code(0))
               event 3 update A demo:a running restart=false
             > p2 exits with 1 and leaves a group
               INT to p2
               process of A: error, 2 starts, 0 failures, 0 restarts, 2 exits, last Own(Code(1)), because: exited with code 1
               event 4 update A demo:a error restart=false
    6.000    > due: Leftover of A
               KILL to p2
    "#);
}

#[test]
fn a_process_that_cannot_be_ended_is_said_and_tried_again() {
    let mut story = running(Policy::default());
    story.delete("A").kill_failed("too early").next_timer().next_timer();
    assert!(instance(&story).cannot_be_ended());
    story.kill_failed("it is in state D").kill_failed("it is in state D");
    story.delete("A").past_ticks().exited(0).started();
    assert!(!instance(&story).cannot_be_ended());
    insta::assert_snapshot!(story, @r#"
    0.000    > request 1: delete A
               TERM to p1
               process of A: p1 running, 1 starts, 0 failures, 0 restarts, 0 exits, because: stopping to be replaced or deleted
             > p1 cannot be killed
    5.000    > due: Grace of A
               KILL to p1
    10.000   > due: Grace of A
               event 2 log A: "cannot be killed: still running after every signal; stopping to be replaced or deleted, tried again every minute"
               process of A: p1 running, 1 starts, 0 failures, 0 restarts, 0 exits, because: cannot be killed: still running after every signal; stopping to be replaced or deleted, tried again every minute
               event 3 update A demo:a running
               answer 1: 503 the process of this instance cannot be killed; the log of the instance has more, try again once the process has ended
               KILL to p1
             > p1 cannot be killed
               event 4 log A: "cannot be killed: it is in state D; stopping to be started again, tried again every minute"
               process of A: p1 running, 1 starts, 0 failures, 0 restarts, 0 exits, because: cannot be killed: it is in state D; stopping to be started again, tried again every minute
               event 5 update A demo:a running
             > p1 cannot be killed
             > request 2: delete A
               answer 2: 503 the process of this instance cannot be killed; the log of the instance has more, try again once the process has ended
    70.000   > due: Grace of A
               KILL to p1
             > p1 exits with 0
               process of A: stopped, 1 starts, 0 failures, 0 restarts, 1 exits, last Requested(Code(0)), because: stopped to be started again
               event 6 update A demo:a stopped
               spawn p2 for A: demo:a
             > p2 started
               process of A: p2 running, 2 starts, 0 failures, 0 restarts, 1 exits, last Requested(Code(0))
               event 7 update A demo:a running
    "#);
}

/// A command that was well for 10 s is started again at once, each time; one that exits sooner backs
/// off.
#[test]
fn a_command_that_was_well_is_restarted_at_once() {
    let mut story = running_url("exec:a", Policy::default());
    story.names.facts = false;
    story.exited(1).next_timer().started();
    for _ in 0..2 {
        story.wait(10_000).exited(1).next_timer().started();
    }
    story.wait(9_999).exited(1).next_timer().started();
    insta::assert_snapshot!(story, @r"
    0.000    > p1 exits with 1
               event 2 update A exec:a error
    1.165    > due: Restart of A
               spawn p2 for A: exec:a
             > p2 started
               event 3 update A exec:a running
    11.165   > p2 exits with 1
               event 4 update A exec:a error
             > due: Restart of A
               spawn p3 for A: exec:a
             > p3 started
               event 5 update A exec:a running
    21.165   > p3 exits with 1
               event 6 update A exec:a error
             > due: Restart of A
               spawn p4 for A: exec:a
             > p4 started
               event 7 update A exec:a running
    31.164   > p4 exits with 1
               event 8 update A exec:a error
    33.447   > due: Restart of A
               spawn p5 for A: exec:a
             > p5 started
               event 9 update A exec:a running
    ");
}

/// An error of a live process waits for the next checkpoint, which takes it back.
#[test]
fn an_error_waits_for_the_checkpoint_that_takes_it_back() {
    let mut story = running(Policy::default());
    story.names.facts = false;
    story.checkpoint(1).wait(8_000).checkpoint(2).log("ERROR none").wait(8_000).checkpoint(3);
    story.log("ERROR none").past_ticks();
    insta::assert_snapshot!(story, @r#"
    0.000    > p1 prints a checkpoint at 1
               event 2 update A demo:a running mode=1 ping=2 pool=3 tcps=4 udps=5 tcprx=1
    5.000    > due: Tick
               save totals: A at 1
    8.000    > p1 prints a checkpoint at 2
               event 3 update A demo:a running mode=1 ping=2 pool=3 tcps=4 udps=5 tcprx=2
             > p1 prints "ERROR none"
               event 4 update A demo:a error mode=1 tcprx=2
               event 5 log A: "ERROR none"
    10.000   > due: Tick
               save totals: A at 2
    16.000   > p1 prints a checkpoint at 3
               event 6 update A demo:a running mode=1 ping=2 pool=3 tcps=4 udps=5 tcprx=3
             > p1 prints "ERROR none"
               event 7 update A demo:a error mode=1 tcprx=3
               event 8 log A: "ERROR none"
    20.000   > due: Tick
               save totals: A at 3
    25.000   > due: Restart of A
               TERM to p1
    "#);
}

/// A line with `ERROR` in it is a line like any other where a command prints it.
#[test]
fn a_command_may_print_what_it_likes() {
    let mut story = running_url("exec:a", Policy::default());
    story.log("ERROR none");
    assert_eq!(instance(&story).state(), State::RUNNING);
}

#[test]
fn a_back_off_has_its_own_numbers() {
    let backoff =
        BackoffPolicy { first_ms: 100, longest_ms: 200, healthy_ms: 1_000, prompt_ms: None };
    let mut story = running(Policy { backoff, ..Policy::default() });
    story.names.facts = false;
    for _ in 0..3 {
        story.exited(1).next_timer().started();
    }
    story.wait(1_000).exited(1).next_timer();
    insta::assert_snapshot!(story, @r"
    0.000    > p1 exits with 1
               event 2 update A demo:a error
    0.118    > due: Restart of A
               spawn p2 for A: demo:a
             > p2 started
               event 3 update A demo:a running
             > p2 exits with 1
               event 4 update A demo:a error
    0.295    > due: Restart of A
               spawn p3 for A: demo:a
             > p3 started
               event 5 update A demo:a running
             > p3 exits with 1
               event 6 update A demo:a error
    0.463    > due: Restart of A
               spawn p4 for A: demo:a
             > p4 started
               event 7 update A demo:a running
    1.463    > p4 exits with 1
               event 8 update A demo:a error
    1.677    > due: Restart of A
               spawn p5 for A: demo:a
    ");
}

#[test]
fn every_reason_is_told() {
    let mut story = running(Policy::default());
    story.log("ERROR no route to host").checkpoint(1).wait(19_000);
    story.past_ticks().act("A", "stop").exited(0);
    insta::assert_snapshot!(story, @r#"
    0.000    > p1 prints "ERROR no route to host"
               process of A: p1 error, 1 starts, 0 failures, 0 restarts, 0 exits, next in 1165 ms, because: printed an error: ERROR no route to host
               event 2 update A demo:a error
               event 3 log A: "ERROR no route to host"
             > p1 prints a checkpoint at 1
               process of A: p1 running, 1 starts, 0 failures, 0 restarts, 0 exits
               event 4 update A demo:a running mode=1 ping=2 pool=3 tcps=4 udps=5 tcprx=1
    5.000    > due: Tick
               save totals: A at 1
    20.000   > due: Tick
               event 5 log A: "no checkpoint for more than 15 s"
               process of A: p1 error, 1 starts, 0 failures, 0 restarts, 0 exits, next in 2283 ms, because: no checkpoint for more than 15 s
               event 6 update A demo:a error mode=1 tcprx=1
    22.283   > due: Restart of A
               TERM to p1
               process of A: p1 error, 1 starts, 0 failures, 1 restarts, 0 exits, because: no checkpoint for more than 15 s
             > request 1: patch A {"action":"stop"}
               answer 1: 200 A demo:a error mode=1 tcprx=1
             > p1 exits with 0
               save totals: A at 1
               process of A: stopped, 1 starts, 0 failures, 1 restarts, 1 exits, last Requested(Code(0)), because: stopped on request
               event 7 update A demo:a stopped mode=1 tcprx=1
    "#);
}

#[test]
fn the_last_runs_are_remembered() {
    let mut story = running(Policy { history: 2, ..Policy::default() });
    story.exited(1).past_ticks().started().advance(1_000).checkpoint(1);
    story.act("A", "restart").killed().started().act("A", "stop").exited(0);
    let runs: Vec<_> = instance(&story).runs().ended().collect();
    let told: Vec<_> = runs
        .iter()
        .map(|record| (record.run.generation.0, record.run.origin, record.requested))
        .collect();
    let spawned = RunOrigin::Spawned;
    assert_eq!(told, [(2, spawned, Some(Why::Restart)), (3, spawned, Some(Why::Stop))]);
    assert_ne!(runs[0].run.id, runs[1].run.id);
    let seen_ms = runs[0].run.last_seen.mono.ms_since(runs[0].run.started.mono);
    assert_eq!(seen_ms, 1_000);
}
