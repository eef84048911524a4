//! One child that floods its log.

use std::time::Duration;

use super::super::figure::{Figure, short};
use super::super::floor::pipe::read_lines;
use super::super::meter::cpu_ns;
use super::super::readers::Readers;
use super::super::stage::{Measured, Stage};
use super::super::stream::Marks;
use super::super::subject::Subject;
use super::Scenario;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "flood",
    about: "one child floods 500 000 lines of 100 bytes, one subscriber",
    limit_s: 60,
    run,
};

const LOG: &str = "\"type\":\"log\"";
const END: &str = "\"tcprx\":987654321987";
const LIMIT: Duration = Duration::from_secs(30);

fn run(stage: &Stage) -> Measured {
    let count = stage.size(500_000, 50_000);
    let url = format!("bench://lines/{count}/100");
    let subject = Subject::empty(stage)?;
    let mut reader = Readers::open(&subject.api(), 1, &Marks::new(&[LOG, END, "\"tcprx\":0,"]))?;
    reader.until("the picture", LIMIT, |counter| counter.count(2) > 0)?;
    stage.step("the child prints");
    let before = cpu_ns(subject.pid());
    subject.create(&url)?;
    let begun = reader.until("the first line", LIMIT, |counter| counter.count(0) > 0)?;
    let last = reader.until("the end", LIMIT, |counter| counter.count(1) > 0)?;
    let cpu_us = (cpu_ns(subject.pid()) - before) / 1e3 / count as f64;
    let lines_per_s = count as f64 / last.duration_since(begun).as_secs_f64();
    let (delivered, lost) = reader.counters().fold((0, 0), |_, c| (c.count(0), c.lost()));
    stage.step("a bare reader reads the same");
    let bare = read_lines(stage.child(), &url)?;
    let share = |lines: u64| 100.0 * lines as f64 / count as f64;
    // A gap counts all events, a few of which are not lines.
    let told = share(delivered + lost).min(100.0);
    let rate = Figure::rate("lines a second", "1/s", lines_per_s)
        .floor("bare reader of the same pipe", bare.lines_per_s)
        .reference(244_000.0)
        .wanted(976_000.0)
        .note(format!("{} µs of CPU a line", short(cpu_us)));
    let told = Figure::rate("delivered or told as lost", "%", told)
        .reference(8.5)
        .wanted(100.0)
        .note(format!("{} % delivered", short(share(delivered))));
    Ok(vec![rate, told])
}
