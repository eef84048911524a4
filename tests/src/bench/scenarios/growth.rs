//! How cost grows: the same work with ten and a hundred times as many instances or subscribers.

use std::io;
use std::time::Duration;

use super::super::client::{Client, body};
use super::super::figure::{Figure, short};
use super::super::meter::{cpu_ns, resident};
use super::super::readers::Readers;
use super::super::stage::{Measured, Stage};
use super::super::stats::median;
use super::super::stream::Marks;
use super::super::subject::{Policy, Subject, path};
use super::Scenario;
use super::change;
use super::reads::read;
use super::writes::patch;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "growth",
    about: "cost of one event with 100 to 10 000 instances and 1 to 1 000 subscribers",
    limit_s: 200,
    run,
};

const INSTANCES: [usize; 3] = [100, 1_000, 10_000];
const SUBSCRIBERS: [usize; 4] = [1, 10, 100, 1_000];
/// Above this, children take longer to start than all else together; `children` has more.
const CHILDREN_MAX: usize = 1_000;
const CONNECTIONS: usize = 16;
const LIMIT: Duration = Duration::from_secs(30);
const END: &str = "\"tcprx\":987654321987";

fn run(stage: &Stage) -> Measured {
    let mut figures = Vec::new();
    for count in &INSTANCES[..stage.size(3, 2)] {
        figures.extend(with_instances(stage, *count)?);
    }
    let subject = Subject::with_stopped(stage, 1)?;
    for count in &SUBSCRIBERS[..stage.size(4, 3)] {
        stage.step(&format!("{count} subscribers"));
        let changes = change::measure(&subject, *count, stage.size(2000, 200) / count.max(&20))?;
        let note = format!("the last has it after {} ms", short(median(&changes.last_ms)));
        let name = format!("CPU a delivery, {count} subscribers");
        figures.push(Figure::cost(&name, "µs", changes.cpu_us).note(note));
    }
    Ok(figures)
}

fn with_instances(stage: &Stage, count: usize) -> io::Result<Vec<Figure>> {
    let subject = Subject::with_stopped(stage, count)?;
    let named = |what: &str| format!("{what}, {count} instances");
    stage.step(&named("PATCH"));
    let duration = Duration::from_millis(stage.size(1500, 300) as u64);
    let patches = patch(&subject, CONNECTIONS, duration)?;
    stage.step(&named("GET one"));
    let request = subject.request("GET", &path(&subject.ids[count / 2]), "");
    let reads = read(stage, subject.address(), subject.pid(), CONNECTIONS, &request)?;
    if body(&reads.load.last).is_empty() {
        return Err(io::Error::other("an instance has no body"));
    }
    stage.step(&named("checkpoints"));
    let checkpoint_us = checkpoints(&subject, stage.size(200_000, 20_000))?;
    let stopped = resident(subject.pid());
    drop(subject);
    let mut figures = vec![
        Figure::cost(&named("CPU a PATCH"), "µs", patches.cpu_us),
        Figure::cost(&named("CPU a GET"), "µs", 1e6 / reads.per_cpu_s),
        Figure::cost(&named("CPU a checkpoint"), "µs", checkpoint_us),
        Figure::cost(&named("memory"), "MB", stopped / 1e6),
    ];
    if count <= CHILDREN_MAX {
        stage.step(&named("children"));
        let kib = memory_a_child(stage, count)?;
        figures.push(Figure::cost(&named("memory a child"), "KiB", kib));
    }
    Ok(figures)
}

/// CPU time of the master for a checkpoint, in µs.
fn checkpoints(subject: &Subject, count: usize) -> io::Result<f64> {
    let mut reader = Readers::open(&subject.api(), 1, &Marks::new(&[END, "\"type\":\"initial\""]))?;
    let instances = subject.ids.len() as u64 + 1;
    reader.until("the picture", LIMIT, |counter| counter.count(1) >= instances)?;
    let before = cpu_ns(subject.pid());
    subject.create(&format!("bench://checkpoints/{count}"))?;
    reader.until("the end", LIMIT, |counter| counter.count(0) > 0)?;
    Ok((cpu_ns(subject.pid()) - before) / 1e3 / count as f64)
}

/// What the master's memory grows by with each child that runs.
fn memory_a_child(stage: &Stage, count: usize) -> io::Result<f64> {
    let mut subject = Subject::stored(stage, count, Policy::Running)?;
    subject.restart_until_up()?;
    subject.wait_all_running()?;
    let running = resident(subject.pid());
    subject.stop();
    drop(subject);
    let without = Subject::with_stopped(stage, count)?;
    // The first request makes what the running one has made.
    Client::open(without.address())?.ask(&without.request("GET", "/info", ""))?;
    let stopped = resident(without.pid());
    Ok((running - stopped) / 1024.0 / count as f64)
}
