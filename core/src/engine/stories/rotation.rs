//! The key and the alias of the master.

use alloc::string::String;

use super::Teller;
use crate::command::{Caller, Command, Door, Trust};
use crate::ids::KeyEpoch;

/// The streams opened with the old key end before anything that holds the new one goes out
/// (Contract §5).
#[test]
fn key_rotation_with_open_streams() {
    let mut t = Teller::with_running("demo:a");
    t.rotate_key(2).log("before").persisted().log("after");
    insta::assert_snapshot!(t, @r#"
    0.000    > request 2: rotate the key
               persist 2: put the master, key 2, alias ""
             > p1 prints "before"
               event 3 log A: "before"
             > durable up to 2
               close the streams opened before key 2
               show the master, key 2, alias ""
               event 4 update the key instance, key 2, alias ""
               announce key 2
               answer 2: 200 the key instance, key 2, alias ""
             > p1 prints "after"
               event 5 log A: "after"
    "#);
}

/// A key that is not durable is not in force, and no client has seen it (Contract §11).
#[test]
fn key_rotation_refused_by_the_disk() {
    let mut t = Teller::with_running("demo:a");
    t.rotate_key(2).disk_fails().set_alias("edge").persisted();
    insta::assert_snapshot!(t, @r#"
    0.000    > request 2: rotate the key
               persist 2: put the master, key 2, alias ""
             > the disk refuses
               answer 2: 503 not changed: cannot save the state: no space left
             > request 3: alias "edge"
               persist 3 in a new epoch: put the master, key 1, alias "edge"
             > durable up to 3
               show the master, key 1, alias "edge"
               event 3 update the key instance, key 1, alias "edge"
               answer 3: 200 info
    "#);
}

/// An alias is shown by the key instance and in `/info` once it is durable; the same again
/// changes nothing, `""` clears it (Contract §4).
#[test]
fn alias() {
    let mut t = Teller::with_running("demo:a");
    t.set_alias("edge").persisted().set_alias("edge").set_alias("").persisted();
    insta::assert_snapshot!(t, @r#"
    0.000    > request 2: alias "edge"
               persist 2: put the master, key 1, alias "edge"
             > durable up to 2
               show the master, key 1, alias "edge"
               event 3 update the key instance, key 1, alias "edge"
               answer 2: 200 info
             > request 3: alias "edge"
               answer 3: 200 info
             > request 4: alias ""
               persist 3: put the master, key 1, alias ""
             > durable up to 3
               show the master, key 1, alias ""
               event 4 update the key instance, key 1, alias ""
               answer 4: 200 info
    "#);
}

/// Changes of the master that overlap build on each other; an alias that is on its way already is
/// answered when it is durable (Contract §11).
#[test]
fn alias_and_key_at_once() {
    let mut t = Teller::with_running("demo:a");
    t.set_alias("edge").rotate_key(2).set_alias("edge").persisted();
    insta::assert_snapshot!(t, @r#"
    0.000    > request 2: alias "edge"
               persist 2: put the master, key 1, alias "edge"
             > request 3: rotate the key
               persist 3: put the master, key 2, alias "edge"
             > request 4: alias "edge"
               persist 4: put the master, key 2, alias "edge"
             > durable up to 4
               show the master, key 1, alias "edge"
               event 3 update the key instance, key 1, alias "edge"
               answer 2: 200 info
               close the streams opened before key 2
               show the master, key 2, alias "edge"
               event 4 update the key instance, key 2, alias "edge"
               announce key 2
               answer 3: 200 the key instance, key 2, alias "edge"
               answer 4: 200 info
    "#);
}

/// A request that began under a key that was replaced since is refused, whatever it asks for and
/// even while the master shuts down; a door without a key is not concerned (Contract §3, §5).
#[test]
fn request_begun_under_an_earlier_key() {
    let mut t = Teller::with_running("demo:a");
    let set = |alias: &str| Command::SetAlias(Some(String::from(alias)));
    let caller = |trust| Caller { door: Door::Control, trust };
    t.rotate_key(2);
    t.request_of(Caller::v2(KeyEpoch(0)), "alias \"a\" with key 1, still in force", set("a"));
    t.persisted();
    t.request_of(Caller::v2(KeyEpoch(0)), "alias \"b\" with key 1", set("b"));
    t.request_of(Caller::v2(KeyEpoch(1)), "alias \"a\" with key 2", set("a"));
    t.request_of(caller(Trust::Open), "alias \"a\" through an open door", set("a"));
    let peer = Trust::Peer { uid: 0, gid: 0, pid: 1 };
    t.request_of(caller(peer), "alias \"a\" from a process of this machine", set("a"));
    t.shutdown();
    t.request_of(Caller::v2(KeyEpoch(0)), "alias \"c\" with key 1", set("c"));
    insta::assert_snapshot!(t, @r#"
    0.000    > request 2: rotate the key
               persist 2: put the master, key 2, alias ""
             > request 3: alias "a" with key 1, still in force
               persist 3: put the master, key 2, alias "a"
             > durable up to 3
               close the streams opened before key 2
               show the master, key 2, alias ""
               event 3 update the key instance, key 2, alias ""
               announce key 2
               answer 2: 200 the key instance, key 2, alias ""
               show the master, key 2, alias "a"
               event 4 update the key instance, key 2, alias "a"
               answer 3: 200 info
             > request 4: alias "b" with key 1
               answer 4: 401 missing or wrong API key; send it as X-API-Key
             > request 5: alias "a" with key 2
               answer 5: 200 info
             > request 6: alias "a" through an open door
               answer 6: 200 info
             > request 7: alias "a" from a process of this machine
               answer 7: 200 info
             > shutdown is requested
               close all streams
               TERM to p1
             > request 8: alias "c" with key 1
               answer 8: 401 missing or wrong API key; send it as X-API-Key
    "#);
}
