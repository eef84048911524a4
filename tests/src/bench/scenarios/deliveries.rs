//! As many deliveries as there can be.

use std::time::Duration;

use super::super::figure::{Figure, short};
use super::super::floor::fan_out::write_all;
use super::super::meter::cpu_ns;
use super::super::readers::Readers;
use super::super::stage::{Measured, Stage};
use super::super::stream::Marks;
use super::super::subject::Subject;
use super::Scenario;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "deliveries",
    about: "short log lines flat out for 50 subscribers",
    limit_s: 60,
    run,
};

const SUBSCRIBERS: usize = 50;
const LOG: &str = "\"type\":\"log\"";
const END: &str = "\"tcprx\":987654321987";
const LIMIT: Duration = Duration::from_secs(30);
/// Frames in a write of the bare loop: some 64 KiB.
const BATCH: usize = 100;

fn run(stage: &Stage) -> Measured {
    // Fewer than the replay window of a master may hold.
    let count = stage.size(60_000, 10_000);
    let subject = Subject::empty(stage)?;
    let marks = Marks::new(&[LOG, END, "\"tcprx\":0,"]);
    let mut readers = Readers::open(&subject.api(), SUBSCRIBERS, &marks)?;
    readers.until("the picture", LIMIT, |counter| counter.count(2) > 0)?;
    stage.step("the child prints");
    let before = cpu_ns(subject.pid());
    subject.create(&format!("bench://lines/{count}/20"))?;
    let begun = readers.until("a line each", LIMIT, |counter| counter.count(0) > 0)?;
    let last = readers.until("the end", LIMIT, |counter| counter.count(1) > 0)?;
    let used_s = (cpu_ns(subject.pid()) - before) / 1e9;
    let delivered = readers.total(0) as f64;
    let bytes: u64 = readers.counters().map(|counter| counter.bytes()).sum();
    let lost: u64 = readers.counters().map(|counter| counter.lost()).sum();
    stage.step("a bare loop writes the same");
    let bare = write_all(SUBSCRIBERS, count, BATCH, (bytes as f64 / delivered) as usize)?;
    let took = last.duration_since(begun).as_secs_f64();
    let rate = Figure::rate("event deliveries a second", "1/s", delivered / took)
        .floor("bare loop that writes 100 such frames at a time to 50 sockets", bare.per_s)
        .wanted(3e6)
        .note(format!("{} told as lost", short(lost as f64)));
    let per_cpu = Figure::rate("event deliveries a CPU-second", "1/s", delivered / used_s)
        .floor("the same", 1e6 / bare.cpu_us);
    Ok(vec![rate, per_cpu])
}
