//! A start with stored instances.

use super::super::figure::Figure;
use super::super::floor::server::FloorServer;
use super::super::floor::spawn::Children;
use super::super::stage::{Measured, Stage};
use super::super::stats::median;
use super::super::subject::{Policy, Subject};
use super::Scenario;

pub(super) const SCENARIO: Scenario =
    Scenario { name: "start", about: "a start with 500 stored instances", limit_s: 200, run };

fn run(stage: &Stage) -> Measured {
    let count = stage.size(500, 100);
    let mut subject = Subject::stored(stage, count, Policy::Running)?;
    let (mut up, mut running, mut bare_up, mut bare_running) = (vec![], vec![], vec![], vec![]);
    for round in 1..=stage.size(5, 2) {
        stage.step(&format!("start {round}"));
        let begun = std::time::Instant::now();
        up.push(subject.restart_until_up()?.as_secs_f64());
        running.push(subject.wait_all_running()?.duration_since(begun).as_secs_f64());
        subject.stop();
        bare_up.push(FloorServer::start(stage, b"{}")?.started_in().as_secs_f64());
        let (_children, took) = Children::start(stage.child(), "bench://wait", count)?;
        bare_running.push(took.as_secs_f64());
    }
    let up = Figure::cost("until the API answers", "s", median(&up))
        .floor("bare hyper server until it listens", median(&bare_up))
        .reference(51.0)
        .wanted(0.05);
    let running = Figure::cost("until all run", "s", median(&running))
        .floor("bare posix_spawn loop of the same program", median(&bare_running))
        .reference(51.0)
        .wanted(0.25);
    Ok(vec![up, running])
}
