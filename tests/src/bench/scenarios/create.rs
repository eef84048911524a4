//! Creating instances, which start at once.

use std::time::Duration;

use super::super::client::{Until, body, load};
use super::super::figure::{Figure, short};
use super::super::meter::cpu_ns;
use super::super::stage::{Measured, Stage};
use super::super::stats::median;
use super::super::subject::Subject;
use super::Scenario;
use super::writes::{FLOOR, floor};

pub(super) const SCENARIO: Scenario =
    Scenario { name: "create", about: "create 500 with 16 clients", limit_s: 60, run };

const CLIENTS: usize = 16;

fn run(stage: &Stage) -> Measured {
    let count = stage.size(500, 100);
    let (mut rates, mut cpu_us, mut bare, mut syncs) = (vec![], vec![], vec![], 0.0);
    for round in 1..=stage.size(7, 1) {
        stage.step(&format!("round {round}"));
        let mut subject = Subject::empty(stage)?;
        let request = subject.request("POST", "/instances", "{\"url\":\"bench://wait/host\"}");
        let before = cpu_ns(subject.pid());
        let until = Until::Answers(count as u64);
        let created = load(subject.address(), CLIENTS, until, |_| &request[..])?;
        cpu_us.push((cpu_ns(subject.pid()) - before) / 1e3 / count as f64);
        rates.push(created.per_second());
        subject.stop();
        let floor = floor(stage, CLIENTS, Duration::from_millis(500), body(&created.last))?;
        bare.push(floor.per_s);
        syncs = floor.syncs_per_s;
    }
    let figure = Figure::rate("answers a second", "1/s", median(&rates))
        .floor(&format!("{FLOOR}; starts nothing"), median(&bare))
        .reference(894.0)
        .wanted(1788.0)
        .note(format!(
            "{} µs of CPU an answer, starts included; the disk does {} fdatasync/s one by one",
            short(median(&cpu_us)),
            short(syncs)
        ));
    Ok(vec![figure])
}
