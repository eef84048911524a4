//! A shutdown with children that end when they are asked to.

use super::super::figure::Figure;
use super::super::floor::spawn::Children;
use super::super::stage::{Measured, Stage};
use super::super::stats::median;
use super::super::subject::{Policy, Subject};
use super::Scenario;

pub(super) const SCENARIO: Scenario =
    Scenario { name: "shutdown", about: "a stop of 500 obedient children", limit_s: 240, run };

fn run(stage: &Stage) -> Measured {
    let count = stage.size(500, 100);
    let mut subject = Subject::stored(stage, count, Policy::Running)?;
    let (mut stops, mut bare) = (vec![], vec![]);
    for round in 1..=stage.size(5, 2) {
        stage.step(&format!("stop {round}"));
        subject.restart_until_up()?;
        subject.wait_all_running()?;
        stops.push(subject.stop().as_secs_f64());
        let (mut children, _) = Children::start(stage.child(), "bench://wait", count)?;
        bare.push(children.stop()?.as_secs_f64());
    }
    let figure = Figure::cost("from SIGTERM to the end", "s", median(&stops))
        .floor("bare loop of kill and waitpid", median(&bare))
        .reference(1.49)
        .wanted(0.3);
    Ok(vec![figure])
}
