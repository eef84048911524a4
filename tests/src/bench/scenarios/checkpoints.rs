//! One child that reports as fast as it can.

use std::time::{Duration, Instant};

use super::super::figure::{Figure, short};
use super::super::floor::fan_out::write_all;
use super::super::floor::pipe::read_lines;
use super::super::meter::cpu_ns;
use super::super::readers::Readers;
use super::super::stage::{Measured, Stage};
use super::super::stream::Marks;
use super::super::subject::Subject;
use super::Scenario;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "checkpoints",
    about: "one child prints a million checkpoints flat out, one subscriber",
    limit_s: 60,
    run,
};

const UPDATE: &str = "\"type\":\"update\"";
const END: &str = "\"tcprx\":987654321987";
const LIMIT: Duration = Duration::from_secs(30);

fn run(stage: &Stage) -> Measured {
    let count = stage.size(1_000_000, 100_000);
    let url = format!("bench://checkpoints/{count}");
    let subject = Subject::empty(stage)?;
    let mut reader = Readers::open(&subject.api(), 1, &Marks::new(&[UPDATE, END, "\"tcprx\":0,"]))?;
    reader.until("the picture", LIMIT, |counter| counter.count(2) > 0)?;
    stage.step("the child prints");
    let before = cpu_ns(subject.pid());
    subject.create(&url)?;
    let begun = first_update(&mut reader)?;
    let last = reader.until("the end", LIMIT, |counter| counter.count(1) > 0)?;
    let cpu_us = (cpu_ns(subject.pid()) - before) / 1e3 / count as f64;
    let lines_per_s = count as f64 / last.duration_since(begun).as_secs_f64();
    let (updates, lost, bytes) =
        reader.counters().fold((0, 0, 0), |_, c| (c.count(0), c.lost(), c.bytes()));
    stage.step("a bare reader reads the same");
    let bare = read_lines(stage.child(), &url)?;
    let frame_bytes = (bytes / updates.max(1)) as usize;
    let socket = write_all(1, updates.max(1) as usize, 100, frame_bytes.max(30))?;
    let note = format!(
        "{} events of {frame_bytes} bytes reached the subscriber, {} more told as lost; \
         a bare loop writes them for {} µs of CPU each",
        short(updates as f64),
        short(lost as f64),
        short(socket.cpu_us)
    );
    let rate = Figure::rate("lines a second", "1/s", lines_per_s)
        .floor("bare reader of the same pipe", bare.lines_per_s)
        .reference(289_000.0)
        .wanted(1_445_000.0)
        .note(note);
    let cpu = Figure::cost("CPU of the master a line", "µs", cpu_us)
        .floor("bare reader of the same pipe", bare.cpu_us)
        .reference(2.84)
        .wanted(0.5);
    Ok(vec![rate, cpu])
}

/// The child makes all its lines before it prints the first: the time begins with that one.
fn first_update(reader: &mut Readers) -> std::io::Result<Instant> {
    // The start is an update, too.
    reader.until("the first checkpoint", LIMIT, |counter| counter.count(0) > 1)
}
