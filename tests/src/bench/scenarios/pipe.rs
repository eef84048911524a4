//! Log lines through one pipe, as fast as they are taken.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use super::super::client::Client;
use super::super::figure::{Figure, short};
use super::super::floor::pipe::read_lines;
use super::super::meter::cpu_ns;
use super::super::stage::{Measured, Stage};
use super::super::subject::{Subject, list_ids, path};
use super::Scenario;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "pipe",
    about: "log lines of 200 bytes through one pipe, no subscriber",
    limit_s: 60,
    run,
};

const LINE_BYTES: usize = 200;
/// In what a read of the instance says before the first line, and after the last.
const BEGIN: &[u8] = b"\"tcprx\":123454321,";
const END: &[u8] = b"\"tcprx\":987654321987,";
const LIMIT: Duration = Duration::from_secs(40);
/// How often it is looked how far the child is.
const POLL: Duration = Duration::from_millis(2);

fn run(stage: &Stage) -> Measured {
    let count = stage.size(1_000_000, 100_000);
    let url = format!("bench://lines/{count}/{LINE_BYTES}");
    let subject = Subject::empty(stage)?;
    stage.step("the child prints");
    subject.create(&url)?;
    let begun = wait(&subject, &[BEGIN, END])?;
    let before = cpu_ns(subject.pid());
    let last = wait(&subject, &[END])?;
    let used_s = (cpu_ns(subject.pid()) - before) / 1e9;
    stage.step("a bare reader reads the same");
    let bare = read_lines(stage.child(), &url)?;
    let mb = (count * (LINE_BYTES + 1)) as f64 / 1e6;
    let rate = mb / last.duration_since(begun).as_secs_f64();
    let figure = Figure::rate("log lines", "MB/s", rate)
        .floor("bare reader of the same pipe", bare.mb_per_s)
        .wanted(400.0)
        .note(format!("{} µs of CPU a line", short(used_s * 1e6 / count as f64)));
    Ok(vec![figure])
}

/// Waits until a read of the only instance shows one of these marks; returns when it did.
fn wait(subject: &Subject, marks: &[&[u8]]) -> io::Result<Instant> {
    let ids = list_ids(&subject.api())?;
    let id = ids.first().ok_or_else(|| io::Error::other("nothing was created"))?;
    let request = subject.request("GET", &path(id), "");
    let mut client = Client::open(subject.address())?;
    let begun = Instant::now();
    loop {
        let answer = client.ask(&request)?;
        if marks.iter().any(|mark| memchr::memmem::find(answer, mark).is_some()) {
            return Ok(Instant::now());
        }
        if begun.elapsed() > LIMIT {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the lines do not end"));
        }
        thread::sleep(POLL);
    }
}
