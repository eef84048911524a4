//! Actions on many instances: one answer, and the order of `after`.

use alloc::format;
use alloc::vec::Vec;

use super::Teller;
use crate::instance::CheckKind::Ready;

/// `db`, and `web` after it, both running.
fn two(parameters: &str) -> Teller {
    let mut t = Teller::new();
    t.create_named("db", &format!("exec:db?ready=notify{parameters}")).persisted().started();
    t.checked(Ready, None);
    t.create_named("web", &format!("exec:web?after=db{parameters}")).persisted().started();
    t.untold()
}

/// Each instance is done or refused by itself, and one answer has all of it. A start of an instance
/// in error restarts it.
#[test]
fn one_answer_has_a_result_for_each() {
    let mut t = Teller::new().untold();
    t.create("exec:a").persisted().started();
    t.create("exec:b").persisted().started().exited(1);
    let mut t = t.untold();
    t.act_on(&["A", "B"], "start").act_on(&[], "stop");
    t.delete("A").act_on(&["A", "B"], "stop");
    insta::assert_snapshot!(t, @r"
    0.000    > request 3: start A and B
               event 6 update B exec:b stopped
               spawn p3 for B: exec:b
               answer 3: 200 B stopped, A running
             > request 4: stop 
               answer 4: 200 
             > request 5: delete A
               TERM to p1
             > request 6: stop A and B
               answer 6: 200 B stopped, A running
    ");
}

/// What others start after is stopped after them.
#[test]
fn a_stop_goes_from_the_last_to_the_first() {
    let mut t = two("");
    let web = t.newest();
    t.act_on(&["A", "B"], "stop").about(web).exited(0);
    let db = t.newest();
    t.about(db);
    insta::assert_snapshot!(t, @r"
    0.000    > request 3: stop A and B
               TERM to p2
               answer 3: 200 B running, A running
             > p2 exits with 0
               event 6 update B exec:web?after=db stopped alias=web
               TERM to p1
    ");
}

/// A restart that becomes a stop: what starts after it finds it about to stop, and waits.
#[test]
fn what_a_stop_overtakes_is_not_started_after() {
    let mut t = two("");
    let web = t.newest();
    t.act_on(&["A", "B"], "restart").patch("A", r#"{"action":"stop"}"#).about(web).exited(0);
    let db = t.process_of("A");
    t.about(db).exited(0);
    insta::assert_snapshot!(t, @r#"
    0.000    > request 3: restart A and B
               TERM to p2
               answer 3: 200 B running, A running
             > request 4: patch A {"action":"stop"}
               answer 4: 200 A exec:db?ready=notify running alias=db
             > p2 exits with 0
               event 6 update B exec:web?after=db stopped alias=web
               TERM to p1
             > p1 exits with 0
               event 7 update A exec:db?ready=notify stopped alias=db
    "#);
}

/// What has done its work and is to do it again is waited for.
#[test]
fn work_to_be_done_again_is_waited_for() {
    let mut t = Teller::new();
    t.create_named("disk", "exec:disk").persisted().started();
    t.create_named("migrate", "exec:migrate?after=disk").persisted().started().exited(0);
    let disk = t.process_of("A");
    t.patch("A", r#"{"action":"stop"}"#).about(disk).exited(0);
    let mut t = t.untold();
    t.patch("B", r#"{"action":"restart"}"#)
        .create_named("web", "exec:web?after=migrate&after=disk")
        .persisted();
    t.patch("A", r#"{"action":"start"}"#).started();
    insta::assert_snapshot!(t, @r#"
    0.000    > request 4: patch B {"action":"restart"}
               answer 4: 200 B exec:migrate?after=disk stopped alias=migrate
             > request 5: create web: exec:web?after=migrate&after=disk
               persist 3: put C at 0 exec:web?after=migrate&after=disk alias=web
             > durable up to 3
               event 7 create C exec:web?after=migrate&after=disk stopped alias=web
               answer 5: 201 C exec:web?after=migrate&after=disk stopped alias=web
             > request 6: patch A {"action":"start"}
               spawn p3 for A: exec:disk
               answer 6: 200 A exec:disk stopped alias=disk
             > p3 started
               event 8 update A exec:disk running alias=disk
               spawn p4 for B: exec:migrate?after=disk
    "#);
}

/// A stop of the first alone does not wait for what starts after it.
#[test]
fn a_stop_of_the_first_alone_is_immediate() {
    let mut t = two("");
    t.act_on(&["A"], "stop");
    insta::assert_snapshot!(t, @r"
    0.000    > request 3: stop A
               TERM to p1
               answer 3: 200 A running
    ");
}

/// A restart stops from the last to the first, and starts from the first to the last.
#[test]
fn a_restart_goes_to_the_first_and_back() {
    let mut t = two("");
    let web = t.newest();
    t.act_on(&["A", "B"], "restart").about(web).exited(0);
    let db = t.process_of("A");
    t.about(db).exited(0);
    let db = t.newest();
    t.about(db).started().checked(Ready, None);
    let web = t.newest();
    t.about(web).started();
    insta::assert_snapshot!(t, @r"
    0.000    > request 3: restart A and B
               TERM to p2
               answer 3: 200 B running, A running
             > p2 exits with 0
               event 6 update B exec:web?after=db stopped alias=web
               TERM to p1
             > p1 exits with 0
               event 7 update A exec:db?ready=notify stopped alias=db
               spawn p3 for A: exec:db?ready=notify
             > p3 started
               event 8 update A exec:db?ready=notify running alias=db
             > p3 passes its Ready check
               event 9 update A exec:db?ready=notify running alias=db
               spawn p4 for B: exec:web?after=db
             > p4 started
               event 10 update B exec:web?after=db running alias=web
    ");
}

/// The same with one in the middle, which is stopped after the last and before the first.
#[test]
fn a_chain_is_stopped_and_started_link_by_link() {
    let mut t = Teller::new();
    let mut processes = Vec::new();
    for (alias, url) in [("db", "exec:a"), ("app", "exec:b?after=db"), ("web", "exec:c?after=app")]
    {
        t.create_named(alias, url).persisted().started();
        processes.push(t.newest());
    }
    let [db, app, web] = processes[..] else { panic!("three were started") };
    let mut t = t.untold();
    t.act_on(&["A", "B", "C"], "restart").about(web).exited(0).about(app).exited(0);
    t.about(db).exited(0);
    insta::assert_snapshot!(t, @r"
    0.000    > request 4: restart A and B and C
               TERM to p3
               answer 4: 200 B running, A running, C running
             > p3 exits with 0
               event 7 update C exec:c?after=app stopped alias=web
               TERM to p2
             > p2 exits with 0
               event 8 update B exec:b?after=db stopped alias=app
               TERM to p1
             > p1 exits with 0
               event 9 update A exec:a stopped alias=db
               spawn p4 for A: exec:a
    ");
}

/// One that has no process starts when what it comes after was restarted.
#[test]
fn a_restart_of_one_that_is_stopped_waits_for_the_other() {
    let mut t = two("");
    let web = t.newest();
    t.act("B", "stop").about(web).exited(0);
    let mut t = t.untold();
    t.act_on(&["A", "B"], "restart");
    insta::assert_snapshot!(t, @r"
    0.000    > request 4: restart A and B
               TERM to p1
               answer 4: 200 B stopped, A running
    ");
}

/// What is stored is answered once it is durable. If the disk refuses it, nothing is stopped, and the
/// answer says so.
#[test]
fn a_refused_part_holds_nothing_back() {
    let mut t = two("&boot=saved");
    let mut refused = t.clone_story();
    t.act_on(&["A", "B"], "stop").persisted();
    insta::assert_snapshot!(t, @r"
    0.000    > request 3: stop A and B
               persist 3: set desired of A to Down
               persist 4: set desired of B to Down
             > durable up to 4
               TERM to p2
               answer 3: 200 B running, A running
    ");
    refused.act_on(&["A", "B"], "stop").disk_fails().act_on(&["A"], "stop").persisted();
    insta::assert_snapshot!(refused, @r"
    0.000    > request 3: stop A and B
               persist 3: set desired of A to Down
               persist 4: set desired of B to Down
             > the disk refuses
               answer 3: 200 B not changed: cannot save the state: no space left, A not changed: cannot save the state: no space left
             > request 4: stop A
               persist 5 in a new epoch: set desired of A to Down
             > durable up to 5
               TERM to p1
               answer 4: 200 A running
    ");
}

/// A process that does not exit holds those up for which it is stopped first only until it is known
/// to be like that.
#[test]
fn one_that_does_not_exit_is_not_waited_for() {
    let mut t = two("");
    let mut t = {
        t.act_on(&["A", "B"], "stop");
        t.untold()
    };
    t.past_ticks().past_ticks();
    insta::assert_snapshot!(t, @r#"
    5.000    > due: Grace of B
               KILL to p2
    10.000   > due: Grace of B
               event 6 log B: "cannot be killed: still running after every signal; stopping on request, tried again every minute"
               event 7 update B exec:web?after=db running alias=web
               KILL to p2
               TERM to p1
    "#);
}

/// There is a limit on actions under way.
#[test]
fn too_many_at_a_time_are_refused() {
    let mut t = two("&boot=saved");
    for _ in 0..16 {
        t.act_on(&["A"], "stop");
    }
    let mut t = t.untold();
    t.act_on(&["A"], "stop").persisted();
    insta::assert_snapshot!(t, @r"
    0.000    > request 19: stop A
               answer 19: 503 too many actions on many instances are under way; try again once one is done
             > durable up to 18
               TERM to p1
               answer 3: 200 A running
               answer 4: 200 A running
               answer 5: 200 A running
               answer 6: 200 A running
               answer 7: 200 A running
               answer 8: 200 A running
               answer 9: 200 A running
               answer 10: 200 A running
               answer 11: 200 A running
               answer 12: 200 A running
               answer 13: 200 A running
               answer 14: 200 A running
               answer 15: 200 A running
               answer 16: 200 A running
               answer 17: 200 A running
               answer 18: 200 A running
    ");
}

/// A shutdown answers what is under way.
#[test]
fn a_shutdown_answers() {
    let mut t = two("&boot=saved");
    t.act_on(&["A", "B"], "stop").shutdown().persisted();
    insta::assert_snapshot!(t, @r"
    0.000    > request 3: stop A and B
               persist 3: set desired of A to Down
               persist 4: set desired of B to Down
             > shutdown is requested
               close all streams
               TERM to p2
             > durable up to 4
               answer 3: 200 B running, A running
    ");
}

/// A stop takes effect at once, also while an older request that starts the instance waits for the
/// disk. The rest of that request takes effect, its start does not.
#[test]
fn a_newer_stop_counts_where_an_older_start_waits_for_the_disk() {
    let mut t = Teller::with_running("exec:a").untold();
    t.patch("A", r#"{"action":"start","restart":false}"#).act_on(&["A"], "stop");
    t.exited(0).persisted();
    t.patch("A", r#"{"action":"stop","restart":true}"#).act("A", "start").persisted();
    insta::assert_snapshot!(t, @r#"
    0.000    > request 2: patch A {"action":"start","restart":false}
               persist 2: put A at 0 exec:a
             > request 3: stop A
               TERM to p1
               answer 3: 200 A running
             > p1 exits with 0
               event 3 update A exec:a stopped
             > durable up to 2
               event 4 update A exec:a stopped restart=false
               answer 2: 200 A exec:a stopped restart=false
             > request 4: patch A {"action":"stop","restart":true}
               persist 3: put A at 0 exec:a
             > request 5: patch A {"action":"start"}
               spawn p2 for A: exec:a
               answer 5: 200 A exec:a stopped restart=false
             > durable up to 3
               event 5 update A exec:a stopped
               answer 4: 200 A exec:a stopped
    "#);
}
