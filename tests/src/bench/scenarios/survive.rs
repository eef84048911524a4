//! What it costs that children outlive the master: the same master with and without a keeper.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use super::super::figure::{Figure, short};
use super::super::meter::{anonymous, cpu_ns, proportional};
use super::super::stage::{Measured, Stage};
use super::super::stats::median;
use super::super::subject::{Policy, Subject};
use super::Scenario;
use crate::keeper;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "survive",
    about: "1,000 processes that outlive their master, and without that",
    limit_s: 240,
    run,
};

const MIB: f64 = 1_048_576.0;

/// How long memory is looked at that does not change.
const SETTLES: Duration = Duration::from_millis(500);

/// What a start of all processes costs.
struct Started {
    seconds: f64,
    cpu_ms: f64,
}

fn run(stage: &Stage) -> Measured {
    let count = stage.size(1_000, 100);
    let (idle_with, idle_without) = (idle(stage, "on")?, idle(stage, "off")?);
    let mut on = stored(stage, count, "on")?;
    let mut off = stored(stage, count, "off")?;
    let (mut with, mut without) = (vec![], vec![]);
    let (mut each, mut attached, mut up) = (vec![], vec![], vec![]);
    for round in 1..=stage.size(5, 2) {
        stage.step(&format!("start {round} without a keeper"));
        without.push(start(&mut off)?);
        off.stop();
        stage.step(&format!("start {round} with a keeper"));
        with.push(start(&mut on)?);
        let keeper = keeper_of(&on)?;
        each.push((anonymous(keeper) - idle_with.keeper) / count as f64);
        stage.step("the master is killed, and the next one takes the processes over");
        on.master.crash();
        let begun = Instant::now();
        up.push(on.restart_until_up()?.as_secs_f64());
        attached.push(on.wait_all_running()?.duration_since(begun).as_secs_f64());
        if keeper_of(&on)? != keeper {
            return Err(io::Error::other("the keeper was replaced"));
        }
        on.stop();
    }
    let of = |starts: &[Started], part: fn(&Started) -> f64| {
        median(&starts.iter().map(part).collect::<Vec<_>>())
    };
    let (seconds, bare_seconds) = (of(&with, |s| s.seconds), of(&without, |s| s.seconds));
    let (cpu, bare_cpu) = (of(&with, |s| s.cpu_ms), of(&without, |s| s.cpu_ms));
    let floor = "the same with survive=off";
    Ok(vec![
        Figure::cost("until all run", "s", seconds).floor(floor, bare_seconds).wanted(bare_seconds),
        Figure::cost("CPU of master and keeper until then", "ms", cpu)
            .floor(floor, bare_cpu)
            .wanted(0.7 * bare_cpu),
        Figure::cost("idle memory of both", "MB", idle_with.both / 1e6)
            .floor(floor, idle_without.both / 1e6)
            .wanted((idle_without.both + MIB) / 1e6)
            .note(format!(
                "what is shared counts in equal parts; {} KiB of the keeper are no part of a file",
                short(idle_with.keeper / 1024.0)
            )),
        Figure::cost("memory of the keeper a child", "B", median(&each)).wanted(300.0),
        Figure::cost("from a start after a kill until all are attached", "s", median(&attached))
            .wanted(0.3)
            .note(format!("API up after {} s", short(median(&up)))),
    ])
}

struct Idle {
    both: f64,
    /// What the keeper has that is no part of a file.
    keeper: f64,
}

/// The memory of a master without instances, and of its keeper.
fn idle(stage: &Stage, survive: &str) -> io::Result<Idle> {
    let mut subject = Subject::empty(stage)?;
    subject.stop();
    subject.master.reconfigure(|builder| builder.query("survive", survive));
    subject.restart_until_up()?;
    let keeper = keeper::find(&subject.master);
    let memory = |measure: fn(i32) -> f64| keeper.map_or(0.0, measure);
    let measure = || proportional(subject.pid()) + memory(proportional);
    // A start gives memory back at its end.
    let mut both = f64::INFINITY;
    while both != measure() {
        both = measure();
        thread::sleep(SETTLES);
    }
    Ok(Idle { both, keeper: memory(anonymous) })
}

fn stored(stage: &Stage, count: usize, survive: &str) -> io::Result<Subject> {
    let mut subject = Subject::stored(stage, count, Policy::Running)?;
    subject.master.reconfigure(|builder| builder.query("survive", survive));
    Ok(subject)
}

fn start(subject: &mut Subject) -> io::Result<Started> {
    let begun = Instant::now();
    subject.restart_until_up()?;
    let seconds = subject.wait_all_running()?.duration_since(begun).as_secs_f64();
    let keeper = keeper::find(&subject.master);
    let cpu_ms = (cpu_ns(subject.pid()) + keeper.map_or(0.0, cpu_ns)) / 1e6;
    Ok(Started { seconds, cpu_ms })
}

fn keeper_of(subject: &Subject) -> io::Result<i32> {
    keeper::find(&subject.master).ok_or_else(|| io::Error::other("it has no keeper"))
}
