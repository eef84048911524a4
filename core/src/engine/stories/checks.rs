//! Readiness, live checks, and instances that start after others.

use super::Teller;
use crate::instance::CheckKind::{Live, Ready};
use crate::stream::Stream;

fn teller() -> Teller {
    let mut t = Teller::new().untold();
    t.names.facts = true;
    t
}

/// A process is ready once it printed the line of its rule; later lines change nothing.
#[test]
fn ready_by_a_line() {
    let mut t = teller();
    t.create("exec:x?ready=line:^listening").persisted().started();
    t.log("starting").log("listening on 80").log("listening on 81").exited(1);
    insta::assert_snapshot!(t, @r#"
    0.000    > request 1: create exec:x?ready=line:^listening
               persist 1: put A at 0 exec:x?ready=line:^listening
             > durable up to 1
               process of A: stopped, 0 starts, 0 failures, 0 restarts, 0 exits
               event 1 create A exec:x?ready=line:^listening stopped
               answer 1: 201 A exec:x?ready=line:^listening stopped
               spawn p1 for A: exec:x?ready=line:^listening
               process of A: stopped, 0 starts, 0 failures, 0 restarts, 0 exits
             > p1 started
               process of A: p1 running, 1 starts, 0 failures, 0 restarts, 0 exits, not ready
               event 2 update A exec:x?ready=line:^listening running
             > p1 prints "starting"
               event 3 log A: "starting"
             > p1 prints "listening on 80"
               event 4 log A: "listening on 80"
               process of A: p1 running, 1 starts, 0 failures, 0 restarts, 0 exits, ready
               event 5 update A exec:x?ready=line:^listening running
             > p1 prints "listening on 81"
               event 6 log A: "listening on 81"
             > p1 exits with 1
               process of A: error, 1 starts, 0 failures, 0 restarts, 1 exits, last Own(Code(1)), next in 1000 ms, because: exited with code 1
               event 7 update A exec:x?ready=line:^listening error
    "#);
}

/// A process is ready some time after its start. If it exits before, it was not.
#[test]
fn ready_after_a_time() {
    let mut t = teller();
    t.create("exec:x?ready=after:3s").persisted().started().advance(2_900).exited(1);
    t.next_timer().started().past_ticks();
    insta::assert_snapshot!(t, @r"
    0.000    > request 1: create exec:x?ready=after:3s
               persist 1: put A at 0 exec:x?ready=after:3s
             > durable up to 1
               process of A: stopped, 0 starts, 0 failures, 0 restarts, 0 exits
               event 1 create A exec:x?ready=after:3s stopped
               answer 1: 201 A exec:x?ready=after:3s stopped
               spawn p1 for A: exec:x?ready=after:3s
               process of A: stopped, 0 starts, 0 failures, 0 restarts, 0 exits
             > p1 started
               process of A: p1 running, 1 starts, 0 failures, 0 restarts, 0 exits, not ready
               event 2 update A exec:x?ready=after:3s running
    2.900    > p1 exits with 1
               process of A: error, 1 starts, 0 failures, 0 restarts, 1 exits, last Own(Code(1)), next in 1000 ms, because: exited with code 1
               event 3 update A exec:x?ready=after:3s error
    3.900    > due: Restart of A
               spawn p2 for A: exec:x?ready=after:3s
               process of A: error, 1 starts, 0 failures, 1 restarts, 1 exits, last Own(Code(1)), because: exited with code 1
             > p2 started
               process of A: p2 running, 2 starts, 0 failures, 1 restarts, 1 exits, last Own(Code(1)), not ready
               event 4 update A exec:x?ready=after:3s running
    6.900    > due: Ready of A
               process of A: p2 running, 2 starts, 0 failures, 1 restarts, 1 exits, last Own(Code(1)), ready
               event 5 update A exec:x?ready=after:3s running
    ");
}

/// A target is asked more and more seldom until it answers. The answer for an earlier process is
/// dropped.
#[test]
fn ready_once_a_target_answers() {
    let mut t = teller();
    t.create("exec:x?ready=tcp:127.0.0.1:80").persisted().started();
    let mut t = t.untold();
    for _ in 0..3 {
        t.next_timer().checked(Ready, Some("connection refused"));
    }
    let first = t.current();
    t.next_timer().exited(1).past_ticks().started().about(first).checked(Ready, None);
    let second = t.newest();
    t.about(second).next_timer().checked(Ready, None);
    insta::assert_snapshot!(t, @r"
    0.100    > due: Ready of A
               ready check of p1: tcp:127.0.0.1:80
             > p1 fails (connection refused) its Ready check
    0.300    > due: Ready of A
               ready check of p1: tcp:127.0.0.1:80
             > p1 fails (connection refused) its Ready check
    0.700    > due: Ready of A
               ready check of p1: tcp:127.0.0.1:80
             > p1 fails (connection refused) its Ready check
    1.500    > due: Ready of A
               ready check of p1: tcp:127.0.0.1:80
             > p1 exits with 1
               process of A: error, 1 starts, 0 failures, 0 restarts, 1 exits, last Own(Code(1)), next in 1000 ms, because: exited with code 1
               event 3 update A exec:x?ready=tcp:127.0.0.1:80 error
    2.500    > due: Restart of A
               spawn p2 for A: exec:x?ready=tcp:127.0.0.1:80
               process of A: error, 1 starts, 0 failures, 1 restarts, 1 exits, last Own(Code(1)), because: exited with code 1
             > p2 started
               process of A: p2 running, 2 starts, 0 failures, 1 restarts, 1 exits, last Own(Code(1)), not ready
               event 4 update A exec:x?ready=tcp:127.0.0.1:80 running
             > p1 passes its Ready check
    2.600    > due: Ready of A
               ready check of p2: tcp:127.0.0.1:80
             > p2 passes its Ready check
               process of A: p2 running, 2 starts, 0 failures, 1 restarts, 1 exits, last Own(Code(1)), ready
               event 5 update A exec:x?ready=tcp:127.0.0.1:80 running
    ");
}

/// A process that is not ready in time has failed, and is restarted; if it becomes ready before that,
/// it has recovered.
#[test]
fn not_ready_in_time() {
    let mut t = teller();
    t.create("exec:x?ready=line:up&ready_timeout=3s").persisted().started();
    let mut t = t.untold();
    t.next_timer().log("up");
    t.exited(1).past_ticks().started().past_ticks().past_ticks().exited(0);
    insta::assert_snapshot!(t, @r#"
    3.000    > due: ReadyLimit of A
               event 3 log A: "not ready within 3 s"
               process of A: p1 error, 1 starts, 0 failures, 0 restarts, 0 exits, next in 1000 ms, because: not ready within 3 s, not ready
               event 4 update A exec:x?ready=line:up&ready_timeout=3s error
             > p1 prints "up"
               event 5 log A: "up"
               process of A: p1 running, 1 starts, 0 failures, 0 restarts, 0 exits, ready
               event 6 update A exec:x?ready=line:up&ready_timeout=3s running
             > p1 exits with 1
               process of A: error, 1 starts, 0 failures, 0 restarts, 1 exits, last Own(Code(1)), next in 1951 ms, because: exited with code 1
               event 7 update A exec:x?ready=line:up&ready_timeout=3s error
    4.951    > due: Restart of A
               spawn p2 for A: exec:x?ready=line:up&ready_timeout=3s
               process of A: error, 1 starts, 0 failures, 1 restarts, 1 exits, last Own(Code(1)), because: exited with code 1
             > p2 started
               process of A: p2 running, 2 starts, 0 failures, 1 restarts, 1 exits, last Own(Code(1)), not ready
               event 8 update A exec:x?ready=line:up&ready_timeout=3s running
    7.951    > due: ReadyLimit of A
               event 9 log A: "not ready within 3 s"
               process of A: p2 error, 2 starts, 0 failures, 1 restarts, 1 exits, last Own(Code(1)), next in 3586 ms, because: not ready within 3 s, not ready
               event 10 update A exec:x?ready=line:up&ready_timeout=3s error
    11.537   > due: Restart of A
               TERM to p2
               process of A: p2 error, 2 starts, 0 failures, 2 restarts, 1 exits, last Own(Code(1)), because: not ready within 3 s, not ready
             > p2 exits with 0
               process of A: stopped, 2 starts, 0 failures, 2 restarts, 2 exits, last Requested(Code(0)), because: stopped to be started again
               event 11 update A exec:x?ready=line:up&ready_timeout=3s stopped
               spawn p3 for A: exec:x?ready=line:up&ready_timeout=3s
    "#);
}

/// An instance starts once those that it names are ready; meanwhile it is stopped and says what it
/// waits for. That they exit later does not stop it.
#[test]
fn a_start_waits_for_others() {
    let mut t = teller();
    t.create_named("web", "exec:web?after=db&after=cache").persisted();
    t.create_named("db", "exec:db?ready=notify").persisted().started();
    let db = t.current();
    t.create_named("cache", "exec:cache").persisted().started();
    t.about(db).checked(Ready, None);
    let web = t.newest();
    t.about(web).started().about(db).exited(1);
    insta::assert_snapshot!(t, @r"
    0.000    > request 1: create web: exec:web?after=db&after=cache
               persist 1: put A at 0 exec:web?after=db&after=cache alias=web
             > durable up to 1
               process of A: stopped, 0 starts, 0 failures, 0 restarts, 0 exits
               event 1 create A exec:web?after=db&after=cache stopped alias=web
               answer 1: 201 A exec:web?after=db&after=cache stopped alias=web
               process of A: stopped, 0 starts, 0 failures, 0 restarts, 0 exits, waits for db
             > request 2: create db: exec:db?ready=notify
               persist 2: put B at 0 exec:db?ready=notify alias=db
             > durable up to 2
               process of B: stopped, 0 starts, 0 failures, 0 restarts, 0 exits
               event 2 create B exec:db?ready=notify stopped alias=db
               answer 2: 201 B exec:db?ready=notify stopped alias=db
               spawn p1 for B: exec:db?ready=notify
               process of B: stopped, 0 starts, 0 failures, 0 restarts, 0 exits
             > p1 started
               process of B: p1 running, 1 starts, 0 failures, 0 restarts, 0 exits, not ready
               event 3 update B exec:db?ready=notify running alias=db
             > request 3: create cache: exec:cache
               persist 3: put C at 0 exec:cache alias=cache
             > durable up to 3
               process of C: stopped, 0 starts, 0 failures, 0 restarts, 0 exits
               event 4 create C exec:cache stopped alias=cache
               answer 3: 201 C exec:cache stopped alias=cache
               spawn p2 for C: exec:cache
             > p2 started
               process of C: p2 running, 1 starts, 0 failures, 0 restarts, 0 exits
               event 5 update C exec:cache running alias=cache
             > p1 passes its Ready check
               process of B: p1 running, 1 starts, 0 failures, 0 restarts, 0 exits, ready
               event 6 update B exec:db?ready=notify running alias=db
               spawn p3 for A: exec:web?after=db&after=cache
               process of A: stopped, 0 starts, 0 failures, 0 restarts, 0 exits
             > p3 started
               process of A: p3 running, 1 starts, 0 failures, 0 restarts, 0 exits
               event 7 update A exec:web?after=db&after=cache running alias=web
             > p1 exits with 1
               process of B: error, 1 starts, 0 failures, 0 restarts, 1 exits, last Own(Code(1)), next in 1000 ms, because: exited with code 1
               event 8 update B exec:db?ready=notify error alias=db
    ");
}

/// A restart waits, too, and a stop takes the start back.
#[test]
fn a_restart_waits_and_a_stop_ends_the_wait() {
    let mut t = teller();
    t.create_named("db", "exec:db").persisted().started();
    let db = t.current();
    t.create_named("web", "exec:web?after=db").persisted().started();
    let web = t.current();
    let mut t = t.untold();
    t.about(db).exited(1).about(web).exited(1);
    // The restarts of both come due.
    t.past_ticks().past_ticks();
    let second = t.newest();
    t.act("B", "stop").about(second).started();
    insta::assert_snapshot!(t, @r#"
    0.000    > p1 exits with 1
               process of A: error, 1 starts, 0 failures, 0 restarts, 1 exits, last Own(Code(1)), next in 1016 ms, because: exited with code 1
               event 5 update A exec:db error alias=db
             > p2 exits with 1
               process of B: error, 1 starts, 0 failures, 0 restarts, 1 exits, last Own(Code(1)), next in 1140 ms, because: exited with code 1
               event 6 update B exec:web?after=db error alias=web
    1.016    > due: Restart of A
               spawn p3 for A: exec:db
               process of A: error, 1 starts, 0 failures, 1 restarts, 1 exits, last Own(Code(1)), because: exited with code 1
    1.140    > due: Restart of B
               process of B: stopped, 1 starts, 0 failures, 1 restarts, 1 exits, last Own(Code(1)), because: stopped to be started again, waits for db
               event 7 update B exec:web?after=db stopped alias=web
             > request 3: patch B {"action":"stop"}
               process of B: stopped, 1 starts, 0 failures, 1 restarts, 1 exits, last Own(Code(1)), because: stopped to be started again
               answer 3: 200 B exec:web?after=db stopped alias=web
             > p3 started
               process of A: p3 running, 2 starts, 0 failures, 1 restarts, 1 exits, last Own(Code(1))
               event 8 update A exec:db running alias=db
    "#);
}

/// One that exits with code 0 has done its work: those that wait for it start.
#[test]
fn a_task_that_is_done_counts_as_ready() {
    let mut t = teller();
    t.create_named("migrate", "exec:migrate?ready=line:never").persisted().started();
    t.create_named("web", "exec:web?after=migrate").persisted();
    let migrate = t.current();
    t.about(migrate).exited(0);
    insta::assert_snapshot!(t, @r"
    0.000    > request 1: create migrate: exec:migrate?ready=line:never
               persist 1: put A at 0 exec:migrate?ready=line:never alias=migrate
             > durable up to 1
               process of A: stopped, 0 starts, 0 failures, 0 restarts, 0 exits
               event 1 create A exec:migrate?ready=line:never stopped alias=migrate
               answer 1: 201 A exec:migrate?ready=line:never stopped alias=migrate
               spawn p1 for A: exec:migrate?ready=line:never
               process of A: stopped, 0 starts, 0 failures, 0 restarts, 0 exits
             > p1 started
               process of A: p1 running, 1 starts, 0 failures, 0 restarts, 0 exits, not ready
               event 2 update A exec:migrate?ready=line:never running alias=migrate
             > request 2: create web: exec:web?after=migrate
               persist 2: put B at 0 exec:web?after=migrate alias=web
             > durable up to 2
               process of B: stopped, 0 starts, 0 failures, 0 restarts, 0 exits
               event 3 create B exec:web?after=migrate stopped alias=web
               answer 2: 201 B exec:web?after=migrate stopped alias=web
               process of B: stopped, 0 starts, 0 failures, 0 restarts, 0 exits, waits for migrate
             > p1 exits with 0
               process of A: stopped, 1 starts, 0 failures, 0 restarts, 1 exits, last Own(Code(0)), because: exited with code 0
               event 4 update A exec:migrate?ready=line:never stopped alias=migrate
               spawn p2 for B: exec:web?after=migrate
               process of B: stopped, 0 starts, 0 failures, 0 restarts, 0 exits
    ");
}

/// What would wait for itself is refused by name: at creation, with a new URL, and with a new alias.
#[test]
fn a_circle_is_refused() {
    let mut t = Teller::new().untold();
    t.create_named("a", "exec:a?after=b").persisted();
    t.create_named("b", "exec:b?after=c").persisted();
    t.create_named("c", "exec:c?after=a");
    t.create_named("self", "exec:s?after=self");
    t.create_named("d", "exec:d?after=a").persisted();
    t.patch("C", r#"{"alias":"c"}"#);
    t.create_named("c", "exec:c").persisted().started();
    t.put("D", "exec:c?after=a");
    insta::assert_snapshot!(t, @r#"
    0.000    > request 1: create a: exec:a?after=b
               persist 1: put A at 0 exec:a?after=b alias=a
             > durable up to 1
               event 1 create A exec:a?after=b stopped alias=a
               answer 1: 201 A exec:a?after=b stopped alias=a
             > request 2: create b: exec:b?after=c
               persist 2: put B at 0 exec:b?after=c alias=b
             > durable up to 2
               event 2 create B exec:b?after=c stopped alias=b
               answer 2: 201 B exec:b?after=c stopped alias=b
             > request 3: create c: exec:c?after=a
               answer 3: 409 after makes a circle: c -> a -> b -> c; remove one of these
             > request 4: create self: exec:s?after=self
               answer 4: 409 after makes a circle: self -> self; remove one of these
             > request 5: create d: exec:d?after=a
               persist 3: put C at 0 exec:d?after=a alias=d
             > durable up to 3
               event 3 create C exec:d?after=a stopped alias=d
               answer 5: 201 C exec:d?after=a stopped alias=d
             > request 6: patch C {"alias":"c"}
               answer 6: 409 after makes a circle: c -> a -> b -> c; remove one of these
             > request 7: create c: exec:c
               persist 4: put D at 0 exec:c alias=c
             > durable up to 4
               event 4 create D exec:c stopped alias=c
               answer 7: 201 D exec:c stopped alias=c
               spawn p1 for D: exec:c
             > p1 started
               event 5 update D exec:c running alias=c
               spawn p2 for B: exec:b?after=c
             > request 8: put D exec:c?after=a
               answer 8: 409 after makes a circle: c -> a -> b -> c; remove one of these
    "#);
}

/// A shutdown stops what started last first. After 4 s nothing waits any longer.
#[test]
fn a_shutdown_stops_in_order() {
    let mut t = teller();
    t.names.facts = false;
    t.create_named("db", "exec:db").persisted().started();
    let db = t.current();
    t.create_named("web", "exec:web?after=db").persisted().started();
    let web = t.current();
    let mut quick = t.clone_story();
    quick.shutdown().about(web).exited(0).about(db).exited(0);
    insta::assert_snapshot!(quick, @r"
    0.000    > shutdown is requested
               close all streams
               TERM to p2
             > p2 exits with 0
               event 5 update B exec:web?after=db stopped alias=web
               TERM to p1
             > p1 exits with 0
               event 6 update A exec:db stopped alias=db
               finish
    ");
    let mut slow = t.clone_story();
    slow.shutdown().next_timer().about(db).exited(0).about(web).exited(0);
    insta::assert_snapshot!(slow, @r"
    0.000    > shutdown is requested
               close all streams
               TERM to p2
    4.000    > due: ShutdownOrder
               TERM to p1
             > p1 exits with 0
               event 5 update A exec:db stopped alias=db
             > p2 exits with 0
               event 6 update B exec:web?after=db stopped alias=web
               finish
    ");
}

/// An instance fails after a number of failed live checks in a row, and is restarted. One that passes
/// again before has recovered.
#[test]
fn a_live_check_fails_too_often() {
    let mut t = teller();
    t.create("exec:x?live=tcp:h:1&live_interval=400ms&live_threshold=2").persisted().started();
    let mut t = t.untold();
    t.next_timer().checked(Live, Some("timed out")).next_timer().checked(Live, None);
    for _ in 0..2 {
        t.next_timer().checked(Live, Some("timed out"));
    }
    t.next_timer().checked(Live, None);
    for _ in 0..4 {
        t.next_timer().checked(Live, Some("refused"));
    }
    t.next_timer().exited(0);
    insta::assert_snapshot!(t, @r#"
    0.400    > due: Live of A
               live check of p1: tcp:h:1
             > p1 fails (timed out) its Live check
    0.800    > due: Live of A
               live check of p1: tcp:h:1
             > p1 passes its Live check
    1.200    > due: Live of A
               live check of p1: tcp:h:1
             > p1 fails (timed out) its Live check
    1.600    > due: Live of A
               live check of p1: tcp:h:1
             > p1 fails (timed out) its Live check
               event 3 log A: "live check failed: timed out"
               process of A: p1 error, 1 starts, 0 failures, 0 restarts, 0 exits, next in 1000 ms, because: live check failed: timed out
               event 4 update A exec:x?live=tcp:h:1&live_interval=400ms&live_threshold=2 error
    2.000    > due: Live of A
               live check of p1: tcp:h:1
             > p1 passes its Live check
               process of A: p1 running, 1 starts, 0 failures, 0 restarts, 0 exits
               event 5 update A exec:x?live=tcp:h:1&live_interval=400ms&live_threshold=2 running
    2.400    > due: Live of A
               live check of p1: tcp:h:1
             > p1 fails (refused) its Live check
    2.800    > due: Live of A
               live check of p1: tcp:h:1
             > p1 fails (refused) its Live check
               event 6 log A: "live check failed: refused"
               process of A: p1 error, 1 starts, 0 failures, 0 restarts, 0 exits, next in 1951 ms, because: live check failed: refused
               event 7 update A exec:x?live=tcp:h:1&live_interval=400ms&live_threshold=2 error
    3.200    > due: Live of A
               live check of p1: tcp:h:1
             > p1 fails (refused) its Live check
    3.600    > due: Live of A
               live check of p1: tcp:h:1
             > p1 fails (refused) its Live check
    4.000    > due: Live of A
               live check of p1: tcp:h:1
             > p1 exits with 0
               process of A: stopped, 1 starts, 0 failures, 0 restarts, 1 exits, last Own(Code(0)), because: exited with code 0
               event 8 update A exec:x?live=tcp:h:1&live_interval=400ms&live_threshold=2 stopped
    "#);
}

/// A line with a match of the pattern is an error; `ERROR` is not.
#[test]
fn error_lines_of_a_command() {
    let mut t = teller();
    t.create("exec:x?error=^fatal").persisted().started();
    let mut t = t.untold();
    t.log("an ERROR").log("fatal: no disk").past_ticks();
    insta::assert_snapshot!(t, @r#"
    0.000    > p1 prints "an ERROR"
               event 3 log A: "an ERROR"
             > p1 prints "fatal: no disk"
               process of A: p1 error, 1 starts, 0 failures, 0 restarts, 0 exits, next in 1000 ms, because: printed an error: fatal: no disk
               event 4 update A exec:x?error=^fatal error
               event 5 log A: "fatal: no disk"
    1.000    > due: Restart of A
               TERM to p1
               process of A: p1 error, 1 starts, 0 failures, 1 restarts, 0 exits, because: printed an error: fatal: no disk
    "#);
}

/// Lines of standard error count like those of standard output, and are shown with their stream.
#[test]
fn lines_of_standard_error() {
    let mut t = teller();
    t.create("exec:x?ready=line:up&error=fatal").persisted().started();
    t.log("begun").log_on(Stream::Stderr, "up").log_on(Stream::Stderr, "fatal: no port");
    insta::assert_snapshot!(t, @r#"
    0.000    > request 1: create exec:x?ready=line:up&error=fatal
               persist 1: put A at 0 exec:x?ready=line:up&error=fatal
             > durable up to 1
               process of A: stopped, 0 starts, 0 failures, 0 restarts, 0 exits
               event 1 create A exec:x?ready=line:up&error=fatal stopped
               answer 1: 201 A exec:x?ready=line:up&error=fatal stopped
               spawn p1 for A: exec:x?ready=line:up&error=fatal
               process of A: stopped, 0 starts, 0 failures, 0 restarts, 0 exits
             > p1 started
               process of A: p1 running, 1 starts, 0 failures, 0 restarts, 0 exits, not ready
               event 2 update A exec:x?ready=line:up&error=fatal running
             > p1 prints "begun"
               event 3 log A: "begun"
             > p1 prints "up" on stderr
               event 4 log A stderr: "up"
               process of A: p1 running, 1 starts, 0 failures, 0 restarts, 0 exits, ready
               event 5 update A exec:x?ready=line:up&error=fatal running
             > p1 prints "fatal: no port" on stderr
               process of A: p1 error, 1 starts, 0 failures, 0 restarts, 0 exits, next in 1000 ms, because: printed an error: fatal: no port, not ready
               event 6 update A exec:x?ready=line:up&error=fatal error
               event 7 log A stderr: "fatal: no port"
    "#);
}
