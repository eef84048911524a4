//! What the control API costs v2's creations: the same with and without it, in turn, so that other
//! load on the machine is in both.

use std::fs;
use std::io;
use std::path::PathBuf;

use tempfile::TempDir;

use super::super::client::{Client, Until, load};
use super::super::figure::{Figure, short};
use super::super::meter::{cpu_ns, settle};
use super::super::stage::{Measured, Stage};
use super::super::stats::median;
use super::super::subject::Subject;
use super::Scenario;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "control-create",
    about: "create 500 with and without the control API, 1 and 16 clients",
    limit_s: 300,
    run,
};

const CREATORS: [usize; 2] = [1, 16];

/// Where the sockets of the instances are.
struct Mode {
    name: &'static str,
    dir: PathBuf,
    /// `control_sockets=tagged`: no instance of this scenario has one.
    is_tagged: bool,
}

/// What creating came to.
struct Created {
    per_s: f64,
    /// CPU time of the master an instance until nothing is left to do, in µs.
    cpu_us: f64,
}

fn run(stage: &Stage) -> Measured {
    let memory = memory_dir();
    let mut modes = vec![
        Mode { name: "control_sockets=tagged", dir: stage.file("run"), is_tagged: true },
        Mode { name: "sockets on the disk", dir: stage.file("run"), is_tagged: false },
    ];
    if let Some(memory) = &memory {
        let dir = memory.path().join("run");
        modes.insert(1, Mode { name: "sockets in memory", dir, is_tagged: false });
    }
    let mut figures = Vec::new();
    for creators in CREATORS {
        figures.extend(compare(stage, &modes, creators)?);
    }
    Ok(figures)
}

fn compare(stage: &Stage, modes: &[Mode], creators: usize) -> Measured {
    let mut without = Vec::new();
    let mut with: Vec<Vec<Created>> = modes.iter().map(|_| Vec::new()).collect();
    for round in 1..=stage.size(7, 1) {
        stage.step(&format!("{creators} clients create without and with, round {round}"));
        without.push(create(stage, Subject::empty(stage)?, creators)?);
        for (mode, with) in modes.iter().zip(&mut with) {
            let more: &[(&str, &str)] =
                if mode.is_tagged { &[("control_sockets", "tagged")] } else { &[] };
            let subject = Subject::with_control_in(stage, &mode.dir, more)?;
            with.push(create(stage, subject, creators)?);
        }
    }
    let figure = |(mode, with): (&Mode, &Vec<Created>)| {
        let ratios: Vec<f64> =
            with.iter().zip(&without).map(|(these, those)| these.per_s / those.per_s).collect();
        let rate =
            |of: &[Created]| short(median(&of.iter().map(|it| it.per_s).collect::<Vec<_>>()));
        let cpu =
            |of: &[Created]| short(median(&of.iter().map(|it| it.cpu_us).collect::<Vec<_>>()));
        let name = format!("of those without, {creators} clients, {}", mode.name);
        Figure::rate(&name, "×", median(&ratios)).wanted(0.9).note(format!(
            "{}/s with, {}/s without; CPU of the master an instance until all is done: {} µs with, \
             {} µs without; each create stores about six events",
            rate(with),
            rate(&without),
            cpu(with),
            cpu(&without)
        ))
    };
    Ok(modes.iter().zip(&with).map(figure).collect())
}

fn create(stage: &Stage, mut subject: Subject, creators: usize) -> io::Result<Created> {
    let request = subject.request("POST", "/instances", "{\"url\":\"bench://wait/host\"}");
    let count = stage.size(500, 100);
    // The first answer is not part of it.
    Client::open(subject.address())?.ask(&subject.request("GET", "/info", ""))?;
    let before = cpu_ns(subject.pid());
    let created =
        load(subject.address(), creators, Until::Answers(count as u64), |_| &request[..])?;
    settle(subject.pid());
    let cpu_us = (cpu_ns(subject.pid()) - before) / 1e3 / count as f64;
    subject.stop();
    Ok(Created { per_s: created.per_second(), cpu_us })
}

/// A directory on a file system in memory, as `/run` usually is one.
fn memory_dir() -> Option<TempDir> {
    let mounts = fs::read_to_string("/proc/mounts").ok()?;
    let mut places = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let (place, kind) = (fields.next()?, fields.next()?);
        (kind == "tmpfs" && ["/run", "/dev/shm", "/tmp"].contains(&place)).then_some(place)
    });
    places.find_map(|place| TempDir::new_in(place).ok())
}
