//! PATCH, PUT and DELETE.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::Teller;

/// A PATCH is validated whole before anything is applied (Contract §5).
#[test]
fn patch_refused_whole() {
    let mut t = Teller::with_running("demo:a");
    t.patch("A", r#"{"alias":"edge","restart":false,"action":"jump"}"#);
    t.patch("A", r#"{"alias":"edge","meta":{"tags":{"k":1}}}"#);
    t.patch("A", &format!(r#"{{"alias":"edge","meta":{{"tags":{{{}}}}}}}"#, many_tags()));
    insta::assert_snapshot!(t, @r#"
    0.000    > patch A is refused: 400 unknown action "jump"; the actions are start, stop, restart and reset
             > patch A is refused: 400 the body is invalid: meta: tags: invalid type: integer `1`, expected a string at line 1 column 37
             > request 2: patch A {"alias":"edge","meta":{"tags":{"000":"xxxxxxxxxxxxxxxxxxxxx…
               answer 2: 400 the instance would be 37349 bytes of JSON; at most 32768 are kept: shorten url, alias or meta
    "#);
}

/// An event and a save happen only if something changed; any `meta` object counts as a change
/// (Contract §5).
#[test]
fn patch_that_changes_nothing() {
    let mut t = Teller::with_running("demo:a");
    t.patch("A", r#"{"alias":"","restart":true,"meta":null}"#);
    t.patch("A", r#"{"meta":{}}"#).persisted();
    t.patch("A", r#"{"alias":"edge"}"#).persisted();
    t.patch("A", r#"{"alias":"edge"}"#);
    insta::assert_snapshot!(t, @r#"
    0.000    > request 2: patch A {"alias":"","restart":true,"meta":null}
               answer 2: 200 A demo:a running
             > request 3: patch A {"meta":{}}
               persist 2: put A at 0 demo:a
             > durable up to 2
               event 3 update A demo:a running
               answer 3: 200 A demo:a running
             > request 4: patch A {"alias":"edge"}
               persist 3: put A at 0 demo:a alias=edge
             > durable up to 3
               event 4 update A demo:a running alias=edge
               answer 4: 200 A demo:a running alias=edge
             > request 5: patch A {"alias":"edge"}
               answer 5: 200 A demo:a running alias=edge
    "#);
}

/// A PATCH that asks for what another one has on its way is answered when that is durable, not
/// before (Contract §11).
#[test]
fn patch_equal_to_one_on_its_way() {
    let mut t = Teller::with_running("demo:a");
    t.patch("A", r#"{"alias":"edge"}"#).patch("A", r#"{"alias":"edge"}"#).disk_fails();
    t.patch("A", r#"{"alias":"edge"}"#).patch("A", r#"{"alias":"edge"}"#).persisted();
    insta::assert_snapshot!(t, @r#"
    0.000    > request 2: patch A {"alias":"edge"}
               persist 2: put A at 0 demo:a alias=edge
             > request 3: patch A {"alias":"edge"}
               persist 3: put A at 0 demo:a alias=edge
             > the disk refuses
               answer 2: 503 not changed: cannot save the state: no space left
               answer 3: 503 not changed: cannot save the state: no space left
             > request 4: patch A {"alias":"edge"}
               persist 4 in a new epoch: put A at 0 demo:a alias=edge
             > request 5: patch A {"alias":"edge"}
               persist 5 in a new epoch: put A at 0 demo:a alias=edge
             > durable up to 5
               event 3 update A demo:a running alias=edge
               answer 4: 200 A demo:a running alias=edge
               answer 5: 200 A demo:a running alias=edge
    "#);
}

/// `reset` counts from the last raw value, also the second time in one process; a new process
/// counts from 0 (Contract §7).
#[test]
fn reset_twice_in_one_process() {
    let mut t = Teller::with_running("demo:a");
    t.checkpoint(100).act("A", "reset").persisted().checkpoint(130);
    t.act("A", "reset").persisted().checkpoint(150);
    t.act("A", "restart").exited(0).started().checkpoint(4);
    insta::assert_snapshot!(t, @r#"
    0.000    > p1 prints a checkpoint at 100
               event 3 update A demo:a running mode=1 ping=2 pool=3 tcps=4 udps=5 tcprx=100
             > request 2: patch A {"action":"reset"}
               persist 2: put A at 0 demo:a
             > durable up to 2
               event 4 update A demo:a running mode=1 ping=2 pool=3 tcps=4 udps=5
               answer 2: 200 A demo:a running mode=1 ping=2 pool=3 tcps=4 udps=5
             > p1 prints a checkpoint at 130
               event 5 update A demo:a running mode=1 ping=2 pool=3 tcps=4 udps=5 tcprx=30
             > request 3: patch A {"action":"reset"}
               persist 3: put A at 0 demo:a
             > durable up to 3
               event 6 update A demo:a running mode=1 ping=2 pool=3 tcps=4 udps=5
               answer 3: 200 A demo:a running mode=1 ping=2 pool=3 tcps=4 udps=5
             > p1 prints a checkpoint at 150
               event 7 update A demo:a running mode=1 ping=2 pool=3 tcps=4 udps=5 tcprx=20
             > request 4: patch A {"action":"restart"}
               TERM to p1
               answer 4: 200 A demo:a running mode=1 ping=2 pool=3 tcps=4 udps=5 tcprx=20
             > p1 exits with 0
               save totals: A at 20
               event 8 update A demo:a stopped mode=1 tcprx=20
               spawn p2 for A: demo:a
             > p2 started
               event 9 update A demo:a running mode=1 tcprx=20
             > p2 prints a checkpoint at 4
               event 10 update A demo:a running mode=1 ping=2 pool=3 tcps=4 udps=5 tcprx=24
    "#);
}

/// No tick and no other record brings back the totals that a reset on its way sets to zero
/// (Contract §11).
#[test]
fn reset_is_not_undone_by_a_later_save() {
    let mut t = Teller::with_running("demo:a");
    t.checkpoint(100).act("A", "reset").patch("A", r#"{"alias":"edge"}"#);
    t.wait(5_000).persisted().checkpoint(130).wait(5_000);
    insta::assert_snapshot!(t, @r#"
    0.000    > p1 prints a checkpoint at 100
               event 3 update A demo:a running mode=1 ping=2 pool=3 tcps=4 udps=5 tcprx=100
             > request 2: patch A {"action":"reset"}
               persist 2: put A at 0 demo:a
             > request 3: patch A {"alias":"edge"}
               persist 3: put A at 0 demo:a alias=edge
    5.000    > durable up to 3
               event 4 update A demo:a running mode=1 ping=2 pool=3 tcps=4 udps=5
               answer 2: 200 A demo:a running mode=1 ping=2 pool=3 tcps=4 udps=5
               event 5 update A demo:a running alias=edge mode=1 ping=2 pool=3 tcps=4 udps=5
               answer 3: 200 A demo:a running alias=edge mode=1 ping=2 pool=3 tcps=4 udps=5
             > p1 prints a checkpoint at 130
               event 6 update A demo:a running alias=edge mode=1 ping=2 pool=3 tcps=4 udps=5 tcprx=30
    10.000   > due: Tick
               save totals: A at 30
    "#);
}

/// PUT on a running instance: stop, replace, start, and then the answer; the back-off starts
/// afresh (Contract §5).
#[test]
fn put_while_running() {
    let mut t = Teller::with_running("demo:a");
    t.put("A", "other:b").exited(0).persisted().started();
    insta::assert_snapshot!(t, @r"
    0.000    > request 2: put A other:b
               TERM to p1
             > p1 exits with 0
               event 3 update A demo:a stopped
               persist 2: put A at 0 other:b
             > durable up to 2
               event 4 update A other:b stopped
               spawn p2 for A: other:b
             > p2 started
               event 5 update A other:b running
               answer 2: 200 A other:b running
    ");
}

/// PUT while a stop is under way waits for it, and starts the instance (Contract §5).
#[test]
fn put_while_stopping() {
    let mut t = Teller::with_running("demo:a");
    t.act("A", "stop").put("A", "demo:b").exited(0).persisted().started();
    insta::assert_snapshot!(t, @r#"
    0.000    > request 2: patch A {"action":"stop"}
               TERM to p1
               answer 2: 200 A demo:a running
             > request 3: put A demo:b
             > p1 exits with 0
               event 3 update A demo:a stopped
               persist 2: put A at 0 demo:b
             > durable up to 2
               event 4 update A demo:b stopped
               spawn p2 for A: demo:b
             > p2 started
               event 5 update A demo:b running
               answer 3: 200 A demo:b running
    "#);
}

/// PUT of the URL that the instance has is 409, also when another PUT sets it just before
/// (Contract §5).
#[test]
fn put_of_the_same_url() {
    let mut t = Teller::with_running("demo:a");
    t.put("A", "DEMO:a").put("A", "demo:b").put("A", "demo:b");
    t.exited(0).persisted().started();
    insta::assert_snapshot!(t, @r"
    0.000    > request 2: put A DEMO:a
               answer 2: 409 the instance has this url already
             > request 3: put A demo:b
               TERM to p1
             > request 4: put A demo:b
             > p1 exits with 0
               event 3 update A demo:a stopped
               persist 2: put A at 0 demo:b
             > durable up to 2
               event 4 update A demo:b stopped
               answer 4: 409 the instance has this url already
               spawn p2 for A: demo:b
             > p2 started
               event 5 update A demo:b running
               answer 3: 200 A demo:b running
    ");
}

/// A PUT whose process cannot be started is still answered, with the `error` it led to
/// (Contract §5).
#[test]
fn put_of_what_does_not_start() {
    let mut t = Teller::with_running("demo:a");
    t.put("A", "demo:b").exited(0).persisted().start_failed("no such file");
    insta::assert_snapshot!(t, @r#"
    0.000    > request 2: put A demo:b
               TERM to p1
             > p1 exits with 0
               event 3 update A demo:a stopped
               persist 2: put A at 0 demo:b
             > durable up to 2
               event 4 update A demo:b stopped
               spawn p2 for A: demo:b
             > p2 cannot be started
               event 5 log A: "cannot start: no such file"
               event 6 update A demo:b error
               answer 2: 200 A demo:b error
    "#);
}

/// A stop after a PUT holds: the URL is replaced and nothing is started (Contract §5).
#[test]
fn stop_while_a_put_waits() {
    let mut t = Teller::with_running("demo:a");
    t.put("A", "demo:b").act("A", "stop").exited(0).persisted().wait(60_000);
    insta::assert_snapshot!(t, @r#"
    0.000    > request 2: put A demo:b
               TERM to p1
             > request 3: patch A {"action":"stop"}
               answer 3: 200 A demo:a running
             > p1 exits with 0
               event 3 update A demo:a stopped
               persist 2: put A at 0 demo:b
             > durable up to 2
               event 4 update A demo:b stopped
               answer 2: 200 A demo:b stopped
    "#);
}

/// Of two DELETEs at once the first is answered 204 when the child has exited, the other 404; the
/// event carries `stopped` (Contract §5).
#[test]
fn two_deletes_at_once() {
    let mut t = Teller::with_running("demo:a");
    t.delete("A").delete("A").exited(1).persisted();
    t.act("A", "start");
    insta::assert_snapshot!(t, @r#"
    0.000    > request 2: delete A
               TERM to p1
             > request 3: delete A
             > p1 exits with 1
               event 3 update A demo:a stopped
               persist 2: remove A
             > durable up to 2
               event 4 delete A demo:a stopped
               answer 2: 204
               answer 3: 404 no such instance
             > request 4: patch A {"action":"start"}
               answer 4: 404 no such instance
    "#);
}

/// PUT and DELETE at once go one after the other: nothing is started in between (Contract §5).
#[test]
fn delete_while_a_put_waits() {
    let mut t = Teller::with_running("demo:a");
    t.put("A", "demo:b").delete("A").exited(0).persisted().persisted();
    insta::assert_snapshot!(t, @r"
    0.000    > request 2: put A demo:b
               TERM to p1
             > request 3: delete A
             > p1 exits with 0
               event 3 update A demo:a stopped
               persist 2: put A at 0 demo:b
             > durable up to 2
               event 4 update A demo:b stopped
               persist 3: remove A
               answer 2: 200 A demo:b stopped
             > durable up to 3
               event 5 delete A demo:b stopped
               answer 3: 204
    ");
}

/// Once the record of its deletion is on its way, an instance takes no PATCH any more
/// (Contract §3).
#[test]
fn patch_during_a_pending_delete() {
    let mut t = Teller::with_running("demo:a");
    t.delete("A").patch("A", r#"{"alias":"still there"}"#).exited(0);
    t.patch("A", r#"{"alias":"too late"}"#).persisted();
    insta::assert_snapshot!(t, @r#"
    0.000    > request 2: delete A
               TERM to p1
             > request 3: patch A {"alias":"still there"}
               persist 2: put A at 0 demo:a alias=still there
             > p1 exits with 0
               event 3 update A demo:a stopped
               persist 3: remove A
             > request 4: patch A {"alias":"too late"}
               answer 4: 404 no such instance
             > durable up to 3
               event 4 update A demo:a stopped alias=still there
               answer 3: 200 A demo:a stopped alias=still there
               event 5 delete A demo:a stopped alias=still there
               answer 2: 204
    "#);
}

/// Each tag is within its limits; together they are more than 32 KiB.
fn many_tags() -> String {
    let tags: Vec<String> =
        (0..140).map(|n| format!("\"{n:03}\":\"{}\"", "x".repeat(256))).collect();
    tags.join(",")
}

/// A change of another revision than expected changes nothing, also if the newer one is still on
/// its way to the disk (RFC 9110, `If-Match`).
#[test]
fn change_of_another_revision() {
    let mut t = Teller::with_running("demo:a");
    t.at_revision(1).patch("A", r#"{"alias":"edge"}"#);
    t.at_revision(1).patch("A", r#"{"alias":"other"}"#).persisted();
    t.at_revision(1).act("A", "stop").at_revision(1).delete("A").at_revision(3).put("A", "demo:b");
    t.at_revision(2).patch("A", r#"{"alias":"edge"}"#);
    insta::assert_snapshot!(t, @r#"
    0.000    > only at revision 1:
             > request 2: patch A {"alias":"edge"}
               persist 2: put A at 0 demo:a alias=edge
             > only at revision 1:
             > request 3: patch A {"alias":"other"}
               answer 3: 412 at revision 1
             > durable up to 2
               event 3 update A demo:a running alias=edge
               answer 2: 200 A demo:a running alias=edge
             > only at revision 1:
             > request 4: patch A {"action":"stop"}
               answer 4: 412 at revision 2
             > only at revision 1:
             > request 5: delete A
               answer 5: 412 at revision 2
             > only at revision 3:
             > request 6: put A demo:b
               answer 6: 412 at revision 2
             > only at revision 2:
             > request 7: patch A {"alias":"edge"}
               answer 7: 200 A demo:a running alias=edge
    "#);
}

/// What waits for a stop is compared when its turn comes; what it had stopped is started again.
#[test]
fn operation_of_another_revision_in_its_turn() {
    let mut t = Teller::with_running("demo:a");
    t.at_revision(1)
        .put("A", "demo:b")
        .at_revision(1)
        .put("A", "demo:c")
        .at_revision(1)
        .delete("A");
    t.exited(0).persisted().started();
    insta::assert_snapshot!(t, @r"
    0.000    > only at revision 1:
             > request 2: put A demo:b
               TERM to p1
             > only at revision 1:
             > request 3: put A demo:c
             > only at revision 1:
             > request 4: delete A
             > p1 exits with 0
               event 3 update A demo:a stopped
               persist 2: put A at 0 demo:b
             > durable up to 2
               event 4 update A demo:b stopped
               answer 3: 412 at revision 2
               answer 4: 412 at revision 2
               spawn p2 for A: demo:b
             > p2 started
               event 5 update A demo:b running
               answer 2: 200 A demo:b running
    ");
}
