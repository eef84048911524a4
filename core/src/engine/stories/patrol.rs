//! Apps of a Patrol configuration, by the times that their definitions have.

use alloc::boxed::Box;
use alloc::format;

use super::Teller;
use crate::command::{Caller, Command, Desire, Door, Trust};
use crate::doors::patrol::config::{Config, Reader};
use crate::doors::patrol::definitions::definitions;
use crate::engine::{Input, Sighting};
use crate::instance::{Beat, Cas, Values, ValuesEdit};
use crate::master::MasterIdentity;
use crate::process::Identity;
use crate::store::Image;

/// A server with one app of this keep-alive; the configuration has these members as well.
fn with_app(keep_alive: u8, members: &str) -> Teller {
    let file = format!(
        r#"{{"apps":{{"web":{{"keepalive":{keep_alive},"name":"Web","working-directory":"/srv",
        "binary":"web","log-directory":"logs","pid-path":"web.pid"}}}}{members}}}"#
    );
    let reader = Reader { home: None, defaults: true };
    let config = Config::load(file.as_bytes(), reader).expect("a valid configuration").config;
    let mut image = Image::new(MasterIdentity::from_random([1; 8], [1; 16]));
    image.configure(definitions(&config).map(|one| (one.definition, one.initial)), || 7 << 32);
    Teller::with(image)
}

impl Teller {
    /// The pid file was read: it has the number of the app's process.
    fn sighted(&mut self) -> &mut Self {
        let instance = self.id("A");
        let sighting = Sighting::Proven(Identity { pid: 100, start_ticks: 1 });
        self.feed("the pid file has 100", Input::PidFileRead { instance, sighting })
    }

    /// A ping of the app's process.
    fn beat(&mut self) -> &mut Self {
        let proven = Some(Identity { pid: 100, start_ticks: 1 });
        let desire = Box::new(Desire {
            expect: Cas(0),
            values: ValuesEdit::Merge(Values::new()),
            toggle: None,
            beat: Some(Beat { pid: 100, proven }),
            shows_instance: false,
        });
        let caller = Caller { door: Door::Patrol, trust: Trust::Open };
        let command = Command::Desire { id: self.id("A"), desire };
        self.request_of(caller, "ping A", command)
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
    768.563  > p9 exits with 1
               persist 26: run of A: pid 0, exit code 1
               persist 27: desired of A: Up 0 values, cas 71092
               event 18 update A app://web error alias=Web
             > durable up to 27
               runs of A: none; Up 0 values, cas 71092; 9 ended
    836.416  > due: Restart of A
               spawn p10 for A: app://web
             > p10 started
               persist 28: desired of A: Up 0 values, cas 71093
               event 19 update A app://web running alias=Web
             > durable up to 28
               runs of A: pid 0; Up 0 values, cas 71093; 9 ended
    1436.416 > p10 exits with 1
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
               event 2 log A: "no checkpoint for more than 180 s"
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
