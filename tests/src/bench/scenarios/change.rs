//! One change for very many subscribers.

use std::io;
use std::time::{Duration, Instant};

use super::super::client::Client;
use super::super::figure::{Figure, short};
use super::super::floor::fan_out::write_all;
use super::super::meter::cpu_ns;
use super::super::readers::Readers;
use super::super::stage::{Measured, Stage};
use super::super::stats::{median, percentile};
use super::super::stream::Marks;
use super::super::subject::{Subject, path};
use super::Scenario;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "change",
    about: "one change for 1 000 subscribers, until the last has it",
    limit_s: 60,
    run,
};

const UPDATE: &str = "\"type\":\"update\"";
const INITIAL: &str = "\"type\":\"initial\"";
const LIMIT: Duration = Duration::from_secs(20);

fn run(stage: &Stage) -> Measured {
    let count = stage.size(1000, 200);
    let subject = Subject::with_stopped(stage, 1)?;
    stage.step("subscribing");
    let changes = measure(&subject, count, stage.size(40, 5))?;
    stage.step("a bare loop writes the same");
    let bare: io::Result<Vec<f64>> = (0..stage.size(20, 3))
        .map(|_| write_all(count, 1, 1, changes.frame_bytes).map(|bare| bare.last_ms))
        .collect();
    let figure = Figure::cost("until the last has it, median", "ms", median(&changes.last_ms))
        .floor("bare loop that writes such a frame to as many sockets", median(&bare?))
        .reference(19.0)
        .wanted(5.0)
        .note(format!(
            "p90 {} ms; {} µs of CPU of the master a delivery",
            short(percentile(&changes.last_ms, 0.9)),
            short(changes.cpu_us)
        ));
    Ok(vec![figure])
}

/// What changes for many subscribers came to.
pub(super) struct Changes {
    /// Of each change, from its request until the last subscriber had it.
    pub(super) last_ms: Vec<f64>,
    /// CPU time of the master a delivery, the request's share included.
    pub(super) cpu_us: f64,
    pub(super) frame_bytes: usize,
}

/// Changes the first instance a number of times, with a number of subscribers.
pub(super) fn measure(subject: &Subject, count: usize, rounds: usize) -> io::Result<Changes> {
    let mut readers = Readers::open(&subject.api(), count, &Marks::new(&[UPDATE, INITIAL]))?;
    let instances = subject.ids.len() as u64 + 1;
    readers.until("the picture", LIMIT, |counter| counter.count(1) >= instances)?;
    let mut client = Client::open(subject.address())?;
    let mut change = |round: u64| -> io::Result<Duration> {
        let body = format!("{{\"alias\":\"round-{round:06}\"}}");
        let request = subject.request("PATCH", &path(&subject.ids[0]), &body);
        let begun = Instant::now();
        client.ask(&request)?;
        let last = readers.until("the change", LIMIT, |counter| counter.count(0) >= round)?;
        Ok(last.duration_since(begun))
    };
    // The first one finds everything cold.
    change(1)?;
    let before = cpu_ns(subject.pid());
    let last_ms: io::Result<Vec<f64>> =
        (2..=rounds as u64 + 1).map(|round| Ok(change(round)?.as_secs_f64() * 1e3)).collect();
    let cpu_us = (cpu_ns(subject.pid()) - before) / 1e3 / (rounds * count) as f64;
    let received: u64 = readers.counters().map(|counter| counter.bytes()).sum();
    let events = (rounds + 1 + instances as usize) * count;
    Ok(Changes { last_ms: last_ms?, cpu_us, frame_bytes: received as usize / events })
}
