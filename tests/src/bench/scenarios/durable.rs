//! As many durable changes a second as there can be.

use std::time::Duration;

use super::super::client::body;
use super::super::figure::{Figure, short};
use super::super::stage::{Measured, Stage};
use super::super::subject::Subject;
use super::Scenario;
use super::writes::{FLOOR, floor, patch};

pub(super) const SCENARIO: Scenario =
    Scenario { name: "durable", about: "PATCH with 1 000 stored, 256 clients", limit_s: 60, run };

const CLIENTS: usize = 256;

fn run(stage: &Stage) -> Measured {
    let subject = Subject::with_stopped(stage, stage.size(1000, 300))?;
    let duration = Duration::from_millis(stage.size(3000, 500) as u64);
    stage.step("changing aliases");
    let patches = patch(&subject, CLIENTS, duration)?;
    stage.step("doing the same with a bare server");
    let bare = floor(stage, CLIENTS, duration, body(&patches.load.last))?;
    let figure = Figure::rate("durable changes a second", "1/s", patches.load.per_second())
        .floor(FLOOR, bare.per_s)
        .wanted(5000.0)
        .note(format!(
            "{} µs of CPU a change; the disk does {} fdatasync/s one by one",
            short(patches.cpu_us),
            short(bare.syncs_per_s)
        ));
    Ok(vec![figure])
}
