//! Instances that are started at the times of a schedule.

use alloc::format;

use super::Teller;
use crate::instance::Zone;

fn teller() -> Teller {
    let mut t = Teller::new().untold();
    t.names.facts = true;
    t
}

/// A, which runs every second minute. How it was created is not told.
fn every_second_minute(parameters: &str) -> Teller {
    let mut t = teller();
    t.create(&format!("exec:x?schedule=*/2%20*%20*%20*%20*{parameters}")).persisted();
    t.zone_read("", Some(Zone::UTC));
    t.untold()
}

/// It is not started at its creation, but at each time, and runs to its end. The time zone is asked
/// for once.
#[test]
fn it_runs_at_each_time() {
    let mut t = teller();
    t.create("exec:x?schedule=*/2%20*%20*%20*%20*").persisted().zone_read("", Some(Zone::UTC));
    t.past_ticks().started().wait(3_000).exited(0).past_ticks().started().exited(0);
    t.create("exec:y?schedule=@daily").persisted();
    insta::assert_snapshot!(t, @r#"
    0.000    > request 1: create exec:x?schedule=*/2%20*%20*%20*%20*
               persist 1: put A at 0 exec:x?schedule=*/2%20*%20*%20*%20*
             > durable up to 1
               process of A: stopped, 0 starts, 0 failures, 0 restarts, 0 exits
               event 1 create A exec:x?schedule=*/2%20*%20*%20*%20* stopped
               answer 1: 201 A exec:x?schedule=*/2%20*%20*%20*%20* stopped
               read the time zone of the system
             > the time zone "" is read
               process of A: stopped, 0 starts, 0 failures, 0 restarts, 0 exits, waits for 2026-06-09 10:02
    120.000  > due: Schedule of A
               process of A: stopped, 0 starts, 0 failures, 0 restarts, 0 exits, waits for 2026-06-09 10:04
               spawn p1 for A: exec:x?schedule=*/2%20*%20*%20*%20*
             > p1 started
               process of A: p1 running, 1 starts, 0 failures, 0 restarts, 0 exits, waits for 2026-06-09 10:04
               event 2 update A exec:x?schedule=*/2%20*%20*%20*%20* running
    123.000  > p1 exits with 0
               process of A: stopped, 1 starts, 0 failures, 0 restarts, 1 exits, last Own(Code(0)), because: exited with code 0, waits for 2026-06-09 10:04
               event 3 update A exec:x?schedule=*/2%20*%20*%20*%20* stopped
    240.000  > due: Schedule of A
               process of A: stopped, 1 starts, 0 failures, 0 restarts, 1 exits, last Own(Code(0)), because: exited with code 0, waits for 2026-06-09 10:06
               spawn p2 for A: exec:x?schedule=*/2%20*%20*%20*%20*
             > p2 started
               process of A: p2 running, 2 starts, 0 failures, 0 restarts, 1 exits, last Own(Code(0)), waits for 2026-06-09 10:06
               event 4 update A exec:x?schedule=*/2%20*%20*%20*%20* running
             > p2 exits with 0
               process of A: stopped, 2 starts, 0 failures, 0 restarts, 2 exits, last Own(Code(0)), because: exited with code 0, waits for 2026-06-09 10:06
               event 5 update A exec:x?schedule=*/2%20*%20*%20*%20* stopped
             > request 2: create exec:y?schedule=@daily
               persist 2: put B at 0 exec:y?schedule=@daily
             > durable up to 2
               process of B: stopped, 0 starts, 0 failures, 0 restarts, 0 exits
               event 6 create B exec:y?schedule=@daily stopped
               answer 2: 201 B exec:y?schedule=@daily stopped
               process of B: stopped, 0 starts, 0 failures, 0 restarts, 0 exits, waits for 2026-06-10 00:00
    "#);
}

/// A time is left out while its process runs.
#[test]
fn a_time_is_left_out_while_it_runs() {
    let mut t = every_second_minute("");
    t.past_ticks().started().past_ticks().exited(0);
    insta::assert_snapshot!(t, @r#"
    120.000  > due: Schedule of A
               process of A: stopped, 0 starts, 0 failures, 0 restarts, 0 exits, waits for 2026-06-09 10:04
               spawn p1 for A: exec:x?schedule=*/2%20*%20*%20*%20*
             > p1 started
               process of A: p1 running, 1 starts, 0 failures, 0 restarts, 0 exits, waits for 2026-06-09 10:04
               event 2 update A exec:x?schedule=*/2%20*%20*%20*%20* running
    240.000  > due: Schedule of A
               event 3 log A: "not started by its schedule: its process still runs"
               process of A: p1 running, 1 starts, 0 failures, 0 restarts, 0 exits, waits for 2026-06-09 10:06
             > p1 exits with 0
               process of A: stopped, 1 starts, 0 failures, 0 restarts, 1 exits, last Own(Code(0)), because: exited with code 0, waits for 2026-06-09 10:06
               event 4 update A exec:x?schedule=*/2%20*%20*%20*%20* stopped
    "#);
}

/// A run that fails is retried by the restart policy; the next time does not wait for that.
#[test]
fn a_run_that_fails_is_retried() {
    let mut t = every_second_minute("&restart=on-failure");
    t.past_ticks().started().exited(1).past_ticks().started().exited(0);
    let mut never = every_second_minute("");
    never.patch("A", r#"{"restart":false}"#).persisted();
    never.past_ticks().started().exited(1).past_ticks().started().exited(0);
    insta::assert_snapshot!(t, @r"
    120.000  > due: Schedule of A
               process of A: stopped, 0 starts, 0 failures, 0 restarts, 0 exits, waits for 2026-06-09 10:04
               spawn p1 for A: exec:x?schedule=*/2%20*%20*%20*%20*&restart=on-failure
             > p1 started
               process of A: p1 running, 1 starts, 0 failures, 0 restarts, 0 exits, waits for 2026-06-09 10:04
               event 2 update A exec:x?schedule=*/2%20*%20*%20*%20*&restart=on-failure running
             > p1 exits with 1
               process of A: error, 1 starts, 0 failures, 0 restarts, 1 exits, last Own(Code(1)), next in 1000 ms, because: exited with code 1, waits for 2026-06-09 10:04
               event 3 update A exec:x?schedule=*/2%20*%20*%20*%20*&restart=on-failure error
    121.000  > due: Restart of A
               spawn p2 for A: exec:x?schedule=*/2%20*%20*%20*%20*&restart=on-failure
               process of A: error, 1 starts, 0 failures, 1 restarts, 1 exits, last Own(Code(1)), because: exited with code 1, waits for 2026-06-09 10:04
             > p2 started
               process of A: p2 running, 2 starts, 0 failures, 1 restarts, 1 exits, last Own(Code(1)), waits for 2026-06-09 10:04
               event 4 update A exec:x?schedule=*/2%20*%20*%20*%20*&restart=on-failure running
             > p2 exits with 0
               process of A: stopped, 2 starts, 0 failures, 1 restarts, 2 exits, last Own(Code(0)), because: exited with code 0, waits for 2026-06-09 10:04
               event 5 update A exec:x?schedule=*/2%20*%20*%20*%20*&restart=on-failure stopped
    ");
    insta::assert_snapshot!(never, @r#"
    0.000    > request 2: patch A {"restart":false}
               persist 2: put A at 0 exec:x?schedule=*/2%20*%20*%20*%20*
             > durable up to 2
               event 2 update A exec:x?schedule=*/2%20*%20*%20*%20* stopped restart=false
               answer 2: 200 A exec:x?schedule=*/2%20*%20*%20*%20* stopped restart=false
    120.000  > due: Schedule of A
               process of A: stopped, 0 starts, 0 failures, 0 restarts, 0 exits, waits for 2026-06-09 10:04
               spawn p1 for A: exec:x?schedule=*/2%20*%20*%20*%20*
             > p1 started
               process of A: p1 running, 1 starts, 0 failures, 0 restarts, 0 exits, waits for 2026-06-09 10:04
               event 3 update A exec:x?schedule=*/2%20*%20*%20*%20* running restart=false
             > p1 exits with 1
               process of A: error, 1 starts, 0 failures, 0 restarts, 1 exits, last Own(Code(1)), because: exited with code 1, waits for 2026-06-09 10:04
               event 4 update A exec:x?schedule=*/2%20*%20*%20*%20* error restart=false
    240.000  > due: Schedule of A
               process of A: error, 1 starts, 0 failures, 0 restarts, 1 exits, last Own(Code(1)), because: exited with code 1, waits for 2026-06-09 10:06
               process of A: stopped, 1 starts, 0 failures, 0 restarts, 1 exits, last Own(Code(1)), because: stopped to be started again, waits for 2026-06-09 10:06
               event 5 update A exec:x?schedule=*/2%20*%20*%20*%20* stopped restart=false
               spawn p2 for A: exec:x?schedule=*/2%20*%20*%20*%20*
             > p2 started
               process of A: p2 running, 2 starts, 0 failures, 0 restarts, 1 exits, last Own(Code(1)), waits for 2026-06-09 10:06
               event 6 update A exec:x?schedule=*/2%20*%20*%20*%20* running restart=false
             > p2 exits with 0
               process of A: stopped, 2 starts, 0 failures, 0 restarts, 2 exits, last Own(Code(0)), because: exited with code 0, waits for 2026-06-09 10:06
               event 7 update A exec:x?schedule=*/2%20*%20*%20*%20* stopped restart=false
    "#);
}

/// A stop suspends the schedule; a start runs it at once and resumes it.
#[test]
fn a_stop_suspends_it_and_a_start_runs_it_now() {
    let mut t = every_second_minute("");
    t.act("A", "stop").wait(150_000).act("A", "start").started().exited(0);
    insta::assert_snapshot!(t, @r#"
    0.000    > request 2: patch A {"action":"stop"}
               process of A: stopped, 0 starts, 0 failures, 0 restarts, 0 exits
               answer 2: 200 A exec:x?schedule=*/2%20*%20*%20*%20* stopped
    150.000  > request 3: patch A {"action":"start"}
               spawn p1 for A: exec:x?schedule=*/2%20*%20*%20*%20*
               process of A: stopped, 0 starts, 0 failures, 0 restarts, 0 exits, waits for 2026-06-09 10:04
               answer 3: 200 A exec:x?schedule=*/2%20*%20*%20*%20* stopped
             > p1 started
               process of A: p1 running, 1 starts, 0 failures, 0 restarts, 0 exits, waits for 2026-06-09 10:04
               event 2 update A exec:x?schedule=*/2%20*%20*%20*%20* running
             > p1 exits with 0
               process of A: stopped, 1 starts, 0 failures, 0 restarts, 1 exits, last Own(Code(0)), because: exited with code 0, waits for 2026-06-09 10:04
               event 3 update A exec:x?schedule=*/2%20*%20*%20*%20* stopped
    "#);
}

/// With another URL it is not started, and waits for the new times.
#[test]
fn another_url_has_other_times() {
    let mut t = every_second_minute("");
    t.put("A", "exec:x?schedule=*/5%20*%20*%20*%20*").persisted();
    t.put("A", "exec:x").persisted().started();
    insta::assert_snapshot!(t, @r"
    0.000    > request 2: put A exec:x?schedule=*/5%20*%20*%20*%20*
               persist 2: put A at 0 exec:x?schedule=*/5%20*%20*%20*%20*
             > durable up to 2
               event 2 update A exec:x?schedule=*/5%20*%20*%20*%20* stopped
               process of A: stopped, 0 starts, 0 failures, 0 restarts, 0 exits, waits for 2026-06-09 10:05
               answer 2: 200 A exec:x?schedule=*/5%20*%20*%20*%20* stopped
             > request 3: put A exec:x
               persist 3: put A at 0 exec:x
             > durable up to 3
               event 3 update A exec:x stopped
               spawn p1 for A: exec:x
               process of A: stopped, 0 starts, 0 failures, 0 restarts, 0 exits
             > p1 started
               process of A: p1 running, 1 starts, 0 failures, 0 restarts, 0 exits
               event 4 update A exec:x running
               answer 3: 200 A exec:x running
    ");
}

/// What the wall clock does counts: the deadline is set right.
#[test]
fn the_wall_clock_is_set_back() {
    let mut t = every_second_minute("");
    t.wall_steps_back(60_000).wait(121_000).past_ticks();
    insta::assert_snapshot!(t, @r"
    0.000    > the wall clock steps back by 60000 ms
    180.000  > due: Schedule of A
               process of A: stopped, 0 starts, 0 failures, 0 restarts, 0 exits, waits for 2026-06-09 10:04
               spawn p1 for A: exec:x?schedule=*/2%20*%20*%20*%20*
    ");
}

/// A time zone that the machine does not have is named.
#[test]
fn a_missing_time_zone_is_named() {
    let mut t = teller();
    t.create("exec:x?schedule=@daily&schedule_tz=Mars/Base").persisted();
    t.zone_read("Mars/Base", None);
    insta::assert_snapshot!(t, @r#"
    0.000    > request 1: create exec:x?schedule=@daily&schedule_tz=Mars/Base
               persist 1: put A at 0 exec:x?schedule=@daily&schedule_tz=Mars/Base
             > durable up to 1
               process of A: stopped, 0 starts, 0 failures, 0 restarts, 0 exits
               event 1 create A exec:x?schedule=@daily&schedule_tz=Mars/Base stopped
               answer 1: 201 A exec:x?schedule=@daily&schedule_tz=Mars/Base stopped
               read the time zone Mars/Base
             > the time zone "Mars/Base" is missing
               process of A: stopped, 0 starts, 0 failures, 0 restarts, 0 exits, waits for a time zone "Mars/Base", which this machine does not have
    "#);
}

/// It starts only when what it comes after is ready.
#[test]
fn it_waits_for_others_too() {
    let mut t = teller();
    t.create("exec:x?schedule=*/2%20*%20*%20*%20*&after=db").persisted();
    t.zone_read("", Some(Zone::UTC));
    let mut t = t.untold();
    t.past_ticks().create_named("db", "exec:db").persisted().started();
    insta::assert_snapshot!(t, @r"
    120.000  > due: Schedule of A
               process of A: stopped, 0 starts, 0 failures, 0 restarts, 0 exits, waits for 2026-06-09 10:04
               process of A: stopped, 0 starts, 0 failures, 0 restarts, 0 exits, waits for 2026-06-09 10:04, waits for db
             > request 2: create db: exec:db
               persist 2: put B at 0 exec:db alias=db
             > durable up to 2
               process of B: stopped, 0 starts, 0 failures, 0 restarts, 0 exits
               event 2 create B exec:db stopped alias=db
               answer 2: 201 B exec:db stopped alias=db
               spawn p1 for B: exec:db
             > p1 started
               process of B: p1 running, 1 starts, 0 failures, 0 restarts, 0 exits
               event 3 update B exec:db running alias=db
               spawn p2 for A: exec:x?schedule=*/2%20*%20*%20*%20*&after=db
               process of A: stopped, 0 starts, 0 failures, 0 restarts, 0 exits, waits for 2026-06-09 10:04
    ");
}

/// A shutdown starts nothing.
#[test]
fn a_shutdown_starts_nothing() {
    let mut t = every_second_minute("");
    t.shutdown();
    insta::assert_snapshot!(t, @r"
    0.000    > shutdown is requested
               close all streams
               process of A: stopped, 0 starts, 0 failures, 0 restarts, 0 exits
               finish
    ");
}
