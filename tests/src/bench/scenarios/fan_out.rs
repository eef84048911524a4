//! Lines at a steady rate for many subscribers.

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
    name: "fan-out",
    about: "20 000 log lines at 7 000/s for 50 subscribers",
    limit_s: 60,
    run,
};

const SUBSCRIBERS: usize = 50;
/// Lines a millisecond.
const BURST: usize = 7;
const LOG: &str = "\"type\":\"log\"";
const END: &str = "\"tcprx\":987654321987";
const LIMIT: Duration = Duration::from_secs(30);

fn run(stage: &Stage) -> Measured {
    let count = stage.size(20_000, 5_000);
    let subject = Subject::empty(stage)?;
    let marks = Marks::new(&[LOG, END, "\"tcprx\":0,"]);
    let mut readers = Readers::open(&subject.api(), SUBSCRIBERS, &marks)?;
    readers.until("the picture", LIMIT, |counter| counter.count(2) > 0)?;
    stage.step("the child prints");
    let before = cpu_ns(subject.pid());
    subject.create(&format!("bench://paced/{count}/100/{BURST}"))?;
    readers.until("the end", LIMIT, |counter| counter.count(1) > 0)?;
    let used_us = (cpu_ns(subject.pid()) - before) / 1e3;
    let delivered = readers.total(0) as f64;
    let bytes: u64 = readers.counters().map(|counter| counter.bytes()).sum();
    let frame_bytes = (bytes as f64 / delivered) as usize;
    stage.step("a bare loop writes the same");
    let bare = write_all(SUBSCRIBERS, count, BURST, frame_bytes)?;
    let share = 100.0 * delivered / (count * SUBSCRIBERS) as f64;
    let share = Figure::rate("lines delivered", "%", share).reference(50.5).wanted(100.0);
    let cpu = Figure::cost("CPU of the master a delivery", "µs", used_us / delivered)
        .floor("bare loop that writes 7 such frames at a time to 50 sockets", bare.cpu_us)
        .reference(6.83)
        .wanted(0.6)
        .note(format!("frames of {} bytes", short(frame_bytes as f64)));
    Ok(vec![share, cpu])
}
