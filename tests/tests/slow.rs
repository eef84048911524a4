//! Contract §2, §3, §6, §8, §9, §11, §12: rules that are measured in seconds, watched side by side.
//!
//! Lower bounds are exact, for a loaded machine is never early, and count from before the test causes
//! what it times: what it sees, it may see late. Upper bounds add [`SLACK`].

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use openctrl_tests::control::Sockets;
use openctrl_tests::process::{is_alive, wait_gone};
use openctrl_tests::script::Step;
use openctrl_tests::wait::holds_for;
use openctrl_tests::{Master, Script, together, until};
use serde_json::json;

together!(
    silence_after_a_checkpoint_is_an_error,
    silence_is_a_reason_of_the_control_api,
    a_wait_of_the_control_api_is_over_after_30_seconds,
    a_stubborn_group_is_killed_after_five_seconds,
    a_slow_stop_delays_nothing_else,
    crashes_back_off,
    an_error_with_a_live_process_is_replaced,
    what_is_stopped_stays_stopped,
    an_idle_stream_repeats_retry,
    nothing_is_logged_on_a_tick,
    totals_survive_a_kill_to_within_a_tick,
    stubborn_children_are_stopped_in_parallel_at_the_end,
    pings_are_ten_at_a_time_and_give_up_after_five_seconds,
    slow_and_idle_clients_are_dropped,
);

/// What a loaded machine may add.
const SLACK: Duration = Duration::from_secs(6);

/// Time a process gets between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(5);

/// How often totals are saved and errors looked at in the reference.
const TICK: Duration = Duration::from_secs(5);

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn assert_within(what: &str, took: Duration, least: Duration, most: Duration) {
    assert!(took >= least, "{what} took only {took:?}, at least {least:?} are due");
    assert!(took <= most + SLACK, "{what} took {took:?}, at most {most:?} are due");
}

fn silence_after_a_checkpoint_is_an_error() {
    let master = Master::start();
    let mut events = master.events();
    let api = master.api();
    let started = master.mark("started");
    let start = Instant::now();
    let silent = api.run_once(&Script::new().checkpoint([7, 2, 3, 4, 5, 6, 7, 8, 9]).wait());
    events.wait_value(&silent, "udptx", 9);
    let restarted =
        master.run(&mut events, &Script::new().mark(&started).checkpoint([1; 9]).wait());
    let first = started.wait(1)[0].pid;
    // Never a checkpoint; one that continues; one whose clock a new start has cleared.
    let mute = master.run(&mut events, &Script::new().print("no checkpoint").wait());
    let beat = Script::new().checkpoint([1; 9]).step(Step::SleepMs(1_000));
    let steady = master.run(&mut events, &Script::new().step(Step::Repeat(0, beat)));
    let go = master.cue("only-once");
    let once = Script::new().cue(&go).checkpoint([1; 9]).wait();
    let cleared = master.run(&mut events, &once);
    go.give();
    events.wait_value(&cleared, "udptx", 1);
    std::fs::remove_file(go.path()).expect("the cue was given");
    api.act(&cleared, "restart");
    events.wait_status(&cleared, "stopped");
    events.wait_status(&cleared, "running");

    let failed = events.wait_status(&silent, "error");
    assert_within("the silence", failed.at - start, seconds(15), seconds(20));
    assert_eq!(failed.instance["mode"], 7);
    for (field, value) in [("ping", 0), ("pool", 0), ("tcps", 0), ("udps", 0), ("udptx", 9)] {
        assert_eq!(failed.instance[field], value, "{field}");
    }
    assert_eq!(started.wait(2).len(), 2, "a silent one with a policy is replaced");
    wait_gone(first);
    until("the replacement to run", || api.status(&restarted) == "running");
    for id in [&mute, &steady, &cleared] {
        assert_eq!(api.status(id), "running");
    }
    let error = |id: &String| {
        let all = events.events();
        all.iter().any(|event| event.instance["id"] == **id && event.instance["status"] == "error")
    };
    assert!(![mute, steady, cleared].iter().any(error), "only silence after a checkpoint counts");
}

/// Control contract A, the row of Failing.
fn silence_is_a_reason_of_the_control_api() {
    let (master, sockets) = Sockets::start();
    let script = Script::new().checkpoint([1; 9]).wait();
    let body = json!({"url": script.url(), "alias": "web", "restart": false});
    master.api().post("/instances", &body).expect(201);
    sockets.wait_phase("web", "Running");
    let status = sockets.wait_phase("web", "Unhealthy")["status"].clone();
    let reasons: Vec<&str> = status["conditions"]
        .as_array()
        .expect("conditions")
        .iter()
        .map(|condition| condition["reason"].as_str().expect("a reason"))
        .collect();
    assert_eq!(status["reason"], "FellSilent");
    assert_eq!(reasons.iter().filter(|reason| **reason == "FellSilent").count(), 2, "{reasons:?}");
    assert_eq!(sockets.managed("web", "GET", "/v1/healthz").body, "{\"status\":\"failed\"}\n");
}

/// Control contract D 9.
fn a_wait_of_the_control_api_is_over_after_30_seconds() {
    let (master, sockets) = Sockets::start();
    let body = json!({"url": Script::new().wait().url(), "alias": "web"});
    master.api().post("/instances", &body).expect(201);
    sockets.wait_phase("web", "Running");
    let cursor = sockets.managed("web", "GET", "/v1/events?tail=true").json()["cursor"].clone();
    let begun = Instant::now();
    let cursor = cursor.as_str().expect("a cursor");
    let target = format!("/v1/events?since={cursor}&wait=10m");
    let answer = sockets.managed("web", "GET", &target).expect(200).json();
    assert_within("the wait", begun.elapsed(), seconds(30), seconds(30));
    assert_eq!((&answer["events"], &answer["cursor"]), (&json!([]), &json!(cursor)));
}

fn a_stubborn_group_is_killed_after_five_seconds() {
    let master = Master::start();
    let mut events = master.events();
    let up = master.mark("up");
    let deaf = Script::new().ignore_term().mark(&up).wait();
    let family = Script::new().ignore_term().step(Step::Grandchild(deaf)).mark(&up).wait();
    let (api, url) = (master.api(), Script::new().wait().url());
    let [stopped, deleted, replaced, restarted] = [0; 4].map(|_| master.run(&mut events, &family));
    let pids = up.wait(8);
    let start = Instant::now();
    api.act(&stopped, "stop");
    api.act(&restarted, "restart");
    assert!(start.elapsed() < GRACE, "the answer does not wait for the stop");
    let (api, url, deleted, replaced) = (&api, &url, &deleted, &replaced);
    let timed = |what: &'static str, act: &dyn Fn() -> u16, status: u16| {
        assert_eq!(act(), status, "{what}");
        assert_within(what, start.elapsed(), GRACE, GRACE);
    };
    let timed = &timed;
    thread::scope(|scope| {
        scope.spawn(move || timed("DELETE", &|| api.delete(deleted).status, 204));
        scope.spawn(move || timed("PUT", &|| api.put(replaced, url).status, 200));
    });
    let ended = events.wait_status(&stopped, "stopped");
    assert_within("the stop", ended.at - start, GRACE, GRACE);
    until("the restarted one to run", || api.status(&restarted) == "running");
    assert_eq!(api.status(replaced), "running");
    pids.iter().for_each(|entry| wait_gone(entry.pid));
    up.wait(10);
}

fn a_slow_stop_delays_nothing_else() {
    let master = Master::start();
    let mut events = master.events();
    let api = master.api();
    let up = master.mark("up");
    let stubborn: Vec<String> = (0..5)
        .map(|_| master.run(&mut events, &Script::new().ignore_term().mark(&up).wait()))
        .collect();
    up.wait(5);
    let start = Instant::now();
    stubborn.iter().for_each(|id| drop(api.act(id, "stop")));
    let other = master.run(&mut events, &Script::new().print("quick").wait());
    events.wait_log(&other, "quick");
    api.patch(&other, &json!({"alias": "still answering"})).expect(200);
    api.act(&other, "stop");
    events.wait_status(&other, "stopped");
    api.delete(&other).expect(204);
    assert_eq!(api.list().len(), 6);
    assert!(start.elapsed() < GRACE, "all that while the stops go on: {:?}", start.elapsed());
    until("all to be stopped", || stubborn.iter().all(|id| api.status(id) == "stopped"));
    assert_within("five stops in parallel", start.elapsed(), GRACE, GRACE);
}

fn crashes_back_off() {
    let master = Master::start();
    let mut events = master.events();
    let (crashed, lonely) = (master.mark("crashed"), master.mark("lonely"));
    let id = master.api().run(&Script::new().mark(&crashed).exit(1));
    let single = master.api().run_once(&Script::new().mark(&lonely).exit(1));
    events.wait_status(&id, "error");
    let mut gaps = Vec::new();
    for number in 1..4 {
        let entries = crashed.wait(number + 1);
        gaps.push(Duration::from_millis(entries[number].unix_ms - entries[number - 1].unix_ms));
    }
    assert_within("the first restart", gaps[0], seconds(1), seconds(5));
    assert!(gaps[0] < gaps[1] && gaps[1] < gaps[2], "delays grow: {gaps:?}");
    assert!(gaps[1] <= gaps[0] * 3 + SLACK, "they double: {gaps:?}");
    events.wait_status(&id, "running");
    events.wait_status(&id, "error");
    // Without a policy nothing happens; with a new policy it does.
    assert_eq!((lonely.count(), master.api().status(&single).as_str()), (1, "error"));
    let start = Instant::now();
    master.api().patch(&single, &json!({"restart": true})).expect(200);
    lonely.wait(2);
    assert_within("a restart by a new policy", start.elapsed(), Duration::ZERO, seconds(5));
    // Taking the policy away ends it.
    master.api().patch(&id, &json!({"restart": false})).expect(200);
    until("the error", || master.api().status(&id) == "error");
    let count = crashed.count();
    holds_for("no restart without the policy", seconds(3), || crashed.count() == count);
}

fn an_error_with_a_live_process_is_replaced() {
    let master = Master::start();
    let mut events = master.events();
    let (started, once) = (master.mark("started"), master.cue("once"));
    let script = Script::new().mark(&started).cue(&once).print("an ERROR").wait();
    let id = master.run(&mut events, &script);
    let first = started.wait(1)[0].pid;
    let start = Instant::now();
    once.give();
    events.wait_status(&id, "error");
    assert!(is_alive(first));
    std::fs::remove_file(once.path()).expect("the cue was given");
    let running = events.wait_status(&id, "running");
    assert_within("the restart", running.at - start, seconds(1), seconds(5));
    let second = started.wait(2)[1].pid;
    assert_ne!(first, second);
    wait_gone(first);
    assert!(is_alive(second), "what was left is stopped, what is new runs");
}

fn what_is_stopped_stays_stopped() {
    let master = Master::start();
    let mut events = master.events();
    let started = master.mark("started");
    let ended = master.api().run(&Script::new().mark(&started).exit(0));
    events.wait_status(&ended, "stopped");
    let halted = master.run(&mut events, &Script::new().mark(&started).wait());
    master.api().act(&halted, "stop");
    events.wait_status(&halted, "stopped");
    let broken = master.api().run(&Script::new().mark(&started).exit(1));
    events.wait_status(&broken, "error");
    master.api().act(&broken, "stop");
    events.wait_status(&broken, "stopped");
    let count = started.count();
    holds_for("no start by itself", TICK * 2 + seconds(1), || started.count() == count);
    for id in [ended, halted, broken] {
        assert_eq!(master.api().status(&id), "stopped");
        assert_eq!(master.api().instance(&id)["restart"], true);
    }
}

fn an_idle_stream_repeats_retry() {
    let master = Master::start();
    let events = master.events();
    let start = Instant::now();
    events.wait_frame(1, "a second retry", |frame| frame.text == "retry: 3000");
    assert_within("the repeat", start.elapsed(), Duration::ZERO, seconds(30));
    let silent = |text: &str| text == "retry: 3000" || text.contains("\"type\":\"initial\"");
    let frames = events.frames();
    assert!(frames.iter().all(|frame| silent(&frame.text)), "an idle stream is idle");
}

fn nothing_is_logged_on_a_tick() {
    let master = Master::start();
    let mut events = master.events();
    let id = master.run(&mut events, &Script::new().checkpoint([1; 9]).wait());
    events.wait_value(&id, "udptx", 1);
    let before = master.output().lines().len();
    holds_for("not a line more", TICK * 2 + seconds(2), || master.output().lines().len() == before);
}

fn totals_survive_a_kill_to_within_a_tick() {
    let mut master = Master::start();
    let mut events = master.events();
    let go = master.cue("go");
    let script = Script::new().cue(&go).checkpoint([1, 0, 0, 0, 0, 10, 20, 30, 40]).wait();
    let id = master.run(&mut events, &script);
    // The last change that is saved for its own sake, so that only a tick saves the totals.
    master.api().patch(&id, &json!({"restart": false})).expect(200);
    go.give();
    events.wait_value(&id, "udptx", 40);
    holds_for("the master lives through a tick", TICK + seconds(3), || is_alive(master.pid()));
    master.kill9();
    master.restart();
    let found = master.api().instance(&id);
    for (counter, value) in [("tcprx", 10), ("tcptx", 20), ("udprx", 30), ("udptx", 40)] {
        assert_eq!(found[counter], value, "{counter}");
    }
}

fn stubborn_children_are_stopped_in_parallel_at_the_end() {
    let mut master = Master::start();
    let mut events = master.events();
    let up = master.mark("up");
    let deaf = Script::new().ignore_term().mark(&up).wait();
    for _ in 0..5 {
        master.run(&mut events, &deaf);
    }
    up.wait(5);
    let took = master.stop();
    assert_within("the shutdown", took, GRACE, GRACE);
    assert!(took < seconds(15), "service managers allow 15 s: {took:?}");
    assert_eq!(master.descendants(), Vec::<i32>::new());
    events.wait_end();
}

/// A listener whose queue is full: the kernel drops further connection attempts without a word.
fn unanswering_listener() -> (TcpListener, Vec<TcpStream>, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback is there");
    rustix::net::listen(&listener, 0).expect("the queue can be shortened");
    let address = listener.local_addr().expect("a listener has an address");
    let mut queued = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
        queued.push(stream);
        assert!(queued.len() < 100, "the queue does not fill");
    }
    (listener, queued, address)
}

fn pings_are_ten_at_a_time_and_give_up_after_five_seconds() {
    let master = Master::start();
    let api = master.api();
    let (_listener, _queued, address) = unanswering_listener();
    let ping = || {
        let start = Instant::now();
        let result = api.get(&format!("/tcping?target={address}")).expect(200).json();
        assert_eq!(result["connected"], false);
        (result["error"].as_str().expect("a reason").to_owned(), start.elapsed())
    };
    let results: Vec<(String, Duration)> = thread::scope(|scope| {
        let handles: Vec<_> = (0..14).map(|_| scope.spawn(ping)).collect();
        handles.into_iter().map(|handle| handle.join().expect("no ping panics")).collect()
    });
    let (refused, dialled): (Vec<_>, Vec<_>) =
        results.into_iter().partition(|(error, _)| error == "too many requests");
    assert_eq!((refused.len(), dialled.len()), (4, 10));
    for (_, took) in refused {
        assert_within("a refusal", took, seconds(1), seconds(1));
    }
    for (error, took) in dialled {
        assert_within("a dial", took, seconds(5), seconds(5));
        assert!(!error.is_empty());
    }
}

/// How long a connection stays open on which `start` was sent and `more` follows every second.
fn lifetime(address: SocketAddr, start: &[u8], more: &[u8]) -> Duration {
    let began = Instant::now();
    let mut socket = TcpStream::connect(address).expect("the master listens");
    socket.write_all(start).expect("a fresh connection takes a few bytes");
    socket.set_read_timeout(Some(seconds(1))).expect("the time-out can be set");
    let mut block = [0; 4096];
    loop {
        match socket.read(&mut block) {
            Ok(0) => return began.elapsed(),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if socket.write_all(more).is_err() {
                    return began.elapsed();
                }
            }
            Err(_) => return began.elapsed(),
        }
        assert!(began.elapsed() < seconds(60), "header, body and idle time are bounded");
    }
}

fn slow_and_idle_clients_are_dropped() {
    let master = Master::start();
    let (address, key) = (master.endpoint().address, master.key());
    let whole = format!("GET /api/v2/info HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\n\r\n");
    let half = format!("POST /api/v2/info HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\n");
    let body = format!("{half}Content-Length: 5000\r\n\r\n{{");
    thread::scope(|scope| {
        for (start, more) in [
            ("", ""),
            (half.as_str(), ""),
            (half.as_str(), "X"),
            (whole.as_str(), ""),
            (body.as_str(), ""),
            (body.as_str(), " "),
        ] {
            scope.spawn(move || lifetime(address, start.as_bytes(), more.as_bytes()));
        }
    });
    master.api().get("/info").expect(200);
}
