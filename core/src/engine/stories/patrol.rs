//! Apps of a Patrol configuration, by the times that their definitions have.

use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::Teller;
use crate::command::{Caller, Command, Desire, Door, Trust};
use crate::doors::patrol::config::{Config, Reader};
use crate::doors::patrol::definitions::definitions;
use crate::engine::{Input, Sighting};
use crate::ids::InstanceId;
use crate::instance::{Beat, Cas, Definition, Desired, Toggle, Values, ValuesEdit};
use crate::master::MasterIdentity;
use crate::process::Identity;
use crate::store::Image;

/// A server with one app of this keep-alive; the configuration has these members as well.
fn with_app(keep_alive: u8, members: &str) -> Teller {
    Teller::with(image(keep_alive, members))
}

/// The state that such a server begins with.
fn image(keep_alive: u8, members: &str) -> Image {
    let mut image = Image::new(MasterIdentity::from_random([1; 8], [1; 16]));
    image.configure(planned(keep_alive, members), || 7 << 32);
    image
}

/// The app as the configuration has it.
fn planned(keep_alive: u8, members: &str) -> Vec<(Definition, Desired)> {
    let file = format!(
        r#"{{"apps":{{"web":{{"keepalive":{keep_alive},"name":"Web","working-directory":"/srv",
        "binary":"web","log-directory":"logs","pid-path":"web.pid"}}}}{members}}}"#
    );
    let reader = Reader { home: None, defaults: true };
    let config = Config::load(file.as_bytes(), reader).expect("a valid configuration").config;
    definitions(&config).map(|one| (one.definition, one.initial)).collect()
}

impl Teller {
    /// The pid file was read: it has the number of the app's process.
    fn sighted(&mut self) -> &mut Self {
        let instance = self.id("A");
        let sighting = Sighting::Proven(Identity { pid: 100, start_ticks: 1 });
        self.feed("the pid file has 100", Input::PidFileRead { instance, sighting })
    }

    /// The process that was started has this number.
    fn told(&mut self, pid: u32) -> &mut Self {
        let (process, identity) = (self.current(), Identity { pid, start_ticks: 1 });
        self.feed(&format!("it is process {pid}"), Input::PidTold { process, identity })
    }

    /// A process of the app that was not started here has exited.
    fn gone(&mut self, pid: u32) -> &mut Self {
        let (process, identity) = (self.process_of("A"), Identity { pid, start_ticks: 1 });
        self.feed(&format!("process {pid} has exited"), Input::TrackedGone { process, identity })
    }

    /// A ping of a successor.
    fn later_beat(&mut self) -> &mut Self {
        let proven = Some(Identity { pid: 101, start_ticks: 1 });
        self.desire("ping A as 101", None, Some(Beat { pid: 101, proven }))
    }

    /// A ping with the number of a process that is not the app's.
    fn strange_beat(&mut self) -> &mut Self {
        self.desire("ping A as 200", None, Some(Beat { pid: 200, proven: None }))
    }

    /// A ping of the app's process.
    fn beat(&mut self) -> &mut Self {
        let proven = Some(Identity { pid: 100, start_ticks: 1 });
        self.desire("ping A", None, Some(Beat { pid: 100, proven }))
    }

    fn toggle(&mut self, toggle: Toggle) -> &mut Self {
        self.desire(&format!("toggle A: {toggle:?}"), Some(toggle), None)
    }

    fn desire(&mut self, text: &str, toggle: Option<Toggle>, beat: Option<Beat>) -> &mut Self {
        let desire = Box::new(Desire {
            expect: Cas(0),
            values: ValuesEdit::Merge(Values::new()),
            toggle,
            beat,
            shows_instance: false,
        });
        let caller = Caller { door: Door::Patrol, trust: Trust::Open };
        let command = Command::Desire { id: self.id("A"), desire };
        self.request_of(caller, text, command)
    }
}

/// An app that has crashed again and again waits up to 60 s. A run of ten minutes resets that: it is
/// restarted at once. A shorter one does not (Patrol contract A).
#[test]
fn ten_healthy_minutes_reset_the_back_off_of_an_app() {
    let mut t = with_app(1, "");
    t.past_ticks().started().persisted();
    for _ in 0..8 {
        t.exited(1).persisted().past_ticks().started().persisted();
    }
    let mut t = t.untold();
    t.wait(599_999).exited(1).persisted().past_ticks().started().persisted();
    t.wait(600_000).exited(1).persisted().past_ticks();
    insta::assert_snapshot!(t, @r"
    711.074  > p9 exits with 1
               persist 26: run of A: pid 0, exit code 1
               persist 27: desired of A: Up 0 values, cas 71092
               event 18 update A app://web error alias=Web
             > durable up to 27
               runs of A: none; Up 0 values, cas 71092; 9 ended
    781.322  > due: Restart of A
               spawn p10 for A: app://web
             > p10 started
               persist 28: desired of A: Up 0 values, cas 71093
               event 19 update A app://web running alias=Web
             > durable up to 28
               runs of A: pid 0; Up 0 values, cas 71093; 9 ended
    1381.322 > p10 exits with 1
               persist 29: run of A: pid 0, exit code 1
               persist 30: desired of A: Up 0 values, cas 71094
               event 20 update A app://web error alias=Web
             > durable up to 30
               runs of A: none; Up 0 values, cas 71094; 10 ended
             > due: Restart of A
               spawn p11 for A: app://web
    ");
}

/// A `ping-timeout` beyond its limit is 180 s: the app has expired then, and not before
/// (Patrol contract §1.1).
#[test]
fn the_ping_timeout_in_force_is_within_its_limits() {
    let mut t = with_app(3, r#","ping-timeout":1000"#);
    t.beat().persisted().wait(170_000).beat().persisted().past_ticks();
    insta::assert_snapshot!(t, @r#"
    0.000    > the master starts
               show the master, key 1, alias ""
               show A app://web stopped alias=Web
               runs of A: none; Up 0 values, cas 71074; 0 ended
             > request 1: ping A
               persist 1: desired of A: Up 0 values, cas 71075
             > durable up to 1
               event 1 update A app://web running alias=Web
               watch process 100 for p1
               runs of A: pid 100; Up 0 values, cas 71075; 0 ended
               persist 2: desired of A: Up 0 values, cas 71075
    170.000  > request 2: ping A
               persist 3: desired of A: Up 0 values, cas 71076
             > durable up to 3
               runs of A: pid 100; Up 0 values, cas 71075; 0 ended
               answer 1: before: none; Up 0 values, cas 71074; 0 ended
               runs of A: pid 100, seen; Up 0 values, cas 71076; 0 ended
               runs of A: pid 100, seen; Up 0 values, cas 71076; 0 ended
               answer 2: before: pid 100; Up 0 values, cas 71075; 0 ended
    350.001  > due: BeatDue of A
               event 2 log A: "no ping for more than 180 s"
               persist 4: run of A: pid 100, exit code 0
               persist 5: desired of A: Up 0 values, cas 71077
               USR1 to p1 alone
    "#);
}

/// A `tick-every` beyond its limit is 120 s: the pid file is read that often (Patrol contract
/// §1.1).
#[test]
fn the_tick_in_force_is_within_its_limits() {
    let mut t = with_app(2, r#","tick-every":1000"#);
    t.sighted().past_ticks().sighted().past_ticks();
    insta::assert_snapshot!(t, @r#"
    0.000    > the master starts
               show the master, key 1, alias ""
               show A app://web stopped alias=Web
               read the pid file of A
               runs of A: none; Up 0 values, cas 71074; 0 ended
             > the pid file has 100
               persist 1: desired of A: Up 0 values, cas 71075
               event 1 update A app://web running alias=Web
               watch process 100 for p1
    120.000  > due: Look of A
               read the pid file of A
             > the pid file has 100
               persist 2: desired of A: Up 0 values, cas 71076
    240.000  > due: Look of A
               read the pid file of A
    "#);
}

/// The start of the server is no restart: the first crash is restarted at once, the next ones back
/// off (Patrol contract A).
#[test]
fn the_first_crash_of_an_app_is_restarted_at_once() {
    let mut t = with_app(1, "");
    t.past_ticks().started().persisted();
    let mut t = t.untold();
    for _ in 0..4 {
        t.exited(1).persisted().past_ticks().started().persisted();
    }
    insta::assert_snapshot!(t, @r"
    0.000    > p1 exits with 1
               persist 2: run of A: pid 0, exit code 1
               persist 3: desired of A: Up 0 values, cas 71076
               event 2 update A app://web error alias=Web
             > durable up to 3
               runs of A: none; Up 0 values, cas 71076; 1 ended
             > due: Restart of A
               spawn p2 for A: app://web
             > p2 started
               persist 4: desired of A: Up 0 values, cas 71077
               event 3 update A app://web running alias=Web
             > durable up to 4
               runs of A: pid 0; Up 0 values, cas 71077; 1 ended
             > p2 exits with 1
               persist 5: run of A: pid 0, exit code 1
               persist 6: desired of A: Up 0 values, cas 71078
               event 4 update A app://web error alias=Web
             > durable up to 6
               runs of A: none; Up 0 values, cas 71078; 2 ended
    1.000    > due: Restart of A
               spawn p3 for A: app://web
             > p3 started
               persist 7: desired of A: Up 0 values, cas 71079
               event 5 update A app://web running alias=Web
             > durable up to 7
               runs of A: pid 0; Up 0 values, cas 71079; 2 ended
             > p3 exits with 1
               persist 8: run of A: pid 0, exit code 1
               persist 9: desired of A: Up 0 values, cas 71080
               event 6 update A app://web error alias=Web
             > durable up to 9
               runs of A: none; Up 0 values, cas 71080; 3 ended
    2.939    > due: Restart of A
               spawn p4 for A: app://web
             > p4 started
               persist 10: desired of A: Up 0 values, cas 71081
               event 7 update A app://web running alias=Web
             > durable up to 10
               runs of A: pid 0; Up 0 values, cas 71081; 3 ended
             > p4 exits with 1
               persist 11: run of A: pid 0, exit code 1
               persist 12: desired of A: Up 0 values, cas 71082
               event 8 update A app://web error alias=Web
             > durable up to 12
               runs of A: none; Up 0 values, cas 71082; 4 ended
    6.224    > due: Restart of A
               spawn p5 for A: app://web
             > p5 started
               persist 13: desired of A: Up 0 values, cas 71083
               event 9 update A app://web running alias=Web
             > durable up to 13
               runs of A: pid 0; Up 0 values, cas 71083; 4 ended
    ");
}

/// So it is after a toggle that enables the app or restarts it. One that changes nothing leaves the
/// back-off as it is.
#[test]
fn the_first_crash_after_a_toggle_is_restarted_at_once() {
    let mut t = with_app(1, "");
    t.past_ticks().started().persisted();
    t.exited(1).persisted().past_ticks().started().persisted();
    t.toggle(Toggle::Disable).persisted().exited(10).persisted();
    let mut t = t.untold();
    t.toggle(Toggle::Enable).persisted().past_ticks().started().persisted();
    t.exited(1).persisted().past_ticks().started().persisted();
    t.toggle(Toggle::Restart).persisted().exited(12).persisted().past_ticks().started().persisted();
    t.exited(1).persisted().past_ticks().started().persisted();
    t.toggle(Toggle::RunOnceDisable).persisted();
    t.exited(1).persisted().past_ticks().started().persisted();
    t.exited(1).persisted().past_ticks();
    insta::assert_snapshot!(t, @r"
    0.000    > request 2: toggle A: Enable
               persist 8: desired of A: Up 0 values, cas 71080
             > durable up to 8
               runs of A: none; Up 0 values, cas 71080; 2 ended
               answer 2: before: none; Down 0 values, cas 71079; 2 ended
             > due: Restart of A
               spawn p3 for A: app://web
             > p3 started
               persist 9: desired of A: Up 0 values, cas 71081
               event 5 update A app://web running alias=Web
             > durable up to 9
               runs of A: pid 0; Up 0 values, cas 71081; 2 ended
             > p3 exits with 1
               persist 10: run of A: pid 0, exit code 1
               persist 11: desired of A: Up 0 values, cas 71082
               event 6 update A app://web error alias=Web
             > durable up to 11
               runs of A: none; Up 0 values, cas 71082; 3 ended
             > due: Restart of A
               spawn p4 for A: app://web
             > p4 started
               persist 12: desired of A: Up 0 values, cas 71083
               event 7 update A app://web running alias=Web
             > durable up to 12
               runs of A: pid 0; Up 0 values, cas 71083; 3 ended
             > request 3: toggle A: Restart
               persist 13: desired of A: Up restart 0 values, cas 71084
             > durable up to 13
               runs of A: pid 0; Up restart 0 values, cas 71084; 3 ended
               answer 3: before: pid 0; Up 0 values, cas 71083; 3 ended
               USR2 to p4 alone
               persist 14: desired of A: Up 0 values, cas 71085
             > p4 exits with 12
               persist 15: run of A: pid 0, exit code 12 restart
               persist 16: desired of A: Up 0 values, cas 71086
               event 8 update A app://web stopped alias=Web
             > durable up to 16
               runs of A: none; Up 0 values, cas 71086; 4 ended
             > due: Restart of A
               spawn p5 for A: app://web
             > p5 started
               persist 17: desired of A: Up 0 values, cas 71087
               event 9 update A app://web running alias=Web
             > durable up to 17
               runs of A: pid 0; Up 0 values, cas 71087; 4 ended
             > p5 exits with 1
               persist 18: run of A: pid 0, exit code 1
               persist 19: desired of A: Up 0 values, cas 71088
               event 10 update A app://web error alias=Web
             > durable up to 19
               runs of A: none; Up 0 values, cas 71088; 5 ended
             > due: Restart of A
               spawn p6 for A: app://web
             > p6 started
               persist 20: desired of A: Up 0 values, cas 71089
               event 11 update A app://web running alias=Web
             > durable up to 20
               runs of A: pid 0; Up 0 values, cas 71089; 5 ended
             > request 4: toggle A: RunOnceDisable
               answer 4: before: pid 0; Up 0 values, cas 71089; 5 ended
             > durable up to 20
             > p6 exits with 1
               persist 21: run of A: pid 0, exit code 1
               persist 22: desired of A: Up 0 values, cas 71090
               event 12 update A app://web error alias=Web
             > durable up to 22
               runs of A: none; Up 0 values, cas 71090; 6 ended
    1.124    > due: Restart of A
               spawn p7 for A: app://web
             > p7 started
               persist 23: desired of A: Up 0 values, cas 71091
               event 13 update A app://web running alias=Web
             > durable up to 23
               runs of A: pid 0; Up 0 values, cas 71091; 6 ended
             > p7 exits with 1
               persist 24: run of A: pid 0, exit code 1
               persist 25: desired of A: Up 0 values, cas 71092
               event 14 update A app://web error alias=Web
             > durable up to 25
               runs of A: none; Up 0 values, cas 71092; 7 ended
    2.742    > due: Restart of A
               spawn p8 for A: app://web
    ");
}

/// What is left of an earlier server is ended first, which is no restart either.
#[test]
fn the_first_crash_after_a_leftover_is_restarted_at_once() {
    let mut t = Teller::after_a_crash(image(1, ""), &[InstanceId(7)]);
    t.exited(10).persisted().past_ticks().started().persisted();
    t.exited(1).persisted().past_ticks();
    insta::assert_snapshot!(t, @r#"
    0.000    > the master starts
               show the master, key 1, alias ""
               show A app://web stopped alias=Web
               runs of A: none; Up 0 values, cas 71074; 0 ended
               persist 1: desired of A: Up 0 values, cas 71075
               adopt p1 of A
               USR1 to p1 alone
             > p1 exits with 10
               persist 2: run of A: pid 0, exit code 10
               persist 3: desired of A: Up 0 values, cas 71076
               event 1 update A app://web stopped alias=Web
             > durable up to 3
               runs of A: none; Up 0 values, cas 71076; 1 ended
             > due: Restart of A
               spawn p2 for A: app://web
             > p2 started
               persist 4: desired of A: Up 0 values, cas 71077
               event 2 update A app://web running alias=Web
             > durable up to 4
               runs of A: pid 0; Up 0 values, cas 71077; 1 ended
             > p2 exits with 1
               persist 5: run of A: pid 0, exit code 1
               persist 6: desired of A: Up 0 values, cas 71078
               event 3 update A app://web error alias=Web
             > durable up to 6
               runs of A: none; Up 0 values, cas 71078; 2 ended
             > due: Restart of A
               spawn p3 for A: app://web
    "#);
}

/// A start that fails is tried again at once, and then backs off.
#[test]
fn a_start_that_fails_is_tried_again_at_once() {
    let mut t = with_app(1, "");
    for _ in 0..2 {
        t.past_ticks().start_failed("no such file").persisted();
    }
    t.past_ticks();
    insta::assert_snapshot!(t, @r#"
    0.000    > the master starts
               show the master, key 1, alias ""
               show A app://web stopped alias=Web
               runs of A: none; Up 0 values, cas 71074; 0 ended
             > due: Restart of A
               spawn p1 for A: app://web
             > p1 cannot be started
               event 1 log A: "cannot start: no such file"
               event 2 update A app://web error alias=Web
             > durable up to 0
             > due: Restart of A
               spawn p2 for A: app://web
             > p2 cannot be started
               event 3 log A: "cannot start: no such file"
               event 4 update A app://web error alias=Web
             > durable up to 0
    1.016    > due: Restart of A
               spawn p3 for A: app://web
    "#);
}

/// So it is after a reload that changed the app.
#[test]
fn the_first_crash_of_a_changed_app_is_restarted_at_once() {
    let mut t = with_app(1, "");
    t.past_ticks().started().persisted();
    for _ in 0..3 {
        t.exited(1).persisted().past_ticks().started().persisted();
    }
    let mut t = t.untold();
    let set = Arc::new(planned(1, r#","listen-http":["host:1"]"#));
    t.feed("the configuration has changed", Input::Configured { set });
    t.exited(10).persisted().past_ticks().started().persisted();
    t.exited(1).persisted().past_ticks().started().persisted();
    t.exited(1).persisted().past_ticks();
    insta::assert_snapshot!(t, @r"
    2.939    > the configuration has changed
               USR1 to p4 alone
             > p4 exits with 10
               persist 11: run of A: pid 0, exit code 10
               persist 12: desired of A: Up 0 values, cas 71082
               event 8 update A app://web stopped alias=Web
               persist 13: put A at 0 app://web alias=Web
             > durable up to 13
               runs of A: none; Up 0 values, cas 71082; 4 ended
               runs of A: none; Up 0 values, cas 71082; 4 ended
               event 9 update A app://web stopped alias=Web
             > due: Restart of A
               spawn p5 for A: app://web
             > p5 started
               persist 14: desired of A: Up 0 values, cas 71083
               event 10 update A app://web running alias=Web
             > durable up to 14
               runs of A: pid 0; Up 0 values, cas 71083; 4 ended
             > p5 exits with 1
               persist 15: run of A: pid 0, exit code 1
               persist 16: desired of A: Up 0 values, cas 71084
               event 11 update A app://web error alias=Web
             > durable up to 16
               runs of A: none; Up 0 values, cas 71084; 5 ended
             > due: Restart of A
               spawn p6 for A: app://web
             > p6 started
               persist 17: desired of A: Up 0 values, cas 71085
               event 12 update A app://web running alias=Web
             > durable up to 17
               runs of A: pid 0; Up 0 values, cas 71085; 5 ended
             > p6 exits with 1
               persist 18: run of A: pid 0, exit code 1
               persist 19: desired of A: Up 0 values, cas 71086
               event 13 update A app://web error alias=Web
             > durable up to 19
               runs of A: none; Up 0 values, cas 71086; 6 ended
    3.757    > due: Restart of A
               spawn p7 for A: app://web
    ");
}

/// A toggle does not wait for the back-off of earlier failures.
#[test]
fn a_toggle_during_the_back_off_starts_an_app_at_once() {
    let mut t = with_app(1, "");
    t.past_ticks().started().persisted();
    for _ in 0..3 {
        t.exited(1).persisted().past_ticks().started().persisted();
    }
    t.exited(1).persisted();
    let mut t = t.untold();
    t.toggle(Toggle::EnableRunOnceEnable).persisted().past_ticks();
    insta::assert_snapshot!(t, @r"
    2.939    > request 1: toggle A: EnableRunOnceEnable
               persist 13: desired of A: Up once Armed 0 values, cas 71083
             > durable up to 13
               runs of A: none; Up once Armed 0 values, cas 71083; 4 ended
               answer 1: before: none; Up 0 values, cas 71082; 4 ended
             > due: Restart of A
               spawn p5 for A: app://web
    ");
}

/// An exit ends only its own run: a stranger's, which a ping began, ends when its pings do. Then the
/// app is started again (Patrol contract A).
#[test]
fn an_exit_ends_only_its_own_run() {
    let mut t = with_app(3, "");
    t.past_ticks().told(100).started().persisted().beat().persisted();
    let mut t = t.untold();
    t.strange_beat().persisted().exited(0).persisted().past_ticks();
    insta::assert_snapshot!(t, @r#"
    60.000   > request 2: ping A as 200
               persist 3: desired of A: Up 0 values, cas 71077
             > durable up to 3
               persist 4: run of A: pid 100, exit code 0
               persist 5: desired of A: Up 0 values, cas 71077
             > p1 exits with 0
             > durable up to 5
               runs of A: pid 200; Up 0 values, cas 71077; 1 ended
               answer 2: before: pid 100, seen; Up 0 values, cas 71076; 0 ended
    90.001   > due: BeatDue of A
               event 2 log A: "no ping for more than 30 s"
               persist 6: run of A: pid 200, exit code 0
               persist 7: desired of A: Up 0 values, cas 71078
               event 3 update A app://web stopped alias=Web
               spawn p2 for A: app://web
    "#);
}

/// So it is for an app that ran before the server. Its process stays known while a stranger pings: it
/// is stopped before the app is started again, and no copy runs beside it.
#[test]
fn a_ping_of_a_stranger_does_not_hide_the_process_of_the_app() {
    let mut t = with_app(3, "");
    t.beat().persisted();
    let mut t = t.untold();
    t.strange_beat().persisted();
    let mut exits = t.clone_story();
    t.past_ticks().persisted().gone(100).persisted();
    insta::assert_snapshot!(t, @r#"
    0.000    > request 2: ping A as 200
               persist 3: desired of A: Up 0 values, cas 71076
             > durable up to 3
               runs of A: pid 100; Up 0 values, cas 71075; 0 ended
               answer 1: before: none; Up 0 values, cas 71074; 0 ended
               persist 4: run of A: pid 100, exit code 0
               persist 5: desired of A: Up 0 values, cas 71076
    30.001   > due: BeatDue of A
               event 2 log A: "no ping for more than 30 s"
               persist 6: run of A: pid 200, exit code 0
               persist 7: desired of A: Up 0 values, cas 71077
               USR1 to p1 alone
             > durable up to 7
               runs of A: none; Up 0 values, cas 71077; 2 ended
               answer 2: before: pid 100; Up 0 values, cas 71075; 0 ended
             > process 100 has exited
               event 3 update A app://web stopped alias=Web
             > durable up to 7
    "#);
    exits.gone(100).past_ticks();
    insta::assert_snapshot!(exits, @r#"
    0.000    > process 100 has exited
    30.001   > due: BeatDue of A
               event 2 log A: "no ping for more than 30 s"
               persist 6: run of A: pid 200, exit code 0
               persist 7: desired of A: Up 0 values, cas 71077
               event 3 update A app://web stopped alias=Web
               spawn p2 for A: app://web
    "#);
}

/// An app that ran before the server forks a successor at USR2 and exits. No other copy is started
/// beside the successor, which has as much time to report as any app (Patrol contract A).
#[test]
fn a_successor_of_an_adopted_app_has_time_to_report() {
    let mut t = with_app(3, "");
    t.beat().persisted();
    t.toggle(Toggle::Restart).persisted();
    let mut t = t.untold();
    t.gone(100).persisted();
    let mut without = t.clone_story();
    t.wait(20_000).later_beat().persisted();
    insta::assert_snapshot!(t, @r"
    0.000    > process 100 has exited
               persist 5: run of A: pid 100, exit code 0 restart
               persist 6: desired of A: Up 0 values, cas 71078
               event 2 update A app://web stopped alias=Web
             > durable up to 6
               runs of A: none; Up 0 values, cas 71078; 1 ended
    20.000   > request 3: ping A as 101
               persist 7: desired of A: Up 0 values, cas 71079
             > durable up to 7
               event 3 update A app://web running alias=Web
               watch process 101 for p2
               runs of A: pid 101; Up 0 values, cas 71079; 1 ended
               persist 8: desired of A: Up 0 values, cas 71079
    ");
    without.past_ticks();
    insta::assert_snapshot!(without, @r"
    30.000   > due: Hold of A
               spawn p2 for A: app://web
    ");
}

/// The parent of a daemon exits before the daemon has written its pid file: it has at least one tick
/// for that, and no other copy is started meanwhile.
#[test]
fn a_daemon_has_time_to_write_its_pid_file() {
    let mut t = with_app(2, "");
    let instance = t.id("A");
    let nothing = || Input::PidFileRead { instance, sighting: Sighting::Nothing };
    t.feed("there is no pid file", nothing()).past_ticks().started().persisted();
    let mut t = t.untold();
    t.exited_leaving_a_group(0).persisted();
    t.past_ticks().feed("there is no pid file", nothing());
    let mut without = t.clone_story();
    t.past_ticks().sighted().persisted();
    insta::assert_snapshot!(t, @r"
    0.000    > p1 exits with 0 and leaves a group
             > durable up to 1
    0.100    > due: Look of A
               read the pid file of A
             > there is no pid file
    0.200    > due: Look of A
               read the pid file of A
             > the pid file has 100
               watch process 100 for p1
               persist 2: desired of A: Up 0 values, cas 71076
             > durable up to 2
               runs of A: pid 100; Up 0 values, cas 71076; 0 ended
    ");
    for _ in 0..8 {
        without.past_ticks().feed("there is no pid file", nothing());
    }
    insta::assert_snapshot!(without, @r"
    0.200    > due: Look of A
               read the pid file of A
             > there is no pid file
    0.400    > due: Look of A
               read the pid file of A
             > there is no pid file
    0.800    > due: Look of A
               read the pid file of A
             > there is no pid file
    1.600    > due: Look of A
               read the pid file of A
             > there is no pid file
    3.200    > due: Look of A
               read the pid file of A
             > there is no pid file
    6.400    > due: Look of A
               read the pid file of A
             > there is no pid file
    12.800   > due: Look of A
               read the pid file of A
             > there is no pid file
    25.600   > due: Look of A
               read the pid file of A
             > there is no pid file
               persist 2: run of A: pid 0, exit code 0
               persist 3: desired of A: Up 0 values, cas 71076
               event 2 update A app://web stopped alias=Web
    ");
}
