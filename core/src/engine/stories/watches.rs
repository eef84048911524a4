//! Files that instances watch, and restarts when they change.

use alloc::string::ToString;

use super::Teller;
use crate::engine::{Engine, Input};

const URL: &str = "exec:x?watch=/srv";

/// A burst of changes restarts the process once, half a second after the last one, without a
/// delay.
#[test]
fn a_burst_restarts_once() {
    let mut t = Teller::new().untold();
    t.create(URL).persisted().started();
    t.file_changed("A", "/srv/a").advance(400).file_changed("A", "/srv/b").advance(499);
    t.next_timer().exited(0).started().wait(10_000);
    insta::assert_snapshot!(t, @r#"
    0.000    > request 1: create exec:x?watch=/srv
               persist 1: put A at 0 exec:x?watch=/srv
             > durable up to 1
               event 1 create A exec:x?watch=/srv stopped
               answer 1: 201 A exec:x?watch=/srv stopped
               watch /srv for A
               spawn p1 for A: exec:x?watch=/srv
             > p1 started
               event 2 update A exec:x?watch=/srv running
             > /srv/a changed, which A watches
    0.400    > /srv/b changed, which A watches
    0.900    > due: FilesChanged of A
               event 3 log A: "restarting: a watched file changed: /srv/a"
               TERM to p1
             > p1 exits with 0
               event 4 update A exec:x?watch=/srv stopped
               spawn p2 for A: exec:x?watch=/srv
             > p2 started
               event 5 update A exec:x?watch=/srv running
    "#);
}

/// Files that keep changing restart it after five seconds.
#[test]
fn what_never_rests_restarts_in_time() {
    let mut t = Teller::with_running(URL);
    for _ in 0..13 {
        t.file_changed("A", "/srv/log").advance(350);
    }
    let mut t = t.untold();
    t.file_changed("A", "/srv/log").next_timer().next_timer();
    insta::assert_snapshot!(t, @r#"
    4.550    > /srv/log changed, which A watches
    5.000    > due: FilesChanged of A
               event 3 log A: "restarting: a watched file changed: /srv/log"
               TERM to p1
    10.000   > due: Grace of A
               KILL to p1
    "#);
}

/// A change starts a failed instance again at once: it may be the repair. That counts as no
/// failure.
#[test]
fn a_change_starts_a_failed_instance_again() {
    let mut t = Teller::with_running(URL);
    t.names.facts = true;
    t.exited(1).file_changed("A", "/srv/a").next_timer().started();
    insta::assert_snapshot!(t, @r#"
    0.000    > p1 exits with 1
               process of A: error, 1 starts, 0 failures, 0 restarts, 1 exits, last Own(Code(1)), next in 1000 ms, because: exited with code 1
               event 3 update A exec:x?watch=/srv error
             > /srv/a changed, which A watches
    0.500    > due: FilesChanged of A
               event 4 log A: "restarting: a watched file changed: /srv/a"
               process of A: stopped, 1 starts, 0 failures, 1 restarts, 1 exits, last Own(Code(1)), because: stopped to be started again
               event 5 update A exec:x?watch=/srv stopped
               spawn p2 for A: exec:x?watch=/srv
             > p2 started
               process of A: p2 running, 2 starts, 0 failures, 1 restarts, 1 exits, last Own(Code(1))
               event 6 update A exec:x?watch=/srv running
    "#);
}

/// A change starts nothing again whose policy is never to.
#[test]
fn what_is_never_restarted_stays_failed() {
    let mut t = Teller::with_running("exec:x?watch=/srv&restart=never");
    t.exited(1).file_changed("A", "/srv/a").next_timer();
    let told = t.to_string();
    assert!(told.contains("due: FilesChanged of A") && !told.contains("spawn"), "{told}");
}

/// The reason of the stop is shown while it lasts.
#[test]
fn the_reason_names_the_file() {
    let mut t = Teller::with_running(URL);
    t.names.facts = true;
    t.file_changed("A", "/srv/a").next_timer().exited(0).started();
    insta::assert_snapshot!(t, @r#"
    0.000    > /srv/a changed, which A watches
    0.500    > due: FilesChanged of A
               event 3 log A: "restarting: a watched file changed: /srv/a"
               TERM to p1
               process of A: p1 running, 1 starts, 0 failures, 1 restarts, 0 exits, because: a watched file changed: /srv/a
             > p1 exits with 0
               process of A: stopped, 1 starts, 0 failures, 1 restarts, 1 exits, last Requested(Code(0)), because: a watched file changed: /srv/a
               event 4 update A exec:x?watch=/srv stopped
               spawn p2 for A: exec:x?watch=/srv
             > p2 started
               process of A: p2 running, 2 starts, 0 failures, 1 restarts, 1 exits, last Requested(Code(0))
               event 5 update A exec:x?watch=/srv running
    "#);
}

/// An instance that was stopped, or has done its work, is not started, and its files are watched
/// only while it is wanted.
#[test]
fn what_is_not_to_run_is_not_restarted() {
    let mut t = Teller::with_running(URL);
    t.file_changed("A", "/srv/a").act("A", "stop").exited(0).file_changed("A", "/srv/a");
    t.act("A", "start").started().exited(0).file_changed("A", "/srv/a").next_timer();
    t.put("A", "exec:x?watch=/etc").persisted().started().delete("A").exited(0).persisted();
    insta::assert_snapshot!(t, @r#"
    0.000    > /srv/a changed, which A watches
             > request 2: patch A {"action":"stop"}
               watch nothing for A
               TERM to p1
               answer 2: 200 A exec:x?watch=/srv running
             > p1 exits with 0
               event 3 update A exec:x?watch=/srv stopped
             > /srv/a changed, which A watches
             > request 3: patch A {"action":"start"}
               watch /srv for A
               spawn p2 for A: exec:x?watch=/srv
               answer 3: 200 A exec:x?watch=/srv stopped
             > p2 started
               event 4 update A exec:x?watch=/srv running
             > p2 exits with 0
               event 5 update A exec:x?watch=/srv stopped
             > /srv/a changed, which A watches
    0.500    > due: FilesChanged of A
             > request 4: put A exec:x?watch=/etc
               persist 2: put A at 0 exec:x?watch=/etc
             > durable up to 2
               watch nothing for A
               event 6 update A exec:x?watch=/etc stopped
               watch /etc for A
               spawn p3 for A: exec:x?watch=/etc
             > p3 started
               event 7 update A exec:x?watch=/etc running
               answer 4: 200 A exec:x?watch=/etc running
             > request 5: delete A
               TERM to p3
             > p3 exits with 0
               event 8 update A exec:x?watch=/etc stopped
               persist 3: remove A
             > durable up to 3
               watch nothing for A
               event 9 delete A exec:x?watch=/etc stopped
               answer 5: 204
    "#);
}

/// A file that cannot be watched is reported in the log of the instance.
#[test]
fn what_cannot_be_watched_is_said() {
    let mut t = Teller::with_running(URL);
    let input = Input::WatchFailed { instance: t.id("A"), reason: "too many".into() };
    t.feed("its files cannot be watched", input);
    insta::assert_snapshot!(t, @r#"
    0.000    > its files cannot be watched
               event 3 log A: "cannot watch files: too many"
    "#);
}

/// The next program of the master watches the same files.
#[test]
fn an_upgraded_master_watches_again() {
    let mut t = Teller::with_running(URL);
    t.file_changed("A", "/srv/a");
    let run = t.engine.run_of(t.current()).expect("it runs");
    let runs = [(t.id("A"), run)];
    t.engine = Engine::resume(&t.engine.hand_over(), &runs, t.now).expect("it was settled");
    t.drain();
    t.next_timer();
    insta::assert_snapshot!(t, @r#"
    0.000    > /srv/a changed, which A watches
               show the master, key 1, alias ""
               show A exec:x?watch=/srv running
               adopt p1 of A
               watch /srv for A
    0.500    > due: FilesChanged of A
               event 3 log A: "restarting: a watched file changed: /srv/a"
               TERM to p1
    "#);
}
