//! Clients that wait for an event, and how soon one is answered.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::super::client::{Client, Until, body, load};
use super::super::figure::{Figure, short};
use super::super::floor::server::{FloorServer, WAIT_PATH};
use super::super::floor::sync::syncs_per_s;
use super::super::meter::{resident, settle};
use super::super::stage::{Measured, Stage};
use super::super::stats::{median, percentile};
use super::super::subject::{Subject, list_ids, path};
use super::Scenario;
use super::control::{command, cursor, get, instance};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "waits",
    about: "1 000 clients that wait for an event over a Unix socket",
    limit_s: 90,
    run,
};

/// Clients that make changes.
const CHANGING: usize = 4;

fn run(stage: &Stage) -> Measured {
    let (subject, dir) = Subject::with_control(stage, &[])?;
    let socket = instance(&subject, &dir)?;
    let count = stage.size(1_000, 200);
    stage.step(&format!("{count} clients wait"));
    let since = cursor(&socket)?;
    let request = get(&format!("/v1/events?since={since}&wait=30s"));
    let kib = memory_each(&socket, subject.pid(), count, &request)?;
    stage.step("as many requests that a bare server never answers");
    let bare = FloorServer::start(stage, b"{}")?;
    let bare_kib = memory_each(bare.socket(), bare.pid(), count, &get(WAIT_PATH))?;
    let memory = Figure::cost("memory of the master a wait", "KiB", kib)
        .floor("bare hyper server on a Unix socket", bare_kib)
        .wanted(4.0)
        .note(format!("{count} at a time"));
    stage.step("waking one");
    let wakes_ms = wakes(&socket, stage.size(300, 50))?;
    let sync_ms = 1e3 / syncs_per_s(&stage.file("bare"), Duration::from_millis(500))?;
    let wake = Figure::cost("from a command to the answered wait, p50", "ms", median(&wakes_ms))
        .floor("one append and fdatasync", sync_ms)
        .wanted(2.0)
        .note(format!("p99 {} ms; the event is durable first", short(percentile(&wakes_ms, 0.99))));
    stage.step("waking one by the exit of a process, while others make changes");
    let exits_ms = exits(stage, &subject, &dir)?;
    let exit = Figure::cost("from an exit to the answered wait, p50", "ms", median(&exits_ms))
        .wanted(2.0)
        .note(format!(
            "p99 {} ms; {CHANGING} clients change an instance all the time",
            short(percentile(&exits_ms, 0.99))
        ));
    Ok(vec![memory, wake, exit])
}

/// Times from killing a process to having the answer of a client that waits for its exit, while
/// others make changes, in ms.
fn exits(stage: &Stage, subject: &Subject, dir: &Path) -> io::Result<Vec<f64>> {
    let ids = list_ids(&subject.api())?;
    let changed = ids.first().ok_or_else(|| io::Error::other("there is no instance"))?;
    let patch = subject.request("PATCH", &path(changed), "{\"restart\":false}");
    let back = subject.request("PATCH", &path(changed), "{\"restart\":true}");
    for _ in 0..stage.size(100, 20) {
        subject.create("bench://wait/host")?;
    }
    let all = list_ids(&subject.api())?;
    let sockets: Vec<PathBuf> = all
        .iter()
        .filter(|id| *id != changed)
        .map(|id| dir.join("bench").join(format!("{id}.sock")))
        .collect();
    let pids: Vec<Pid> = sockets.iter().map(|socket| running(socket)).collect();
    let address = subject.address();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let changing = scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                let requests = |index| if index % 2 == 0 { &patch[..] } else { &back[..] };
                load(address, CHANGING, Until::Answers(500), requests)?;
            }
            io::Result::Ok(())
        });
        let exit = |(socket, pid)| exit(socket, pid);
        let times = sockets.iter().zip(pids).map(exit).collect();
        is_over.store(true, Ordering::Relaxed);
        changing.join().expect("it does not panic")?;
        times
    })
}

fn exit(socket: &PathBuf, pid: Pid) -> io::Result<f64> {
    let since = cursor(socket)?;
    let mut waiting = Client::open(&**socket)?;
    let topic = "routerd.daemon.lifecycle.crashed";
    waiting.send(&get(&format!("/v1/events?since={since}&wait=20s&topic={topic}")))?;
    // Until it waits: a read behind it on another connection is answered.
    cursor(socket)?;
    let begun = Instant::now();
    kill_process(pid, Signal::KILL)?;
    waiting.wait()?;
    Ok(begun.elapsed().as_secs_f64() * 1e3)
}

/// The process of an instance, once it runs.
fn running(socket: &Path) -> Pid {
    crate::eventually("the instance to run", || {
        let mut client = Client::open(socket).ok()?;
        let status: Value =
            serde_json::from_slice(body(client.ask(&get("/v1/status")).ok()?)).ok()?;
        let pid = status["observed"]["pid"].as_str()?.parse().ok()?;
        Pid::from_raw(pid).filter(|_| status["phase"] == "Running")
    })
}

/// What the memory of a server grows by with each client that waits.
fn memory_each(socket: &Path, pid: i32, count: usize, request: &[u8]) -> io::Result<f64> {
    settle(pid);
    let before = resident(pid);
    let mut waiting = Vec::with_capacity(count);
    for _ in 0..count {
        let mut client = Client::open(socket)?;
        client.send(request)?;
        waiting.push(client);
    }
    settle(pid);
    Ok((resident(pid) - before) / 1024.0 / count as f64)
}

/// Times from sending a command to having the answer of a client that waits for its event, in ms.
fn wakes(socket: &Path, rounds: usize) -> io::Result<Vec<f64>> {
    let (mut waiting, mut commanding) = (Client::open(socket)?, Client::open(socket)?);
    let renew = command("renew");
    let mut times = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let since = cursor(socket)?;
        let topic = "routerd.daemon.command.received";
        waiting.send(&get(&format!("/v1/events?since={since}&wait=20s&topic={topic}")))?;
        // Until it waits: a read behind it on another connection is answered.
        cursor(socket)?;
        let begun = Instant::now();
        commanding.send(&renew)?;
        waiting.wait()?;
        times.push(begun.elapsed().as_secs_f64() * 1e3);
        commanding.wait()?;
    }
    Ok(times)
}
