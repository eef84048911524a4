//! Log lines of one process into its file, as fast as they are taken, beside supervisord.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::super::figure::{Figure, short};
use super::super::floor::spawn;
use super::super::meter::{cpu_ns, thread_cpu_ns};
use super::super::peers::{Kind, Peer};
use super::super::stage::{Measured, Stage};
use super::super::stats::median;
use super::super::subject::{Subject, list_ids};
use super::Scenario;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "log-files",
    about: "log lines of 200 bytes into a file, 1 and 300 a write; supervisord with the same",
    limit_s: 240,
    run,
};

const LINE_BYTES: usize = 200;
/// What the master puts before a line: a time and a space.
const TIME_BYTES: usize = 28;
const ROUNDS: usize = 3;
const LIMIT: Duration = Duration::from_secs(60);
/// How often it is looked how long the file is.
const POLL: Duration = Duration::from_millis(1);

/// What one writer of a file came to, a line.
#[derive(Clone, Copy)]
struct Rate {
    lines_per_s: f64,
    cpu_us: f64,
}

fn run(stage: &Stage) -> Measured {
    let count = stage.size(1_000_000, 100_000);
    stage.step("supervisord: installing it");
    let peer = match Peer::install(stage, Kind::Supervisord) {
        Ok(peer) => Some(peer),
        Err(reason) => {
            stage.step(&format!("supervisord is skipped: {reason}"));
            None
        }
    };
    let mut figures = Vec::new();
    for burst in [1, 300] {
        let url = format!("bench://lines/{count}/{LINE_BYTES}/{burst}");
        let (mut own, mut bare, mut beside) = (Vec::new(), Vec::new(), Vec::new());
        for round in 1..=stage.size(ROUNDS, 1) {
            stage.step(&format!("{burst} a write, round {round}"));
            own.push(master(stage, &url, count)?);
            bare.push(copy(stage, &url, count)?);
            if let Some(peer) = &peer {
                beside.push(supervisord(stage, peer, &url, count)?);
            }
        }
        figures.extend(of(burst, [&own, &bare, &beside]));
    }
    Ok(figures)
}

fn of(burst: usize, [own, bare, beside]: [&[Rate]; 3]) -> [Figure; 2] {
    let lines = |all: &[Rate]| median(&all.iter().map(|rate| rate.lines_per_s).collect::<Vec<_>>());
    let cpu = |all: &[Rate]| median(&all.iter().map(|rate| rate.cpu_us).collect::<Vec<_>>());
    let mut rate = Figure::rate(&format!("lines, {burst} a write"), "1/s", lines(own))
        .floor("bare reader that appends what it reads to a file", lines(bare));
    let mut cost = Figure::cost(&format!("CPU a line, {burst} a write"), "µs", cpu(own))
        .floor("the same", cpu(bare));
    if !beside.is_empty() {
        rate = rate.wanted(lines(beside)).note("wanted: supervisord".to_owned());
        cost = cost.wanted(cpu(beside)).note(format!("supervisord: {} µs", short(cpu(beside))));
    }
    [rate, cost]
}

fn master(stage: &Stage, url: &str, count: usize) -> io::Result<Rate> {
    let logs = stage.file("logs");
    let _ = fs::remove_dir_all(&logs);
    let text = logs.to_str().expect("a temporary path is UTF-8");
    let subject = Subject::with(stage, &[("logs", text), ("log_size", "65536")])?;
    subject.create(url)?;
    let ids = list_ids(&subject.api())?;
    let id = ids.first().ok_or_else(|| io::Error::other("nothing was created"))?;
    let file = logs.join(format!("{id}.log"));
    timed(&file, count * (TIME_BYTES + LINE_BYTES + 1), count, || cpu_ns(subject.pid()))
}

fn supervisord(stage: &Stage, peer: &Peer, url: &str, count: usize) -> io::Result<Rate> {
    let file = stage.file("supervised");
    let _ = fs::remove_file(&file);
    let mut manager = peer.supervise_logging(url, &file).map_err(io::Error::other)?;
    let pid = Pid::from_child(&manager);
    let rate = timed(&file, count * (LINE_BYTES + 1), count, || cpu_ns(pid.as_raw_pid()));
    kill_process(pid, Signal::TERM)?;
    manager.wait()?;
    rate
}

/// Waits until a file has this many bytes; counts from its first.
fn timed(file: &Path, bytes: usize, count: usize, cpu: impl Fn() -> f64) -> io::Result<Rate> {
    let asked = Instant::now();
    let mut begun = None;
    loop {
        let length = fs::metadata(file).map_or(0, |data| data.len());
        let (since, before) = match begun {
            None if length == 0 => (asked, 0.0),
            known => *begun.insert(known.unwrap_or_else(|| (Instant::now(), cpu()))),
        };
        if length >= bytes as u64 {
            let lines = count as f64;
            let lines_per_s = lines / since.elapsed().as_secs_f64();
            return Ok(Rate { lines_per_s, cpu_us: (cpu() - before) / 1e3 / lines });
        }
        if asked.elapsed() > LIMIT {
            let what = format!("{} has only {length} of {bytes} bytes", file.display());
            return Err(io::Error::new(io::ErrorKind::TimedOut, what));
        }
        thread::sleep(POLL);
    }
}

/// Appends what a process prints to a file.
fn copy(stage: &Stage, url: &str, count: usize) -> io::Result<Rate> {
    let (mut child, mut output) = spawn::start(stage.child(), url)?;
    let mut file = File::create(stage.file("copied"))?;
    let mut block = vec![0; 64 * 1024];
    let (mut bytes, mut begun) = (0, None);
    let cpu = thread_cpu_ns();
    while bytes < count * (LINE_BYTES + 1) {
        let read = output.read(&mut block)?;
        begun.get_or_insert_with(Instant::now);
        file.write_all(&block[..read])?;
        bytes += read;
    }
    let took = begun.map_or(f64::NAN, |begun| begun.elapsed().as_secs_f64());
    let cpu_us = (thread_cpu_ns() - cpu) / 1e3 / count as f64;
    child.kill()?;
    child.wait()?;
    Ok(Rate { lines_per_s: count as f64 / took, cpu_us })
}
