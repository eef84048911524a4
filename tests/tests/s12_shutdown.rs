//! Contract §12: the end.

use std::net::TcpStream;

use openctrl_tests::process::is_alive;
use openctrl_tests::script::Step;
use openctrl_tests::{Master, Script};
use rustix::process::Signal;
use serde_json::json;

#[test]
fn term_and_int_end_everything_in_order() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut master = Master::start();
        let mut events = master.events();
        let (up, down) = (master.mark("up"), master.mark("down"));
        let polite = Script::new().on_term(Script::new().mark(&down).exit(5)).mark(&up).wait();
        let ids: Vec<String> = (0..4).map(|_| master.run(&mut events, &polite)).collect();
        master.api().patch(&ids[0], &json!({"alias": "kept"})).expect(200);
        let pids = up.wait(4);
        master.signal(signal);
        let status = master.wait_exit();
        assert_eq!(status.code(), Some(0), "{signal:?}");
        assert_eq!(down.count(), 4, "each child got SIGTERM");
        assert!(pids.iter().all(|entry| !is_alive(entry.pid)), "no child is left");
        events.wait_end();
        assert_eq!(events.events().last().unwrap().kind, "shutdown");
        assert!(TcpStream::connect(master.endpoint().address).is_err(), "nobody listens");
        master.restart();
        assert_eq!(master.api().instance(&ids[0])["alias"], "kept");
        assert_eq!(master.api().list().len(), 5);
    }
}

#[test]
fn totals_are_saved_at_the_end() {
    let mut master = Master::start();
    let mut events = master.events();
    let script = Script::new().checkpoint([1, 2, 3, 4, 5, 60, 70, 80, 90]).wait();
    let id = master.run(&mut events, &script);
    events.wait_value(&id, "udptx", 90);
    master.api().patch(&id, &json!({"restart": false})).expect(200);
    master.stop();
    master.restart();
    let found = master.api().instance(&id);
    assert_eq!(found["status"], "stopped");
    for (counter, value) in [("tcprx", 60), ("tcptx", 70), ("udprx", 80), ("udptx", 90)] {
        assert_eq!(found[counter], value, "{counter}");
    }
    for metric in ["ping", "pool", "tcps", "udps"] {
        assert_eq!(found[metric], 0, "{metric}");
    }
}

#[test]
fn a_master_with_nothing_to_do_ends_at_once() {
    let mut master = Master::start();
    let took = master.stop();
    assert!(took.as_secs() < 4, "no grace period is waited out: {took:?}");
}

/// A child that ends between two restarts must not be started again by a master that is leaving.
#[test]
fn nothing_is_started_during_the_shutdown() {
    let mut master = Master::start();
    let mut events = master.events();
    for _ in 0..3 {
        master.run(&mut events, &Script::new().step(Step::SleepMs(1)).exit(1));
    }
    let id = master.run(&mut events, &Script::new().wait());
    master.api().act(&id, "restart");
    master.stop();
    assert_eq!(master.descendants(), Vec::<i32>::new());
}

#[test]
fn open_connections_do_not_hold_up_the_end() {
    let mut master = Master::start();
    let _idle: Vec<TcpStream> =
        (0..20).map(|_| TcpStream::connect(master.endpoint().address).unwrap()).collect();
    let streams: Vec<_> = (0..5).map(|_| master.events()).collect();
    let took = master.stop();
    assert!(took.as_secs() < 12, "service managers allow 15 s: {took:?}");
    streams.iter().for_each(|stream| stream.wait_end());
}
