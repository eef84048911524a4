//! The program of the master is replaced, and the engine continues in the next one.

use alloc::vec::Vec;

use super::Teller;
use crate::engine::Engine;
use crate::ids::{Generation, InstanceId, ProcessRef, RunId};
use crate::instance::CheckKind;

impl Teller {
    /// Another program takes over; the keeper has the processes of these instances.
    fn replaced(&mut self, kept: &[&'static str]) -> &mut Self {
        let runs: Vec<(InstanceId, RunId)> = kept
            .iter()
            .map(|name| {
                let id = self.instances[name];
                let slot = self.engine.table().find(id).expect("it is there");
                let row = self.engine.table().get(slot).expect("it is there");
                let process = ProcessRef { slot, generation: row.lifecycle().generation() };
                (id, self.engine.run_of(process).expect("it is its last"))
            })
            .collect();
        assert!(self.engine.is_settled());
        self.line("> the program is replaced");
        let bytes = self.engine.hand_over();
        self.engine = Engine::resume(&bytes, &runs, self.now).expect("just handed over");
        self.drain();
        self
    }
}

/// Nothing is started, stopped or counted again: a running instance keeps its gauges, a stop
/// continues at its step, a restart comes when it is due, and what is stopped stays so.
#[test]
fn everything_goes_on() {
    let mut t = Teller::new();
    t.create("demo:running").persisted().started().checkpoint(9);
    t.create("demo:looping").persisted().started().exited(1);
    t.create("demo:stopping").persisted().started().act("C", "stop").persisted();
    t.create("demo:stopped").persisted().started().act("D", "stop").persisted().exited(0);
    let mut t = t.untold();
    let before = t.engine.fingerprint();
    t.replaced(&["A", "C"]);
    assert_eq!(t.engine.fingerprint(), before, "the same engine");
    t.past_ticks().started();
    insta::assert_snapshot!(t, @r#"
    0.000    > the program is replaced
               show the master, key 1, alias ""
               show A demo:running running mode=1 ping=2 pool=3 tcps=4 udps=5 tcprx=9
               show B demo:looping error
               show C demo:stopping running
               show D demo:stopped stopped
               adopt p1 of A
               adopt p3 of C
    1.016    > due: Restart of B
               spawn p5 for B: demo:looping
             > p5 started
               event 12 update B demo:looping running
    "#);
}

/// Those that start after an instance that is about to stop wait for it, in the next program as well.
#[test]
fn what_is_about_to_stop_is_waited_for() {
    let mut t = Teller::new();
    t.create_named("db", "exec:db").persisted().started();
    t.create_named("web", "exec:web?after=db").persisted().started();
    t.act_on(&["A", "B"], "stop");
    let waits_for = |t: &Teller| {
        let slot = t.engine.table().find(t.instances["B"]).expect("it is there");
        t.engine.table().get(slot).expect("it is there").readiness().waits_for.clone()
    };
    assert_eq!(waits_for(&t).as_deref(), Some("db"));
    t.replaced(&["A", "B"]);
    assert_eq!(waits_for(&t).as_deref(), Some("db"));
}

/// A process whose start was not reported has started if the keeper has it; what the keeper does
/// not have is no more.
#[test]
fn what_was_not_reported_follows_from_what_the_keeper_has() {
    let mut t = Teller::new();
    t.create("demo:started").persisted();
    t.create("demo:refused").persisted();
    t.create("demo:lost").persisted().started();
    let mut t = t.untold();
    t.replaced(&["A"]);
    insta::assert_snapshot!(t, @r#"
    0.000    > the program is replaced
               show the master, key 1, alias ""
               show A demo:started stopped
               show B demo:refused stopped
               show C demo:lost running
               adopt p1 of A
               event 5 update A demo:started running
               event 6 log B: "the start was interrupted before there was a process; it is repeated"
               spawn p4 for B: demo:refused
               event 7 update C demo:lost error
    "#);
}

/// A check whose outcome was not reported is repeated; the rest of a group is ended in time.
#[test]
fn checks_and_groups_go_on() {
    let mut t = Teller::new();
    t.create("exec:x?ready=tcp:127.0.0.1:80&live=tcp:127.0.0.1:80").persisted().started();
    t.past_ticks();
    t.create("demo:family").persisted().started().exited_leaving_a_group(1);
    let mut t = t.untold();
    t.replaced(&["A", "B"]);
    let process = t
        .engine
        .table()
        .find(t.instances["A"])
        .map(|slot| ProcessRef { slot, generation: Generation(1) });
    t.about(process.expect("it is there")).checked(CheckKind::Ready, None);
    t.past_ticks();
    insta::assert_snapshot!(t, @r#"
    0.100    > the program is replaced
               show the master, key 1, alias ""
               show A exec:x?ready=tcp:127.0.0.1:80&live=tcp:127.0.0.1:80 running
               show B demo:family error
               adopt p1 of A
               ready check of p1: tcp:127.0.0.1:80
               adopt p2 of B
             > p1 passes its Ready check
               event 6 update A exec:x?ready=tcp:127.0.0.1:80&live=tcp:127.0.0.1:80 running
    1.116    > due: Restart of B
               KILL to p2
               spawn p3 for B: demo:family
    "#);
}
