//! Changing stored instances.

use std::time::Duration;

use super::super::client::body;
use super::super::figure::{Figure, short};
use super::super::stage::{Measured, Stage};
use super::super::subject::Subject;
use super::Scenario;
use super::writes::{FLOOR, floor, patch};

pub(super) const SCENARIO: Scenario =
    Scenario { name: "patch", about: "PATCH with 2 000 stored, 16 clients", limit_s: 60, run };

const CLIENTS: usize = 16;

fn run(stage: &Stage) -> Measured {
    let subject = Subject::with_stopped(stage, stage.size(2000, 300))?;
    let duration = Duration::from_millis(stage.size(3000, 500) as u64);
    stage.step("changing aliases");
    let patches = patch(&subject, CLIENTS, duration)?;
    stage.step("doing the same with a bare server");
    let bare = floor(stage, CLIENTS, duration, body(&patches.load.last))?;
    let rate = Figure::rate("answers a second", "1/s", patches.load.per_second())
        .floor(FLOOR, bare.per_s)
        .reference(10_100.0)
        .wanted(20_200.0)
        .note(format!("the disk does {} fdatasync/s one by one", short(bare.syncs_per_s)));
    let cpu = Figure::cost("CPU of the master a change", "µs", patches.cpu_us);
    Ok(vec![rate, cpu])
}
