//! The key and the alias of the master.

use super::Teller;

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

/// A key that is not durable is not in force, and nobody has seen it (Contract §11).
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

/// An alias is shown by the key instance and in `/info` once it is durable; the same once more
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
