//! Runs that outlived the master that began them (Contract §11).

use super::storage::stored;
use super::{DAWN_MICROS, Teller};
use crate::counters::{Counter, Counters, SavedTotals};
use crate::engine::{Found, Survivor};
use crate::ids::{Generation, InstanceId, ProcessRef, RunId, SlotId};
use crate::keeper::{Note, Ordered};
use crate::time::{Now, Time, Wall};

/// Runs that outlived the master continue: same facts, exact totals, no second process. One that
/// ended meanwhile ends as any other; a stop under way continues; what is durably stopped is ended.
#[test]
fn processes_that_outlive_the_master() {
    let mut image = stored();
    let counted = Counter { base: 100, reset_point: 40, last_raw: 90 };
    let counters = Counters { tcprx: counted, tcptx: counted, udprx: counted, udptx: counted };
    for (id, run) in [(1, 11), (2, 99)] {
        let totals = SavedTotals { mode: 3, counters, run: Some(RunId(run)) };
        image.set_totals(InstanceId(id), totals);
    }
    let survivor = |id: u32, is_stopping| Survivor {
        instance: InstanceId(id),
        run: RunId(u128::from(id) + 10),
        since: Now { mono: Time::ZERO, wall: Wall::from_micros(DAWN_MICROS - 60_000_000) },
        is_stopping,
        is_leased: false,
        note: Note { started: None, starts: 4, restarts: 2, exits: 4, ..Note::default() },
    };
    let survivors = [survivor(1, false), survivor(2, false), survivor(3, true)];
    let mut t = Teller::finding(image, Found { survivors: &survivors, ..Found::default() });
    let process =
        |slot, generation| ProcessRef { slot: SlotId(slot), generation: Generation(generation) };
    t.about(process(0, 1)).checkpoint(95);
    t.about(process(1, 2)).checkpoint(95);
    t.about(process(1, 2)).exited(7);
    t.about(process(2, 3)).exited(0);
    let facts = t.engine.table().get(SlotId(0)).expect("it is there").facts().clone();
    assert_eq!((facts.starts, facts.restarts, facts.exits), (5, 2, 4));
    assert_eq!(facts.alive.map(|(_, since)| since), Some(survivors[0].since));
    insta::assert_snapshot!(t, @r#"
    0.000    > the master starts
               show the master, key 1, alias ""
               show A demo:a stopped mode=3 tcprx=150
               show B demo:b stopped restart=false mode=3 tcprx=150
               show C demo:c stopped mode=3 tcprx=100
               adopt p1 of A
               event 1 update A demo:a running mode=3 tcprx=150
               event 2 log A: "this process went on while the master was restarted; output that the last master had read and not passed on is missing here"
               adopt p2 of B
               event 3 update B demo:b running restart=false mode=3 tcprx=150
               event 4 log B: "this process went on while the master was restarted; output that the last master had read and not passed on is missing here"
               adopt p3 of C
               TERM to p3
               event 5 log C: "this process went on while the master was restarted; output that the last master had read and not passed on is missing here"
             > p1 prints a checkpoint at 95
               event 6 update A demo:a running mode=1 ping=2 pool=3 tcps=4 udps=5 tcprx=155
             > p2 prints a checkpoint at 95
               event 7 update B demo:b running restart=false mode=1 ping=2 pool=3 tcps=4 udps=5 tcprx=245
             > p2 exits with 7
               save totals: B at 245
               event 8 update B demo:b error restart=false mode=1 tcprx=245
             > p3 exits with 0
               event 9 update C demo:c stopped mode=3 tcprx=100
               spawn p4 for C: demo:c
    "#);
}

/// A run that ended well although its URL had been replaced meanwhile: the new command is started.
#[test]
fn a_replaced_command_is_started_although_the_old_one_ended_well() {
    let image = stored();
    let mark = image.instances[&InstanceId(1)].definition.launch.mark();
    let survivor = |id: u32, mark: u64| Survivor {
        instance: InstanceId(id),
        run: RunId(u128::from(id) + 10),
        since: Now { mono: Time::ZERO, wall: Wall::from_micros(DAWN_MICROS - 60_000_000) },
        is_stopping: false,
        is_leased: false,
        note: Note { ordered: Some(Ordered { launch: mark, exits: 0 }), ..Note::default() },
    };
    let survivors = [survivor(1, mark), survivor(3, mark)];
    let mut t = Teller::finding(image, Found { survivors: &survivors, ..Found::default() });
    let process =
        |slot, generation| ProcessRef { slot: SlotId(slot), generation: Generation(generation) };
    t.about(process(0, 1)).exited(0);
    t.about(process(2, 2)).exited(0);
    insta::assert_snapshot!(t, @r#"
    0.000    > the master starts
               show the master, key 1, alias ""
               show A demo:a stopped mode=3 tcprx=100
               show B demo:b stopped restart=false mode=3 tcprx=100
               show C demo:c stopped mode=3 tcprx=100
               adopt p1 of A
               event 1 update A demo:a running mode=3 tcprx=100
               event 2 log A: "this process went on while the master was restarted; output that the last master had read and not passed on is missing here"
               adopt p2 of C
               TERM to p2
               event 3 log C: "this process went on while the master was restarted; output that the last master had read and not passed on is missing here"
             > p1 exits with 0
               event 4 update A demo:a stopped mode=3 tcprx=100
             > p2 exits with 0
               event 5 update C demo:c stopped mode=3 tcprx=100
               spawn p3 for C: demo:c
    "#);
}

/// The leases of processes are renewed with every tick, all with one order. A process that the keeper
/// ended for want of that has failed, also with exit code 0; one that was being stopped has not.
#[test]
fn a_process_whose_lease_expired_has_failed() {
    let mut t = Teller::new();
    t.create("exec:x?lease=10s").persisted().started();
    let mut t = t.untold();
    t.next_timer().lease_expired().exited(0).next_timer().started();
    t.act("A", "stop").lease_expired().exited(0).wait(20_000);
    let facts = t.engine.table().get(SlotId(0)).expect("it is there").facts().clone();
    assert_eq!((facts.starts, facts.restarts, facts.exits), (2, 1, 2));
    insta::assert_snapshot!(t, @r#"
    5.000    > due: Tick
               renew all leases
             > p1 lost its lease
               event 3 log A: "its master did not renew its lease"
               event 4 update A exec:x?lease=10s error
             > p1 exits with 0
               event 5 update A exec:x?lease=10s error
    6.000    > due: Restart of A
               spawn p2 for A: exec:x?lease=10s
             > p2 started
               event 6 update A exec:x?lease=10s running
             > request 2: patch A {"action":"stop"}
               TERM to p2
               answer 2: 200 A exec:x?lease=10s running
             > p2 lost its lease
             > p2 exits with 0
               event 7 update A exec:x?lease=10s stopped
    "#);
}

/// A run with a lease that outlived its master is renewed by the next one.
#[test]
fn the_lease_of_a_survivor_is_renewed() {
    let survivors = [Survivor {
        instance: InstanceId(1),
        run: RunId(11),
        since: Now { mono: Time::ZERO, wall: Wall::from_micros(DAWN_MICROS) },
        is_stopping: false,
        is_leased: true,
        note: Note::default(),
    }];
    let found = Found { survivors: &survivors, ..Found::default() };
    let mut t = Teller::finding(stored(), found).untold();
    t.next_timer();
    insta::assert_snapshot!(t, @r"
    5.000    > due: Tick
               renew all leases
    ");
}

/// A start that was lost with its keeper is not repeated while what it starts after is not ready.
#[test]
fn a_lost_start_waits_for_what_it_starts_after() {
    let mut t = Teller::new();
    t.create_named("db", "exec:db").persisted().started();
    t.create_named("web", "exec:web?after=db").persisted();
    let web = t.newest();
    let mut t = t.untold();
    t.act("A", "stop").about(web).start_lost(false);
    let db = t.process_of("A");
    t.about(db).exited(0).act("A", "start").started();
    insta::assert_snapshot!(t, @r#"
    0.000    > request 3: patch A {"action":"stop"}
               TERM to p1
               answer 3: 200 A exec:db running alias=db
             > p2 is lost with its keeper and did not run
             > p1 exits with 0
               event 4 update A exec:db stopped alias=db
             > request 4: patch A {"action":"start"}
               spawn p3 for A: exec:db
               answer 4: 200 A exec:db stopped alias=db
             > p3 started
               event 5 update A exec:db running alias=db
               spawn p4 for B: exec:web?after=db
    "#);
}

/// A start that was lost with its keeper is repeated at once, also between two restarts, and
/// neither counts nor lengthens the next delay. A stop that came meanwhile has its way, and what
/// runs once and may have run is not repeated.
#[test]
fn a_lost_start_is_repeated_at_once() {
    let mut t = Teller::with_running("demo:a");
    t.exited(1).past_ticks().start_lost(true).start_lost(false).started();
    t.exited(1).past_ticks().started();
    let facts = t.engine.table().get(SlotId(0)).expect("it is there").facts().clone();
    assert_eq!((facts.starts, facts.failures, facts.restarts), (3, 0, 2));
    t.act("A", "stop").persisted().exited(0);
    t.act("A", "start").persisted().act("A", "stop").persisted().start_lost(false);
    t.patch("A", r#"{"restart":false}"#).persisted();
    t.act("A", "start").persisted().start_lost(false).start_lost(true);
    insta::assert_snapshot!(t, @r#"
    0.000    > p1 exits with 1
               event 3 update A demo:a error
    1.000    > due: Restart of A
               spawn p2 for A: demo:a
             > p2 is lost with its keeper and may have run
               event 4 log A: "the start was interrupted before there was a process; it is repeated"
               spawn p3 for A: demo:a
             > p3 is lost with its keeper and did not run
               event 5 log A: "the start was interrupted before there was a process; it is repeated"
               spawn p4 for A: demo:a
             > p4 started
               event 6 update A demo:a running
             > p4 exits with 1
               event 7 update A demo:a error
    2.951    > due: Restart of A
               spawn p5 for A: demo:a
             > p5 started
               event 8 update A demo:a running
             > request 2: patch A {"action":"stop"}
               TERM to p5
               answer 2: 200 A demo:a running
             > durable up to 1
             > p5 exits with 0
               event 9 update A demo:a stopped
             > request 3: patch A {"action":"start"}
               spawn p6 for A: demo:a
               answer 3: 200 A demo:a stopped
             > durable up to 1
             > request 4: patch A {"action":"stop"}
               answer 4: 200 A demo:a stopped
             > durable up to 1
             > p6 is lost with its keeper and did not run
             > request 5: patch A {"restart":false}
               persist 2: put A at 0 demo:a
             > durable up to 2
               event 10 update A demo:a stopped restart=false
               answer 5: 200 A demo:a stopped restart=false
             > request 6: patch A {"action":"start"}
               spawn p7 for A: demo:a
               answer 6: 200 A demo:a stopped restart=false
             > durable up to 2
             > p7 is lost with its keeper and did not run
               event 11 log A: "the start was interrupted before there was a process; it is repeated"
               spawn p8 for A: demo:a
             > p8 is lost with its keeper and may have run
               event 12 log A: "cannot start: the keeper was lost during the start, so the process may have run and ended; start it again if it has to run"
               event 13 update A demo:a error restart=false
    "#);
}
