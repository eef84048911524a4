//! Reading the state of a Patrol server with many apps.

use std::io;
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use super::super::client::body;
use super::super::figure::{Figure, short};
use super::super::floor::server::FloorServer;
use super::super::stage::{Measured, Stage};
use super::super::stats::percentile;
use super::super::subject::{Policy, START_LIMIT, Subject};
use super::Scenario;
use super::reads::read;
use crate::patrol::{Builder, Folder, Patrol};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "patrol",
    about: "GET /status/ of 200 apps that run, 4 connections; --seconds 60 is the speed line of Patrol",
    limit_s: 60,
    run,
};

const APPS: usize = 200;
const CONNECTIONS: usize = 4;

/// How often it is looked whether all apps run.
const LOOK_EVERY: Duration = Duration::from_millis(50);

fn run(stage: &Stage) -> Measured {
    let count = stage.size(APPS, 50);
    stage.step("starting the apps");
    let patrol = server(count)?;
    let request = b"GET /status/ HTTP/1.1\r\nHost: localhost\r\n\r\n";
    stage.step("reading from the server");
    let reads = read(stage, patrol.http(), patrol.pid(), CONNECTIONS, request)?;
    let status = body(&reads.load.last);
    stage.step("reading the same bytes from a bare server");
    let floor = FloorServer::start(stage, status)?;
    let bare = read(stage, floor.address(), floor.pid(), CONNECTIONS, request)?;
    drop(patrol);
    let mut subject = Subject::stored(stage, count, Policy::Running)?;
    stage.step("starting as many instances of a master");
    subject.restart_until_up()?;
    subject.wait_all_running()?;
    stage.step("reading them");
    let list = subject.request("GET", "/instances", "");
    let list = read(stage, subject.address(), subject.pid(), CONNECTIONS, &list)?;

    let ms = |load: &[f64], share| percentile(load, share) / 1e3;
    let rate = Figure::rate("answers a CPU-second of the server", "1/s", reads.per_cpu_s)
        .floor("bare hyper server with the same bytes", bare.per_cpu_s)
        .wanted(10_000.0)
        .note(format!(
            "{} KB an answer; {}/s by the clock",
            status.len() / 1000,
            short(reads.load.per_second())
        ));
    let ratio = Figure::rate(
        "the same against GET /instances with as many that run",
        "x",
        reads.per_cpu_s / list.per_cpu_s,
    )
    .note(format!(
        "{}/s a CPU-second with {} KB an answer",
        short(list.per_cpu_s),
        body(&list.load.last).len() / 1000
    ));
    let tail = Figure::cost("p99", "ms", ms(&reads.load.latencies_us, 0.99))
        .floor("bare hyper server with the same bytes", ms(&bare.load.latencies_us, 0.99))
        .wanted(5.0)
        .note(format!("p50 {} ms", short(ms(&reads.load.latencies_us, 0.5))));
    Ok(vec![rate, ratio, tail])
}

/// A server with this many apps, all of which run.
fn server(count: usize) -> io::Result<Patrol> {
    let folder = Folder::default();
    symlink("/bin/sleep", folder.path("app"))?;
    let app = json!({
        "keepalive": 1,
        "name": "App under measurement",
        "working-directory": folder.path(""),
        "binary": "app",
        "args": ["1000000"],
        "env-parent": true,
        "log-directory": "logs",
        "pid-path": "app.pid",
    });
    let apps: Map<String, Value> =
        (0..count).map(|index| (format!("app-{index}"), app.clone())).collect();
    let patrol = folder.start_with(Builder::new(Value::Object(apps), json!({})));
    let begun = Instant::now();
    let runs = |app: &Value| app["pid"].as_u64().is_some_and(|pid| pid > 0);
    while !patrol.status()["apps"].as_object().is_some_and(|apps| apps.values().all(runs)) {
        if begun.elapsed() > START_LIMIT {
            return Err(io::Error::other("not all apps were started"));
        }
        std::thread::sleep(LOOK_EVERY);
    }
    Ok(patrol)
}
