//! The same processes under the master and under other process managers.

use std::fs;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use super::super::figure::{Figure, short};
use super::super::meter::proportional;
use super::super::peers::{Kind, Peer, crash_one, running};
use super::super::stage::{Measured, Stage};
use super::super::stats::median;
use super::Scenario;
use crate::{Master, Shell, binary, keeper, until};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "peers",
    about: "200 processes under the master, supervisord, pm2, s6 and runit",
    limit_s: 900,
    run,
};

/// How long a process runs before it is killed: a manager may hold back one that fails at once.
const HEALTHY: Duration = Duration::from_secs(11);

/// A figure of the table: its name, its unit, and where it is found.
type Part = (&'static str, &'static str, fn(&Row) -> f64);

/// What one manager needed.
struct Row {
    start_ms: f64,
    stop_ms: f64,
    /// Until the successor of a killed process runs.
    crash_ms: f64,
    /// Memory of the manager, a process.
    kib_each: f64,
}

fn run(stage: &Stage) -> Measured {
    let count = stage.size(200, 20);
    let kills = stage.size(5, 2);
    stage.step("the master");
    let own = of_master(stage, count, kills)?;
    let mut rows = Vec::new();
    for kind in Kind::ALL {
        stage.step(kind.name());
        match of_peer(stage, kind, count, kills) {
            Ok(row) => rows.push((kind.name(), row)),
            Err(reason) => stage.step(&format!("{} is skipped: {reason}", kind.name())),
        }
    }
    let parts: [Part; 4] = [
        ("until all run", "ms", |row| row.start_ms),
        ("until all have stopped", "ms", |row| row.stop_ms),
        ("from a crash to the successor", "ms", |row| row.crash_ms),
        ("memory a process", "KiB", |row| row.kib_each),
    ];
    let figure = |(name, unit, part): Part| {
        let others = rows.iter().map(|(peer, row)| format!("{peer} {}", short(part(row))));
        let note = others.collect::<Vec<_>>().join(", ");
        let note = if note.is_empty() { "no peer can be installed here".to_owned() } else { note };
        let best = rows.iter().min_by(|a, b| part(&a.1).total_cmp(&part(&b.1)));
        let figure = Figure::cost(name, unit, part(&own)).note(note);
        match best {
            Some((peer, row)) => figure.floor(peer, part(row)),
            None => figure,
        }
    };
    Ok(parts.into_iter().map(figure).collect())
}

fn of_master(stage: &Stage, count: usize, kills: usize) -> io::Result<Row> {
    let child = stage.file("own-child");
    fs::copy(stage.child(), &child)?;
    let mut master = Master::builder_for(binary::openctrl()).start();
    let file = master.folder().join("openctrl.toml");
    let command = child.to_str().expect("a temporary path is UTF-8");
    let entry = |n| format!("[instance.s{n:04}]\ncommand = [\"{command}\", \"bench://wait\"]\n");
    fs::write(&file, (0..count).map(entry).collect::<String>())?;
    let file = file.to_str().expect("a temporary path is UTF-8").to_owned();
    Shell::beside(&master).ok(&["apply", "-y", "-f", &file]);
    master.stop();
    let begun = Instant::now();
    master.begin_restart();
    until("every process to run", || running(&child).len() >= count);
    let start_ms = ms(begun.elapsed());
    thread::sleep(HEALTHY);
    let own = [Some(master.pid()), keeper::find(&master)];
    let memory: f64 = own.into_iter().flatten().map(proportional).sum();
    let crash_ms = crashes(kills, || crash_one(&child)).map_err(io::Error::other)?;
    let begun = Instant::now();
    master.stop();
    let stop_ms = ms(begun.elapsed());
    Ok(Row { start_ms, stop_ms, crash_ms, kib_each: memory / 1024.0 / count as f64 })
}

fn of_peer(stage: &Stage, kind: Kind, count: usize, kills: usize) -> Result<Row, String> {
    let peer = Peer::install(stage, kind)?;
    let running = peer.start(count)?;
    let start_ms = ms(running.started());
    thread::sleep(HEALTHY);
    let kib_each = running.memory() / 1024.0 / count as f64;
    let crash_ms = crashes(kills, || running.crash_one())?;
    let stop_ms = ms(running.stop()?);
    Ok(Row { start_ms, stop_ms, crash_ms, kib_each })
}

/// The median of some crashes, each of another process.
fn crashes(kills: usize, one: impl Fn() -> Result<Duration, String>) -> Result<f64, String> {
    let times: Result<Vec<f64>, String> = (0..kills).map(|_| one().map(ms)).collect();
    Ok(median(&times?))
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
