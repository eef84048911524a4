//! The disk: what it refuses did not happen.

use alloc::string::String;
use alloc::sync::Arc;

use super::Teller;
use crate::counters::{SavedTotals, Totals};
use crate::ids::{Generation, InstanceId, ProcessRef, SlotId};
use crate::instance::Definition;
use crate::master::MasterIdentity;
use crate::store::{Image, Record};
use crate::url::InstanceUrl;

/// A create that is refused by the disk leaves nothing behind (Contract §11).
#[test]
fn create_refused_by_the_disk() {
    let mut t = Teller::new();
    t.create("demo:a").disk_fails().create("demo:b").persisted().started();
    insta::assert_snapshot!(t, @r#"
    0.000    > the master starts
               show the master, key 1, alias ""
             > request 1: create demo:a
               persist 1: put A at 0 demo:a
             > the disk refuses
               answer 1: 503 not changed: cannot save the state: no space left
             > request 2: create demo:b
               persist 2 in a new epoch: put B at 0 demo:b
             > durable up to 2
               event 1 create B demo:b stopped
               answer 2: 201 B demo:b stopped
               spawn p1 for B: demo:b
             > p1 started
               event 2 update B demo:b running
    "#);
}

/// A PUT that is refused by the disk starts the old one again (Contract §5, §11).
#[test]
fn put_refused_by_the_disk() {
    let mut t = Teller::with_running("demo:a");
    t.put("A", "demo:b").exited(0).disk_fails().started();
    insta::assert_snapshot!(t, @r"
    0.000    > request 2: put A demo:b
               TERM to p1
             > p1 exits with 0
               event 3 update A demo:a stopped
               persist 2: put A at 0 demo:b
             > the disk refuses
               answer 2: 503 not changed: cannot save the state: no space left
               spawn p2 for A: demo:a
             > p2 started
               event 4 update A demo:a running
    ");
}

/// What waits behind a refused change does not build on it: the second PUT keeps neither the URL
/// of the first nor the alias (Contract §11).
#[test]
fn refused_changes_leave_no_trace() {
    let mut t = Teller::with_running("demo:a");
    t.put("A", "demo:b").put("A", "demo:c").exited(0);
    t.patch("A", r#"{"alias":"lost"}"#).disk_fails().persisted().started();
    insta::assert_snapshot!(t, @r#"
    0.000    > request 2: put A demo:b
               TERM to p1
             > request 3: put A demo:c
             > p1 exits with 0
               event 3 update A demo:a stopped
               persist 2: put A at 0 demo:b
             > request 4: patch A {"alias":"lost"}
               persist 3: put A at 0 demo:b alias=lost
             > the disk refuses
               answer 2: 503 not changed: cannot save the state: no space left
               persist 4 in a new epoch: put A at 0 demo:c
               answer 4: 503 not changed: cannot save the state: no space left
             > durable up to 4
               event 4 update A demo:c stopped
               spawn p2 for A: demo:c
             > p2 started
               event 5 update A demo:c running
               answer 3: 200 A demo:c running
    "#);
}

/// A DELETE that is refused by the disk starts the instance again (Contract §11).
#[test]
fn delete_refused_by_the_disk() {
    let mut t = Teller::with_running("demo:a");
    t.delete("A").exited(0).disk_fails().started();
    insta::assert_snapshot!(t, @r"
    0.000    > request 2: delete A
               TERM to p1
             > p1 exits with 0
               event 3 update A demo:a stopped
               persist 2: remove A
             > the disk refuses
               answer 2: 503 not changed: cannot save the state: no space left
               spawn p2 for A: demo:a
             > p2 started
               event 4 update A demo:a running
    ");
}

/// Totals go to the disk with the next tick, and only those that changed (Contract §11).
#[test]
fn totals_are_saved_at_the_tick() {
    let mut t = Teller::with_running("demo:a");
    t.checkpoint(100).wait(10_000).checkpoint(130).wait(5_000);
    insta::assert_snapshot!(t, @r"
    0.000    > p1 prints a checkpoint at 100
               event 3 update A demo:a running mode=1 ping=2 pool=3 tcps=4 udps=5 tcprx=100
    5.000    > due: Tick
               save totals: A at 100
    10.000   > p1 prints a checkpoint at 130
               event 4 update A demo:a running mode=1 ping=2 pool=3 tcps=4 udps=5 tcprx=130
    15.000   > due: Tick
               save totals: A at 130
    ");
}

/// At start, instances come back `stopped` with their totals, and those with `restart` are
/// started all at once (Contract §11).
#[test]
fn start_of_the_master() {
    let mut t = Teller::with(stored());
    t.started().checkpoint(5);
    insta::assert_snapshot!(t, @r#"
    0.000    > the master starts
               show the master, key 1, alias ""
               show A demo:a stopped mode=3 tcprx=100
               show B demo:b stopped restart=false mode=3 tcprx=100
               show C demo:c stopped mode=3 tcprx=100
               spawn p1 for A: demo:a
               spawn p2 for C: demo:c
             > p2 started
               event 1 update C demo:c running mode=3 tcprx=100
             > p2 prints a checkpoint at 5
               event 2 update C demo:c running mode=1 ping=2 pool=3 tcps=4 udps=5 tcprx=105
    "#);
}

/// The times of events never go backwards, though the wall clock may (Contract §8).
#[test]
fn wall_clock_stepping_back() {
    let mut t = Teller::with_running("demo:a");
    t.names.times = true;
    t.exited(1).wall_steps_back(60_000).past_ticks().started();
    t.wait(60_000).exited(0);
    insta::assert_snapshot!(t, @r"
    0.000    > p1 exits with 1
               event 3 at 2026-06-09T10:00:00.000000Z update A demo:a error
             > the wall clock steps back by 60000 ms
    1.000    > due: Restart of A
               spawn p2 for A: demo:a
             > p2 started
               event 4 at 2026-06-09T10:00:00.000000Z update A demo:a running
    61.000   > p2 exits with 0
               event 5 at 2026-06-09T10:00:01.000000Z update A demo:a stopped
    ");
}

/// What an earlier run of the master left behind is ended, its whole group, before its instance is
/// started again; one that is not to be restarted is ended too (Contract §11).
#[test]
fn processes_left_behind() {
    let mut t = Teller::after_a_crash(stored(), &[InstanceId(1), InstanceId(2)]);
    let left =
        |slot, generation| ProcessRef { slot: SlotId(slot), generation: Generation(generation) };
    t.about(left(0, 1)).exited_leaving_a_group(-1).started();
    t.about(left(1, 2)).wait(4_999).past_ticks().killed();
    insta::assert_snapshot!(t, @r#"
    0.000    > the master starts
               show the master, key 1, alias ""
               show A demo:a stopped mode=3 tcprx=100
               show B demo:b stopped restart=false mode=3 tcprx=100
               show C demo:c stopped mode=3 tcprx=100
               adopt p1 of A
               TERM to p1
               adopt p2 of B
               TERM to p2
               spawn p3 for C: demo:c
             > p1 exits with -1 and leaves a group
               event 1 update A demo:a stopped mode=3 tcprx=100
               KILL to p1
               spawn p4 for A: demo:a
             > p4 started
               event 2 update A demo:a running mode=3 tcprx=100
    5.000    > due: Grace of B
               KILL to p2
             > p2 is gone by signal 9
               event 3 update B demo:b stopped restart=false mode=3 tcprx=100
    "#);
}

pub(super) fn stored() -> Image {
    let mut image = Image::new(MasterIdentity::from_random([1; 8], [1; 16]));
    for (id, url) in [(1, "demo:a"), (2, "demo:b"), (3, "demo:c")] {
        let url = InstanceUrl::parse(url).expect("a valid URL");
        let mut definition = Definition::new(InstanceId(id), url, String::new());
        definition.set_restarts(id != 2);
        let totals = Totals { tcprx: 100, tcptx: 100, udprx: 100, udptx: 100 };
        let totals = SavedTotals::from_totals(3, totals);
        let (definition, desired) = (Arc::new(definition), Arc::default());
        image.apply(&Record::PutInstance { definition, desired, totals });
    }
    image
}

/// With a refused change the store took back the totals that came after it: they are handed over
/// again (Contract §11).
#[test]
fn totals_taken_back_with_a_refused_change_are_saved_again() {
    let mut t = Teller::with_running("demo:a");
    t.patch("A", r#"{"alias":"lost"}"#).checkpoint(100).wait(5_000).disk_fails().wait(5_000);
    insta::assert_snapshot!(t, @r#"
    0.000    > request 2: patch A {"alias":"lost"}
               persist 2: put A at 0 demo:a alias=lost
             > p1 prints a checkpoint at 100
               event 3 update A demo:a running mode=1 ping=2 pool=3 tcps=4 udps=5 tcprx=100
    5.000    > due: Tick
               save totals: A at 100
             > the disk refuses
               answer 2: 503 not changed: cannot save the state: no space left
    10.000   > due: Tick
               save totals: A at 100
    "#);
}

/// The end of a process does not save what a reset on its way sets to zero: it may be refused.
#[test]
fn totals_wait_for_a_reset_at_the_end_of_a_process() {
    let mut t = Teller::with_running("demo:a");
    t.checkpoint(100).patch("A", r#"{"action":"reset"}"#).exited(0).disk_fails().wait(5_000);
    insta::assert_snapshot!(t, @r#"
    0.000    > p1 prints a checkpoint at 100
               event 3 update A demo:a running mode=1 ping=2 pool=3 tcps=4 udps=5 tcprx=100
             > request 2: patch A {"action":"reset"}
               persist 2: put A at 0 demo:a
             > p1 exits with 0
               event 4 update A demo:a stopped mode=1 tcprx=100
             > the disk refuses
               answer 2: 503 not changed: cannot save the state: no space left
    5.000    > due: Tick
               save totals: A at 100
    "#);
}
